"""What heads that give labels share: from features to the probability of each label, its losses, scores and answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from ostinato.errors import ConfigError
from ostinato.heads._features import mapped
from ostinato.heads.contract import Belief, Loss, Predicted, Scored
from ostinato.modalities.contract import MISSING, Labels
from ostinato.steps import Layout, Steps


def cross_entropy(
    log_probabilities: Tensor,
    answers: Tensor,
    *,
    smoothing: float = 0.0,
    focal: float = 0.0,
    weights: Tensor | None = None,
) -> Tensor:
    """The sum of weighted, focal and smoothed cross entropies; no more than minus the log-probability where all three are off.

        l[k] = weights[k] * (1 - p[k])^focal * -log p[k]
        loss = (1 - smoothing) * l[answer] + smoothing * mean over k of l[k]

    Shapes:
        log_probabilities (M, K); answers (M,) below K; weights, anything that spreads over (M, K); returns a scalar

    Source: smoothing: Szegedy 2016, arXiv:1512.00567, section 7; focal: Lin 2017, arXiv:1708.02002, equation 5, whose alpha is
    our weight; weights and smoothing together: as torch's cross_entropy.
    """
    losses = -log_probabilities
    if focal:
        # a probability of 1 leaves no slope of 0^focal to multiply by, and a slope of infinity where focal < 1
        rest = -torch.expm1(log_probabilities)
        losses = losses * rest.clamp(min=torch.finfo(rest.dtype).eps) ** focal
    if weights is not None:
        losses = losses * weights
    total = losses.gather(1, answers.unsqueeze(1)).sum()
    return total if not smoothing else (1 - smoothing) * total + smoothing * losses.mean(1).sum()


def balanced(counts: Sequence[int]) -> list[float]:
    """A weight per label that gives all labels of the training split one sum: n / (labels * count).

    A label that never stood there has weight 1, and is no label in that rule.

    Source: scikit-learn, class_weight="balanced", after King and Zeng 2001.
    """
    seen = sum(count > 0 for count in counts)
    return [sum(counts) / (seen * count) if count else 1.0 for count in counts]


class LabelLayer(nn.Module):
    """Features to labels: which, how likely, and what it costs to be wrong.

        one label:         p = softmax(W x + b)
        several at once:   p[k] = sigmoid(W[k] x + b[k])              for each label on its own
        ordered:           p(y > k) = sigmoid(w x - c[k]),  c[k] = c[0] + sum of softplus(d[1..k])
                           p(y = k) = p(y > k-1) - p(y > k)           c rises, so none is below 0

    What is MISSING, or NaN, is neither summed nor counted.

    Shapes:
        features (N, I); one answer (N,) or, with several, (N, V) of 0, 1 and NaN; probabilities (N, V)

    Args:
        size: I, the width of the features.
        spec: what one answer is.
        smoothing: the share of each answer's probability that is spread over all labels, or over yes and no.
        weighted: whether labels weigh as `balanced` says; with several, a label's yes and its no weigh alike.
        focal: the power of (1 - p) that each loss is multiplied by.

    Errors:
        ConfigError: weights of labels that nobody counted.

    Source: ordered: McCullagh 1980, doi:10.1111/j.2517-6161.1980.tb01109.x, equation 2.1 with its sign of w turned.
    """

    def __init__(
        self, size: int, spec: Labels, *, smoothing: float, weighted: Literal["none", "balanced"], focal: float
    ):
        super().__init__()
        self.multilabel, self.ordinal = spec.multilabel, spec.ordinal and not spec.multilabel
        self.smoothing, self.focal = smoothing, focal
        self.output = nn.Linear(size, 1 if self.ordinal else spec.size, bias=not self.ordinal)
        if self.ordinal:
            # at the start, features of zero make every label equally likely
            cuts = [math.log(k / (spec.size - k)) for k in range(1, spec.size)]
            gaps = [math.log(math.expm1(after - before)) for before, after in zip(cuts, cuts[1:])]
            self.cuts = nn.Parameter(torch.tensor(cuts[:1] + gaps))
        weights = None
        if weighted == "balanced":
            if not sum(spec.counts):
                raise ConfigError(
                    "class_weights: balanced: how often each label stands in training is unknown; set it to none"
                )
            weights = torch.tensor(balanced(spec.counts))
            weights = weights.unsqueeze(1) if self.multilabel else weights
        # the modality keeps the counts, so the weights follow from it and need no place among the model's
        self.register_buffer("weights", weights, persistent=False)

    def loss(self, features: Tensor, values: Tensor) -> Loss:
        log_probabilities, answers = self.log_probabilities(features), _answers(values, self.multilabel)
        real = answers != MISSING
        smoothing, focal, weights = (self.smoothing, self.focal, self.weights) if self.training else (0.0, 0.0, None)
        if weights is not None:
            weights = weights.to(log_probabilities.dtype).expand_as(log_probabilities)[real]
        total = cross_entropy(log_probabilities[real], answers[real], smoothing=smoothing, focal=focal, weights=weights)
        return Loss(total, int(_of_steps(real).sum()))

    def believe(self, features: Tensor, layout: Layout) -> LabelBelief:
        return LabelBelief(self.log_probabilities(features), layout, self.multilabel)

    def log_probabilities(self, features: Tensor) -> Tensor:
        """(N, V), or with several at once (N, V, 2): of no and of yes."""
        logits = mapped(features, self.output)
        if self.multilabel:
            return functional.logsigmoid(torch.stack((-logits, logits), 2))
        if not self.ordinal:
            return logits.log_softmax(1)
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


@dataclass(frozen=True)
class LabelBelief(Belief):
    """The probability of each label; of several heads the mean of theirs, for each step and, with several at once, each label.

        p[k] = mean over heads i of p_i[k]

    Shapes:
        log_probabilities (N, V), or with several at once (N, V, 2): of no and of yes

    Source: Lakshminarayanan 2017, arXiv:1612.01474, section 2.4.
    """

    log_probabilities: Tensor
    layout: Layout
    multilabel: bool

    def mean(self, others: Sequence[LabelBelief]) -> LabelBelief:
        return replace(self, log_probabilities=mean_of_logs([one.log_probabilities for one in (self, *others)]))

    def answer(self) -> Predicted:
        best, answers = self.log_probabilities.max(-1)
        if self.multilabel:
            probabilities = self.log_probabilities[..., 1].exp()
            return Predicted(Steps(answers.to(best.dtype), self.layout), sums(best.sum(1), self.layout), probabilities)
        return Predicted(Steps(answers, self.layout), sums(best, self.layout), self.log_probabilities.exp())

    def score(self, targets: Steps) -> Scored:
        answers = _answers(targets.values, self.multilabel)
        real = answers != MISSING
        given = self.log_probabilities.gather(-1, answers.clamp(min=0).unsqueeze(-1)).squeeze(-1).masked_fill(~real, 0)
        counted = _of_steps(real)
        right = (self.log_probabilities.argmax(-1) == answers) | ~real
        right = (right.all(1) if self.multilabel else right) & counted
        given = given.sum(1) if self.multilabel else given
        return Scored(*(sums(one, targets.layout) for one in (given, counted.long(), right.to(given.dtype))))


def mean_of_logs(logs: Sequence[Tensor]) -> Tensor:
    """The logarithm of the mean of what these are logarithms of; of one alone itself."""
    return logs[0] if len(logs) == 1 else torch.stack(tuple(logs)).logsumexp(0) - math.log(len(logs))


def _answers(values: Tensor, multilabel: bool) -> Tensor:
    """Which answer was given to each question, (N,) or (N, V), MISSING where none was."""
    return torch.where(values.isnan(), MISSING, values).long() if multilabel else values.long()


def _of_steps(real: Tensor) -> Tensor:
    """(N,) whether a step has an answer, from whether each of its questions has one."""
    return real if real.ndim == 1 else real.any(1)


def sums(values: Tensor, layout: Layout) -> Tensor:
    """The sum over the steps of each sequence, (N,) to (B,); of real numbers in float64, since a sequence may have millions."""
    exact = values.double() if values.is_floating_point() else values
    return exact.new_zeros(len(layout)).index_add(0, layout.rows, exact).to(values.dtype)


def wants_labels(head: str, spec: object, *, multilabel: bool = True) -> Labels:
    """The spec, where it is one of labels; `multilabel`: whether any number of them may stand together.

    Errors:
        ConfigError: it is something else.
    """
    if not isinstance(spec, Labels):
        raise ConfigError(
            f"{head} says labels, and a step of this output is {described(spec)}; choose a head that says those"
        )
    if spec.multilabel and not multilabel:
        raise ConfigError(f"{head} says one label for each step, and this output has several at once; choose tagger")
    return spec


def described(spec: object) -> str:
    """What one step is, in words."""
    kind = {"Symbols": "one of {} symbols", "Values": "{} real number(s)", "Labels": "one of {} labels"}[
        type(spec).__name__
    ]
    return kind.format(spec.size)
