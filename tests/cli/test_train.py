"""`ostinato train`: folders, resuming, interruption; what stands in a run folder is never lost by accident."""

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest


def weights(folder):
    return hashlib.sha256((folder / "weights.safetensors").read_bytes()).hexdigest()


def test_json_is_one_object_alone_and_the_run_can_be_used(here, cli):
    said = cli("train", "tiny.yaml", "--json")
    assert said.code == 0
    assert said.json["split"] == "test" and said.json["examples"] == 10 and said.json["run"] == "runs/tiny"
    assert "parameters" in said.err and "settings chosen for it" in said.err
    for name in (
        "bundle.json",
        "weights.safetensors",
        "recipe.yaml",
        "metrics.json",
        "README.md",
        "history.jsonl",
        "learning_curve.png",
        "checkpoints",
    ):
        assert (here / "runs/tiny" / name).exists()
    assert cli("evaluate", "runs/tiny", "--json").json == {
        name: said.json[name] for name in ("split", "examples", "outputs", "main")
    }
    # The run's recipe is a whole one: from the folder its paths are relative to, it trains the same model.
    shutil.copy(here / "runs/tiny/recipe.yaml", here / "again.yaml")
    cli("train", "again.yaml", "--out", "again")
    assert weights(here / "again") == weights(here / "runs/tiny")


def test_a_folder_with_a_run_needs_resume_or_overwrite(here, cli, refused):
    assert cli("train", "tiny.yaml", "--out", "run").code == 0
    before = weights(here / "run")
    refused("train", "tiny.yaml", "--out", "run", says=["run: holds a run already", "--resume", "--overwrite", "--out"])
    refused("train", "tiny.yaml", "--out", "run", "--resume", "--overwrite", says=["give one of them"])
    (here / "run" / "mine.txt").write_text("kept")
    refused("train", "tiny.yaml", "--out", "run", "--overwrite", "--set", "data.train=no.tsv", says=["no.tsv"])
    assert weights(here / "run") == before, "the old run goes only when the new one can begin"
    assert cli("train", "tiny.yaml", "--out", "run", "--overwrite", "--seed", "7").code == 0
    assert weights(here / "run") != before
    assert (here / "run" / "mine.txt").read_text() == "kept"


@pytest.mark.parametrize("option", [(), ("--resume",), ("--overwrite",)])
def test_a_folder_of_something_else_is_left_alone(here, refused, option):
    (here / "photos").mkdir()
    (here / "photos" / "one.jpg").write_text("precious")
    refused("train", "tiny.yaml", "--out", "photos", *option, says=["photos: exists and is no run", "--out"])
    assert [path.name for path in (here / "photos").iterdir()] == ["one.jpg"]
    refused("train", "tiny.yaml", "--out", "train.tsv", *option, says=["train.tsv"])


def test_the_advice_on_a_long_name_is_followed(here, cli, refused):
    says = ["the name is too long for this disk; choose a shorter one"]
    for option in ((), ("--resume",), ("--overwrite",)):
        refused("train", "tiny.yaml", "--out", "r" * 300, *option, says=says)
    assert cli("train", "tiny.yaml", "--out", "r" * 30).code == 0


def test_a_name_that_no_file_can_have_names_none(here, refused):
    name = "n" * 5000
    refused("train", name, says=[name, "no"])
    refused("train", name, "--in", "text", "--out", "label", says=[f"no file {name}"])
    refused("look", name, says=[f"no file {name}"])
    refused("predict", name, "text", says=[name])
    refused("import", name, says=[f"{name}: does not exist"])


