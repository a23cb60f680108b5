"""What a message on a label, a number, a text or its symbols recommends, followed: what was refused is read."""

import io
import math

import numpy as np
import pytest

from ostinato.registry import make
from tests.modalities.value_advice import follow

SERIES = [[1.0, 2.0, 4.0]]
TAGS = [["N", "V"]]


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


ROWS = [
    # what is refused: type, options, column, value | what the message recommends | the changes that follow it
    ("category", {}, [["a", "b"], ["a"]], None, "`multilabel: true` takes lists", {"options": {"multilabel": True}}),
    (
        "category",
        {},
        ["a", "b", ""],
        None,
        "a label is empty; leave the cell out (null) where a row has none",
        {"column": ["a", "b", None]},
    ),
    (
        "category",
        {"multilabel": True},
        [["a|b"], ["c"]],
        None,
        "separator: '|' and could not be written as a field; choose a separator that occurs in no label",
        {"options": {"multilabel": True, "separator": ";"}},
    ),
    ("date", {}, ["12", "13"], None, "a date is needed, not '12'; read it as number", {"type": "number"}),
    (
        "date",
        {},
        ["2013-01-31", "2013-02-30"],
        None,
        "there is no date '2013-02-30'; mend it",
        {"column": ["2013-01-31", "2013-02-28"]},
    ),
    (
        "date",
        {},
        ["2013-01-31 10:00:00.25"],
        None,
        "'2013-01-31 10:00:00.25' has a fraction of a second; give whole seconds",
        {"column": ["2013-01-31 10:00:00"]},
    ),
    (
        "date",
        {},
        ["2013-01-31", "31 Jan 2013"],
        None,
        "'31 Jan 2013' is not written as the times before it; write all in one form",
        {"column": ["2013-01-31"] * 2},
    ),
    (
        "calendar",
        {},
        [["2013-01-31"]],
        5,
        "dates are needed, and there is int 5; name the column of dates, not of a counted time",
        {"raw": ["2013-01-31", "2013-02-01"]},
    ),
    (
        "number",
        {},
        [1.0, ""],
        None,
        "a number is needed, not str ''; leave the cell empty (null) where a row has none",
        {"column": [1.0, None]},
    ),
    (
        "number",
        {"log": True},
        [1.0, -3.0],
        None,
        "log: -3 has no log(1 + x), which needs x > -1; leave out `log`, or mend the value",
        {"options": {}},
        {"column": [1.0, 3.0]},
    ),
    (
        "number",
        {},
        [1.0, -1.7e308, 3.0],
        None,
        "numbers from -1.7e+308 to 3 are too far apart to be scaled; mend -1.7e+308",
        {"column": [1.0, -1.7, 3.0]},
    ),
    (
        "number",
        {},
        [1.0, 1.0 + 1e-9],
        1e37,
        "1e+37 lies 2e+46 times the training split's spread away, too far for float32; mend the value",
        {"raw": 1.5},
    ),
    (
        "series",
        {},
        SERIES,
        [[1, 2]],
        "2 channels, and rows of the training split have 1 channel; give all rows the same, in one order",
        {"raw": [[1], [2]]},
    ),
    (
        "series",
        {},
        SERIES,
        [1.0, math.inf],
        "step 2, channel 1 is an infinite number; mend it, or leave it out (null) where it is missing",
        {"raw": [1.0, 2]},
        {"raw": [1.0, None]},
    ),
    (
        "series",
        {},
        [[]],
        None,
        "nothing to learn: no row of the training split has a step; check that this is the right column",
        {"column": SERIES},
    ),
    (
        "series",
        {},
        [[[1, None], [2, None]]],
        None,
        "channel 2 has no number in the training split, only missing values; leave it out",
        {"column": [[[1], [2]]]},
    ),
    (
        "series",
        {},
        [[1.0, -1.7e308]],
        None,
        "channel 1 has numbers too far apart to be scaled; mend -1.7e+308",
        {"column": [[1.0, -1.7]]},
    ),
    (
        "series",
        {},
        [[1.0, 1.0 + 1e-9]],
        [1.0, 1e37],
        "step 2, channel 1: 1e+37 is too far from the others; mend it",
        {"raw": [1.0, 1.5]},
    ),
    (
        "tags",
        {"separator": "", "missing": "no"},
        TAGS,
        None,
        "missing: 'no' cannot be part of a field with separator: ''; give one character",
        {"options": {"separator": "", "missing": "_"}},
    ),
    (
        "tags",
        {"missing": "a b"},
        TAGS,
        None,
        "missing: 'a b' cannot be part of a field with separator: ' '; give a text without ' ' in it",
        {"options": {"missing": "ab"}},
    ),
    (
        "tags",
        {},
        [["N", None]],
        None,
        "step 2 has no label; set missing to the sign of that in a field, such as '_'",
        {"options": {"missing": "_"}},
    ),
    (
        "tags",
        {},
        [["N M", "V"]],
        None,
        "the label 'N M' cannot be separated from its neighbours ... choose a separator that is in no label",
        {"options": {"separator": "|"}},
    ),
    (
        "tags",
        {},
        [["", "V"]],
        None,
        "a label is empty; name it, or set missing: '' where a step has none",
        {"column": [["N", "V"]]},
        {"options": {"missing": ""}},
    ),
    (
        "tags",
        {"scheme": "iob2"},
        [["O", "I-PER"], ["B-PER", "O"], ["B-PER", "I-PER"], ["B-PER", "B-PER"]],
        None,
        "not allow; mend the data, set lenient: true to read spans as conlleval does, or scheme: none",
        {"raw": ["O", "B-PER"]},
        {"options": {"scheme": "iob2", "lenient": True}},
        {"options": {"scheme": "none"}},
    ),
    (
        "tokens",
        {},
        [["a", ""]],
        None,
        "a symbol is empty; name it, or leave it out of the list",
        {"column": [["a", "b"]]},
        {"column": [["a"]]},
    ),
    (
        "tokens",
        {"separator": ","},
        [["a,b", "c"]],
        None,
        "separated from its neighbours with separator: ','; choose a separator that occurs in no symbol",
        {"options": {"separator": " "}},
    ),
    (
        "tokens",
        {},
        [[]],
        None,
        "no symbol at all (every value is empty or white space); check that this is the right column",
        {"column": [["a", "b"]]},
    ),
    (
        "text",
        {"tokenizer": {"same_as": "other"}},
        ["one two"],
        None,
        "the reference same_as: other was not looked up; give this text the settings of that tokenizer",
        {"options": {"tokenizer": {"type": "word"}}},
    ),
    (
        "text",
        {"tokenizer": "char"},
        ["na\u00efve"],
        "na\u00efve".encode().decode("ascii", "surrogateescape"),
        "is half of a surrogate pair, no text; read the file as UTF-8, or leave that character out",
        {"raw": "na\u00efve".encode().decode()},
        {"raw": "nave"},
    ),
    (
        "series",
        {},
        SERIES,
        lambda: make("modalities", "series").take(npz(a=np.ones(3), b=np.ones(3))),
        "the npz has 2 arrays, and a series is one (T,) or (T, C); write a file for each series",
        {"raw": lambda: make("modalities", "series").take(npz(a=np.ones(3)))},
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]} {row[4]}"[:60])
def test_a_value_or_setting_that_follows_the_advice_is_read(row):
    follow(row)
