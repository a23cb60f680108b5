"""The laws of heads that forecast windows of series: each takes a `Forecasting`, a head and what it reads, and fails by
AssertionError."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ostinato import registry
from ostinato.encoders.contract import Encoded, Encoder, Source
from ostinato.heads.contract import Head, Pairs, Predictor, Sizes, Span
from ostinato.modalities.contract import Values
from ostinato.steps import Layout, Steps
from ostinato.testing import _heads, _inputs, _modules
from ostinato.testing._heads import Answering
from ostinato.testing._inputs import Input
from ostinato.testing._modules import ROWS
from ostinato.testing._tools import Member, drawn, same, seeded
from ostinato.testing.predictors import beside_itself_it_is_the_same

LOOKBACK, HORIZON, WIDTH = 8, 4, 5
SPECS = (Values(1), Values(2), Values(3, signs=1))
"""One channel, two, and two of which one has gaps."""
INPUTS = {
    "series": (),
    "series, covariates and constants": (Input([LOOKBACK + HORIZON] * len(ROWS), 4, 4), Input(None, None, 3)),
}
"""What is read beside the series: nothing, or something known ahead and something of the whole series too."""
TRIED: dict[str, tuple[int, ...]] = dict(  # noqa: C408
    samples=(30,), linear=(3,), steps=(3,), season=(3,)
)
"""Values of options that are small enough for these windows: keywords, since they are no members' names."""
GAPS: tuple[Sequence[int], ...] = ([0], [HORIZON + 1, 2 * HORIZON - 1, 2 * HORIZON])
"""Steps of the targets without a number."""


@dataclass(frozen=True)
class Forecasting(Answering):
    """A head that forecasts walks, above an encoder of the series; a number of the targets is missing."""

    may_be_empty = False

    def build(self, *_: Any) -> Predictor:
        others = INPUTS[self.inputs]
        sizes = [Sizes(WIDTH, WIDTH), *(Sizes(other.steps, other.summary) for other in others)]
        ahead = (False, *(other.lengths is not None for other in others))
        return self.make(self.spec, sizes, Span(LOOKBACK, HORIZON, ahead))

    def read(self, seed: int = 0, dtype: torch.dtype = torch.float32) -> tuple[list[Encoded], Steps]:
        past, following = _pair(
            drawn(seed + 1, dtype)(len(ROWS), LOOKBACK + HORIZON, self.spec.size).cumsum(1) + 3, self.spec
        )
        return self.encoded(self.build(), past, seed), without(following, [HORIZON + 2])

    def encoded(self, head: Head, past: Steps, seed: int = 0) -> list[Encoded]:
        options = {"bidirectional": False, "hidden_size": WIDTH, "embedding_size": 3}
        dtype = past.values.dtype
        encoder: Encoder = seeded(lambda: registry.make("encoders", "recurrent", (self.spec,), options), dtype)
        own = encoder.requires_grad_(False).encode(head.prepare_input(past))._replace(source=Source(past, encoder))
        return [own, *_inputs.read(INPUTS[self.inputs], seed, dtype)]

    def differentiable(self, *read: Any) -> list[Tensor]:
        return []

    def truths(self, truth: Steps) -> Iterable[Steps]:
        return [truth, *(without(truth, steps) for steps in GAPS)]

    def run(self, head: Predictor, encoded: list[Encoded], truth: Steps) -> dict[str, Any]:
        answer = head.predict(encoded)
        quantiles = {level: answer.steps.with_values(values) for level, values in (answer.quantiles or {}).items()}
        return {"forecasts": answer.steps, "quantiles": quantiles} | super().run(head, encoded, truth)

    def waves(self, seed: int) -> tuple[Steps, Steps]:
        """Windows of waves with noise, and what follows: what a linear map forecasts well."""
        draw, places = drawn(seed), torch.arange(LOOKBACK + HORIZON)[None, :, None]
        wave = torch.sin(draw(len(ROWS), 1, 1) * 3 + places * 1.1).expand(-1, -1, self.spec.size)
        return _pair(wave + draw(*wave.shape) / 20, self.spec)

    def mean_loss(self, head: Head, pairs: Pairs) -> float:
        losses = [head.loss(self.encoded(head, past), following) for past, following in pairs]
        return sum(loss.total.item() for loss in losses) / sum(loss.count for loss in losses)


