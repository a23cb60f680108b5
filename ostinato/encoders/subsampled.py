"""Fewer steps: convolutions of stride 2 before another encoder."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from ostinato.encoders.contract import Encoded, Encoder
from ostinato.errors import ConfigError
from ostinato.kernels.products import linear
from ostinato.layers.dropout import Dropout
from ostinato.modalities.contract import Values
from ostinato.registry import Count, Rate, Room, Settings, build, component
from ostinato.steps import Layout, Steps

KERNEL = 3
"""Steps that a convolution reads: the two that it joins, and the one before."""


class Subsampled(Encoder):
    """Another encoder over fewer steps: each convolution gives one for two.

        h_0     = x; with `centered` less its mean over the sequence
        h_l[j]  = relu(W_l [h_{l-1}[2j - 1]; h_{l-1}[2j]; h_{l-1}[2j + 1]] + b_l)      zeros beyond the sequence
        steps, summary = those of `encoder` over the top layer

    T steps become T / 2^layers, rounded up, which is what recurrent nets and attention over frames of sound need: fewer
    steps to learn over, and less to compute.

    Over a causal `encoder` reading resumes from a state after a multiple of 2^layers steps: its state, then the last
    step that each convolution read.

    Shapes:
        steps (N, C) values

    Args:
        encoder: what reads the fewer steps.
        layers: how many convolutions.
        hidden_size: the width of each.
        dropout: the probability of dropping a value after each.
        centered: whether each number is read without its mean over the sequence: of the logarithms of a spectrum this
            takes microphone and voice out (cepstral mean normalization), as they are after augmentation.

    Errors:
        ConfigError: `encoder` reads no sequences of vectors; `centered` before a causal encoder, which would read what
            lies ahead.
        ValueError: a state is given, and `encoder` is not causal.

    Source: two convolutions of stride 2: Dong, Xu and Xu 2018, doi:10.1109/ICASSP.2018.8462506.
    """

    takes = (Values,)

    def __init__(
        self,
        spec: Values,
        *,
        encoder: Annotated[Settings, Room("encoders", inner=True)] = "recurrent",
        layers: Count = 2,
        hidden_size: Count = 128,
        dropout: Rate = 0.0,
        centered: bool = False,
    ):
        super().__init__()
        self.convolutions = nn.ModuleList(
            nn.Linear(KERNEL * (hidden_size if layer else spec.size), hidden_size) for layer in range(layers)
        )
        self.dropout = Dropout(dropout)
        if Values not in component("encoders", encoder.type).takes:
            raise ConfigError(
                f"subsampled: {encoder.type} reads no vectors, and here it gets some; take another encoder"
            )
        self.encoder = build(encoder, "encoders", Values(hidden_size, unscaled=True))
        if not self.encoder.reads_sequences:
            raise ConfigError(
                f"subsampled: {encoder.type} reads one step, and here it gets several; take another encoder"
            )
        if centered and self.encoder.causal:
            raise ConfigError(
                f"subsampled: centered needs the whole input, and {encoder.type} is causal here; take an encoder that"
                " reads both ways, or leave centered out"
            )
        self.centered = centered
        self.steps_size, self.summary_size = self.encoder.steps_size, self.encoder.summary_size
        self.causal, self.penalties = self.encoder.causal, self.encoder.penalties
        self.state_sizes = () if self.causal else self.encoder.state_sizes
        self.reduction, ahead = 2**layers * self.encoder.reduction, self.encoder.look_ahead
        self.look_ahead = None if ahead is None else (ahead + 1) * 2**layers - 1

    @classmethod
    def reduction_of(cls, settings: Any) -> int:
        inner = settings.encoder
        return 2**settings.layers * component("encoders", inner.type).reduction_of(inner)

    def encode(self, steps: Steps, state: tuple[Tensor, ...] | None = None) -> Encoded:
        if state is not None and not self.causal:
            raise ValueError("this encoder reads whole inputs, so it cannot resume from a state: give none")
        inner, before = None, [None] * len(self.convolutions)
        if state is not None:
            inner, before = state[: -len(before)], state[-len(before) :]
        values = steps.values.nan_to_num()
        if self.centered:
            values = _centered(values, steps.layout)
        read, after = steps.with_values(values), []
        for layer, earlier in zip(self.convolutions, before):
            windows, last = _halved(read, earlier)
            after.append(last)
            read = self.dropout(windows.with_values(linear(windows.values, layer.weight, layer.bias).relu()))
        encoded = self.encoder.encode(read, inner)
        return encoded._replace(state=(*encoded.state, *after)) if self.causal else encoded

    def layers(self) -> list[Iterable[nn.Module]]:
        return [*([layer] for layer in self.convolutions), *self.encoder.layers()]


def _centered(values: Tensor, layout: Layout) -> Tensor:
    """(N, C) without the mean of each sequence."""
    sums = values.new_zeros(len(layout), values.shape[1], dtype=torch.float64).index_add(
        0, layout.rows, values.double()
    )
    means = sums / layout.lengths.to(values.device).clamp(min=1).unsqueeze(1)
    return values - means.to(values.dtype)[layout.rows]


def _halved(steps: Steps, before: Tensor | None) -> tuple[Steps, Tensor]:
    """Windows of `KERNEL` steps beside each other, at every other step; and the last step of each sequence.

    Args:
        before: (B, C) the step before the first of each sequence; None: zeros.
    """
    device, size = steps.layout.device, steps.values.shape[1]
    layout, lengths = Layout((steps.layout.lengths + 1) // 2, device), steps.layout.lengths.to(device)
    rows = torch.arange(len(lengths), device=device)
    blank = steps.values.new_zeros(1, size)
    source = torch.cat([steps.values, blank, blank.expand(len(rows), -1) if before is None else before])

    def index(rows: Tensor, places: Tensor) -> Tensor:
        inside = steps.layout.offsets[:-1].to(device)[rows] + places
        inside = torch.where(places < lengths[rows], inside, steps.layout.total)
        return torch.where(places < 0, steps.layout.total + 1 + rows, inside)

    places = 2 * layout.positions.unsqueeze(1) + torch.arange(-1, KERNEL - 1, device=device)
    windows = source.index_select(0, index(layout.rows.unsqueeze(1), places).flatten())
    return Steps(windows.view(layout.total, KERNEL * size), layout), source[index(rows, lengths - 1)]
