"""The Transformer: layers of attention and a feed-forward net on packed steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from ostinato.errors import ConfigError, DataError
from ostinato.kernels.products import quickest_linear
from ostinato.kernels.watch import shown
from ostinato.layers.dropout import dropped
from ostinato.layers.ragged_attention import Cached, Groups, Sight
from ostinato.steps import Steps

Norm = Literal["layer", "rms"]
Positions = Literal["sinusoidal", "learned", "rotary", "alibi", "none"]
Activation = Literal["relu", "gelu", "squared_relu", "swiglu"]
LONGEST = 512
"""Steps that learned positions hold, where nothing else is asked for: as BERT's."""
BASE = 10_000.0
"""Of the wavelengths of sinusoids and rotations (Vaswani 2017, section 3.5)."""


class Block(NamedTuple):
    """What a layer is made of, where no setting asks for something else.

    Args:
        norm: `layer` with mean and variance, `rms` with the root mean square alone.
        norm_first: whether a sublayer reads normed values (pre-norm), or its sum is normed (post-norm).
        feed_forward_activation: the activation between its two maps.
        positions: how the place of a step is known.
        query_key_norm: whether queries and keys are normed, each head by itself.
        norm_epsilon: what is added inside the root that norms divide by; None: by the kind of norm.
        last_norm: whether a norm follows the last layer; None: after layers whose norms come first.
        bias: whether linear maps and norms add one.
        scaled: whether symbols' vectors, which begin with variance 1 / H, are multiplied by sqrt(H).
        zeros: whether each sublayer's last map begins at zero, so that a layer begins by passing on what it reads.
    """

    norm: Norm
    norm_first: bool
    feed_forward_activation: Activation
    positions: Positions
    query_key_norm: bool
    bias: bool
    scaled: bool
    zeros: bool
    norm_epsilon: float | None = None
    last_norm: bool | None = None


BLOCKS = {
    # 4 layers of 128 on the letters of Shakespeare, 400 updates of AdamW at 0.003: validation loss 1.945, where those
    # of GPT-2 had 2.337.
    "modern": Block("rms", True, "squared_relu", "rotary", True, bias=False, scaled=False, zeros=True),
    "vaswani2017": Block("layer", False, "relu", "sinusoidal", False, bias=True, scaled=True, zeros=False),
}

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Queries, keys and values of the packed steps, (N, heads, D) each, to contexts (N, A, D)."""
Source = Callable[["CrossAttention", int, Tensor], Tensor]
"""What a layer attends to besides itself: its cross-attention, its number and the queries (N, A, D) to contexts."""


EPSILONS: dict[Norm, float] = {"layer": 1e-5, "rms": 1e-6}
"""As torch's LayerNorm and Llama's RMSNorm have it."""


def _norm(size: int, block: Block) -> nn.Module:
    epsilon = EPSILONS[block.norm] if block.norm_epsilon is None else block.norm_epsilon
    if block.norm == "layer":
        return nn.LayerNorm(size, eps=epsilon, bias=block.bias)
    return nn.RMSNorm(size, eps=epsilon)


def linear_map(layer: nn.Linear, x: Tensor) -> Tensor:
    """A layer's map of steps (N, I), by whichever product is faster for so many."""
    return quickest_linear(x, layer.weight, layer.bias)


