"""The head of labels of each step, each chosen on its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from ostinato.encoders.contract import Encoded
from ostinato.heads._features import steps_read, width_of_steps
from ostinato.heads._losses import LabelBelief, LabelLayer, wants_labels
from ostinato.heads.contract import Head, Loss, Predictor, Scored, Sizes
from ostinato.modalities.contract import Labels
from ostinato.registry import NonNegative, Rate
from ostinato.steps import Steps


class Tagger(Head, Predictor):
    """Says which label each step has, each on its own.

        p[t] = softmax(W h[t] + b)             one label
        p[t, k] = sigmoid(W[k] h[t] + b[k])    several at once; those above 1/2 are the answer
        ordered labels: p(y[t] > k) = sigmoid(w h[t] - c[k]), c rising

    What may follow what is not asked: the head `crf` does. Weights, smoothing and the focal power belong to training alone.

    Shapes:
        targets (N,) labels, or (N, V) of 0 and 1 with several, as many as steps; probabilities (N, V)

    Args:
        dropout: on the steps.
        label_smoothing: share of each target's probability that is spread over all labels (Szegedy 2016).
        class_weights: whether rare labels count more, all labels of the training split having one sum.
        focal: the power of (1 - p) that each loss is multiplied by, so that what is sure counts less; 0: none (Lin 2017).

    Errors:
        ConfigError: the output is none of labels, not exactly one input with steps is read,
            or weights are asked for without counts.
        DataError: the targets are not one for each step.
    """

    aligns = frozenset({"each"})
    generates = False

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
        super().__init__()
        spec = wants_labels("tagger", spec)
        width = width_of_steps("tagger", sizes)
        self.dropout = dropout
        self.labels = LabelLayer(width, spec, smoothing=label_smoothing, weighted=class_weights, focal=focal)

    def loss(self, encoded: Sequence[Encoded], targets: Steps) -> Loss:
        steps = steps_read(encoded, self.dropout if self.training else 0.0, targets)
        return self.labels.loss(steps.values, targets.values)

    def score(self, encoded: Sequence[Encoded], targets: Steps) -> Scored:
        return self.believe(encoded, targets).score(targets)

    def believe(self, encoded: Sequence[Encoded], targets: Steps | None = None) -> LabelBelief:
        steps = steps_read(encoded, 0.0, targets)
        return self.labels.believe(steps.values, steps.layout)
