"""Series gathered from long tables: in order, one step after the other, and every mistake with its place."""

import numpy as np
import pytest

from ostinato.data.read import open_table
from ostinato.data.series import Frequency, long_table, shown, whole_series
from ostinato.errors import DataError
from ostinato.raw.times import moment


def gathered(rows, *, series="site", numbers=None, constants=(), times=()):
    table = open_table(rows, columns=None, base=None, data_root=(), where="data.file")
    return long_table(table, time="t", series=series, numbers=numbers or {"y": ["y"]}, constants=constants, times=times)


def hours(count, site="a", start="2013-01-01T00", **more):
    begin = np.datetime64(start, "h")
    return [{"t": str(begin + k).replace("T", " ") + ":00", "site": site, "y": str(k), **more} for k in range(count)]


def test_each_series_is_one_row_in_the_order_of_time_even_where_rows_alternate():
    rows = [one for both in zip(hours(3), hours(3, "b")) for one in both]
    found = gathered(rows, times=("t",))
    assert found.names == ["a", "b"] and [one.tolist() for one in found.cells["y"]] == [[0, 1, 2]] * 2
    assert str(found.cells["t"][1][2]) == "2013-01-01T02:00:00"
    assert found.frequency == Frequency("hour", 1) and found.frequency.season == 24
    (block,) = found.blocks(("y",))
    assert len(block) == 2 and block.place(1) == "data.file series b"


def test_several_columns_are_channels_and_gaps_are_nan():
    rows = [{"t": k, "y": "NA" if k == 1 else k, "z": None if k == 2 else 10 * k} for k in range(3)]
    found = gathered(rows, series=None, numbers={"y, z": ["y", "z"]})
    np.testing.assert_array_equal(found.cells["y, z"][0], [[0, 0], [np.nan, 10], [2, np.nan]])
    assert found.frequency == Frequency("step", 1) and found.frequency.season is None


def test_months_are_steps_though_their_days_differ():
    rows = [{"t": f"1949-{k:02}", "y": k} for k in range(1, 13)]
    found = gathered(rows, series=None).frequency
    assert found == Frequency("month", 1) and found.season == 12
    assert [shown(one) for one in found.after(np.array(["1949-12-01"], "datetime64[s]"), 2)] == [
        "1950-01-01",
        "1950-02-01",
    ]


@pytest.mark.parametrize(
    ("unit", "count", "season"),
    [("day", 1, 7), ("day", 7, 52), ("month", 3, 4), ("minute", 30, 48), ("hour", 5, None), ("minute", 7, None)],
)
def test_the_usual_season(unit, count, season):
    assert Frequency(unit, count).season == season


def dates(*days, site="a"):
    return [{"t": day, "site": site, "y": k} for k, day in enumerate(days)]


@pytest.mark.parametrize(
    ("days", "unit", "count", "after"),
    [
        (("2013-01-31", "2013-02-28", "2013-03-31"), "month", 1, "2013-04-30"),
        (("2013-03-31", "2013-06-30"), "month", 3, "2013-09-30"),
        (("2012-01-31 12:00", "2012-02-29 12:00"), "month", 1, "2012-03-31 12:00"),
        (("2013-07-31", "2013-08-31"), "month", 1, "2013-09-30"),
        (("2013-01-01", "2014-01-01", "2015-01-01", "2016-01-01"), "month", 12, "2017-01-01"),
        (("2013-07-01", "2013-08-01", "2013-09-01"), "month", 1, "2013-10-01"),
        (("2013-04-30", "2013-05-30"), "month", 1, "2013-06-30"),
        (("2013-01-01", "2013-01-29", "2013-02-26"), "day", 28, "2013-03-26"),
        (("2013-01-31", "2013-03-02", "2013-04-01"), "day", 30, "2013-05-01"),
    ],
)
def test_months_quarters_and_years_are_known_by_their_days_and_by_their_last_days(days, unit, count, after):
    found = gathered(dates(*days))
    assert found.frequency == Frequency(unit, count)
    assert shown(found.frequency.after(found.times[0], 1)[0]) == after and found.shown(0, len(days)) == after


def test_a_gap_within_last_days_of_months_is_named():
    with pytest.raises(
        DataError, match="row 4: 2013-05-31 of series 'a' comes after 2013-03-31, and one step is one month"
    ):
        gathered(dates("2013-01-31", "2013-02-28", "2013-03-31", "2013-05-31"))


@pytest.mark.parametrize("missing", [[5], [30, 31]])
def test_a_few_missing_times_become_steps_without_numbers(missing):
    whole = hours(50)
    found = gathered([row for at, row in enumerate(whole) if at not in missing])
    (values,), (known,) = found.cells["y"], found.times
    assert len(known) == 50 and (known == gathered(whole).times[0]).all() and found.frequency == Frequency("hour", 1)
    assert np.flatnonzero(np.isnan(values)).tolist() == missing and values[49] == 49
    assert found.notes == [
        f"{len(missing)} of 50 times of series 'a' have no row (the first: {shown(known[missing[0]])}); they are steps"
        " without numbers"
    ]


