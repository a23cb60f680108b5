"""The arithmetic of restricted Boltzmann machines, a row each: energies, sums over states, annealing."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import softplus

EXACT = 10
"""Bits of the smaller layer up to which all its states are summed."""
CHAINS = 4
"""Of an estimate, for each row."""
SWEEPS = 25
"""Steps of the annealing from whose ends likelier bits are looked for."""
STREAMS = 256
"""Sequences of random numbers, of which each row of an estimate has one for each chain."""
PASSES = 10
"""That look for likelier bits."""
PIECE = 1 << 22
"""Numbers of states at a time: 16 MB of float32."""

Thresholds = Callable[[int], Tensor]
"""Draws logistic numbers (chains, R, width): a bit is 1 where its log-odds are above."""


def is_exact(size: int, width: int) -> bool:
    """Whether Z of so many bits in both layers is a sum over all states of one of them."""
    return min(size, width) <= EXACT


class Machine:
    """R restricted Boltzmann machines of V and K bits that share their weights.

        exp(-F(y)) = sum over h of exp(b . y + c . h + y W h)

    Shapes:
        visible (R, V); hidden (R, K); weight (V, K)

    Args:
        visible: b.
        hidden: c.
        weight: W.
        annealing: the steps of an estimate.
    """

    def __init__(self, visible: Tensor, hidden: Tensor, weight: Tensor, annealing: int):
        self.visible, self.hidden, self.weight, self.annealing = visible, hidden, weight, annealing
        self.size, self.width = weight.shape

        self.is_exact = is_exact(self.size, self.width)

    def to_hidden(self, bits: Tensor) -> Tensor:
        """What bits (..., V) add to the log-odds of the hidden ones."""
        return _product(bits, self.weight)

    def to_visible(self, states: Tensor) -> Tensor:
        """What hidden bits (..., K) add to the log-odds of the visible ones."""
        return _product(states, self.weight.T)

    def visible_odds(self, states: Tensor) -> Tensor:
        """(R, V) the probability of each bit given hidden ones."""
        return (self.visible + self.to_visible(states)).sigmoid()

    def free_energy(self, bits: Tensor) -> Tensor:
        """(R,) F of bits (R, V)."""
        return -(self.visible * bits).sum(1) - softplus(self.hidden + self.to_hidden(bits)).sum(1)

    def states(self, of_visible: bool) -> Tensor:
        """(S, V or K) every state of one layer."""
        places = torch.arange(self.size if of_visible else self.width, device=self.weight.device)
        numbers = torch.arange(1 << len(places), device=places.device).unsqueeze(1)
        return ((numbers >> places) & 1).to(self.weight)

    def of_states(self, of_visible: bool) -> Tensor:
        """(R, S) the log-probability of every state of one layer, plus log Z."""
        states = self.states(of_visible)
        own, other = (self.visible, self.hidden) if of_visible else (self.hidden, self.visible)
        read = self.to_hidden(states) if of_visible else self.to_visible(states)
        parts = other.split(max(1, PIECE // read.numel()))
        return _product(own, states.T) + torch.cat([softplus(part.unsqueeze(1) + read).sum(2) for part in parts])

    @torch.no_grad()
    def swept(self, bits: Tensor, sweeps: int) -> Tensor:
        """Bits (R, V) after so many sweeps of Gibbs sampling, by torch's own generator."""
        for _ in range(sweeps):
            states = _drawn((self.hidden + self.to_hidden(bits)).sigmoid())
            bits = _drawn(self.visible_odds(states))
        return bits

    def ascended(self, bits: Tensor) -> Tensor:
        """Bits (R, V) that are no less probable: exp(-F) is at least its tangent, which these make largest."""
        for _ in range(PASSES):
            bits = self.likeliest((self.hidden + self.to_hidden(bits)).sigmoid())
        return bits

    def likeliest(self, states: Tensor) -> Tensor:
        """Bits (R, V) given hidden ones."""
        return (self.visible + self.to_visible(states) > 0).to(states)

    def log_prob(self, bits: Tensor) -> Tensor:
        """(R,) log p of bits (R, V), or its estimate, whose gradient is then estimated by samples."""
        if self.is_exact:
            return -self.free_energy(bits) - self.of_states(self.size <= self.width).logsumexp(1)
        estimate = self.reversed(bits)
        if not torch.is_grad_enabled():
            return estimate
        slope = sum(self.free_energy(sample) for sample in self.ends) / CHAINS - self.free_energy(bits)
        return estimate + slope - slope.detach()

    @cached_property
    def ends(self) -> Tensor:
        """(CHAINS, R, V) samples, the same in each call."""
        return self.annealed(SWEEPS, self._streams())

    @cached_property
    def pulls(self) -> tuple[Tensor, Tensor]:
        """What both layers (R, V) and (R, K) have, at t = 0, in place of the weights: means of the other layer, which
        see each other once."""
        # A mean field in their place settles on one of several likely targets, and the path then leads to that alone.
        seen = self.visible.sigmoid()
        return self.to_visible((self.hidden + self.to_hidden(seen)).sigmoid()), self.to_hidden(seen)

    def hidden_at(self, t: float, read: Tensor) -> Tensor:
        """(..., R, K) the log-odds of hidden bits for f_t, from what the visible ones add at t = 1."""
        return self.hidden + (1 - t) * self.pulls[1] + t * read

    def sweep(self, t: float, read: Tensor, thresholds: Thresholds) -> Tensor:
        """Visible bits (chains, R, V) after a sweep of Gibbs sampling for f_t."""
        states = _above(thresholds, self.hidden_at(t, read))
        return _above(thresholds, self.visible + (1 - t) * self.pulls[0] + t * self.to_visible(states))

    @torch.no_grad()
    def annealed(self, steps: int, thresholds: Thresholds) -> Tensor:
        """(chains, R, V) the ends of an annealing in so many steps, samples of p_steps."""
        bits = _above(thresholds, self.visible + self.pulls[0])
        for step in range(1, steps + 1):
            bits = self.sweep(step / steps, self.to_hidden(bits), thresholds)
        return bits

    @torch.no_grad()
    def reversed(self, bits: Tensor) -> Tensor:
        """(R,) the estimate of log p_steps of bits (R, V), which an annealing of as many steps samples."""
        steps, thresholds = self.annealing, self._streams()
        norms = softplus(self.visible + self.pulls[0]).sum(1) + softplus(self.hidden_at(0, 0 * self.hidden)).sum(1)
        logs = (-self.free_energy(bits) - norms).double()
        read = self.to_hidden(bits)
        for step in range(steps, 0, -1):
            last, t = (step - 1) / steps, step / steps
            bits = self.sweep(t, read, thresholds)
            read = self.to_hidden(bits)
            gained = (softplus(self.hidden_at(t, read)) - softplus(self.hidden_at(last, read))).sum(-1)
            logs = logs - (gained - (self.pulls[0] * bits).sum(-1) / steps).double()
        return (logs.logsumexp(0) - math.log(CHAINS)).to(self.visible)

    def _streams(self) -> Thresholds:
        """Random numbers of one generator, of which a row has those that its rounded biases choose."""
        biases = (torch.cat([self.visible, self.hidden], 1).detach() * 64).floor().long()
        digits = torch.arange(1, biases.shape[1] + 1, device=biases.device)
        chains = torch.arange(CHAINS, device=biases.device).unsqueeze(1)
        streams = ((biases * digits.square()).sum(1) + chains) % STREAMS
        chance = torch.Generator().manual_seed(0)

        def thresholds(width: int) -> Tensor:
            uniform = torch.rand(STREAMS, width, generator=chance, dtype=torch.float64)
            return uniform.logit().to(self.visible)[streams]

        return thresholds


def _above(thresholds: Thresholds, log_odds: Tensor) -> Tensor:
    return (thresholds(log_odds.shape[-1]) < log_odds).to(log_odds)


def _drawn(odds: Tensor) -> Tensor:
    return (torch.rand_like(odds) < odds).to(odds)


def _product(x: Tensor, weight: Tensor) -> Tensor:
    """In the type of both: energies of 16 bits would be whole nats apart."""
    with torch.autocast(x.device.type, enabled=False):
        return x @ weight
