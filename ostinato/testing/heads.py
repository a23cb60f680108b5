"""The laws of heads: each takes a case, a head, its output and what it reads, and fails by AssertionError.

A head that forecasts windows keeps those of `windows`, another one that predicts at once those of `predictors`, and one
that generates, or continues an input, those below.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ostinato import alignments, registry
from ostinato.decoders.contract import Decoding
from ostinato.distributions.contract import Distribution, Loss
from ostinato.encoders.contract import Encoded, Sizes
from ostinato.heads.contract import Generator, Head, NextHead, Predictor, Scored, by_step
from ostinato.modalities.contract import Labels, Spec, Symbols, Values
from ostinato.model.continuation import Continuation
from ostinato.steps import Layout, Steps
from ostinato.testing import _heads, _inputs, _modules, _stepwise, predictors, windows
from ostinato.testing._heads import Answering
from ostinato.testing._inputs import INPUTS, SPEC, WIDTH
from ostinato.testing._modules import ROWS
from ostinato.testing._stepwise import Stepwise
from ostinato.testing._tools import Check, Member, Tried, all_checks, drawn, near, trained
from ostinato.testing.predictors import Predicting
from ostinato.testing.windows import Forecasting

TRIED: Tried = {"cutoffs": ([3],), **windows.TRIED}
"""Values of options that a type tells little of."""
COUNTS = (3, 1, 2)
NUMBERS = Values(3, unscaled=True)
LABELS = (
    Labels(3, counts=COUNTS),
    Labels(3, multilabel=True, counts=COUNTS),
    Labels(3, ordinal=True, counts=COUNTS),
    NUMBERS,
)
SPECS: dict[str, tuple[Spec, ...]] = {
    "summary": LABELS,
    "each": LABELS,
    "free": (SPEC, NUMBERS),
    "next": (SPEC, NUMBERS, LABELS[1]),
}
"""Outputs to try a head on, by alignment; for windows of series see `windows`."""


@dataclass(frozen=True)
class Generating(Answering, Stepwise):
    """A head that generates beside encoded inputs."""

    def delay(self, module: Any) -> int:
        return module.reduction - 1

    def outputs(self, result: Distribution, rows: int) -> Tensor:
        """(R, K) the scores of all symbols, or of a few vectors; -30 of what is as good as impossible."""
        every: Any = drawn(9)(4, self.spec.size)
        if isinstance(self.spec, Symbols):
            every = range(self.spec.size)
        elif isinstance(self.spec, Labels):
            every = _heads.answers(self.spec, 1)[:, 0]
        scores = [result.score(torch.as_tensor(step).expand(rows, *getattr(step, "shape", ()))) for step in every]
        return torch.stack(scores, 1).clamp(min=-30)


@dataclass(frozen=True)
class Continuing(Generating):
    """A head that continues an input, above an encoder of its own, which stands in the place of the first input."""

    first_input = 1

    def build(self, encoded: list[Encoded], *_: Steps) -> Continued:
        return Continued(self.make, self.spec, _inputs.sizes_of(encoded[1:]))


class Continued(nn.Module, Generator):
    """A causal encoder and a head on `next` above it."""

    def __init__(self, make: Callable[[Spec, Sequence[Sizes]], NextHead], spec: Spec, others: Sequence[Sizes]):
        super().__init__()
        options = {"bidirectional": False, "hidden_size": WIDTH, "embedding_size": WIDTH}
        self.encoder = registry.make("encoders", "recurrent", (spec,), options)
        self.head = make(spec, [Sizes(WIDTH, WIDTH), *others])
        self.head.continue_from(self.encoder)
        self.begin, self.end, self.aligns = self.head.begin, self.head.end, self.head.aligns
        self.targets_allowed = self.head.targets_allowed
        self.nothing = torch.zeros(0, *spec.stored[1], dtype=torch.int64 if isinstance(spec, Symbols) else None)

    def _encoded(self, encoded: Sequence[Encoded], targets: Steps) -> list[Encoded]:
        return [self.encoder.encode(self.head.prepare_input(targets)), *encoded[1:]]

    def loss(self, encoded: Sequence[Encoded], targets: Steps) -> Loss:
        return self.head.loss(self._encoded(encoded, targets), targets)

    def score(self, encoded: Sequence[Encoded], targets: Steps) -> Scored:
        return self.head.score(self._encoded(encoded, targets), targets)

    def start(self, encoded: Sequence[Encoded]) -> Decoding:
        nothing = Steps(self.nothing, Layout([0] * len(ROWS)))
        return self._generator().start([self.encoder.encode(nothing), *encoded[1:]])

    def extend(self, steps: Steps, state: Decoding) -> tuple[Distribution, Decoding]:
        return self._generator().extend(steps, state)

    def step(self, steps: Tensor, state: Decoding) -> tuple[Distribution, Decoding]:
        return self._generator().step(steps, state)

    def _generator(self) -> Continuation:
        return Continuation(self.encoder, self.head)


@torch.no_grad()
def scores_are_sums_over_steps(case: Generating) -> None:
    """The score of a target is the sum of its steps' and the end's, one by one; so is the number that were right."""
    head, (encoded, targets) = case.made()
    score = head.score(encoded, targets)
    prompts, truths = targets.prepended(head.begin), targets.appended(head.end)
    for row, (prompt, truth) in enumerate(zip(prompts.split(), truths.split())):
        state, total = head.start(encoded).reorder(torch.tensor([row])), torch.zeros(3)
        for step, following in zip(prompt, truth):
            distribution, state = head.step(step[None], state)
            total += by_step(distribution, following[None])[0]
        whole = torch.stack([score.log_probability[row], score.num_right[row], score.num_targets[row]])
        near(whole, total, f"score, right ones and targets of row {row}")


LAWS = tuple(dict.fromkeys((*_heads.LAWS, *_stepwise.LAWS, scores_are_sums_over_steps)))
"""The laws that hold for a head that generates, with any options."""


def cases(member: Member) -> list[Any]:
    """One for each kind of output and all inputs that the head takes; others it must refuse by ConfigError."""
    cls: Any = member.cls
    if any(alignments.named(name).windows for name in cls.aligns):
        return windows.cases(member)
    kind = Predicting if issubclass(cls, Predictor) else Continuing if issubclass(cls, NextHead) else Generating
    specs = dict.fromkeys(spec for alignment in sorted(cls.aligns) for spec in SPECS.get(alignment, ()))
    sized = member.given({"embedding_size": 5, "decoder": {"hidden_size": WIDTH}})
    return _modules.taken(kind, [(sized, spec, inputs) for spec in specs for inputs in INPUTS])


def checks(member: Member) -> list[Check]:
    """Every law of heads of its kind, and the law of options; ConfigError where the options are refused."""
    every = cases(member)
    laws = {Forecasting: windows.LAWS, Predicting: predictors.LAWS}.get(type(every[0]), LAWS)
    return all_checks(member, [(law, case) for case in every for law in laws], _fingerprint, TRIED)


def _fingerprint(member: Member) -> list[Tensor]:
    every = cases(member)
    return windows.fingerprint(member) if isinstance(every[0], Forecasting) else _modules.fingerprint(every)


def learns(
    make: Callable[[Spec, Sequence[Sizes]], Head],
    spec: Spec,
    answer: Callable[[Tensor], Tensor],
    *,
    updates: int = 150,
    seed: int = 0,
) -> float:
    """Law j: trained over a small recurrent encoder on sequences of 2 to 4 symbols, predicts what `answer` makes of
    new ones.

    Args:
        answer: one sequence (T,) of symbols from 3 to 6 to its target.
        updates: how many batches of 40 it is trained on.

    Returns: the share of examples that it gets right, of numbers those that are met within 1/2; of a head that predicts
        at once the share of steps.
    """
    torch.manual_seed(seed)
    encoder = registry.make("encoders", "recurrent", (SPEC,), {"cell": "gru", "hidden_size": 24, "embedding_size": 12})
    head = make(spec, [Sizes(encoder.steps_size, encoder.summary_size, encoder.state_sizes)])
    model = nn.ModuleList([encoder, head])

    def batch(rows: int) -> tuple[list[Encoded], Steps]:
        layout = Layout(torch.randint(2, 5, (rows,)))
        source = Steps(torch.randint(3, SPEC.size, (layout.total,)), layout)
        return [encoder.encode(source)], Steps.of([answer(symbols) for symbols in source.split()])

    def loss() -> Tensor:
        total, count, _ = head.loss(*batch(40))
        return total / count

    trained(model, loss, updates)
    model.eval()
    with torch.no_grad():
        encoded, truth = batch(300)
        if isinstance(head, Predictor):
            return ((head.predict(encoded).steps.values - truth.values).abs() < 0.5).double().mean().item()
        score = head.score(encoded, truth)
        return (score.num_right == score.num_targets).double().mean().item()