class SelfAttention(nn.Module):
    """Each step looks at steps of its own sequence.

        q, k, v = W x + b                                   A heads of queries, K of keys and of values, D numbers each
        q, k    = gain * q / rms(q), gain * k / rms(k)      with `query_key_norm`, each head by itself
        q, k    = rotated by their place                    with rotary positions
        y       = W_o [contexts of all heads] + b_o

    Shapes:
        x (N, H), H = A D; returns (N, H), and keys and values (N, K, D)
    """

    def __init__(self, size: int, heads: int, kv_heads: int, block: Block):
        super().__init__()
        self.heads, self.kv_heads, width = heads, kv_heads, size // heads
        self.queries_keys_values = nn.Linear(size, (heads + 2 * kv_heads) * width, bias=block.bias)
        self.gain = nn.Parameter(torch.ones(heads + kv_heads, width)) if block.query_key_norm else None
        self.output = _output(size, size, block)

    def forward(
        self, x: Tensor, attend: Attend, rotation: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        both = linear_map(self.queries_keys_values, x).unflatten(1, (self.heads + 2 * self.kv_heads, -1))
        queries_keys, value = both.split((self.heads + self.kv_heads, self.kv_heads), 1)
        if self.gain is not None:
            queries_keys = _normed(queries_keys) * self.gain
        if rotation is not None:
            queries_keys = rotate(queries_keys, *rotation)
        query, key = queries_keys.split((self.heads, self.kv_heads), 1)
        context = attend(query, key, value)
        return linear_map(self.output, context.flatten(1)), (key, value)


class CrossAttention(nn.Module):
    """Each step looks at the steps of an input.

        q    = W_q x + b_q;  k, v = W_kv s + b_kv      q and k normed and rotated as in `SelfAttention`
        y    = W_o [contexts of all heads] + b_o

    Rotated by their places, steps of the target find those as far on in the input: vectors that know places by rotation
    alone tell none. A net of one layer that learnt to copy had a loss of 0.18 after 50 updates, without it 0.84.

    Shapes:
        x (N, H); s (M, S); returns (N, H)
    """

    def __init__(self, size: int, source_size: int, heads: int, kv_heads: int, block: Block):
        super().__init__()
        self.heads, self.kv_heads, self.width = heads, kv_heads, size // heads
        self.rotary = block.positions == "rotary"
        self.queries = nn.Linear(size, size, bias=block.bias)
        self.keys_values = nn.Linear(source_size, 2 * kv_heads * self.width, bias=block.bias)
        self.query_gain = nn.Parameter(torch.ones(heads, self.width)) if block.query_key_norm else None
        self.key_gain = nn.Parameter(torch.ones(kv_heads, self.width)) if block.query_key_norm else None
        self.output = _output(size, size, block)

    def read(self, source: Steps) -> tuple[Tensor, Tensor]:
        """Keys and values (M, K, D) of an input's steps (M, S)."""
        key, value = (
            linear_map(self.keys_values, source.values).unflatten(1, (2 * self.kv_heads, self.width)).chunk(2, 1)
        )
        key = key if self.key_gain is None else _normed(key) * self.key_gain
        return (rotate(key, *angles(source.layout.positions, self.width, key)) if self.rotary else key), value

    def forward(self, x: Tensor, place: int, source: Source, rotation: tuple[Tensor, Tensor] | None) -> Tensor:
        query = linear_map(self.queries, x).unflatten(1, (self.heads, self.width))
        if self.query_gain is not None:
            query = _normed(query) * self.query_gain
        if rotation is not None:
            query = rotate(query, *rotation)
        return linear_map(self.output, source(self, place, query).flatten(1))


def activated(kind: Activation, inner: Tensor) -> Tensor:
    """What the second map of a feed-forward net reads, of what the first gives; where no gradient is recorded, in its
    place."""
    if kind == "swiglu":
        gate, inner = inner.chunk(2, 1)
        return functional.silu(gate) * inner
    if kind == "gelu":
        return functional.gelu(inner)
    in_place = not torch.is_grad_enabled()
    inner = inner.relu_() if in_place else inner.relu()
    if kind == "relu":
        return inner
    return inner.square_() if in_place else inner.square()


class FeedForwardNet(nn.Module):
    """Two linear maps of each step, with an activation between them.

        y = W_2 f(W_1 x + b_1) + b_2                    f: relu, gelu, or the square of relu
        y = W_2 (silu(W_g x + b_g) * (W_1 x + b_1)) + b_2       swiglu

    Shapes:
        x (N, H); returns (N, H)

    Source: gelu: Hendrycks 2016, arXiv:1606.08415; swiglu: Shazeer 2020, arXiv:2002.05202; squared relu: So 2021,
        arXiv:2109.08668.
    """

    def __init__(self, size: int, inner: int, dropout: float, block: Block):
        super().__init__()
        self.kind, self.dropout = block.feed_forward_activation, dropout
        self.first = nn.Linear(size, inner * (2 if self.kind == "swiglu" else 1), bias=block.bias)
        self.second = _output(inner, size, block)

    def forward(self, x: Tensor) -> Tensor:
        inner = activated(self.kind, linear_map(self.first, x))
        return linear_map(self.second, dropped(inner, self.dropout) if self.training and self.dropout else inner)


class TransformerLayer(nn.Module):
    """Self-attention, cross-attention to each of the inputs there are, and a feed-forward net, one after the other.

        x = x + dropout(sublayer(norm(x)))      pre-norm
        x = norm(x + dropout(sublayer(x)))      post-norm

    Shapes:
        x (N, H); returns (N, H), and the keys and the values (N, K, D) of its self-attention
    """

    def __init__(
        self,
        size: int,
        heads: int,
        kv_heads: int,
        inner: int,
        block: Block,
        dropout: float,
        activation_dropout: float,
        sources: Sequence[int],
    ):
        super().__init__()
        self.norm_first, self.dropout = block.norm_first, dropout
        self.attention = SelfAttention(size, heads, kv_heads, block)
        self.crosses = nn.ModuleList(CrossAttention(size, source, heads, kv_heads, block) for source in sources)
        self.feed_forward = FeedForwardNet(size, inner, activation_dropout, block)
        self.norms = nn.ModuleList(_norm(size, block) for _ in range(2 + len(sources)))

    def forward(
        self,
        x: Tensor,
        place: int,
        attend: Attend,
        rotation: tuple[Tensor, Tensor] | None,
        sources: Sequence[Source],
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        first, *between, last = self.norms
        read, kept = self.attention(self._before(first, x), attend, rotation)
        x = self._after(first, x, read)
        for norm, cross, source in zip(between, self.crosses, sources, strict=True):
            x = self._after(norm, x, cross(self._before(norm, x), place, source, rotation))
        return self._after(last, x, self.feed_forward(self._before(last, x))), kept

    def _before(self, norm: nn.Module, x: Tensor) -> Tensor:
        return norm(x) if self.norm_first else x

    def _after(self, norm: nn.Module, x: Tensor, read: Tensor) -> Tensor:
        x = x + (dropped(read, self.dropout) if self.training and self.dropout else read)
        return x if self.norm_first else norm(x)


class TransformerStack(nn.Module):
    """Layers above vectors of steps, which know the place of each step.

        x_0 = dropout(scale * (P e) + place)        P where e is not as wide; scale, place and norms: `Block`
        x_l = layer_l(x_{l-1})
        y   = norm(x_L)                             with `last_norm`, by default pre-norm's; else x_L itself

    Positions, p being the place of a step from 0 on and D the width of a head:

        sinusoidal  place[2 i] = sin(p / 10000^(2 i / H)), place[2 i + 1] = cos(the same)
        learned     place = table[p]
        rotary      numbers i and i + D / 2 of each query and key are turned by the angle p / 10000^(2 i / D)
        alibi       score - |p - p'| 2^(-8 (a + 1) / A) for head a from 0 on
        none        nothing: in a causal one the number of steps seen tells something

    The state of a causal one is what was read: keys beside values of all layers (B, T, L 2 K D), zeros after a row's
    last, and the number of steps (B, 1); with a window the last `window` - 1 steps alone.

    Args:
        input_size: the width of e.
        size: H.
        causal: whether a step sees no later one.
        scaled: whether e are learnt vectors of symbols.
        sources: the widths of inputs that each layer attends to.
        dropout: the probability of dropping a value of x_0 and of each sublayer's result.
        other arguments: as the settings of the encoder `transformer`.

    Errors:
        ConfigError: settings that exclude each other.
        DataError: a sequence is longer than learned positions.

    Source: Vaswani 2017, arXiv:1706.03762; norms: Ba 2016, arXiv:1607.06450, Zhang and Sennrich 2019,
        arXiv:1910.07467; pre-norm: Xiong 2020, arXiv:2002.04745; rotary: Su 2021, arXiv:2104.09864, in the halves of
        GPT-NeoX; alibi: Press 2022, arXiv:2108.12409, whose slopes differ where A is no power of 2; grouped heads:
        Ainslie 2023, arXiv:2305.13245; query-key norm: Henry 2020, arXiv:2010.04245, with a gain per number.
    """

    def __init__(
        self,
        input_size: int,
        size: int,
        *,
        causal: bool,
        scaled: bool,
        sources: Sequence[int] = (),
        layers: int,
        heads: int | None,
        kv_heads: int | None,
        block: str,
        norm: Norm | None,
        norm_first: bool | None,
        feed_forward_activation: Activation | None,
        feed_forward_size: int | None,
        positions: Positions | None,
        longest: int | None,
        window: int | None,
        query_key_norm: bool | None,
        norm_epsilon: float | None,
        last_norm: bool | None,
        dropout: float,
        attention_dropout: float,
        activation_dropout: float,
    ):
        super().__init__()
        given = {
            "norm": norm,
            "norm_first": norm_first,
            "feed_forward_activation": feed_forward_activation,
            "positions": positions,
            "query_key_norm": query_key_norm,
            "norm_epsilon": norm_epsilon,
            "last_norm": last_norm,
        }
        own = BLOCKS[block]._replace(**{name: value for name, value in given.items() if value is not None})
        heads = heads_of(size, heads, own.positions == "rotary")
        kv_heads = kv_heads or heads
        _check(heads, kv_heads, own.positions, longest, window)
        if feed_forward_size is None:  # with three maps in place of two, as many weights
            feed_forward_size = -(-8 * size // 24) * 8 if own.feed_forward_activation == "swiglu" else 4 * size
        self.size, self.kv_heads, self.head_size, self.positions = size, kv_heads, size // heads, own.positions
        self.causal, self.window, self.dropout, self.attention_dropout = causal, window, dropout, attention_dropout
        self.look_ahead = 0 if causal else None if window is None else layers * (window - 1)
        self.project = None if input_size == size else nn.Linear(input_size, size, bias=own.bias)
        self.scale = size**0.5 if scaled and own.scaled else None
        self.table = None
        if own.positions == "learned":
            self.table = nn.Parameter(torch.randn(longest or LONGEST, size) * 0.02)
        slopes = 2.0 ** (-8 * torch.arange(1, heads + 1) / heads) if own.positions == "alibi" else None
        self.register_buffer("slopes", slopes, persistent=False)
        self.layers = nn.ModuleList(
            TransformerLayer(size, heads, kv_heads, feed_forward_size, own, dropout, activation_dropout, sources)
            for _ in range(layers)
        )
        self.norm = _norm(size, own) if (own.norm_first if own.last_norm is None else own.last_norm) else None

    def forward(
        self,
        steps: Steps,
        state: tuple[Tensor, Tensor] | None = None,
        sources: Sequence[Source] = (),
        *,
        keep: bool = True,
    ) -> tuple[Steps, tuple[Tensor, Tensor] | None]:
        """Reads steps, from a state if there is one.

        Args:
            steps: vectors of steps.
            state: of a causal one, after the steps before.
            sources: what layers attend to.
            keep: whether a causal one gives the state after the last step.
        """
        layout = steps.layout
        sight = Sight(self.causal, self.window, self.slopes)
        before = self.start(len(layout), steps.values) if state is None else state
        fresh = not before[0].shape[1]
        cached = Cached(layout, sight, *before) if self.causal else None
        places = layout.positions if fresh else layout.positions + before[1].squeeze(1)[layout.rows]
        attend = partial(
            (Groups(layout, layout, sight, self.size) if fresh else cached).attend,
            dropout=self.attention_dropout if self.training else 0.0,
        )
        attends = [
            partial(attend, by=layer.attention) if fresh else partial(attend, place=place)
            for place, layer in enumerate(self.layers)
        ]
        read, new = self._read(steps, places, attends, sources)
        if cached is None or not keep:
            return read, None
        return read, cached.extended(torch.cat([part.flatten(1) for pair in new for part in pair], 1))

    def parted(self, kept: Tensor) -> list[Tensor]:
        """The keys and the values of each layer in turn, (B, K, T, D) each, of what was kept (B, T, L 2 K D)."""
        parts = kept.unflatten(2, (-1, self.kv_heads, self.head_size)).permute(2, 0, 3, 1, 4)
        return [part.contiguous() for part in parts]

    def together(self, parts: Sequence[Tensor]) -> Tensor:
        """What `parted` parted."""
        return torch.stack([part.transpose(1, 2) for part in parts], 2).flatten(2)

    def _read(
        self, steps: Steps, places: Tensor, attends: Sequence[Attend], sources: Sequence[Source]
    ) -> tuple[Steps, list[tuple[Tensor, Tensor]]]:
        """Features of steps at these places (N,), and the keys and values of each layer, (N, K, D) each."""
        x = steps.values if self.project is None else linear_map(self.project, steps.values)
        x = self._placed(x if self.scale is None else x * self.scale, places)
        x = dropped(x, self.dropout) if self.training and self.dropout else x
        rotation = angles(places, self.head_size, x) if self.positions == "rotary" else None
        new = []
        for place, (layer, attend) in enumerate(zip(self.layers, attends, strict=True)):
            x, keys_values = layer(x, place, attend, rotation, sources)
            x = shown(layer, x, steps.layout)
            new.append(keys_values)
        return steps.with_values(x if self.norm is None else self.norm(x)), new

    def start(self, rows: int, like: Tensor) -> tuple[Tensor, Tensor]:
        """The state before the first step."""
        size = len(self.layers) * 2 * self.kv_heads * self.head_size
        return like.new_zeros(rows, 0, size), torch.zeros(rows, 1, dtype=torch.int64, device=like.device)

    def _placed(self, x: Tensor, places: Tensor) -> Tensor:
        if self.positions == "sinusoidal":
            return x + sinusoids(places, self.size, x)
        if self.table is None:
            return x
        needed = 1 + int(places.max()) if len(places) else 0
        if needed > len(self.table):
            raise DataError(
                f"transformer: a sequence of {needed} steps, and learned positions end after {len(self.table)}; set "
                f"longest: {needed} and train anew, give shorter sequences, or choose positions: rotary, which have no "
                "end"
            )
        return x + self.table.index_select(0, places)


def _output(inputs: int, outputs: int, block: Block) -> nn.Linear:
    """The last map of a sublayer."""
    layer = nn.Linear(inputs, outputs, bias=block.bias)
    if block.zeros:
        nn.init.zeros_(layer.weight)
    return layer


def _normed(heads: Tensor) -> Tensor:
    return functional.rms_norm(heads, heads.shape[-1:], eps=1e-6)


def angles(places: Tensor, width: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines and sines (N, 1, D / 2) of the turns at these places (N,), in float64 on the way: places may be large."""
    speed = BASE ** (-torch.arange(0, width, 2, dtype=torch.float64, device=places.device) / width)
    turns = (places.double().unsqueeze(1) * speed).unsqueeze(1)
    return turns.cos().to(like.dtype), turns.sin().to(like.dtype)


def rotate(heads: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Numbers i and i + D / 2 of each head (N, A, D) turned as pairs."""
    first, second = heads.chunk(2, -1)
    return torch.cat([first * cosines - second * sines, second * cosines + first * sines], -1)


def sinusoids(places: Tensor, size: int, like: Tensor) -> Tensor:
    """The vectors (N, H) of places (N,), sines and cosines in turn."""
    speed = BASE ** (-torch.arange(0, size, 2, dtype=torch.float64, device=places.device) / size)
    turns = places.double().unsqueeze(1) * speed
    return torch.stack([turns.sin(), turns.cos()], 2).flatten(1)[:, :size].to(like.dtype)


def heads_of(size: int, heads: int | None, in_pairs: bool = False) -> int:
    """The number of heads: what was asked for, or as many as make them 32 wide, from H = 512 on 64."""
    fitting = [count for count in range(1, size + 1) if size % count == 0 and (size // count % 2 == 0 or not in_pairs)]
    if not fitting:
        raise ConfigError(
            f"hidden_size: {size} is odd, and rotary positions turn pairs of numbers; set hidden_size: {size + 1}, or "
            "other positions"
        )
    if heads is None:
        wide = 64 if size >= 512 else 32
        return max(count for count in fitting if size // count >= min(wide, size))
    if heads not in fitting:
        near = sorted(sorted(fitting, key=lambda count: abs(count - heads))[:3])
        which = "equally wide heads" if size % heads else "heads of an even width, as rotary positions need"
        allowed = ", ".join(map(str, near))
        raise ConfigError(f"heads: {heads} cannot cut hidden_size: {size} into {which}; nearest that can: {allowed}")
    return heads


def _check(heads: int, kv_heads: int, positions: Positions, longest: int | None, window: int | None) -> None:
    if heads % kv_heads:
        allowed = ", ".join(str(count) for count in range(1, heads + 1) if heads % count == 0)
        raise ConfigError(
            f"kv_heads: {kv_heads} does not divide the {heads} heads that share them; allowed here: {allowed}"
        )
    if longest is not None and positions != "learned":
        raise ConfigError(
            f"longest: {longest} is the end of learned positions, and {positions} ones have none; leave it out, or set "
            "positions: learned"
        )
    if window == 1:
        raise ConfigError("window: 1 lets each step see itself alone; set 2 or more, or leave it out to see all")
