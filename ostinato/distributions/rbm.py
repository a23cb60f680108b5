"""Bits that depend on each other through hidden ones: a restricted Boltzmann machine."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from ostinato.distributions._boltzmann import CHAINS, EXACT, Machine, is_exact
from ostinato.distributions.contract import Distribution, Loss, mean_of_logs
from ostinato.steps import Layout

STARTS = 4
"""Hidden states from which likelier bits are looked for, where all are summed."""
MORE_STEPS = 5
"""So many times the steps are advised for a closer estimate."""


class Rbm(Distribution):
    """A vector of V bits that depend on each other through K hidden ones: a restricted Boltzmann machine.

        p(y) = exp(-F(y)) / Z
        F(y) = -b . y - sum over j of log(1 + exp(c[j] + y . W[:, j]))                     the free energy
        Z    = sum over y of exp(-F(y))
        mean of several: p(y) = mean over i of p_i(y)

    b and c differ from row to row, W does not. The gradient of log Z is out of reach in training, whose loss is
    contrastive divergence. It is near 0 where samples look like the data, and is no log-likelihood:

        loss = F(y) - F(y')                 y' after k sweeps of Gibbs sampling that begin at y, without a gradient

    Elsewhere log p(y) is exact where one layer has at most EXACT bits: all its states are summed. Otherwise p(y) is
    replaced by what an annealing of S steps samples, a distribution too, which for large S is p:

        f_t(y) = exp(b_t . y) product over j of (1 + exp(c_t[j] + t y . W[:, j]))          f_1 = exp(-F)
        b_t = b + (1 - t) W h,   c_t = c + (1 - t) v W                                     f_0: independent bits
        v = sigmoid(b),   h = sigmoid(c + v W)                                             means to begin with
        y[0] drawn for f_0;  y[s] by a sweep of Gibbs sampling for f_(s / S);  the sample is y[S]

    Its log-probability is estimated by the reverse annealing from y[S] = y, with CHAINS chains:

        p_S(y) = E of f_0(y[0]) / Z_0 product over s of f_(s / S)(y[s]) / f_(s / S)(y[s - 1])

    The estimate of p_S has no bias, that of log p_S is too low on average; more steps bring it nearer. Importance
    sampling by the annealing itself errs the other way: of a machine that learned two chords it gave -1.48 nats where
    1.84 were exact, in the epoch that its own validation had chosen. The random numbers are the same in each call;
    which of them a row has depends on its rounded biases, so that a row is scored alike in any company, and errors of
    rows with different biases average out. Where almost all rows are alike they do not, and a loss may be too low by
    chance.

    The likeliest bits are exact where V is at most EXACT. Elsewhere they are the best of several ascents, from ends of
    annealing or the likeliest hidden states, and from no bit at all. A target of which a bit is missing counts as
    missing.

    Shapes:
        visible (R, V); hidden (R, K); weight (V, K); targets (R, V) of 0, 1 and NaN

    Args:
        visible: b.
        hidden: c.
        weight: W.
        layout: of the targets.
        others: that it is averaged with.
        contrast: k, in training; None: the loss is -log p(y).
        annealing: S.

    Source: contrastive divergence: Hinton 2002, doi:10.1162/089976602760128018; b and c from a recurrent state:
        Boulanger-Lewandowski, Bengio and Vincent 2012, arXiv:1206.6392, section 3; the estimate: Burda, Grosse and
        Salakhutdinov 2015, arXiv:1412.8566, section 3; the path: Salakhutdinov and Murray 2008,
        doi:10.1145/1390156.1390266, section 4.1, which begins at the rates of the data.
    """

    lacks: ClassVar[Mapping[str, str]] = {"quantile": "labels have no order"}

    def __init__(
        self,
        visible: Tensor,
        hidden: Tensor,
        weight: Tensor,
        layout: Layout | None = None,
        others: Sequence[Machine] = (),
        *,
        contrast: int | None = None,
        annealing: int = 200,
    ):
        self.machines = (Machine(visible, hidden, weight, annealing), *others)
        self.layout, self.contrast = layout, contrast

    @staticmethod
    def is_exact(size: int, width: int) -> bool:
        """Whether log p(y) of so many bits in both layers is exact."""
        return is_exact(size, width)

    @staticmethod
    def estimated(annealing: int) -> str:
        """How log p(y) is estimated where it is not exact."""
        return (
            f"reverse annealing with {CHAINS} chains of {annealing} steps for each target; on average the probability "
            "is estimated too low, less so with more steps: evaluate with "
            f"--set outputs.NAME.head.annealing_steps={MORE_STEPS * annealing}"
        )

    @property
    def draws(self) -> int:  # type: ignore[override]
        """Enough for one number, and for all bits of both layers in each sweep."""
        size, width = self.machines[0].size, max(machine.width for machine in self.machines)
        sweeps = max(1 if machine.is_exact else machine.annealing for machine in self.machines)
        return math.ceil((1 + size + sweeps * (size + width)) / size)

    def log_prob(self, target: Tensor) -> Tensor:
        known, bits = self._known(target)
        return mean_of_logs([machine.log_prob(bits) for machine in self.machines]).masked_fill(~known, 0)

    def loss(self, target: Tensor) -> Loss:
        if self.contrast is None:
            return super().loss(target)
        known, bits = self._known(target)
        machine = self.machines[0]
        apart = machine.free_energy(bits) - machine.free_energy(machine.swept(bits, self.contrast))
        return Loss(apart.masked_fill(~known, 0).sum(), int(known.sum()))

    @torch.no_grad()
    def mode(self) -> Tensor:
        first, alone = self.machines[0], len(self.machines) == 1
        if first.size <= EXACT:
            logs = [machine.of_states(True).log_softmax(1) for machine in self.machines]
            return first.states(True)[mean_of_logs(logs).argmax(1)]
        found = [machine.ascended(start) for machine in self.machines for start in _starts(machine)]
        scores = torch.stack([-first.free_energy(bits) if alone else self.log_prob(bits) for bits in found])
        best = scores.argmax(0)
        return torch.stack(found)[best, torch.arange(len(best), device=best.device)]

    @torch.no_grad()
    def sample(self, uniform: Tensor) -> Tensor:
        # The first number tells the member too, and what is left of it is uniform again.
        flat = uniform.flatten(1)
        first = flat[:, 0] * len(self.machines)
        chosen = first.long().clamp(max=len(self.machines) - 1)
        drawn = torch.stack([_sampled(machine, first - chosen, flat[:, 1:]) for machine in self.machines])
        return drawn[chosen, torch.arange(len(chosen), device=chosen.device)]

    def counts(self, target: Tensor) -> Tensor:
        return self._known(target)[0].long()

    def right(self, target: Tensor) -> Tensor:
        """A row is right where all its bits are."""
        return ((self.mode() == target).all(1) & self._known(target)[0]).to(self.machines[0].visible.dtype)

    def mean_of(self, others: Sequence[Rbm]) -> Rbm:
        first, *rest = (machine for other in (self, *others) for machine in other.machines)
        return Rbm(first.visible, first.hidden, first.weight, self.layout, rest, annealing=first.annealing)

    def _known(self, target: Tensor) -> tuple[Tensor, Tensor]:
        """Which targets (R,) are known, and the bits of all, 0 where they are not."""
        known = ~target.isnan().any(1)
        return known, target.masked_fill(~known.unsqueeze(1), 0).to(self.machines[0].visible)


def _starts(machine: Machine) -> list[Tensor]:
    """Bits (R, V) each, from which likelier ones are looked for."""
    nothing = torch.zeros_like(machine.visible)
    if not machine.is_exact:
        return [nothing, *machine.ends]
    likeliest = machine.of_states(False).topk(min(STARTS, 1 << machine.width), 1).indices
    return [nothing, *(machine.likeliest(hidden) for hidden in machine.states(False)[likeliest].unbind(1))]


def _sampled(machine: Machine, first: Tensor, rest: Tensor) -> Tensor:
    """Bits (R, V) from uniform numbers (R,) and (R, ...)."""
    if machine.is_exact:
        of_visible = machine.size <= machine.width
        sums = machine.of_states(of_visible).double().softmax(1).cumsum(1)
        place = torch.searchsorted(sums, first.double().unsqueeze(1) * sums[:, -1:], right=True).squeeze(1)
        state = machine.states(of_visible)[place]
        return state if of_visible else (rest[:, : machine.size] < machine.visible_odds(state)).to(state)
    taken = 0

    def thresholds(width: int) -> Tensor:
        nonlocal taken
        taken += width
        return rest[:, taken - width : taken].logit().unsqueeze(0)

    return machine.annealed(machine.annealing, thresholds)[0]
