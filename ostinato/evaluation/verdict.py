"""What the results of a run mean, in words: the result, the baseline beside it, how training went, what to try next."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from ostinato.evaluation.intervals import Compared
from ostinato.evaluation.report import Report
from ostinato.recipe.metrics import main_metric, settings_of
from ostinato.registry import Settings, component
from ostinato.run.run import Run
from ostinato.training.curve import Curve

MOST_DROPOUT, MORE_DROPOUT = 0.5, 0.2
"""Dropout that is advised against overfitting: so much more, and no more than half of all values."""
MORE_EPOCHS = 2
"""A loss that still falls at the end is given so many times the epochs."""


@dataclass(frozen=True)
class Verdict:
    """What the results of a run mean.

    Args:
        lines: sentences.
        sets: settings to try next, as `--set` takes them; empty where nothing is advised.
        resume: whether they continue this run, or begin another one.
        unfinished: whether more time would help.
    """

    lines: list[str]
    sets: list[str] = field(default_factory=list)
    resume: bool = False
    unfinished: bool = False


def verdict(run: Run, report: Report, curve: Curve | None) -> Verdict:
    """The result of each output, its difference from the best baseline, over- or underfitting, and what to try.

    Args:
        run: that was trained.
        report: of its evaluation, with baselines.
        curve: of its training; None where several members were trained.
    """
    results = [_Result.of(run, output, report) for output in run.outputs]
    lines = [line for result in results if result is not None for line in result.lines]
    if curve is None:
        return Verdict(lines)
    if all(result is not None and result.perfect for result in results):
        return Verdict([*lines, "no row of these is left to improve: more of them, and harder ones, would tell more"])
    if curve.solved():
        return Verdict(lines)
    training = run.recipe.settings.training
    if curve.overfitted():
        return Verdict([*lines, _overfitting(curve)], _narrower(run.recipe.settings))
    better = all(result is None or result.better for result in results)
    if curve.unfinished() or (curve.ended == "updates" and not better):
        end = "training ended with its updates, before all epochs: more time may help"
        falling = "underfitting: the validation loss was still falling when training ended"
        lines.append(falling if curve.falling() else end)
        if training.max_updates is not None:
            return Verdict(lines, _more_updates(training, curve), unfinished=True)
        return Verdict(lines, [f"training.epochs={MORE_EPOCHS * training.epochs}"], resume=True, unfinished=True)
    if curve.shows_no_course():
        few = "one epoch shows" if curve.validations() == 1 else f"{curve.validations()} validations show"
        lines.append(f"{few} neither over- nor underfitting: more epochs would tell")
        return Verdict(lines, [f"training.epochs={MORE_EPOCHS * training.epochs}"], resume=True, unfinished=True)
    by_heart = curve.by_heart()
    lines.append(_by_heart(curve) if by_heart else "the validation loss had settled: neither over- nor underfitting")
    if better:
        return Verdict(lines)
    return Verdict(lines, (_narrower if by_heart else _wider)(run.recipe.settings))


@dataclass(frozen=True)
class _Result:
    """An output's main metric, in words, whether no baseline is as good, and whether no value could be better."""

    lines: list[str]
    better: bool
    perfect: bool

    @staticmethod
    def of(run: Run, output: str, report: Report) -> _Result | None:
        metric = main_metric(run.outputs[output])
        measured = report.outputs.get(output, {}).get(metric) if metric is not None else None
        if metric is None or measured is None:
            return None
        lead = f"{output}: " if len(run.outputs) > 1 else ""
        what = "members" if run.bundle.members else "epoch"
        chosen = f", which also chose the {what}" if report.split == "valid" else ""
        value = f"{measured.value:.4g} [{measured.low:.4g}, {measured.high:.4g}]"
        lines = [f"{lead}{metric} {value} on {report.counted()}{chosen}"]
        kind = component("metrics", settings_of(run.outputs[output])[metric].type)
        perfect = measured.value == (kind.greatest if kind.higher_is_better else kind.least)
        compared = report.compared.get(output, {})
        if not compared:
            return _Result(lines, True, perfect)
        name, difference = _best(run.outputs[output], metric, compared)
        return _Result(
            [*lines, f"{lead}{_beside(name, difference, kind.higher_is_better)}"],
            difference.better == "second",
            perfect,
        )


