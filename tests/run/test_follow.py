"""Answers while a recording arrives: those of the whole recording."""

import io
import json
import re

import numpy as np
import pytest
from click.testing import CliRunner

import ostinato
from ostinato import api
from ostinato.cli.main import group
from ostinato.errors import ConfigError, DataError
from ostinato.modalities import _recording
from ostinato.modalities.audio import Audio, wav
from ostinato.run import follow

RATE = 2000


def spoken(letters, random):
    """A tone of its own for each letter, with rests between."""
    tones = {letter: np.sin(np.arange(240) * pitch) for letter, pitch in zip("abc", (0.5, 1.1, 2.0))}
    sounds = [np.zeros(100)]
    for letter in letters:
        sounds += [0.5 * tones[letter], np.zeros(random.integers(80, 200))]
    sound = np.concatenate(sounds)
    return sound + 0.01 * random.standard_normal(len(sound))


def rows(count, seed=0):
    random = np.random.default_rng(seed)
    texts = ["".join(random.choice(list("abc"), random.integers(1, 5))) for _ in range(count)]
    return [{"clip": wav(spoken(text, random), RATE), "said": text} for text in texts]


def model(bidirectional=False, head="ctc", epochs=6):
    inner = {"type": "recurrent", "cell": "gru", "hidden_size": 16, "embedding_size": 12}
    return ostinato.Model(
        inputs={
            "clip": {
                "type": "audio",
                "bands": 8,
                "encoder": {
                    "type": "subsampled",
                    "hidden_size": 12,
                    "encoder": {**inner, "bidirectional": bidirectional},
                },
            }
        },
        outputs={"said": {"type": "text", "tokenizer": "char", "align": "free", "head": head}},
        search={"type": "beam", "normalization": "none"},
        training={
            "epochs": epochs,
            "batch_rows": 10,
            "optimizer": {"type": "adam", "learning_rate": 0.04},
            "schedule": "constant",
        },
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("follow") / "run"
    model().fit(rows(60), rows(4, seed=1), device="cpu", folder=folder)
    return folder


def samples_of(row):
    return row["clip"][44:]


def in_pieces(content, sizes):
    file, sizes = io.BytesIO(content), iter(sizes)
    return lambda: file.read(next(sizes))


def test_what_is_answered_while_sound_arrives_is_the_answer_to_the_whole(run):
    random, path, texts = np.random.default_rng(3), ["search=greedy", "search.path=true"], []
    for row in rows(4, seed=2):
        (whole,) = api.predict(run, rows=[{"clip": row["clip"]}], sets=path, device="cpu")
        for sizes in ([10**6] * 9, random.integers(1, 999, 10**4)):
            pieces = []
            text = api.listen(run, in_pieces(samples_of(row), sizes), pieces.append, device="cpu")
            assert text == "".join(pieces) == whole.best["said"].text
        texts.append(pieces)
    assert any(len(pieces) > 1 for pieces in texts)


@pytest.mark.parametrize("search", ["beam", "greedy"])
def test_an_answer_may_be_as_long_as_the_steps_that_it_labels(run, search):
    text = "abcacb" * 10  # training has 4 letters at most; how many so small a net hears depends on the processor
    clip = wav(spoken(text, np.random.default_rng(3)), RATE)
    (prediction,) = api.predict(run, rows=[{"clip": clip}], sets=[f"search={search}"], device="cpu")
    assert 40 <= len(prediction.best["said"].text) <= len(text) + 3


def test_sound_on_standard_input_a_file_and_a_folder(run, tmp_path):
    row = rows(1, seed=5)[0]
    invoke = lambda *options, **given: CliRunner().invoke(group, ["predict", str(run), *options], **given)  # noqa: E731
    heard = invoke("-", input=samples_of(row))
    path = ["--set", "search=greedy", "--set", "search.path=true"]
    assert heard.exit_code == 0 and len(heard.stdout) > 2
    assert invoke("-", *path, input=samples_of(row)).stdout == heard.stdout
    assert "standard input is answered while it arrives: by search: {type: greedy, path: true} in place" in heard.stderr
    assert not invoke("-", *path, input=samples_of(row)).stderr
    (tmp_path / "clips").mkdir()
    for name in "ab":
        (tmp_path / "clips" / f"{name}.wav").write_bytes(row["clip"])
    assert invoke(str(tmp_path / "clips" / "a.wav"), *path).stdout == heard.stdout
    folder = invoke("--input", str(tmp_path / "clips"), *path)
    assert folder.stdout == heard.stdout * 2, folder.exception
    assert invoke("-", input=b"").stdout == "\n"


@pytest.mark.parametrize("options", [{"bidirectional": True}, {"head": {"decoder": {"hidden_size": 4}}}])
def test_what_is_not_causal_or_labels_no_steps_answers_after_the_end_and_the_advice_is_right(options, tmp_path):
    """The other tests follow it: head: ctc, and bidirectional: false, are what they train."""
    model(**options, epochs=1).fit(rows(10), rows(4), device="cpu", folder=tmp_path / "run")
    shown = CliRunner().invoke(group, ["predict", str(tmp_path / "run"), "-"], input=samples_of(rows(1)[0]))
    advice = "encoder of inputs.clip reads later steps before; bidirectional: false makes it causal"
    if "head" in options:
        advice = "head of outputs.said labels no steps of its input; head: ctc does"
    assert shown.exit_code == 0 and "after the whole recording: the " in shown.stderr
    with pytest.raises(ConfigError, match=f"answers after the whole input alone: the {advice}"):
        api.listen(tmp_path / "run", bytes, print, device="cpu")


@pytest.mark.parametrize("features", ["log_mel", "mfcc", "waveform"])
@pytest.mark.parametrize("count", [0, 30, 50, 1001])
def test_frames_that_arrive_are_those_of_the_whole(features, count):
    audio = Audio(features=features, rate=RATE, **({} if features == "waveform" else {"bands": 8}))
    audio.fit([wav(np.sin(np.arange(4000)), RATE)])
    content = wav(np.random.default_rng(0).uniform(-1, 1, count), RATE)[44:]
    whole = audio.encode(audio.arrived(content))
    for size in (1, 7, 64, 10**5):
        parts = list(audio.arriving(in_pieces(content, [size] * 9999)))
        assert np.allclose(np.concatenate([whole[:0], *parts]), whole, atol=1e-4)


def test_a_scale_of_the_whole_recording_is_refused():
    audio = Audio(rate=RATE, bands=8, scale="row")
    with pytest.raises(ConfigError, match="needs the whole recording; set scale: dataset"):
        list(audio.arriving(bytes))


def test_check_tells_the_look_ahead_in_steps_and_time(tmp_path):
    folder = tmp_path / "clips"
    folder.mkdir()
    for name, row in enumerate(rows(4)):
        (folder / f"{name}.wav").write_bytes(row["clip"])
    lines = ["clip:file,said", *(f"{name}.wav,ab" for name in range(4))]
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "recipe.yaml").write_text(
        f"data: {{train: {folder}, valid: {folder}}}\n"
        "inputs: {clip: {type: audio, bands: 8, encoder: {type: subsampled, encoder: {bidirectional: false}}}}\n"
        "outputs: {said: {type: text, align: free, head: ctc}}\n"
    )
    shown = CliRunner().invoke(group, ["check", str(tmp_path / "recipe.yaml")])
    assert "look-ahead of clip" in shown.stdout and "3 steps, 55 ms" in shown.stdout, shown.output


