"""Columns of times as people and programs write them: each form, its neighbours, and what is refused and why."""

import datetime

import pandas
import pytest

from ostinato.data.read import open_table
from ostinato.data.series import Frequency, long_table
from ostinato.errors import DataError
from ostinato.raw.times import TimeReader, times_of, why_no_time

WRITTEN = {
    "2023-01-31T14:00:00": [
        "2023-01-31 14:00",
        "2023-01-31T14:00:00Z",
        "2023-01-31 15:00+01:00",
        "2023-01-31 09:00:00-0500",
        "2023-01-31 14:00 UTC",
        "2023-01-31 02:00 PM",
        "2023/01/31 14:00",
        "2023/1/31 2:00pm",
        "31/01/2023 14:00",
        "31.01.2023 14:00",
        "1/31/2023 2:00 PM",
        "31 January 2023 14:00",
        "Tue 31 Jan 2023 2:00 PM",
        "Jan 31, 2023 14:00",
        "31-Jan-2023 14:00:00",
        2023013114,
        "202301311400",
        1675173600,
        1675173600000,
    ],
    "2023-01-31T00:00:00": ["2023-01-31 00:00:00.000", "20230131", 20230131, "2023-01-31 12:00 AM", "31-01-2023"],
    "2023-04-01T00:00:00": [
        "2023-04",
        "2023/04",
        202304,
        "2023-Q2",
        "2023Q2",
        "Q2 2023",
        "Q2/2023",
        "Apr-2023",
        "April 2023",
    ],
    "2022-01-03T00:00:00": ["2022-W01", "2022W01", "2022-01-03/2022-01-09"],
}


@pytest.mark.parametrize(("time", "cell"), [(time, cell) for time, cells in WRITTEN.items() for cell in cells])
def test_a_column_of_times_is_read_in_the_form_that_all_its_cells_have(time, cell):
    assert [str(read) for read in times_of([cell, cell])] == [time, time]


@pytest.mark.parametrize("cells", [[1, 2, 3], [2015, 2016], [200111, 200112, 200113], [20230131, 20230132], [190000]])
def test_whole_numbers_that_are_no_dates_are_counted(cells):
    assert times_of(cells).tolist() == cells


@pytest.mark.parametrize(
    "cells",
    [
        ["1234.5", "2000.1"],
        ["a"],
        [1.5],
        ["2023-02-30"],
        ["13:30"],
        [None],
        ["May"],
        ["Ma 3 2023"],
        ["Q5 2023"],
        ["Nov 31, 2023"],
    ],
)
def test_what_is_no_time_is_none(cells):
    assert times_of(cells) is None


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        ("2023-03-20 00:00:00.100", "has a fraction of a second; give whole seconds"),
        (datetime.datetime(2023, 3, 20, microsecond=1000), "has a fraction of a second"),
        ("2023-02-30", "there is no date '2023-02-30'; mend it"),
        ("30/02/2023", "there is no date"),
        ("", "is empty"),
        ("Mon", "is 'Mon', and a date such as"),
        ("2023-01-01", "is not written as the times before it"),
    ],
)
def test_a_cell_that_is_no_time_is_told_why(cell, why):
    reader = TimeReader()
    assert reader.add(["5", "6", cell]) == 2 and why in why_no_time(cell)


def test_the_order_of_days_and_months_is_known_from_any_block_and_never_assumed():
    reader = TimeReader()
    assert reader.add(["01/02/2023", "02/02/2023"]) is None
    with pytest.raises(DataError, match="may be 2023-02-01 or 2023-01-02: which is the month"):
        reader.times()
    assert reader.add(["13/02/2023"]) is None
    assert [str(time)[:10] for time in reader.times()] == ["2023-02-01", "2023-02-02", "2023-02-13"]
    assert reader.add(["02/13/2023"]) == 0


def gathered(cells):
    frame = pandas.DataFrame({"t": cells, "y": range(len(cells))})
    table = open_table(frame, columns=None, base=None, data_root=(), where="data.train")
    return long_table(table, time="t", series=None, numbers={"y": ["y"]}, constants=())


def test_a_known_form_is_meant_where_days_and_months_may_be_either():
    cells = ["01/02/2024", "02/02/2024"]
    for form, first in (("day first", "2024-02-01"), ("month first", "2024-01-02")):
        reader = TimeReader(form)
        assert reader.add(cells) is None
        assert str(reader.times()[0])[:10] == first and reader.form == form
    reader = TimeReader("month first")
    assert reader.add(["31/01/2024"]) is None and str(reader.times()[0])[:10] == "2024-01-31"
    assert reader.form == "day first"


@pytest.mark.parametrize(
    ("frequency", "expected"),
    [
        ("M", Frequency("month", 1)),
        ("Q", Frequency("month", 3)),
        ("W", Frequency("day", 7)),
        ("h", Frequency("hour", 1)),
    ],
)
def test_periods_of_pandas_are_times(frequency, expected):
    assert gathered(pandas.period_range("2020-01-01", periods=9, freq=frequency)).frequency == expected


def test_zones_make_the_doubled_hour_two_and_without_them_it_is_named_with_the_way_out():
    local = pandas.date_range("2023-10-28 22:00", periods=6, freq="h", tz="UTC").tz_convert("Europe/Berlin")
    assert gathered(local).frequency == Frequency("hour", 1)
    with pytest.raises(DataError, match="row 4: 2023-10-29 02:00 occurs twice; .* zone: 2023-10-29 02:00\\+01:00"):
        gathered(local.tz_localize(None))
    assert times_of(["2023-10-29 02:00+01:00"]) is not None
