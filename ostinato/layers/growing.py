"""One step at a time: the layers of a Transformer without a gradient, in as few calls as there can be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from ostinato.kernels.packed import Packed
from ostinato.kernels.products import FEW, linear
from ostinato.kernels.transformer import Facts, Input, LayersStep, LayerWeights, LookWeights
from ostinato.layers.ragged_attention import Sight
from ostinato.layers.transformer import TransformerStack, activated, angles, rotate

SHORT = 16
"""Keys below which torch's softmax on a CPU computes number by number: 1,920 x 15 scores take 495 us, 1,920 x 16 39."""


def attend_few(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None = None, steps: int = 1
) -> tuple[Tensor, Tensor]:
    """Contexts as `ragged_attention.attend` gives them, for few queries of each sequence and no gradient.

    By products and a softmax: of 320 sequences with one query and 15 keys, 6 heads of 32 numbers, they take 0.4 ms on a
    CPU, torch's fused kernel 0.9, and 2.6 where heads do not lie one after the other.

    Shapes:
        query (G T, A, D); key and value (G, K, S, D), K divides A, dense but for room behind S; returns contexts
        (G T, A D) and weights (G, A, T, S)

    Args:
        query: as above.
        key: as above.
        value: as above.
        bias: added to scores, as `bias_of` gives it; None: every key counts.
        steps: T.
    """
    heads, width = query.shape[1:]
    groups, kv_heads, longest = key.shape[:3]
    if steps > 1:
        query = query.view(groups, steps, heads, width).transpose(1, 2)
    query = query.reshape(groups * kv_heads, -1, width)
    keys, values = key.view(-1, longest, width).transpose(1, 2), value.view(-1, longest, width)
    if bias is None:
        scores = torch.bmm(query * width**-0.5, keys)
    else:
        scores = torch.baddbmm(bias.to(query.dtype), query, keys, alpha=width**-0.5)
    if longest < SHORT:
        weights = functional.pad(scores, (0, SHORT - longest), value=-torch.inf).softmax(-1)[..., :longest]
    else:
        weights = scores.softmax(-1)
    contexts = torch.bmm(weights.to(values.dtype), values)
    if steps > 1:
        contexts = contexts.view(groups, heads, steps, width).transpose(1, 2)
    return contexts.reshape(groups * steps, -1), weights.view(groups, heads, steps, longest)