PATH = ["--set", "search=greedy", "--set", "search.path=true"]


def predicted(run, *options):
    return CliRunner().invoke(group, ["predict", str(run), *map(str, options), "--device", "cpu"])


@pytest.fixture
def clip(tmp_path):
    """A recording of many letters, in two channels."""
    sound = np.concatenate([spoken("abcacb", np.random.default_rng(seed)) for seed in range(12)])
    (tmp_path / "clip.wav").write_bytes(wav(np.stack([sound, sound], 1), RATE))
    return tmp_path / "clip.wav"


def test_a_long_recording_is_answered_while_it_is_read_in_every_form_as_the_whole_would_be(
    run, clip, monkeypatch, tmp_path
):
    """Plain, with times, as JSON, as a table, by a table of paths; the first row of each is short."""
    (tmp_path / "short.wav").write_bytes(wav(spoken("abc", np.random.default_rng(9)), RATE))
    (tmp_path / "table.csv").write_text("clip\nshort.wav\nclip.wav\n")
    (tmp_path / "clips").mkdir()
    for name in ("short", "clip"):
        (tmp_path / "clips" / f"{name}.wav").write_bytes((tmp_path / f"{name}.wav").read_bytes())
    (tmp_path / "clips" / "manifest.csv").write_text("clip:file\nshort.wav\nclip.wav\n")
    monkeypatch.chdir(tmp_path)
    forms = [
        ["clip.wav"],
        ["clip.wav", "--times"],
        ["short.wav", "clip.wav"],
        ["short.wav", "clip.wav", "--json", "--times"],
        ["--input", "table.csv"],
        ["--input", "clips", "--json"],
        ["--input", "table.csv", "--output", "answers.csv"],
    ]

    def answers():
        shown = [predicted(run, *form, *PATH) for form in forms]
        assert all(form.exit_code == 0 for form in shown), [form.exception for form in shown]
        return [form.stdout for form in shown[:-1]], (tmp_path / "answers.csv").read_text()

    whole, table = answers()
    assert len(whole[0]) > 10
    calls, followed = [], follow.followed
    monkeypatch.setattr(follow, "followed", lambda *given, **options: calls.append(1) or followed(*given, **options))
    monkeypatch.setattr(_recording, "BLOCK", 501)
    monkeypatch.setattr(_recording, "LONG", 2.0)
    along, along_table = answers()
    assert len(calls) == len(forms)
    assert along[:3] == whole[:3] and along[4] == whole[4]
    for place in (3, 5):
        own, others = ([json.loads(line) for line in texts[place].splitlines()] for texts in (along, whole))
        for one, other in zip(own, others, strict=True):
            (answer,), (expected,) = one["outputs"]["said"], other["outputs"]["said"]
            assert one["inputs"] == other["inputs"] and answer["value"] == expected["value"]
            assert answer["score"] == pytest.approx(expected["score"], abs=1e-3)
            assert answer.get("times") == expected.get("times")
        assert own[1]["outputs"]["said"][0]["log_probability"] is None
    cells = [[line.split(",")[:2] for line in text.splitlines()] for text in (table, along_table)]
    assert cells[0] == cells[1]


