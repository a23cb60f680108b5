"""Preparation of pictures that are made here: which digits are in which part."""

import numpy as np
import pytest

from tests.scripts import script

pytest.importorskip("PIL")
pytest.importorskip("sklearn")


@pytest.fixture
def tool():
    return script("tools/_pictures.py")


def parts_of(tool, mixed: bool) -> dict[str, set[int]]:
    """Which of the pictures of scikit-learn are in each part."""
    plain = {picture.tobytes(): place for place, picture in enumerate(tool._digits(False)[0])}
    images, _ = tool._digits(mixed)
    return {name: {plain[picture.tobytes()] for picture in images[part]} for name, part in tool.DIGITS.items()}


@pytest.mark.parametrize("mixed", [False, True])
def test_no_digit_is_in_two_parts(tool, mixed):
    train, valid, test = parts_of(tool, mixed).values()
    assert not (train & valid or train & test or valid & test) and len(train | valid | test) == 1797


def test_mixed_parts_have_digits_of_all_places_and_their_own_labels(tool):
    apart, mixed = parts_of(tool, False)["test"], parts_of(tool, True)["test"]
    assert min(apart) == 1400 and np.histogram(sorted(mixed), 9, (0, 1797))[0].min() > 25
    images, labels = tool._digits(True)
    plain = dict(zip((picture.tobytes() for picture in tool._digits(False)[0]), tool._digits(False)[1]))
    assert [plain[picture.tobytes()] for picture in images] == [*labels]


@pytest.mark.parametrize("task", ["digit_lines", "moving_digits"])
def test_mixed_tables_are_other_ones_and_the_same_again(tool, monkeypatch, task):
    monkeypatch.setattr(tool, "LINES", {"train": 3, "valid": 2, "test": 2})
    monkeypatch.setattr(tool, "CLIPS", {"train": 3, "valid": 2, "test": 2})
    make = getattr(tool, task)
    assert make(None, mixed=True) == make(None, mixed=True) != make(None)
