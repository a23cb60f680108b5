"""The linear chain: labels that score each other, all sequences of them summed up exactly, and the best one found."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ostinato.kernels.deferred import refuse_second_derivative
from ostinato.modalities.contract import MISSING, Legal
from ostinato.steps import Layout, Steps

# Scores that lie further apart than this are not added up through a matrix product: exp of twice it still fits float64.
_APART = 350.0


class CRF(nn.Module):
    """A linear-chain conditional random field over the labels of each step.

        s(y) = start[y_1] + sum_t x[t, y_t] + sum_{t > 1} follows[y_{t-1}, y_t] + end[y_T]
        log Z = log sum over all legal y of exp s(y);  log p(y) = s(y) - log Z
        a[1] = start + x[1];  a[t, j] = x[t, j] + log sum_i exp(a[t-1, i] + follows[i, j])
        log Z = log sum exp(a[T] + end)
        b[T] = end;  b[t, i] = log sum_j exp(follows[i, j] + x[t+1, j] + b[t+1, j])
        p(y_t = j) = exp(a[t, j] + b[t, j] - log Z)

    What is not legal scores -infinity and has no gradient. A sequence without steps has one sequence of labels, scored
    0. Only real steps are computed, all sequences that have a step t at once, in float64 whatever the scores are in:
    the two numbers whose difference is a log-probability grow with the length. The gradient of log Z is written out:
    expected counts.

    Shapes:
        emissions x (N, V); labels (N,); starts, ends (V,); follows (V, V) from row to column

    Args:
        size: V, how many labels there are.
        legal: which may begin, end and follow; None: any.

    Source: Lafferty 2001, section 3; the recursions: Rabiner 1989, doi:10.1109/5.18626; the use on top of an LSTM:
    Lample 2016, arXiv:1603.01360, section 2.2.
    """

    def __init__(self, size: int, legal: Legal | None = None):
        super().__init__()
        self.size = size
        self.starts = nn.Parameter(torch.zeros(size))
        self.ends = nn.Parameter(torch.zeros(size))
        self.follows = nn.Parameter(torch.zeros(size, size))
        rules = (None, None, None) if legal is None else (legal.starts, legal.ends, legal.follows)
        for name, rule in zip(("barred_starts", "barred_ends", "barred_follows"), rules):
            self.register_buffer(name, None if rule is None else ~torch.tensor(rule), persistent=False)

    @staticmethod
    def of_sum(chains: Sequence[CRF], weights: Tensor) -> CRF:
        """The chain whose scores are the sum of these, each times its weight, with their gradients; what may follow
        what is that of the first."""
        total = copy.copy(chains[0])
        total._parameters = {}
        for name in ("starts", "ends", "follows"):
            scores = (weight.to(chain.starts) * getattr(chain, name) for weight, chain in zip(weights, chains))
            setattr(total, name, sum(scores))
        return total

    def log_partition(self, emissions: Steps) -> Tensor:
        """log Z of each sequence (B,), float64; -infinity where no sequence of labels is legal."""
        return self._log_partition(emissions.values.double(), emissions.layout)

    def log_probability(self, emissions: Steps, labels: Tensor) -> Tensor:
        """log p of labels that are given (B,), float64; where one is MISSING, the sum over all that it may be.

        It is -infinity for labels that are not legal, and not a number where none are.
        """
        return self.score(emissions, labels) - self.log_partition(emissions)

    def score(self, emissions: Steps, labels: Tensor) -> Tensor:
        """s(y) (B,), float64; where labels are MISSING, log of the sum of exp s(y) over all that they may be."""
        x, layout = emissions.values.double(), emissions.layout
        missing = labels == MISSING
        if bool(missing.any()):
            labelled = torch.arange(self.size, device=labels.device) == labels.unsqueeze(1)
            return self._log_partition(x.masked_fill(~(labelled | missing.unsqueeze(1)), -math.inf), layout)
        starts, ends, follows = self._moves()
        at = x.gather(1, labels.unsqueeze(1)).squeeze(1)
        first, last = _borders(layout)
        inner = (layout.positions > 0).nonzero().squeeze(1)
        moves = follows.flatten().index_select(0, labels[inner - 1] * self.size + labels[inner])
        total = x.new_zeros(len(layout)).index_add(0, layout.rows, at).index_add(0, layout.rows[inner], moves)
        borders = starts.index_select(0, labels[first]) + ends.index_select(0, labels[last])
        return total.index_add(0, layout.rows[first], borders)

    @torch.no_grad()
    def best(self, emissions: Steps) -> tuple[Tensor, Tensor]:
        """The labels of the highest s(y) (N,), of equal ones the first, and that s(y) (B,): Viterbi's algorithm."""
        layout = emissions.layout
        x = emissions.values.double().index_select(0, layout.time_major).split(layout.alive)
        starts, ends, follows = self._moves()
        tops, backs = [starts + part for part in x[:1]], []
        for part in x[1:]:
            top, back = (tops[-1][: len(part)].unsqueeze(2) + follows).max(1)
            tops.append(top + part)
            backs.append(back)
        scores = torch.cat(tops) if tops else follows.new_zeros(0, self.size)
        highest, final = (scores + ends).max(1)
        # At its last step a sequence takes the best final label, before it what the step after came from.
        labels_by_step = list(final.split(layout.alive))
        for t in range(len(backs) - 1, -1, -1):
            alive = len(labels_by_step[t + 1])
            came = backs[t].gather(1, labels_by_step[t + 1].unsqueeze(1)).squeeze(1)
            labels_by_step[t] = torch.cat((came, labels_by_step[t][alive:]))
        labels = torch.cat(labels_by_step).index_select(0, layout.packed) if labels_by_step else final
        _, last = _borders(layout)
        score = highest.new_zeros(len(layout)).index_add(
            0, layout.rows[last], highest.index_select(0, layout.packed[last])
        )
        return labels, score

    @torch.no_grad()
    def marginals(self, emissions: Steps) -> Tensor:
        """p(y_t = j) of each step (N, V), float64."""
        layout = emissions.layout
        x = emissions.values.double().index_select(0, layout.time_major)
        chain = _Chain(x, *self._moves(), layout)
        return chain.marginals(chain.after()).index_select(0, layout.packed)

    def _log_partition(self, x: Tensor, layout: Layout) -> Tensor:
        return _LogPartition.apply(x.index_select(0, layout.time_major), *self._moves(), layout)

    def _moves(self) -> tuple[Tensor, Tensor, Tensor]:
        """Starts, ends and what follows, -infinity where it is not legal."""
        pairs = (self.starts, self.barred_starts), (self.ends, self.barred_ends), (self.follows, self.barred_follows)
        return tuple(
            scores.double() if barred is None else scores.double().masked_fill(barred, -math.inf)
            for scores, barred in pairs
        )


