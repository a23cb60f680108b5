"""Numbers as people write them: what is read, and that each advice for what is not is a number that is read."""

import ast
import re
from decimal import Decimal

import pytest

from ostinato.errors import DataError
from ostinato.raw.numbers import Numerals, are_codes, as_number, readings


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("30,000", [30000, 30]),
        ("-1,250", [-1250, -1.25]),
        ("1,234,567", [1234567]),
        ("1,234.5", [1234.5]),
        ("64.037,00", [64037]),
        ("1.234.567", [1234567]),
        ("1'234.50", [1234.5]),
        ("30,5", [30.5]),
        ("0,125", [0.125]),
        ("$64005.00", [64005]),
        ("$1,234.50", [1234.5]),
        ("64,50 €", [64.5]),
        ("32.0%", [32]),
        ("\u22125.5", [-5.5]),
        ("(64.50)", [-64.5]),
        ("12.5-", [-12.5]),
        ("64\u202f037,5", [64037.5]),
        ("1 234 567", [1234567]),
        ("3.5 kg", [3.5]),
        ("-$3.50", [-3.5]),
        ("12,34,567", [1234567]),
        ("1,00,000.5", [100000.5]),
        ("\uff11\uff12\uff13", [123]),
    ],
)
def test_each_advised_number_is_read_and_none_is_chosen_where_two_are_meant(text, numbers):
    ways = readings(text)
    assert [as_number(number) for number in ways.values()] == numbers
    with pytest.raises(DataError) as error:
        as_number(text)
    assert all(f"{way}: {number}" in str(error.value) for way, number in ways.items())
    advised = re.findall(r"\(or set (.*?)\)(?=;)", str(error.value))
    assert len(advised) == len(ways) - text.endswith("5-")
    for settings, number in zip(advised, numbers):
        signs = dict(re.findall(r"data\.(\w+)=('.'|\".\")", settings))
        written = Numerals(**{name: ast.literal_eval(sign) for name, sign in signs.items()})
        assert as_number(written.plain(text)) == number


@pytest.mark.parametrize("text", ["2023-01-31", "abc", "12,34,5", "1,2,3", "", "-", "12:30", "a 1 b 2"])
def test_what_is_no_number_has_no_reading_and_is_to_be_mended(text):
    assert readings(text) == {}
    if text:
        with pytest.raises(DataError, match="mend it, leave the cell empty where it is missing, or read it as"):
            as_number(text)


@pytest.mark.parametrize(
    ("cells", "codes"),
    [
        (["01427", "6416"], True),
        (["007"], True),
        (["1234567890123457018"], True),
        ([1234567890123457018], True),
        (["1E10", "2E05"], True),
        (["1E10", "2.5"], False),
        (["0", "0.5", "10"], False),
        ([0, 5, 10], False),
        ([True, False], False),
    ],
)
def test_codes_are_digits_that_a_number_would_lose(cells, codes):
    assert are_codes(cells) is codes


def test_decimals_of_databases_are_numbers():
    assert as_number(Decimal("315.25")) == 315.25
