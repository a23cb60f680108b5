"""Pictures from files to words about them: a manifest, a grid of positions, attention drawn over the picture."""

import random

import numpy as np
import pytest
from click.testing import CliRunner

from ostinato import api
from ostinato.cli.main import group
from ostinato.errors import DataError
from ostinato.modalities._pictures import png
from ostinato.recipe.read import load

COLORS = {"red": (1, 0, 0), "blue": (0, 0, 1)}
PLACES = {"left": slice(0, 4), "right": slice(-4, None)}
RECIPE = """
data:    {train: train, valid: valid}
inputs:  {picture: {type: image, encoder: {layers: 2, hidden_size: 16, dropout: 0}}}
outputs:
  words: {type: text, tokenizer: word, head: {embedding_size: 8, dropout: 0, decoder: {cell: gru, hidden_size: 16}}}
  color: {type: category, head: {dropout: 0}}
search: greedy
training: {epochs: 10, batch_rows: 8, optimizer: {type: adam, learning_rate: 0.02}, schedule: constant}
"""


def drawn(color, place, width=12):
    picture = np.zeros((8, width, 3), np.float32)
    picture[2:6, PLACES[place]] = COLORS[color]
    return picture


def folder(path, count, seed):
    draw = random.Random(seed)
    path.mkdir()
    rows = ["picture:file,words,color"]
    for number in range(count):
        color, place, width = draw.choice([*COLORS]), draw.choice([*PLACES]), draw.randint(10, 14)
        (path / f"{number}.png").write_bytes(png(drawn(color, place, width)))
        rows.append(f"{number}.png,{color} {place},{color}")
    (path / "manifest.csv").write_text("\n".join(rows) + "\n")


@pytest.fixture
def recipe(tmp_path):
    folder(tmp_path / "train", 48, 0)
    folder(tmp_path / "valid", 8, 1)
    (tmp_path / "words.yaml").write_text(RECIPE)
    return tmp_path / "words.yaml"


def test_pictures_are_described_and_the_attention_is_drawn_over_them(recipe, tmp_path):
    run = api.fit(load(recipe), tmp_path / "run", device="cpu")
    rows = [{"picture": drawn(color, place)} for color in COLORS for place in PLACES]
    answers = list(api.predict(run, rows=rows, device="cpu"))
    assert [answer.best["words"].value for answer in answers] == ["red left", "red right", "blue left", "blue right"]
    assert [answer.best["color"].value for answer in answers] == ["red", "red", "blue", "blue"]
    (tmp_path / "new.png").write_bytes(png(drawn("blue", "left")))
    command = ["predict", str(tmp_path / "run"), str(tmp_path / "new.png"), "--device", "cpu"]
    map_of = ["--attention", str(tmp_path / "map.png")]
    shown = CliRunner().invoke(group, [*command, *map_of], catch_exceptions=False)
    assert "blue left" in shown.output and (tmp_path / "map.png").stat().st_size > 1000
    (answer,) = api.answers([run], [{"inputs.picture": drawn("red", "right")}], attention=True)
    answer = answer["words"][0]
    assert answer.grid_height == 2 and answer.attention.shape == (3, 2 * 3) and answer.picture.shape == (8, 12, 3)
    assert answer.source == ["1", "5", "9"]


def test_a_damaged_picture_is_named_with_its_line(recipe, tmp_path):
    (tmp_path / "train" / "4.png").write_bytes(png(drawn("red", "left"))[:60])
    with pytest.raises(DataError, match=r"manifest.csv line 6, inputs.picture: .*damaged"):
        api.fit(load(recipe), tmp_path / "run", device="cpu")
