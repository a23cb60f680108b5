"""The curve of a run: why it ended, what was kept, over- and underfitting, a line for each epoch."""

import json

import pytest

from ostinato.notes import Detail
from ostinato.training import curve as curves
from ostinato.training.curve import Curve, EpochLines, line_of
from tests.training.toy_run import training


def curve_of(folder, train, valid, *, updates=10, **options):
    """The curve of a history with these losses."""
    best, lines = float("inf"), []
    for number, (loss, measured) in enumerate(zip(train, valid), 1):
        better = measured is not None and measured < best
        event = {"event": "epoch", "epoch": number, "update": updates * number, "train.loss": loss}
        lines += [event | ({} if measured is None else {"valid.loss": measured, "best": better})]
        best = measured if better else best
    lines = [{"event": "update", "epoch": 1, "update": 1, "train.loss": 9.0}, *lines]
    (folder / "history.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return Curve.read(folder, training(**options))


def test_a_run_that_patience_ended_says_so_with_its_best_epoch(tmp_path):
    curve = curve_of(tmp_path, [5, 4, 3, 2], [5, 4, 4.1, 4.2], epochs=9, patience=2)
    assert (curve.ended, curve.best, curve.kept) == ("patience", 2, 2)
    assert curve.summary() == "stopped early: no better for 2 epochs (best: epoch 2); kept: the weights after epoch 2"


def test_a_run_that_hardly_gained_says_so(tmp_path):
    curve = curve_of(tmp_path, [5, 4, 3, 2], [5, 4, 3.999, 3.998], epochs=9, patience=2, least_gain=0.01)
    assert curve.summary().startswith("stopped early: hardly better for 2 epochs (best: epoch 4); kept")
    assert not curve.unfinished()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"epochs": 4}, "kept: the weights after epoch 2, the best"),
        ({"epochs": 4, "keep_best": False}, "kept: the weights after epoch 4, the last"),
        ({"epochs": 4, "average_last": 2}, "kept: the averaged weights after epoch 2, the best"),
        ({"epochs": 9, "max_updates": 40}, "kept: the weights after epoch 2, the best"),
    ],
)
def test_which_weights_were_kept(tmp_path, options, said):
    assert curve_of(tmp_path, [5, 4, 3, 2], [5, 4, 4.1, 4.2], **options).summary() == said


@pytest.mark.parametrize(
    ("train", "valid", "overfitted", "unfinished"),
    [
        ([5, 4, 3, 2], [5, 4, 4.5, 5.5], True, False),
        ([5, 4, 3, 2], [5, 4, 3, 2], False, True),
        ([5, 4, 3, 3], [5, 4, 3.01, 3.0], False, False),
        ([5, 4, 3, 3], [5, 4, 4.01, 4.02], False, False),
        ([5, 4, 3, 2], [5, None, 4, None], False, True),
        ([5, 4, 3, 2], [5, 0.1, 0.01, 0.005], False, False),
        ([1.256, 1.226, 1.197, 1.19], [1.262, 1.24, 1.2265, 1.2154], False, True),
        ([1.256, 1.226, 1.197, 1.19], [1.262, 1.24, 1.2155, 1.2154], False, False),
    ],
)
def test_over_and_underfitting_are_seen_in_the_losses(tmp_path, train, valid, overfitted, unfinished):
    curve = curve_of(tmp_path, train, valid, epochs=4)
    assert (curve.overfitted(), curve.unfinished()) == (overfitted, unfinished)


@pytest.mark.parametrize(
    ("train", "valid", "is_so"),
    [
        ([0.57, 0.36, 0.28, 0.19], [0.348, 0.352, 0.361, 0.355], True),
        ([0.57, 0.50, 0.45, 0.41], [0.348, 0.352, 0.361, 0.355], False),
        ([0.57, 0.36, 0.28, 0.19], [0.6, 0.5, 0.4, 0.35], False),
        ([9.0, 0.50, 0.45, 0.36], [0.348, 0.352, 0.361, 0.355], False),
        ([0.57, 0.19], [0.348, 0.355], False),
        ([0.1, -0.3, -0.8, -1.9], [-1.0, -0.99, -0.98, -0.99], True),
    ],
)
def test_a_training_loss_that_falls_beside_a_validation_loss_that_settled_is_learnt_by_heart(
    tmp_path, train, valid, is_so
):
    curve = curve_of(tmp_path, train, valid, epochs=4)
    assert curve.by_heart() == is_so and not curve.overfitted()


