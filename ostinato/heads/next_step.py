"""The head that predicts the step after each step of an input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import torch
from pydantic import Strict
from torch import Tensor, nn

from ostinato.distributions.categorical import Categorical
from ostinato.encoders.contract import Encoded, Encoder
from ostinato.errors import ConfigError
from ostinato.heads._losses import misfit
from ostinato.heads.contract import Loss, NextHead, Sizes
from ostinato.kernels.packed import Packed
from ostinato.kernels.products import linear
from ostinato.layers.dropout import dropped
from ostinato.layers.vocabulary import FullSoftmax, softmax_of
from ostinato.modalities.contract import Symbols
from ostinato.registry import Count, NonNegative, Rate
from ostinato.steps import Steps


class NextStep(NextHead):
    """Predicts at each step of the input its next symbol: a language model.

        h[t]      = the encoder's step after x[t], beside it the summaries of the other inputs read
        a[t]      = h[t]; tied: W_a h[t], as wide as the embedding
        p(x[t+1]) = softmax(W_o d[t] + b_o)                      d = dropout(a); adaptive: see layers.vocabulary

        loss      = -sum log p(x[t+1]) + alpha sum mean(d[t]^2) + beta sum mean((h[t] - h[t-1])^2)

    The encoder reads the begin symbol and then the sequence, so that each symbol is predicted from those before it
    alone, the first from nothing and the end from all of them. While generating, the encoder continues from its state.

    Shapes:
        targets (N,) symbols; the steps read (N + B, H): one more of each sequence; logits (N + B, V)

    Args:
        tied: whether the softmax shares the weights of the input's embedding.
        dropout: the probability of dropping a value of what the softmax reads.
        label_smoothing: share of each target's probability that is spread over all symbols (Szegedy 2016).
        softmax: full: every symbol has a vector as wide as what is read; adaptive: rare ones have shorter vectors, and
            are looked at only where one is meant, which makes vocabularies of many thousand symbols cheap. Needs tied:
            false.
        cutoffs: of an adaptive softmax: the symbols, numbered from the most frequent to the rarest, at which its parts
            of rare ones begin; by default where 85 % and 95 % of the training targets come before.
        activation_regularization: alpha, which holds down the size of what the softmax reads, in training (AR).
        temporal_activation_regularization: beta, which holds down its change from step to step of a sequence, in
            training (TAR).

    Errors:
        ConfigError: a step of the output is no symbol; the first input read gives no steps, or another one gives no
            summary; or it has no embedding to tie to; an adaptive softmax that is tied or smoothed, or cutoffs outside
            the vocabulary.

    Source: Mikolov 2010 (Interspeech, 1045); tied weights: Press and Wolf 2017, arXiv:1608.05859; Inan 2017,
        arXiv:1611.01462; adaptive softmax: Grave 2017, arXiv:1609.04309.
        AR and TAR: Merity 2017, arXiv:1708.01009, sections 3.2 and 3.3; all terms are divided by the number of targets,
        theirs of TAR by that of pairs of steps. A pair that two chunks of a stream (`training.tbptt`) share counts in
        neither.
    """

    aligns = frozenset({"next"})

    def __init__(
        self,
        spec: Symbols,
        sizes: Sequence[Sizes],
        *,
        tied: bool = False,
        dropout: Rate = 0.0,
        label_smoothing: Rate = 0.0,
        softmax: Literal["full", "adaptive"] = "full",
        cutoffs: Annotated[tuple[Count, ...], Strict(False)] = (),
        activation_regularization: NonNegative = 0.0,
        temporal_activation_regularization: NonNegative = 0.0,
    ):
        super().__init__()
        if not isinstance(spec, Symbols):
            raise misfit("next_step", "symbols", spec)
        if sizes[0].steps is None:
            raise ConfigError(
                "next_step: the input that it continues gives no steps; choose a recurrent or convolutional encoder"
            )
        for place, other in enumerate(sizes[1:], 2):
            if other.summary is None:
                raise ConfigError(
                    f"next_step: input {place} in `reads` gives no summary to read beside each step; leave it out"
                )
        self.begin, self.end, self.num_symbols = spec.begin, spec.end, spec.size
        self.unsaid = spec.unknown
        self.tied, self.dropout, self.label_smoothing = tied, dropout, label_smoothing
        self.activation_regularization = activation_regularization
        self.temporal_activation_regularization = temporal_activation_regularization
        self.width = sizes[0].steps + sum(other.summary for other in sizes[1:])
        self.readout: nn.Linear | None = None
        self.output = softmax_of(softmax, self.width, spec.size, cutoffs, label_smoothing=label_smoothing, tied=tied)

    def prepare_input(self, steps: Steps, starts: Tensor | None = None) -> Steps:
        """With the begin symbol before the first step of a sequence."""
        return steps.prepended(self.begin, starts)

    def as_others_read(self, encoded: Encoded) -> Encoded:
        return encoded if encoded.steps is None else encoded._replace(steps=encoded.steps.without_first())

    def continue_from(self, encoder: Encoder) -> None:
        """Shares the weights of its embedding, if tied.

        Errors:
            ConfigError: it has no table of learnt vectors, one for each symbol.
        """
        if not self.tied:
            return
        embedding = next((module for module in encoder.modules() if isinstance(module, nn.Embedding)), None)
        if not isinstance(embedding, nn.Embedding) or embedding.num_embeddings != self.num_symbols:
            raise ConfigError("next_step: tied: the input has no learnt embedding of these symbols; set tied: false")
        self.output = FullSoftmax(embedding.embedding_dim, self.num_symbols, self.label_smoothing)
        self.output.weight = embedding.weight
        # Vectors of length 1: of variance 1, over normed features of 400 numbers, training began at a loss of 306 nats.
        with torch.no_grad():
            embedding.weight.mul_(embedding.weight.square().sum(1).mean().rsqrt())
        if embedding.embedding_dim != self.width:
            self.readout = nn.Linear(self.width, embedding.embedding_dim)

    def loss(self, encoded: Sequence[Encoded], targets: Steps) -> Loss:
        return self.piece_loss(encoded, targets, None)

    def piece_loss(self, encoded: Sequence[Encoded], targets: Steps, ends: Tensor | None) -> Loss:
        """As `loss`, of parts of sequences: the end is a target only where `ends` (B,) is true; None: everywhere."""
        truth = targets.appended(self.end, ends).values
        features = self._dropped(self._features(encoded))
        total = self.output.loss(features, truth)
        if self.training and self.activation_regularization:
            total = total + self.activation_regularization * _size(features)
        if self.training and self.temporal_activation_regularization:
            total = total + self.temporal_activation_regularization * _size(_changes(encoded[0].steps))
        return Loss(total, len(truth))

    def predict_next(
        self, steps: Tensor, beside: Tensor | None = None, packed: Mapping[str, Packed] | None = None
    ) -> Categorical:
        read = steps if beside is None else torch.cat([steps, beside], 1)
        if self.readout is not None:
            read = linear(read, self.readout.weight, self.readout.bias)
        return Categorical(self.output(read, packed))

    def _features(self, encoded: Sequence[Encoded]) -> Tensor:
        steps = encoded[0].steps
        read = torch.cat(
            [steps.values, *(other.summary.index_select(0, steps.layout.rows) for other in encoded[1:])], 1
        )
        return read if self.readout is None else linear(read, self.readout.weight, self.readout.bias)

    def _dropped(self, values: Tensor) -> Tensor:
        return dropped(values, self.dropout) if self.dropout and self.training else values


def _size(values: Tensor) -> Tensor:
    """The sum over steps of the mean square of each."""
    return values.float().square().mean(1).sum() if values.dtype != torch.float64 else values.square().mean(1).sum()


def _changes(steps: Steps) -> Tensor:
    """From each step of a sequence to its next, (pairs, H)."""
    later = (steps.layout.positions > 0).nonzero().squeeze(1)
    return steps.values.index_select(0, later) - steps.values.index_select(0, later - 1)
