"""The head of labels of a whole example."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import torch
from torch import Tensor

from ostinato.distributions.bernoulli import Bernoulli
from ostinato.distributions.categorical import Categorical
from ostinato.distributions.contract import Distribution, Loss
from ostinato.encoders.contract import Encoded
from ostinato.heads._features import Pool, Summaries, single
from ostinato.heads._losses import LabelLayer, OpinionPool, wants_labels
from ostinato.heads.contract import Predictor, Sizes
from ostinato.modalities.contract import Labels
from ostinato.registry import Count, NonNegative, Rate
from ostinato.steps import Steps


class Classifier(Predictor):
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
        pool: how the steps of an input become one vector; last: the encoder's own summary.
        layer_size: the width of a layer between the vectors and the labels; null: none.
        dropout: on the vectors and on the layer.
        label_smoothing: share of each target's probability that is spread over all labels (Szegedy 2016).
        class_weights: whether rare labels count more, all labels of the training split having one sum.
        focal: the power of (1 - p) that each loss is multiplied by, so that what is sure counts less; 0: none (Lin
            2017).

    Errors:
        ConfigError: the output is none of labels, an input lacks what is pooled,
            or weights are asked for without counts.
        DataError: the targets are not one for each example.

    Source: pooling: Yang 2016, aclanthology.org/N16-1174; ordered: McCullagh 1980,
    doi:10.1111/j.2517-6161.1980.tb01109.x.
    """

    aligns = frozenset({"summary"})
    takes_scores = True
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
        super().__init__()
        spec = wants_labels("classifier", spec)
        self.scored = tuple(at for at, size in enumerate(sizes) if size.counted and size.summary == spec.size)
        self.others = [at for at in range(len(sizes)) if at not in self.scored]
        self.features = None
        if self.others or not self.scored:
            self.features = Summaries([sizes[at] for at in self.others], pool=pool, layer_size=layer_size)
        self.dropout = dropout
        self.labels = LabelLayer(
            self.features and self.features.size,
            spec,
            smoothing=label_smoothing,
            weighted=class_weights,
            focal=focal,
        )
        self.pool = None
        if self.scored:
            self.pool = OpinionPool(1 if self.features is None else 2, spec.multilabel)

    def predict_distribution(
        self, encoded: Sequence[Encoded], targets: Steps | None = None, training: bool = False
    ) -> Distribution:
        members = self._members(encoded, targets, training)
        return members[0] if self.pool is None or training else self.pool(members)

    def _members(
        self, encoded: Sequence[Encoded], targets: Steps | None, training: bool
    ) -> list[Categorical | Bernoulli]:
        """What the inputs that are learnt predict together, then those that are scores; in training the first alone."""
        members = []
        if self.features is not None:
            features = self.features([encoded[at] for at in self.others], self.dropout if training else 0.0)
            members = [self.labels(features, single(len(features), features.device, targets), training)]
        if self.scored and not (members and training):
            scores = torch.stack([encoded[at].summary for at in self.scored]).sum(0)
            members.append(self.labels.of_scores(scores, single(len(scores), scores.device, targets)))
        return members

    def score_loss(self, scores: Tensor, targets: Steps) -> Loss:
        return self.labels.of_scores(scores, targets.layout, training=True).loss(targets.values)

    def settle(self, held_out: Iterable[tuple[Sequence[Encoded], Steps]]) -> None:
        if self.pool is None:
            return
        logs, truth = [], []
        for encoded, targets in held_out:
            logs.append([member.log_probabilities for member in self._members(encoded, targets, training=False)])
            truth.append(targets.values)
        self.pool.fit([torch.cat(parts) for parts in zip(*logs)], torch.cat(truth))
