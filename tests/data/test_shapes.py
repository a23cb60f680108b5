"""The generated shapes: captions say what is drawn, and what never meets in training never does."""

import random

import numpy as np
import pytest

from ostinato.data import shapes


def scenes(unseen=False, count=200):
    draw = random.Random(0)
    return [shapes.scene(draw, unseen) for _ in range(count)]


def test_a_caption_is_read_back_whatever_its_words():
    draw = random.Random(1)
    for shown in scenes():
        expected = frozenset((shape.color, shape.kind, shape.place) for shape in shown)
        assert len(expected) == len(shown) and shapes.meaning(shapes.caption(shown, draw)) == expected
    assert shapes.meaning("there is an orange plus at the top left") == {("orange", "cross", "top left")}
    assert shapes.meaning("an orange plus") is None and shapes.meaning("") is None


def test_held_out_pairs_are_in_every_unseen_picture_and_in_no_other():
    for unseen in (False, True):
        for shown in scenes(unseen):
            assert bool(shapes.UNSEEN & {shape[:2] for shape in shown}) == unseen
            first, second = sorted((shape.radius for shape in shown), reverse=True)[:2]
            assert first - second >= shapes.CLEAR - 1e-9 and 2 <= len(shown) <= 4


@pytest.mark.parametrize("kind", shapes.KINDS)
def test_a_shape_is_drawn_in_its_color_at_its_place(kind):
    shape = shapes.Shape("red", kind, "bottom right", 24, 24, 6)
    picture = shapes.drawn([shape], random.Random(0)).astype(int)
    red = (picture[..., 0] - picture[..., 1]) > 60
    assert red[18:31, 18:31].sum() == red.sum() > 40


def test_questions_have_the_answer_of_the_picture():
    draw, kinds = random.Random(2), set()
    for shown in scenes():
        question, answer = shapes.question(shown, draw)
        words = question.split()
        kinds.add(words[0])
        if words[:2] == ["how", "many"]:
            assert answer == str(sum(shape.color == words[2] for shape in shown))
        elif words[0] == "is":
            kind = next(kind for kind, several in shapes.KINDS.items() if words[4] in several)
            assert answer == ("yes" if any(shape[:2] == (words[3], kind) for shape in shown) else "no")
        else:
            assert answer in {getattr(shape, "kind" if words[1] == "shape" else "color") for shape in shown}
    assert kinds == {"what", "how", "is"}


def test_a_folder_holds_pictures_and_their_cells_and_is_made_once(tmp_path):
    shapes.make(tmp_path / "a", 5, 0)
    first = (tmp_path / "a" / shapes.MANIFEST).read_bytes()
    shapes.make(tmp_path / "a", 6, 1)
    assert (tmp_path / "a" / shapes.MANIFEST).read_bytes() == first
    pictures, captions = shapes.captions(tmp_path / "a")
    assert len(pictures) == 5 and all(shapes.meaning(caption) for caption in captions)
    assert np.array_equal(
        [row[1:] for row in shapes.rows(5, 0)],
        [line.split(",")[1:] for line in first.decode().splitlines()[1:]],
    )