def bias_of(mask: Tensor, heads: int, kv_heads: int) -> Tensor:
    """What `attend_few` adds to scores, for a mask (G, 1 or A, 1, S) of what counts, or of what is added.

    Shapes:
        returns (G K, 1 or A / K, S); with heads of their own T is 1
    """
    added = mask
    if not mask.is_floating_point():
        added = torch.zeros(mask.shape, device=mask.device).masked_fill_(~mask, -torch.inf)
    if added.shape[1] == 1:
        return added.squeeze(1).repeat_interleave(kv_heads, 0)
    return added.unflatten(1, (kv_heads, heads // kv_heads)).squeeze(3).flatten(0, 1)


class Read(Input, Protocol):
    """An input that steps attend to; called, it gives contexts (R, A D) of queries (R, A, D) in the layer of this
    number."""

    def __call__(self, place: int, query: Tensor) -> Tensor: ...


class _Map:
    """A linear map; of many rows by the native product, whose weights are packed once."""

    def __init__(self, layer: nn.Linear):
        self.weight, self.bias, self.packed = layer.weight, layer.bias, Packed()

    def __call__(self, x: Tensor) -> Tensor:
        if x.shape[0] <= FEW:
            return functional.linear(x, self.weight, self.bias)
        return linear(x, self.weight, self.bias, self.packed)


def _norm(module: nn.Module) -> partial[Tensor]:
    if isinstance(module, nn.LayerNorm):
        given = {"weight": module.weight, "bias": module.bias, "eps": module.eps}
        return partial(functional.layer_norm, normalized_shape=module.normalized_shape, **given)
    return partial(functional.rms_norm, normalized_shape=module.normalized_shape, weight=module.weight, eps=module.eps)


class _Cross(NamedTuple):
    queries: _Map
    gain: Tensor | None
    output: _Map
    norm: partial[Tensor]


class _Layer:
    """The maps, gains and norms of a `TransformerLayer`, without its modules: a call of one costs as much as a small
    product."""

    def __init__(self, layer: nn.Module):
        own, net = layer.attention, layer.feed_forward
        first, *between, last = map(_norm, layer.norms)
        self.norm_first, self.first_norm, self.last_norm = layer.norm_first, first, last
        self.heads, self.kv_heads, self.gain, self.kind = own.heads, own.kv_heads, own.gain, net.kind
        self.queries_keys_values, self.output = _Map(own.queries_keys_values), _Map(own.output)
        self.first, self.second = _Map(net.first), _Map(net.second)
        self.crosses = [
            _Cross(_Map(cross.queries), cross.query_gain, _Map(cross.output), norm)
            for cross, norm in zip(layer.crosses, between, strict=True)
        ]


def _native(stack: TransformerStack) -> LayersStep | None:
    """The layers for the native library; None where their norms differ."""
    norms = [norm for layer in stack.layers for norm in layer.norms] + ([] if stack.norm is None else [stack.norm])
    if len({(type(norm), norm.eps) for norm in norms}) > 1:
        return None
    layers = []
    for layer in stack.layers:
        own, net = layer.attention, layer.feed_forward
        first, *between, last = map(_pair, layer.norms)
        looks = [
            LookWeights(*norm, *_pair(cross.queries), cross.query_gain, *_pair(cross.output))
            for cross, norm in zip(layer.crosses, between, strict=True)
        ]
        read = *_pair(own.queries_keys_values), own.gain, *_pair(own.output)
        layers.append(LayerWeights(*first, *read, *last, *_pair(net.first), *_pair(net.second), tuple(looks)))
    facts = Facts(
        heads=stack.size // stack.head_size,
        kv_heads=stack.kv_heads,
        width=stack.head_size,
        norm="layer" if isinstance(norms[0], nn.LayerNorm) else "rms",
        epsilon=norms[0].eps,
        norm_first=stack.layers[0].norm_first,
        activation=stack.layers[0].feed_forward.kind,
        norm_after=None if stack.norm is None else _pair(stack.norm),
    )
    return LayersStep(layers, facts)


def _pair(module: nn.Module) -> tuple[Tensor, Tensor | None]:
    """Weight and bias."""
    return module.weight, getattr(module, "bias", None)


Rotation = tuple[Tensor, Tensor] | None
SPARE = 16
"""Steps that there is room for, behind keys and values that fill theirs."""


class _Rooms:
    """Keys and values (R, K, T, D) of the newest step, with room behind them: the next step is written there.

    Without it each step copies all that was kept. What another than the newest step goes on from, or one whose rows
    were chosen anew, is copied into new rooms, so that no state changes under whoever holds it. Such rooms have one
    place: a beam chooses anew at each step, and page faults of places that nobody fills would cost it a sixth.
    """

    def __init__(self):
        self.rooms: list[Tensor] = []
        self.filled = 0

    def holding(self, kept: Sequence[Tensor]) -> list[Tensor]:
        """The rooms, one place longer than what is kept, which lies in them."""
        filled = kept[0].shape[2]
        lies = self._hold(kept, filled)
        if not lies or filled == self.rooms[0].shape[2]:
            rows, heads, _, width = kept[0].shape
            spare = max(SPARE, filled // 2) if lies else 1
            self.rooms = [part.new_empty(rows, heads, filled + spare, width) for part in kept]
            for room, part in zip(self.rooms, kept):
                room[:, :, :filled] = part
        self.filled = filled + 1
        return [room[:, :, : self.filled] for room in self.rooms]

    def _hold(self, kept: Sequence[Tensor], filled: int) -> bool:
        """Whether what is kept is the newest step in these rooms."""
        if filled != self.filled or not self.rooms:
            return False
        if self.rooms[0].is_inference() and not torch.is_inference_mode_enabled():
            return False
        return all(
            part.data_ptr() == room.data_ptr() and part.stride() == room.stride() and len(part) == len(room)
            for part, room in zip(kept, self.rooms)
        )


def named(kept: Sequence[Tensor], count: Tensor) -> dict[str, Tensor]:
    """Keys and values and the count of steps as a generation keeps them, by name."""
    return {**{f"kept {number}": part for number, part in enumerate(kept)}, "count": count}


def kept_by_name(values: Mapping[str, Tensor]) -> tuple[list[Tensor], Tensor]:
    """The keys and values and the count in what a generation keeps."""
    parts = sum(name.startswith("kept ") for name in values)
    return [values[f"kept {number}"] for number in range(parts)], values["count"]


class Stepper:
    """The layers of a causal `TransformerStack` for one step of each row, without a gradient and without dropout.

    Law: it gives what the stack gives (`steps_are_the_whole`). One step of a single row through 4 layers of 192 takes
    half the time of the modules.

    Args:
        stack: whose weights are read; make one per generation, as `Packed`.
    """

    def __init__(self, stack: TransformerStack):
        self.stack = stack
        self.heads, self.width = stack.size // stack.head_size, stack.head_size
        self.sight = Sight(True, stack.window, stack.slopes)
        self.most = None if stack.window is None else stack.window - 1
        self.project = None if stack.project is None else _Map(stack.project)
        self.norm = None if stack.norm is None else _norm(stack.norm)
        self.rooms, self.native = _Rooms(), _native(stack)

    def takes(self, count: Tensor) -> bool:
        """Whether it can go on from rows (R, 1) that have read so many steps: with a window, from equally many."""
        return self.most is None or bool((count == count[:1]).all())

    @cached_property
    def layers(self) -> list[_Layer]:
        """As torch computes them, where the library does not."""
        return [_Layer(layer) for layer in self.stack.layers]

    def __call__(
        self, x: Tensor, kept: Sequence[Tensor], count: Tensor, sources: Sequence[Read] = ()
    ) -> tuple[Tensor, list[Tensor], Tensor]:
        """Features (R, H) of vectors (R, I), what is kept afterwards and the count.

        Args:
            x: a step of each row.
            kept: (R, K, T, D), the keys and the values of each layer in turn, zeros where a row has fewer steps; with
                a window all rows have read equally many.
            count: (R, 1), how many steps were read.
            sources: what each layer attends to.
        """
        stack, rows, longest = self.stack, len(x), kept[0].shape[2]
        counts = count.squeeze(1)
        here = counts if self.most is None else counts.clamp(max=self.most)
        even = bool((here == longest).all())
        places = counts[:1] if even and self.most is None else counts
        x = x if self.project is None else self.project(x)
        x = stack._placed(x if stack.scale is None else x * stack.scale, places)
        rotation = angles(places, self.width, x) if stack.positions == "rotary" else None
        bias = None if even and self.sight.plain else self._bias(counts, here, kept[0], even)
        at = None if even else (torch.arange(rows, device=x.device), counts)
        in_rooms = even and self.most is None
        after = self.rooms.holding(kept) if in_rooms else []
        if in_rooms and bias is None and self.native is not None and self.native.is_allowed(x):
            turned = None if rotation is None else (rotation[0].flatten(), rotation[1].flatten())
            return self.native(x, self.rooms.rooms, longest, turned, sources), after, count + 1
        for place, layer in enumerate(self.layers):
            y = layer.first_norm(x) if layer.norm_first else x
            both = layer.queries_keys_values(y).view(rows, -1, self.width)
            seen = layer.heads + layer.kv_heads
            query, key = self._turned(both[:, :seen], layer.gain, rotation, layer.heads)
            new = key, both[:, seen:]
            if in_rooms:
                pair = after[2 * place : 2 * place + 2]
                for grown, last in zip(pair, new):
                    grown[:, :, -1] = last
            else:
                pair = [_appended(old, last, at) for old, last in zip(kept[2 * place :], new)]
                after += pair
            x = self._added(layer, layer.first_norm, x, layer.output(attend_few(query, *pair, bias)[0]))
            for cross, source in zip(layer.crosses, sources):
                y = cross.norm(x) if layer.norm_first else x
                asked = cross.queries(y).view(rows, -1, self.width)
                query, _ = self._turned(asked, cross.gain, rotation, layer.heads)
                x = self._added(layer, cross.norm, x, cross.output(source(place, query)))
            y = layer.last_norm(x) if layer.norm_first else x
            x = self._added(layer, layer.last_norm, x, layer.second(activated(layer.kind, layer.first(y))))
        if self.most is not None and longest == self.most:
            after = [part[:, :, 1:] for part in after]
        return x if self.norm is None else self.norm(x), after, count + 1

    def _bias(self, counts: Tensor, here: Tensor, keys: Tensor, even: bool) -> Tensor | None:
        places = torch.arange(keys.shape[2] + 1, device=counts.device)
        real = None if even else places <= here.unsqueeze(1)
        mask = self.sight.mask(counts.unsqueeze(1), (counts - here).unsqueeze(1) + places, real)
        return None if mask is None else bias_of(mask.expand(len(counts), -1, -1, -1), self.heads, keys.shape[1])

    @staticmethod
    def _turned(both: Tensor, gain: Tensor | None, rotation: Rotation, heads: int) -> tuple[Tensor, Tensor]:
        """Queries, and the keys behind them."""
        if gain is not None:
            both = functional.rms_norm(both, both.shape[-1:], eps=1e-6) * gain
        if rotation is not None:
            both = rotate(both, *rotation)
        return both[:, :heads], both[:, heads:]

    @staticmethod
    def _added(layer: _Layer, norm: partial[Tensor], x: Tensor, read: Tensor) -> Tensor:
        x = x + read
        return x if layer.norm_first else norm(x)


def _appended(old: Tensor, new: Tensor, at: tuple[Tensor, Tensor] | None) -> Tensor:
    """Keys or values (R, K, T + 1, D): the new ones (R, K, D) behind the last, or at these places of these rows."""
    if at is None:
        return torch.cat([old, new.unsqueeze(2)], 2)
    rows, places = at
    grown = functional.pad(old, (0, 0, 0, 1))
    grown[rows, :, places] = new
    return grown
