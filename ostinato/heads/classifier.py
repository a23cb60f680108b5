"""The head of labels of a whole example."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from ostinato.distributions.contract import Distribution
from ostinato.encoders.contract import Encoded
from ostinato.heads._features import Summaries, single
from ostinato.heads._losses import LabelLayer, wants_labels
from ostinato.heads._scored import ScoredLabels
from ostinato.heads.contract import Sizes
from ostinato.layers.pooling import Pool
from ostinato.modalities.contract import Labels
from ostinato.registry import Count, NonNegative, Rate
from ostinato.steps import Layout, Steps


class Classifier(ScoredLabels):
    """Predicts the label of a whole example, or several at once.

        x = [p_1; ...; p_n]                    a pooled vector for each input that is read
        x = relu(W x + b)                      with a layer
        one label:         p = softmax(W x + b)
        several at once:   p[k] = sigmoid(W[k] x + b[k]);  those above 1/2 are the answer
        ordered labels:    p(y > k) = sigmoid(w x - c[k]),  c rising

    Weights, smoothing and the focal power belong to training alone.

    An input whose encoder counts (`ngrams`) and gives a number for each label gives their scores, and no layer follows:

        s = sum of the scores of all such inputs, solved for on the training rows before training, and held
        q = softmax(s), or sigmoid(s) with several labels
        p ~ p^w[1] q^w[2]      where other inputs are read too: p of these alone

    Each part is fitted alone, and before each validation w is fitted on the validation split: on the training rows
    the part that memorized them would get all the weight. So the net beside the n-grams can only add, and one that
    adds nothing gets the weight 0. The scores of a label that has an order do not know it.

    Shapes:
        targets (B,) labels, or (B, V) of 0 and 1 with several; probabilities (B, V)

    Args:
        pool: how the steps of an input become one vector; last: the encoder's own summary; concatenated:
            that, their largest and their mean, side by side. An input without steps gives its summary.
        layer_size: the width of a layer between the vectors and the labels; null: none.
        dropout: on the vectors and on the layer.
        label_smoothing: share of each target's probability that is spread over all labels (Szegedy 2016).
        class_weights: whether rare labels count more, all labels of the training split having one sum.
        focal: the power of (1 - p) that each loss is multiplied by, so that what is sure counts less; 0: none (Lin
            2017).

    Errors:
        ConfigError: the output is none of labels, an input lacks what is pooled, or none has steps where they are,
            or weights are asked for without counts.
        DataError: the targets are not one for each example.

    Source: pooling: Yang 2016, aclanthology.org/N16-1174; ordered: McCullagh 1980,
    doi:10.1111/j.2517-6161.1980.tb01109.x.
    """

    aligns = frozenset({"summary"})
    variants = ({"pool": "attention"}, {"label_smoothing": 0.1}, {"pool": "max"}, {"dropout": 0.5})

    def __init__(
        self,
        spec: Labels,
        sizes: Sequence[Sizes],
        *,
        pool: Pool = "last",
        layer_size: Count | None = None,
        dropout: Rate = 0.0,
        label_smoothing: Rate = 0.0,
        class_weights: Literal["none", "balanced"] = "none",
        focal: NonNegative = 0.0,
    ):
        spec = wants_labels("classifier", spec)
        super().__init__(spec, sizes, [size.summary for size in sizes])
        self.features = None
        if self.learns:
            self.features = Summaries([sizes[at] for at in self.others], pool=pool, layer_size=layer_size)
        self.dropout = dropout
        self.labels = LabelLayer(
            self.features and self.features.size,
            spec,
            smoothing=label_smoothing,
            weighted=class_weights,
            focal=focal,
        )

    def learnt(self, encoded: Sequence[Encoded], targets: Steps | None, training: bool) -> Distribution:
        features = self.features([encoded[at] for at in self.others], self.dropout if training else 0.0)
        return self.labels(features, single(len(features), features.device, targets), training)

    def scores(self, encoded: Sequence[Encoded], targets: Steps | None) -> Steps:
        scores = torch.stack([encoded[at].summary for at in self.scored]).sum(0)
        return Steps(scores, single(len(scores), scores.device, targets))

    def of_scores(self, scores: Tensor, layout: Layout, training: bool = False) -> Distribution:
        return self.labels.of_scores(scores, layout, training)
