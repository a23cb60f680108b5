"""Recordings from files to words: a manifest, a sub-sampled CTC net, and where in a file each symbol is."""

import json
import random

import numpy as np
import pytest
from click.testing import CliRunner

from ostinato import api
from ostinato.cli.main import group
from ostinato.errors import DataError
from ostinato.modalities.audio import wav
from ostinato.recipe.read import load

TONES = {"a": 400, "b": 900, "c": 1700}
RECIPE = """
data:    {train: train, valid: valid}
inputs:
  clip:
    type: audio
    bands: 12
    band_masks: 1
    band_width: 1
    encoder:
      type: subsampled
      layers: 1
      hidden_size: 16
      encoder: {type: windowed, hidden_size: 16}
outputs: {letters: {type: text, tokenizer: char, align: free, head: {type: ctc, dropout: 0.0}}}
search: greedy
training: {epochs: 12, batch_rows: 8, optimizer: {type: adam, learning_rate: 0.02}, schedule: constant}
"""


def clip(letters, random):
    """A tone of a tenth of a second for each letter, and as long a rest before each."""
    time = np.arange(800) / 8000
    parts = [part for letter in letters for part in (0 * time, np.sin(2 * np.pi * TONES[letter] * time))]
    return wav(np.concatenate([*parts, 0 * time]) / 2 + random.gauss(0, 1e-3))


def recordings(folder, count, seed=0, extra=()):
    drawn = random.Random(seed)
    folder.mkdir()
    rows = ["clip:file,letters"]
    for number in range(count):
        letters = "".join(drawn.choices("abc", k=drawn.randint(1, 3)))
        (folder / f"{number}.wav").write_bytes(clip(letters, drawn))
        rows.append(f"{number}.wav,{letters}")
    for name, content, letters in extra:
        (folder / name).write_bytes(content)
        rows.append(f"{name},{letters}")
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")


@pytest.fixture
def recipe(tmp_path):
    recordings(tmp_path / "valid", 10, seed=1)
    (tmp_path / "letters.yaml").write_text(RECIPE)
    return tmp_path / "letters.yaml"


def test_tones_are_read_and_placed_in_the_file(recipe, tmp_path):
    recordings(tmp_path / "train", 80)
    run = api.fit(load(recipe), tmp_path / "run", device="cpu")
    drawn = random.Random(5)
    (tmp_path / "clip.wav").write_bytes(clip("cab", drawn))
    command = ["predict", str(tmp_path / "run"), str(tmp_path / "clip.wav"), "--device", "cpu", "--times"]
    shown = CliRunner().invoke(group, command, catch_exceptions=False)
    answer, *lines = shown.output.splitlines()
    assert answer == "cab" and [line.split("\t")[2] for line in lines] == ["c", "a", "b"]
    for number, line in enumerate(lines):
        start, end, _ = line.split("\t")
        begin = 0.1 + 0.2 * number  # of its tone, in seconds
        assert begin - 0.05 < float(start) < float(end) < begin + 0.2
    samples = {"clip": np.zeros(8000)}
    (silence,) = api.predict(run, rows=[samples], device="cpu")
    assert silence.best["letters"].value == ""
    assert json.dumps(silence.to_json()["outputs"])


def test_a_recording_too_short_for_its_target_after_subsampling_is_counted(recipe, tmp_path):
    short = wav(np.zeros(200 + 8 * 80))  # nine frames, five steps
    recordings(tmp_path / "train", 20, extra=[("short.wav", short, "abcabc"), ("enough.wav", short, "abcab")])
    with pytest.raises(DataError, match=r"manifest.csv line 22: .*ctc cannot learn.*\(one row like this\)"):
        api.fit(load(recipe), tmp_path / "run", device="cpu")


def test_a_damaged_file_is_named_with_its_line(recipe, tmp_path):
    recordings(tmp_path / "train", 5, extra=[("text.wav", clip("a", random.Random(0))[:700], "a")])
    with pytest.raises(DataError, match=r"manifest.csv line 7, inputs.clip: .*cut short"):
        api.fit(load(recipe), tmp_path / "run", device="cpu")