def _best(output: Settings, metric: str, compared: Mapping[str, Compared]) -> tuple[str, Compared]:
    """The baseline with the best value."""
    higher = component("metrics", settings_of(output)[metric].type).higher_is_better
    pick = max if higher else min
    return pick(compared.items(), key=_value_of)


def _value_of(item: tuple[str, Compared]) -> float:
    return item[1].first


def _beside(name: str, compared: Compared, higher: bool) -> str:
    """Whether a model is really better than a baseline."""
    if f"{compared.first:.4g}" == f"{compared.second:.4g}":
        return f"as good as the baseline, {name} ({compared.first:.4g})"
    number = f"{compared.difference:+.4g} [{compared.low:.4g}, {compared.high:.4g}], paired, 95 %"
    if compared.better == "second":
        return f"better than the baseline, {name} ({compared.first:.4g}): {number}"
    if compared.better == "first":
        return f"worse than the baseline, {name} ({compared.first:.4g}): {number}"
    ahead = "ahead of" if (compared.difference > 0) == higher else "not better than"
    excludes = compared.low > 0 or compared.high < 0
    why = "may be chance" if not excludes else "may be chance, since few examples, or blocks of them, show it"
    return f"{ahead} the baseline, {name} ({compared.first:.4g}): {number}, {why}"


def _more_updates(training: Settings, curve: Curve) -> list[str]:
    """Twice the updates, and more epochs only where these updates need them."""
    epochs = MORE_EPOCHS * math.ceil(curve.epochs[-1]["epoch"])
    enough = [] if epochs <= training.epochs else [f"training.epochs={epochs}"]
    return [*enough, f"training.max_updates={MORE_EPOCHS * training.max_updates}"]


def _overfitting(curve: Curve) -> str:
    least, last = curve.least_and_last()
    if "train.loss" not in least:
        return (
            f"overfitting from the first update on: until epoch {last['epoch']} the validation loss rose from"
            f" {least['valid.loss']:.4f} to {last['valid.loss']:.4f}"
        )
    return (
        f"overfitting after epoch {least['epoch']}: until epoch {last['epoch']} the validation loss rose from"
        f" {least['valid.loss']:.4f} to {last['valid.loss']:.4f}, the training loss fell from"
        f" {least['train.loss']:.4f} to {last['train.loss']:.4f}"
    )


def _by_heart(curve: Curve) -> str:
    least, last = curve.least_and_last()
    return (
        f"the validation loss had settled after epoch {least['epoch']}, while the training loss fell from"
        f" {least['train.loss']:.4f} to {last['train.loss']:.4f}: later epochs learnt the training rows by heart"
    )


def _narrower(settings: Settings) -> list[str]:
    """Settings that fit the training rows less closely: more dropout, or half the width where there is much already."""
    changes = []
    for name, column in settings.inputs.items():
        dropout = getattr(getattr(column, "encoder", None), "dropout", None)
        if dropout is not None and dropout < MOST_DROPOUT:
            more = min(MOST_DROPOUT, round(dropout + MORE_DROPOUT, 2))
            changes.append(f"inputs.{name}.encoder.dropout={more}")
    return changes or [f"{place}.hidden_size={width // 2}" for place, width in _widths(settings).items() if width > 1]


def _wider(settings: Settings) -> list[str]:
    """Settings that fit the training rows more closely: twice the width."""
    return [f"{place}.hidden_size={2 * width}" for place, width in _widths(settings).items()]


def _widths(settings: Settings) -> dict[str, int]:
    """The width of each encoder that has one; none where weights come from an earlier run, whose widths they have."""
    if getattr(settings, "from") is not None:
        return {}
    encoders = {f"inputs.{name}.encoder": getattr(column, "encoder", None) for name, column in settings.inputs.items()}
    widths = {place: getattr(encoder, "hidden_size", None) for place, encoder in encoders.items()}
    return {place: width for place, width in widths.items() if isinstance(width, int)}