def test_a_short_last_epoch_does_not_hide_that_the_loss_fell(tmp_path):
    curve = curve_of(tmp_path, [4.4, 3.7], [3.925, 3.499], epochs=3)
    short = {"event": "epoch", "epoch": 3, "update": 22, "train.loss": 3.5, "valid.loss": 3.4846, "best": True}
    assert Curve([*curve.epochs, short], "epochs", 3, 3, False).unfinished()


def test_a_part_of_an_epoch_is_unfinished(tmp_path):
    assert curve_of(tmp_path, [5], [5], epochs=1).ended == "epochs"
    curve = curve_of(tmp_path, [5], [5], epochs=2, max_updates=10)
    assert curve.ended == "updates" and curve.unfinished()


def test_without_a_history_there_is_no_curve(tmp_path):
    assert Curve.read(tmp_path, training()) is None


def test_an_epoch_is_a_line_with_a_mark_at_the_best():
    event = {"epoch": 4, "train.loss": 0.41234, "valid.loss": 0.39876, "valid.y.accuracy": 82.11111, "best": True}
    shown = {"valid.y.accuracy": "accuracy"}
    assert line_of(event, 25, shown) == "epoch  4/25  train loss 0.4123  valid loss 0.3988  accuracy 82.11  * best"
    assert "best" not in line_of(event | {"best": False}, 25, shown)
    assert line_of(event | {"epoch": 2.25}, 4, shown).startswith("epoch 2.25/4  train loss")
    assert line_of({"epoch": 5, "train.loss": 0.4}, 25, shown) == "epoch  5/25  train loss 0.4000"


@pytest.mark.parametrize(
    ("apart", "losses", "shown"),
    [
        (0, [5, 4, 3, 2], [1, 2, 3, 4]),
        (60, [5, 4, 3, 2], [1, 4]),
        (60, [5, 4, 3, 6, 7], [1, 3, 5]),
        (60, [5, 6, 7], [1, 3]),
        (60, [5], [1]),
        (2.5, [5, 4, 3, 6, 7, 2, 8, 9], [1, 3, 4, 6, 7, 8]),
    ],
)
def test_of_short_epochs_the_first_the_best_and_the_last_are_shown_in_their_order_and_all_are_details(
    monkeypatch, apart, losses, shown
):
    monkeypatch.setattr(curves, "LINE_SECONDS", apart)
    seconds = iter(range(100))
    monkeypatch.setattr(curves.time, "monotonic", lambda: next(seconds))
    said, best = [], float("inf")
    with EpochLines(said.append, len(losses), {}) as lines:
        for epoch, loss in enumerate(losses, 1):
            lines.add({"event": "update", "epoch": epoch})
            lines.add({"event": "epoch", "epoch": epoch, "valid.loss": loss, "best": loss < best})
            best = min(best, loss)
    plain = [line for line in said if not isinstance(line, Detail)]
    assert [epoch_in(line) for line in plain] == shown
    assert [epoch_in(line) for line in said] == list(range(1, len(losses) + 1))


def epoch_in(line):
    return int(line.split()[1].partition("/")[0])


def test_first_weights_that_were_validated_have_a_line_and_its_mark():
    said = []
    with EpochLines(said.append, 20, {}) as lines:
        lines.add({"event": "start", "epoch": 0, "valid.loss": 0.5, "best": True})
    assert said == ["epoch  0/20  valid loss 0.5000  * best"]


def test_one_or_two_epochs_show_no_course_and_first_weights_are_no_epoch(tmp_path):
    first = {"event": "start", "epoch": 0, "update": 0, "valid.loss": 0.5, "best": True}
    one = curve_of(tmp_path, [5], [0.6], epochs=1)
    assert one.shows_no_course() and Curve([first, *one.epochs], "epochs", 0, 0, False).shows_no_course()
    assert curve_of(tmp_path, [5, 4], [5, 5], epochs=2).shows_no_course()
    assert not curve_of(tmp_path, [5, 4], [5, 5], epochs=3).shows_no_course(), "patience ended it"
    assert not curve_of(tmp_path, [5, 4, 3], [5, 5, 5], epochs=3).shows_no_course()
