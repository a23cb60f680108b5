"""Convolutions over time on packed steps: no padding is computed, and no step of another sequence is read."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ostinato.kernels.products import linear
from ostinato.kernels.watch import shown
from ostinato.layers.dropout import Dropout
from ostinato.registry import Rate
from ostinato.steps import Layout, Steps


class Convolution(nn.Module):
    """A linear map of K steps, `dilation` apart, at every step of each sequence.

        y[t] = sum_k W_k x[t + k * dilation - past] + b       k from 0 to K - 1
        past = (K - 1) * dilation                             or half of it where the window is centred

    The steps before the first are those that were read earlier, or the vector `outside` (zero where none is given); it
    also follows the last step where the window is centred.
    The K steps are gathered beside each other, (N, K I), so that the map is one matrix product. On one core this took
    the time of that product alone (16 ms of 16 for 3,853 steps, I = H = 256, K = 3), as torch's convolution of the
    padded batch did.

    Shapes:
        x (N, I); before (B, past * I); outside (I,); returns (N, H), and what was read last as `before`, None if
        centred

    Args:
        input_size: I.
        output_size: H.
        kernel_size: K, odd where centred.
        dilation: the distance of two steps that are read.
        centred: whether the window reaches as far ahead as back.
    """

    def __init__(
        self, input_size: int, output_size: int, *, kernel_size: int, dilation: int = 1, centred: bool = False
    ):
        super().__init__()
        self.input_size = input_size
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.centred = centred
        self.past = (kernel_size - 1) * dilation // (2 if centred else 1)
        self.map = nn.Linear(kernel_size * input_size, output_size)

    def forward(
        self, steps: Steps, before: Tensor | None = None, outside: Tensor | None = None
    ) -> tuple[Steps, Tensor | None]:
        layout, device = steps.layout, steps.values.device
        blank = steps.values.new_zeros(1, self.input_size) if outside is None else outside.unsqueeze(0)
        source = torch.cat([steps.values, blank if before is None else before.view(-1, self.input_size)])

        shifts = torch.arange(self.kernel_size, device=device) * self.dilation - self.past
        index = self._found(
            layout, layout.rows.unsqueeze(1), layout.positions.unsqueeze(1) + shifts, before is not None
        )
        window = source.index_select(0, index.flatten()).view(layout.total, self.map.in_features)
        read = steps.with_values(linear(window, self.map.weight, self.map.bias))
        if self.centred:
            return read, None
        rows = torch.arange(len(layout), device=device).unsqueeze(1)
        places = layout.lengths.to(device).unsqueeze(1) + torch.arange(-self.past, 0, device=device)
        index = find(layout, rows, places, self.past, before is not None)
        return read, source.index_select(0, index.flatten()).view(len(layout), self.past * self.input_size)

    def _found(self, layout: Layout, rows: Tensor, places: Tensor, goes_on: bool) -> Tensor:
        index = find(layout, rows, places, self.past, goes_on)
        if not self.centred:
            return index
        # What follows the last step is the blank one.
        return torch.where(places < layout.lengths.to(places.device)[rows], index, layout.total)


class DepthwiseConvolution(nn.Module):
    """Each number's weighted sum over the last K steps of its sequence.

        y[t] = b + sum_k w_k * x[t + k - K + 1]         k from 0 to K - 1, number by number

    Shapes:
        x (N, H); before (B, (K - 1) H), zeros where none is given; returns (N, H), and what was read last as `before`

    Args:
        size: H.
        kernel_size: K.
    """

    def __init__(self, size: int, kernel_size: int):
        super().__init__()
        bound = kernel_size**-0.5
        self.weight = nn.Parameter(torch.empty(kernel_size, size).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(size))

    def forward(self, steps: Steps, before: Tensor | None = None) -> tuple[Tensor, Tensor]:
        layout, device = steps.layout, steps.values.device
        past, size = len(self.weight) - 1, len(self.bias)
        source = torch.cat([steps.values, steps.values.new_zeros(1, size) if before is None else before.view(-1, size)])
        sums = torch.addcmul(self.bias, steps.values, self.weight[past])
        for back in range(1, past + 1):
            places = find(layout, layout.rows, layout.positions - back, past, before is not None)
            sums = torch.addcmul(sums, source.index_select(0, places), self.weight[past - back])
        rows = torch.arange(len(layout), device=device).unsqueeze(1)
        places = layout.lengths.to(device).unsqueeze(1) + torch.arange(-past, 0, device=device)
        last = source.index_select(0, find(layout, rows, places, past, before is not None).flatten())
        return sums, last.view(len(layout), past * size)


def find(layout: Layout, rows: Tensor, places: Tensor, past: int, goes_on: bool) -> Tensor:
    """The indices of the steps at `places` of the sequences `rows`: among the packed steps, or behind them.

    Args:
        layout: of the steps.
        rows: the number of a sequence.
        places: of steps in it; below 0: before its first.
        past: how many steps before the first of each sequence lie behind the packed ones.
        goes_on: whether they do; else one blank step lies there.
    """
    earlier = layout.total + (rows * past + past + places if goes_on else torch.zeros_like(places))
    return torch.where(places < 0, earlier, layout.offsets[:-1].to(places.device)[rows] + places)


class ConvolutionBlock(nn.Module):
    """Two dilated convolutions with a way around them.

        y = dropout(relu(convolution_1(x)))
        z = dropout(relu(convolution_2(y)))
        h = relu(z + x)                         or relu(z + W x) where x is not as wide

    Shapes:
        x (N, I); state: two tensors (B, past * I) and (B, past * H); returns (N, H) and the state after it, () if
        centred

    Args:
        input_size: I.
        output_size: H.
        kernel_size: K of both convolutions.
        dilation: of both.
        centred: whether they reach as far ahead as back.
        dropout: the probability of dropping a value after each of them.
        variational: whether that dropout has one mask per sequence.

    Source: Bai, Kolter and Koltun 2018, arXiv:1803.01271, section 3.3; without their weight normalisation.
    """

    def __init__(
        self,
        input_size: int,
        output_size: int,
        *,
        kernel_size: int,
        dilation: int,
        centred: bool = False,
        dropout: Rate = 0.0,
        variational: bool = False,
    ):
        super().__init__()
        self.convolutions = nn.ModuleList(
            Convolution(size, output_size, kernel_size=kernel_size, dilation=dilation, centred=centred)
            for size in (input_size, output_size)
        )
        self.around = None if input_size == output_size else nn.Linear(input_size, output_size, bias=False)
        self.dropout = Dropout(dropout, variational=variational)

    def forward(self, steps: Steps, state: tuple[Tensor, ...] | None = None) -> tuple[Steps, tuple[Tensor, ...]]:
        read, after = steps, []
        for place, convolution in enumerate(self.convolutions):
            read, last = convolution(read, None if state is None else state[place])
            read = self.dropout(read.with_values(read.values.relu()))
            if last is not None:
                after.append(last)
        around = steps.values if self.around is None else linear(steps.values, self.around.weight)
        return read.with_values(shown(self, (read.values + around).relu(), steps.layout)), tuple(after)
