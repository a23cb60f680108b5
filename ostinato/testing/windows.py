"""The laws of heads that forecast windows of series, as plain functions: each takes a way to make the head and the
name of what it reads, and fails by AssertionError."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ostinato import registry
from ostinato.encoders.contract import Encoded, Encoder, Source
from ostinato.errors import ConfigError
from ostinato.heads.contract import Pairs, Predictor, Sizes, Span, predicted, scored
from ostinato.modalities.contract import Values
from ostinato.steps import Layout, Steps
from ostinato.testing._tools import Member, drawn, near, options_matter

Make = Callable[..., Predictor]
"""A head from what its output is, what its inputs bring and the span of a window."""

LOOKBACK, HORIZON, ROWS = 8, 4, 5
SPECS = (Values(1), Values(2), Values(3, signs=1))
"""One channel, two, and two of which one has gaps."""
INPUTS = {"series": (False,), "series, covariates and constants": (False, True, False)}
"""What is read: the series alone, or something known ahead and something of the whole series too."""
WIDTHS = (5, 4, 3)


class Case:
    """A head and what it reads, by seed; every parameter is off its first value.

    Args:
        make: of the head.
        spec: of a step of the series.
        ahead: of each input, whether it is known ahead.
        dtype: of all numbers.
    """

    def __init__(self, make: Make, spec: Values, ahead: tuple[bool, ...], dtype: torch.dtype = torch.float32):
        self.spec, self.ahead, self.dtype = spec, ahead, dtype
        torch.manual_seed(0)
        size = {"bidirectional": False, "hidden_size": WIDTHS[0], "embedding_size": 3}
        self.encoder: Encoder = registry.make("encoders", "recurrent", (spec,), size).to(dtype).eval()
        sizes = [Sizes(width if k < 2 else None, width) for k, width in zip(range(len(ahead)), WIDTHS)]
        self.head = make(spec, sizes, Span(LOOKBACK, HORIZON, ahead)).to(dtype).eval()
        with torch.no_grad():
            for parameter in self.head.parameters():
                parameter += 0.3 * torch.randn_like(parameter)

    def windows(self, seed: int = 1) -> Tensor:
        """(ROWS, LOOKBACK + HORIZON, size) a walk of each channel; signs of gaps are 0."""
        values = drawn(seed, self.dtype)(ROWS, LOOKBACK + HORIZON, self.spec.size).cumsum(1) + 3
        values[..., self.spec.channels :] = 0
        return values

    def encoded(self, windows: Tensor, seed: int = 2) -> list[Encoded]:
        past = steps_of(windows[:, :LOOKBACK])
        draw = drawn(seed, self.dtype)
        own = self.encoder.encode(self.head.prepare_input(past))._replace(source=Source(past, self.encoder))
        covariates = steps_of(draw(len(windows), LOOKBACK + HORIZON, WIDTHS[1]))
        constants = Encoded(None, draw(len(windows), WIDTHS[2]), None)
        return [own, Encoded(covariates, draw(len(windows), WIDTHS[1]), None), constants][: len(self.ahead)]

    def targets(self, windows: Tensor) -> Steps:
        return steps_of(windows[:, LOOKBACK:])


def steps_of(values: Tensor) -> Steps:
    return Steps(values.flatten(0, 1), Layout.equal(*values.shape[:2]))


def build(member: Member) -> Predictor:
    """The head for one channel, or ConfigError."""
    return Case(member, SPECS[0], INPUTS["series"]).head


def run(member: Member) -> None:
    """Every law of `LAWS`, for every kind of step and all inputs that it takes, and the law of options."""
    build(member)
    for spec in SPECS:
        for inputs, ahead in INPUTS.items():
            try:
                Case(member, spec, ahead)
            except ConfigError:
                continue
            for law in LAWS:
                law(member, spec, inputs)
    with torch.no_grad():
        options_matter(member, _fingerprint, TRIED)


TRIED: dict[str, tuple[int, ...]] = dict(samples=(30,), linear=(3,), steps=(3,), season=(3,))
"""Values of options that are small enough for these windows."""


@torch.no_grad()
def loss_is_minus_score(make: Make, spec: Values, inputs: str) -> None:
    """Out of training the loss is minus the score, over as many numbers; a number that is missing is in neither."""
    case = Case(make, spec, INPUTS[inputs])
    windows = case.windows()
    encoded = case.encoded(windows)
    for gaps in ([], [(0, LOOKBACK)], [(1, LOOKBACK + 1), (1, LOOKBACK + HORIZON - 1), (2, LOOKBACK)]):
        truth = windows.clone()
        for row, step in gaps:
            truth[row, step, 0] = math.nan
        loss, score = case.head.loss(encoded, case.targets(truth)), case.head.score(encoded, case.targets(truth))
        near(loss.total, -score.log_probability.sum(), "loss and score")
        assert loss.count == int(score.num_targets.sum()) == ROWS * HORIZON * spec.channels - len(gaps)


@torch.no_grad()
def company_changes_nothing(make: Make, spec: Values, inputs: str) -> None:
    """Law b: a window has the same forecast and score alone, among others and in any order."""
    case = Case(make, spec, INPUTS[inputs])
    windows = case.windows()
    encoded, truth = case.encoded(windows), case.targets(windows)
    whole, score = case.head.predict(encoded), case.head.score(encoded, truth)
    for rows in [*([row] for row in range(ROWS)), [3, 0, 4, 2, 1], [1, 1]]:
        some = torch.tensor(rows)
        mine = [read.select(some) for read in encoded]
        near(case.head.predict(mine).steps.values, whole.steps.select(some).values, f"forecasts of rows {rows}")
        own = case.head.score(mine, truth.select(some)).log_probability
        near(own, score.log_probability[some], f"scores of rows {rows}")


@torch.no_grad()
def no_later_value_is_read(make: Make, spec: Values, inputs: str) -> None:
    """Law k: what follows a window changes nothing of its forecast."""
    case = Case(make, spec, INPUTS[inputs])
    windows = case.windows()
    later = windows.clone()
    later[:, LOOKBACK:, : spec.channels] += 9
    before, after = (case.head.predict(case.encoded(values)).steps.values for values in (windows, later))
    assert torch.equal(before, after)


@torch.no_grad()
def gaps_are_read(make: Make, spec: Values, inputs: str) -> None:
    """A window with gaps, or without a number, has a finite forecast; signs of gaps are forecast as 0."""
    case = Case(make, spec, INPUTS[inputs])
    for steps in ([2], [0, LOOKBACK - 1], range(LOOKBACK)):
        windows = case.windows()
        windows[0, list(steps), 0] = math.nan
        values = case.head.predict(case.encoded(windows)).steps.values
        assert bool(values.isfinite().all()) and values.shape == (ROWS * HORIZON, spec.size)
        assert not values[:, spec.channels :].any()


@torch.no_grad()
def quantiles_rise(make: Make, spec: Values, inputs: str) -> None:
    """Quantiles never cross, and the forecast is the median."""
    case = Case(make, spec, INPUTS[inputs])
    answer = case.head.predict(case.encoded(case.windows()))
    if answer.quantiles is None:
        return
    values = torch.stack(list(answer.quantiles.values()))
    assert bool((values.diff(dim=0) >= 0).all()) and torch.equal(answer.quantiles[0.5], answer.steps.values)


@torch.no_grad()
def every_input_is_read(make: Make, spec: Values, inputs: str) -> None:
    """Another value of any input gives another score."""
    case = Case(make, spec, INPUTS[inputs])
    windows = case.windows()
    encoded, other = case.encoded(windows), case.encoded(case.windows(seed=7), seed=8)
    before = case.head.score(encoded, case.targets(windows)).log_probability
    for place in range(len(encoded)):
        changed = [other[k] if k == place else read for k, read in enumerate(encoded)]
        after = case.head.score(changed, case.targets(windows)).log_probability
        assert not torch.allclose(before, after), f"input {place} is not read"


def gradients_are_right(make: Make, spec: Values, inputs: str) -> None:
    """Law c: gradients agree with finite differences in float64, values missing or not; every parameter has one."""
    case = Case(make, spec, INPUTS[inputs], torch.float64)
    windows = case.windows()
    windows[1, LOOKBACK + 1, 0] = math.nan
    encoded, truth = case.encoded(windows), case.targets(windows)
    parameters = tuple(case.head.parameters())
    assert torch.autograd.gradcheck(partial(_total, case.head, encoded, truth), parameters, fast_mode=True)
    case.head.loss(encoded, truth).total.backward()
    for name, parameter in case.head.named_parameters():
        assert parameter.grad is not None and bool(parameter.grad.isfinite().all()) and bool(parameter.grad.any()), name


def small_batches_are_one_large(make: Make, spec: Values, inputs: str) -> None:
    """Law l: losses, counts and gradients of parts of a batch add up to those of the whole."""
    case = Case(make, spec, INPUTS[inputs], torch.float64)
    windows = case.windows()
    with torch.no_grad():
        encoded, truth = case.encoded(windows), case.targets(windows)
    whole, parts = case.head, copy.deepcopy(case.head)
    loss = whole.loss(encoded, truth)
    loss.total.backward()
    total, count = torch.zeros((), dtype=torch.float64), 0
    for rows in ([0, 1], [2], [4, 3]):
        some = torch.tensor(rows)
        part = parts.loss([read.select(some) for read in encoded], truth.select(some))
        part.total.backward()
        total, count = total + part.total.detach(), count + part.count
    near(total, loss.total.detach(), "the sum of the parts' losses")
    assert count == loss.count
    for (name, parameter), other in zip(whole.named_parameters(), parts.parameters(), strict=True):
        near(other.grad, parameter.grad, f"the gradient of {name}")


@torch.no_grad()
def beside_itself_it_is_the_same(make: Make, spec: Values, inputs: str) -> None:
    """The mean of a distribution and of the same once and twice more gives its own scores and forecasts."""
    case = Case(make, spec, INPUTS[inputs])
    windows = case.windows()
    encoded, truth = case.encoded(windows), case.targets(windows)
    for known in (None, truth):
        own = case.head.predict_distribution(encoded, known)
        for others in ([own], [own, own]):
            near(predicted(own.mean_of(others)).steps.values, predicted(own).steps.values, "forecasts")
            near(scored(own.mean_of(others), truth).log_probability, scored(own, truth).log_probability, "scores")


@torch.no_grad()
def weights_are_all_there_is(make: Make, spec: Values, inputs: str) -> None:
    """Law f: another head with these weights predicts the same bits."""
    case = Case(make, spec, INPUTS[inputs])
    encoded = case.encoded(case.windows())
    torch.manual_seed(5)
    other = Case(make, spec, INPUTS[inputs]).head
    other.load_state_dict(case.head.state_dict())
    assert torch.equal(case.head.predict(encoded).steps.values, other.predict(encoded).steps.values)


@torch.no_grad()
def a_warm_start_is_repeatable_and_gains(make: Make, spec: Values, inputs: str) -> None:
    """A warm start gives the same bits each time, and a loss on its windows that is no higher than before."""
    case = Case(make, spec, INPUTS[inputs])
    sizes = [Sizes(width if k < 2 else None, width) for k, width in zip(range(len(case.ahead)), WIDTHS)]
    early, late = ([_waves(case, seed) for seed in seeds] for seeds in (range(12), range(12, 18)))
    heads = []
    for _ in range(2):
        torch.manual_seed(0)
        case.head = make(spec, sizes, Span(LOOKBACK, HORIZON, case.ahead)).eval()
        before = _loss_of(case, early)
        note = case.head.warm_start(lambda: (early, late))
        heads.append(case.head)
        assert note is None or _loss_of(case, early) <= before + 1e-6, f"{note}: worse than before"
    for parameter, other in zip(heads[0].parameters(), heads[1].parameters(), strict=True):
        assert torch.equal(parameter, other) and bool(parameter.isfinite().all())


def same_seed_same_bits(make: Make, spec: Values, inputs: str) -> None:
    """Law i: one seed gives one loss and one set of gradients, also while training."""
    runs = []
    for _ in range(2):
        case = Case(make, spec, INPUTS[inputs])
        windows = case.windows()
        torch.manual_seed(3)
        loss = case.head.train().loss(case.encoded(windows), case.targets(windows)).total
        loss.backward()
        runs.append([loss, *(parameter.grad for parameter in case.head.parameters())])
    assert all(torch.equal(first, other) for first, other in zip(*runs, strict=True))


LAWS = (
    loss_is_minus_score,
    company_changes_nothing,
    no_later_value_is_read,
    gaps_are_read,
    quantiles_rise,
    every_input_is_read,
    gradients_are_right,
    small_batches_are_one_large,
    beside_itself_it_is_the_same,
    weights_are_all_there_is,
    a_warm_start_is_repeatable_and_gains,
    same_seed_same_bits,
)


def _waves(case: Case, seed: int) -> tuple[Steps, Steps]:
    """Windows of waves with noise: what a linear map forecasts well."""
    draw = drawn(seed, case.dtype)
    phase, places = draw(ROWS, 1, 1), torch.arange(LOOKBACK + HORIZON)[None, :, None]
    values = torch.sin(phase * 3 + places * 1.1).expand(-1, -1, case.spec.size) + draw(*case.windows().shape) / 20
    values[..., case.spec.channels :] = 0
    return steps_of(values[:, :LOOKBACK]), steps_of(values[:, LOOKBACK:])


def _loss_of(case: Case, pairs: Pairs) -> float:
    total, count = 0.0, 0
    for past, following in pairs:
        shape = len(past.layout), -1
        windows = torch.cat([past.values.unflatten(0, shape), following.values.unflatten(0, shape)], 1)
        loss = case.head.loss(case.encoded(windows), following)
        total, count = total + loss.total.item(), count + loss.count
    return total / count


def _total(head: Predictor, encoded: Sequence[Encoded], truth: Steps, *_: Tensor) -> Tensor:
    """The loss; gradcheck moves its inputs in place, so that they need not be read from the arguments."""
    return head.loss(encoded, truth).total


def _fingerprint(member: Member) -> list[Any]:
    """The loss in training, the forecast, its quantiles once calibrated, then parameters, of the inputs that it
    takes."""
    case = _richest(member)
    windows = case.windows()
    torch.manual_seed(3)
    loss = case.head.train().loss(case.encoded(windows), case.targets(windows)).total
    encoded = case.encoded(windows)
    forecast = case.head.eval().predict(encoded).steps.values
    case.head.calibrate(lambda: iter([(encoded, case.targets(windows))]))
    calibrated = list((case.head.predict(encoded).quantiles or {}).values())
    torch.manual_seed(0)
    sizes = [Sizes(width, width) for width in WIDTHS[: len(case.ahead)]]
    first = member(SPECS[1], sizes, Span(LOOKBACK, HORIZON, case.ahead))
    return [loss.detach(), forecast, *calibrated, *(parameter.detach() for parameter in first.parameters())]


def _richest(member: Member) -> Case:
    """The head above all inputs, or above the series alone where it reads no other."""
    *others, alone = reversed(INPUTS.values())
    for ahead in others:
        try:
            return Case(member, SPECS[1], ahead)
        except ConfigError:
            continue
    return Case(member, SPECS[1], alone)
