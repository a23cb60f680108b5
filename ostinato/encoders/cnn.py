"""A small residual convolutional net over pictures."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from ostinato.encoders.contract import Encoded, Encoder
from ostinato.errors import ConfigError
from ostinato.layers.augmentation import Augmentation
from ostinato.layers.dropout import Dropout
from ostinato.layers.pooling import largest, sum_up
from ostinato.modalities.contract import Pixels, Values
from ostinato.registry import Count, NonNegative, Rate, Whole
from ostinato.steps import Layout, Steps

NARROWEST = 16
"""Channels of a layer, at least."""


class CNN(Encoder):
    """Reads a picture, or steps of vectors, as a plane: each layer halves its sides and sees twice as far.

        h_1     = conv(x), 5 x 5, stride 2
        h_l     = block(h_{l-1}), stride 2              then blocks - 1 more of stride 1
        block   = conv(relu(norm(conv(relu(norm(h)))))) + W h          both 3 x 3; norm: of a position's channels
        grid    steps = positions of norm(h_L), column after column, in each from top to bottom
        columns steps = W [the positions of a column]
        summary = the mean or the largest over the steps; or points: what is largest and where it lies,
            [max_p h[p]; sum_p a[p] x[p]; sum_p a[p] y[p]]     a = softmax_p h[p], of each number on its own

    The last layer has H channels, each one below half of the one above it, 16 at least. Beyond a picture there are
    zeros, at its own edge even where its company is wider, and no number is a mean over pictures: a picture is read as
    if it were alone. A grid also reads where each pixel lies, from -1 to 1 both ways: two more channels.

    Vectors, such as the frames of a spectrum, are a plane of one channel: a column for each, its numbers from top to
    bottom. A shape is then known wherever it lies, in time and among the numbers, as a sound is by a higher voice.

    In training pictures may be moved, mirrored, turned, stretched, slanted, bent and made lighter or darker, in another
    way in each epoch, all frames of a video alike: see `layers.augmentation`.

    Shapes:
        pixels (T, height * channels) of T columns, or values (T, height); T becomes T / 2^column_halvings, rounded up,
        times the rows of a grid, height / 2^layers, rounded up; steps_size = summary_size = H, of points
        summary_size = 3 H

    Args:
        hidden_size: H.
        layers: L.
        blocks: residual blocks of each layer above the first.
        steps: what a step is: a position of the plane, as attention needs, or a whole column, as reading a line does.
        column_halvings: how many layers halve the width too, the lowest ones; None: all. Fewer leave more steps to CTC.
        summary: how positions become one vector; points say where things are, as a moving one is told from another.
        dropout: the probability of dropping a value of the steps.
        shift: in training a picture is moved by up to so many pixels each way.
        flip: whether half of the training pictures are mirrored, left to right.
        contrast: by how much pixels are scaled and lightened at most in training, in units of their deviation.
        turn: by how many degrees a training picture is turned at most.
        stretch: by which share each of its sides is made longer or shorter at most, such as 0.2.
        slant: how far it leans at most, columns per row.
        warp: how many pixels its places are moved at most, each 8 pixels another way.

    Errors:
        ConfigError: more `column_halvings` than layers; `blocks` of a single layer; points of columns.
        ValueError: a state is given.

    Source: residual blocks with their norm before: He, Zhang, Ren and Sun 2016, arXiv:1603.05027, figure 1b; a norm of
        each position's channels: Liu 2022, arXiv:2201.03545, section 2.6; places: Liu 2018, arXiv:1807.03247; points:
        Levine, Finn, Darrell and Abbeel 2016, arXiv:1504.00702, section 5.2.
    """

    takes = (Pixels, Values)
    causal = False
    look_ahead = None
    variants = ({"hidden_size": 256}, {"blocks": 2}, {"shift": 2}, {"summary": "points"})

    def __init__(
        self,
        spec: Values,
        *,
        hidden_size: Count = 128,
        layers: Count = 3,
        blocks: Count = 1,
        steps: Literal["grid", "columns"] = "grid",
        column_halvings: Whole | None = None,
        summary: Literal["mean", "max", "points"] = "mean",
        dropout: Rate = 0.0,
        shift: Whole = 0,
        flip: bool = False,
        contrast: NonNegative = 0.0,
        turn: NonNegative = 0.0,
        stretch: NonNegative = 0.0,
        slant: NonNegative = 0.0,
        warp: NonNegative = 0.0,
    ):
        super().__init__()
        if not isinstance(spec, Pixels):
            spec = Pixels(spec.size, height=spec.size)
        if spec.width != 1:
            raise ConfigError(
                "cnn: reads a picture, and this input has one at each step; take stacked, which reads each"
            )
        halved = layers if column_halvings is None else column_halvings
        if halved > layers:
            raise ConfigError(f"cnn: column_halvings: {halved} is more than layers: {layers}; set {layers} at most")
        if layers == 1 and blocks > 1:
            raise ConfigError(f"cnn: blocks: {blocks} belongs to layers above the first; set layers: 2, or blocks: 1")
        if summary == "points" and steps == "columns":
            raise ConfigError(
                "cnn: summary: points lie in a grid, and steps are columns; set steps: grid, or summary: max"
            )
        self.spec, self.kind, columns = spec, summary, steps == "columns"
        self.augmentation = Augmentation(shift, flip, contrast, turn, stretch, slant, warp)
        sizes = [max(NARROWEST, hidden_size >> (layers - layer)) for layer in range(1, layers)] + [hidden_size]
        strides = [(2 if layer < halved else 1, 2) for layer in range(layers)]
        self.first = nn.Conv2d(spec.colors + 2 * (not columns), sizes[0], 5, strides[0], 2)
        self.blocks = nn.ModuleList()
        for below, size, stride in zip(sizes, sizes[1:], strides[1:]):
            self.blocks += [Residual(below, size, stride), *(Residual(size, size, (1, 1)) for _ in range(blocks - 1))]
        self.norm = nn.LayerNorm(hidden_size)
        self.dropout = Dropout(dropout)
        rows = -(-spec.height // 2**layers)
        self.column = nn.Linear(rows * hidden_size, hidden_size) if columns else None
        self.grid_height, self.reduction = 1 if columns else rows, 2**halved
        self.steps_size, self.summary_size = hidden_size, hidden_size * (3 if summary == "points" else 1)

    @classmethod
    def reduction_of(cls, settings: Any) -> int:
        return 2 ** (settings.layers if settings.column_halvings is None else settings.column_halvings)

    def encode(self, steps: Steps, state: tuple[Tensor, ...] | None = None) -> Encoded:
        if state is not None:
            raise ValueError("this encoder reads whole pictures, so it cannot resume from a state: give none")
        return self.encode_parts(steps)

    def encode_parts(self, steps: Steps, owners: Tensor | None = None) -> Encoded:
        layout, spec = steps.layout, self.spec
        if not layout.longest:
            empty = Steps(steps.values.new_zeros(0, self.steps_size), layout)
            return Encoded(empty, steps.values.new_zeros(len(layout), self.summary_size), None)
        plane = steps.with_values(steps.values.nan_to_num()).padded()
        plane = plane.view(len(layout), layout.longest, spec.height, spec.colors)
        if self.training:
            plane = self.augmentation.changed(plane, layout, owners)
        if self.column is None:
            plane = torch.cat([plane, _places(plane, layout)], 3)
        # Channels are the last axis in memory, where norms and convolutions need no copy.
        read, layout = convolved(self.first, plane.permute(0, 3, 1, 2), layout)
        for block in self.blocks:
            read, layout = block(read, layout)
        read = self.norm(read.permute(0, 2, 3, 1))
        if self.column is None:
            layout = Layout(layout.lengths * self.grid_height, layout.device)
        read = read.flatten(1, 2) if self.column is None else self.column(read.flatten(2))
        given = self.dropout(Steps.from_padded(read, layout))
        return Encoded(given, self._points(given) if self.kind == "points" else sum_up(self.kind, given, None)[0], None)

    def _points(self, steps: Steps) -> Tensor:
        """The largest of each number over the positions, and where it lies across and down, (B, 3 H)."""
        layout, rows = steps.layout, self.grid_height
        columns = (layout.lengths // rows).clamp(min=1).to(layout.device)[layout.rows]
        across, down = layout.positions // rows, layout.positions % rows
        places = torch.stack([(2 * across + 1) / columns - 1, (2 * down + 1) / rows - 1], 1).to(steps.values.dtype)
        shares = steps.padded(torch.finfo(steps.values.dtype).min).softmax(1)
        where = shares.transpose(1, 2) @ steps.with_values(places).padded()
        return torch.cat([largest(steps), *where.unbind(2)], 1)

    def layers(self) -> list[list[nn.Module]]:
        return [[self.first], *([block] for block in self.blocks)]


class Residual(nn.Module):
    """Two convolutions with a way around them.

        y = conv_2(relu(norm_2(conv_1(relu(norm_1(x)))))) + W x[every stride-th position]

    Shapes:
        x (B, I, W, H), the layout of its columns; returns (B, O, W / stride, H / stride), rounded up, and theirs

    Args:
        input_size: I.
        output_size: O.
        stride: across columns and rows.
    """

    def __init__(self, input_size: int, output_size: int, stride: tuple[int, int]):
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(size) for size in (input_size, output_size))
        self.convolutions = nn.ModuleList(
            [nn.Conv2d(input_size, output_size, 3, stride, 1), nn.Conv2d(output_size, output_size, 3, 1, 1)]
        )
        same = input_size == output_size and stride == (1, 1)
        self.around = None if same else nn.Conv2d(input_size, output_size, 1, stride, bias=False)

    def forward(self, x: Tensor, layout: Layout) -> tuple[Tensor, Layout]:
        read, within = x, layout
        for norm, convolution in zip(self.norms, self.convolutions):
            normed = norm(read.permute(0, 2, 3, 1)).relu().permute(0, 3, 1, 2)
            read, within = convolved(convolution, normed, within)
        return read + (x if self.around is None else self.around(x)), within


def convolved(convolution: nn.Conv2d, x: Tensor, layout: Layout) -> tuple[Tensor, Layout]:
    """A convolution that reads zeros beyond each picture's own columns, and the layout of what it gives."""
    if not layout.full:
        x = x * layout.mask.view(len(layout), 1, -1, 1)
    return convolution(x), Layout(-(-layout.lengths // convolution.stride[0]), layout.device)


def _places(plane: Tensor, layout: Layout) -> Tensor:
    """(B, W, H, 2) where each pixel lies in its picture, from -1 to 1 across and down."""
    across = (2 * torch.arange(plane.shape[1], device=plane.device) + 1) / layout.lengths.clamp(min=1).to(
        plane
    ).unsqueeze(1)
    down = (2 * torch.arange(plane.shape[2], device=plane.device) + 1) / plane.shape[2]
    across, down = (across - 1).unsqueeze(2).expand(plane.shape[:3]), (down - 1).expand(plane.shape[:3])
    return torch.stack([across, down], 3).to(plane.dtype)