def test_resume_where_nothing_stands_starts_and_on_a_finished_run_says_so(here, cli):
    (here / "run").mkdir()
    (here / "run" / ".bundle.json.17.partial").write_text("cut off by a kill before anything stood")
    assert cli("train", "tiny.yaml", "--out", "run", "--resume").code == 0
    before = weights(here / "run")
    said = cli("train", "tiny.yaml", "--out", "run", "--resume")
    assert said.code == 0 and "this run is finished (2 epochs); raise training.epochs" in said.err
    assert weights(here / "run") == before
    metrics = here / "run/metrics.json"
    whole, examples = metrics.read_text(), here / "examples.safetensors"
    # As a kill leaves it while baselines are measured.
    killed = json.loads(whole)
    assert killed["test"].pop("baselines") == {}
    metrics.write_text(json.dumps(killed))
    again = cli("train", "tiny.yaml", "--out", "run", "--resume", "--examples", examples)
    assert again.code == 0 and json.loads(metrics.read_text()) == json.loads(whole)
    written = examples.read_bytes()
    examples.unlink()
    assert cli("train", "tiny.yaml", "--out", "run", "--resume", "--examples", examples).code == 0
    assert examples.read_bytes() == written
    metrics.write_text('{"valid": 5}')
    assert "delete it, and `ostinato evaluate run`" in cli("train", "tiny.yaml", "--out", "run", "--resume").err
    metrics.unlink()
    assert cli("evaluate", "run").code == 0 and json.loads(metrics.read_text())["test"]["outputs"]


def test_a_finished_run_takes_up_another_search_and_is_measured_anew(here, cli):
    assert cli("train", "tiny.yaml", "--out", "run", "--set", "search=greedy").code == 0
    before = weights(here / "run")
    said = cli("train", "tiny.yaml", "--out", "run", "--resume", "--set", "search.max_length=1")
    assert said.code == 0 and "the search has changed" in said.err
    assert json.loads((here / "run/bundle.json").read_text())["recipe"]["search"]["max_length"] == 1
    assert weights(here / "run") == before
    assert {len(line.split()) for line in cli("predict", "run", "ein hund", "eine katze").out.splitlines()} <= {0, 1}


def test_resume_refuses_what_would_change_the_past_by_name_and_leaves_the_run_whole(here, cli, refused):
    assert cli("train", "tiny.yaml", "--out", "run").code == 0
    kept = {path.name: path.read_bytes() for path in (here / "run").iterdir() if path.is_file()}
    resume = ("train", "tiny.yaml", "--out", "run", "--resume", "--set")
    refused(
        *resume, "training.clip_norm=3", says=["training.clip_norm was 1.0, is 3", "--overwrite", "training.epochs"]
    )
    refused(*resume, "inputs.de.tokenizer=char", says=["inputs.de.tokenizer.type was 'word', is 'char'"])
    refused(*resume, "inputs.de.encoder.hidden_size=9", says=["inputs.de.encoder.hidden_size was 8, is 9"])
    refused("train", "tiny.yaml", "--out", "run", "--resume", "--seed", "5", says=["training.seed was 1, is 5"])
    assert {path.name: path.read_bytes() for path in (here / "run").iterdir() if path.is_file()} == kept
    free = ("training.epochs=3", "training.report_every=1", "training.checkpoint_seconds=5", "search=greedy")
    said = cli(*resume[:-1], *(word for one in free for word in ("--set", one)), "--device", "cpu")
    assert said.code == 0 and "trained 3 epochs" in said.err
    assert json.loads((here / "run/bundle.json").read_text())["recipe"]["training"]["epochs"] == 3


def test_resume_without_an_input_that_it_began_with_is_refused_by_its_name(here, cli, refused):
    (here / "rows.tsv").write_text(
        "x\tsize\ty\n" + "".join(f"{'ab'[at % 2]} c\t{at}\t{'ny'[at % 2]}\n" for at in range(40))
    )
    told = ("train", "rows.tsv", "--out", "y:category", "--set", "training.epochs=1", "--run", "run", "--device", "cpu")
    assert cli(*told, "--in", "x:text", "--in", "size:number").code == 0
    refused(*told, "--in", "x:text", "--resume", says=["inputs.size", "--overwrite"])


def test_resume_refuses_changed_data_and_takes_moved_data(here, cli, refused):
    assert cli("train", "tiny.yaml", "--out", "run").code == 0
    (here / "other").mkdir()
    for name in ("train.tsv", "valid.tsv", "test.tsv", "tiny.yaml"):
        shutil.move(here / name, here / "other" / name)
    assert "finished" in cli("train", "other/tiny.yaml", "--out", "run", "--resume").err
    with (here / "other/train.tsv").open("a") as file:
        file.write("ein\tone\n")
    says = ["data.train", "train.tsv", "is not what run was trained on", "bring the old file back", "--overwrite"]
    refused("train", "other/tiny.yaml", "--out", "run", "--resume", says=says)


