"""Recordings and drawings of unusual kinds: each is read, or the message names what is wrong and what to do."""

import io
import json
import re
import struct
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import ostinato
from ostinato import api
from ostinato.cli.main import group
from ostinato.modalities.audio import wav
from tests.modalities.test_audio import sound

RATE = 2000
TONE = 0.5 * np.sin(np.arange(600) / 3)
HEADER = wav(np.zeros(0), RATE)


def floats(samples, rate=RATE):
    """A wav file of 32-bit floats, which soundfile reads."""
    data = np.asarray(samples, "<f4").tobytes()
    form = struct.pack("<HHIIHH", 3, 1, rate, 4 * rate, 4, 32)
    return (
        b"RIFF"
        + struct.pack("<I", 36 + len(data))
        + b"WAVEfmt \x10\0\0\0"
        + form
        + b"data"
        + struct.pack("<I", len(data))
        + data
    )


def long_header():
    """The beginning of ten hours, which are refused before they are read."""
    return HEADER[:40] + struct.pack("<I", 2 * 36_000 * RATE) + bytes(100)


def test_ten_hours_are_refused_before_they_are_read_by_every_verb_that_holds_them(runs, tmp_path, monkeypatch):
    (tmp_path / "long.wav").write_bytes(long_header())
    (tmp_path / "good.wav").write_bytes(wav(TONE, RATE))
    (tmp_path / "manifest.csv").write_text("clip:file,said\n" + "good.wav,ab\n" * 20 + "long.wav,ab\n")
    (tmp_path / "paths.csv").write_text(f"clip,said\n{tmp_path}/good.wav,ab\n{tmp_path}/long.wav,ab\n")
    read = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: None if path.name == "long.wav" else read(path))
    message = "10.0 hours are too long for one example; cut the recording into parts of at most 2 hours"
    asks = [
        ["train", tmp_path, "--in", "clip:audio", "--out", "said:text", "--run", tmp_path / "run"],
        ["evaluate", runs / "sound", "--data", tmp_path],
        ["evaluate", runs / "sound", "--data", tmp_path / "paths.csv"],
        ["predict", runs / "sound", "--input", tmp_path],
    ]
    for ask in asks:
        shown = CliRunner().invoke(group, [*map(str, ask), "--device", "cpu"])
        assert isinstance(shown.exception, ostinato.errors.DataError), (ask, shown.output)
        place = r"paths.csv line 3" if "paths" in str(ask) else "manifest.csv line 22"
        assert re.search(rf"{place}.*inputs.clip: {message}", str(shown.exception)), shown.exception
    assert any("line 22: 'clip' cannot be read: 10.0 hours" in note for note in api.look(str(tmp_path)).notes)


