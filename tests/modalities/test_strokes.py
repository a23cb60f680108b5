"""Pen strokes: what is read of lists and files, how it is scaled and laid anew, what is refused; drawn to its end."""

import io
import json
import re

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from ostinato import api
from ostinato.cli.main import group
from ostinato.errors import DataError
from ostinato.modalities.strokes import Strokes
from ostinato.recipe.read import load

CROSS = [[0, 0, 0], [10, 0, 1], [-5, -4, 0], [0, 8, 1]]
INK = b"""<ink xmlns="http://www.w3.org/2003/InkML"><traceGroup><trace>2 3, 12 3</trace></traceGroup>
<trace> 7 -1 ,7 7</trace></ink>"""
TIMED = b"""<ink><traceFormat><channel name="T"/><channel name="Y"/><channel name="X"/></traceFormat>
<trace>0 3 2, 1 3 12</trace><trace>2 -1 7, 3 7 7</trace></ink>"""
LINES = b"""<svg xmlns="http://www.w3.org/2000/svg"><line x1="2" y1="3" x2="12" y2="3"/>
<polyline points="7,-1 7,7"/></svg>"""
PATHS = b'<svg><path d="M2,3h10"/><path d="m7-1V7"/></svg>'


def fitted(*drawings, **options):
    strokes = Strokes(**{"scale": "none", **options})
    strokes.fit(drawings or [CROSS])
    return strokes


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


@pytest.mark.parametrize(
    "raw", [CROSS, np.array(CROSS), json.dumps(CROSS), npz(drawing=np.array(CROSS)), INK, TIMED, LINES, PATHS]
)
def test_a_drawing_comes_as_a_list_an_array_a_text_or_a_file(raw, tmp_path):
    strokes = fitted()
    assert strokes.encode(raw).tolist() == [[*step, float(place == 3)] for place, step in enumerate(CROSS)]
    if isinstance(raw, bytes):
        path = tmp_path / ("drawing.npz" if raw.startswith(b"PK") else "drawing.svg")
        path.write_bytes(raw)
        assert np.array_equal(strokes.encode(str(path)), strokes.encode(CROSS))


def test_one_scale_for_both_axes_and_it_comes_back():
    drawing = [[3, 4, 0], [0, 5, 1]]
    assert np.allclose(fitted(drawing, scale="dataset").encode(drawing)[:, :2] * np.sqrt(50 / 4), [[3, 4], [0, 5]])
    assert np.allclose(fitted(CROSS, scale="row").encode(CROSS)[:, :2], np.array(CROSS)[:, :2] / 10)
    strokes = fitted(CROSS, scale="dataset")
    again = Strokes(scale="dataset")
    again.restore(json.loads(json.dumps(strokes.facts())))
    assert np.allclose(again.decode(again.encode(drawing)), drawing, atol=1e-5)


def test_points_are_laid_anew_along_each_stroke():
    steps = fitted(spacing=2.0).encode(CROSS)
    assert np.allclose(steps[:, :2].cumsum(0)[:6], [[2 * k, 0] for k in range(6)], atol=1e-5)
    assert np.allclose(steps[:, :2].cumsum(0)[6:], [[5, -4 + 2 * k] for k in range(5)], atol=1e-5)
    assert steps[:, 2].tolist() == [0] * 5 + [1] + [0] * 4 + [1] and steps[:, 3].sum() == 1
    assert fitted(spacing=2.0).encode([[1, 1, 1], [2, 2, 0]]).tolist() == [[1, 1, 1, 0], [2, 2, 0, 1]]


def test_curves_of_a_path_end_where_they_end_and_bend_as_they_bend():
    (circle,) = [fitted().encode(b'<svg><path d="M0 0C0 4 6 4 6 0s6-4 6 0q1 1 2 0z"/></svg>')]
    places = circle[:, :2].cumsum(0)
    assert np.allclose(places[[4, 8, 12, 16, 24, 25]], [[3, 3], [6, 0], [9, -3], [12, 0], [14, 0], [0, 0]], atol=1e-5)


def test_a_picture_of_one_drawing_is_read_as_that_drawing():
    strokes = fitted()
    assert np.allclose(strokes.encode(strokes.render([CROSS], ".svg")), strokes.encode(CROSS))
    assert len(re.findall("<path", strokes.render([CROSS] * 9, ".svg").decode())) == 18


