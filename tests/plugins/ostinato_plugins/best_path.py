"""Connectionist temporal classification: a symbol or nothing at each step of the source, summed over all that spell the
target."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn import functional

from ostinato.contracts import ConfigError, Distribution, Encoded, Layout, Predictor, Sizes, Steps, Symbols


class BestPath(Predictor):
    """The symbols of the target in order, each at one or more steps of the source, and blanks between.

        p(y | x) = sum over paths that give y, once repeats are merged and blanks left out, of product over t of
        p_t(path[t])

    The answer is the most probable path, merged.

    Errors:
        ConfigError: the output has no symbols; it reads several inputs, or one without steps.

    Source: Graves et al. 2006 (ICML), sections 3 and 4.
    """

    aligns = frozenset({"free"})
    targets_rule = "best_path needs a step of the source for each symbol, and one more between two equal ones"

    def __init__(self, spec: Symbols, sizes: Sequence[Sizes]):
        if not isinstance(spec, Symbols):
            raise ConfigError("best_path: spells symbols; give an output of a type of texts or tokens")
        super().__init__()
        if len(sizes) != 1 or sizes[0].steps is None:
            raise ConfigError("best_path: spells with the steps of one input; name one that gives steps under `reads`")
        self.output = nn.Linear(sizes[0].steps, spec.size + 1)  # the last one is the blank

    @classmethod
    def targets_allowed(cls, source_lengths: Tensor, targets: Steps) -> Tensor:
        repeats = torch.stack([(one[1:] == one[:-1]).sum() for one in targets.split()])
        return targets.layout.lengths + repeats <= source_lengths

    def predict_distribution(
        self, encoded: Sequence[Encoded], targets: Steps | None = None, training: bool = False
    ) -> Spelling:
        steps = encoded[0].steps
        assert steps is not None
        scores = Steps(functional.log_softmax(self.output(steps.values), 1), steps.layout)
        return Spelling([scores], None if targets is None else targets.layout)


class Spelling(Distribution):
    """What CTC gives a whole target: `scores` of several models are averaged step by step."""

    joint = True
    lacks = {"sample": "paths are many to a target", "quantile": "symbols have no order"}

    def __init__(self, models: Sequence[Steps], layout: Layout | None):
        logs = torch.stack([one.values for one in models]).logsumexp(0) - math.log(len(models))
        self.models, self.scores = models, models[0].with_values(logs)
        self._layout = layout

    @property
    def layout(self) -> Layout:
        """Of the targets; of the answers where there are none."""
        return self._answers.layout if self._layout is None else self._layout

    @cached_property
    def _answers(self) -> Steps:
        found = [_merged(scores) for scores in self.scores.split()]
        return Steps(torch.tensor([symbol for row in found for symbol in row]), Layout([len(row) for row in found]))

    def mode(self) -> Tensor:
        return self._answers.values

    def mean_of(self, others: Sequence[Spelling]) -> Spelling:
        """The mean of the probabilities of each step."""
        if any(other.scores.layout != self.scores.layout for other in others):
            raise ConfigError("best_path: models average step by step, and these give sources other numbers of steps")
        return Spelling([*self.models, *(one for other in others for one in other.models)], self._layout)

    def log_prob(self, target: Tensor) -> Tensor:
        wanted, given = self.layout, self.scores.layout
        if not len(given):
            return self.scores.values.new_zeros(0)
        # A source without steps spells nothing: torch wants one step, whose blank costs nothing here.
        padded = functional.pad(self.scores.padded(), (0, 0, 0, 1)).transpose(0, 1)
        blank = self.scores.values.shape[1] - 1
        empty = (given.lengths == 0) & (wanted.lengths == 0)
        losses = functional.ctc_loss(
            padded, target.long(), given.lengths.clamp(min=1), wanted.lengths, blank, reduction="none"
        )
        return -losses.masked_fill(empty, 0.0)

    def counts(self, target: Tensor) -> Tensor:
        return self.layout.lengths

    def right(self, target: Tensor) -> Tensor:
        pairs = zip(self._answers.split(), Steps(target, self.layout).split())
        return torch.tensor([sum(map(int.__eq__, found.tolist(), wanted.tolist())) for found, wanted in pairs])


def _merged(scores: Tensor) -> list[int]:
    """The most probable path without repeats and blanks."""
    path, blank = scores.argmax(1), scores.shape[1] - 1
    return [symbol for symbol in torch.unique_consecutive(path).tolist() if symbol != blank]
