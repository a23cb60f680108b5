"""Recordings and pen strokes as tables, on tiny made-up inputs."""

import itertools
import json
import sys
import wave
import zipfile
from pathlib import Path

import numpy as np
import pytest

from ostinato.modalities.audio import Audio, wav
from tests.scripts import script

TOOLS = Path(__file__).resolve().parents[2] / "tools"


@pytest.fixture
def tool(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    yield script("tools/prepare.py")
    sys.modules.pop("_sound")


def recordings(path, names):
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, level in names.items():
            archive.writestr(name, wav(np.full(400, level)))
        archive.writestr("README", "no recording")


def manifest(folder):
    header, *lines = (folder / "manifest.csv").read_text().splitlines()
    return header, [line.split(",") for line in lines]


def listed(folder, split):
    return [json.loads(line) for line in (folder / f"{split}.jsonl").read_text().splitlines()]


def test_a_voice_is_left_out_of_four_and_of_the_six_of_a_clone(tmp_path, tool):
    names = {f"{digit}_{voice}_{take}.wav": 0.5 for digit in range(2) for voice in ("ann", "george") for take in (0, 9)}
    recordings(tmp_path / "spoken-digits-fsdd/fsdd_4_speakers.zip", names)
    made = tool.prepare("unseen-voice-george", tmp_path, tmp_path)
    assert {path.name: count for path, count in made.items()} == {"train": 2, "valid": 2, "test": 4}
    with pytest.raises(SystemExit, match="clone Jakobovski/free-spoken-digit-dataset from GitHub to"):
        tool.prepare("unseen-voice-george-of-six", tmp_path, tmp_path)
    folder = tmp_path / "free-spoken-digit-dataset/recordings"
    folder.mkdir(parents=True)
    for name in (*names, "1_lucas_9.wav"):
        (folder / name).write_bytes(wav(np.full(400, 0.5)))
    made = tool.prepare("unseen-voice-george-of-six", tmp_path, tmp_path)
    assert {path.name: count for path, count in made.items()} == {"train": 3, "valid": 2, "test": 4}
    _, rows = manifest(tmp_path / "prepared-unseen-voice-george-of-six/train")
    assert {row[2] for row in rows} == {"ann", "lucas"}


def test_a_take_is_in_one_split_and_strings_of_digits_are_joined_within_it(tmp_path, tool, monkeypatch):
    # The level of a recording is its split, so that a string shows which takes it was joined from.
    levels = {0: 0.2, 4: 0.2, 5: 0.4, 9: 0.4, 10: 0.8, 49: 0.8}
    names = {f"{digit}_ann_{take}.wav": level for digit, (take, level) in itertools.product(range(10), levels.items())}
    recordings(tmp_path / "spoken-digits-fsdd/fsdd_4_speakers.zip", names)
    counts = tool.prepare("spoken-digits", tmp_path, tmp_path)
    assert list(counts.values()) == [20, 20, 20]
    header, rows = manifest(tmp_path / "prepared-spoken-digits/valid")
    assert header == "clip:file,digit,speaker" and rows[0] == ["0000.wav", "0", "ann"] and rows[-1][1] == "9"

    monkeypatch.setattr(sys.modules["_sound"], "STRINGS", {"train": 3, "valid": 3, "test": 3})
    tool.prepare("spoken-digit-strings", tmp_path, tmp_path / "again")
    first = {path.name: path.read_bytes() for path in (tmp_path / "again").rglob("*.wav")}
    tool.prepare("spoken-digit-strings", tmp_path, tmp_path / "again")
    assert first == {path.name: path.read_bytes() for path in (tmp_path / "again").rglob("*.wav")}
    reader = Audio(features="waveform", rate=8_000, scale="none")
    for split, level in (("train", 0.8), ("valid", 0.4), ("test", 0.2)):
        folder = tmp_path / "again/prepared-spoken-digit-strings" / split
        for name, digits in manifest(folder)[1]:
            loud = reader.frames(folder / name).ravel()
            loud = loud[np.abs(loud) > 0.1]
            assert 3 <= len(digits) <= 7 and abs(len(loud) - 400 * len(digits)) < 3
            assert np.abs(loud - level).max() < 0.06


def test_yes_and_no_are_split_by_sorted_names(tmp_path, tool):
    names = ["_".join(signs) for signs in itertools.product("01", repeat=6)][:60]
    recordings(tmp_path / "yes-no-speech/waves_yesno.zip", {f"waves/{name}.wav": 0.5 for name in reversed(names)})
    assert list(tool.prepare("yes-no", tmp_path, tmp_path).values()) == [25, 6, 29]
    _, rows = manifest(tmp_path / "prepared-yes-no/test")
    assert rows[0][1] == " ".join("yes" if sign == "1" else "no" for sign in names[31].split("_"))


def test_training_has_parts_of_recordings_cut_at_their_pauses(tmp_path, tool):
    level, silence = {"0": 0.2, "1": 0.8}, np.zeros(2_000)
    path, names = tmp_path / "yes-no-speech/waves_yesno.zip", list(itertools.product("01", repeat=6))[:60]
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        for signs in names:
            words = [np.concatenate([np.full(1_600, level[sign]), silence]) for sign in signs]
            archive.writestr(f"waves/{'_'.join(signs)}.wav", wav(np.concatenate([silence, *words])))
    assert list(tool.prepare("yes-no", tmp_path, tmp_path).values()) == [25 * 5, 6 * 6, 29]
    for folder in (tmp_path / "prepared-yes-no/train", tmp_path / "prepared-yes-no/valid"):
        for file, words in manifest(folder)[1]:
            with wave.open(str(folder / file)) as sound:
                samples = np.frombuffer(sound.readframes(sound.getnframes()), "<i2") / 2**15
            begins = np.flatnonzero(np.diff(samples > 0.1, prepend=False))[::2]
            assert [{0.2: "no", 0.8: "yes"}[round(float(samples[place]), 1)] for place in begins] == words.split()


def test_an_utterance_is_scaled_by_itself_and_a_speaker_is_in_one_split(tmp_path, tool):
    folder, draw = tmp_path / "an4-speech", np.random.default_rng(0)
    folder.mkdir()
    lengths = np.array([7, 9] * 10)
    for name in ("train", "test"):
        frames = 5 + draw.standard_normal((lengths.sum(), 13)).astype(np.float32)
        np.savez(folder / f"{name}_mfcc.npz", frames=frames, lengths=lengths)
        lines = [f"an{place}\ts{place // 2:02}\tYES {'AB'[place % 2]}" for place in range(20)]
        (folder / f"{name}.tsv").write_text("\n".join(["id\tspeaker\twords", *lines]) + "\n")
    with pytest.raises(SystemExit, match="an4.dic: there is no such file"):
        tool.prepare("an4", tmp_path, tmp_path)
    for without, entries in (("B", "YES Y EH S\nA AH\nA(2) EY\n"), ("", "YES Y EH S\nA AH\nA(2) EY\nB B IY\nB(2) B\n")):
        (folder / "an4.dic").write_text(entries)
        if without:
            with pytest.raises(SystemExit, match="an4.dic: has no B, .*; fetch the file again"):
                tool.prepare("an4", tmp_path, tmp_path)
    assert list(tool.prepare("an4", tmp_path, tmp_path).values()) == [18, 2, 20]
    valid = listed(tmp_path / "prepared-an4", "valid")
    assert [row["words"] for row in valid] == ["YES A", "YES B"]
    assert [" ".join(row["phones"]) for row in valid] == ["Y EH S EY", "Y EH S B IY"]
    sound = np.array(valid[1]["sound"])
    assert sound.shape == (3, 117)
    every = sound.reshape(9, 39)
    assert np.abs(every.mean(0)).max() < 0.01 and np.abs(every.std(0) - 1).max() < 0.01
    slopes = (every[3:7, :13] - every[1:5, :13] + 2 * (every[4:8, :13] - every[:4, :13]))[:, 0]
    assert np.corrcoef(slopes, every[2:6, 13])[0, 1] > 0.999


def test_digits_by_pen_are_strokes_and_their_strings_lie_side_by_side(tmp_path, tool, monkeypatch):
    sound = sys.modules["_sound"]
    monkeypatch.setattr(sound, "PEN_STRINGS", {"train": 5, "valid": 5, "test": 5})
    monkeypatch.setattr(sound, "PEN_VALID", 10)
    (tmp_path / "pendigits-pen-strokes").mkdir()
    points = [47, 100, 27, 81, 57, 37, 26, 0, 0, 23, 56, 53, 100, 90, 40, 98]
    for part in ("tra", "tes"):
        lines = [",".join(map(str, [*points, digit % 10])) for digit in range(30)]
        (tmp_path / f"pendigits-pen-strokes/pendigits.{part}.csv").write_text("\n".join(lines) + "\n")
    assert list(tool.prepare("pendigits", tmp_path, tmp_path).values()) == [20, 10, 30]
    row = listed(tmp_path / "prepared-pendigits", "train")[3]
    steps = np.array(row["strokes"])
    assert row["digit"] == "3" and np.allclose(np.cumsum(steps[:, :2], 0).ravel(), points)
    assert steps[:, 2].tolist() == [0] * 7 + [1]
    tool.prepare("pendigit-strings", tmp_path, tmp_path)
    for row in listed(tmp_path / "prepared-pendigit-strings", "test"):
        steps = np.array(row["strokes"])
        assert steps[:, 2].sum() == len(row["digits"]) == len(steps) / 8
        across = np.cumsum(steps[:, 0]).reshape(-1, 8)
        gaps = across[1:].min(1) - across[:-1].max(1)
        assert ((gaps > 9.8) & (gaps < 40.2)).all()


def test_drawings_keep_their_split_and_a_missing_array_is_named(tmp_path, tool):
    (tmp_path / "kanji-pen-strokes").mkdir()
    path = tmp_path / "kanji-pen-strokes/short_kanji_strokes.npz"
    points = np.arange(15).reshape(5, 3)
    parts = {f"{side}_points": points for side in ("train", "valid", "test")}
    np.savez(path, **parts, **{f"{side}_lengths": np.array([2, 3]) for side in ("train", "valid", "test")})
    tool.prepare("kanji", tmp_path, tmp_path)
    assert listed(tmp_path / "prepared-kanji", "valid")[1] == {"drawing": points[2:].tolist()}
    np.savez(path, **parts)
    with pytest.raises(SystemExit, match="no array train_lengths in it; fetch the file again"):
        tool.prepare("kanji", tmp_path, tmp_path)
    with pytest.raises(SystemExit, match="there is no such file; --data-root"):
        tool.prepare("sheep", tmp_path, tmp_path)
