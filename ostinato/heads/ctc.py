"""Connectionist temporal classification: a symbol or nothing at each step of the source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ostinato.decoders.contract import Decoding
from ostinato.distributions.categorical import Categorical
from ostinato.encoders.contract import Encoded
from ostinato.errors import ConfigError
from ostinato.heads._losses import wants_symbols
from ostinato.heads.contract import BestPath, Generator, Head, Loss, Scored, Sizes, by_step
from ostinato.layers.dropout import dropped
from ostinato.modalities.contract import Symbols
from ostinato.registry import Rate
from ostinato.steps import Layout, Steps

NEVER = -1e4
"""The logit of a symbol that no target has; torch's gradient of an infinite one is no number."""

ZERO = -1e30
"""The logarithm of a probability of 0, finite so that it can be subtracted from itself."""


class CTC(Head, Generator):
    """The symbols of the target in order, each at one or more steps of the source, with blanks between.

        p_t(k)  = softmax(W s[t] + b)[k]                s[t] is step t of the source, the last k is the blank
        p(y)    = sum over paths of product over t of p_t(path[t])
                                                        paths that give y without repeats and then without blanks
        P(h)    = sum of p(y) over all y that begin with h
        p(v | h) = P(h v) / P(h),   p(end | h) = p(h) / P(h)

    The last two lines make it a generator, so that every search, an ensemble and a language model beside it work on it
    as on any other; the product of the steps of a target is p(y). With blank b_t and last l_t the probabilities that
    the first t steps give h and end in a blank, or in its last symbol:

        l_t(h v) = p_t(v) (l_{t-1}(h v) + a_{t-1}),   b_t(h v) = p_t(blank) (b_{t-1}(h v) + l_{t-1}(h v))
        P(h v)   = sum over t of p_t(v) a_{t-1},      a_t = b_t(h) + l_t(h); without l_t(h) where v repeats h's last

    Shapes:
        logits (N, V), N steps of the source; the end symbol, which no step of the source says, stands for the blank

    Args:
        dropout: of what the softmax reads.

    Errors:
        ConfigError: it reads several inputs, or one without steps.

    Source: Graves et al. 2006 (ICML), sections 3 and 4; prefixes: Graves 2008 (thesis), section 7.5.1, and Watanabe et
        al. 2017, doi:10.1109/JSTSP.2017.2763455, algorithm 2.
    """

    aligns = frozenset({"free"})
    generates = True
    labels_source = True
    targets_rule = "it needs a step of the source for each symbol, and one more between two equal ones"

    def __init__(self, spec: Symbols, sizes: Sequence[Sizes], *, dropout: Rate = 0.0):
        super().__init__()
        wants_symbols("ctc", spec)
        if len(sizes) != 1 or sizes[0].steps is None:
            raise ConfigError("ctc: labels the steps of one input; name one that has steps under `reads`")
        self.begin, self.end, self.num_symbols, self.dropout = spec.begin, spec.end, spec.size, dropout
        self.output = nn.Linear(sizes[0].steps, spec.size)

    @classmethod
    def targets_allowed(cls, source_lengths: Tensor, targets: Steps) -> Tensor:
        if targets.values.ndim > 1:  # vectors, which the constructor refuses with a better reason
            return torch.ones(len(targets.layout), dtype=torch.bool)
        same = torch.zeros(targets.layout.total, dtype=torch.bool)
        same[1:] = (targets.values[1:] == targets.values[:-1]).cpu()
        repeats = (same & (targets.layout.positions.cpu() > 0)).long()
        return targets.layout.lengths + targets.layout.sums(repeats.to(targets.values.device)).cpu() <= source_lengths

    def _logs(self, encoded: Sequence[Encoded]) -> Steps:
        """log p_t, (N, V)."""
        steps = encoded[0].steps
        assert steps is not None
        read = dropped(steps.values, self.dropout) if self.dropout and self.training else steps.values
        logits = self.output(read)
        if self.begin != self.end:
            logits = logits.index_fill(1, torch.tensor([self.begin], device=logits.device), NEVER)
        return steps.with_values(functional.log_softmax(logits, 1))

    def _log_probability(self, encoded: Sequence[Encoded], targets: Steps) -> Tensor:
        """(B,) log p(y), -inf where the source has too few steps."""
        logs = self._logs(encoded)
        lengths, wanted = logs.layout.lengths, targets.layout.lengths
        if not len(lengths):
            return logs.values.new_zeros(0)
        # A source without steps says nothing; torch wants a step, whose blank is certain here.
        padded = functional.pad(logs.padded(), (0, 0, 0, 1)).transpose(0, 1)
        losses = functional.ctc_loss(
            padded, targets.values.long(), lengths.clamp(min=1), wanted, self.end, reduction="none"
        )
        return -losses.masked_fill((lengths + wanted == 0).to(losses.device), 0.0)

    def loss(self, encoded: Sequence[Encoded], targets: Steps) -> Loss:
        return Loss(-self._log_probability(encoded, targets).sum(), targets.layout.total + len(targets.layout))

    def score(self, encoded: Sequence[Encoded], targets: Steps) -> Scored:
        truth = targets.appended(self.end)
        distribution, _ = self.extend(targets.prepended(self.begin), self.start(encoded))
        scored = Scored.of_steps(by_step(distribution, truth.values), truth.layout)
        return replace(scored, log_probability=self._log_probability(encoded, targets))

    def start(self, encoded: Sequence[Encoded]) -> Decoding:
        """Of no symbol yet: all steps of the source were blanks."""
        logs = self._logs(encoded)
        padded = logs.padded().double()
        blank = functional.pad(padded[:, :, self.end].cumsum(1), (1, 0))
        rows = torch.arange(len(padded), device=padded.device)
        values = {
            "blank": blank,
            "last": torch.full_like(blank, ZERO),
            "symbol": torch.full_like(rows, self.end),
        }
        return Decoding((padded, padded.exp(), logs.layout.lengths.to(padded.device)), rows, values)

    def extend(self, steps: Steps, state: Decoding) -> tuple[Categorical, Decoding]:
        values = {name: value.clone() for name, value in state.values.items()}
        scores = state.memory[0].new_empty(steps.layout.total, self.num_symbols)
        for part, places in steps.layout.cut(1):
            own = part.rows
            before = {name: value.index_select(0, own) for name, value in values.items()}
            after = self._after(steps.values[places], before, state.memory[0], state.rows[own])
            scores[places] = self._following(after, state.memory, state.rows[own])
            for name, value in after.items():
                values[name][own] = value
        return Categorical(scores, steps.layout, normalized=True), replace(state, values=values)

    def step(self, steps: Tensor, state: Decoding) -> tuple[Categorical, Decoding]:
        after = self._after(steps, state.values, state.memory[0], state.rows)
        scores = self._following(after, state.memory, state.rows)
        return Categorical(scores, normalized=True), replace(state, values=after)

    def spans(self, state: Decoding, answers: Sequence[Sequence[int]]) -> list[list[tuple[int, int]]]:
        """Those of the most probable path (Viterbi)."""
        logs, _, lengths = state.memory
        return [
            _spans(logs[example, : lengths[example]].cpu().numpy(), answer, self.end)
            for example, answer in zip(state.rows.tolist(), answers, strict=True)
        ]

    def paths(self, state: Decoding, before: int | None = None) -> list[BestPath]:
        """Those of the best label at each step (Graves 2006, section 3.2)."""
        logs, _, lengths = state.memory
        scores, labels = logs.max(2)
        every = []
        for example in state.rows.tolist():
            own = slice(0, int(lengths[example]))
            path = labels[example, own].tolist()
            previous = [self.end if before is None else before, *path]
            symbols, spans, continued = [], [], 0
            for step, (label, other) in enumerate(zip(path, previous)):
                if label == self.end:
                    continue
                if label != other:
                    symbols.append(label)
                    spans.append((step, step + 1))
                elif spans:
                    spans[-1] = (spans[-1][0], step + 1)
                else:
                    continued = step + 1
            every.append(BestPath(symbols, float(scores[example, own].sum()), previous[-1], spans, continued))
        return every

    def _after(self, symbols: Tensor, before: dict[str, Tensor], logs: Tensor, examples: Tensor) -> dict[str, Tensor]:
        """The state after one symbol more; begin and end leave it as it is."""
        symbols = symbols.long()
        kept = ((symbols == self.begin) | (symbols == self.end)).unsqueeze(1)
        symbol = torch.where(kept.squeeze(1), before["symbol"], symbols)
        sums = logs[examples, :, symbol].cumsum(1)
        blanks = logs[examples, :, self.end].cumsum(1)
        again = (symbol == before["symbol"]).unsqueeze(1)
        ready = torch.where(again, before["blank"], torch.logaddexp(before["blank"], before["last"]))[:, :-1]
        last = _recurrence(ready, sums)
        blank = _recurrence(last[:, :-1], blanks)
        return {
            "blank": torch.where(kept, before["blank"], blank),
            "last": torch.where(kept, before["last"], last),
            "symbol": symbol,
        }

    def _following(self, state: dict[str, Tensor], memory: tuple[Tensor, ...], examples: Tensor) -> Tensor:
        """(R, V) the log-probability of each symbol after these, float64."""
        logs, odds, lengths = memory
        either = torch.logaddexp(state["blank"], state["last"])
        ended = either.gather(1, lengths[examples].unsqueeze(1))
        outside = torch.arange(logs.shape[1], device=logs.device) >= lengths[examples].unsqueeze(1)
        either, blank = (part[:, :-1].masked_fill(outside, -torch.inf) for part in (either, state["blank"]))
        # P(h) is no less than the largest of these: what underflows beside it is as good as impossible.
        largest = torch.cat([either, ended], 1).amax(1, True).clamp(min=ZERO / 2)
        masses = _products((either - largest).exp(), odds, examples)
        repeated = ((blank - largest).exp() * odds[examples, :, state["symbol"]]).sum(1, True)
        masses = masses.scatter(1, state["symbol"].unsqueeze(1), repeated)
        masses[:, self.end] = (ended - largest).exp().squeeze(1)
        whole = masses.sum(1, True)
        masses[:, self.end].masked_fill_(whole.squeeze(1) == 0, 1.0)  # of a target that the source cannot say
        return (masses / torch.where(whole == 0, 1.0, whole)).log()


