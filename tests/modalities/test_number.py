"""The modality number: scaled inside, its own unit outside."""

import json
import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostinato.errors import DataError
from ostinato.modalities.contract import Values
from ostinato.registry import make

SETTINGS = [{"scale": scale, "log": log} for scale in ("standard", "minmax", "none") for log in (False, True)]


def fitted(column, **options):
    number = make("modalities", "number", (), options)
    number.fit(iter(column))
    return number


@pytest.mark.parametrize("options", SETTINGS, ids=str)
@given(raw=st.integers(-99, 100_000).map(lambda cents: cents / 100))
def test_a_price_comes_back_as_it_was_written(options, raw):
    number = fitted([0, 12.5, 3, 250, -0.9], **options)
    encoded = number.encode(raw)
    assert encoded.dtype == np.float32 and encoded.shape == (1, 1)
    assert number.decode(encoded) == raw
    assert number.parse(number.write(raw)) == raw and number.encode(number.write(raw)) == encoded


def test_standard_is_mean_and_deviation_of_the_training_split():
    column = [2.0, 4, 4, 4, 5, 5, 7, 9]
    number = fitted([*column, None])
    assert number.facts()["mean"] == statistics.fmean(column) == 5
    assert number.facts()["deviation"] == statistics.pstdev(column) == 2
    assert number.encode(9).tolist() == [[2.0]] and number.decode(np.array([[-0.5]])) == 4
    assert number.spec == Values(1)


def test_minmax_and_none_and_log():
    assert fitted([10, 20], scale="minmax").encode(15).tolist() == [[0.5]]
    assert fitted([10, 20], scale="none").encode(15).tolist() == [[15]]
    log = fitted([0, math.e - 1], log=True, scale="minmax")
    assert log.encode(math.e**2 - 1)[0, 0] == pytest.approx(2)
    assert log.decode([[1.0]]) == pytest.approx(math.e - 1, rel=1e-6) and math.isfinite(log.decode([[1e9]]))


def test_a_small_spread_around_a_large_mean_keeps_its_digits():
    number = fitted([1_600_000_000 + second for second in range(100)])
    assert number.facts()["deviation"] == pytest.approx(statistics.pstdev(range(100)), rel=1e-9)
    seconds = [1_600_000_000, 1_600_000_007, 1_600_000_150]
    assert [number.decode(number.encode(second)) for second in seconds] == seconds


@pytest.mark.parametrize("value", [0.1, 0, 1e-9, -3])
def test_a_constant_column_is_never_divided_by_zero(value):
    for options in SETTINGS[::2]:
        number = fitted([value] * 3, **options)
        assert number.facts()["constant"] and abs(number.encode(value + 1)[0, 0]) <= abs(value) + 1
        assert number.decode(number.encode(value)) == value
    assert not fitted([1, 2]).facts()["constant"]


def test_the_unit_stands_in_pictures_and_facts():
    number = fitted([1, 2], unit="EUR")
    assert number.labels(number.encode(1.5)) == ["1.5 EUR"] and number.facts()["unit"] == "EUR"
    assert fitted([1, 2]).labels([[np.nan]]) == ["NA"] and number.decode([[np.nan]]) is None


@pytest.mark.parametrize("options", SETTINGS, ids=str)
def test_facts_through_json_make_a_fresh_object_behave_alike(options):
    before, after = fitted([1, 2.5, 7], **options), make("modalities", "number", (), options)
    after.restore(json.loads(json.dumps(before.facts())))
    assert after.facts() == before.facts() and after.encode(3).tolist() == before.encode(3).tolist()


@pytest.mark.parametrize("field", ["", "  ", "NA", "nan", "NaN", "null", "n/a", "?"])
def test_a_missing_number_is_none(field):
    number = fitted([1, 2])
    assert number.parse(field) is None and number.write(None) == ""
    with pytest.raises(DataError, match="a number is needed, not .*; leave the cell empty"):
        number.encode(field)


@pytest.mark.parametrize(
    "field, value", [(" 1.5 ", 1.5), ("-3", -3), ("+2e-3", 0.002), (".5", 0.5), ("7.", 7), ("1E5", 100_000)]
)
def test_numbers_are_read_as_they_are_written(field, value):
    assert make("modalities", "number").parse(field) == value


@pytest.mark.parametrize(
    "raw, message",
    [
        ("1,5", "not '1,5'; write a decimal point: 1.5"),
        ("1,234.5", "leave out the separators of thousands: 1234.5"),
        ("1,234,567", "leave out the separators of thousands: 1234567"),
        ("12 EUR", "a number is needed, not '12 EUR'"),
        ("1_000", "a number is needed, not '1_000'"),
        ("٣", "a number is needed"),
        ("0x10", "a number is needed"),
        ("inf", "infinite or too large"),
        ("1e999", "infinite or too large"),
        (float("-inf"), "infinite or too large"),
        (10**400, "infinite or too large"),
        (None, "a number is needed, not a missing value; leave the cell empty"),
        (float("nan"), "a number is needed, not float nan; leave the cell empty"),
        (True, "a number is needed, not bool True"),
        ([1], "a number is needed, not list"),
        (1e300, "times the training split's spread away"),
    ],
)
def test_what_is_no_number_is_a_data_error(raw, message):
    with pytest.raises(DataError, match=message):
        fitted([1, 2]).encode(raw)


def test_nothing_to_learn_from_is_a_data_error():
    for column in ([], [None]):
        with pytest.raises(
            DataError, match="no row of the training split has a number; check that this is the right column"
        ):
            fitted(column)
    with pytest.raises(DataError, match="from -1e[+]308 to 1e[+]308 are too far apart"):
        fitted([-1e308, 1e308])
    with pytest.raises(DataError, match="log: -1 has no log"):
        fitted([3, -1], log=True)
