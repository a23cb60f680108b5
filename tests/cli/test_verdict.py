"""The end of `ostinato train`: epochs in lines, a verdict in words, and a command to try next that works."""

import random
import shlex
from types import SimpleNamespace

import numpy as np
import pytest

from ostinato.evaluation.intervals import Compared, Measured
from ostinato.evaluation.report import Report
from ostinato.evaluation.verdict import _beside, _more_updates, _overfitting, _Result, verdict
from ostinato.metrics.contract import Predictions
from ostinato.recipe.read import from_arguments
from ostinato.registry import component
from ostinato.training.curve import Curve


@pytest.fixture
def table(here):
    """Texts of one of two alphabets whose label is a rule, or chance."""

    def write(name, rows, label):
        draw = random.Random(name)
        texts = ["".join(draw.choices(draw.choice(["abcd", "efgh"]), k=6)) for _ in range(rows)]
        lines = "".join(f"{text},{label(text, draw)}\n" for text in texts)
        (here / f"{name}.csv").write_text("text,label\n" + lines)

    return write


def by_rule(text, draw):
    return "ab" if text[0] in "abcd" else "other"


def by_chance(text, draw):
    return draw.choice(["ab", "other"])


COLUMNS = ("--in", "text:text", "--out", "label:category", "--set", "inputs.text.tokenizer=char")
SMALL = ("--set", "inputs.text.encoder.hidden_size=8", "--set", "training.batch_rows=20")


def following(said):
    return next(line for line in said.out.splitlines() if line.startswith("next: ")).removeprefix("next: ")


def test_each_epoch_is_a_line_with_both_losses_and_the_metric(here, cli, table):
    table("rule", 200, by_rule)
    said = cli("train", "rule.csv", *COLUMNS, *SMALL, "--set", "training.epochs=3", "--run", "run", "--verbose")
    assert said.code == 0, said.err
    lines = dict.fromkeys(line for line in said.err.splitlines() if line.startswith("epoch ") and "valid loss" in line)
    lines = list(lines)
    assert len(lines) == 3 and all("train loss" in line and "accuracy" in line for line in lines)
    assert lines[0].endswith("* best")


def test_a_run_that_is_still_learning_gets_more_epochs_and_the_command_works(here, cli, table):
    table("rule", 200, by_rule)
    said = cli("train", "rule.csv", *COLUMNS, *SMALL, "--set", "training.epochs=2", "--run", "run")
    assert "underfitting: the validation loss was still falling" in said.out
    command = following(said)
    assert "--resume" in command and "training.epochs=4" in command
    again = cli(*shlex.split(command)[1:])
    assert again.code == 0 and "trained 4 epochs" in again.err


@pytest.mark.parametrize(("epochs", "says"), [(1, "one epoch shows"), (2, "2 validations show")])
def test_few_epochs_show_no_course_and_get_more_as_the_advice_says(here, cli, table, epochs, says):
    table("chance", 60, by_chance)
    still = ("--set", f"training.epochs={epochs}", "--set", "training.optimizer.learning_rate=1e-9")
    said = cli("train", "chance.csv", *COLUMNS, *SMALL, *still, "--run", "run")
    assert f"{says} neither over- nor underfitting" in said.out and "settled" not in said.out
    command = following(said)
    assert f"training.epochs={2 * epochs}" in command and "--resume" in command
    assert cli(*shlex.split(command)[1:]).code == 0


def test_what_was_solved_for_has_no_course_of_training(here, cli, table):
    table("chance", 60, by_chance)
    said = cli("train", "chance.csv", *COLUMNS, "--set", "inputs.text.encoder=ngrams", "--run", "run")
    assert said.code == 0 and "all weights were solved for" in said.err
    assert not any(word in said.out + said.err for word in ("settled", "fitting", "trained 0", "first update"))
    assert following(said).startswith("ostinato predict run ")


@pytest.mark.parametrize(
    ("first", "second", "better", "higher", "says"),
    [
        (0.5, 0.5, None, True, "as good as the baseline, naive (0.5)"),
        (0.3458, 0.34580001, "first", False, "as good as"),
        (1.5, 1.0, None, False, "ahead of the baseline, naive (1.5): -0.5 [-1, 1], paired, 95 %, may be chance"),
        (1.5, 1.0, None, True, "not better than the baseline"),
        (1.5, 1.0, "second", False, "better than the baseline"),
        (1.5, 1.0, "first", True, "worse than the baseline"),
    ],
)
def test_a_difference_is_put_in_words_that_its_sign_and_interval_bear_out(first, second, better, higher, says):
    compared = Compared(first, second, second - first, -1, 1, 0.5, better is not None, better, "bootstrap")
    assert _beside("naive", compared, higher).startswith(says)


