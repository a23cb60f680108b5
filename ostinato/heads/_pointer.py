"""Symbols of a source beside those of a vocabulary: the pointer-generator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from ostinato.encoders.contract import Encoded
from ostinato.errors import ConfigError
from ostinato.kernels.products import linear
from ostinato.kernels.watch import Attended, show_attention
from ostinato.steps import Layout, Steps


class Source(NamedTuple):
    """What can be copied.

    Shapes:
        vectors (B, S, H); symbols (B, S), -1 after the last of a row; those that the vocabulary of V symbols lacks are
        V and the numbers after it, row by row (`Head.copies`)
    """

    vectors: Tensor
    symbols: Tensor

    @staticmethod
    def of(encoded: Sequence[Encoded]) -> Source:
        """That of the first input.

        Errors:
            ConfigError: it went through a join, or its encoder gives another number of steps than there are symbols.
        """
        steps, read = encoded[0].steps, encoded[0].source
        if steps is None or read is None:
            raise ConfigError("copy: the first input is one of several in a join; leave the join out, or copy: false")
        values = read.values if read.values.values.ndim == 1 else read.values.with_values(read.values.values[:, 0])
        if values.layout != steps.layout:
            raise ConfigError(
                "copy: the encoder of the first input gives another number of steps than there are symbols"
            )
        return Source(steps.padded(), values.with_values(values.values.long() + 1).padded() - 1)

    @property
    def layout(self) -> Layout:
        return Layout((self.symbols >= 0).sum(1).cpu(), self.symbols.device)

    def select(self, rows: Tensor) -> Source:
        return Source(self.vectors.index_select(0, rows), self.symbols.index_select(0, rows))


class Copied(NamedTuple):
    """What each of N steps copies.

    Shapes:
        logs (N, S) log c; generated, copied (N,) log g and log (1 - g); covered (B, S) the sum of c over all steps
        so far; penalty a scalar
    """

    logs: Tensor
    generated: Tensor
    copied: Tensor
    covered: Tensor
    penalty: Tensor


class Pointer(nn.Module):
    """Chooses at each step whether to generate, and what of the source to copy.

        e[i, s] = h[s] . W a[i] - |w| sum_{j < i} c[j, s]       the last term with coverage alone
        c[i]    = softmax_s e[i, s]
        g[i]    = sigmoid(u . a[i] + b)
        p(y)    = g[i] p_vocabulary(y) + (1 - g[i]) sum of c[i, s] over the places s of y in the source
        penalty = sum over i and s of min(c[i, s], sum_{j < i} c[j, s])

    A source without symbols has g = 1. A y that the vocabulary lacks has p_vocabulary(y) = 0.

    Args:
        width: of the features a.
        source: of the source's steps h.
        coverage: whether what was copied already is held against copying it again.

    Source: See, Liu and Manning 2017, arXiv:1704.04368, equations 8, 9 (over the extended vocabulary of an example), 11
        and 12; there the attention of the decoder is c, here a pointer of its own, so that any decoder can copy;
        coverage enters its scores linearly.
    """

    def __init__(self, width: int, source: int, *, coverage: bool):
        super().__init__()
        self.query = nn.Linear(width, source, bias=False)
        self.gate = nn.Linear(width, 1)
        self.covering = nn.Parameter(torch.ones(())) if coverage else None

    def forward(self, features: Steps, source: Source, covered: Tensor | None = None) -> Copied:
        """What whole sequences of features copy, each from its own row of the source.

        Args:
            features: (N, A).
            source: a row for each sequence.
            covered: (B, S) the sum of c before the first step; None: nothing.
        """
        layout = features.layout
        query = features.with_values(linear(features.values, self.query.weight, None)).padded()
        scores = torch.einsum("bth,bsh->bts", query, source.vectors)
        padding = (source.symbols < 0).unsqueeze(1)
        scores = scores.masked_fill(padding, torch.finfo(scores.dtype).min)
        covered = scores.new_zeros(source.symbols.shape) if covered is None else covered
        penalty = scores.new_zeros(())
        if self.covering is None:
            logs = scores.log_softmax(2)
        else:
            steps = []
            for time, now in enumerate(scores.unbind(1)):
                log = (now - self.covering.abs() * covered).log_softmax(1)
                there = (layout.lengths.to(log.device) > time).unsqueeze(1) & ~padding.squeeze(1)
                share = log.exp() * there
                penalty = penalty + torch.minimum(share, covered).sum()
                covered = covered + share
                steps.append(log)
            logs = torch.stack(steps, 1) if steps else scores
        logs = Steps.from_padded(logs.masked_fill(padding, -torch.inf), layout).values
        show_attention(lambda: Attended(self, logs.exp().unsqueeze(1), layout, source.layout, "copying"))
        gate = linear(features.values, self.gate.weight, self.gate.bias).squeeze(1)
        empty = padding.all(2).squeeze(1)[layout.rows]
        generated = functional.logsigmoid(gate).masked_fill(empty, 0.0)
        copied = functional.logsigmoid(-gate).masked_fill(empty, -torch.inf)
        return Copied(logs, generated, copied, covered, penalty)
