"""A pyramid of recurrences: each layer reads two steps of the one below at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import torch
from torch import Tensor, nn

from ostinato.encoders.contract import Encoded, Encoder
from ostinato.layers.recurrent import RecurrentStack
from ostinato.modalities.contract import Values
from ostinato.registry import Count, Rate, Room, Settings
from ostinato.steps import Layout, Steps


class Pyramidal(Encoder):
    """Reads with recurrences one above the other, each over half the steps of the one below.

        h_0     = recurrence over x
        h_l[j]  = recurrence over [h_{l-1}[2j]; h_{l-1}[2j + 1]]        l = 1..L; zeros beyond the sequence
        steps, summary = h_L, and its state after the last step; both ways: forward beside backward
        state   = the final states of all layers, from the bottom up

    T steps become T / 2^L, rounded up. Where `subsampled` joins steps by convolutions before anything is remembered,
    here each layer has read the whole input before two of its steps are joined. One way it is causal, and reading
    resumes from a state after a multiple of 2^L steps.

    Shapes:
        steps (N, C) values; steps_size = summary_size = H, or 2 H both ways

    Args:
        cell: the recurrence.
        hidden_size: H of each layer, per direction.
        layers: L, those that halve; below them is one that does not.
        bidirectional: whether each layer reads backward too.
        dropout: the probability of dropping a value of what the halving layers read.

    Errors:
        ValueError: a state is given, and it reads both ways.

    Source: Chan et al. 2016, arXiv:1508.01211, section 3.1.
    """

    takes = (Values,)
    streams = True
    sees_ahead = ("bidirectional",)
    directions_beside = True

    def __init__(
        self,
        spec: Values,
        *,
        cell: Annotated[Settings, Room("cells")] = "lstm",
        hidden_size: Count = 128,
        layers: Count = 2,
        bidirectional: bool = True,
        dropout: Rate = 0.0,
    ):
        super().__init__()
        reads: Any = "both" if bidirectional else "forward"
        bottom = RecurrentStack(cell, spec.size, [hidden_size], reads=reads)
        width = bottom.output_size
        halving = (RecurrentStack(cell, 2 * width, [hidden_size], reads=reads, dropout=dropout) for _ in range(layers))
        self.stacks = nn.ModuleList([bottom, *halving])
        self.steps_size = self.summary_size = width
        self.state_sizes = tuple(size for stack in self._stacks() for size in stack.state_sizes)
        self.causal, self.reduction = not bidirectional, 2**layers
        self.look_ahead = None if bidirectional else self.reduction - 1

    @classmethod
    def reduction_of(cls, settings: Any) -> int:
        return 2**settings.layers

    def encode(self, steps: Steps, state: tuple[Tensor, ...] | None = None) -> Encoded:
        if state is not None and not self.causal:
            raise ValueError("this encoder reads both ways, so it cannot resume from a state: give none")
        read, after = steps.with_values(steps.values.nan_to_num()), []
        for number, stack in enumerate(self._stacks()):
            before = None
            if state is not None:
                before, state = state[: len(stack.state_sizes)], state[len(stack.state_sizes) :]
            read, final = stack(_paired(read) if number else read, before)
            after += final
        return Encoded(read, stack.last_hidden(final), tuple(after))

    def layers(self) -> list[Iterable[nn.Module]]:
        return [layer for stack in self._stacks() for layer in stack.layers()]

    def _stacks(self) -> list[Any]:
        return list(self.stacks)


def _paired(steps: Steps) -> Steps:
    """Two steps beside each other as one, zeros after the last of an odd number."""
    device, lengths = steps.layout.device, steps.layout.lengths.to(steps.layout.device)
    layout = Layout((steps.layout.lengths + 1) // 2, device)
    second = 2 * layout.positions + 1
    first = steps.layout.offsets[:-1].to(device)[layout.rows] + second - 1
    values = torch.cat([steps.values, steps.values.new_zeros(1, steps.values.shape[1])])
    other = torch.where(second < lengths[layout.rows], first + 1, steps.layout.total)
    return Steps(torch.cat([values.index_select(0, first), values.index_select(0, other)], 1), layout)
