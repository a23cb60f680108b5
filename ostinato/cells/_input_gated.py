"""What cells share whose gates read no state: one state, linear in itself."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from ostinato.cells.contract import Cell
from ostinato.kernels.contract import State
from ostinato.kernels.linear_scan import linear_scan
from ostinato.steps import Layout


class InputGated(Cell):
    """A cell whose gates and candidate are of x alone, so that all steps are computed at once.

    h[t] = keep[t] h[t-1] + add[t]
    """

    num_states = 1
    parallel = True

    @abstractmethod
    def keep_and_add(self, gates_x: Tensor) -> tuple[Tensor, Tensor]:
        """Both (N, H), keep from 0 to 1."""

    def pointwise(self, gates_x: Tensor, gates_h: Tensor | None, state: State) -> State:
        keep, add = self.keep_and_add(gates_x)
        return (torch.addcmul(add, keep, state[0]),)

    def gates(self, gates_x: Tensor, gates_h: Tensor | None, state: State, after: State) -> dict[str, Tensor]:
        return {"forget": self.keep_and_add(gates_x)[0]}

    def whole(self, gates_x: Tensor, state: State, layout: Layout) -> tuple[Tensor, State]:
        hidden, last = linear_scan(*self.keep_and_add(gates_x), state[0], layout)
        return hidden, (last,)
