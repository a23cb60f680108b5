"""The simple recurrent network."""

from typing import Literal

import torch
from torch import Tensor, nn

from ostinato.cells.contract import Biases, Cell
from ostinato.kernels.contract import Native, State
from ostinato.registry import Positive

ACTIVATIONS = {"tanh": torch.tanh, "relu": torch.relu, "leaky_relu": nn.functional.leaky_relu}


class RNN(Cell):
    """The simple recurrent network of Elman.

        h[t] = f(W_x x[t] + b_x + W_h h[t-1] + b_h)          f: tanh, max(0, a), or a below zero times 0.01

    Shapes:
        x (B, I); state (h,): h (B, H)

    Args:
        activation: f.
        start: the first W_h: uniform in +-1/sqrt(H) as torch, a random orthogonal matrix, or the identity with biases
            of zero.
        spectral_radius: the largest |eigenvalue| of the first W_h, which is multiplied to have it: above 1 states and
            gradients may explode, far below 1 they vanish; None leaves it as drawn.
        biases: how many bias vectors: none, one, or one each for x and h as torch has it.

    Source: Elman 1990, doi:10.1207/s15516709cog1402_1. Orthogonal start: Saxe 2014, arXiv:1312.6120. Identity: Le 2015,
        arXiv:1504.00941, made for relu; W_x stays uniform here, where Le draws it with a deviation of 0.001. Spectral
        radius: Jaeger 2001, GMD report 148.
    """

    num_gates = 1
    num_states = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        activation: Literal["tanh", "relu", "leaky_relu"] = "tanh",
        start: Literal["uniform", "orthogonal", "identity"] = "uniform",
        spectral_radius: Positive | None = None,
        biases: Biases = 2,
    ):
        super().__init__(input_size, hidden_size)
        self.activation = activation
        self.new_weights(biases)
        if start == "orthogonal":
            nn.init.orthogonal_(self.weight_h)
        elif start == "identity":
            nn.init.eye_(self.weight_h)
            for bias in (self.bias_x, self.bias_h):
                if bias is not None:
                    nn.init.zeros_(bias)
        if spectral_radius is not None:
            with torch.no_grad():
                self.weight_h *= spectral_radius / torch.linalg.eigvals(self.weight_h).abs().max()

    def native(self) -> Native:
        return Native(f"rnn_{self.activation}")

    def pointwise(self, gates_x: Tensor, gates_h: Tensor, state: State) -> State:
        return (ACTIVATIONS[self.activation](gates_x + gates_h),)
