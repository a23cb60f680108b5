"""The memory of the mLSTM, a matrix for each head: read in pieces of sequences, all steps of a piece at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from ostinato.kernels.watch import shown
from ostinato.layers.convolution import DepthwiseConvolution
from ostinato.layers.dropout import dropped
from ostinato.layers.transformer import BLOCKS, FeedForwardNet, linear_map
from ostinato.steps import Layout, Steps

Forget = Literal["sigmoid", "exponential"]
SIZES = 32, 8, 1
"""Steps of pieces. Longer ones cost a step more pairs within its piece, shorter ones more products of a whole memory,
one per piece: both cost alike where a piece has as many steps as a head has numbers. With 64, 16, 4 and 1, or halves
down to 1, training steps took within an eighth of the time, on a busy machine."""
EPSILON = 1e-6
"""What norms add inside the root that they divide by."""
FORGET_BIASES = 3.0, 6.0
"""Of the first and the last head's forget gates at the start: from 0.953 to 0.998 (Beck 2024, the authors' code)."""


class _Part(NamedTuple):
    """Pieces of one length, the first of every row before the second ones.

    Args:
        size: steps of each piece.
        index: (M size,) where their steps lie among the packed ones.
        rows: (R,) the sequences that have such pieces, those with the most before the others.
        alive: how many of them have a first piece, a second one, and so on.
    """

    size: int
    index: Tensor
    rows: Tensor
    alive: tuple[int, ...]


class Pieces:
    """Sequences cut into pieces of given lengths, made once per batch for all layers.

    What is left after the last piece of one length is cut into pieces of the next one: a piece is always full, and no
    step of padding is computed.

    Args:
        layout: of the steps.
        sizes: steps of a piece, falling to 1.
    """

    def __init__(self, layout: Layout, sizes: Sequence[int] = SIZES):
        self.parts: list[_Part] = []
        done = torch.zeros_like(layout.lengths)
        for size in sizes:
            counts = (layout.lengths - done) // size
            order = torch.argsort(counts, descending=True, stable=True)
            rows = order[: int((counts > 0).sum())]
            if len(rows):
                pieces = Layout(counts[rows])
                owners = rows[pieces.rows[pieces.time_major]]
                first = (layout.offsets[:-1] + done)[owners] + pieces.positions[pieces.time_major] * size
                index = (first.unsqueeze(1) + torch.arange(size)).flatten()
                self.parts.append(_Part(size, index.to(layout.device), rows.to(layout.device), pieces.alive))
            done = done + counts * size
        places = [part.index for part in self.parts]
        self.back = torch.argsort(torch.cat(places)) if places else torch.zeros(0, dtype=torch.int64)


class Memory(NamedTuple):
    """What the heads of a layer remember.

    Args:
        matrix: (B, A, D, D + 1): C transposed and beside it n, both times exp(-scale).
        scale: (B, A).
    """

    matrix: Tensor
    scale: Tensor


def read(
    query: Tensor, key: Tensor, value: Tensor, write: Tensor, keep: Tensor, memory: Memory, pieces: Pieces
) -> tuple[Tensor, Memory]:
    """What every step reads in its memory, and the memory after the last ones.

        C[t] = f[t] C[t-1] + i[t] v[t] k[t]^T           f = exp(keep), i = exp(write)
        n[t] = f[t] n[t-1] + i[t] k[t]
        r[t] = C[t] q[t] / max(|n[t] . q[t]|, 1)

    Within a piece of S steps all r are computed at once, from the memory before it:

        F[t] = sum of keep from the piece's first step to t
        w[t,s] = exp(F[t] - F[s] + write[s] - m[t]), s <= t;  u[t] = exp(F[t] + m[before] - m[t])
        [C[t] q[t], n[t] . q[t]] = exp(m[t]) (sum_s w[t,s] (q[t] . k[s]) [v[s], 1] + u[t] [C', n'] q[t])
        m[t] = max(keep[t] + m[t-1], write[t], 0)       the scale: C' = C exp(-m), n' = n exp(-m)

    so no exponent is above 0. Nothing that is read depends on m, which has no gradient. The products of the pieces are
    computed side by side; only C', n' and m go from piece to piece.

    Shapes:
        query, key, value (N, A, D); write, keep (N, A), returns (N, A, D)

    Source: Beck et al. 2024, arXiv:2405.04517, equations 19 to 27, appendix A.3; in pieces: Sun 2023, arXiv:2307.08621,
        equation 7. Theirs has no 0 in m: below it the 1 that divides is the larger one, and exp(-m) may overflow.
    """
    kind = memory.matrix.dtype
    query, key, value, write, keep = (part.to(kind) for part in (query, key, value, write, keep))
    results: list[Tensor] = []
    # Products in 16 bits would lose what is added to a sum as long as this one.
    with torch.autocast(query.device.type, enabled=False):
        for part in pieces.parts:
            before = Memory(*(tensor.index_select(0, part.rows) for tensor in memory))
            query_, key_, value_, write_, keep_ = (
                tensor.index_select(0, part.index).unflatten(0, (-1, part.size)).transpose(1, 2)
                for tensor in (query, key, value, write, keep)
            )
            result, after = _read_pieces(query_, key_, value_, write_, keep_, before, part.alive)
            results.append(result.transpose(1, 2).flatten(0, 1))
            memory = Memory(*(old.index_copy(0, part.rows, new) for old, new in zip(memory, after)))
    return torch.cat(results).index_select(0, pieces.back) if results else value, memory


def _read_pieces(
    query: Tensor, key: Tensor, value: Tensor, write: Tensor, keep: Tensor, memory: Memory, alive: Sequence[int]
) -> tuple[Tensor, Memory]:
    """`read` of pieces that lie one after the other as `_Part` has them.

    Shapes:
        query, key, value (M, A, S, D); write, keep (M, A, S); memory of R rows; returns (M, A, S, D)
    """
    kind = query.dtype
    # In 64 bits, since differences of long sums follow.
    total = keep.double().cumsum(2)
    gain = write.double() - total
    with torch.no_grad():
        highest = total + (write.clamp(min=0).double() - total).cummax(2).values

        def next_scale(scale: Tensor, which: slice) -> Tensor:
            return torch.maximum(total[which, :, -1] + scale, highest[which, :, -1]).to(kind)

        scales, scale = _passed_on(memory.scale, alive, next_scale)
        top = torch.maximum(total + scales.unsqueeze(2), highest)
        # The memory after a piece is scaled by what is kept as its scale, which is rounded.
        last = next_scale(scales, slice(None)).unsqueeze(2)
    later = torch.ones(*query.shape[2:3] * 2, dtype=torch.bool, device=query.device).triu(1)
    exponents = (total - top).unsqueeze(3) + gain.unsqueeze(2)
    weights = exponents.masked_fill(later, -torch.inf).exp().to(kind)
    value = functional.pad(value, (0, 1), value=1.0)
    end = total[:, :, -1:] - last
    added = (key * (end + gain).exp().to(kind).unsqueeze(3)).transpose(2, 3) @ value
    kept = (end + scales.unsqueeze(2)).exp().to(kind).unsqueeze(3)

    def next_matrix(matrix: Tensor, which: slice) -> Tensor:
        return torch.addcmul(added[which], kept[which], matrix)

    before, after = _passed_on(memory.matrix, alive, next_matrix)
    sums = (query @ key.transpose(2, 3) * weights) @ value
    sums = torch.addcmul(sums, (total + scales.unsqueeze(2) - top).exp().to(kind).unsqueeze(3), query @ before)
    result, divisor = sums.split([value.shape[3] - 1, 1], 3)
    return result / torch.maximum(divisor.abs(), (-top).exp().to(kind).unsqueeze(3)), Memory(after, scale)


def _passed_on(state: Tensor, alive: Sequence[int], step: Callable[[Tensor, slice], Tensor]) -> tuple[Tensor, Tensor]:
    """The state before every piece (M, ...) and after each row's last (R, ...); `step` goes from the state of rows
    before their pieces to that after."""
    before, ended, first = [], [], 0
    for count in alive:
        ended.append(state[count:])
        before.append(state[:count])
        state, first = step(before[-1], slice(first, first + count)), first + count
    return torch.cat(before), torch.cat([state, *reversed(ended)])


class MatrixMemory(nn.Module):
    """Heads that write to a matrix each and read in it, from the first step on or from the last one.

        c[t]    = silu(b + sum_k w_k * u[t-k])              of the last W steps, number by number
        q, k    = W_q c + b_q, (W_k c + b_k) / sqrt(D)      of each head
        v       = W_v u + b_v
        write   = w_i . u + b_i;  keep = log sigmoid(w_f . u + b_f), or w_f . u + b_f: exponential forgetting
        r       = what `read` reads
        h       = sigmoid(W_o u + b_o) * gain * r / rms(r)  the norm of each head by itself

    Shapes:
        u (N, H), H = A D; state: (B, A D (D + 1)), (B, A) and the last W - 1 steps (B, (W - 1) H); returns (N, H) and
        the state

    Source: Beck et al. 2024, arXiv:2405.04517, section 2.3; the convolution before q and k: figure 11; a norm of each
        head before the output gate: Beck et al. 2025, arXiv:2503.13427, where it is a LayerNorm.
    """

    def __init__(self, size: int, heads: int, kernel_size: int, forget: Forget):
        super().__init__()
        self.heads, self.width, self.forget = heads, size // heads, forget
        self.convolution = DepthwiseConvolution(size, kernel_size)
        self.queries_keys = nn.Linear(size, 2 * size)
        self.values_output = nn.Linear(size, 2 * size)
        self.gates = nn.Linear(size, 2 * heads)
        self.gain = nn.Parameter(torch.ones(heads, self.width))
        biases = torch.linspace(*FORGET_BIASES, heads)
        with torch.no_grad():
            self.gates.weight.zero_()
            self.gates.bias[:heads] = 0
            # What is kept at the start is the same either way.
            self.gates.bias[heads:] = functional.logsigmoid(biases) if forget == "exponential" else biases

    def forward(
        self, steps: Steps, pieces: Pieces, state: tuple[Tensor, ...] | None = None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        u, rows = steps.values, len(steps.layout)
        if state is None:
            matrix, scale = u.new_zeros(rows, self.heads * self.width * (self.width + 1)), u.new_zeros(rows, self.heads)
            earlier = None
        else:
            matrix, scale, earlier = state
        mixed, earlier = self.convolution(steps, earlier)
        queries_keys = linear_map(self.queries_keys, functional.silu(mixed)).unflatten(1, (2, self.heads, self.width))
        value, output = linear_map(self.values_output, u).chunk(2, 1)
        write, keep = linear_map(self.gates, u).chunk(2, 1)
        memory = Memory(matrix.view(rows, self.heads, self.width, self.width + 1), scale)
        result, after = read(
            queries_keys[:, 0],
            queries_keys[:, 1] * self.width**-0.5,
            value.unflatten(1, (self.heads, self.width)),
            write,
            functional.logsigmoid(keep) if self.forget == "sigmoid" else keep,
            memory,
            pieces,
        )
        normed = functional.rms_norm(result, (self.width,), eps=EPSILON) * self.gain
        return torch.sigmoid(output) * normed.flatten(1), (after.matrix.flatten(1), after.scale, earlier)


class MatrixMemoryLayer(nn.Module):
    """Memories, and a feed-forward net.

        x = x + dropout(W [h of the memories beside each other])      of norm(x); see `MatrixMemory`
        x = x + dropout(feed_forward(norm(x)))                        norm: RMSNorm

    Shapes:
        x (N, H); states as those of `MatrixMemory`, that of what reads backward after the other; returns (N, H)

    Args:
        size: H.
        heads: A of each memory.
        kernel_size: W.
        forget: the forget gate's activation.
        feed_forward_size: between the two maps of the feed-forward net.
        bidirectional: whether a second memory reads from the last step to the first.
        dropout: the probability of dropping a value of what is added.
    """

    def __init__(
        self,
        size: int,
        heads: int,
        *,
        kernel_size: int,
        forget: Forget,
        feed_forward_size: int,
        bidirectional: bool,
        dropout: float,
    ):
        super().__init__()
        self.dropout = dropout
        self.memories = nn.ModuleList(
            MatrixMemory(size, heads, kernel_size, forget) for _ in range(2 if bidirectional else 1)
        )
        self.output = nn.Linear(len(self.memories) * size, size, bias=False)
        nn.init.zeros_(self.output.weight)
        self.feed_forward = FeedForwardNet(size, feed_forward_size, 0.0, BLOCKS["modern"])
        self.norms = nn.ModuleList(nn.RMSNorm(size, eps=EPSILON) for _ in range(2))

    def forward(
        self, steps: Steps, pieces: Pieces, state: tuple[Tensor, ...] | None = None
    ) -> tuple[Steps, tuple[Tensor, ...]]:
        x = steps.values
        u = steps.with_values(self.norms[0](x))
        first, *backward = self.memories
        result, after = first(u, pieces, state)
        results = [result]
        for memory in backward:
            result, final = memory(u.reversed(), pieces)
            results.append(u.with_values(result).reversed().values)
            after = (*after, *final)
        x = self._added(x, linear_map(self.output, torch.cat(results, 1)))
        x = self._added(x, self.feed_forward(self.norms[1](x)))
        return steps.with_values(shown(self, x, steps.layout)), after

    def _added(self, x: Tensor, more: Tensor) -> Tensor:
        return x + (dropped(more, self.dropout) if self.training and self.dropout else more)
