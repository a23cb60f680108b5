"""Training pictures in another form each time: moved, mirrored, turned, bent, in another light."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ostinato.steps import Layout

NODE_PIXELS = 8
"""Between two places whose displacement is drawn; between them it is smooth."""


@dataclass(frozen=True)
class Augmentation:
    """What is drawn for a training picture.

        y[p] = (1 + c) x[M (p - middle) + middle + d(p) + s] + l      zero, the mean of pixels, beyond the picture
        M    = [[cos a, -sin a], [sin a, cos a]] [[1, k], [0, 1]] [[1 / w, 0], [0, 1 / h]]

    a, k, log w, log h, d, s, c and l are uniform between plus and minus what follows; half of the pictures are mirrored
    before. All but whole shifts and mirrors read between pixels, linearly. Pictures of one owner, such as the frames of
    a video, are changed alike.

    Shapes:
        pictures (B, W, H, C), columns across; owners (B,)

    Args:
        shift: s, in whole pixels.
        flip: whether half of the pictures are mirrored, left to right.
        contrast: of c and l, in units of the pixels' deviation.
        turn: a, in degrees.
        stretch: how much longer or shorter each side is, as a share: of log w and log h, log(1 + stretch).
        slant: k, columns per row.
        warp: d, in pixels, at places NODE_PIXELS apart.
    """

    shift: int = 0
    flip: bool = False
    contrast: float = 0.0
    turn: float = 0.0
    stretch: float = 0.0
    slant: float = 0.0
    warp: float = 0.0

    def changed(self, plane: Tensor, layout: Layout, owners: Tensor | None = None) -> Tensor:
        """Other pictures in place of these.

        Args:
            plane: the pictures.
            layout: of their columns.
            owners: whose each picture is, numbers from 0 on; None: each is its own.
        """
        if not any(vars(self).values()) or not len(plane):
            return plane
        device = plane.device
        if owners is None:
            count, owners = len(layout), torch.arange(len(layout), device=device)
        else:
            count = int(owners[-1]) + 1
        lengths = layout.lengths.to(device).unsqueeze(1)
        columns, lines = (torch.arange(size, device=device).expand(len(layout), size) for size in plane.shape[1:3])
        if self.flip:
            mirrored = (torch.rand(count, 1, device=device) < 0.5)[owners]
            columns = torch.where(mirrored, lengths - 1 - columns, columns)
        across, down = torch.randint(-self.shift, self.shift + 1, (2, count, 1), device=device)[:, owners]
        light = 1 + self.contrast * (2 * torch.rand(2, count, 1, 1, 1, device=device)[:, owners] - 1)
        plane = plane * light[0] + light[1] - 1
        if self.turn or self.stretch or self.slant or self.warp:
            return self._bent(plane, columns, lines, lengths, (across, down), (count, owners))
        columns, lines = columns + across, lines + down
        there = ((columns >= 0) & (columns < lengths)).unsqueeze(2) & (
            (lines >= 0) & (lines < plane.shape[2])
        ).unsqueeze(1)
        columns, lines = columns.clamp(0, plane.shape[1] - 1), lines.clamp(0, plane.shape[2] - 1)
        row = torch.arange(len(layout), device=device).view(-1, 1, 1)
        return plane[row, columns.unsqueeze(2), lines.unsqueeze(1)] * there.unsqueeze(3)

    def _bent(
        self,
        plane: Tensor,
        columns: Tensor,
        lines: Tensor,
        lengths: Tensor,
        moved: tuple[Tensor, Tensor],
        drawn: tuple[int, Tensor],
    ) -> Tensor:
        """The picture read at other places.

        Args:
            plane: the pictures, in their light.
            columns: (B, W) which each place had.
            lines: (B, H) likewise.
            lengths: (B, 1) the columns of each picture.
            moved: (B, 1) pixels across and down.
            drawn: how many owners there are, and the pictures' owners.
        """
        count, owners = drawn
        width, height = plane.shape[1:3]
        middle = (lengths - 1) / 2, (height - 1) / 2
        u = (columns - middle[0]).unsqueeze(2).expand(-1, -1, height)
        v = (lines - middle[1]).unsqueeze(1).expand(-1, width, -1)

        def between(size: float) -> Tensor:
            return (size * (2 * torch.rand(count, 1, 1, device=plane.device) - 1))[owners]

        u, v = u * between(math.log1p(self.stretch)).exp(), v * between(math.log1p(self.stretch)).exp()
        u = u + between(self.slant) * v
        angle = between(math.radians(self.turn))
        u, v = angle.cos() * u - angle.sin() * v, angle.sin() * u + angle.cos() * v
        nodes = [max(2, -(-size // NODE_PIXELS) + 1) for size in (width, height)]
        field = self.warp * (2 * torch.rand(count, 2, *nodes, device=plane.device) - 1)
        field = functional.interpolate(field, (width, height), mode="bicubic", align_corners=True)[owners]
        u = u + field[:, 0] + middle[0].unsqueeze(2) + moved[0].unsqueeze(2)
        v = v + field[:, 1] + middle[1] + moved[1].unsqueeze(2)
        inside = torch.arange(width, device=plane.device) < lengths
        plane = plane * inside[:, :, None, None]
        grid = torch.stack([2 * v / max(1, height - 1) - 1, 2 * u / max(1, width - 1) - 1], 3)
        read = functional.grid_sample(plane.permute(0, 3, 1, 2), grid.to(plane.dtype), align_corners=True)
        return read.permute(0, 2, 3, 1) * inside[:, :, None, None]