def flac(samples):
    soundfile = pytest.importorskip("soundfile")
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format="FLAC")
    return file.getvalue()


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two of one epoch: letters of mono recordings, and labels of drawings."""
    folder = tmp_path_factory.mktemp("bad")
    clips = [{"clip": wav(TONE[: 300 + 30 * place], RATE), "said": "ab"} for place in range(6)]
    small = {"hidden_size": 4, "embedding_size": 4}
    ostinato.Model(
        {"clip": {"type": "audio", "bands": 8, "encoder": small}},
        {"said": {"type": "text", "tokenizer": "char", "align": "free", "head": "ctc"}},
        training={"epochs": 1},
    ).fit(clips, clips, device="cpu", folder=folder / "sound")
    drawings = [{"pen": [[0, 0, 0], [3, place, 1]], "label": "ab"[place % 2]} for place in range(6)]
    ostinato.Model({"pen": {"type": "strokes", "encoder": small}}, {"label": "category"}, training={"epochs": 1}).fit(
        drawings, drawings, device="cpu", folder=folder / "pen"
    )
    return folder


def asked(run, name, content, folder):
    (folder / name).write_bytes(content() if callable(content) else content)
    return CliRunner().invoke(group, ["predict", str(run), str(folder / name), "--device", "cpu"])


READ = {
    "silent": lambda: wav(np.zeros(600), RATE),
    "without samples": lambda: HEADER,
    "clipped": lambda: wav(np.sign(TONE), RATE),
    "24 bits": lambda: sound(TONE, width=3, rate=RATE),
    "stereo": lambda: wav(np.stack([TONE, TONE], 1), RATE),
    "another rate": lambda: wav(TONE, 3000),
    "1 MHz": lambda: wav(TONE, 1_000_000),
}


@pytest.mark.parametrize("kind", READ)
def test_unusual_recordings_are_read(kind, runs, tmp_path):
    shown = asked(runs / "sound", "clip.wav", READ[kind], tmp_path)
    assert shown.exit_code == 0, shown.exception


REFUSED = {
    "empty file": ("sound", "a.wav", b"", "the file is empty; write the recording again"),
    "NaN": (
        "sound",
        "a.wav",
        lambda: pytest.importorskip("soundfile") and floats([0, np.nan]),
        "sample 2 is no finite",
    ),
    "1 Hz": ("sound", "a.wav", lambda: wav(TONE, 1), "1 samples a second are none .* from 1,000 to 1,000,000"),
    "10 hours": ("sound", "a.wav", long_header, "10.0 hours are too long .* cut the"),
    "cut flac": ("sound", "a.flac", lambda: flac(TONE)[:60], "this is no whole recording"),
    "text": ("sound", "a.wav", b"hello, this is text\n" * 9, "no whole recording|soundfile is needed: pip"),
    "one point of InkML": ("pen", "a.inkml", b"<ink><trace>1 2</trace></ink>", "is one point, and a line has two"),
    "InkML without traces": ("pen", "a.inkml", b"<ink></ink>", "has no <trace> with a point"),
    "infinite offsets": ("pen", "a.npz", None, "point 2 has an offset that is infinite or missing; mend it"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_recording_or_drawing_is_named_with_its_row_and_column(kind, runs, tmp_path):
    run, name, content, message = REFUSED[kind]
    if content is None:
        file = io.BytesIO()
        np.savez(file, np.array([[0, 0, 0], [np.inf, 1, 1]]))
        content = file.getvalue()
    shown = asked(runs / run, name, content, tmp_path)
    assert shown.exit_code and isinstance(shown.exception, ostinato.errors.DataError), shown.output
    text = str(shown.exception)
    assert text.startswith(f"{tmp_path / name}, inputs.") and re.search(message, text), text


@pytest.mark.parametrize(
    ("texts", "place"),
    [
        (["[[0, 0"], "the argument '[[0, 0', inputs.pen: a drawing is a list of points as JSON"),
        (["[[0,0,0],[1,2,1]]", "[[1,2]]"], "argument 2, '[[1,2]]', inputs.pen: "),
        (["gone.npz"], "gone.npz, inputs.pen: there is no drawing 'gone.npz'"),
    ],
)
def test_an_argument_is_named_by_what_was_typed(texts, place, runs):
    shown = CliRunner().invoke(group, ["predict", str(runs / "pen"), *texts, "--device", "cpu"])
    assert str(shown.exception).startswith(place), shown.exception


def test_a_line_of_standard_input_that_cannot_be_read_is_counted(runs):
    lines = "[[0,0,0],[1,2,1]]\n[[0, 0\n"
    shown = CliRunner().invoke(group, ["predict", str(runs / "pen"), "--input", "-", "--device", "cpu"], input=lines)
    assert str(shown.exception).startswith("standard input line 2, inputs.pen: a drawing is a list of points")


def test_a_look_names_the_files_of_a_folder_that_are_damaged_or_hold_nothing(tmp_path):
    clips = {"good": wav(TONE, RATE), "bad": b"", "worse": b"", "silent": wav(np.zeros(600), RATE)}
    for name, content in clips.items():
        (tmp_path / f"{name}.wav").write_bytes(content)
    lines = ["clip:file,said", *(f"{name}.wav,{name}" for name in clips)]
    (tmp_path / "manifest.csv").write_text("\n".join(lines) + "\n")
    notes = api.look(str(tmp_path)).notes
    broken = (
        "manifest.csv line 3: 'clip' cannot be read: the file is empty; write the recording again (2 rows like this)"
    )
    assert [note.removeprefix(f"{tmp_path}/") for note in notes[:2]] == [
        broken,
        "manifest.csv line 5: 'clip' has no sound",
    ]
    (tmp_path / "paths.csv").write_text("\n".join(["clip,said", f"{tmp_path}/good.wav,a", "gone.wav,b"]) + "\n")
    look = api.look(str(tmp_path / "paths.csv"))
    assert not look.columns["clip"].lengths and "line 3: 'clip' cannot be read: there is no recording" in look.notes[0]


def test_training_says_which_recordings_are_mixed_or_resampled_also_from_the_cache(caplog):
    stereo = np.stack([TONE, TONE], 1)
    rows = [{"clip": wav(TONE, RATE), "said": "ab"} for _ in range(4)]
    rows += [{"clip": wav(stereo, rate), "said": "ab"} for rate in (RATE, RATE, 4000)]
    for _ in range(2):
        model = ostinato.Model(
            {"clip": {"type": "audio", "bands": 8, "encoder": {"hidden_size": 4}}},
            {"said": {"type": "text", "tokenizer": "char", "align": "free", "head": "ctc"}},
            training={"epochs": 1},
        )
        caplog.clear()
        with caplog.at_level("INFO", "ostinato"):
            model.fit(rows, rows[:2], device="cpu")
        said = caplog.text
        assert "row 5: inputs.clip: 2 channels are mixed into one; training recordings had 1 (2 rows like this)" in said
        assert "row 7: inputs.clip: 2 channels are mixed into one; training recordings had 1; 4,000 samples" in said


def test_json_names_the_files_of_recordings_in_place_of_their_bytes(runs, tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.wav").write_bytes(wav(TONE, RATE))
    path = str(tmp_path / "a.wav")
    for given, names in (([path], [path]), (["--input", str(tmp_path)], ["a.wav", "b.wav"])):
        shown = CliRunner().invoke(group, ["predict", str(runs / "sound"), *given, "--json", "--device", "cpu"])
        assert [json.loads(line)["inputs"] for line in shown.stdout.splitlines()] == [{"clip": name} for name in names]
    (known,) = api.predict(runs / "sound", rows=[{"clip": wav(TONE, RATE)}], device="cpu")
    assert known.to_json()["inputs"] == {"clip": "1,244 bytes"}


def test_a_list_standard_input_errors_and_embed_name_recordings_too(runs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in "ab":
        (tmp_path / f"{name}.wav").write_bytes(wav(TONE, RATE))
    (tmp_path / "list.txt").write_text("a.wav\nb.wav\n")
    (tmp_path / "manifest.csv").write_text("clip:file,said\na.wav,ab\nb.wav,ab\n")

    def invoke(verb, *words, **given):
        shown = CliRunner().invoke(group, [verb, str(runs / "sound"), *words, "--device", "cpu"], **given)
        assert shown.exit_code == 0, shown.exception
        return shown.stdout

    listed = invoke("predict", "--input", "list.txt", "--json").splitlines()
    assert [json.loads(line)["inputs"]["clip"] for line in listed] == ["a.wav", "b.wav"]
    piped = invoke("predict", "--input", "-", "--json", input="a.wav\nb.wav\n").splitlines()
    assert [json.loads(line)["inputs"]["clip"] for line in piped] == ["a.wav", "b.wav"]
    heard = invoke("predict", "-", "--json", input=wav(TONE, RATE)[44:])
    assert json.loads(heard)["inputs"] == {"clip": "-"}
    for words in (["--input", "list.txt"], ["--input", "."]):
        invoke("predict", *words, "--output", "answers.csv")
        assert [line.partition(",")[0] for line in Path("answers.csv").read_text().split()] == [
            "clip",
            "a.wav",
            "b.wav",
        ]
        assert [line.partition(",")[0] for line in invoke("embed", *words).split()] == ["clip", "a.wav", "b.wav"]
    rows = json.loads(invoke("errors", "--data", ".", "--json"))["rows"]
    assert {row["inputs"]["clip"] for row in rows} == {"a.wav", "b.wav"}
    invoke("errors", "--data", ".", "--output", "errors.csv")
    assert sorted(line.partition(",")[0] for line in Path("errors.csv").read_text().split()) == [
        "a.wav",
        "b.wav",
        "clip",
    ]
    assert "a.wav" in (shown := invoke("errors", "--data", ".")) and "RIFF" not in shown


def test_an_empty_line_in_place_of_a_recording_is_read_as_an_empty_one_and_that_is_said(runs, tmp_path):
    (tmp_path / "a.wav").write_bytes(wav(TONE, RATE))
    (tmp_path / "list.txt").write_text(f"{tmp_path}/a.wav\n\n{tmp_path}/a.wav\n")
    ask = ["predict", str(runs / "sound"), "--device", "cpu"]
    shown = CliRunner().invoke(group, [*ask, "--input", str(tmp_path / "list.txt")])
    assert shown.exit_code == 0, shown.exception
    first, empty, last = shown.stdout.split("\n")[:-1]
    assert first == last and CliRunner().invoke(group, [*ask, ""]).stdout == f"{empty}\n"
    (prediction,) = api.predict(runs / "sound", rows=[{"clip": ""}], device="cpu")
    assert prediction.best["said"].text == empty
    (tmp_path / "rows.csv").write_text(f"clip,said\n{tmp_path}/a.wav,ab\n,ab\n")
    notes = []
    report = api.evaluate(runs / "sound", data=str(tmp_path / "rows.csv"), device="cpu", say=notes.append)
    assert report.to_json()["examples"] == 2
    assert any("rows.csv line 3: inputs.clip: is missing, and read as an empty one" in note for note in notes), notes


def test_the_advice_on_what_changes_nothing_and_on_a_file_of_a_kind_that_is_not_made(runs, tmp_path):
    clip, line, table = str(tmp_path / "a.wav"), json.dumps([[0, 0, 0], [3, 4, 1]]), str(tmp_path / "x.csv")
    Path(clip).write_bytes(wav(TONE, RATE))

    def ask(run, given):
        words = ["predict", str(runs / run), *given, "--device", "cpu"]
        return CliRunner().invoke(group, words, input=wav(TONE, RATE)[44:])

    for run, given, said, then in (
        ("pen", [line, "--times"], "needs an output with a head that aligns its symbols, such as ctc", [line]),
        (
            "pen",
            [line, "--language-weight", "2"],
            "--language-weight is that of --language-model RUN; name one, or leave it out",
            [line],
        ),
        (
            "pen",
            [line, "--output", str(tmp_path / "x.mp3")],
            "this run's answers make no .mp3; give .csv, .jsonl, .parquet or .txt",
            [line, "--output", table],
        ),
        ("pen", [str(tmp_path)], "is a folder; give the path of one drawing in it", [line]),
        ("sound", ["-", clip], "- is the sound of standard input, and stands alone; leave the other texts out", ["-"]),
    ):
        shown = ask(run, given)
        assert shown.exit_code and said in f"{shown.output}{shown.exception}", (given, shown.output, shown.exception)
        assert ask(run, then).exit_code == 0
    assert not (tmp_path / "x.mp3").exists() and Path(table).exists()


def test_floats_are_read_with_soundfile(runs, tmp_path):
    pytest.importorskip("soundfile")
    whole, real = (asked(runs / "sound", "a.wav", content, tmp_path) for content in (wav(TONE, RATE), floats(TONE)))
    assert real.exit_code == 0 and real.stdout == whole.stdout


def test_a_drawing_of_one_point_is_read_as_a_list(runs):
    shown = CliRunner().invoke(group, ["predict", str(runs / "pen"), "[[0, 0, 1]]", "--device", "cpu"])
    assert shown.exit_code == 0 and shown.stdout.strip() in "ab"


def test_stereo_beside_mono_is_mixed_and_a_symbol_never_seen_is_counted_and_both_are_said(runs, tmp_path):
    rows = [{"clip": wav(np.stack([TONE, TONE], 1), RATE), "said": said} for said in ("azb", "ab", "zb y")]
    notes = []
    report = api.evaluate(runs / "sound", data=rows, device="cpu", say=notes.append).to_json()
    assert report["outputs"]["said"]["character_error_rate"]["value"] > 0
    said = "\n".join(notes)
    assert "row 1: inputs.clip: 2 channels are mixed into one; training recordings had 1 (3 rows like this)" in said
    assert "2 rows have a symbol of outputs.said that training lacks, which no answer has: 'azb', 'y', 'zb'" in said
    mono = [{"clip": wav(TONE, RATE), "said": "ab"}]
    notes.clear()
    api.evaluate(runs / "sound", data=mono, device="cpu", say=notes.append)
    assert not [note for note in notes if "channel" in note or "symbol" in note]


def test_silent_and_clipped_recordings_are_named_once_by_training_prediction_and_evaluation(runs, tmp_path, caplog):
    silent, clipped = wav(np.zeros(600), RATE), wav(np.sign(TONE), RATE)
    rows = [{"clip": clip, "said": "ab"} for clip in (wav(TONE, RATE), silent, clipped, silent)]
    expected = [
        "inputs.clip: has no sound (2 rows like this)",
        "inputs.clip: is clipped, louder than a file holds",
    ]
    for verb in (api.predict, api.evaluate):
        notes = []
        given = {"rows": [{"clip": row["clip"]} for row in rows]} if verb is api.predict else {"data": rows}
        answered = verb(runs / "sound", **given, device="cpu", say=notes.append)
        assert verb is api.evaluate or len(list(answered)) == 4
        said = [note for note in notes if "sound" in note or "clipped" in note]
        assert [note.partition(": ")[2] for note in said] == expected, notes
    model = ostinato.Model(
        {"clip": {"type": "audio", "bands": 8, "encoder": {"hidden_size": 4}}},
        {"said": {"type": "text", "tokenizer": "char", "align": "free", "head": "ctc"}},
        training={"epochs": 1},
    )
    with caplog.at_level("INFO", "ostinato"):
        model.fit(rows, rows[:1], device="cpu")
    assert all(caplog.text.count(line) == 1 for line in expected), caplog.text
    stereo = wav(np.zeros((600, 2)), RATE)
    notes = []
    list(api.predict(runs / "sound", rows=[{"clip": stereo}], device="cpu", say=notes.append))
    assert any("training recordings had 1; has no sound" in note for note in notes)
