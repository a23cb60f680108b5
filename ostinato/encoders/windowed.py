"""The feed-forward net over a window, the oldest baseline of recurrent nets."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from ostinato.encoders._sizes import sizes_of
from ostinato.encoders.contract import Encoded, Encoder
from ostinato.errors import ConfigError
from ostinato.layers.convolution import Convolution
from ostinato.layers.dense import ACTIVATIONS, Dense
from ostinato.layers.dropout import Dropout
from ostinato.layers.embedding import Embedding, Kind
from ostinato.layers.pooling import sum_up
from ostinato.modalities.contract import Spec
from ostinato.registry import Count, Rate
from ostinato.steps import Steps


class Windowed(Encoder):
    """A feed-forward net over the last few steps, at every step; what lies further back is not seen.

        e[t]    = embedding(x[t])
        h_1[t]  = activation(W_1 [e[t - window + 1]; ...; e[t]] + b_1)      both ways: as many before t as after
        h_l[t]  = activation(W_l h_{l-1}[t] + b_l)
        steps   = h of the top layer
        summary = its last step, zeros where there is none
        state   = the last window - 1 embedded steps beside each other, the summary, and the number of steps read

    Where the window reaches beyond the sequence it reads zeros, or a learnt vector. It is causal unless it reads both
    ways. A head starts from the summary: the state is what was read, not what was made of it.

    Shapes:
        steps (N,) symbols or (N, C) values; steps_size = summary_size = H of the top layer

    Args:
        window: how many steps the net sees; odd with `bidirectional`.
        hidden_size: H: one number, or a list of one per layer from the window up.
        layers: the number of layers; with a list of sizes, its length.
        bidirectional: whether the window is centred on its step, in place of ending there.
        activation: what each layer ends in.
        dropout: the probability of dropping a value of the embedding, and of a layer's output that the next layer
            reads.
        start: the vector outside the sequence: zero, or learnt.
        embedding: learnt, or one-hot, which is as wide as there are symbols; `{file: PATH, frozen: true}`: from the
            vectors of words in a file on, as wide as these, and frozen or not; with `extend: true` words of the file
            that training lacks are known too.
        embedding_size: the width of a learnt embedding; 256 by default.

    Errors:
        ConfigError: a list of sizes of another length than `layers`; an even window both ways; `start: learnt` or
            `bidirectional` with a window of one step; a one-hot embedding of real numbers or of a given size.
        ValueError: a state is given to an encoder that is not causal.

    Source: windows of words: Bengio et al. 2003, jmlr.org/papers/v3/bengio03a; of letters: Sejnowski and Rosenberg 1987
    (NETtalk).
    """

    sees_ahead = ("bidirectional",)
    reads_characters = True

    def __init__(
        self,
        spec: Spec,
        *,
        window: Count = 5,
        hidden_size: Count | list[Count] = 256,
        layers: Count = 1,
        bidirectional: bool = False,
        activation: Literal["relu", "tanh", "gelu"] = "relu",
        dropout: Rate = 0.0,
        start: Literal["zero", "learnt"] = "zero",
        embedding: Kind = "learnt",
        embedding_size: Count | None = None,
    ):
        super().__init__()
        sizes = sizes_of("windowed", hidden_size, layers)
        if bidirectional and window % 2 == 0:
            raise ConfigError(
                f"windowed: window: {window} with bidirectional: true has no middle; set window: {window + 1}, or "
                "bidirectional: false"
            )
        if window == 1 and (bidirectional or start == "learnt"):
            asked = "bidirectional: true" if bidirectional else "start: learnt"
            raise ConfigError(f"windowed: {asked} has no effect with window: 1; set a larger window, or leave it out")
        self.causal = not bidirectional
        self.look_ahead = window // 2 if bidirectional else 0
        self.activation = activation
        width = 256 if embedding_size is None and embedding == "learnt" else embedding_size
        self.embedding = Embedding(spec, width, kind=embedding)
        self.outside = nn.Parameter(torch.zeros(self.embedding.size)) if start == "learnt" else None
        self.dropout = Dropout(dropout)
        self.first = Convolution(self.embedding.size, sizes[0], kernel_size=window, centred=bidirectional)
        self.net = Dense(sizes[0], sizes[1:], activation=activation, dropout=dropout)
        self.steps_size = self.summary_size = self.net.output_size

    def encode(self, steps: Steps, state: tuple[Tensor, ...] | None = None) -> Encoded:
        if state is not None and not self.causal:
            raise ValueError(
                "this encoder sees later steps before earlier ones, so it cannot resume from a state: give none"
            )
        past, *so_far = [None] if state is None else state
        read, past = self.first(self.dropout(self.embedding(steps)), past, self.outside)
        read = read.with_values(self.net(ACTIVATIONS[self.activation](read.values)))
        summary, count = sum_up("last", read, tuple(so_far) or None)
        return Encoded(read, summary, (past, summary, count) if self.causal else None)
