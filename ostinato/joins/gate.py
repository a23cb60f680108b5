"""The join that weighs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ostinato.encoders.contract import Encoded
from ostinato.joins._parts import at_each_step, summaries, the_one_with_steps
from ostinato.joins.contract import Join
from ostinato.kernels.products import linear
from ostinato.registry import Count


class Gate(Join):
    """Summaries added, each number of each input let through by a gate that has seen all of them.

        g_i     = sigmoid(W_i [summary_1; ...; summary_n] + b_i)
        summary = sum_i g_i * V_i summary_i
        steps   = the same with h[t], the steps of the only input that has some, in place of that input's summary

    Where several inputs have steps, or none, or steps of another width than that input's summary, it gives no steps.

    Shapes:
        summary (B, size); steps (N, size) in the layout of the input that has them

    Args:
        size: the common width; that of the widest input by default.

    Errors:
        ConfigError: an input that gives no summary.

    Source: gated multimodal units, Arevalo et al. 2017, arXiv:1702.01992, section 3.1; without their tanh of V_i
        summary_i, so that a number may stay large, and with biases.
    """

    def __init__(
        self, steps_sizes: Sequence[int | None], summary_sizes: Sequence[int | None], *, size: Count | None = None
    ):
        super().__init__()
        widths = summaries("gate", summary_sizes)
        self.summary_size = size = size or max(widths)
        self.maps = nn.ModuleList(nn.Linear(width, size, bias=False) for width in widths)
        self.gates = nn.Linear(sum(widths), len(widths) * size)
        place = the_one_with_steps(steps_sizes)
        self.place = place if place is not None and steps_sizes[place] == widths[place] else None
        self.steps_size = None if self.place is None else size

    def join(self, encoded: Sequence[Encoded]) -> Encoded:
        summary = self._weighed([source.summary for source in encoded])
        if self.place is None:
            return Encoded(None, summary, None)
        steps = encoded[self.place].steps
        return Encoded(steps.with_values(self._weighed(at_each_step(encoded, self.place))), summary, None)

    def _weighed(self, parts: Sequence[Tensor]) -> Tensor:
        gates = torch.sigmoid(linear(torch.cat(list(parts), 1), self.gates.weight, self.gates.bias))
        mapped = [linear(part, layer.weight) for layer, part in zip(self.maps, parts)]
        return sum(gate * values for gate, values in zip(gates.split(self.summary_size, 1), mapped))
