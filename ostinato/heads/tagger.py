"""The head of labels of each step, each chosen on its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor

from ostinato.distributions.contract import Distribution
from ostinato.encoders.contract import Encoded
from ostinato.heads._features import steps_read, sum_of_steps, width_of_steps
from ostinato.heads._losses import LabelLayer, wants_labels
from ostinato.heads._scored import ScoredLabels
from ostinato.heads.contract import Sizes
from ostinato.modalities.contract import Labels
from ostinato.registry import NonNegative, Rate
from ostinato.steps import Layout, Steps


class Tagger(ScoredLabels):
    """Predicts the label of each step, each on its own.

        p[t] = softmax(W h[t] + b)             one label
        p[t, k] = sigmoid(W[k] h[t] + b[k])    several at once; those above 1/2 are the answer
        ordered labels: p(y[t] > k) = sigmoid(w h[t] - c[k]), c rising

    Which labels may follow each other plays no part; in the head `crf` it does. Weights, smoothing and the focal power
    belong to training alone.

    An input whose encoder counts each step (`local_features`) and gives a number for each label gives their scores:

        s = sum of the scores of all such inputs, solved for on the training rows before training, and held
        q[t] = softmax(s[t])
        p[t] ~ p[t]^w[1] q[t]^w[2]      where another input is read too: p of that one alone

    Each part is fitted alone, and before each validation w is fitted on the validation split: on the training rows
    the part that memorized them would get all the weight. So the net beside what is counted can only add.

    Shapes:
        targets (N,) labels, or (N, V) of 0 and 1 with several, as many as steps; probabilities (N, V)

    Args:
        dropout: on the steps.
        label_smoothing: share of each target's probability that is spread over all labels (Szegedy 2016).
        class_weights: whether rare labels count more, all labels of the training split having one sum.
        focal: the power of (1 - p) that each loss is multiplied by, so that what is sure counts less; 0: none (Lin
            2017).

    Errors:
        ConfigError: the output is none of labels, not exactly one input with steps is read,
            or weights are asked for without counts.
        DataError: the targets are not one for each step.
    """

    aligns = frozenset({"each"})

    def __init__(
        self,
        spec: Labels,
        sizes: Sequence[Sizes],
        *,
        dropout: Rate = 0.0,
        label_smoothing: Rate = 0.0,
        class_weights: Literal["none", "balanced"] = "none",
        focal: NonNegative = 0.0,
    ):
        spec = wants_labels("tagger", spec)
        super().__init__(spec, sizes, [size.steps for size in sizes])
        width = width_of_steps("tagger", [sizes[at] for at in self.others]) if self.learns else None
        self.dropout = dropout
        self.labels = LabelLayer(width, spec, smoothing=label_smoothing, weighted=class_weights, focal=focal)

    def learnt(self, encoded: Sequence[Encoded], targets: Steps | None, training: bool) -> Distribution:
        steps = steps_read([encoded[at] for at in self.others], self.dropout if training else 0.0, targets)
        return self.labels(steps.values, steps.layout, training)

    def scores(self, encoded: Sequence[Encoded], targets: Steps | None) -> Steps:
        return sum_of_steps([encoded[at] for at in self.scored], targets)

    def of_scores(self, scores: Tensor, layout: Layout, training: bool = False) -> Distribution:
        return self.labels.of_scores(scores, layout, training)
