"""The attentional decoder's loop over time in C++: input feeding, or a context before the cell."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from ostinato.kernels.contract import Native, Recurrence, State
from ostinato.kernels.deferred import refuse_second_derivative
from ostinato.kernels.half import halved
from ostinato.kernels.native import Direction, biases_of, c_of, pointer, scan_structure, states_of, wants_gradient
from ostinato.kernels.native_library import library
from ostinato.kernels.packed import Packed
from ostinato.kernels.structures import Decoder, Gradients, array_of
from ostinato.steps import Layout, Steps


class Scores(NamedTuple):
    """What the native loop must know of an attention beside its keys.

        q = W_q s + b_q                       s itself without `query_weight`
        e = energy . tanh(q + key)            with `energy`
        e = scale * q . key                   without
        mu = mu of the step before + exp(q_1);  e[place] = -(place - mu)^2 / (2 (narrowest + exp(q_2))^2)
                                              a window, with `narrowest` above 0: no key is read

    Shapes:
        query_weight (A, H), of a window A = 2; query_bias (A,); energy (A,)
    """

    query_weight: Tensor | None = None
    query_bias: Tensor | None = None
    energy: Tensor | None = None
    scale: float = 1.0
    narrowest: float = 0.0


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
    if any(library().cell(cell.native().cell).late for cell in cells):
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

    The readout is fed back where the first cell reads more than x: [x; readout]. A window begins at 0.

    Shapes:
        x (N, E); keys (S, A), memory (S, M) of as many sequences; returns the readouts (N, F) and the contexts (N, M),
        or the top hidden states (N, H) and the contexts

    Args:
        cells: from the first layer up, all of one kind; the first reads [x; what is fed], or x.
        x: the input of each step.
        states: before the first step, of each layer.
        keys: of the memory's steps.
        memory: what contexts are made of.
        scores: how a query is compared with a key.
        readout: what the softmax reads, or None.
        masks: (N, H) of each layer above the first: dropout of what it reads, or None.
    """
    natives = tuple(cell.native() for cell in cells)
    plan = _Plan(natives, x.layout, memory.layout, readout is not None, scores.scale, scores.narrowest)
    middle = x.values.new_zeros(len(x.layout), 1) if scores.narrowest else None
    tensors = _tensors(cells, plan.natives, x.values, states, keys, memory, scores, readout, middle, masks)
    if wants_gradient(tensors):
        return _Decode.apply(replace(plan, half=halved(x.values.dtype)), *tensors)
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
    middle: Tensor | None = None,
) -> tuple[list[State], Tensor, Tensor, Tensor, Tensor | None]:
    """One step of R hypotheses, no gradient: states, what the softmax reads, contexts, weights (R, longest memory), and
    where their windows are (R, 1).

    As `decode` of one step each, but hypothesis r reads the memory of example rows[r], and the readout need not be fed
    back: that is so where the first cell reads x alone. Without a readout what is returned in its place is the top
    hidden state, and without a window None in place of where it is.

    Args:
        cells: from the first layer up.
        x: (R, E) the input of each.
        states: of each layer.
        keys: of the memory's steps.
        memory: what contexts are made of.
        rows: (R,) the example of each hypothesis.
        scores: how a query is compared with a key.
        readout: what the softmax reads, or None.
        packed: keeps the weights between the calls of one generation.
        middle: (R, 1) where the window of each was before, or None.
    """
    natives, feeding = tuple(cell.native() for cell in cells), readout is not None
    plan = _Plan(natives, _ones(len(x)), memory.layout, feeding, scores.scale, scores.narrowest, rows)
    masks = [None] * (len(cells) - 1)
    tensors = _tensors(cells, plan.natives, x, states, keys, memory, scores, readout, middle, masks)
    call = _Call(plan, tensors)
    call.forward(packed)
    has_c = states[0][1:]
    after = [states_of(hidden, extra if has_c else None) for hidden, extra in zip(call.hidden, call.extra)]
    weights = call.weights.view(len(x), memory.layout.longest)
    return after, call.hidden[-1] if readout is None else call.features, call.contexts, weights, call.middles


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
    middle: Tensor | None,
    masks: Sequence[Tensor | None],
) -> list[Tensor | None]:
    tensors: list[Tensor | None] = [x, keys, memory.values, *scores[:3]]
    tensors += [None, None, None] if readout is None else readout
    tensors.append(middle)
    for cell, native, state, mask in zip(cells, natives, states, (None, *masks)):
        tensors += [cell.weight_x, cell.weight_h, cell.bias_x, cell.bias_h, native.peepholes, mask]
        tensors += [state[0], c_of(state)]
    return tensors