def test_an_interval_without_zero_that_proves_nothing_says_why():
    compared = Compared(22.4, 13.9, -8.5, -12.9, -3.7, 0.25, False, None, "block bootstrap")
    said = _beside("naive", compared, False)
    assert said.endswith("[-12.9, -3.7], paired, 95 %, may be chance, since few examples, or blocks of them, show it")


def test_where_nothing_is_left_to_improve_nothing_is_advised(here, cli, table):
    table("rule", 200, by_rule)
    said = cli("train", "rule.csv", *COLUMNS, *SMALL, "--set", "training.epochs=6", "--run", "run")
    assert "as good as the baseline" in said.out and "no row of these is left to improve" in said.out
    assert following(said).startswith("ostinato predict run ")


@pytest.mark.parametrize("metric", ["bleu", "chrf", "rouge"])
@pytest.mark.parametrize("perfect", [True, False])
def test_answers_that_are_all_right_leave_nothing_to_improve_whatever_the_metric(metric, perfect):
    output = from_arguments({"x": "text"}, {"y": {"type": "text", "metrics": [metric]}}).settings.outputs["y"]
    right = ["the cat sat on the mat today", "a dog ran along the river"]
    said = [right[0], right[1] if perfect else "a dog"]
    kind = component("metrics", metric)()
    value = kind.value(np.sum(kind.statistics(Predictions(predicted=said, expected=right)), axis=0))
    run = SimpleNamespace(outputs={"y": output}, bundle=SimpleNamespace(members=[]))
    report = Report("test", 50, {"y": {metric: Measured(value, value, value, "bootstrap")}})
    assert bool(_Result.of(run, "y", report).perfect) == perfect


def test_a_run_that_learns_by_heart_gets_more_dropout_and_may_be_as_good_as_the_baseline(here, cli, table):
    table("chance", 120, by_chance)
    fast = ("--set", "training.optimizer.learning_rate=0.02", "--set", "training.epochs=40")
    said = cli("train", "chance.csv", *COLUMNS, *SMALL, *fast, "--set", "training.patience=6", "--run", "run")
    assert "stopped early: no better for 6 epochs (best: epoch" in said.err
    assert "overfitting after epoch" in said.out
    assert "ahead of the baseline, majority class (75): +8.333" in said.out and "may be chance" in said.out
    command = following(said)
    assert "--run run-2" in command and "inputs.text.encoder.dropout=0.5" in command
    assert cli(*shlex.split(command)[1:]).code == 0
    assert (here / "run-2/weights.safetensors").is_file()


def test_first_weights_that_are_better_than_all_that_follow_are_called_so():
    curve = Curve(
        [
            {"event": "start", "epoch": 0, "valid.loss": -0.2426, "best": True},
            {"event": "epoch", "epoch": 1, "train.loss": -0.1613, "valid.loss": -0.1418, "best": False},
            {"event": "epoch", "epoch": 2, "train.loss": -0.2822, "valid.loss": 0.0387, "best": False},
        ],
        "epochs",
        0,
        0,
        False,
    )
    assert curve.overfitted()
    says = "overfitting from the first update on: until epoch 2 the validation loss rose from -0.2426 to 0.0387"
    assert _overfitting(curve) == says


def test_a_validation_loss_that_settled_while_rows_were_learnt_by_heart_gets_more_dropout():
    events = [
        {"event": "epoch", "epoch": epoch, "update": epoch, "train.loss": train, "valid.loss": valid, "best": epoch < 2}
        for epoch, train, valid in ((1, 0.57, 0.348), (2, 0.36, 0.352), (3, 0.19, 0.355))
    ]
    recipe = from_arguments(
        {"x": {"type": "text", "encoder": {"type": "recurrent", "dropout": 0.3}}}, {"y": "category"}
    )
    outputs = recipe.settings.outputs
    run = SimpleNamespace(outputs=outputs, bundle=SimpleNamespace(members=[]), recipe=recipe)
    compared = Compared(85.0, 83.0, -2, -6, 2, 0.5, False, None, "bootstrap")
    report = Report("test", 50, {"y": {"accuracy": Measured(83.0, 76.0, 88.0, "wilson")}})
    report.compared["y"] = {"n-gram logistic regression": compared}
    said = verdict(run, report, Curve(events, "patience", 1, 1, False))
    assert said.lines[-1] == (
        "the validation loss had settled after epoch 1, while the training loss fell from 0.5700 to 0.1900: later"
        " epochs learnt the training rows by heart"
    )
    assert said.sets == ["inputs.x.encoder.dropout=0.5"]