BAD = [
    ([[0, 0, 0], [np.inf, 1, 1]], "point 2 has an offset that is infinite"),
    ([[0, 0, 0], [None, 1, 1]], "point 2 has an offset that is infinite or missing"),
    ([[0, 1, 2]], "point 1: the third number is 1 where the pen lifts and else 0, not 2"),
    ([[0, 1]], "each point is three numbers"),
    ([[1e39, 0, 1]], "point 1 is too far from the one before"),
    (b"<ink></ink>", "no <trace> with a point"),
    (b"<ink><trace>1 1</trace></ink>", "the drawing is one point"),
    (b"<ink><trace>1 1, '2 '2</trace></ink>", "trace 1 of the InkML has a point that is not X and Y"),
    (b'<ink><traceFormat><channel name="Z"/></traceFormat></ink>', "X and Y are needed"),
    (b"<svg/>", "no <path>, <line> or <polyline> with a point"),
    (b'<svg><g transform="scale(2)"/></svg>', "has a transform"),
    (b'<svg><path d="M0 0A1 1 0 0 0 1 1"/></svg>', "has the command A"),
    (b'<svg><path d="M0 0L1"/></svg>', "numbers that its command L does not take"),
    (b'<svg><polyline points="1 2 a 3"/></svg>', "no pairs of numbers"),
    (b"<html/>", "the root of the file is <html>"),
    (b"<ink>", "this is no InkML, SVG or npz"),
    (b'<!DOCTYPE a [<!ENTITY b "c">]><ink/>', "declares entities"),
    (npz(a=np.zeros((2, 3)), b=np.zeros(3)), "the npz has 2 arrays"),
    (npz(a=np.array([None])), "the npz cannot be read"),
    ("no/such.svg", "there is no drawing .*no/such.svg"),
    ("[[0, 0", "a drawing is a list of points as JSON"),
]


@pytest.mark.parametrize(("raw", "message"), BAD)
def test_what_is_no_drawing_is_refused(raw, message):
    with pytest.raises(DataError, match=message):
        fitted().encode(raw)


def test_one_point_alone_is_told_of_before_training():
    assert Strokes().flaw([[0, 0, 1]]) == "has one point alone" and Strokes().flaw([[0, 0, 0], [1, 1, 1]]) is None


def test_a_drawing_without_a_line_has_no_scale():
    with pytest.raises(DataError, match="no drawing of the training split has a line"):
        Strokes().fit([[], [[0, 0, 1]]])
    with pytest.raises(DataError, match="scale: row has nothing to divide by"):
        fitted(scale="row").encode([[3, 2, 1]])


RECIPE = """
data:    {train: train.jsonl, valid: train.jsonl}
inputs:  {pen: {type: strokes, encoder: {bidirectional: false, hidden_size: 24, embedding_size: 8}}}
outputs: {rest: {column: pen, type: strokes, of: pen, align: next, head: {type: mixture_density, components: 2}}}
search:  {type: sample}
training: {epochs: 12, batch_rows: 6, optimizer: {type: adam, learning_rate: 0.03}, schedule: constant}
"""


def test_drawings_of_several_strokes_are_drawn_to_their_end_into_one_picture(tmp_path):
    draw = np.random.default_rng(0)
    rows = [(np.array(CROSS) + np.c_[draw.normal(0, 0.1, (4, 2)), np.zeros(4)]).tolist() for _ in range(48)]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps({"pen": row}) + "\n" for row in rows))
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    run = api.fit(load(tmp_path / "recipe.yaml"), tmp_path / "run", device="cpu")
    drawn = [json.dumps(CROSS[:1]), "--n-best", "9", "--device", "cpu", "--set", "search.bias=4"]
    picture = tmp_path / "grid.svg"
    told = CliRunner().invoke(group, ["predict", str(run.folder), *drawn, "--output", str(picture)])
    assert told.exit_code == 0 and "9 answers" in told.stderr, told.output
    paths = re.findall(r' d="([^"]+)"', picture.read_text())
    # Each begun stroke is ended with its second point, and then comes the other one.
    assert sum(path.count("L") == 1 for path in paths) >= 14 and 16 <= len(paths) <= 20

    spread = {}
    for bias in (0, 4):
        listed = api.predict(run, [json.dumps(CROSS[:1])], sets=[f"search.bias={bias}"], n_best=40, device="cpu")
        (prediction,) = listed
        ends = [answer.value[0][0] for answer in prediction.outputs["rest"] if answer.value]
        spread[bias] = float(torch.tensor(ends).std())
    assert spread[4] < spread[0] / 4
    refused = CliRunner().invoke(group, ["predict", str(run.folder), *drawn, "--output", str(tmp_path / "a.csv")])
    assert refused.exit_code == 2 and "leave out --n-best" in refused.stderr