def test_a_long_recording_is_printed_while_it_is_read_and_another_search_is_the_advice(run, clip, monkeypatch):
    monkeypatch.setattr(_recording, "BLOCK", 501)
    monkeypatch.setattr(_recording, "LONG", 2)
    monkeypatch.setattr(follow, "TAIL", 2)
    pieces, notes = [], []
    text = api.stream(run, str(clip), pieces.append, device="cpu", say=notes.append)
    assert len(pieces) > 3 and "".join(pieces) == text
    assert notes == [
        f"note: {clip} is long, so it is answered while it is read: by search: {{type: greedy, path: true}} in place of"
        " the run's own"
    ]
    (loaded,) = api.loaded_runs(run, "cpu")
    monkeypatch.setattr(loaded.modalities["outputs.said"], "decode", lambda symbols: "-".join(map(str, symbols)))
    spelled = []
    assert api.stream(loaded, str(clip), spelled.append) == "".join(spelled) and "-" in spelled[-1]
    shown = predicted(run, clip)
    assert shown.stdout == f"{text}\n" and notes[0] in shown.stderr
    assert predicted(run, clip, "--json").exit_code == 0 and api.stream(run, str(clip), str, device="cpu") == text
    assert predicted(run, clip, *PATH).stdout == f"{text}\n"
    other = predicted(run, clip, "--set", "search.width=2")
    assert other.exit_code == 0 and "answered while" not in other.stderr
    monkeypatch.setattr(_recording, "LONGEST", 3)
    assert predicted(run, clip).stdout == f"{text}\n"


def test_what_is_too_long_says_why_it_is_not_answered_while_it_is_read_and_the_advice_is_right(
    run, clip, monkeypatch, tmp_path
):
    """What the messages advise is what the test before does: bidirectional: false, and nothing that needs the whole."""
    monkeypatch.setattr(_recording, "LONG", 2)
    model(bidirectional=True, epochs=1).fit(rows(10), rows(4), device="cpu", folder=tmp_path / "both")
    monkeypatch.setattr(_recording, "LONGEST", 3)
    message = r"too long for one example; cut the recording into parts of at most .* hours; it is not answered while it"
    advice = f"clip.wav, inputs.clip: .* {message} is read: the encoder .* bidirectional: false makes it causal"
    for options in ([], ["--json"]):
        shown = predicted(tmp_path / "both", clip, *options)
        assert isinstance(shown.exception, DataError) and re.search(advice, str(shown.exception)), shown.exception
    for options, why in (
        (
            ["--set", "search.width=3"],
            "another search, attention and a language model need the whole recording; leave them out",
        ),
        ([run], "several runs answer together"),
    ):
        order = [*options, clip] if options == [run] else [clip, *options]
        shown = predicted(run, *order)
        assert isinstance(shown.exception, DataError) and f"while it is read: {why}" in str(shown.exception)
