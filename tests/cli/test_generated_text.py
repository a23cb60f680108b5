"""Generated text is text: line breaks are printed, prompts may hold them, the answer may go into a file."""

import json
from pathlib import Path

import pytest

import ostinato

LENGTH = ("--set", "search.max_length=6", "--device", "cpu")
SEARCH = ("--set", "search=greedy", *LENGTH)


@pytest.fixture(scope="module")
def run(tmp_path_factory, cache):
    """A run that writes lines of `a`, each after a tab."""
    rows = [{"text": "a\n\t" * 24}] * 8
    folder = tmp_path_factory.mktemp("lines") / "run"
    ostinato.Model(
        {"text": {"type": "text", "tokenizer": "char", "encoder": {"hidden_size": 16}}},
        {"more": {"of": "text", "align": "next", "type": "text", "tokenizer": "char"}},
        training={"epochs": 30, "batch_rows": 2, "optimizer": {"type": "adamw", "learning_rate": 0.02}},
    ).fit(rows, rows[:2], folder=folder, device="cpu")
    return folder


def test_line_breaks_are_printed_and_read_in_prompts(run, cli):
    assert cli("predict", run, r"a\n\t", *SEARCH).out == "a\n\ta\n\t\n"
    assert cli("predict", run, r"a\n\t", "--stream", *SEARCH).out == "a\n\ta\n\t\n"
    assert cli("predict", run, r"a\n\t", "--escape", *SEARCH).out == "a\\n\\ta\\n\\t\n"
    out = cli("predict", run, r"a\n\t", "--stream", "--escape", *SEARCH).out
    assert out == "a\\n\\ta\\n\\t\n"


def test_words_of_other_tools_are_answered_at_prediction_too(run, cli, refused):
    advised = {"temperature=0": "search=greedy", "num_beams=3": "search={type: beam, width: 3}"}
    for change, ours in advised.items():
        refused(
            "predict", run, "a", "--set", change, says=[f"'{change.split('=')[0]}' of other tools is --set '{ours}'"]
        )
        assert cli("predict", run, "a", "--set", ours, *LENGTH).code == 0
    with pytest.raises(ostinato.OstinatoError, match="rows: 5 is int; give a list of dicts"):
        ostinato.load(run).predict(5)


def test_each_line_of_a_file_gives_one_line_unless_asked_otherwise(run, tmp_path, monkeypatch, cli):
    monkeypatch.chdir(tmp_path)
    Path("prompts.txt").write_text("a\na\n")
    assert len(cli("predict", run, "--input", "prompts.txt", *SEARCH).out.splitlines()) == 2
    assert "\n\t" in cli("predict", run, "--input", "prompts.txt", "--no-escape", *SEARCH).out


def test_a_text_goes_into_a_file_as_it_is(run, tmp_path, monkeypatch, cli, refused):
    monkeypatch.chdir(tmp_path)
    done = cli("predict", run, r"a\n\t", "--output", "tune.txt", *SEARCH)
    assert (done.out, Path("tune.txt").read_text()) == ("", "a\n\ta\n\t\n") and "tune.txt" in done.err
    assert cli("predict", run, r"a\n\t", "--output", "tune.abc", *SEARCH).code == 0 and Path("tune.abc").exists()
    for name in ("tune.cvs", "tune.ods", "tune"):
        refused("predict", run, "a", "--output", name, *SEARCH, says=[name, ".csv, .jsonl, .parquet, or .txt"])
    for name, types in (
        ("tune.wav", "those of type audio, music or piano_roll do"),
        ("tune.mid", "music or piano_roll do"),
        ("a.svg", "strokes do"),
        ("a.flac", "answers make no .flac;"),
    ):
        refused("predict", run, "a", "--output", name, *SEARCH, says=[name, types, ".csv, .jsonl, .parquet or .txt"])
        assert not Path(name).exists()


def test_temperature_and_share_draw_and_zero_is_greedy(run, cli, refused):
    def answer(*words):
        (line,) = cli("predict", run, "a", "--json", *words, *LENGTH).out.splitlines()
        return json.loads(line)["outputs"]["more"][0]["value"]

    greedy = answer("--set", "search=greedy")
    assert answer("--temperature", "0") == answer("--temperature", "0.01") == answer("--top-p", "0") == greedy
    hot = answer("--temperature", "50", "--seed", "3")
    assert hot == answer("--set", "search=sample", "--set", "search.temperature=50", "--seed", "3") != greedy
    refused("predict", run, "a", "--temperature", "-1", says=["--temperature"])
    refused("predict", run, "a", "--top-p", "2", says=["--top-p"])


def test_python_prints_a_stream_as_it_is(run, capsys):
    model = ostinato.load(run, device="cpu")
    whole = model.stream("a\n\t", sets=["search=greedy", "search.max_length=6"])
    assert whole == capsys.readouterr().out == "a\n\ta\n\t"
