"""The convolutional encoder."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from ostinato.encoders.contract import Encoded, Encoder
from ostinato.errors import ConfigError
from ostinato.layers.convolution import ConvolutionBlock
from ostinato.layers.dropout import Dropout
from ostinato.layers.embedding import Embedding, Kind
from ostinato.layers.pooling import sum_up
from ostinato.modalities.contract import Spec
from ostinato.registry import Count, Rate
from ostinato.steps import Steps


class Convolutional(Encoder):
    """Dilated convolutions over time: each layer sees twice as far as the one below, all steps at once.

        h_0[t]  = dropout(embedding(x[t]))
        h_l     = block(h_{l-1}), dilation 2^(l-1)      two convolutions of kernel_size steps, with a way around them
        steps   = h of the top layer
        summary = its last step, or the mean or the largest over its steps; zeros where there is none
        state   = what each convolution still needs of what it read, the summary, and the number of steps read

    A step of the top layer sees the last R steps, or with `bidirectional` (R - 1) / 2 before it and as many after it:

        R = 1 + 2 (kernel_size - 1) (2^layers - 1)      61 with 4 layers of kernel_size 3

    It is causal when it reads one way. A head starts from the summary: the state is what was read, not what was made of
    it.

    Shapes:
        steps (N,) symbols or (N, C) values; steps_size = summary_size = H

    Args:
        hidden_size: H of every layer.
        layers: the number of blocks.
        kernel_size: how many steps each convolution reads; odd with `bidirectional`.
        bidirectional: whether convolutions are centred on their step, in place of ending there.
        summary: the last step's vector, or the mean or the largest of each number over all steps.
        dropout: the probability of dropping a value of the embedding, and after each convolution.
        variational: whether that dropout has one mask per sequence, in place of one per step.
        embedding: learnt, or one-hot, which is as wide as there are symbols; `{file: PATH, frozen: true}`: from the
            vectors of words in a file on, as wide as these, and frozen or not; with `extend: true` words of the file
            that training lacks are known too.
        embedding_size: the width of a learnt embedding; 256 by default.

    Errors:
        ConfigError: `kernel_size: 1`; an even one both ways; `variational` without dropout; a one-hot embedding of real
            numbers or of a given size.
        ValueError: a state is given to an encoder that is not causal.

    Source: Bai, Kolter and Koltun 2018, arXiv:1803.01271; without their weight normalisation, and with dropout of
        single values where `variational` is not set (theirs drops whole channels).
    """

    streams = True
    sees_ahead = ("bidirectional",)
    variants = ({"layers": 2}, {"dropout": 0.5}, {"hidden_size": 256}, {"kernel_size": 5})
    reads_characters = True

    def __init__(
        self,
        spec: Spec,
        *,
        hidden_size: Count = 256,
        layers: Count = 4,
        kernel_size: Count = 3,
        bidirectional: bool = True,
        summary: Literal["last", "mean", "max"] = "max",
        dropout: Rate = 0.0,
        variational: bool = False,
        embedding: Kind = "learnt",
        embedding_size: Count | None = None,
    ):
        super().__init__()
        if kernel_size == 1:
            raise ConfigError(
                "convolutional: kernel_size: 1 never sees a second step; set 2 or more, or choose windowed"
            )
        if bidirectional and kernel_size % 2 == 0:
            raise ConfigError(
                f"convolutional: kernel_size: {kernel_size} with bidirectional: true has no middle; "
                f"set kernel_size: {kernel_size + 1}, or bidirectional: false"
            )
        if variational and not dropout:
            raise ConfigError(
                "convolutional: variational: true has no effect with dropout: 0; set dropout above 0, or leave it out"
            )
        self.causal = not bidirectional
        self.kind = summary
        width = 256 if embedding_size is None and embedding == "learnt" else embedding_size
        self.embedding = Embedding(spec, width, kind=embedding)
        self.dropout = Dropout(dropout, variational=variational)
        self.blocks = nn.ModuleList(
            ConvolutionBlock(
                hidden_size if layer else self.embedding.size,
                hidden_size,
                kernel_size=kernel_size,
                dilation=2**layer,
                centred=bidirectional,
                dropout=dropout,
                variational=variational,
            )
            for layer in range(layers)
        )
        reach = 2 * (kernel_size - 1) * (2**layers - 1)
        self.receptive_field = 1 + reach
        self.look_ahead = reach // 2 if bidirectional else 0
        self.steps_size = self.summary_size = hidden_size

    def encode(self, steps: Steps, state: tuple[Tensor, ...] | None = None) -> Encoded:
        if state is not None and not self.causal:
            raise ValueError(
                "this encoder sees later steps before earlier ones, so it cannot resume from a state: give none"
            )
        read, after = self.dropout(self.embedding(steps)), []
        for place, block in enumerate(self.blocks):
            read, last = block(read, None if state is None else state[2 * place : 2 * place + 2])
            after += last
        summary, count = sum_up(self.kind, read, None if state is None else (state[-2], state[-1]))
        return Encoded(read, summary, (*after, summary, count) if self.causal else None)

    def layers(self) -> list[list[nn.Module]]:
        return [[block] for block in self.blocks]
