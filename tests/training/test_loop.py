"""The loop: its laws, its options, how it ends and what it says."""

import json
import re
import sys
import threading
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ostinato.errors import ConfigError, DataError
from ostinato.heads.contract import Loss
from ostinato.registry import derive
from ostinato.training import loop
from ostinato.training.checkpoints import model_tensors
from ostinato.training.curve import Curve
from ostinato.training.loop import Training
from ostinato.training.repeatable import prepare
from ostinato.training.task import Listeners
from tests.training.toy_run import Data, Toy, digest, facts, task, toy, training


def trained(folder, *, model=None, data=None, validate=None, fetch=None, listeners=None, **options):
    one = task(model=model or toy(), data=data, validate=validate, facts=facts(options), fetch=fetch)
    outcome = training(**options).run(one, folder, listeners)
    return one.model, outcome


@pytest.mark.parametrize("outputs", [("next",), ("next", "odd")])
def test_k_batches_accumulated_give_the_update_of_one_batch_k_times_as_large(tmp_path, outputs):
    """Law l. The batches hold different numbers of real targets, and of each output's, so that a mean of means would
    differ."""
    data = Data(batch_rows=2)
    whole, parts = Toy(outputs, 0.0), Toy(outputs, 0.0)
    parts.load_state_dict(whole.state_dict())
    data.epoch = lambda number: [np.arange(8)]
    common = {"epochs": 1, "clip_norm": None, "optimizer": {"type": "sgd", "learning_rate": 1.0}, "keep_best": False}
    trained(tmp_path / "1", model=whole, data=data, **common)
    data.epoch = lambda number: np.split(np.arange(8), 4)
    trained(tmp_path / "4", model=parts, data=data, accumulate=4, **common)
    for name, weight in whole.named_parameters():
        other = dict(parts.named_parameters())[name]
        assert (weight - other).abs().max() <= 1e-6 * weight.abs().max(), name


def test_the_loss_is_the_sum_over_real_targets_divided_by_their_number_weighted_by_output(tmp_path):
    data, told = Data(), []
    model = Toy(("next", "odd"), 0.0)
    model.weights = {"next": 2.0, "odd": 0.5}
    with torch.no_grad():
        losses = model.losses(data.fetch(data.epoch(0)[0]))
    trained(tmp_path, model=model, data=data, listeners=Listeners(progress=told.append), epochs=1)
    expected = sum(model.weights[name] * (loss.total / loss.count).item() for name, loss in losses.items())
    assert told[0].loss == pytest.approx(expected, rel=1e-6)


def test_an_update_without_a_real_target_moves_nothing(tmp_path):
    data = Data()
    data.targets[:] = -1
    model = toy()
    before = digest_of_weights(model)
    trained(tmp_path, model=model, data=data, epochs=1, validate=lambda model: {"loss": 1.0, "next.right": 0.0})
    assert digest_of_weights(model) == before


def digest_of_weights(model):
    return [weight.tolist() for weight in model.parameters()]


def test_training_lowers_the_loss_and_finds_the_rule(tmp_path):
    model, outcome = trained(
        tmp_path, model=toy(dropout=0.0), epochs=40, optimizer={"type": "adamw", "learning_rate": 0.03}
    )
    assert outcome.best["loss"] < 0.05 and outcome.ended == "epochs"


OTHER = {
    "epochs": 4, "max_updates": 25, "accumulate": 2, "optimizer": "sgd", "schedule": "constant", "clip_norm": None,
    "clip_value": 1e-3, "average_decay": 0.9, "average_last": 2, "seed": 2, "precision": "bfloat16",
}  # fmt: skip
JUDGED = {"validate_every": 2, "monitor": "next.right", "patience": 1, "keep_best": False}
"""Tried where the second epoch is the best by loss (for patience the last), the first by `next.right`."""
ELSEWHERE = {
    "batch_steps": "how Batches is built", "batch_rows": "how Batches is built", "max_steps": "which rows are left in",
    "tbptt": "test_tbptt", "keep_checkpoints": "preprocessing/test_passages",
    "freeze": "run/test_transfer", "unfreeze_every": "run/test_transfer", "layer_factor": "run/test_transfer",
    "checkpoint_seconds": "test_resume", "least_gain": "below", "report_every": "below", "tensorboard": "below",
}  # fmt: skip


