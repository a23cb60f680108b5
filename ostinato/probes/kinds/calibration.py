"""Whether a model is as often right as it is sure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ostinato.errors import ConfigError
from ostinato.heads.contract import Predictor
from ostinato.layers.temperature import fitted_temperature
from ostinato.modalities.contract import MISSING
from ostinato.probes.kinds._table import table
from ostinato.probes.kinds.contract import Finding, Probe, Subject
from ostinato.probes.pictures import drawable, picture
from ostinato.registry import Count

AT_ONCE = 64
DRAWS = 1000


@dataclass(frozen=True)
class Bin:
    """Predictions of like confidence.

    Args:
        low: the confidence where it begins.
        high: where it ends.
        count: of predictions.
        confidence: their mean probability.
        accuracy: the share that is right.
    """

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Calibrated:
    """How sure an output is, and how often right.

    Args:
        output: its name.
        confidence: the mean probability of what is predicted.
        accuracy: the share that is right.
        ece: the expected calibration error.
        low: the lower end of its 95 % interval.
        high: the upper end.
        temperature: the one that fits best.
        scaled: the error that is left with a temperature that was fitted on other examples.
        own: the temperature that the model was calibrated with, 1 where it was not.
        before: the error without it.
        bins: that hold predictions.
    """

    output: str
    confidence: float
    accuracy: float
    ece: float
    low: float
    high: float
    temperature: float
    scaled: float
    own: float
    before: float
    bins: list[Bin]


@dataclass(frozen=True)
class CalibrationFinding(Finding):
    """Confidence beside accuracy, output by output.

    Args:
        outputs: those with labels.
    """

    outputs: list[Calibrated]

    @property
    def title(self) -> str:
        known = max(self.outputs, key=lambda output: output.ece)
        difference = known.confidence - known.accuracy
        word = "more" if difference > 0 else "less"
        other = f"{known.scaled:.1%} with temperature {known.temperature:.2f}"
        if known.own != 1:
            other = f"{known.before:.1%} without its temperature {known.own:.2f}"
        return (
            f"{known.output} is {abs(difference):.1%} {word} sure than right: calibration error {known.ece:.1%} "
            f"[{known.low:.1%}, {known.high:.1%}], {other}"
        )

    def to_json(self) -> dict[str, Any]:
        return {"title": self.title, "outputs": [asdict(output) for output in self.outputs]}

    def lines(self) -> list[str]:
        rows = [["output", "confidence", "predictions", "mean confidence", "right"]]
        for output in self.outputs:
            rows += [
                [
                    output.output,
                    f"{part.low:.2f} to {part.high:.2f}",
                    f"{part.count:,}",
                    f"{part.confidence:.1%}",
                    f"{part.accuracy:.1%}",
                ]
                for part in output.bins
            ]
        notes = "The error with a temperature is of examples that it was not fitted on, half against half."
        return [self.title, "", *table(rows), "", notes]

    def draw(self, path: Path) -> None:
        with picture(path, (4.6 * len(self.outputs) + 0.6, 4.4), len(self.outputs)) as (figure, panels):
            for output, axes in zip(self.outputs, panels):
                axes.plot([0, 1], [0, 1], color="0.6", linestyle=":", label="as sure as right")
                most = max(part.count for part in output.bins)
                axes.scatter(
                    [part.confidence for part in output.bins],
                    [part.accuracy for part in output.bins],
                    s=[12 + 160 * part.count / most for part in output.bins],
                    label="predictions (area: how many)",
                )
                axes.set_xlabel("mean confidence")
                axes.set_ylabel("share that is right")
                axes.set_title(drawable(output.output), fontsize=9)
                axes.legend(frameon=False, fontsize=7)
            figure.suptitle(drawable(self.title), fontsize=10, wrap=True)


class Calibration(Probe):
    """Whether a model is as often right as it is sure: reliability, calibration error, and what a temperature mends.

        confidence  max over v of p(v)
        ECE         sum over bins of n_b / n |right_b - confidence_b|     bins of equal width
        scaled      p_T(v) ~ p(v)^(1 / T), T by the least loss; on each half of the examples that of the other half

    `calibration: temperature` in a recipe, or `--set calibration=temperature`, fits T on the validation split and
    keeps it with the run; the error of such a run is shown with it and without it.

    The interval is a percentile bootstrap over examples, with these bins. Of labels, of whole examples and of steps.

    Args:
        bins: of confidence.

    Errors:
        ConfigError: no output predicts labels at once.

    Source: Guo, Pleiss, Sun and Weinberger 2017, arXiv:1706.04599, equations 2, 3 and 9.
    """

    rows = 1000

    def __init__(self, *, bins: Count = 15):
        self.bins = bins

    def look(self, subject: Subject) -> CalibrationFinding:
        outputs = [
            self._calibrated(output, *map(np.concatenate, parts), own=head.temperature or 1.0)
            for output, head in subject.graph.heads.items()
            if (parts := [*zip(*_labelled(subject, output))])
        ]
        if not outputs:
            raise ConfigError(
                "probe calibration: no output of this model predicts labels at once; it needs a category, or tags "
                "without a joint head"
            )
        return CalibrationFinding(outputs)

    def _calibrated(
        self, output: str, shares: np.ndarray, labels: np.ndarray, rows: np.ndarray, *, own: float = 1.0
    ) -> Calibrated:
        """Of probabilities (N, V) with the model's own temperature, labels (N,) and the example of each (N,)."""
        sure, right = shares.max(1), shares.argmax(1) == labels
        place = np.minimum((sure * self.bins).astype(int), self.bins - 1)
        bins = [
            Bin(
                at / self.bins,
                (at + 1) / self.bins,
                int(there.sum()),
                *(float(of[there].mean()) for of in (sure, right)),
            )
            for at in range(self.bins)
            if (there := place == at).any()
        ]
        low, high = _interval(right - sure, place, rows, self.bins)
        halves = rows % 2 == 0
        scaled = shares.copy()
        for half in (halves, ~halves):
            if half.any() and not half.all():
                scaled[half] = _tempered(shares[half], _temperature(shares[~half], labels[~half]))
        ece, left, before = (_error(of.max(1), right, self.bins) for of in (shares, scaled, _tempered(shares, 1 / own)))
        temperature = _temperature(shares, labels)
        means = float(sure.mean()), float(right.mean())
        return Calibrated(output, *means, ece, low, high, temperature, left, own, before, bins)


