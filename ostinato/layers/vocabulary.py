"""Which symbol of a vocabulary: the softmax, full or adaptive, and its loss in pieces, so that the scores of all steps
and all symbols are never in memory at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from ostinato.errors import ConfigError
from ostinato.kernels.deferred import refuse_second_derivative
from ostinato.kernels.dispatch import native_is_allowed
from ostinato.kernels.half import halved
from ostinato.kernels.native import wants_gradient
from ostinato.kernels.packed import Packed
from ostinato.kernels.products import NN, NT, TN, linear, multiply

PIECE = 1 << 22
"""Scores at a time: 16 MB of float32, which the products of a few hundred rows hardly notice."""
COVERED = (0.85, 0.95)
"""Shares of the targets before each cutoff of an adaptive softmax: its first part holds a fifth of a
vocabulary of words, as those of Grave 2017 do (section 4.4: a fifth covers 87 %)."""
NARROWING = 4
"""Each further part of an adaptive softmax reads so many times fewer numbers (Grave 2017, section 4.4)."""


def pieces(steps: int, num_symbols: int, piece: int = PIECE) -> list[slice]:
    """All steps, cut so that the scores of a part are `piece` at most."""
    at_once = max(1, piece // max(1, num_symbols))
    return [slice(start, start + at_once) for start in range(0, max(1, steps), at_once)]


class FullSoftmax(nn.Module):
    """Scores every symbol with a vector of its own.

        p(v) = softmax(W x + b)

    Shapes:
        x (N, I); W (V, I); scores (N, V)

    Args:
        width: I.
        size: V.
        label_smoothing: of the loss while it trains: the share of each target that is spread over all symbols.
        bias: whether there is a b.
    """

    def __init__(self, width: int, size: int, label_smoothing: float = 0.0, bias: bool = True):
        super().__init__()
        layer = nn.Linear(width, size, bias=bias)
        self.size, self.weight, self.bias, self.label_smoothing = size, layer.weight, layer.bias, label_smoothing

    def forward(self, x: Tensor, packed: Mapping[str, Packed] | None = None) -> Tensor:
        """The scores of every symbol, whose softmax is p; `packed` keeps weights between the steps of a generation."""
        return linear(x, self.weight, self.bias, None if packed is None else packed["output"])

    def loss(self, x: Tensor, truth: Tensor, *, piece: int = PIECE) -> Tensor:
        """The sum of -log p at the true symbols (N,), smoothed in training; `piece`: the most scores at a time."""
        smoothing = self.label_smoothing if self.training else 0.0
        return cross_entropy(x, self.weight, self.bias, truth, label_smoothing=smoothing, piece=piece)


class AdaptiveSoftmax(nn.Module):
    """Scores frequent symbols as a full softmax does, rare ones in parts, with shorter vectors, where one is meant.

        p(v) = p_0(v)                   v among the first c_1 symbols;  p_0 = softmax(W_0 x + b_0) over these and parts
        p(v) = p_0(part k) p_k(v)       c_k <= v < c_(k+1);  p_k = softmax(W_k P_k x + b_k), P_k x of I / 4^k numbers

    What it gives are exact log-probabilities over the whole vocabulary. Symbols are numbered from the most frequent to
    the rarest, or nearly so: a frequent one in a late part costs time, and has a shorter vector than it deserves.

    Shapes:
        x (N, I); W_0 (c_1 + K, I); P_k (I / 4^k, I); log-probabilities (N, V)

    Args:
        width: I.
        size: V.
        cutoffs: c_1 ... c_K, rising, where each part begins.

    Errors:
        ConfigError: cutoffs that do not rise, or are not within the vocabulary.

    Source: Grave 2017, arXiv:1609.04309, section 4, as torch.nn.AdaptiveLogSoftmaxWithLoss; the biases are ours.
    """

    def __init__(self, width: int, size: int, cutoffs: Sequence[int]):
        super().__init__()
        edges = [*cutoffs, size]
        if len(edges) < 2 or edges[0] < 1 or any(edge >= other for edge, other in zip(edges, edges[1:])):
            raise ConfigError(
                f"cutoffs: {list(cutoffs)} must be whole numbers that rise from 1 up and stay below the {size} symbols "
                "of the vocabulary; leave them out to have them chosen, or set softmax: full"
            )
        self.size, self.edges = size, edges
        self.first = nn.Linear(width, edges[0] + len(cutoffs))
        widths = [max(1, width // NARROWING**part) for part in range(1, len(edges))]
        self.narrow = nn.ModuleList(nn.Linear(width, narrow, bias=False) for narrow in widths)
        self.rest = nn.ModuleList(
            nn.Linear(narrow, last - first) for narrow, first, last in zip(widths, edges, edges[1:])
        )
        self.register_buffer("starts", torch.tensor(edges[:-1]), persistent=False)

    def forward(self, x: Tensor, packed: Mapping[str, Packed] | None = None) -> Tensor:
        """The log-probabilities of every symbol; `packed` keeps weights between the steps of a generation."""

        def kept(name: str) -> Packed | None:
            return None if packed is None else packed[f"output.{name}"]

        first = linear(x, self.first.weight, self.first.bias, kept("first")).log_softmax(-1)
        parts = [first[:, : self.edges[0]]]
        for part, (narrow, rest) in enumerate(zip(self.narrow, self.rest)):
            read = linear(x, narrow.weight, None, kept(f"narrow.{part}"))
            within = linear(read, rest.weight, rest.bias, kept(f"rest.{part}")).log_softmax(-1)
            parts.append(within + first[:, self.edges[0] + part, None])
        return torch.cat(parts, 1)

    def loss(self, x: Tensor, truth: Tensor, *, piece: int = PIECE) -> Tensor:
        """The sum of -log p at the true symbols (N,); `piece`: the most scores at a time."""
        part = torch.bucketize(truth, self.starts, right=True)
        first = torch.where(part == 0, truth, self.edges[0] - 1 + part)
        total = cross_entropy(x, self.first.weight, self.first.bias, first, piece=piece)
        for k, (narrow, rest) in enumerate(zip(self.narrow, self.rest)):
            rows = (part == k + 1).nonzero().squeeze(1)
            read = linear(x.index_select(0, rows), narrow.weight)
            within = truth.index_select(0, rows) - self.edges[k]
            total = total + cross_entropy(read, rest.weight, rest.bias, within, piece=piece)
        return total


def tables_of(model: nn.Module) -> list[nn.Parameter]:
    """The parameters of a model that have a row for each symbol: embeddings, and what softmaxes over vocabularies
    hold."""
    kinds = (nn.Embedding, FullSoftmax, AdaptiveSoftmax)
    return [weight for part in model.modules() if isinstance(part, kinds) for weight in part.parameters()]


def cutoffs_of(counts: Sequence[float]) -> list[int]:
    """Where the parts of an adaptive softmax begin: the fewest symbols in their order that make COVERED of all targets.

    Args:
        counts: how often each symbol is a target.
    """
    share = torch.as_tensor(counts, dtype=torch.float64).cumsum(0)
    ranks = torch.searchsorted(share, torch.tensor(COVERED, dtype=torch.float64) * share[-1]) + 1
    return sorted({rank for rank in ranks.tolist() if rank < len(counts)})


def softmax_of(
    kind: str,
    width: int,
    size: int,
    cutoffs: Sequence[int],
    *,
    label_smoothing: float,
    tied: bool,
    bias: bool = True,
) -> FullSoftmax | AdaptiveSoftmax:
    """The softmax that a head's settings name; without cutoffs an adaptive one takes those of Zipf's law (1/n).

    Errors:
        ConfigError: settings that exclude each other.
    """
    if kind == "full":
        if cutoffs:
            raise ConfigError("cutoffs: parts of an adaptive softmax; set softmax: adaptive, or leave them out")
        return FullSoftmax(width, size, label_smoothing, bias)
    if tied:
        raise ConfigError(
            "tied: an adaptive softmax gives rare symbols shorter vectors than the embedding; set tied: false, or "
            "softmax: full"
        )
    if label_smoothing:
        raise ConfigError(
            "label_smoothing: asks for the score of every symbol at every step, which an adaptive softmax is there to "
            "spare; set it to 0, or softmax: full"
        )
    if not bias:
        raise ConfigError("bias: false is for a full softmax; leave it out, or set softmax: full")
    return AdaptiveSoftmax(width, size, cutoffs or cutoffs_of([1 / rank for rank in range(1, size + 1)]))


def cross_entropy(
    x: Tensor, weight: Tensor, bias: Tensor | None, truth: Tensor, *, label_smoothing: float = 0.0, piece: int = PIECE
) -> Tensor:
    """The sum of -log softmax(W x + b) at the true symbols, as torch.nn.functional.cross_entropy of `linear(x, W, b)`.

        s     = W x + b
        loss  = sum over rows of  logsumexp(s) - (1 - e) s[truth] - e mean(s)        e = label smoothing
        ds    = softmax(s) - (1 - e) onehot(truth) - e / V

    Where a gradient is recorded, dx, dW and db are made in the same pass, piece by piece, and only scaled backwards: no
    score is computed twice, and memory grows with N I + V I but not with N V.

    Shapes:
        x (N, I); weight (V, I); bias (V,) or None; truth (N,) whole numbers below V; returns a scalar

    Args:
        x: what the softmax reads.
        weight: W.
        bias: b.
        truth: the true symbols.
        label_smoothing: e (Szegedy 2016, arXiv:1512.00567, section 7).
        piece: the most scores at a time.

    Errors:
        RuntimeError: the gradient of a gradient is asked for.
    """
    tensors = (x, weight) if bias is None else (x, weight, bias)
    if torch.is_autocast_enabled(x.device.type):
        kind = torch.get_autocast_dtype(x.device.type)
        x, weight, bias = x.to(kind), weight.to(kind), None if bias is None else bias.to(kind)
    if wants_gradient(tensors):
        return _CrossEntropy.apply(x, weight, bias, truth, label_smoothing, piece)
    return _run(x, weight, bias, truth, label_smoothing, piece, (False, False, False))[0]


def _product(
    kind: int, left: Tensor, right: Tensor, bias: Tensor | None = None, packed: Packed | None = None, *, half: bool
) -> Tensor:
    if left.numel() and native_is_allowed((left, right)):
        return multiply(kind, left, right, bias, packed=packed, half=half)
    product = (left.t() if kind == TN else left) @ (right.t() if kind == NT else right)
    return product if bias is None else product + bias


def _run(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    truth: Tensor,
    smoothing: float,
    piece: int,
    wanted: tuple[bool, bool, bool],
) -> tuple[Tensor, Tensor | None, Tensor | None, Tensor | None]:
    """The loss, and the gradients that are wanted of x, weight and bias."""
    size = len(weight)
    rows = max(1, piece // max(1, size))
    x, weight = x.contiguous(), weight.contiguous()
    exact = torch.float64 if x.dtype == torch.float64 else torch.float32
    total = torch.zeros((), dtype=exact, device=x.device)
    d_x = torch.empty_like(x) if wanted[0] else None
    d_weight = torch.zeros_like(weight, dtype=exact) if wanted[1] else None
    d_bias = torch.zeros(size, dtype=exact, device=x.device) if wanted[2] and bias is not None else None
    forwards, backwards = (Packed(), Packed()) if rows < len(x) else (None, None)
    half = any(wanted) and halved(x.dtype)
    for start in range(0, len(x), rows):
        part, true = x[start : start + rows], truth[start : start + rows, None]
        scores = _product(NT, part, weight, bias, forwards, half=half).to(exact)
        if smoothing:
            total -= smoothing / size * scores.sum()
        total -= (1 - smoothing) * scores.gather(1, true).sum()
        logs = torch.logsumexp(scores, 1, keepdim=True)
        total += logs.sum()
        if not any(wanted):
            continue
        d_scores = scores.sub_(logs).exp_()
        d_scores.scatter_add_(1, true, torch.full_like(d_scores[:, :1], smoothing - 1))
        if smoothing:
            d_scores -= smoothing / size
        if d_bias is not None:
            d_bias += d_scores.sum(0)
        d_scores = d_scores.to(x.dtype)
        if d_x is not None:
            d_x[start : start + rows] = _product(NN, d_scores, weight, packed=backwards, half=half)
        if d_weight is not None:
            d_weight += _product(TN, d_scores, part, half=half)
    return total, d_x, d_weight, d_bias


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx, x: Tensor, weight: Tensor, bias: Tensor | None, truth: Tensor, smoothing: float, piece: int
    ) -> Tensor:
        total, *gradients = _run(x, weight, bias, truth, smoothing, piece, ctx.needs_input_grad[:3])
        kinds = [None if tensor is None else tensor.dtype for tensor in (x, weight, bias)]
        ctx.save_for_backward(*(None if tensor is None else tensor.to(kind) for tensor, kind in zip(gradients, kinds)))
        return total

    @staticmethod
    def backward(ctx, d_total: Tensor) -> tuple[Tensor | None, ...]:
        refuse_second_derivative()
        scaled = (None if gradient is None else gradient * d_total.to(gradient.dtype) for gradient in ctx.saved_tensors)
        return *scaled, None, None, None
