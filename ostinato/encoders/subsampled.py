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
from ostinato.registry import Count, Rate, Room, Settings, Whole, build, component
from ostinato.steps import Layout, Steps

KERNEL = 3
"""Steps that a convolution reads: the two that it joins, and the one before."""


class Subsampled(Encoder):
    """Another encoder over fewer steps: each convolution gives one for two.

        h_0     = x, without the masked numbers
        h_l[j]  = relu(W_l [h_{l-1}[2j - 1]; h_{l-1}[2j]; h_{l-1}[2j + 1]] + b_l)      zeros beyond the sequence
        steps, summary = those of `encoder` over the top layer

    T steps become T / 2^layers, rounded up, which is what recurrent nets and attention over frames of sound need: fewer
    steps to learn over, and less to compute. In training whole bands of numbers and stretches of steps may be masked
    (SpecAugment), other ones in each epoch.

    Shapes:
        steps (N, C) values

    Args:
        encoder: what reads the fewer steps.
        layers: how many convolutions.
        hidden_size: the width of each.
        dropout: the probability of dropping a value after each.
        step_masks: how many stretches of steps are set to zero in each training example.
        step_width: the most steps of one, which is no longer than half of the example; 20 by default.
        band_masks: likewise of the numbers of a step, neighbours such as the bands of a spectrum.
        band_width: the most numbers of one; a fifth of them by default.

    Errors:
        ConfigError: a width without masks; `encoder` reads no sequences of vectors.
        ValueError: a state is given.

    Source: two convolutions of stride 2: Dong, Xu and Xu 2018, doi:10.1109/ICASSP.2018.8462506; masks: Park 2019,
        arXiv:1904.08779, section 2, without the warping of time; zero is the mean of scaled numbers.
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
        step_masks: Whole = 0,
        step_width: Count | None = None,
        band_masks: Whole = 0,
        band_width: Count | None = None,
    ):
        super().__init__()
        for what, masks, width in (("step", step_masks, step_width), ("band", band_masks, band_width)):
            if width is not None and not masks:
                raise ConfigError(f"subsampled: {what}_width has no effect without {what}_masks; set both, or neither")
        self.masks = ((step_masks, step_width or 20), (band_masks, band_width or max(1, spec.size // 5)))
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
        self.steps_size, self.summary_size = self.encoder.steps_size, self.encoder.summary_size
        self.state_sizes, self.penalties = self.encoder.state_sizes, self.encoder.penalties
        self.reduction, self.causal, ahead = 2**layers, False, self.encoder.look_ahead
        self.look_ahead = None if ahead is None else (ahead + 1) * self.reduction - 1

    @classmethod
    def reduction_of(cls, settings: Any) -> int:
        inner = settings.encoder
        return 2**settings.layers * component("encoders", inner.type).reduction_of(inner)

    def encode(self, steps: Steps, state: tuple[Tensor, ...] | None = None) -> Encoded:
        if state is not None:
            raise ValueError("this encoder reads whole inputs, so it cannot resume from a state: give none")
        values = steps.values.nan_to_num()
        read = steps.with_values(self._masked(values, steps.layout) if self.training else values)
        for layer in self.convolutions:
            halved = _halved(read)
            read = self.dropout(halved.with_values(linear(halved.values, layer.weight, layer.bias).relu()))
        return self.encoder.encode(read)

    def layers(self) -> list[Iterable[nn.Module]]:
        return [*([layer] for layer in self.convolutions), *self.encoder.layers()]

    def _masked(self, values: Tensor, layout: Layout) -> Tensor:
        (step_masks, step_width), (band_masks, band_width) = self.masks
        if band_masks:
            bands = torch.full_like(layout.lengths, values.shape[1]).to(values.device)
            values = values.masked_fill(
                _masks(bands, values.shape[1], band_masks, torch.full_like(bands, band_width))[layout.rows], 0.0
            )
        if step_masks:
            lengths = layout.lengths.to(values.device)
            masked = _masks(lengths, layout.longest, step_masks, (lengths / 2).clamp(max=step_width))
            values = values.masked_fill(masked[layout.rows, layout.positions].unsqueeze(1), 0.0)
        return values


def _masks(lengths: Tensor, longest: int, masks: int, widths: Tensor) -> Tensor:
    """(B, longest) which places of each row lie within one of the stretches that are drawn for it, each as
    long as `widths` (B,) at most."""
    size, start = torch.rand(2, len(lengths), masks, 1, device=lengths.device)
    size = 1 + (size * widths.view(-1, 1, 1)).floor()
    start = (start * (lengths.view(-1, 1, 1) - size + 1).clamp(min=1)).floor()
    places = torch.arange(longest, device=lengths.device)
    return ((places >= start) & (places < start + size)).any(1)


def _halved(steps: Steps) -> Steps:
    """Windows of `KERNEL` steps beside each other, at every other step."""
    layout = Layout((steps.layout.lengths + 1) // 2, steps.layout.device)
    lengths = steps.layout.lengths.to(layout.device)[layout.rows].unsqueeze(1)
    places = 2 * layout.positions.unsqueeze(1) + torch.arange(-1, KERNEL - 1, device=layout.device)
    starts = steps.layout.offsets[:-1].to(layout.device)[layout.rows].unsqueeze(1)
    index = torch.where((places >= 0) & (places < lengths), starts + places, steps.layout.total)
    source = torch.cat([steps.values, steps.values.new_zeros(1, steps.values.shape[1])])
    return Steps(source.index_select(0, index.flatten()).view(layout.total, KERNEL * source.shape[1]), layout)