@pytest.mark.parametrize(
    ("epochs", "ended_in", "sets"),
    [
        (20, 1, ["training.max_updates=80"]),
        (20, 10, ["training.max_updates=80"]),
        (20, 10.5, ["training.epochs=22", "training.max_updates=80"]),
        (1, 1, ["training.epochs=2", "training.max_updates=80"]),
    ],
)
def test_more_updates_bring_more_epochs_only_where_these_would_end_before(epochs, ended_in, sets):
    training = from_arguments(
        {"x": "text"}, {"y": "category"}, training={"epochs": epochs, "max_updates": 40}
    ).settings.training
    curve = Curve([{"epoch": ended_in, "update": 40}], "updates", 1, 1, False)
    assert _more_updates(training, curve) == sets


def test_a_run_cut_by_its_updates_gets_more_of_them_and_the_command_works(here, cli, table):
    table("rule", 200, by_rule)
    said = cli("train", "rule.csv", *COLUMNS, *SMALL, "--set", "training.max_updates=4", "--run", "run")
    command = following(said)
    assert "training.max_updates=8" in command and "training.epochs" not in command and "--run run-2" in command
    again = cli(*shlex.split(command)[1:])
    assert again.code == 0 and "8 updates" in again.err


def test_json_carries_the_same(here, cli, table):
    table("rule", 200, by_rule)
    said = cli("train", "rule.csv", *COLUMNS, *SMALL, "--set", "training.epochs=2", "--run", "run", "--json")
    told = said.json
    assert [epoch["epoch"] for epoch in told["training"]["epochs"]] == [1, 2]
    assert told["training"]["ended"] == "epochs" and told["training"]["kept"] == 2
    assert told["verdict"][0].startswith("accuracy ") and told["next"].startswith("ostinato train rule.csv")
    (compared,) = [by_name for name, by_name in told["compared"]["label"].items() if "logistic" in name]
    assert compared["difference"] == pytest.approx(compared["second"] - compared["first"])


def test_rows_of_test_that_training_has_are_counted(here, cli, table):
    table("rule", 60, by_rule)
    table("test", 30, by_rule)
    both = (here / "test.csv").read_text() + "".join((here / "rule.csv").read_text().splitlines(True)[1:5])
    (here / "test.csv").write_text(both)
    sets = ("--set", "training.epochs=1", "--set", "data.test=test.csv")
    said = cli("train", "rule.csv", *COLUMNS, *SMALL, *sets, "--run", "run")
    assert "test: 4 of 34 rows have the same inputs as a training row" in said.out


def test_a_test_of_another_kind_disagrees_with_validation_by_more_than_chance(here, cli, table):
    table("rule", 300, by_rule)
    table("test", 200, lambda text, draw: by_rule("ae"[text[0] in "abcd"], draw))
    sets = ("--set", "training.epochs=6", "--set", "data.test=test.csv")
    fast = ("--set", "training.optimizer.learning_rate=0.02")
    said = cli("train", "rule.csv", *COLUMNS, *SMALL, *sets, *fast, "--run", "run")
    assert "label: valid and test disagree by more than chance, accuracy" in said.out
    (here / "test.csv").write_text((here / "rule.csv").read_text())
    same = cli("train", "rule.csv", *COLUMNS, *SMALL, *sets, *fast, "--run", "same")
    assert "disagree" not in same.out


def test_of_one_validation_nothing_is_said_to_have_fallen(here, cli, table):
    table("chance", 60, by_chance)
    said = cli("train", "chance.csv", *COLUMNS, *SMALL, "--set", "training.max_updates=1", "--run", "run")
    assert said.code == 0 and "falling" not in said.out and "training ended with its updates" in said.out
    assert "training.max_updates=2" in following(said)


def test_a_run_that_its_minutes_ended_gets_more_of_them(here, cli, table, monkeypatch):
    from ostinato.training.loop import Training

    table("chance", 120, by_chance)
    monkeypatch.setattr(Training, "seconds_of_update", lambda *_: 3.0)
    patient = ("--set", "training.patience=100")
    said = cli("train", "chance.csv", *COLUMNS, *SMALL, *patient, "--minutes", "1", "--run", "run")
    assert said.code == 0, said.err
    assert "training ended with its updates" in said.out or "still falling" in said.out
    command = following(said)
    assert "--minutes 2.0" in command and "--run run-2" in command
    assert cli(*shlex.split(command)[1:]).code == 0
