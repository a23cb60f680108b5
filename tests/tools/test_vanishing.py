"""docs/vanishing.md stands for the numbers that were measured, and the numbers for what the page claims."""

from pathlib import Path

import pytest

from tests.scripts import script

HOME = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def vanishing():
    return script("tools/vanishing.py")


def test_the_page_is_that_of_its_numbers_and_has_its_pictures(vanishing):
    page = vanishing.page(vanishing.load(), vanishing.load(vanishing.RANKING))
    assert vanishing.PAGE.read_text(encoding="utf-8") == page, "run python tools/vanishing.py --render"
    assert all(f"](vanishing_{section.name}.png)" in page for section in vanishing.SECTIONS)


def test_zero_and_numbers_without_end_were_made_to_happen_and_cured(vanishing):
    numbers = vanishing.load()
    radius, start = numbers["sections"]["radius"], numbers["sections"]["start"]
    assert 0.0 in radius["relu, radius 0.5"]["shares"] and None in radius["relu, radius 8"]["shares"]
    assert start["relu, identity"]["horizon"] is None and start["relu, uniform"]["horizon"] < 10
    stopped, cured = numbers["clipping"].values()
    assert "is nan" in stopped and cured.startswith("validation loss")
