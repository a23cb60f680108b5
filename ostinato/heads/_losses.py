"""What heads of labels share: from features to the distribution of the labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from ostinato.distributions.bernoulli import Bernoulli
from ostinato.distributions.categorical import Categorical
from ostinato.distributions.contract import NO_COSTS, Costs
from ostinato.errors import ConfigError
from ostinato.heads._features import mapped
from ostinato.modalities.contract import Labels, Symbols
from ostinato.steps import Layout


def balanced(counts: Sequence[int]) -> list[float]:
    """A weight per label that gives all labels of the training split one sum: n / (labels * count).

    A label that never occurs has weight 1, and is no label in that rule.

    Source: scikit-learn, class_weight="balanced", after King and Zeng 2001.
    """
    seen = sum(count > 0 for count in counts)
    return [sum(counts) / (seen * count) if count else 1.0 for count in counts]


class LabelLayer(nn.Module):
    """Features to the distribution of labels.

        one label:         p = softmax(W x + b)
        several at once:   p[k] = sigmoid(W[k] x + b[k])              for each label on its own
        ordered:           p(y > k) = sigmoid(w x - c[k]),  c[k] = c[0] + sum of softplus(d[1..k])
                           p(y = k) = p(y > k-1) - p(y > k)           c rises, so none is below 0

    Shapes:
        features (N, I)

    Args:
        size: I, the width of the features; None where there are none, but scores.
        spec: what one answer is.
        smoothing: the share of each answer's probability that is spread over all labels, or over yes and no.
        weighted: whether labels weigh as `balanced` defines; with several, a label's yes and its no weigh alike.
        focal: the power of (1 - p) that each loss is multiplied by.

    Errors:
        ConfigError: weights of labels that were never counted.

    Source: ordered: McCullagh 1980, doi:10.1111/j.2517-6161.1980.tb01109.x, equation 2.1 with its sign of w turned.
    """

    def __init__(
        self, size: int | None, spec: Labels, *, smoothing: float, weighted: Literal["none", "balanced"], focal: float
    ):
        super().__init__()
        self.multilabel, self.ordinal = spec.multilabel, spec.ordinal and not spec.multilabel
        self.smoothing, self.focal = smoothing, focal
        self.output = None
        if size is not None:
            self.output = nn.Linear(size, 1 if self.ordinal else spec.size, bias=not self.ordinal)
        if self.ordinal and size is not None:
            # at the start, features of zero make every label equally likely
            cuts = [math.log(k / (spec.size - k)) for k in range(1, spec.size)]
            gaps = [math.log(math.expm1(after - before)) for before, after in zip(cuts, cuts[1:])]
            self.cuts = nn.Parameter(torch.tensor(cuts[:1] + gaps))
        weights = None
        if weighted == "balanced":
            if not sum(spec.counts):
                raise ConfigError("class_weights: balanced: the training counts of labels are unknown; set it to none")
            weights = torch.tensor(balanced(spec.counts))
            weights = weights.unsqueeze(1) if self.multilabel else weights
        # the modality keeps the counts, so the weights follow from it and need no place among the model's
        self.register_buffer("weights", weights, persistent=False)

    def forward(self, features: Tensor, layout: Layout, training: bool) -> Categorical | Bernoulli:
        """The distribution of N targets; with `training` its loss is smoothed, focal and weighted."""
        costs = self._costs(training)
        logits = mapped(features, self.output)
        if self.multilabel:
            return Bernoulli(logits, layout, costs)
        if self.ordinal:
            return Categorical(self._ordinal(logits), layout, costs=costs, normalized=True)
        return Categorical(logits, layout, costs=costs)

    def of_scores(self, scores: Tensor, layout: Layout, training: bool = False) -> Categorical | Bernoulli:
        """The distribution that has these scores, a number for each label, without a layer."""
        if self.multilabel:
            return Bernoulli(scores, layout, self._costs(training))
        return Categorical(scores, layout, costs=self._costs(training))

    def _costs(self, training: bool) -> Costs:
        return Costs(self.smoothing, self.focal, self.weights) if training else NO_COSTS

    def _ordinal(self, logits: Tensor) -> Tensor:
        """(N, V) log-probabilities from (N, 1)."""
        first, gaps = self.cuts[:1], self.cuts[1:]
        if not len(first):
            return logits * 0  # one label is certain
        cuts = torch.cat((first, first + functional.softplus(gaps).cumsum(0)))
        above = functional.logsigmoid(logits - cuts)
        below = functional.logsigmoid(cuts - logits)
        # sigmoid(b) - sigmoid(a) = sigmoid(b) sigmoid(-a) (1 - exp(a - b)), and 1 - exp(-softplus(d)) = sigmoid(d):
        # nothing cancels
        inner = above[:, :-1] + below[:, 1:] + functional.logsigmoid(gaps)
        return torch.cat((below[:, :1], inner, above[:, -1:]), 1)


def wants_labels(head: str, spec: object, *, multilabel: bool = True) -> Labels:
    """The spec, where it is one of labels; `multilabel`: whether any number of them may occur together.

    Errors:
        ConfigError: it is something else.
    """
    if not isinstance(spec, Labels):
        raise misfit(head, "labels", spec)
    if spec.multilabel and not multilabel:
        raise ConfigError(
            f"{head} predicts one label for each step, and this output has several at once; choose tagger"
        )
    return spec


def wants_symbols(head: str, spec: object) -> None:
    """
    Errors:
        ConfigError: the spec is none of symbols.
    """
    if not isinstance(spec, Symbols):
        raise misfit(head, "one symbol after the other", spec)


def misfit(head: str, what: str, spec: object) -> ConfigError:
    """What is wrong with a head whose output holds something else than it predicts."""
    return ConfigError(
        f"{head} predicts {what}, and a step of this output is {described(spec)}; choose a head that predicts those"
    )


def described(spec: object) -> str:
    """What one step is, in words."""
    kind = {"Symbols": "one of {} symbols", "Values": "{} real number(s)", "Labels": "one of {} labels"}[
        type(spec).__name__
    ]
    return kind.format(spec.size)