def _recurrence(entering: Tensor, sums: Tensor) -> Tensor:
    """(R, T + 1) the logarithm of x, where x[0] = 0 and x[t] = p_t (x[t-1] + e[t-1]).

        log x[t] = sums[t] + log of the sum over s <= t of exp(log e[s-1] - sums[s-1])

    Args:
        entering: log e, (R, T).
        sums: those of log p_1 to log p_t, (R, T).
    """
    before = functional.pad(sums, (1, 0))[:, :-1]
    return functional.pad(sums + torch.logcumsumexp(entering - before, 1), (1, 0), value=ZERO)


def _spans(logs: np.ndarray, symbols: Sequence[int], blank: int) -> list[tuple[int, int]]:
    """The steps of each of these symbols on the most probable path, from log-probabilities (T, V)."""
    if not len(logs):
        return []
    path = np.full(2 * len(symbols) + 1, blank)
    path[1::2] = symbols
    leaps = np.zeros(len(path), dtype=bool)  # over the blank between two symbols, unless they are equal
    leaps[3::2] = path[3::2] != path[1:-2:2]
    scores, moves = np.where(np.arange(len(path)) < 2, logs[0, path], -np.inf), np.zeros((len(logs), len(path)), int)
    for step in range(1, len(logs)):
        before = np.concatenate([[-np.inf, -np.inf], scores])
        ways = np.stack([before[2:], before[1:-1], np.where(leaps, before[:-2], -np.inf)])
        moves[step], scores = ways.argmax(0), ways.max(0) + logs[step, path]
    place = len(path) - 1 - int(len(path) > 1 and scores[-2] > scores[-1])
    if scores[place] == -np.inf:
        return []
    steps: list[list[int]] = [[] for _ in path]
    for step in reversed(range(len(logs))):
        steps[place].append(step)
        place -= moves[step, place]
    return [(own[-1], own[0] + 1) for own in steps[1::2]]


def _products(shares: Tensor, odds: Tensor, examples: Tensor) -> Tensor:
    """(R, V) the product of each row (R, T) and the matrix of its example, (B, T, V)."""
    order = examples.argsort(stable=True)
    layout = Layout(torch.bincount(examples, minlength=len(odds)), odds.device)
    products = Steps.from_padded(Steps(shares[order], layout).padded() @ odds, layout).values
    return torch.empty_like(products).index_copy(0, order, products)