def _pair(values: Tensor, spec: Values) -> tuple[Steps, Steps]:
    """Windows (B, LOOKBACK + HORIZON, size) without gaps, and what follows each."""
    values[..., spec.channels :] = 0
    parts = values[:, :LOOKBACK], values[:, LOOKBACK:]
    past, following = (Steps(part.flatten(0, 1), Layout.equal(*part.shape[:2])) for part in parts)
    return past, following


def without(steps: Steps, places: Sequence[int]) -> Steps:
    """These steps, the first number of some missing."""
    values = steps.values.clone()
    values[list(places), 0] = math.nan
    return steps.with_values(values)


@torch.no_grad()
def what_is_missing_counts_nothing(case: Forecasting) -> None:
    """Each number that is there counts."""
    head, (encoded, truth) = case.made()
    for some in case.truths(truth):
        known = int((~some.values[:, : case.spec.channels].isnan()).sum())
        assert int(head.score(encoded, some).num_targets.sum()) == known


@torch.no_grad()
def gaps_are_read(case: Forecasting) -> None:
    """A window with gaps, or without a number, has a finite forecast; signs of gaps are forecast as 0."""
    head, (encoded, _) = case.made()
    for steps in ([2], [0, LOOKBACK - 1], range(LOOKBACK)):
        past = without(encoded[0].source.values, steps)
        values = head.predict([case.encoded(head, past)[0], *encoded[1:]]).steps.values
        assert bool(values.isfinite().all()) and values.shape == (len(ROWS) * HORIZON, case.spec.size)
        assert not values[:, case.spec.channels :].any()


@torch.no_grad()
def quantiles_rise(case: Forecasting) -> None:
    """Quantiles never cross, and the forecast is the median."""
    head, (encoded, _) = case.made()
    answer = head.predict(encoded)
    if answer.quantiles is not None:
        values = torch.stack(list(answer.quantiles.values()))
        assert bool((values.diff(dim=0) >= 0).all()) and torch.equal(answer.quantiles[0.5], answer.steps.values)


@torch.no_grad()
def a_warm_start_is_repeatable_and_gains(case: Forecasting) -> None:
    """A warm start gives the same bits each time, and a loss on its windows that is no higher than before."""
    early, late = ([case.waves(seed) for seed in seeds] for seeds in (range(12), range(12, 18)))
    results = []
    for _ in range(2):
        torch.manual_seed(0)
        head = case.build().eval()
        before = case.mean_loss(head, early)
        note = head.warm_start(lambda: (early, late))
        results.append(list(head.parameters()))
        assert note is None or case.mean_loss(head, early) <= before + 1e-6, f"{note}: worse than before"
    assert same(*results) and all(bool(parameter.isfinite().all()) for parameter in results[0])


LAWS = (
    *_heads.LAWS,
    beside_itself_it_is_the_same,
    what_is_missing_counts_nothing,
    gaps_are_read,
    quantiles_rise,
    a_warm_start_is_repeatable_and_gains,
)


def cases(member: Member) -> list[Forecasting]:
    """One for each kind of step and all inputs that the head takes; others it must refuse by ConfigError."""
    return _modules.taken(Forecasting, [(member, spec, inputs) for spec in SPECS for inputs in INPUTS])


def fingerprint(member: Member) -> list[Tensor]:
    """Of the richest case, also once its intervals are calibrated."""
    case = cases(member)[-1]
    head, read = case.made()
    head.calibrate(lambda: iter([read]))
    return [*_modules.fingerprint([case]), *_modules.values(case.run(head, *read))]
