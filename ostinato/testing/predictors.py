"""The laws of heads that predict at once: each takes a `Predicting`, a head, its output and what it reads, and fails by
AssertionError."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ostinato.distributions.contract import Distribution
from ostinato.encoders.contract import Encoded
from ostinato.heads.contract import Predictor, predicted, scored
from ostinato.modalities.contract import Labels, Symbols, Values
from ostinato.steps import Layout, Steps
from ostinato.testing import _heads, _modules
from ostinato.testing._heads import Answering, answers, without
from ostinato.testing._tools import near, same

GAPS: tuple[Sequence[int], ...] = ([1], [0, 3, 4], range(100))
"""Steps of targets that may be missing: one, some, all."""


@dataclass(frozen=True)
class Predicting(Answering):
    """A head whose prediction is computed at once; one step of the targets is missing."""

    floor = 1.0

    def read(self, seed: int = 0, dtype: torch.dtype = torch.float32) -> tuple[list[Encoded], Steps]:
        encoded, truth = super().read(seed, dtype)
        return encoded, truth if isinstance(self.spec, Symbols) else without(truth, [2])

    def truths(self, truth: Steps) -> Iterable[Steps]:
        gaps = [] if isinstance(self.spec, Symbols) else GAPS
        return [truth, *(without(truth, steps) for steps in gaps)]

    def without_chance(self, head: Predictor) -> Predictor:
        """In training, but without dropout."""
        head.dropout = 0.0
        return head.train()

    def run(self, head: Predictor, encoded: list[Encoded], truth: Steps) -> dict[str, Any]:
        return super().run(head, encoded, truth) | _answer(head.predict_distribution(encoded))

    def scores(self, head: Predictor, encoded: list[Encoded], row: int, every: Tensor) -> Tensor:
        """The log-probability of each of these answers (K, T, ...) to one example."""
        truth = Steps(every.flatten(0, 1), Layout.equal(len(every), every.shape[1]))
        return head.score(_modules.pick(encoded, [row] * len(every)), truth).log_probability


def _answer(distribution: Distribution) -> dict[str, Any]:
    answer = predicted(distribution)
    odds = answer.probabilities
    return {
        "answers": answer.steps,
        "scores of the answers": answer.log_probability,
        "probabilities": None if odds is None else answer.steps.with_values(odds),
    }


@torch.no_grad()
def scoring_is_out_of_training(case: Predicting) -> None:
    """Scores and answers are the same bits in training and out of it: nothing is dropped, smoothed or weighed."""
    head, read = case.made()
    results = [_modules.values(case.run(head.train(training), *read)) for training in (True, False)]
    assert same(*results), "scores or answers in training are others"


def what_is_missing_counts_nothing(case: Predicting) -> None:
    """Steps without a target are not counted and leave gradients finite; where none has one, the loss is 0. Symbols are
    never missing."""
    if isinstance(case.spec, Symbols):
        return
    head, (encoded, truth) = case.made()
    numbers = case.spec.size if isinstance(case.spec, Values) else 1
    for some in case.truths(truth):
        head.train().zero_grad()
        loss, score, values = head.loss(encoded, some), head.score(encoded, some), some.values
        loss.total.backward()
        gradients = [parameter.grad for parameter in head.parameters() if parameter.grad is not None]
        assert all(bool(gradient.isfinite().all()) for gradient in gradients), "a missing target has infinite gradients"
        known = ~values.view(len(values), -1).isnan().any(1) if values.is_floating_point() else values >= 0
        counts = some.layout.sums(known.long()) * numbers
        assert torch.equal(score.num_targets, counts), f"{score.num_targets.tolist()} targets of {counts.tolist()}"
        assert loss.count == int(counts.sum()), f"{loss.count} targets in the loss, not {int(counts.sum())}"
        assert bool((score.num_right <= score.num_targets).all())
        near(score.log_probability[counts == 0], torch.zeros(int((counts == 0).sum())), "scores of no targets")
        if not counts.any():
            assert not float(loss.total.detach()), "the loss of no targets"
            assert not any(bool((gradient.abs() > 1e-6).any()) for gradient in gradients), "a gradient of no targets"


@torch.no_grad()
def the_answer_is_the_best(case: Predicting) -> None:
    """The score of the answer is the one that goes with it, and no answer has a higher one; where it is a sequence of
    symbols, a head may search for less than the best."""
    head, (encoded, _) = case.made()
    predictions = head.predict(encoded)
    score = head.score(encoded, predictions.steps)
    near(score.log_probability, predictions.log_probability, "the score of the answer", floor=case.floor)
    assert torch.equal(score.num_right.long(), score.num_targets), "the answer is not what a score calls right"
    if isinstance(case.spec, Symbols):
        return
    for row, answer in enumerate(predictions.steps.split()):
        nearby = torch.tensor([-0.01, 0.01])[:, None, None]
        others = answers(case.spec, len(answer)) if isinstance(case.spec, Labels) else answer + nearby
        best = float(case.scores(head, encoded, row, others).max())
        own = float(predictions.log_probability[row])
        assert best <= own + 1e-5 * max(1.0, abs(best)), f"row {row} has a better answer"


@torch.no_grad()
def probabilities_are_shares_of_all_answers(case: Predicting) -> None:
    """The probabilities of all answers add up to 1, and a label's at a step is that of all answers which have it
    there."""
    if not isinstance(case.spec, Labels):
        return
    head, (encoded, _) = case.made(torch.float64)
    predictions = head.predict(encoded)
    assert predictions.probabilities.shape == (len(predictions.steps.values), case.spec.size)
    for row, shares in enumerate(predictions.steps.with_values(predictions.probabilities).split()):
        every = answers(case.spec, len(shares))
        odds = case.scores(head, encoded, row, every).exp()
        near(odds.sum(), odds.new_ones(()), f"the sum over all answers to row {row}")
        labels = every if case.spec.multilabel else nn.functional.one_hot(every.long(), case.spec.size)
        near(shares, (odds.view(-1, 1, 1) * labels).sum(0), f"the probabilities of row {row}")


@torch.no_grad()
def beside_itself_it_is_the_same(case: Predicting) -> None:
    """The mean of a head's distribution and of the same once and twice more gives its own scores and answers."""
    head, (encoded, truth) = case.made()
    own, told = head.predict_distribution(encoded), head.predict_distribution(encoded, truth)
    for count in (0, 1, 2):
        _modules.near_trees(_answer(own.mean_of([own] * count)), _answer(own), "of equals", floor=case.floor)
        score = scored(told.mean_of([told] * count), truth).log_probability
        near(score, scored(told, truth).log_probability, "scores of equals", floor=case.floor)


@torch.no_grad()
def products_of_half_precision_make_whole_losses(case: Predicting) -> None:
    """Under autocast to bfloat16 losses, scores and answers are still float32, and near those without."""
    head, (encoded, truth) = case.made()
    expected = float(head.loss(encoded, truth).total)
    with torch.autocast("cpu", torch.bfloat16):
        loss, results = head.loss(encoded, truth).total, _modules.values(case.run(head, encoded, truth))
    assert {part.dtype for part in (loss, *results)} <= {torch.float32, torch.int64}
    assert abs(float(loss) - expected) <= 0.05 * max(1.0, abs(expected)), f"{loss} and {expected}"


LAWS = (
    *_heads.LAWS,
    scoring_is_out_of_training,
    what_is_missing_counts_nothing,
    the_answer_is_the_best,
    probabilities_are_shares_of_all_answers,
    beside_itself_it_is_the_same,
    products_of_half_precision_make_whole_losses,
)
