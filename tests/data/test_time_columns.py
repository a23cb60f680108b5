"""Which column is the time, and which one tells series apart."""

import datetime

import pytest

from ostinato.data.series import Frequency
from ostinato.data.time_columns import _rise, time_columns_of

DAYS = [f"2024-01-{day:02d}" for day in range(1, 13)]
SITES = ["north"] * 6 + ["south"] * 6
VALUES = [float(day * 7 % 5) for day in range(12)]


def told(cells, taken=()):
    found = time_columns_of(cells, taken)
    return None if found is None else (found.time, found.series, str(found.frequency), found.dates)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ({"load": VALUES, "day": DAYS}, ("day", None, "day", True)),
        ({"load": VALUES, "day": [datetime.date.fromisoformat(day) for day in DAYS]}, ("day", None, "day", True)),
        ({"day": DAYS[:6] * 2, "load": VALUES, "site": SITES}, ("day", "site", "day", True)),
        ({"site": SITES, "load": VALUES, "t": [*range(6), *range(6)]}, ("t", "site", "step", False)),
        (
            {"number": list(range(12)), "month": [f"2024-{month:02d}-01" for month in range(1, 13)]},
            ("month", None, "month", True),
        ),
        ({"t": list(range(0, 24, 2)), "load": VALUES}, ("t", None, "2 steps", False)),
        ({"day": DAYS[::-1], "load": VALUES}, None),
        ({"day": [*DAYS[:-1], "soon"], "load": VALUES}, None),
        ({"day": [*DAYS[:-1], None], "load": VALUES}, None),
        ({"day": ["2024-01-01"] * 12, "site": [f"s{row}" for row in range(12)]}, None),
        ({"day": ["2024-02-30", "2024-03-01", "2024-03-02"]}, None),
        ({"day": DAYS[:2]}, None),
    ],
)
def test_times_rise_from_row_to_row_or_within_each_series(cells, expected):
    assert told(cells) == expected


def test_what_is_taken_is_no_time_and_gaps_do_not_change_the_step():
    cells = {"t": list(range(12)), "u": [*range(11), 20]}
    assert told(cells) == ("t", None, "step", False)
    assert told(cells, {"t"}) == ("u", None, "step", False)
    assert told(cells, {"t", "u"}) is None
    assert time_columns_of({"day": [*DAYS[:3], *DAYS[5:]]}).frequency == Frequency("day", 1)


def test_a_column_is_read_beside_another_only_up_to_the_first_time_that_does_not_rise():
    """A table of pixels has a million such pairs."""

    def falling():
        yield from (5, 5)
        pytest.fail("read on")

    assert (
        not _rise(falling(), [0, 0, 0]) and not _rise([1, 9, 2, 8], [0, 1, 0, 1]) and _rise([1, 8, 2, 9], [0, 1, 0, 1])
    )
