"""The Transformer as a decoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ostinato.decoders.contract import Decoder, Decoding
from ostinato.encoders.contract import Encoded, Sizes
from ostinato.kernels.products import linear
from ostinato.kernels.watch import goes_unseen
from ostinato.layers.attend import Memory
from ostinato.layers.growing import Stepper, attend_few, bias_of, kept_by_name, named
from ostinato.layers.ragged_attention import Groups, Sight, attend, weights_of
from ostinato.layers.transformer import Activation, CrossAttention, Norm, Positions, TransformerStack
from ostinato.registry import Count, Positive, Rate
from ostinato.steps import Layout, Steps


class TransformerDecoder(Decoder):
    """Attention without recurrence: each step of the target looks at those before it, then at the steps of each input.

        x_0[i] = dropout(embedding(y[i-1]) + W_b [summaries of inputs without steps] + place)
        a      = x_{l-1} + attention(norm(x_{l-1}))                 pre-norm; see `block`; y[<i] alone
        c      = a + cross_attention(norm(a), steps of an input)    one after the other for several inputs
        x_l    = c + feed_forward(norm(c))
        features = norm(x_L) (see `last_norm`), or W_r norm(x_L) + b_r where another width is asked for

    A whole target is computed at once, its steps packed. Generating, the state is what was read: keys and values of the
    steps so far, of all layers; those of the inputs are computed once.

    Shapes:
        features (N, H or as asked for); state values `count` (R, 1), and `kept 0` to `kept 2 L - 1`, keys and values of
        each layer in turn, (R, K, T, D), zeros after a row's last; attention (R, S): the mean over the heads of the top
        layer

    Args:
        hidden_size: H of every layer.
        layers: the number of layers.
        heads: A; by default as many as make heads of 32 numbers, and of 64 where hidden_size is 512 or more.
        kv_heads: heads of keys and values, each of which several heads of queries share; by default as many.
        block: what is not said below: modern or vaswani2017, as the encoder of this name has it.
        norm: layer: LayerNorm, or rms: RMSNorm.
        norm_first: whether norms come before the sublayers, in place of after their sums.
        feed_forward_activation: the activation between the two maps of each step.
        feed_forward_size: the width between them; by default 4 H, with swiglu 8/3 H.
        positions: how the place of a step is known.
        longest: the most steps that learned positions hold, the begin symbol included; by default 512.
        window: how many steps of the target a step sees, itself included; by default all.
        query_key_norm: whether queries and keys are normed, head by head.
        norm_epsilon: what norms add inside the root that they divide by; by default 1e-5 for layer, 1e-6 for rms.
        last_norm: whether a norm follows the last layer; by default with norm_first.
        attention_dropout: the probability of dropping a weight of attention.
        activation_dropout: the probability of dropping a value between the two maps of a feed-forward net.

    Errors:
        ConfigError: as the encoder `transformer`.
        DataError: a target longer than learned positions.

    Source: Vaswani 2017, arXiv:1706.03762; several inputs one after the other: Libovicky, Helcl and Marecek 2018,
        arXiv:1811.04716, serial.
    """

    def __init__(
        self,
        sizes: Sequence[Sizes],
        embed: Callable[[], nn.Module],
        input_size: int,
        output_size: int | None,
        dropout: float,
        *,
        hidden_size: Count = 256,
        layers: Count = 4,
        heads: Count | None = None,
        kv_heads: Count | None = None,
        block: Literal["modern", "vaswani2017"] = "modern",
        norm: Norm | None = None,
        norm_first: bool | None = None,
        feed_forward_activation: Activation | None = None,
        feed_forward_size: Count | None = None,
        positions: Positions | None = None,
        longest: Count | None = None,
        window: Count | None = None,
        query_key_norm: bool | None = None,
        norm_epsilon: Positive | None = None,
        last_norm: bool | None = None,
        attention_dropout: Rate = 0.0,
        activation_dropout: Rate = 0.0,
    ):
        super().__init__()
        self.attended = [place for place, size in enumerate(sizes) if size.steps is not None]
        self.beside_places = [place for place, size in enumerate(sizes) if size.steps is None]
        self.attention_dropout = attention_dropout
        self.embedding = embed()
        beside = sum(sizes[place].summary or 0 for place in self.beside_places)
        self.beside = nn.Linear(beside, input_size) if beside else None
        self.stack = TransformerStack(
            input_size,
            hidden_size,
            causal=True,
            scaled=True,
            sources=[sizes[place].steps or 0 for place in self.attended],
            layers=layers,
            heads=heads,
            kv_heads=kv_heads,
            block=block,
            norm=norm,
            norm_first=norm_first,
            feed_forward_activation=feed_forward_activation,
            feed_forward_size=feed_forward_size,
            positions=positions,
            longest=longest,
            window=window,
            query_key_norm=query_key_norm,
            norm_epsilon=norm_epsilon,
            last_norm=last_norm,
            dropout=dropout,
            attention_dropout=attention_dropout,
            activation_dropout=activation_dropout,
        )
        self.output_size = output_size or hidden_size
        self.readout = None if self.output_size == hidden_size else nn.Linear(hidden_size, self.output_size)

    def start(self, encoded: Sequence[Encoded]) -> Decoding:
        memory: list[tuple[Any, ...] | Tensor] = []
        for number, place in enumerate(self.attended):
            source = encoded[place].steps
            parts = [part for layer in self.stack.layers for part in layer.crosses[number].read(source)]
            padded = [source.with_values(part).padded().transpose(1, 2).contiguous() for part in parts]
            nothing = padded[0].new_empty(len(source.layout), padded[0].shape[2], 0)
            memory.append((Memory(nothing, nothing, source.layout), *padded))
        beside = self._beside(encoded)
        if beside is not None:
            memory.append(beside)
        rows = len(encoded[0].summary if encoded[0].steps is None else encoded[0].steps.layout)
        kept, count = self.stack.start(rows, next(self.parameters()))
        values = named(self.stack.parted(kept), count)
        return Decoding(tuple(memory), torch.arange(rows, device=kept.device), values)

    def run(self, encoded: Sequence[Encoded], steps: Steps, choose: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        beside = self._beside(encoded)
        x = self._embedded(steps.values, None if beside is None else beside.index_select(0, steps.layout.rows))
        rate = self.attention_dropout if self.training else 0.0
        sources = [_Packed(steps.layout, encoded[place].steps, place, self.stack.size, rate) for place in self.attended]
        return self._read_out(self.stack(steps.with_values(x), None, sources, keep=False)[0].values)

    def extend(self, steps: Steps, state: Decoding) -> tuple[Tensor, Decoding]:
        layout, beside = steps.layout, None
        if self.beside is not None:
            beside = state.memory[-1].index_select(0, state.rows.index_select(0, layout.rows))
        rate = self.attention_dropout if self.training else 0.0
        x = steps.with_values(self._embedded(steps.values, beside))
        kept, count = kept_by_name(state.values)
        sources = [
            _Kept(entry, state.rows, layout, len(self.stack.layers), rate)
            for entry in state.memory[: len(self.attended)]
        ]
        read, (joined, count) = self.stack(x, (self.stack.together(kept), count), sources)
        weights = [source.weights for source in sources]
        if layout.longest != 1 or not layout.full:
            earlier = state.attention or [torch.zeros_like(part) for part in weights]
            ended = (layout.lengths == 0).to(state.rows.device).unsqueeze(1)
            weights = [torch.where(ended, old, part) for old, part in zip(earlier, weights, strict=True)]
        values = named(self.stack.parted(joined), count)
        return self._read_out(read.values), replace(state, values=values, attention=tuple(weights))

    def step(self, symbols: Tensor, state: Decoding) -> tuple[Tensor, Decoding]:
        stepper = state.once("layers", lambda: Stepper(self.stack)) if goes_unseen(self) else None
        if stepper is None or not len(symbols) or not stepper.takes(state.values["count"]):
            return self.extend(Steps(symbols, Layout.equal(len(symbols), 1, symbols.device)), state)
        beside = None if self.beside is None else state.memory[-1].index_select(0, state.rows)
        beams = [_Beams(entry, state.rows, stepper.heads) for entry in state.memory[: len(self.attended)]]
        x, *after = stepper(self._embedded(symbols, beside), *kept_by_name(state.values), beams)
        weights = tuple(source.weights for source in beams)
        return self._read_out(x), replace(state, values=named(*after), attention=weights)

    def _beside(self, encoded: Sequence[Encoded]) -> Tensor | None:
        if self.beside is None:
            return None
        summaries = torch.cat([encoded[place].summary for place in self.beside_places], 1)
        return linear(summaries, self.beside.weight, self.beside.bias)

    def _embedded(self, steps: Tensor, beside: Tensor | None) -> Tensor:
        return self.embedding(steps) if beside is None else self.embedding(steps) + beside

    def _read_out(self, x: Tensor) -> Tensor:
        return x if self.readout is None else linear(x, self.readout.weight, self.readout.bias)


class _Packed:
    """An input attended to by whole targets: a `Source`, in groups of like lengths; the input at place `at`."""

    def __init__(self, layout: Layout, source: Steps, at: int, width: int, dropout: float):
        self.source, self.at, self.dropout = source, at, dropout
        self.groups = Groups(layout, source.layout, Sight(), width)

    def __call__(self, cross: CrossAttention, place: int, query: Tensor) -> Tensor:
        return self.groups.attend(query, *cross.read(self.source), self.dropout, by=cross, source=self.at)


class _Kept:
    """An input whose keys and values were kept, attended to by hypotheses: a `Source`.

    Args:
        entry: its `Memory`, and the keys and the values of each layer in turn, (B, K, S, D) each.
        rows: (R,), the example of each hypothesis.
        layout: of the new steps of the hypotheses.
        layers: how many layers; the last leaves its weights here.
        dropout: of the weights.
    """

    def __init__(self, entry: tuple[Any, ...], rows: Tensor, layout: Layout, layers: int, dropout: float):
        self.layout, self.layers, self.dropout = layout, layers, dropout
        memory, *kept = entry
        self.memory = memory.take(rows)
        self.kept = [part.index_select(0, rows).transpose(1, 2) for part in kept]
        self.weights = memory.values.new_zeros(len(rows), memory.values.shape[1])
        self.mask = _seen(self.memory)

    def __call__(self, cross: CrossAttention, place: int, query: Tensor) -> Tensor:
        if not self.memory.values.shape[1] or not len(query):
            return torch.zeros_like(query)
        keys, values = self.kept[2 * place : 2 * place + 2]
        padded = Steps(query, self.layout).padded()
        context = attend(padded, keys, values, self.mask, dropout=self.dropout)
        if place == self.layers - 1:
            ends = (self.layout.lengths - 1).clamp(min=0).to(padded.device)
            last = padded[torch.arange(len(padded), device=padded.device), ends].unsqueeze(1)
            self.weights = weights_of(last, keys, self.memory.padding).flatten(0, 1)
        return Steps.from_padded(context, self.layout).values


class _Beams:
    """As `_Kept`, where each hypothesis has one new step and no gradient is asked for: the hypotheses of an example are
    queries of it beside each other, and its memory is not copied.

    Args:
        entry: as above.
        rows: as above.
        heads: A.
    """

    def __init__(self, entry: tuple[Any, ...], rows: Tensor, heads: int):
        self.memory, *self.kept = entry
        self.rows, self.heads = rows, heads
        self.lengths = None if self.memory.padding is None else self.memory.layout.lengths
        self.weights = self.memory.values.new_zeros(len(rows), self.memory.values.shape[1])

    @cached_property
    def _grouped(self) -> tuple[Memory, list[Tensor], int, Tensor | None]:
        """A memory with an example for each run of W rows, its keys and values, W, and what is added to scores."""
        memory, kept = self.memory, self.kept
        examples, width = memory.runs(self.rows)
        if examples is not None:
            memory, kept = memory.take(examples), [part.index_select(0, examples) for part in kept]
        mask = _seen(memory)
        return memory, kept, width, None if mask is None else bias_of(mask, self.heads, kept[0].shape[1])

    def __call__(self, place: int, query: Tensor) -> Tensor:
        memory, kept, width, bias = self._grouped
        keys, values = kept[2 * place : 2 * place + 2]
        if not keys.shape[2]:
            return query.new_zeros(len(query), query.shape[1] * query.shape[2])
        context, weights = attend_few(query, keys, values, bias, width)
        if 2 * (place + 1) == len(kept):
            weights = weights.mean(1)
            self.weights = (weights if memory.padding is None else weights.masked_fill(memory.padding, 0)).flatten(0, 1)
        return context


def _seen(memory: Memory) -> Tensor | None:
    """Which steps of an input are seen, (B, 1, 1, S); None: all."""
    if memory.padding is None:
        return None
    seen = ~memory.padding.unsqueeze(1)
    seen[..., :1] = True  # A row without steps sees a zero in place of nothing, which is not a number.
    return seen
