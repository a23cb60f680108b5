"""The linear recurrent unit, a diagonal state space."""

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from ostinato.cells.contract import Cell
from ostinato.errors import ConfigError
from ostinato.kernels.contract import State
from ostinato.kernels.linear_scan import at_ends, linear_scan
from ostinato.kernels.products import quickest_linear
from ostinato.registry import Positive, Rate
from ostinato.steps import Layout


class LRU(Cell):
    """The linear recurrent unit: complex numbers that turn and fade, each by itself, and what is read off them.

        lambda = exp(-exp(nu) + i theta)                    below 1 in size whatever nu is
        s[t]   = lambda s[t-1] + gamma (B x[t] + b)         s complex; gamma begins as sqrt(1 - |lambda|^2)
        h[t]   = gelu(Re(C s[t]) + D x[t] + d)              or without gelu

    All steps are computed at once. A stack without gelu is linear as a whole.

    Shapes:
        x (B, I); state (h, Re s, Im s): each (B, H); gates in the order Re B, Im B, D; nu, theta, log gamma (H,); C
        (2, H, H), real and imaginary part

    Args:
        smallest: the least |lambda| at the start; of all, |lambda|^2 is uniform in between.
        largest: the greatest |lambda| at the start: near 1 the state is kept for about 1 / (1 - |lambda|) steps.
        largest_phase: the greatest theta at the start, in radians; small ones turn slowly, for long inputs.
        activation: of h.

    Errors:
        ConfigError: `smallest` above `largest`.

    Source: Orvieto et al. 2023, arXiv:2303.06349, section 3 and appendix A; the diagonal state space: Gupta 2022,
        arXiv:2203.14343. Their block has norms and a gated layer around it; here the stack's `residual` and `dropout`.
    """

    num_gates = 3
    num_states = 3
    parallel = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        smallest: Rate = 0.9,
        largest: Rate = 0.999,
        largest_phase: Positive = 2 * math.pi,
        activation: Literal["gelu", "none"] = "gelu",
    ):
        super().__init__(input_size, hidden_size)
        if smallest > largest:
            raise ConfigError(
                f"lru: smallest: {smallest:g} is above largest: {largest:g}; |lambda| is drawn between the two"
            )
        self.activation = activation
        self.new_weights(1, recurrent=False)
        # Where a phase is drawn to be 0 or a size to be 1, their logarithms would not be finite.
        drawn = torch.rand(2, hidden_size).clamp(1e-6, 1 - 1e-6)
        squares = (drawn[0] * (largest**2 - smallest**2) + smallest**2).clamp(1e-6)
        self.log_fade = nn.Parameter((-0.5 * squares.log()).log())
        self.phase = nn.Parameter(drawn[1] * largest_phase)
        self.log_gain = nn.Parameter(0.5 * (1 - squares).log())
        self.weight_s = self.uniform(2, hidden_size, hidden_size)

    def pointwise(self, gates_x: Tensor, gates_h: Tensor | None, state: State) -> State:
        add, direct = self._add(gates_x)
        s = torch.addcmul(add, self._keep(), torch.complex(state[1], state[2]))
        return self._shown(s, direct), s.real, s.imag

    def gates(self, gates_x: Tensor, gates_h: Tensor | None, state: State, after: State) -> dict[str, Tensor]:
        return {"forget": self._keep().abs().expand_as(state[1])}

    def whole(self, gates_x: Tensor, state: State, layout: Layout) -> tuple[Tensor, State]:
        add, direct = self._add(gates_x)
        s, last = linear_scan(self._keep().expand_as(add), add, torch.complex(state[1], state[2]), layout)
        hidden = self._shown(s, direct)
        return hidden, (at_ends(hidden, state[0], layout), last.real, last.imag)

    def _keep(self) -> Tensor:
        return torch.polar(torch.exp(-torch.exp(self.log_fade)), self.phase)

    def _add(self, gates_x: Tensor) -> tuple[Tensor, Tensor]:
        """gamma (B x + b), and D x + d."""
        real, imaginary, direct = gates_x.chunk(3, 1)
        gain = torch.exp(self.log_gain)
        return torch.complex(gain * real, gain * imaginary), direct

    def _shown(self, s: Tensor, direct: Tensor) -> Tensor:
        read = quickest_linear(s.real, self.weight_s[0]) - quickest_linear(s.imag, self.weight_s[1])
        h = read.to(direct.dtype) + direct
        return functional.gelu(h) if self.activation == "gelu" else h
