"""What the laws of all heads share: outputs to try a head on, targets that it allows, and its losses."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ostinato import alignments
from ostinato.encoders.contract import Encoded, Sizes
from ostinato.heads.contract import Head
from ostinato.modalities.contract import MISSING, Labels, Spec, Values
from ostinato.steps import Layout, Steps
from ostinato.testing import _inputs, _modules
from ostinato.testing._inputs import FIRST, INPUTS
from ostinato.testing._modules import ROWS, Case
from ostinato.testing._stepwise import TARGETS
from ostinato.testing._tools import drawn, near


@dataclass(frozen=True)
class Answering(Case):
    """A head that reads encoded inputs and targets."""

    make: Callable[[Spec, Sequence[Sizes]], Any]
    spec: Spec
    inputs: str = "one"

    def read(self, seed: int = 0, dtype: torch.dtype = torch.float32) -> tuple[list[Encoded], Steps]:
        encoded = _inputs.read(INPUTS[self.inputs], seed, dtype)
        return encoded, targets(self.build(encoded), self.spec, seed=seed + 1, dtype=dtype)

    def build(self, encoded: list[Encoded], *_: Steps) -> Any:
        return self.make(self.spec, _inputs.sizes_of(encoded))

    def differentiable(self, *read: Any) -> list[Tensor]:
        return _modules.numbers(read[0])

    def losses(self, head: Head, encoded: list[Encoded], truth: Steps) -> list[Tensor]:
        return [head.loss(encoded, some).total for some in self.truths(truth)]

    def run(self, head: Head, encoded: list[Encoded], truth: Steps) -> dict[str, Any]:
        score = head.score(encoded, truth)
        return {"scores": score.log_probability, "numbers": score.num_targets, "right": score.num_right}

    def truths(self, truth: Steps) -> Iterable[Steps]:
        """The targets, and without some of them where they may be missing."""
        return [truth]


def targets(head: Head, spec: Spec, *, seed: int = 1, dtype: torch.dtype = torch.float32) -> Steps:
    """Targets that the head allows, drawn by seed."""
    allowed = alignments.named(min(head.aligns)).targets_allowed
    most = [(allowed(length)[1], free) for length, free in zip(FIRST.lengths or (), TARGETS)]
    layout = Layout([free if limit is None else limit for limit, free in most])
    random = torch.Generator().manual_seed(seed)
    if isinstance(spec, Values):
        return Steps(drawn(seed, dtype)(layout.total, spec.size), layout)
    if isinstance(spec, Labels) and spec.multilabel:
        return Steps(torch.randint(2, (layout.total, spec.size), generator=random).to(dtype), layout)
    if isinstance(spec, Labels):
        possible = [
            [labels for labels in answers(spec, n) if is_legal(spec, labels.tolist())] for n in layout.lengths.tolist()
        ]
        return Steps.of([every[int(torch.randint(len(every), (), generator=random))] for every in possible])
    # As long as they may be where all symbols are equal, so that other draws are as long.
    source, steps = torch.tensor(FIRST.lengths), Steps(torch.full((layout.total,), 2), layout)
    while not bool((fits := head.targets_allowed(source, steps)).all()):
        steps = Steps.of([target if fit else target[:-1] for target, fit in zip(steps.split(), fits)])
    return steps.with_values(torch.randint(2, spec.size, (steps.layout.total,), generator=random))


def answers(spec: Labels, length: int) -> Tensor:
    """All answers of `length` steps, (K, length) or with several (K, length, V); illegal ones too."""
    step = list(itertools.product((0.0, 1.0), repeat=spec.size)) if spec.multilabel else range(spec.size)
    every = list(itertools.product(step, repeat=length))
    numbers = torch.tensor(every, dtype=torch.float32 if spec.multilabel else torch.int64)
    return numbers.view(len(every), length, *((spec.size,) if spec.multilabel else ()))


def is_legal(spec: Labels, labels: Sequence[int]) -> bool:
    legal = spec.legal
    if legal is None or not len(labels):
        return True
    inner = all(legal.follows[first][second] for first, second in itertools.pairwise(labels))
    return legal.starts[labels[0]] and legal.ends[labels[-1]] and inner


def without(truth: Steps, steps: Sequence[int]) -> Steps:
    """These targets, those of some steps being missing."""
    values = truth.values.clone()
    values[[step for step in steps if step < len(values)]] = math.nan if values.is_floating_point() else MISSING
    return truth.with_values(values)


@torch.no_grad()
def loss_is_minus_score(case: Answering) -> None:
    """Out of training the loss is minus the log-probability, over as many targets, whatever is missing, also of rows
    without steps and of no row."""
    head, (encoded, truth) = case.made()
    for rows, some in itertools.product((ROWS, [1, 1], *[[]] * case.may_be_empty), case.truths(truth)):
        read = _modules.pick((encoded, some), rows)
        loss, score = head.loss(*read), head.score(*read)
        near(loss.total, -score.log_probability.sum(), f"loss and score of rows {rows}", floor=case.floor)
        assert loss.count == int(score.num_targets.sum()), f"{loss.count} targets in the loss of rows {rows}"


def small_batches_are_one_large(case: Answering) -> None:
    """Law l: losses, numbers of targets and gradients of parts of a batch add up to those of the whole."""
    whole, (encoded, truth) = case.made(torch.float64)
    whole = case.without_chance(whole)
    pieces, total, count = copy.deepcopy(whole), torch.zeros((), dtype=torch.float64), 0
    loss = whole.loss(encoded, truth)
    loss.total.backward()
    for rows in ([0, 1], [2], [4, 3]):
        part = pieces.loss(*_modules.pick((encoded, truth), rows))
        part.total.backward()
        total, count = total + part.total.detach(), count + part.count
    near(total, loss.total.detach(), "the sum of the losses of parts")
    assert count == loss.count
    for (name, parameter), other in zip(whole.named_parameters(), pieces.parameters(), strict=True):
        near(other.grad, parameter.grad, f"the gradient of {name}")


LAWS = (*_modules.LAWS, _modules.every_input_is_read, loss_is_minus_score, small_batches_are_one_large)
"""Of every head."""
