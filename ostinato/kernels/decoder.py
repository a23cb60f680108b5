"""The attentional decoder's loop over time in C++: input feeding or a context before the cell, without Python per step."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from ostinato.kernels.contract import Native, Recurrence, State
from ostinato.kernels.deferred import refuse_second_derivative
from ostinato.kernels.native import Direction, array, biases_of, pointer, scan_words
from ostinato.kernels.native_library import library
from ostinato.kernels.packed import Packed
from ostinato.steps import Layout, Steps


class Scores(NamedTuple):
    """What the native loop must know of an attention beside its keys.

        q = W_q s + b_q                       s itself without `query_weight`
        e = energy . tanh(q + key)            with `energy`
        e = scale * q . key                   without

    Shapes:
        query_weight (A, H); query_bias (A,); energy (A,)
    """

    query_weight: Tensor | None = None
    query_bias: Tensor | None = None
    energy: Tensor | None = None
    scale: float = 1.0


class Readout(NamedTuple):
    """The readout that input feeding feeds back: tanh(W [s; c] + b), and what is fed at the first step.

    Shapes:
        weight (F, H + M); bias (F,) or None; start (B, F)
    """

    weight: Tensor
    bias: Tensor | None
    start: Tensor


def obstacle(cells: Sequence[Recurrence]) -> str | None:
    """Why the native loop cannot run these cells, though the native kernel can, or None."""
    if any(cell.native().cell == "gru_before" for cell in cells):
        return "a GRU whose reset comes before its product"
    return None if len(cells) <= 8 else "more than 8 layers"


def decode(
    cells: Sequence[Recurrence],
    x: Steps,
    states: Sequence[State],
    keys: Tensor,
    memory: Steps,
    scores: Scores,
    readout: Readout | None,
    masks: Sequence[Tensor | None],
) -> tuple[Tensor, Tensor]:
    """All steps of all targets: with a readout, the context after the cell; without one, the context before it.

    The readout is fed back where the first cell reads more than x: [x; readout].

    Shapes:
        x (N, E); keys (S, A), memory (S, M) of as many sequences; returns the readouts (N, F) and the contexts (N, M),
        or the top hidden states (N, H) and the contexts

    Args:
        cells: from the first layer up, all of one kind; the first reads [x; what is fed], or x.
        x: what each step hears.
        states: before the first step, of each layer.
        keys: of the memory's steps.
        memory: what contexts are made of.
        scores: how a query is compared with a key.
        readout: what the softmax reads, or None.
        masks: (N, H) of each layer above the first: dropout of what it reads, or None.
    """
    plan = _Plan(tuple(cell.native() for cell in cells), x.layout, memory.layout, readout is not None, scores.scale)
    tensors = _tensors(cells, plan.natives, x.values, states, keys, memory, scores, readout, masks)
    if torch.is_grad_enabled() and any(one is not None and one.requires_grad for one in tensors):
        return _Decode.apply(plan, *tensors)
    call = _Call(plan, tensors)
    call.forward()
    return call.features if readout is not None else call.hidden[-1], call.contexts


def step(
    cells: Sequence[Recurrence],
    x: Tensor,
    states: Sequence[State],
    keys: Tensor,
    memory: Steps,
    rows: Tensor,
    scores: Scores,
    readout: Readout | None,
    packed: Packed,
) -> tuple[list[State], Tensor, Tensor, Tensor]:
    """One step of R hypotheses, no gradient: their states, what the softmax reads, contexts and weights (R, longest memory).

    As `decode` of one step each, but hypothesis r reads the memory of example rows[r], and the readout need not be fed back:
    that is so where the first cell reads x alone. Without a readout what is returned in its place is the top hidden state.

    Args:
        cells: from the first layer up.
        x: (R, E) what each hears.
        states: of each layer.
        keys: of the memory's steps.
        memory: what contexts are made of.
        rows: (R,) the example of each hypothesis.
        scores: how a query is compared with a key.
        readout: what the softmax reads, or None.
        packed: keeps the weights between the calls of one generation.
    """
    plan = _Plan(
        tuple(cell.native() for cell in cells), _ones(len(x)), memory.layout, readout is not None, scores.scale, rows
    )
    tensors = _tensors(cells, plan.natives, x, states, keys, memory, scores, readout, [None] * (len(cells) - 1))
    call = _Call(plan, tensors)
    call.forward(packed)
    has_c = states[0][1:]
    after = [(hidden, extra) if has_c else (hidden,) for hidden, extra in zip(call.hidden, call.extra)]
    weights = call.weights.view(len(x), memory.layout.longest)
    return after, call.hidden[-1] if readout is None else call.features, call.contexts, weights


@lru_cache(maxsize=64)
def _ones(count: int) -> Layout:
    return Layout([1] * count)


def _tensors(
    cells: Sequence[Recurrence],
    natives: Sequence[Native],
    x: Tensor,
    states: Sequence[State],
    keys: Tensor,
    memory: Steps,
    scores: Scores,
    readout: Readout | None,
    masks: Sequence[Tensor | None],
) -> list[Tensor | None]:
    tensors: list[Tensor | None] = [x, keys, memory.values, *scores[:3]]
    tensors += [None, None, None] if readout is None else readout
    for cell, native, state, mask in zip(cells, natives, states, (None, *masks)):
        tensors += [cell.weight_x, cell.weight_h, cell.bias_x, cell.bias_h, native.peepholes, mask]
        tensors += [state[0], state[1] if len(state) > 1 else None]
    return tensors


@dataclass(frozen=True)
class _Plan:
    """What a call does not take from tensors with gradients; `examples` are the memories read, None where each has its own."""

    natives: tuple[Native, ...]
    layout: Layout
    memory: Layout
    feeding: bool
    scale: float
    examples: Tensor | None = None


_SHARED = 9  # tensors before those of the layers
_OF_LAYER = 8


class _Call:
    """The buffers of one call and the words that tell the library where they are."""

    def __init__(self, plan: _Plan, tensors: Sequence[Tensor | None], buffers: Sequence[Tensor | None] | None = None):
        self.plan = plan
        tensors = self.tensors = [None if one is None else one.contiguous() for one in tensors]
        self.x, self.keys, self.values, self.query_weight, self.query_bias, self.energy = tensors[:6]
        self.readout, self.readout_bias, self.start_fed = tensors[6:_SHARED]
        self.layers = [tensors[k : k + _OF_LAYER] for k in range(_SHARED, len(tensors), _OF_LAYER)]
        self.size = self.layers[0][1].shape[1]
        self.fed_size = len(self.readout) if plan.feeding else self.values.shape[1]
        self.fed_back = not plan.feeding or self.layers[0][0].shape[1] > self.x.shape[1]
        lengths = plan.layout.lengths
        if plan.examples is None:
            self.weight_offsets = torch.zeros(len(lengths) + 1, dtype=torch.int64)
            torch.cumsum(lengths * plan.memory.lengths, 0, out=self.weight_offsets[1:])
        else:
            self.weight_offsets = torch.arange(len(lengths) + 1) * plan.memory.longest
        self.biases = [biases_of(native, layer[2], layer[3]) for native, layer in zip(plan.natives, self.layers)]
        if buffers is None:
            buffers = self._new_buffers()
        self.buffers = list(buffers)
        self.weights, self.queries, self.contexts, self.features, self.dropped = self.buffers[:5]
        count = len(self.layers)
        self.gates, self.extra, self.hidden = (self.buffers[5 + k * count : 5 + (k + 1) * count] for k in range(3))

    def _new_buffers(self) -> list[Tensor | None]:
        num_steps, new = self.plan.layout.total, self.x.new_empty
        has_extra = not self.plan.natives[0].cell.startswith("rnn")
        has_masks = any(layer[5] is not None for layer in self.layers)
        return [
            self._new_weights(),
            None if self.query_weight is None else new(num_steps, len(self.query_weight)),
            new(num_steps, self.values.shape[1]),
            new(num_steps, self.fed_size) if self.plan.feeding else None,
            new(len(self.layers) - 1, num_steps, self.size) if has_masks else None,
            *(new(num_steps, len(layer[1])) for layer in self.layers),
            *(new(num_steps, self.size) if has_extra else None for _ in self.layers),
            *(new(num_steps, self.size) for _ in self.layers),
        ]

    def _new_weights(self) -> Tensor:
        # a step's are padded with zeros, so that they are one matrix
        made = self.x.new_empty if self.plan.examples is None else self.x.new_zeros
        return made(int(self.weight_offsets[-1]))

    def _scan_words(self) -> list[int]:
        words = []
        for number, (native, layer) in enumerate(zip(self.plan.natives, self.layers)):
            x = self.x if number == 0 else self.hidden[number - 1]
            stride = layer[0].shape[1] if number == 0 and self.fed_back else 0
            buffers = (self.hidden[number], self.gates[number], self.extra[number], None, None)
            words += scan_words(
                Direction(native, False, self.plan.layout), 0, x, layer, self.biases[number], buffers, stride
            )
        return words

    def _words(self, layers: ctypes.Array, gradients: Sequence[int], packed: tuple[int, int] = (0, 0)) -> ctypes.Array:
        plan = self.plan
        words = [
            ctypes.addressof(layers), len(self.layers), int(plan.feeding), self.fed_size, self.keys.shape[1], self.values.shape[1],
            plan.memory.offsets.data_ptr(), plan.memory.longest, self.keys.data_ptr(), self.values.data_ptr(),
            pointer(self.query_weight), pointer(self.query_bias), pointer(self.energy),
            struct.unpack("q", struct.pack("d", plan.scale))[0],
            pointer(plan.examples), len(plan.memory), int(self.fed_back), *packed, self.weight_offsets.data_ptr(),
            pointer(self.readout), pointer(self.readout_bias), pointer(self.start_fed),
            *map(pointer, (self.weights, self.queries, self.contexts, self.features, self.dropped)), *gradients,
        ]  # fmt: skip
        return array(words)

    def forward(self, packed: Packed | None = None) -> None:
        layers, none = array(self._scan_words()), [0] * 13
        if packed is None:
            library().call("decoder_forward", self._words(layers, none))
            return
        ready = packed.room is not None
        room = packed.room
        if room is None:
            room = torch.empty(library().size("decoder_packed_size", self._words(layers, none)), dtype=torch.uint8)
        library().call("decoder_forward", self._words(layers, none, (room.data_ptr(), int(ready))))
        packed.room = room

    def backward(self, d_out: Tensor | None, d_contexts: Tensor | None) -> list[Tensor | None]:
        """The gradients of all tensors, in their order; the gates may be overwritten."""
        # The gates are needed no more after a graph's last pass: their gradients take their place.
        again = torch._C._autograd._get_current_graph_task_keep_graph()
        new = lambda one: None if one is None else torch.empty_like(one)  # noqa: E731
        copied = lambda given, like: (  # noqa: E731
            torch.zeros_like(like) if given is None else given.clone(memory_format=torch.contiguous_format)
        )
        rows = len(self.plan.layout)
        d_features = copied(d_out, self.features) if self.plan.feeding else None
        d_hidden = None if self.plan.feeding or d_out is None else d_out.contiguous()
        d_contexts = copied(d_contexts, self.contexts)
        d_energy = None if self.energy is None else self.energy.new_empty(rows, len(self.energy))
        d_below = self.x.new_empty(rows, self.size) if len(self.layers) > 1 else None
        shared = [new(one) for one in self.tensors[:_SHARED]]
        d_x, d_keys, d_values, d_query_weight, d_query_bias, _, d_readout, d_readout_bias, d_start_fed = shared
        own, words = [], []
        for number, (native, layer) in enumerate(zip(self.plan.natives, self.layers)):
            is_after = native.cell == "gru_after"
            d_gates = torch.empty_like(self.gates[number]) if again else self.gates[number]
            d_extra = torch.empty_like(self.extra[number]) if again and is_after else self.extra[number]
            weight_x, weight_h, _, bias_h, peepholes, _, h, c = layer
            d_weight_x, d_weight_h, d_peepholes, d_h, d_c = map(new, (weight_x, weight_h, peepholes, h, c))
            d_bias = self.x.new_empty(len(weight_h))
            d_bias_n = self.x.new_empty(self.size) if is_after and bias_h is not None else None
            is_top = number == len(self.layers) - 1
            words += [
                pointer(d_hidden) if is_top else 0, self.size, 0, 0, pointer(d_gates), pointer(d_extra), pointer(d_h), pointer(d_c),
                pointer(d_x) if number == 0 else 0, *map(pointer, (d_weight_x, d_weight_h, d_bias, d_bias_n, d_peepholes)),
            ]  # fmt: skip
            own.append((d_weight_x, d_weight_h, d_bias, d_bias_n, d_peepholes, d_h, d_c, d_gates, d_extra))
        layers, gradients = array(self._scan_words()), array(words)
        d_queries = new(self.queries)
        work = (
            d_features, d_contexts, d_start_fed, d_queries, d_keys, d_values, d_energy, d_below, d_query_weight, d_query_bias,
            d_readout, d_readout_bias,
        )  # fmt: skip
        library().call("decoder_backward", self._words(layers, [ctypes.addressof(gradients), *map(pointer, work)]))
        found = [d_x, d_keys, d_values, d_query_weight, d_query_bias, None if d_energy is None else d_energy.sum(0)]
        found += [d_readout, d_readout_bias, d_start_fed]
        for layer, (d_weight_x, d_weight_h, d_bias, d_bias_n, d_peepholes, d_h, d_c, _, _) in zip(self.layers, own):
            d_bias_h = d_bias if d_bias_n is None else torch.cat([d_bias[: 2 * self.size], d_bias_n])
            of_bias = [None if bias is None else one for bias, one in ((layer[2], d_bias), (layer[3], d_bias_h))]
            found += [d_weight_x, d_weight_h, *of_bias, d_peepholes, None, d_h, d_c]
        return found


class _Decode(torch.autograd.Function):
    @staticmethod
    def forward(ctx, plan: _Plan, *tensors: Tensor | None) -> tuple[Tensor, Tensor]:
        call = _Call(plan, tensors)
        call.forward()
        ctx.plan, ctx.num_tensors = plan, len(tensors)
        ctx.save_for_backward(*call.tensors, *call.buffers)
        ctx.set_materialize_grads(False)
        if plan.feeding:
            ctx.mark_non_differentiable(call.contexts)  # they are inside the readouts
        return call.features if plan.feeding else call.hidden[-1], call.contexts

    @staticmethod
    def backward(ctx, d_out: Tensor | None, d_contexts: Tensor | None) -> tuple[Tensor | None, ...]:
        refuse_second_derivative()
        saved = ctx.saved_tensors
        call = _Call(ctx.plan, saved[: ctx.num_tensors], saved[ctx.num_tensors :])
        gradients = call.backward(d_out, d_contexts)
        return None, *(one if wanted else None for one, wanted in zip(gradients, ctx.needs_input_grad[1:]))