def _borders(layout: Layout) -> tuple[Tensor, Tensor]:
    """Packed index of the first and of the last step of each sequence that has any."""
    full = layout.lengths > 0
    first, last = layout.offsets[:-1][full], layout.offsets[1:][full] - 1
    return first.to(layout.device), last.to(layout.device)


class _Chain:
    """The sums over all sequences of labels, their steps in time-major order.

    Args:
        x: (N, V) emissions.
        starts, ends, follows: what labels score beside them.
        layout: of the packed order.
    """

    def __init__(self, x: Tensor, starts: Tensor, ends: Tensor, follows: Tensor, layout: Layout):
        self.x, self.starts, self.ends, self.follows, self.alive = x, starts, ends, follows, layout.alive
        _, last = _borders(layout)
        self.last = layout.packed[last]
        self.step_rows = layout.rows.index_select(0, layout.time_major)
        self.wide = _apart(follows.flatten()) > _APART
        self.before = self._forward()
        if not self.wide and _apart(self.before) > _APART:
            self.wide = True
            self.before = self._forward()
        total = torch.logsumexp(self.before.index_select(0, self.last) + ends, 1)
        self.log_partition = total.new_zeros(len(layout)).index_copy(0, layout.rows[last], total)

    def _forward(self) -> Tensor:
        """a (N, V)."""
        summed, parts = _Summed(self.follows, self.wide), self.x.split(self.alive)
        sums = [self.starts + part for part in parts[:1]]
        for part in parts[1:]:
            sums.append(summed(sums[-1][: len(part)]) + part)
        return torch.cat(sums) if sums else self.x

    def after(self) -> Tensor:
        """b (N, V)."""
        sums = self._backward()
        if not self.wide and _apart(sums + self.x) > _APART:
            self.wide = True
            sums = self._backward()
        return sums

    def _backward(self) -> Tensor:
        summed, parts = _Summed(self.follows.t(), self.wide), self.x.split(self.alive)
        ends = self.ends.expand(max(self.alive, default=0), -1)
        sums = [ends[: len(part)] for part in parts[-1:]]
        for t in range(len(parts) - 2, -1, -1):
            reached = summed(sums[-1] + parts[t + 1])
            sums.append(torch.cat((reached, ends[len(reached) : len(parts[t])])))
        return torch.cat(sums[::-1]) if sums else self.x

    def marginals(self, after: Tensor) -> Tensor:
        """p(y_t = j) (N, V); zeros where nothing is legal."""
        return (self.before + after - self._totals()).exp()

    def pairs(self, after: Tensor, weights: Tensor) -> Tensor:
        """How often each label is expected to follow each (V, V), every step counted `weights` (N, 1) times."""
        starting = self.alive[0] if self.alive else 0
        parts = self.before.split(self.alive)
        left = torch.cat([self.x[:0], *(part[:alive] for part, alive in zip(parts, self.alive[1:]))])
        # What cannot be reached is left out, or nothing would bound the numbers that its probability of 0 is multiplied
        # by.
        right = (self.x + after - self._totals()).masked_fill(self.before == -math.inf, -math.inf)[starting:]
        weights = weights[starting:]
        if self.wide:
            total = torch.zeros_like(self.follows)
            for before, after_it, weight in zip(
                left.split(self.alive[1:]), right.split(self.alive[1:]), weights.split(self.alive[1:])
            ):
                expected = (before.unsqueeze(2) + self.follows + after_it.unsqueeze(1)).exp()
                total += (expected * weight.unsqueeze(2)).sum(0)
            return total
        highest, most = _finite(left.amax(1, keepdim=True)), _finite(self.follows.amax(0))
        return (self.follows - most).exp() * ((left - highest).exp().t() @ ((right + highest + most).exp() * weights))

    def _totals(self) -> Tensor:
        """log Z of the sequence of each step (N, 1)."""
        return _finite(self.log_partition.index_select(0, self.step_rows)).unsqueeze(1)