@dataclass(frozen=True)
class _Plan:
    """The part of a call without gradients; `examples` are the memories read, None where each target has its own."""

    natives: tuple[Native, ...]
    layout: Layout
    memory: Layout
    feeding: bool
    scale: float
    narrowest: float
    examples: Tensor | None = None
    half: bool = False


_SHARED = 10  # tensors before those of the layers
_OF_LAYER = 8


class _Call:
    """The buffers of one call, and the structures by which the library finds them."""

    def __init__(self, plan: _Plan, tensors: Sequence[Tensor | None], buffers: Sequence[Tensor | None] | None = None):
        self.plan = plan
        tensors = self.tensors = [None if tensor is None else tensor.contiguous() for tensor in tensors]
        self.x, self.keys, self.values, self.query_weight, self.query_bias, self.energy = tensors[:6]
        self.readout, self.readout_bias, self.start_fed, self.start_middle = tensors[6:_SHARED]
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
        self.weights, self.queries, self.contexts, self.middles, self.features, self.dropped = self.buffers[:6]
        count = len(self.layers)
        self.gates, self.extra, self.hidden = (self.buffers[6 + k * count : 6 + (k + 1) * count] for k in range(3))

    def _new_buffers(self) -> list[Tensor | None]:
        num_steps, new = self.plan.layout.total, self.x.new_empty
        facts = library().cell(self.plan.natives[0].cell)
        has_masks = any(layer[5] is not None for layer in self.layers)
        return [
            self._new_weights(),
            None if self.query_weight is None else new(num_steps, len(self.query_weight)),
            new(num_steps, self.values.shape[1]),
            None if self.start_middle is None else new(num_steps, 1),
            new(num_steps, self.fed_size) if self.plan.feeding else None,
            new(len(self.layers) - 1, num_steps, self.size) if has_masks else None,
            *(new(num_steps, len(layer[1])) for layer in self.layers),
            *(new(num_steps, facts.in_extra * self.size) if facts.extra else None for _ in self.layers),
            *(new(num_steps, self.size) for _ in self.layers),
        ]

    def _new_weights(self) -> Tensor:
        # a step's are padded with zeros, so that they are one matrix
        allocate = self.x.new_empty if self.plan.examples is None else self.x.new_zeros
        return allocate(int(self.weight_offsets[-1]))

    def _structure(self, gradients: dict[str, int | None]) -> Decoder:
        """A decoder for the library; it lives as long as this call."""
        plan, scans = self.plan, []
        for number, (native, layer) in enumerate(zip(plan.natives, self.layers)):
            x = self.x if number == 0 else self.hidden[number - 1]
            stride = layer[0].shape[1] if number == 0 and self.fed_back else 0
            buffers = (self.hidden[number], self.gates[number], self.extra[number], None, None)
            direction = Direction(native, False, plan.layout, plan.half)
            scans.append(scan_structure(direction, 0, x, layer, self.biases[number], buffers, stride))
        self._scans = array_of(scans)
        return Decoder(
            layers=ctypes.addressof(self._scans),
            num_layers=len(scans),
            feeding=plan.feeding,
            F=self.fed_size,
            A=self.keys.shape[1] if self.query_weight is None else len(self.query_weight),
            M=self.values.shape[1],
            memory_offsets=plan.memory.offsets.data_ptr(),
            longest_memory=plan.memory.longest,
            keys=self.keys.data_ptr(),
            values=self.values.data_ptr(),
            query_weight=pointer(self.query_weight),
            query_bias=pointer(self.query_bias),
            energy=pointer(self.energy),
            scale=plan.scale,
            narrowest=plan.narrowest,
            examples=pointer(plan.examples),
            num_examples=len(plan.memory),
            fed_back=self.fed_back,
            weight_offsets=self.weight_offsets.data_ptr(),
            readout=pointer(self.readout),
            readout_bias=pointer(self.readout_bias),
            start_fed=pointer(self.start_fed),
            start_middle=pointer(self.start_middle),
            weights=pointer(self.weights),
            queries=pointer(self.queries),
            contexts=pointer(self.contexts),
            middles=pointer(self.middles),
            features=pointer(self.features),
            dropped=pointer(self.dropped),
            **gradients,
        )

    def forward(self, packed: Packed | None = None) -> None:
        decoder = self._structure({})
        if packed is None:
            library().decoder_forward(decoder)
            return
        room = packed.room
        decoder.packed_ready = room is not None
        if room is None:
            room = torch.empty(library().decoder_packed_size(decoder), dtype=torch.uint8)
        decoder.packed = room.data_ptr()
        library().decoder_forward(decoder)
        packed.room = room

    def backward(self, d_out: Tensor | None, d_contexts: Tensor | None) -> list[Tensor | None]:
        """The gradients of all tensors, in their order; the gates may be overwritten."""
        # The gates are needed no more after a graph's last pass: their gradients take their place.
        again = torch._C._autograd._get_current_graph_task_keep_graph()
        rows = len(self.plan.layout)
        d_features = _copied(d_out, self.features) if self.plan.feeding else None
        d_hidden = None if self.plan.feeding or d_out is None else d_out.contiguous()
        d_contexts = _copied(d_contexts, self.contexts)
        d_energy = None if self.energy is None else self.energy.new_empty(rows, len(self.energy))
        d_below = self.x.new_empty(rows, self.size) if len(self.layers) > 1 else None
        shared = [_like(tensor) for tensor in self.tensors[:_SHARED]]
        d_x, d_keys, d_values, d_query_weight, d_query_bias, _, d_readout, d_readout_bias, d_start_fed = shared[:-1]
        d_start_middle = shared[-1]
        own, of_layers, kept = [], [], []
        for number, (native, layer) in enumerate(zip(self.plan.natives, self.layers)):
            apart = library().cell(native.cell).extra_product
            d_gates = torch.empty_like(self.gates[number]) if again else self.gates[number]
            d_extra = torch.empty_like(self.extra[number]) if again and apart else self.extra[number]
            weight_x, weight_h, _, bias_h, peepholes, _, h, c = layer
            d_weight_x, d_weight_h, d_peepholes, d_h, d_c = map(_like, (weight_x, weight_h, peepholes, h, c))
            d_bias = self.x.new_empty(len(weight_h))
            d_bias_n = self.x.new_empty(self.size) if apart and bias_h is not None else None
            of_layer = Gradients(
                d_hidden=pointer(d_hidden) if number == len(self.layers) - 1 else None,
                d_hidden_stride=self.size,
                d_gates=pointer(d_gates),
                d_extra=pointer(d_extra),
                d_start_h=pointer(d_h),
                d_start_c=pointer(d_c),
                d_x=pointer(d_x) if number == 0 else None,
                d_weight_x=pointer(d_weight_x),
                d_weight_h=pointer(d_weight_h),
                d_bias=pointer(d_bias),
                d_bias_n=pointer(d_bias_n),
                d_peepholes=pointer(d_peepholes),
            )
            of_layers.append(of_layer)
            own.append((d_weight_x, d_weight_h, d_bias, d_bias_n, d_peepholes, d_h, d_c))
            kept += [d_gates, d_extra]  # the library writes them
        layer_gradients = array_of(of_layers)
        d_queries = _like(self.queries)
        decoder = self._structure(
            {
                "layer_gradients": ctypes.addressof(layer_gradients),
                "d_features": pointer(d_features),
                "d_contexts": pointer(d_contexts),
                "d_start_fed": pointer(d_start_fed),
                "d_start_middle": pointer(d_start_middle),
                "d_queries": pointer(d_queries),
                "d_keys": pointer(d_keys),
                "d_values": pointer(d_values),
                "d_energy": pointer(d_energy),
                "d_below": pointer(d_below),
                "d_query_weight": pointer(d_query_weight),
                "d_query_bias": pointer(d_query_bias),
                "d_readout": pointer(d_readout),
                "d_readout_bias": pointer(d_readout_bias),
            }
        )
        library().decoder_backward(decoder)
        d_energy = None if d_energy is None else d_energy.sum(0)
        gradients = [d_x, d_keys, d_values, d_query_weight, d_query_bias, d_energy]
        gradients += [d_readout, d_readout_bias, d_start_fed, d_start_middle]
        for layer, (d_weight_x, d_weight_h, d_bias, d_bias_n, d_peepholes, d_h, d_c) in zip(self.layers, own):
            d_bias_x = None if layer[2] is None else d_bias
            d_bias_h = d_bias if d_bias_n is None else torch.cat([d_bias[: 2 * self.size], d_bias_n])
            if layer[3] is None:
                d_bias_h = None
            gradients += [d_weight_x, d_weight_h, d_bias_x, d_bias_h, d_peepholes, None, d_h, d_c]
        return gradients


def _like(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else torch.empty_like(tensor)


def _copied(gradient: Tensor | None, like: Tensor) -> Tensor:
    if gradient is None:
        return torch.zeros_like(like)
    return gradient.clone(memory_format=torch.contiguous_format)


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
        return None, *(gradient if wanted else None for gradient, wanted in zip(gradients, ctx.needs_input_grad[1:]))