def _labelled(subject: Subject, output: str) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Probabilities (N, V), labels and the examples that they belong to, a few examples at once."""
    head = subject.graph.heads[output]
    if not isinstance(head, Predictor):
        return
    for rows in torch.arange(len(subject.batch)).split(AT_ONCE):
        batch = subject.batch.select(rows)
        targets = batch.targets[output]
        with torch.no_grad():
            shares = head.predict_distribution(subject.graph.read(output, batch.inputs), targets).probabilities
        if shares is None or targets.values.ndim > 1 or len(shares) != len(targets.values):
            return
        real = (targets.values != MISSING).cpu()
        of = rows[targets.layout.rows.cpu()]
        yield shares[real].double().cpu().numpy(), targets.values[real].cpu().numpy(), of[real].numpy()


def _error(sure: np.ndarray, right: np.ndarray, bins: int) -> float:
    place = np.minimum((sure * bins).astype(int), bins - 1)
    return float(np.abs(np.bincount(place, right - sure, minlength=bins)).sum() / len(sure))


def _interval(gaps: np.ndarray, place: np.ndarray, rows: np.ndarray, bins: int) -> tuple[float, float]:
    """Of draws of whole examples."""
    _, at = np.unique(rows, return_inverse=True)
    count = int(at.max()) + 1
    sums = np.zeros((count, bins))
    np.add.at(sums, (at, place), gaps)
    sizes = np.bincount(at)
    draws = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), DRAWS)
    errors = np.abs(draws @ sums).sum(1) / (draws @ sizes)
    low, high = np.quantile(errors, [0.025, 0.975])
    return float(low), float(high)


def _tempered(shares: np.ndarray, temperature: float) -> np.ndarray:
    scores = np.log(np.maximum(shares, 1e-30)) / temperature
    scores = np.exp(scores - scores.max(1, keepdims=True))
    return scores / scores.sum(1, keepdims=True)


def _temperature(shares: np.ndarray, labels: np.ndarray) -> float:
    """The one of the least loss."""

    def loss(temperature: float) -> float:
        own = _tempered(shares, temperature)[np.arange(len(labels)), labels]
        return float(-np.log(np.maximum(own, 1e-300)).mean())

    return fitted_temperature(loss)