class _Summed:
    """log sum_i exp(left[:, i] + moves[i, j]) as one matrix product, or number by number where its terms lie too far
    apart."""

    def __init__(self, moves: Tensor, wide: bool):
        self.moves, self.wide = moves, wide
        self.most = _finite(moves.amax(0))
        self.shares = (moves - self.most).exp()

    def __call__(self, left: Tensor) -> Tensor:
        if self.wide:
            return torch.logsumexp(left.unsqueeze(2) + self.moves, 1)
        highest = _finite(left.amax(1, keepdim=True))
        return ((left - highest).exp() @ self.shares).log() + highest + self.most


def _finite(values: Tensor) -> Tensor:
    """Zero in place of -infinity, where nothing may be subtracted from itself."""
    return values.masked_fill(values == -math.inf, 0)


def _apart(values: Tensor) -> float:
    """How far the legal scores of one row lie apart at most."""
    if not values.numel():
        return 0.0
    lowest = values.masked_fill(values == -math.inf, math.inf).amin(-1)
    return float((values.amax(-1) - lowest).amax())


class _LogPartition(torch.autograd.Function):
    """log Z of each sequence (B,), from emissions in time-major order."""

    @staticmethod
    def forward(ctx, x: Tensor, starts: Tensor, ends: Tensor, follows: Tensor, layout: Layout) -> Tensor:
        ctx.chain = _Chain(x, starts, ends, follows, layout)
        return ctx.chain.log_partition

    @staticmethod
    def backward(ctx, d_total: Tensor) -> tuple[Tensor | None, ...]:
        refuse_second_derivative()
        chain = ctx.chain
        after = chain.after()
        weights = d_total.index_select(0, chain.step_rows).unsqueeze(1)
        d_x = chain.marginals(after) * weights
        starting = chain.alive[0] if chain.alive else 0
        d_ends = d_x.index_select(0, chain.last).sum(0)
        return d_x, d_x[:starting].sum(0), d_ends, chain.pairs(after, weights), None