def test_missing_last_days_of_months_are_last_days_and_a_time_between_two_steps_is_named():
    ends = [str(np.datetime64("2013-02", "M") + k) for k in range(40)]
    days = [str((np.datetime64(month, "M") + 1).astype("datetime64[D]") - 1) for month in ends]
    found = gathered(dates(*days[:20], *days[21:]))
    assert found.times[0].astype("datetime64[D]").astype(str).tolist() == days and np.isnan(found.cells["y"][0][20])
    off = hours(60)
    off[30] = {**off[30], "t": "2013-01-02 06:30"}
    with pytest.raises(DataError, match="row 31: 2013-01-02 06:30 of series 'a' comes after"):
        gathered(off)


@pytest.mark.parametrize("first", ["a", "b"])
def test_a_short_series_whose_steps_fit_has_the_frequency_of_the_others(first):
    long = dates("2013-01-04", "2013-02-01", "2013-03-01", "2013-03-29", site="a")
    short = dates("2013-02-01", "2013-03-01", site="b")
    found = gathered(long + short if first == "a" else short + long)
    assert found.frequency == Frequency("day", 28)


def swapped(rows, at):
    rows[at], rows[at + 1] = rows[at + 1], rows[at]
    return rows


def changed(rows, at, **more):
    rows[at] = {**rows[at], **more}
    return rows


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            swapped(hours(5), 2),
            "row 4: 2013-01-01 02:00 of series 'a' comes after 2013-01-01 03:00; sort the rows by 't'",
        ),
        (hours(3) + hours(5)[2:], "row 4: 2013-01-01 02:00 of series 'a' occurs twice"),
        (
            hours(4) + hours(9)[6:],
            "row 5: 2013-01-01 06:00 of series 'a' comes after 2013-01-01 03:00, and one step is one hour; add a row",
        ),
        (
            hours(4) + [{**one, "t": one["t"][:10]} for one in hours(80, "b")[::24]],
            "row 5: series 'b' has one step each day, and series 'a' each hour; train them apart",
        ),
        (
            changed(hours(4), 2, t="01.02.2013"),
            "row 3, column 't': '01.02.2013' is not written as the times before it",
        ),
        (changed(hours(4), 2, t="2013-02-30"), "row 3, column 't': there is no date '2013-02-30'"),
        (changed(hours(4), 2, t=None), "row 3, column 't': is empty"),
        (changed(hours(4), 2, y="inf"), "row 3, column 'y': a number is infinite"),
        (changed(hours(4), 2, y="2,5"), "row 3, column 'y': a number is needed, not '2,5'; write a decimal point: 2.5"),
        (changed(hours(4), 2, site=""), "row 3: 'site' is empty, and it names the series"),
    ],
)
def test_what_breaks_the_order_of_time_is_named_with_its_place(rows, message):
    with pytest.raises(DataError) as told:
        gathered(rows)
    assert message in str(told.value)


def test_what_is_no_series_has_one_value_for_a_whole_series():
    found = gathered(hours(3, kind="x") + hours(3, "b", kind="y"), constants=("kind",))
    assert found.cells["kind"] == ["x", "y"]
    with pytest.raises(DataError, match=r"row 3: 'kind' is 'z' and was 'x' in this series before"):
        gathered(changed(hours(4, kind="x"), 2, kind="z"), constants=("kind",))


def test_a_moment_of_a_recipe():
    assert moment("2013-01-02 05:00") == np.datetime64("2013-01-02T05", "s")
    with pytest.raises(DataError, match="'soon' is no date; write 2013-01-31"):
        moment("soon")


def whole(rows, numbers=("y", "w"), ahead=()):
    table = open_table(rows, columns=None, base=None, data_root=(), where="data.file")
    return whole_series(
        table, {column: iter(table.column(column)) for column in numbers}, series=None, numbers=numbers, ahead=ahead
    )


def test_the_lists_of_a_row_are_equally_long_save_what_is_known_ahead():
    rows = [{"y": [1, 2, 3], "w": [4, 5, 6]}, {"y": [1, 2, 3], "w": [4, 5]}]
    with pytest.raises(
        DataError,
        match="data.file row 2: 'w' has 2 steps, and 'y' 3; give both as many, null where a number is missing",
    ):
        whole(rows)
    with pytest.raises(
        DataError, match="data.file row 2: 'w' is known ahead and has 2 steps, and 'y' 3; give at least as many"
    ):
        whole(rows, ahead=("w",))
    with pytest.raises(DataError, match="row 1: 'w' has 4 steps, and 'y' 3"):
        whole([{"y": [1, 2, 3], "w": [4, 5, 6, 7]}])
    longer = whole([{"w": [4, 5, 6, 7], "y": [1, 2, 3]}], numbers=("w", "y"), ahead=("w",))
    assert [len(longer.cells[column][0]) for column in "yw"] == [3, 4]
    assert len(whole([{"w": [4, 5, 6, 7]}], numbers=("w",), ahead=("w",))) == 1
