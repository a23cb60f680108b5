"""`ostinato train --minutes`: what the clock decides is decided once, and the full recipe gives the same bits."""

import hashlib
import json
import re
import shutil
import signal
import time

import pytest

from ostinato.run import train as run_train
from ostinato.training.loop import Training


def weights(folder):
    return hashlib.sha256((folder / "weights.safetensors").read_bytes()).hexdigest()


def settings(folder):
    return json.loads((folder / "bundle.json").read_text())["recipe"]["training"]


@pytest.fixture
def slow(monkeypatch):
    """Makes an update seem to take so many seconds; updates are still measured, and must leave no trace."""

    def take(seconds):
        measured = Training.seconds_of_update
        monkeypatch.setattr(Training, "seconds_of_update", lambda *given: measured(*given) * 0 + seconds)

    return take


def test_the_full_recipe_gives_the_same_bits_without_minutes(here, cli, slow):
    slow(1.0)
    said = cli("train", "tiny.yaml", "--out", "run", "--minutes", "1", "--set", "training.epochs=50", "--verbose")
    assert said.code == 0, said.err
    assert "minutes are enough for" in said.err and "chosen: training.max_updates = " in said.err
    assert 4 < settings(here / "run")["max_updates"] < 200
    shutil.copy(here / "run/recipe.yaml", here / "again.yaml")
    slow(1e-9)
    assert cli("train", "again.yaml", "--out", "again").code == 0
    assert weights(here / "again") == weights(here / "run")
    assert settings(here / "again") == settings(here / "run")


def test_a_first_epoch_is_trained_where_it_is_not_much_longer_than_the_minutes(here, cli, slow, monkeypatch):
    slow(2.0)
    now = time.monotonic
    read = run_train._pace
    monkeypatch.setattr(
        run_train, "_pace", lambda *given: monkeypatch.setattr(time, "monotonic", lambda: now() + 60) or read(*given)
    )
    said = cli("train", "tiny.yaml", "--out", "run", "--minutes", "1")
    assert said.code == 0, said.err
    assert "note: 0 s of the minutes are left" in said.err and "about an epoch is trained all the same" in said.err
    training = settings(here / "run")
    assert 3 <= min(4 * training["epochs"], training["max_updates"] or 4) <= 5


def test_measuring_changes_no_bit_where_all_fits(here, cli):
    assert cli("train", "tiny.yaml", "--out", "run", "--minutes", "9").code == 0
    training = settings(here / "run")
    assert training["epochs"] == 2 and training["max_updates"] is None
    shutil.copy(here / "run/recipe.yaml", here / "again.yaml")
    assert cli("train", "again.yaml", "--out", "again").code == 0
    assert weights(here / "again") == weights(here / "run")


def test_a_budget_below_one_epoch_trains_a_part_of_it_and_says_so(here, cli, slow):
    slow(17.0)
    said = cli("train", "tiny.yaml", "--out", "run", "--minutes", "1")
    assert said.code == 0, said.err
    assert "the minutes are too few for an epoch: 2 of its 4 updates are made; " in said.err
    assert re.search(r"; \d\d s of the minutes are left, .*, and an epoch takes about [67]\d s", said.err)
    training = settings(here / "run")
    assert training["max_updates"] == 2
    assert "trained 1 epoch, 2 updates" in said.err
    shutil.copy(here / "run/recipe.yaml", here / "again.yaml")
    assert cli("train", "again.yaml", "--out", "again").code == 0
    assert weights(here / "again") == weights(here / "run")


def test_a_stopped_run_is_resumed_as_it_was_decided_and_ends_with_the_same_bits(here, cli, slow, monkeypatch):
    from ostinato.training import progress

    slow(1.0)
    words = ("train", "tiny.yaml", "--minutes", "1", "--set", "training.epochs=50", "--out")
    assert cli(*words, "whole").code == 0
    seen = progress.Progress.event

    def interrupted(self, event):
        seen(self, event)
        if event.update == 6:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(progress.Progress, "event", interrupted)
        assert cli(*words, "run").code == 130
    slow(1e-9)
    said = cli(*words, "run", "--resume")
    assert said.code == 0, said.err
    assert "--resume keeps what was decided when the run began" in said.err
    assert settings(here / "run")["max_updates"] < 200
    if settings(here / "run") == settings(here / "whole"):  # the evaluation is measured anew in each run
        assert weights(here / "run") == weights(here / "whole")
    shutil.copy(here / "run/recipe.yaml", here / "again.yaml")
    assert cli("train", "again.yaml", "--out", "again").code == 0
    assert weights(here / "again") == weights(here / "run")


@pytest.mark.parametrize("minutes", ["0", "-1", "many"])
def test_minutes_are_a_number_above_0(here, refused, minutes):
    refused("train", "tiny.yaml", "--minutes", minutes, says=["--minutes"])


def test_python_takes_minutes_too(here):
    import ostinato

    rows = [{"x": word, "y": word[0]} for word in ("ab", "ba", "bb", "aab", "bba") * 6]
    model = ostinato.Model(inputs={"x": {"type": "text", "tokenizer": "char"}}, outputs={"y": "category"})
    heard = []
    model.fit(rows, folder=here / "run", device="cpu", minutes=0.02, on_event=heard.append)
    assert heard and settings(here / "run")["epochs"] >= 1


def test_effort_prints_a_table_of_what_was_tried_and_keeps_it(here, cli, refused):
    said = cli("train", "tiny.yaml", "--out", "run", "--effort", "2", "--minutes", "9")
    assert said.code == 0, said.err
    tried = json.loads((here / "run/effort.json").read_text())["trials"]
    head, *rows = said.out.splitlines()[: len(tried) + 1]
    assert head.split()[:2] == ["candidate", "loss"] and "weight" in head
    assert [row.split()[0] for row in rows] == [trial["candidate"] for trial in tried]
    assert sum(not trial["of"] for trial in tried) == 4
    assert "effort 2, 9 minutes; on the validation split loss" in said.out
    assert "of test" in said.out.splitlines()[-2] or "next: ostinato predict run" in said.out
    again = cli("train", "tiny.yaml", "--out", "run", "--effort", "2", "--resume", "--json")
    assert again.json["effort"]["trials"] == tried and again.json["outputs"]["en"]
    assert cli("predict", "run", "ein zwei").code == 0
    assert cli("compare", "run", "run").code == 0
    refused("train", "tiny.yaml", "--out", "run", "--effort", "6", says=["--effort", "1<=x<=5"])
    assert "--effort" in cli("train", "--help").out
