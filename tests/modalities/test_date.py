"""The modality date: one date for a row, in the form that its column has."""

import datetime

import numpy as np
import pandas
import pytest

from ostinato.errors import ConfigError, DataError
from ostinato.modalities.contract import Values
from ostinato.registry import make

FORMS = {
    "texts": ["31.01.2023", "01.02.2023", "15.07.2024"],
    "ISO": ["2023-01-31", "2023-02-01", "2024-07-15"],
    "digits": ["20230131", "20230201", "20240715"],
    "dates": [datetime.date(2023, 1, 31), datetime.date(2023, 2, 1), datetime.date(2024, 7, 15)],
    "pandas": [pandas.Timestamp("2023-01-31"), pandas.Timestamp("2023-02-01"), pandas.Timestamp("2024-07-15")],
    "NumPy": [np.datetime64("2023-01-31"), np.datetime64("2023-02-01"), np.datetime64("2024-07-15")],
}


def fitted(column, **options):
    date = make("modalities", "date", (), options)
    date.fit([None, *column])
    return date


@pytest.mark.parametrize("form", FORMS)
def test_a_column_in_any_form_gives_the_same_places_and_times(form):
    date, other = fitted(FORMS[form]), fitted(FORMS["ISO"])
    for raw, same in zip(FORMS[form], FORMS["ISO"]):
        np.testing.assert_array_equal(date.encode(raw), other.encode(same))
    hour, weekday, yearday, late = date.decode(date.encode(FORMS[form][0]))
    np.testing.assert_allclose([hour, weekday, yearday], [0, 1 / 7, 30 / 365.25], atol=1e-6)  # a Tuesday
    assert late < date.decode(date.encode(FORMS[form][2]))[-1] and date.spec == Values(7)
    again = fitted(["1999-01-01"])
    again.restore(date.facts())
    np.testing.assert_array_equal(again.encode(FORMS[form][1]), date.encode(FORMS[form][1]))


@pytest.mark.parametrize(
    ("column", "says"),
    [
        (["2023-01-31", "soon"], "is 'soon', and a date such as"),
        (["01/02/2023", "02/01/2023"], "which is the month"),
        (["17", "18"], "a date is needed, not '17'; read it as number"),
        ([], "no row of the training split has a date"),
        ([3.5], "a date is needed, not"),
    ],
)
def test_what_is_no_date_is_refused(column, says):
    with pytest.raises(DataError, match=says):
        fitted(column)


def test_another_form_than_that_of_training_is_refused_and_so_are_no_cycles():
    with pytest.raises(DataError, match="dates of this column are written as in training"):
        fitted(FORMS["ISO"]).encode("31.01.2023")
    with pytest.raises(ConfigError, match="each once"):
        make("modalities", "date", (), {"cycles": []})
