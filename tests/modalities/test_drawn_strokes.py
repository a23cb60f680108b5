"""Strokes as pictures: where lines lie, at which scale, and what is no drawing."""

import json

import numpy as np
import pytest

pytest.importorskip("PIL")

from ostinato.errors import ConfigError, DataError
from ostinato.modalities.drawn_strokes import MARGIN, DrawnStrokes
from ostinato.modalities.strokes import Strokes

TALL = [[0, 0, 0], [0, 20, 1]]
"""A line of 20 units downwards."""


def fitted(*raws, **options):
    drawn = DrawnStrokes(**options)
    drawn.fit(raws)
    return drawn


def ink(drawn, raw):
    """How black each pixel is, (H, W)."""
    return 1 - drawn.decode(drawn.encode(raw))[..., 0]


def test_lines_lie_where_the_pen_went_and_nowhere_else():
    drawn = fitted(TALL, height=24, line_width=1)
    hook = [[5, 5, 0], [0, 20, 0], [10, 0, 1]]
    seen = ink(drawn, hook)
    assert seen.shape == (24, 10 + 2 * MARGIN)
    down, across = seen[:, MARGIN], seen[-MARGIN]
    assert down[MARGIN:-MARGIN].min() > 0.4 and across[MARGIN:-MARGIN].min() > 0.4
    assert seen[: -MARGIN - 2, MARGIN + 2 :].max() < 0.02, "right of the one line and above the other is paper"
    apart = ink(drawn, [[0, 0, 0], [0, 20, 1], [10, -20, 0], [0, 20, 1]])
    assert apart[:, MARGIN + 2 : -MARGIN - 2].max() < 0.02, "where the pen is lifted there is no line"


def test_order_direction_and_speed_of_the_pen_leave_the_picture_as_it_is():
    drawn = fitted(TALL)
    forth = [[0, 0, 0], [10, 10, 0], [10, 0, 1], [-20, 10, 0], [8, 0, 1]]
    back = [[0, 20, 0], [4, 0, 0], [4, 0, 1], [12, -10, 0], [-5, 0, 0], [-5, 0, 0], [-10, -10, 1]]
    apart = np.abs(ink(drawn, forth) - ink(drawn, back))
    assert apart.mean() < 0.01 and apart.max() < 0.4, "but for how corners are rounded"
    strokes = Strokes(scale="none")
    assert len(strokes.encode(forth)) != len(strokes.encode(back))


def test_one_scale_for_all_or_each_fills_the_height():
    small = [[0, 0, 0], [0, 5, 1]]
    tops = []
    for scale in ("dataset", "row"):
        seen = ink(fitted(*[TALL] * 30, small, height=44, scale=scale), small)
        rows = np.flatnonzero(seen.max(1) > 0.4)
        tops.append(rows[-1] - rows[0] + 1)
    assert abs(tops[0] - 10) <= 2 and abs(tops[1] - 40) <= 3
    usual = fitted(*[TALL] * 30, [[0, 0, 0], [0, 2000, 1]], height=44)
    assert np.flatnonzero(ink(usual, TALL).max(1) > 0.4).size >= 38, "one giant does not make all others small"
    assert len(usual.encode([[0, 0, 0], [0, 2000, 1]])) == 2 * MARGIN, "and is made smaller itself"


def test_facts_carry_the_scale_and_each_form_of_a_drawing_is_read(tmp_path):
    drawn = fitted(TALL, [[0, 0, 0], [30, 7, 1]])
    other = DrawnStrokes()
    other.restore(json.loads(json.dumps(drawn.facts())))
    (tmp_path / "line.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"><path d="M 3 3 v 20"/></svg>')
    forms = TALL, np.array(TALL, float), json.dumps(TALL), str(tmp_path / "line.svg"), drawn.parse(drawn.write(TALL))
    for raw in forms:
        assert np.array_equal(other.encode(raw), drawn.encode(TALL))
    assert drawn.encode([]).shape == (0, 32) and drawn.take(None) is None


def test_a_line_that_lies_is_as_wide_as_it_is():
    flat = fitted([[0, 0, 0], [40, 0, 1]], height=24)
    assert ink(flat, [[0, 0, 0], [40, 0, 1]]).shape == (24, 20 + 2 * MARGIN)
    assert ink(fitted(TALL, height=24, scale="row"), [[0, 0, 0], [40, 0, 1]]).shape == (24, 40 + 2 * MARGIN)


@pytest.mark.parametrize(
    ("raw", "word"),
    [
        ([[0, 0, 0], [1e9, 1, 1]], "becomes"),
        ([[0, 0, 0], [float("inf"), 1, 1]], "point 2 has an offset that is infinite"),
        ([[0, 0, 0], [1, 1, 7]], "the third number is 1 where the pen lifts"),
        ("no drawing", "a drawing is a list of points as JSON"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "there is nothing to read"),
    ],
)
def test_what_is_no_drawing_is_refused(raw, word):
    with pytest.raises(DataError, match=word):
        fitted(TALL).encode(raw)


def test_nothing_to_learn_and_no_room_are_refused():
    with pytest.raises(DataError, match="no drawing of the training split has a line"):
        fitted([[0, 0, 1]], [[3, 3, 1]])
    with pytest.raises(ConfigError, match="set 5 or more"):
        DrawnStrokes(height=4)


def test_advice_on_a_drawing_that_becomes_too_wide():
    drawn, wide = fitted(TALL), [[0, 0, 0], *[[2000, 0, 0]] * 9, [0, 1, 1]]
    with pytest.raises(DataError, match="columns; leave it out, or cut it into parts"):
        drawn.encode(wide)
    parts = wide[:4], [[0, 0, 0], *wide[4:7], [0, 1, 1]]
    assert all(1000 < len(drawn.encode(part)) <= 10_000 for part in parts)