def test_every_option_is_covered_here_or_elsewhere():
    assert set(derive(Training, {}).model_fields) == set(OTHER) | set(JUDGED) | set(ELSEWHERE)


@pytest.fixture(scope="module")
def default(tmp_path_factory):
    return digest(trained(tmp_path_factory.mktemp("default"), epochs=3)[0])


@pytest.mark.parametrize("option", OTHER)
def test_every_option_changes_the_weights(tmp_path, option, default):
    assert digest(trained(tmp_path, **{"epochs": 3, option: OTHER[option]})[0]) != default


@pytest.mark.parametrize("option", JUDGED)
def test_every_option_about_validation_changes_the_weights(tmp_path, option):
    last = 0.5 if option == "patience" else 1.5

    def judge():
        said = iter([(2.0, 0.9), (1.0, 0.2), (3.0, 0.1), (last, 0.3)])
        return lambda model: dict(zip(("loss", "next.right"), next(said)))

    default = digest(trained(tmp_path / "default", epochs=4, validate=judge())[0])
    assert digest(trained(tmp_path / "other", epochs=4, validate=judge(), **{option: JUDGED[option]})[0]) != default


def test_two_runs_are_equal_to_the_bit_and_validation_that_draws_at_random_disturbs_nothing(tmp_path, default):
    def validate(model):
        torch.rand(100)
        return {"loss": -float(model.num_batches), "next.right": 0.0}

    assert digest(trained(tmp_path, epochs=3, validate=validate)[0]) == default


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"batch_steps": 10, "batch_rows": 2}, "batch_steps and batch_rows"),
        ({"average_decay": 0.9, "average_last": 2}, "average_decay and average_last"),
        ({"average_last": 2, "validate_every": 0.5}, "validates within epochs, and average_last"),
        ({"monitor": "next.right", "keep_best": False}, "would decide nothing"),
    ],
)
def test_options_that_exclude_each_other_are_refused(options, said):
    with pytest.raises(ConfigError, match=said):
        training(**options)


def test_a_metric_that_is_not_measured_is_refused_before_training(tmp_path):
    with pytest.raises(ConfigError, match=r"did you mean 'next\.right'"):
        trained(tmp_path, monitor="next.rigth")
    assert not list(tmp_path.iterdir())


def ends(folder, **options):
    """The weights at each epoch's end, without averages."""
    kept = []

    def validate(model):
        kept.append({name: tensor.clone() for name, tensor in model_tensors(model).items()})
        return {"loss": 1.0, "next.right": 0.0}

    trained(folder, validate=validate, **options)
    return kept


def test_the_mean_of_the_last_epochs_is_kept(tmp_path):
    each = ends(tmp_path / "plain", epochs=4)
    model, _ = trained(tmp_path / "mean", epochs=4, average_last=3, keep_best=False)
    for name, weight in model.named_parameters():
        assert torch.equal(weight, torch.stack([one[name].double() for one in each[-3:]]).mean(0).float()), name
    assert model.num_batches == each[-1]["num_batches"]


def test_validation_judges_the_average_and_the_model_gets_its_own_weights_back(tmp_path):
    each = ends(tmp_path / "plain", epochs=3)
    judged = ends(tmp_path / "mean", epochs=3, average_last=2)
    weights = [one["hidden.weight"] for one in each]
    assert torch.equal(judged[0]["hidden.weight"], weights[0])
    assert torch.equal(judged[2]["hidden.weight"], ((weights[1].double() + weights[2].double()) / 2).float())


