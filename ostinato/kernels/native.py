"""The recurrence in C++ on the CPU: packed weights, fused steps, sequences dealt to threads, no step of padding."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ostinato.errors import KernelError
from ostinato.kernels import structures
from ostinato.kernels.contract import Native, Recurrence, State
from ostinato.kernels.deferred import refuse_second_derivative
from ostinato.kernels.half import halved
from ostinato.kernels.native_library import CellFacts, library
from ostinato.steps import Layout

DTYPES = {torch.float32: 0, torch.float64: 1}
"""What it computes in, and whether that is double."""

_NAMES = ("weight_x", "weight_h", "bias_x", "bias_h", "peepholes", "state_mask", "the state h", "the state c")
"""The tensors of a direction; the rows of c hold all states beside h, side by side."""

_PER_DIRECTION = len(_NAMES)


class Direction(NamedTuple):
    """What does not depend on tensors in one direction of a call."""

    native: Native
    reverse: bool
    layout: Layout
    half: bool = False

    @property
    def facts(self) -> CellFacts:
        return library().cell(self.native.cell)


def scan(
    cell: Recurrence,
    x: Tensor,
    state: State,
    layout: Layout,
    *,
    reverse: bool = False,
    state_mask: Tensor | None = None,
) -> tuple[Tensor, State]:
    """A `Kernel`, computed natively; the cell must have a native step, and x be on the CPU.

    Memory kept for the gradient, in numbers per step: RNN 2 H (hidden, gates); LSTM 6 H (hidden, 4 gates, c; coupled 5
    H); GRU 5 H (hidden, 3 gates, and the candidate's product or r * h); sLSTM 8 H (hidden, 4 gates, c, n, m). The
    gradients of the gates are written over the gates.
    """
    native = cell.native()
    if isinstance(native, str):
        raise KernelError(f"the native kernel cannot compute this cell: {native}")
    tensors = (x, *_tensors(cell, native, state, state_mask))
    wanted = wants_gradient(tensors)
    directions = (Direction(native, reverse, layout, wanted and halved(x.dtype)),)
    hidden, *last = Scan.apply(directions, *tensors) if wanted else _computed(directions, tensors)
    return hidden, states_of(*last)


FEW_STEPS = 64
"""Up to here a stream's steps are prepared once: packing weights at each call would cost more than the steps."""


class Prepared:
    """One direction over sequences of fixed lengths, its weights packed: a call passes addresses and checks little.

    For streams, where the calls between Python and the loop cost more than the step. The caller sees to it that at the
    addresses lie numbers of the type and count given here. Whether the weights are still those is seen from their
    addresses and 64 of their numbers each: versions do not show it, since torch's fused optimizers, and all that goes
    through `.data`, change weights without counting.

    Args:
        cell: it must have a native step.
        layout: whose steps they are.
    """

    def __init__(self, cell: Recurrence, layout: Layout):
        weight = cell.weight_x
        x = weight.new_zeros(layout.total, weight.shape[1])
        h = weight.new_zeros(len(layout), cell.weight_h.shape[1])
        state = (h,) * cell.num_states
        direction = Direction(cell.native(), False, layout)
        tensors = _tensors(cell, direction.native, state, None)
        check((direction,), (x, *tensors))
        own = [None if tensor is None else tensor.detach().contiguous() for tensor in tensors]
        biases = biases_of(direction.native, own[2], own[3])
        last = [None if part is None else torch.empty_like(part) for part in own[-2:]]
        hidden = x.new_empty(layout.total, h.shape[1])
        scan = scan_structure(direction, 0, x, own, biases, (hidden, None, None, *last))
        room = torch.empty(library().scan_packed_size(scan), dtype=torch.uint8)
        scan.packed = room.data_ptr()
        library().forward(scan, 1)
        scan.packed_ready = 1
        watched = [tensor for tensor in own[:5] if tensor is not None]
        addresses = (ctypes.c_void_p * len(watched))(*(tensor.data_ptr() for tensor in watched))
        sizes = (ctypes.c_int64 * len(watched))(*(tensor.nbytes for tensor in watched))
        watch = structures.Watch(ctypes.addressof(addresses), ctypes.addressof(sizes), len(watched))
        watch.seen = library().fingerprint(watch)
        self._places = ctypes.addressof(scan), ctypes.addressof(watch)
        self._alive = scan, watch, addresses, sizes, own, biases, room, layout  # all that lies at an address

    def __call__(self, x: int, hidden: int, state: Sequence[int], last: Sequence[int]) -> bool:
        """Reads x (N, I) and the start state, writes hidden (N, H) and the last state, all by address.

        A state is h (B, H) and, of cells with more, c, whose rows hold the others side by side.

        False, and nothing written, where the weights have changed.
        """
        if len(state) == 1:
            return not library().stream(*self._places, x, hidden, state[0], None, last[0], None)
        return not library().stream(*self._places, x, hidden, *state, *last)


def are_alike(cells: Sequence[Recurrence]) -> bool:
    """Whether `scan_both` can compute these two beside each other."""
    first, second = (cell.native() for cell in cells)
    return first.cell == second.cell and cells[0].weight_h.shape == cells[1].weight_h.shape


def scan_both(
    cells: Sequence[Recurrence],
    x: Tensor,
    states: Sequence[State],
    layout: Layout,
    state_masks: Sequence[Tensor | None],
) -> tuple[Tensor, tuple[State, State]]:
    """Two cells of one kind and size over the same steps, the second from the last step on: hidden (N, 2 H)."""
    natives = [cell.native() for cell in cells]
    tensors = (x,)
    for cell, native, state, mask in zip(cells, natives, states, state_masks):
        tensors += _tensors(cell, native, state, mask)
    wanted = wants_gradient(tensors)
    half = wanted and halved(x.dtype)
    directions = tuple(Direction(native, turned, layout, half) for native, turned in zip(natives, (False, True)))
    hidden, *last = Scan.apply(directions, *tensors) if wanted else _computed(directions, tensors)
    count = len(last) // 2
    return hidden, (states_of(*last[:count]), states_of(*last[count:]))


def _tensors(cell: Recurrence, native: Native, state: State, mask: Tensor | None) -> tuple[Tensor | None, ...]:
    if len(state) != cell.num_states:
        raise ValueError(f"the state has {len(state)} tensors, {native.cell} has {cell.num_states}")
    return cell.weight_x, cell.weight_h, cell.bias_x, cell.bias_h, native.peepholes, mask, state[0], c_of(state)


def c_of(state: State) -> Tensor | None:
    """The states beside h side by side, as the library has them, or None."""
    if len(state) < 3:
        return state[1] if len(state) > 1 else None
    h = state[0]
    for number, part in enumerate(state):
        if part.shape != h.shape or part.dtype != h.dtype or part.device != h.device:
            raise ValueError(
                f"state {number} is {tuple(part.shape)} {part.dtype} on {part.device}, but the state h is"
                f" {tuple(h.shape)} {h.dtype} on {h.device}"
            )
    return torch.cat(state[1:], 1)


def states_of(h: Tensor, c: Tensor | None = None) -> State:
    """The states from h and from the others side by side."""
    if c is None or c.shape == h.shape:
        return (h,) if c is None else (h, c)
    # Copies: a checkpoint holds no two tensors of one memory.
    return h, *(part.clone() for part in c.split(h.shape[1], 1))


def wants_gradient(tensors: Sequence[Tensor | None]) -> bool:
    """Whether a gradient is recorded of what is computed from these."""
    return torch.is_grad_enabled() and any(tensor is not None and tensor.requires_grad for tensor in tensors)


def _computed(directions: tuple[Direction, ...], tensors: tuple[Tensor | None, ...]) -> tuple[Tensor, ...]:
    call = Call(directions, tensors, training=False)
    library().forward(call.scans, len(directions))
    return call.out


def biases_of(native: Native, bias_x: Tensor | None, bias_h: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
    """What is added to the product of x, and what to the candidate's product of h alone."""
    if bias_h is None or not library().cell(native.cell).extra_product:
        return (bias_h if bias_x is None else bias_x if bias_h is None else bias_x + bias_h), None
    size = len(bias_h) // 3
    bias = bias_h.clone() if bias_x is None else bias_x + bias_h
    if bias_x is None:
        bias[2 * size :] = 0
    else:
        bias[2 * size :] = bias_x[2 * size :]
    return bias, bias_h[2 * size :]


def pointer(tensor: Tensor | None) -> int | None:
    """Where its numbers lie."""
    return None if tensor is None else tensor.data_ptr()


def has_dense_rows(tensor: Tensor) -> bool:
    """Whether the numbers of a row lie side by side, and no row on another as in an expanded or unfolded tensor."""
    rows, width = tensor.shape
    return (width <= 1 or tensor.stride(1) == 1) and (rows <= 1 or tensor.stride(0) >= width)


def dense_rows(tensor: Tensor) -> Tensor:
    """The tensor, or a copy whose rows are dense."""
    return tensor if has_dense_rows(tensor) else tensor.contiguous()


def row_stride(tensor: Tensor) -> int:
    """From one of its dense rows to the next, in numbers; torch's own may be anything where there is a single row."""
    return tensor.stride(0) if tensor.shape[0] > 1 else tensor.shape[1]


def check(directions: tuple[Direction, ...], tensors: tuple[Tensor | None, ...]) -> None:
    """Everything that the library takes on trust: it is handed addresses."""
    x, layout = tensors[0], directions[0].layout
    if x.device.type != "cpu" or layout.device.type != "cpu":
        raise ValueError(f"x is on {x.device} and its layout on {layout.device}; the native kernel works on the CPU")
    if x.dtype not in DTYPES:
        raise KernelError(f"native recurrence: x is {x.dtype}; float32 and float64 are computed natively")
    if x.ndim != 2 or x.shape[0] != layout.total:
        raise ValueError(f"x has shape {tuple(x.shape)}, but the layout has {layout.total} steps {layout}")
    for number, direction in enumerate(directions):
        begin = 1 + number * _PER_DIRECTION
        own = tensors[begin : begin + _PER_DIRECTION]
        size, gates = own[1].shape[-1], direction.facts.gates
        rows, states = gates * size, (len(layout), size)
        of_c = (len(layout), direction.facts.num_c * size)
        of_weights = ((rows, x.shape[1]), (rows, size), (rows,), (rows,), (gates - 1, size))
        for name, tensor, shape in zip(_NAMES, own, (*of_weights, states, states, of_c)):
            if tensor is None:
                continue
            if tensor.shape != shape:
                raise ValueError(
                    f"{name} has shape {tuple(tensor.shape)}, {direction.native.cell} with weight_h of shape"
                    f" {tuple(own[1].shape)} and x of shape {tuple(x.shape)} needs {shape} over {layout}"
                )
            if tensor.dtype != x.dtype or tensor.device != x.device:
                raise ValueError(f"{name} is {tensor.dtype} on {tensor.device}, but x is {x.dtype} on {x.device}")


def scan_structure(
    direction: Direction,
    number: int,
    x: Tensor,
    own: Sequence[Tensor | None],
    biases: tuple[Tensor | None, Tensor | None],
    buffers: Sequence[Tensor | None],
    weight_x_stride: int = 0,
) -> structures.Scan:
    """A scan for the library: own are a direction's tensors, buffers are hidden, gates, extra, last h and last c."""
    weight_x, weight_h, _, _, peepholes, mask, h, c = own[:8]
    hidden, gates, extra, last_h, last_c = buffers
    layout, size = direction.layout, weight_h.shape[1]
    return structures.Scan(
        cell=direction.facts.number,
        is_double=DTYPES[x.dtype],
        reverse=direction.reverse,
        B=len(layout),
        N=layout.total,
        I=x.shape[1],
        H=size,
        offsets=layout.offsets.data_ptr(),
        order=layout.order.data_ptr(),
        x=x.data_ptr(),
        x_stride=row_stride(x),
        weight_x=weight_x.data_ptr(),
        weight_h=weight_h.data_ptr(),
        bias=pointer(biases[0]),
        bias_n=pointer(biases[1]),
        peepholes=pointer(peepholes),
        start_h=h.data_ptr(),
        start_c=pointer(c),
        mask=pointer(mask),
        gates=pointer(gates),
        extra=pointer(extra),
        hidden=hidden.data_ptr() + number * size * x.element_size(),
        hidden_stride=hidden.shape[1],
        last_h=pointer(last_h),
        last_c=pointer(last_c),
        weight_x_stride=weight_x_stride,
        half=direction.half,
    )


class Call:
    """The tensors of one forward call over one or two directions, and the structures by which the library finds them.

    Args:
        directions: one, or two over the same steps.
        tensors: x and those of each direction.
        training: whether a gradient will be asked.
    """

    def __init__(self, directions: tuple[Direction, ...], tensors: Sequence[Tensor | None], training: bool):
        check(directions, tensors)
        x = dense_rows(tensors[0])
        num_steps, size = directions[0].layout.total, tensors[2].shape[1]
        hidden = x.new_empty(num_steps, len(directions) * size)
        out, scans = [hidden], []
        self.kept: list[Tensor | None] = []
        """Gates and extra of each direction."""
        self.dense: list[Tensor | None] = [x]
        """The tensors, contiguous."""
        self._biases = []  # the library reads them
        for number, direction in enumerate(directions):
            begin = 1 + number * _PER_DIRECTION
            own = [
                None if tensor is None else tensor.contiguous() for tensor in tensors[begin : begin + _PER_DIRECTION]
            ]
            _, weight_h, bias_x, bias_h, _, _, h, c = own
            biases = biases_of(direction.native, bias_x, bias_h)
            self._biases.append(biases)
            gates = x.new_empty(num_steps, weight_h.shape[0])
            facts = direction.facts
            extra = x.new_empty(num_steps, facts.in_extra * size) if training and facts.extra else None
            last = [None if part is None else torch.empty_like(part) for part in (h, c)]
            scans.append(scan_structure(direction, number, x, own, biases, (hidden, gates, extra, *last)))
            out += last[: 1 if c is None else 2]
            self.kept += [gates, extra]
            self.dense += own
        self.out = tuple(out)
        self.scans = structures.array_of(scans)


class Scan(torch.autograd.Function):
    """One or two directions of a layer, differentiable once."""

    @staticmethod
    def forward(ctx, directions: tuple[Direction, ...], *tensors: Tensor | None) -> tuple[Tensor, ...]:
        call = Call(directions, tensors, training=True)
        library().forward(call.scans, len(directions))
        ctx.directions = directions
        ctx.save_for_backward(call.out[0], *call.kept, *call.dense)
        ctx.set_materialize_grads(False)
        return call.out

    @staticmethod
    def backward(ctx, d_hidden: Tensor | None, *d_last: Tensor | None) -> tuple[Tensor | None, ...]:
        refuse_second_derivative()
        directions, (hidden, *saved) = ctx.directions, ctx.saved_tensors
        count = len(directions)
        kept, x, dense = saved[: 2 * count], saved[2 * count], saved[2 * count + 1 :]
        d_hidden = None if d_hidden is None else dense_rows(d_hidden)
        d_x, gradients = None, []
        # The gates are needed no more after a graph's last pass: their gradients take their place.
        again = torch._C._autograd._get_current_graph_task_keep_graph()
        for number, direction in enumerate(directions):
            part = slice(number * _PER_DIRECTION, (number + 1) * _PER_DIRECTION)
            num_states = len(d_last) // count
            own_last = d_last[number * num_states : (number + 1) * num_states]
            gates, extra = kept[2 * number : 2 * number + 2]
            wanted = (ctx.needs_input_grad[1], *ctx.needs_input_grad[2:][part])
            of_scan = (hidden, gates, extra)
            own_x, own = backward(direction, number, wanted, x, dense[part], of_scan, d_hidden, own_last, again)
            if own_x is not None:
                d_x = own_x if d_x is None else d_x.add_(own_x)
            gradients += own
        return None, d_x, *gradients


def backward(
    direction: Direction,
    number: int,
    wanted: Sequence[bool],
    x: Tensor,
    own: Sequence[Tensor | None],
    kept: Sequence[Tensor | None],
    d_hidden: Tensor | None,
    d_last: Sequence[Tensor | None],
    keep_gates: bool,
) -> tuple[Tensor | None, list[Tensor | None]]:
    """The gradients of x and of a direction's tensors, in their order; gates that need not be kept are overwritten."""
    weight_x, weight_h, bias_x, bias_h, peepholes, _, h, c = own
    hidden, gates, extra = kept
    size, apart = weight_h.shape[1], direction.facts.extra_product
    wants_x, wants_weight_x, wants_weight_h, wants_bias_x, wants_bias_h, wants_peepholes, _, wants_h, wants_c = wanted
    d_gates = torch.empty_like(gates) if keep_gates else gates
    d_extra = torch.empty_like(extra) if keep_gates and apart else extra
    d_last_h, d_last_c = [None if part is None else part.contiguous() for part in (*d_last, None)][:2]
    d_x = x.new_empty(x.shape) if wants_x else None
    d_weight_x = torch.empty_like(weight_x) if wants_weight_x else None
    d_weight_h = torch.empty_like(weight_h) if wants_weight_h else None
    d_bias = x.new_empty(len(weight_h)) if wants_bias_x or wants_bias_h else None
    d_bias_n = x.new_empty(size) if wants_bias_h and apart else None
    d_peepholes = torch.empty_like(peepholes) if wants_peepholes else None
    d_h, d_c = torch.empty_like(h), None if c is None else torch.empty_like(c)
    biases = biases_of(direction.native, bias_x, bias_h)
    gradients = structures.Gradients(
        d_hidden=None if d_hidden is None else d_hidden.data_ptr() + number * size * x.element_size(),
        d_hidden_stride=0 if d_hidden is None else row_stride(d_hidden),
        d_last_h=pointer(d_last_h),
        d_last_c=pointer(d_last_c),
        d_gates=pointer(d_gates),
        d_extra=pointer(d_extra),
        d_start_h=pointer(d_h),
        d_start_c=pointer(d_c),
        d_x=pointer(d_x),
        d_weight_x=pointer(d_weight_x),
        d_weight_h=pointer(d_weight_h),
        d_bias=pointer(d_bias),
        d_bias_n=pointer(d_bias_n),
        d_peepholes=pointer(d_peepholes),
    )
    library().backward(scan_structure(direction, number, x, own, biases, (*kept, None, None)), gradients)
    d_bias_h = None
    if wants_bias_h:
        d_bias_h = d_bias if d_bias_n is None else torch.cat([d_bias[: 2 * size], d_bias_n])
    return d_x, [
        d_weight_x,
        d_weight_h,
        d_bias if wants_bias_x else None,
        d_bias_h,
        d_peepholes,
        None,
        d_h if wants_h else None,
        d_c if wants_c else None,
    ]