def test_sizes_chosen_when_a_run_began_are_kept_when_it_goes_on(here, cli, monkeypatch):
    (here / "short.yaml").write_text(
        "data: {train: train.tsv}\ninputs: {de: {type: text, tokenizer: char, encoder: {hidden_size: 4}}}\n"
        "outputs: {en: {type: text, tokenizer: char, head: {decoder: {hidden_size: 4}}}}\nsearch: greedy\n"
        "training: {epochs: 1}\n"
    )
    assert cli("train", "short.yaml", "--out", "run").code == 0
    chosen = json.loads((here / "run/bundle.json").read_text())["recipe"]["training"]["batch_steps"]
    monkeypatch.setattr("ostinato.preprocessing.sizes.UPDATES_AN_EPOCH", 3)
    assert cli("train", "short.yaml", "--out", "run", "--resume", "--set", "training.epochs=2").code == 0
    assert json.loads((here / "run/bundle.json").read_text())["recipe"]["training"]["batch_steps"] == chosen


def test_ctrl_c_saves_names_the_command_that_goes_on_and_exits_130(here, cli, monkeypatch):
    from ostinato.training import progress

    assert cli("train", "tiny.yaml", "--out", "whole").code == 0
    seen = progress.Progress.event

    def interrupted(self, event):
        seen(self, event)
        if event.update == 3:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(progress.Progress, "event", interrupted)
        said = cli("train", "tiny.yaml", "--out", "the run", "--overwrite")
    assert said.code == 130 and said.out == ""
    assert "stopped after update 3" in said.err
    assert "\n  ostinato train tiny.yaml --out 'the run' --resume\n" in said.err
    used = cli("predict", "the run", "ein")
    assert used.code == 0 and "training of the run has not ended; its weights are those of update 3\n" in used.err
    assert cli("evaluate", "the run").code == 0 and not (here / "the run/metrics.json").exists()
    assert cli("train", "tiny.yaml", "--out", "the run", "--resume").code == 0
    assert weights(here / "the run") == weights(here / "whole")


def test_ctrl_c_before_training_exits_130_too(here, cli, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("ostinato.run.train.prepare", stop)
    said = cli("train", "tiny.yaml", "--out", "run")
    assert (said.code, said.out) == (130, "") and "Stopped." in said.err
    assert not (here / "run").exists()


@pytest.fixture(scope="module")
def forked():
    """Runs the command in a process of its own that dies at a moment (0: lives), and gives its exit status."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(Path(__file__).with_name("killed_run.py"))]
    nursery = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)

    def run(words, moment=0):
        nursery.stdin.write(json.dumps([words, moment]) + "\n")
        nursery.stdin.flush()
        return int(nursery.stdout.readline())

    yield run
    nursery.stdin.close()
    nursery.wait()
    nursery.stdout.close()


def killed_until_done(here, forked, latest):
    """Kills a run at random moments and resumes it until it ends; how often it was killed."""
    words = ["train", str(here / "tiny.yaml"), "--set", "training.checkpoint_seconds=1e-6", "--device", "cpu", "--out"]
    assert forked([*words, str(here / "whole")]) == 0
    draw, kills = random.Random(latest), 0
    while (code := forked([*words, str(here / "broken"), "--resume"], draw.randint(1, latest))) == -signal.SIGKILL:
        kills += 1
    assert code == 0
    assert weights(here / "broken") == weights(here / "whole")
    assert (here / "broken/metrics.json").read_text() == (here / "whole/metrics.json").read_text()
    return kills


def test_kill_minus_nine_and_resume_end_with_the_same_bits(here, forked):
    assert killed_until_done(here, forked, 60) >= 2


@pytest.mark.slow
@pytest.mark.parametrize("latest", [5, 17, 31])
def test_killed_again_and_again_ends_with_the_same_bits(here, forked, latest):
    # Far more than one checkpoint's writes lie between a start and the next checkpoint, so that each start gains
    # ground.
    assert killed_until_done(here, forked, 20 + latest) >= 5


def test_an_unwritable_place_is_told(here, refused):
    (here / "file").write_text("")
    refused("train", "tiny.yaml", "--out", "file/run", says=["file/run", "choose another"])


def test_a_device_that_is_not_there_is_told(here, refused):
    refused("train", "tiny.yaml", "--device", "toaster", says=["--device toaster", "allowed here: cpu"])
