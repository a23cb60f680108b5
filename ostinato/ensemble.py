"""Several trained heads of one vocabulary that generate as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ostinato.encoders._contract import Encoded
from ostinato.heads._contract import Decoding, Generator
from ostinato.steps import Steps


class Ensemble(Generator):
    """The average of several generators' log-probabilities.

        log p(y | x) = mean_k log p_k(y | x) - log Z           Z makes it a distribution

    The state holds each member's memory and values, the values' names led by the member's number. Its attention is the mean of
    the members' where all of them look at the same steps, else empty.

    Args:
        members: generators over the same symbols.
    """

    def __init__(self, members: Sequence[Generator]):
        self.members = list(members)
        self.begin, self.end, self.num_symbols = members[0].begin, members[0].end, members[0].num_symbols

    def start(self, encoded: Sequence[Sequence[Encoded]]) -> Decoding:
        """One hypothesis per example; `encoded` holds what each member's own encoders read."""
        return _joined([member.start(own) for member, own in zip(self.members, encoded)])

    def extend(self, steps: Steps, state: Decoding) -> tuple[Tensor, Decoding]:
        return self._averaged([member.extend(steps, own) for member, own in zip(self.members, _parted(state))])

    def step(self, symbols: Tensor, state: Decoding) -> tuple[Tensor, Decoding]:
        return self._averaged([member.step(symbols, own) for member, own in zip(self.members, _parted(state))])

    def _averaged(self, said: list[tuple[Tensor, Decoding]]) -> tuple[Tensor, Decoding]:
        logs = torch.stack([torch.log_softmax(logits, 1) for logits, _ in said])
        return torch.log_softmax(logs.mean(0), 1), _joined([state for _, state in said])


def _joined(states: list[Decoding]) -> Decoding:
    values = {f"{k} {name}": value for k, state in enumerate(states) for name, value in state.values.items()}
    shapes = {tuple(weights.shape for weights in state.attention) for state in states}
    alike = [state.attention for state in states] if len(shapes) == 1 else []
    attention = tuple(sum(weights) / len(states) for weights in zip(*alike))
    packed = {str(k): state.packed for k, state in enumerate(states)}
    return Decoding(tuple(state.memory for state in states), states[0].rows, values, attention, packed)


def _parted(state: Decoding) -> list[Decoding]:
    return [
        replace(
            state,
            memory=memory,
            values={n.split(" ", 1)[1]: v for n, v in state.values.items() if n.startswith(f"{k} ")},
            attention=(),
            packed=state.packed[str(k)],
        )
        for k, memory in enumerate(state.memory)
    ]
