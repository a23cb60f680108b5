"""What a message on a number that is written otherwise recommends, followed."""

import re

import pytest

from ostinato.errors import DataError
from ostinato.raw.numbers import Numerals, as_number

NUMBERS = [
    # as written | the way that the message names | the number, or both that it may be
    ("12 EUR", "write only the number", 12),
    ("1 234,5", "leave out the separators of thousands", 1234.5),
    ("1.234,5", "leave out the separators of thousands", 1234.5),
    ("12,5", "write a decimal point", 12.5),
    ("1,234", "where the comma separates thousands write", 1234),
    ("1,234", "where it is a decimal comma write", 1.234),
]


@pytest.mark.parametrize(("text", "way", "number"), NUMBERS)
def test_a_number_that_is_written_or_read_as_the_advice_says(text, way, number):
    with pytest.raises(DataError) as refusal:
        as_number(text)
    written, settings = re.search(rf"; {way}: (\S+?)(?: \(or set ([^)]*)\))?;", str(refusal.value)).groups()
    assert as_number(written) == number
    signs = dict(re.findall(r"data\.(\w+)='(.)'", settings or ""))
    assert not signs or as_number(Numerals(**signs).plain(text)) == number
    assert signs or way == "write only the number"


def test_what_is_no_number_is_mended_or_left_out_as_the_advice_says():
    with pytest.raises(DataError, match="mend it, leave the cell empty where it is missing, or read it as category or"):
        as_number("green")
    assert as_number("3") == 3 and as_number("") is None
    with pytest.raises(DataError, match="too large for 64 bits; mend it, or leave the cell empty where it is missing"):
        as_number("1e999")
