"""The command `sweep`: trained once and never again, the table printed and saved, mistakes told before anything is
trained."""

import json
import re

import pytest

from ostinato import api
from ostinato.errors import DataError
from ostinato.sweeps.sweep import Ended


@pytest.fixture(autouse=True)
def symbols(here):
    """Tokens in place of text: their metrics have quick intervals."""
    recipe = (here / "tiny.yaml").read_text().replace("type: text\n    tokenizer: word", "type: tokens")
    (here / "tiny.yaml").write_text(recipe.replace("search: {type: beam, width: 2}", "search: greedy"))


WORDS = ("sweep", "tiny.yaml", "--over", "inputs.de.encoder.cell=rnn,gru", "--set", "training.epochs=1", "--out", "all")


def test_the_same_sweep_twice_trains_and_judges_nothing_the_second_time(here, cli):
    said = cli(*WORDS, "--jobs", "2", "--device", "cpu")
    assert said.code == 0, said.err
    assert (
        "cell: gru - rnn" in said.out
        and "not between methods" in said.out
        and "2 parallel runs slow each other down" in said.out
    )
    assert "row by row" not in said.err, "what a run measures at its end is not decoded again"
    kept = {path: path.stat().st_mtime_ns for path in here.glob("all/*/*") if path.is_file()}
    again = cli(*WORDS, "--device", "cpu", "--json", "--html", "page.html")
    assert "2 of 2 runs are finished" in again.err and "row by row" not in again.err
    assert {path: path.stat().st_mtime_ns for path in here.glob("all/*/*") if path.is_file()} == kept
    report = again.json
    assert report == json.loads((here / "all/sweep.json").read_text())
    assert all(row["peak_memory"] > 1 << 24 and row["seconds_per_epoch"] > 0 for row in report["rows"])
    # The intervals of one seed are those of the run itself.
    own = json.loads((here / "all/cell-rnn_seed-1/metrics.json").read_text())["test"]["outputs"]["en"]
    told = report["rows"][0]["outputs"]["en"]
    assert list(told) == list(own)
    for name, one in own.items():
        assert [told[name][end] for end in ("value", "low", "high")] == pytest.approx(
            [one[end] for end in ("value", "low", "high")]
        ), name
    page = (here / "page.html").read_text()
    known = report["differences"][0]
    assert re.findall(r"<h2[^>]*>([^<]*)", page) == [
        *("Differences", "Pictures", "Values", "All differences", "Notes", "Commands")
    ]
    assert f"<td>{known['difference']:+.4g}" in page and page.count("<figure") == 2 and "page: page.html (" in again.err
    assert 'alt="None of the 1 differences is real' in page or 'alt="1 of 1 differences' in page
    assert re.search(r'alt="en: \w+ [\d.]+ at \d+ to \d+ steps and [\d.]+ at', page)
    text = (here / "all/sweep.md").read_text()
    assert "| rnn | 1 | 40 |" in text and "(quality_by_length.png)" in text and "ostinato train tiny.yaml --set" in text


def in_this_process(one, say):
    api.train(one.recipe, one.folder, resume=True, device="cpu")
    return Ended(0, "", None)


def test_a_longer_sweep_trains_only_what_is_new_and_a_changed_recipe_is_refused(here, cli, refused):
    began = []

    def start(one, say):
        began.append(one.name)
        return in_this_process(one, say)

    given = {"sets": ["training.epochs=1"], "device": "cpu", "start": start}
    api.sweep("tiny.yaml", ["data.fraction=0.5"], "all", **given)
    api.sweep("tiny.yaml", ["data.fraction=0.5,1"], "all", **given)
    assert began == ["fraction-0.5_seed-1", "fraction-1_seed-1"]
    report = json.loads((here / "all/sweep.json").read_text())
    assert [row["training_rows"] for row in report["rows"]] == [20, 40] and "quality_by_data.png" in report["pictures"]
    # Further epochs go on, whatever was finished.
    api.sweep("tiny.yaml", ["data.fraction=0.5"], "all", sets=["training.epochs=2"], device="cpu", start=start)
    assert began[2:] == ["fraction-0.5_seed-1"]
    words = (
        "sweep",
        "tiny.yaml",
        "--over",
        "data.fraction=0.5",
        "--set",
        "inputs.de.encoder.hidden_size=4",
        "--run",
        "all",
    )
    refused(*words, says=["hidden_size was 8, is 4", "--overwrite"])


def test_mistakes_are_told_before_anything_is_trained(here, refused):
    refused(*WORDS[:2], says=["--over"])
    refused(*WORDS[:2], "--over", "inputs.de.encoder.cell=rnn,grru", "--out", "all", says=["did you mean 'gru'"])
    refused(*WORDS[:2], "--over", "training.seed=1,2", says=["--seeds N"])
    refused("sweep", "none.yaml", "--over", "a=1", says=["there is no recipe none.yaml"])
    assert not (here / "all").exists()


def test_runs_that_fail_are_told_and_the_exit_status_is_2(here, cli, monkeypatch):
    monkeypatch.setattr(
        "ostinato.sweeps.sweep.process", lambda jobs: lambda one, say: Ended(2, "DataError: data.test: no file", None)
    )
    said = cli(*WORDS)
    assert said.code == 2 and "cell-gru_seed-1 failed: DataError: data.test: no file" in said.out, said
    assert "2 of 2 runs failed" in (here / "all/sweep.md").read_text()


def test_runs_whose_data_are_named_otherwise_are_measured_anew_or_refused(here, cli):
    began, heard = [], []

    def start(one, say):
        began.append(one.name)
        try:
            api.train(one.recipe, one.folder, resume=True, device="cpu", say=heard.append)
        except DataError as why:
            return Ended(2, str(why), None)
        return Ended(0, "", None)

    def swept(**sets):
        given = [f"data.{name}={value}" for name, value in sets.items()] + ["training.epochs=1"]
        return api.sweep("tiny.yaml", ["inputs.de.encoder.cell=gru"], "all", sets=given, device="cpu", start=start)

    first = swept().rows[0].outputs["en"]
    lines = (here / "test.tsv").read_text().splitlines()
    (here / "longer.tsv").write_text("\n".join([*lines, *(["neun\tone"] * 20)]) + "\n")
    swept()
    assert len(began) == 1
    assert swept(test="longer.tsv").rows[0].outputs["en"] != first
    assert len(began) == 2 and any("the data have other names" in line for line in heard)
    assert not any(line.startswith("trained") for line in heard[heard.index("measuring") + 1 :])
    swept(test="longer.tsv")
    assert len(began) == 2
    failed = swept(test="longer.tsv", valid="test.tsv").failed
    assert "data.valid: test.tsv is not what" in failed["cell-gru_seed-1"]
