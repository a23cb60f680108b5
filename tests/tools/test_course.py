"""Each chapter of the course prints what its page has, and its claims are true ones."""

import importlib.util
from pathlib import Path

import pytest

HOME = Path(__file__).resolve().parents[2]
SPEC = importlib.util.spec_from_file_location("course_tool", HOME / "tools" / "course.py")
course = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(course)


@pytest.mark.parametrize("page", course.chapters([]), ids=lambda page: page.stem)
def test_a_chapter_prints_what_it_has(page):
    text = page.read_text(encoding="utf-8")
    assert course.BLOCK.search(text)[2], "a page without numbers"
    assert course.run(page) == text, "run python tools/course.py --write"


def test_the_claims_are_true():
    by_hand, lstm, gru = (page.read_text(encoding="utf-8") for page in course.chapters([3, 5, 6]))
    assert by_hand.count("equal to autograd to 1e-12: True") == 3
    assert "equal to the cell to 1e-12: True" in lstm
    # By hand: sigmoid(1) = 0.7311, sigmoid(3) = 0.9526, tanh(1) = 0.7616, 2 * 0.9526 + 0.7311 * 0.7616 = 2.4619
    assert "i = o = 0.7311, f = 0.9526, g = 0.7616" in lstm and "= 2.4619, h[1]" in lstm
    assert "h = 1: by hand equal to the cell to 1e-12: True; both conventions the same: True" in gru
    assert "h = 2: by hand equal to the cell to 1e-12: True; both conventions the same: False" in gru
    for count in ("RNN: 190 ", "= 190; both directions 380", "GRU: 570 ", "LSTM: 760 "):
        assert count in gru