def test_the_moving_average_is_kept(tmp_path):
    after = []

    class Watched(Data):
        def fetch(self, rows, epoch=0):
            after.append(model.hidden.weight.detach().clone())
            return super().fetch(rows)

    model = toy()
    data = Watched()
    options = {"epochs": 1, "keep_best": False, "validate": lambda model: {"loss": 1.0, "next.right": 0.0}}
    trained(tmp_path / "plain", model=model, data=data, **options)
    weights = [*after[1:], model.hidden.weight.detach()]
    factors = [0.8 ** (len(weights) - place) for place in range(1, len(weights) + 1)]
    expected = sum(factor * weight for factor, weight in zip(factors, weights)) / sum(factors)
    averaged, _ = trained(tmp_path / "average", average_decay=0.8, **options)
    assert torch.allclose(averaged.hidden.weight, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("monitor", "values", "patience", "epochs", "best"),
    [
        ("loss", [5, 4, 4.5, 4.1, 1], 2, 4, 2),
        ("loss", [5, 4, 4.5, 3, 3.5, 3, 1], 2, 6, 4),
        ("next.right", [0.1, 0.5, 0.4, 0.3, 0.9], 2, 4, 2),
        ("loss", [5, float("nan"), 6, 1], 2, 3, 1),
    ],
)
def test_it_stops_when_validation_stands_still_and_keeps_the_best(tmp_path, monitor, values, patience, epochs, best):
    said, seen = iter(values), []

    def validate(model):
        seen.append(digest(model))
        return {"loss": 0.0, "next.right": 0.0, monitor: next(said)}

    model, outcome = trained(tmp_path, validate=validate, epochs=9, patience=patience, monitor=monitor)
    assert (outcome.ended, outcome.epochs, outcome.best_epoch) == ("patience", epochs, best)
    assert outcome.best[monitor] == values[best - 1] and digest(model) == seen[best - 1]
    kept = [path.name for path in (tmp_path / "checkpoints").glob("best-*")]
    assert f"best-{best:04d}.safetensors" in kept and len(kept) <= 2


def test_a_gain_that_is_too_small_is_kept_but_ends_a_run(tmp_path):
    values = [1.0, 0.6, 0.595, 0.587, 0.585, 0.57, 0.1]
    said = iter(values)
    _, outcome = trained(
        tmp_path, validate=lambda _: {"loss": next(said), "next.right": 0.0}, epochs=7, patience=3, least_gain=0.012
    )
    # The fourth is 0.013 better than the second: patience counts anew. Then 0.002 and 0.017 (0.6 % and 1.7 % of 1.0).
    assert (outcome.ended, outcome.epochs, outcome.best["loss"]) == ("epochs", 7, 0.1)
    said = iter([1.0, 0.6, 0.595, 0.59, 0.589, 0.1])
    _, outcome = trained(
        tmp_path / "short", validate=lambda _: {"loss": next(said), "next.right": 0.0}, epochs=7, patience=3,
        least_gain=0.012,
    )  # fmt: skip
    assert (outcome.ended, outcome.epochs, outcome.best_epoch, outcome.best["loss"]) == ("patience", 5, 5, 0.589)


@pytest.mark.parametrize(("scale", "ended", "epochs"), [(1.0, "patience", 4), (100.0, "epochs", 6)])
def test_what_a_loss_near_zero_gains_ends_a_run(tmp_path, scale, ended, epochs):
    said = iter([1e-4 * scale, 9e-5 * scale, 7e-5 * scale, 5e-5 * scale, 2e-5 * scale, 1e-5 * scale])
    _, outcome = trained(
        tmp_path, validate=lambda _: {"loss": next(said), "next.right": 0.0}, epochs=6, patience=3, least_gain=0.002,
    )  # fmt: skip
    assert (outcome.ended, outcome.epochs, outcome.best_epoch) == (ended, epochs, epochs)


SPOILT = {"gradient": torch.inf, "squares": 1e30}


