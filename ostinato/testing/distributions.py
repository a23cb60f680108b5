"""The laws of distributions, as plain functions: each takes a `Case`, and fails by AssertionError.

from ostinato.testing import distributions, laws
distributions.CASES[Mine] = [distributions.Case(Mine, parameters, every, missing)]
laws.run("distributions", Mine)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ostinato.distributions.contract import LEVELS, Distribution
from ostinato.errors import ConfigError
from ostinato.testing._tools import Check, Member, near

TRIED: dict[str, Any] = {}
SAMPLES = 40_000
GRID = torch.linspace(-400, 400, 1_600_001, dtype=torch.float64)
"""Numbers close enough for integrals of densities of scale 1/2 and more; far enough for the tails of a t of 3 degrees
of freedom."""


@dataclass(frozen=True)
class Case:
    """A distribution to try, of one row that is repeated.

    Args:
        make: makes it from parameters with a row each.
        parameters: of one row, float64.
        every: all targets that a row may have, one for each of as many rows; None where a target is one real number.
        missing: the target of one row of which nothing is known.
        uniform: the shape of the uniform numbers that a sample of one row takes, but for the rows.
    """

    make: Callable[..., Distribution]
    parameters: tuple[Tensor, ...]
    every: Tensor | None
    missing: Tensor
    uniform: tuple[int, ...] = ()

    def of(self, rows: int, parameters: tuple[Tensor, ...] | None = None) -> Distribution:
        """So many equal rows."""
        return self.make(*(part.expand(rows, *part.shape[1:]) for part in parameters or self.parameters))

    def targets(self) -> tuple[int, Tensor]:
        """How many rows have a target each of all there are, or of numbers near the mode."""
        if self.every is not None:
            return len(self.every) // len(self.missing), self.every
        apart = torch.linspace(-3, 3, 13).double().view(-1, *[1] * (self.missing.ndim - 1))
        return len(apart), self.of(1).mode() + apart

    def density(self) -> Tensor:
        """At every number of the grid."""
        target = GRID.view(-1, *[1] * (self.missing.ndim - 1))
        return torch.cat([self.of(len(part)).log_prob(part).exp() for part in target.split(200_000)])

    def below(self, values: Tensor) -> Tensor:
        """The probability of a number below each of these."""
        return torch.cumulative_trapezoid(self.density(), GRID)[torch.searchsorted(GRID, values.contiguous()) - 1]


CASES: dict[type, list[Case]] = {}
"""By the class: what its laws try. A distribution is made from tensors that it alone knows, so that its package adds
them."""


def checks(member: Member) -> list[Check]:
    """Every law of `LAWS` on every case of a distribution."""
    if member.cls not in CASES:
        raise ConfigError(
            f"{member.cls.__name__}: a distribution is made from tensors that it alone knows; put a Case of it into"
            " ostinato.testing.distributions.CASES"
        )
    cases = enumerate(CASES[member.cls], 1)
    return [(f"{law.__name__}, case {number}", partial(law, case)) for number, case in cases for law in LAWS]


def what_it_lacks_is_refused(case: Case) -> None:
    """log_prob, sample and quantile work, or are refused with a reason."""
    single = case.of(1)
    calls: dict[str, Callable[[], Any]] = {
        "log_prob": lambda: single.log_prob(single.mode()),
        "sample": lambda: single.sample(torch.full((1, *case.uniform), 0.3, dtype=torch.float64)),
        "quantile": lambda: single.quantile([0.5]),
    }
    for name, call in calls.items():
        try:
            call()
        except ConfigError as why:
            assert name in single.lacks and single.lacks[name] in str(why), f"{name}: {why}"
        else:
            assert name not in single.lacks, f"{name} is lacking, and not refused"


def probabilities_sum_to_one(case: Case) -> None:
    """Over all targets, or as an integral over all numbers."""
    if "log_prob" in case.of(1).lacks:
        return
    rows, every = case.targets()
    total = torch.trapezoid(case.density(), GRID) if case.every is None else case.of(rows).log_prob(every).exp().sum()
    assert abs(float(total) - 1) < (1e-3 if case.every is None else 1e-5), f"probabilities sum to {float(total)}"


def the_mode_scores_best(case: Case) -> None:
    """No target has a higher score than the mode, which is right."""
    single, (rows, targets) = case.of(1), case.targets()
    best = float(single.score(single.mode()))
    assert float(case.of(rows).score(targets).max()) <= best + 1e-6, "a target scores higher than the mode"


def what_is_missing_is_left_out(case: Case) -> None:
    """A row without a target has no score, no loss, no count and a gradient of zero."""
    parameters = tuple(part.clone().requires_grad_() for part in case.parameters)
    whole = case.of(2, parameters)
    target = torch.cat([case.of(1).mode(), case.missing.to(case.of(1).mode())])
    score, counts = whole.score(target).detach(), whole.counts(target)
    assert abs(float(score[1])) < 1e-9 and int(counts[1]) == 0 and int(whole.right(target)[1]) == 0
    loss = whole.loss(target)
    assert loss.count == int(counts[0])
    near(loss.total.detach(), -score[0], "the loss beside a row without a target")
    nothing = case.of(1, parameters).loss(case.missing)
    assert nothing.count == 0 and float(nothing.total.detach()) == 0
    if loss.total.requires_grad:
        for gradient in torch.autograd.grad(loss.total, parameters, allow_unused=True):
            assert gradient is None or bool(gradient.isfinite().all()), "a missing target makes a gradient infinite"


def the_loss_is_minus_the_score(case: Case) -> None:
    """Where training adds nothing."""
    rows, targets = case.targets()
    whole = case.of(rows)
    score = whole.score(targets)
    if bool(score.isfinite().all()):
        near(whole.loss(targets).total, -score.sum(), "the loss")
    assert whole.loss(targets).count == int(whole.counts(targets).sum())


def quantiles_invert_the_distribution(case: Case) -> None:
    """They rise, half of them lie below the mode; so much of the density lies below each as its level says."""
    single = case.of(1)
    if "quantile" in single.lacks:
        return
    quantiles = single.quantile(LEVELS)
    assert quantiles.shape == (len(LEVELS), *single.mode().shape) and bool((quantiles.diff(dim=0) >= 0).all())
    near(quantiles[LEVELS.index(0.5)], single.mode(), "the median")
    if not {"log_prob", "sample"} & set(single.lacks):
        shares = case.below(quantiles[..., 0].flatten())
        apart = (shares - torch.tensor(LEVELS)).abs().max()
        assert apart < 2e-3, f"below the quantiles lie {shares.tolist()}"


def samples_have_its_frequencies(case: Case) -> None:
    """Among many draws each target is as frequent as it is probable; of numbers, those below any are."""
    whole = case.of(SAMPLES)
    if "sample" in whole.lacks:
        return
    random = torch.Generator().manual_seed(0)
    uniform = torch.rand(SAMPLES, *case.uniform, generator=random, dtype=torch.float64).clamp(1e-9, 1 - 1e-9)
    draws = whole.sample(uniform)
    assert draws.shape == whole.mode().shape
    if case.every is not None:
        rows, every = case.targets()
        odds = case.of(rows).log_prob(every).exp()
        shares = (draws.unsqueeze(0) == every.unsqueeze(1)).view(rows, SAMPLES, -1).all(2).double().mean(1)
    else:
        levels = torch.tensor([0.1, 0.5, 0.9]).double()
        borders = torch.quantile(draws[..., 0].flatten(), levels)
        odds, shares = case.below(borders), (draws[..., 0].flatten() < borders[:, None]).double().mean(1)
    assert float((shares - odds).abs().max()) < 0.01, f"frequencies {shares.tolist()} of {odds.tolist()}"


def the_mean_of_equals_is_itself(case: Case) -> None:
    """Also of one alone."""
    rows, targets = case.targets()
    own = case.of(rows)
    for count in (0, 1, 2):
        mean = own.mean_of([own] * count)
        near(mean.mode(), own.mode(), "the mode of equals")
        finite = own.score(targets).isfinite()
        near(mean.score(targets)[finite], own.score(targets)[finite], "the score of equals")
        assert torch.equal(mean.counts(targets), own.counts(targets))


def gradients_are_right(case: Case) -> None:
    """Of the loss, by finite differences in float64."""
    parameters = tuple(part.clone().requires_grad_() for part in case.parameters)
    target = case.of(1).mode() + (0.3 if case.every is None else 0)
    assert torch.autograd.gradcheck(lambda *parts: case.of(1, parts).loss(target).total, parameters)


LAWS = (
    what_it_lacks_is_refused,
    probabilities_sum_to_one,
    the_mode_scores_best,
    what_is_missing_is_left_out,
    the_loss_is_minus_the_score,
    quantiles_invert_the_distribution,
    samples_have_its_frequencies,
    the_mean_of_equals_is_itself,
    gradients_are_right,
)
