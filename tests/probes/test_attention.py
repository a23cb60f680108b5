"""Attention pictures: any script, any size, no warning."""

import matplotlib.image
import numpy as np
import pytest
import torch

from ostinato.errors import ConfigError, DataError
from ostinato.modalities.audio import Audio
from ostinato.probes.attention import _shown, draw
from ostinato.run.predict import Answer


def answer(said, heard):
    weights = torch.rand(len(said) + 1, len(heard), generator=torch.Generator().manual_seed(1)).softmax(1)
    return Answer("".join(said), "".join(said), -1.0, -1.0, True, weights, [*said, "end"], heard)


@pytest.mark.parametrize(
    "heard",
    [
        ["Ein", " Hund"],
        list("२४ मई १९९०"),
        list("二〇二四年"),
        list("٣ مايو"),
        ["$a_1$", "\\b", "%", "_"],
        ["👩‍👩‍👧", "\t", "\n"],
        list("x" * 400),
        ["long" * 50],
    ],
)
def test_any_script_and_length_is_drawn_without_a_warning(tmp_path, heard):
    path = draw(answer(["a", "$"], heard), tmp_path / "deep" / "map.png", "title $x$ 日")
    height, width, _ = matplotlib.image.imread(path).shape
    assert 150 < height < 6000 and 150 < width < 6000


def test_what_the_font_lacks_is_shown_as_its_code_point_and_blanks_are_seen():
    assert _shown("a 日$") == "a\u2423U+65E5\\$"


def test_a_time_of_sound_has_a_blank_and_no_sign_of_one():
    sound = Audio(rate=8000)
    assert [_shown(label) for label in sound.labels(np.zeros((2, 40)))] == ["0.00\u00a0s", "0.01\u00a0s"]


def test_darker_where_the_weight_is_higher(tmp_path):
    one = answer(["a"], ["x", "y"])
    sure = Answer(**{**vars(one), "attention": torch.tensor([[1.0, 0.0], [0.0, 1.0]])})
    picture = matplotlib.image.imread(draw(sure, tmp_path / "map.png"))[..., :3].sum(2)
    dark = (picture < 1).nonzero()
    assert len(dark[0]), "a weight of 1 is the darkest blue"


def test_the_advice_without_attention_or_steps_and_where_nothing_can_be_written(tmp_path):
    one = answer(["a"], ["x"])
    advice = "this model has no attention, so there is nothing to draw; train with head.decoder.attention set"
    with pytest.raises(ConfigError, match=advice):
        draw(Answer(**{**vars(one), "attention": None}), tmp_path / "map.png")
    with pytest.raises(DataError, match="this input is empty, so there is nothing to draw; draw another example"):
        draw(answer(["a"], []), tmp_path / "map.png")
    assert draw(one, tmp_path / "map.png").is_file()
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="a part of the path is a file"):
        draw(one, tmp_path / "file" / "map.png")