def poisoned(at, what):
    """A toy whose forward pass or gradient breaks at an update."""

    class Poisoned(Toy):
        def losses(self, batch):
            count = int(self.num_batches)
            if count == at and what == "layer":
                with torch.no_grad():
                    self.drop.register_forward_hook(lambda module, given, output: output / 0)
            losses = super().losses(batch)
            if count == at and what == "loss":
                losses["next"] = Loss(losses["next"].total / 0, losses["next"].count)
            if count == at and what in SPOILT:
                losses["next"].total.register_hook(lambda gradient: gradient * SPOILT[what])
            return losses

    prepare(1)
    return Poisoned()


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("layer", r"the loss of next is nan.*first layer: drop \(Dropout\)"),
        ("loss", r"the loss of next is inf.*first layer: none"),
        ("gradient", r"its gradient is not.*gradients not finite: embedding\.weight"),
        (
            "squares",
            r"its gradient is not.*gradient norms: \S+ [1-9.]+e\+\d\d.*gradients not finite: none, but the sum of "
            r"their squares",
        ),
    ],
)
def test_what_is_not_finite_stops_and_is_named_and_the_last_checkpoint_is_kept(tmp_path, what, said):
    with pytest.raises(ConfigError, match="(?s)" + said) as caught:
        trained(tmp_path, model=poisoned(13, what), epochs=3, schedule="constant")
    text = str(caught.value)
    assert "update 14 (epoch 2, batch 4)" in text and "learning_rate (now 0.001)" in text
    rows = Data().epoch(1)[3]
    assert f"rows of the batch: {', '.join(map(str, rows))}" in text
    assert "checkpoint-0001-0000000" in text and (tmp_path / "checkpoints/checkpoint-0001-0000000/state.json").exists()


def test_the_advice_on_a_training_that_diverged(tmp_path):
    options = {"epochs": 1, "schedule": "constant", "clip_norm": None}

    def train(name, rate, **changed):
        return trained(tmp_path / name, optimizer={"type": "sgd", "learning_rate": rate}, **{**options, **changed})

    with pytest.raises(ConfigError) as refusal:
        train("diverged", 1e38)
    assert (
        "what helps: a smaller learning_rate (now 1e+38), a smaller clip_norm (now None), a schedule with warmup"
        in (str(refusal.value))
        and str(refusal.value).endswith("precision float32; or look at these rows of the data")
    )
    assert train("slower", 1e-3)[1].updates == train("clipped", 1e38, clip_norm=1e-38)[1].updates == 10


def test_progress_and_reports_and_history_tell_the_same(tmp_path):
    progress, reports, notes, data = [], [], [], Data()
    listeners = Listeners(progress.append, reports.append, notes.append)
    data.targets[:] = data.symbols  # As many real targets in each batch: the mean over steps is the mean over updates.
    trained(
        tmp_path, data=data, listeners=listeners, epochs=2, report_every=4, schedule={"type": "linear", "warmup": 5}
    )
    assert [one.update for one in progress] == list(range(1, 21)) and {one.total_updates for one in progress} == {20}
    assert [one.epoch for one in progress] == [1] * 10 + [2] * 10
    assert progress[0].learning_rate == pytest.approx(2e-4) and all(one.steps_per_second > 0 for one in progress)
    assert progress[-1].seconds_left == 0 < progress[0].seconds_left
    assert [(one["event"], one["update"]) for one in reports] == [
        *[("update", 4), ("update", 8), ("epoch", 10)], *[("update", 12), ("update", 16), ("update", 20), ("epoch", 20)]
    ]  # fmt: skip
    assert reports[2]["valid.loss"] > 0 and reports[2]["best"] is True and reports[0]["gradient_norm"] > 0
    for report, losses in ((reports[1], progress[4:8]), (reports[2], progress[:10]), (reports[6], progress[10:])):
        assert report["train.loss"] == pytest.approx(sum(one.loss for one in losses) / len(losses), rel=1e-6)
    assert [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()] == reports


def test_a_warm_start_is_validated_before_the_first_update_and_kept_where_nothing_is_better(tmp_path):
    losses, reports = iter([1.0, 0.998, 3.0, 2.9, 2.899]), []

    def validate(model):
        return {"loss": next(losses), "next.right": 0.5}

    for name, epochs, best in (("kept", 1, 0), ("left", 2, 2)):
        model = toy()
        first = digest_of_weights(model)
        warm = replace(task(model=model, validate=validate, facts=facts({"epochs": epochs})), warm=True)
        outcome = training(epochs=epochs).run(warm, tmp_path / name, Listeners(reports=reports.append))
        assert outcome.best_epoch == best and (digest_of_weights(model) == first) == (best == 0)
    assert [report["event"] for report in reports if report["event"] != "update"] == [
        "start",
        "epoch",
        "start",
        *["epoch"] * 2,
    ]
    assert reports[0]["update"] == 0 and reports[0]["valid.loss"] == 1.0 and reports[0]["best"]
    cold = training(epochs=1).run(
        task(validate=lambda _: {"loss": 1.0, "next.right": 0.5}, facts=facts({"epochs": 1})), tmp_path / "cold"
    )
    assert cold.best_epoch == 1


def test_history_is_strict_json_even_where_a_metric_is_no_number(tmp_path):
    trained(tmp_path, epochs=1, validate=lambda model: {"loss": float("nan"), "next.right": 0.0})
    lines = [
        json.loads(line, parse_constant=pytest.fail) for line in (tmp_path / "history.jsonl").read_text().splitlines()
    ]
    assert lines[-1]["valid.loss"] is None


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_is_written_where_it_is_asked_for(tmp_path):
    trained(tmp_path, epochs=1, tensorboard=True, report_every=5)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [event.step for event in board.Scalars("train.loss")] == [5, 10, 10]


def test_the_advice_where_tensorboard_is_not_installed(tmp_path, monkeypatch):
    """The extra that it names brings it, or the history holds the same numbers."""
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ConfigError) as refusal:
        trained(tmp_path / "board", epochs=1, tensorboard=True)
    package, others = str(refusal.value).split("TensorBoard is not installed; pip install ")[1].split(", or ")
    assert others == "leave it false: history.jsonl holds the same numbers"
    extra = re.fullmatch(r"'ostinato\[(\w+)\]'", package)[1]
    pyproject = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert pyproject["project"]["optional-dependencies"][extra][0].startswith("tensorboard")
    trained(tmp_path / "none", epochs=1, tensorboard=False)
    assert "train.loss" in (tmp_path / "none" / "history.jsonl").read_text()


def test_it_trains_outside_the_main_thread(tmp_path):
    found = []
    thread = threading.Thread(target=lambda: found.append(trained(tmp_path, epochs=1)))
    thread.start()
    thread.join()
    assert found[0][1].updates == 10


def test_a_full_disk_stops_with_a_clear_error_and_the_checkpoints_before_are_intact(tmp_path, monkeypatch):
    from ostinato import files

    written, real = [], files.write_synced

    def full(path, data):
        written.append(path)
        if len(written) > 6:
            path.write_bytes(data[:10])
            raise OSError(28, "No space left on device")
        real(path, data)

    monkeypatch.setattr(files, "write_synced", full)
    with pytest.raises(DataError, match="the disk is full .*MB free.*intact"):
        trained(tmp_path, epochs=3, checkpoint_seconds=1e-9)
    monkeypatch.undo()
    left = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert left == ["checkpoint-0000-0000001", "checkpoint-0000-0000002"]
    one = task(facts=facts({"epochs": 3}))
    assert training(epochs=3).run(one, tmp_path, resume=True).updates == 30
    whole, _ = trained(tmp_path / "whole", epochs=3)
    assert digest(one.model) == digest(whole)


def test_max_updates_end_a_run_within_an_epoch_where_it_is_validated(tmp_path):
    reports = []
    model, outcome = trained(
        tmp_path, epochs=3, max_updates=13, keep_best=False, listeners=Listeners(reports=reports.append)
    )
    assert (outcome.ended, outcome.epochs, outcome.updates) == ("updates", 2, 13)
    assert [event["update"] for event in reports if event["event"] == "epoch" and "valid.loss" in event] == [10, 13]
    whole, _ = trained(tmp_path / "whole", epochs=2, max_updates=20, keep_best=False)
    assert digest(model) != digest(whole)
    again = task(facts=facts({"epochs": 3, "max_updates": 13, "keep_best": False}))
    assert training(epochs=3, max_updates=13, keep_best=False).run(again, tmp_path, resume=True).before
    assert digest(again.model) == digest(model)


def test_an_epoch_shorter_than_the_write_of_a_checkpoint_has_none_and_the_run_ends_or_pauses_with_one(
    tmp_path, monkeypatch
):
    def kept(name):
        return sorted(path.name for path in (tmp_path / name / "checkpoints").glob("checkpoint-*"))

    whole, _ = trained(tmp_path / "whole", epochs=4)
    monkeypatch.setattr(loop, "WRITTEN", 1)  # A byte a second: every epoch is short.
    short, _ = trained(tmp_path / "short", epochs=4)
    assert (len(kept("whole")), kept("short")) == (2, ["checkpoint-0004-0000000"])
    one = task(facts=facts({"epochs": 4}))
    training(epochs=4).run(one, tmp_path / "paused", until=3)
    assert kept("paused") == ["checkpoint-0003-0000000"]
    again = task(facts=facts({"epochs": 4}))
    training(epochs=4).run(again, tmp_path / "paused", resume=True)
    assert digest(whole) == digest(short) == digest(again.model)
    trained(tmp_path / "asked", epochs=4, keep_checkpoints=3)
    assert len(kept("asked")) == 3, "who asks for them has one of each epoch"


def judged(*losses):
    values = iter(losses)
    return lambda model: {"loss": next(values), "next.right": 0.0}


def test_within_an_epoch_the_best_part_is_kept_and_patience_ends_it(tmp_path):
    reports, options = [], {"epochs": 3, "validate_every": 0.25}
    listeners = Listeners(reports=reports.append)
    losses = judged(9, 8, 7, 6, 5, 1, *range(2, 8))
    model, outcome = trained(tmp_path / "a", validate=losses, listeners=listeners, **options)
    assert (outcome.best_epoch, outcome.best["loss"], outcome.updates) == (1.5, 1, 30)
    assert [event["epoch"] for event in reports if event.get("best")] == [0.25, 0.5, 0.75, 1, 1.25, 1.5]
    assert [event["update"] for event in reports if "valid.loss" in event] == [
        *(3, 5, 8, 10, 13, 15, 18, 20, 23, 25, 28, 30)
    ]
    schedule = {"type": "constant"}
    model, _ = trained(tmp_path / "b", validate=judged(3, 1, *range(2, 12)), schedule=schedule, **options)
    until, _ = trained(tmp_path / "c", epochs=3, max_updates=5, schedule=schedule)
    assert digest(model) == digest(until)
    _, stopped = trained(tmp_path / "d", validate=judged(3, 1, 2, 2), patience=1, **options)
    assert (stopped.updates, stopped.best_epoch, stopped.epochs) == (8, 0.5, 1)
    curve = Curve.read(tmp_path / "d", training(patience=1, **options))
    assert (curve.kept, curve.best) == (0.5, 0.5) and "no better for 0.5 epochs (best: epoch 0.5)" in curve.summary()


def test_progress_of_epochs_with_more_batches_than_the_first_never_passes_its_total(tmp_path):
    class Growing(Data):
        def epoch(self, number):
            return [part for rows in super().epoch(number) for part in np.array_split(rows, 1 + number)]

    progress, data = [], Growing()
    trained(tmp_path, data=data, epochs=2, listeners=Listeners(progress=progress.append), schedule="linear")
    assert [one.update for one in progress] == list(range(1, 31))
    assert [one.total_updates for one in progress] == [20] * 20 + list(range(21, 31))
    assert all(one.learning_rate >= 0 for one in progress)


def test_a_schedule_ends_where_the_updates_end(tmp_path):
    rates = []
    listeners = Listeners(progress=lambda progress: rates.append((progress.learning_rate, progress.total_updates)))
    trained(tmp_path, epochs=3, max_updates=13, listeners=listeners, schedule="linear")
    assert {total for _, total in rates} == {13} and rates[-1][0] == pytest.approx(rates[0][0] / 13)


def test_measuring_the_time_of_an_update_leaves_the_model_and_its_training_as_they_were(tmp_path, default):
    one = task(facts=facts({"epochs": 3}))
    before = digest(one.model)
    assert training(epochs=3).seconds_of_update(one, 0.01) > 0
    assert digest(one.model) == before
    training(epochs=3).run(one, tmp_path)
    assert digest(one.model) == default


def test_an_empty_epoch_is_not_measured_twice(tmp_path):
    """Fewer batches than are measured."""
    one = task(data=Data(rows=4))
    assert training(epochs=3).seconds_of_update(one, 10.0) > 0
