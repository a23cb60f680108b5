"""The native recurrence as a torch operator, for torch.compile, torch.export and autocast.

    ostinato::scan           one direction of one layer over a ragged batch; differentiable once
    ostinato::scan_backward  its gradients, from what `scan` kept; has no gradient itself

In eager mode nothing comes here: `ostinato.kernels.native` is called directly, which costs a third as much per call.

Shapes:
    x (N, I); lengths (B,) int64 on the CPU; start_h, mask, last_h (B, H); hidden (N, H)
    start_c, last_c (B, C H): the C states beside h side by side
    gates (N, G H), extra (N, H) or (N, C H): what the gradient reads; (0,) without `keep`, extra also for the RNN
    last_c, and each gradient that is not wanted: (0,) where there is none
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor

from ostinato.errors import KernelError
from ostinato.kernels import native
from ostinato.kernels.contract import Native, Recurrence, State
from ostinato.kernels.native import Direction
from ostinato.kernels.native_library import library, why_not
from ostinato.steps import Layout

_OWN = (
    "Tensor x, Tensor lengths, Tensor start_h, Tensor? start_c, Tensor weight_x, Tensor weight_h, Tensor? bias_x,"
    " Tensor? bias_h, Tensor? peepholes, Tensor? mask"
)
_NUM_OWN = _OWN.count("Tensor")

# Kept in a name: what a Library registered goes when it goes.
_LIBRARY = torch.library.Library("ostinato", "DEF")
_LIBRARY.define(
    f"scan({_OWN}, str cell, bool reverse, bool keep)"
    " -> (Tensor hidden, Tensor last_h, Tensor last_c, Tensor gates, Tensor extra)",
    tags=torch.Tag.pt2_compliant_tag,
)
_LIBRARY.define(
    f"scan_backward(Tensor? d_hidden, Tensor? d_last_h, Tensor? d_last_c, {_OWN}, Tensor hidden, Tensor gates,"
    " Tensor extra, str cell, bool reverse, bool[] wanted) -> (Tensor d_x, Tensor d_start_h, Tensor d_start_c,"
    " Tensor d_weight_x, Tensor d_weight_h, Tensor d_bias_x, Tensor d_bias_h, Tensor d_peepholes)",
    tags=torch.Tag.pt2_compliant_tag,
)


def is_traced(x: Tensor) -> bool:
    """Whether somebody looks on who must see an operator: a compiler, an export, a mode of torch's dispatcher."""
    return torch.compiler.is_compiling() or type(x) is FakeTensor or torch._C._len_torch_dispatch_stack() > 0


def scan(
    cell: Recurrence,
    x: Tensor,
    state: State,
    layout: Layout,
    *,
    reverse: bool = False,
    state_mask: Tensor | None = None,
) -> tuple[Tensor, State]:
    """A `Kernel` as one operator; the cell must have a native step."""
    kind = cell.native()
    start_c = native.c_of(state)
    weights = (cell.weight_x, cell.weight_h, cell.bias_x, cell.bias_h, kind.peepholes)
    own = (x, layout.lengths, state[0], start_c, *weights, state_mask)
    keep = native.wants_gradient(own)
    hidden, last_h, last_c, _, _ = torch.ops.ostinato.scan(*own, kind.cell, reverse, keep)
    return hidden, native.states_of(last_h, None if start_c is None else last_c)


def _direction(cell: str, reverse: bool, lengths: Tensor, peepholes: Tensor | None) -> Direction:
    if library() is None:
        raise KernelError(
            f"ostinato::scan needs the native library: {why_not()}; install Ostinato again where a compiler is found"
        )
    return Direction(Native(cell, peepholes), reverse, Layout(lengths))


def _native_order(own: Sequence[Tensor | None]) -> tuple[Tensor | None, ...]:
    """x and the tensors of a direction, as `ostinato.kernels.native` has them."""
    x, _, start_h, start_c, *weights = own
    return x, *weights, start_h, start_c


def _or_empty(tensor: Tensor | None, like: Tensor) -> Tensor:
    return like.new_empty(0) if tensor is None else tensor


def _scan(*arguments: Tensor | str | bool | None) -> tuple[Tensor, ...]:
    own, (cell, reverse, keep) = arguments[:_NUM_OWN], arguments[_NUM_OWN:]
    x = own[0]
    direction = _direction(cell, reverse, own[1], own[8])
    call = native.Call((direction,), _native_order(own), keep)
    library().forward(call.scans, 1)
    (gates, extra), (hidden, last_h, last_c) = call.kept, (*call.out, None)[:3]
    if not keep:
        gates = extra = None
    return hidden, last_h, _or_empty(last_c, x), _or_empty(gates, x), _or_empty(extra, x)


def _fake_scan(*arguments: Tensor | str | bool | None) -> tuple[Tensor, ...]:
    (x, _, start_h, start_c, _, weight_h, *_), (cell, _, keep) = arguments[:_NUM_OWN], arguments[_NUM_OWN:]
    steps, (rows, size) = x.shape[0], weight_h.shape
    facts = library().cell(cell)
    extra = facts.in_extra * size if keep and facts.extra else None
    return (
        x.new_empty(steps, size),
        x.new_empty(start_h.shape),
        x.new_empty(0 if start_c is None else start_c.shape),
        x.new_empty((steps, rows) if keep else 0),
        x.new_empty(0 if extra is None else (steps, extra)),
    )


def _save(ctx: torch.autograd.function.FunctionCtx, inputs: tuple, output: tuple[Tensor, ...]) -> None:
    hidden, _, last_c, gates, extra = output
    ctx.cell, ctx.reverse, ctx.keep = inputs[_NUM_OWN:]
    ctx.save_for_backward(*inputs[:_NUM_OWN], hidden, gates, extra)
    ctx.mark_non_differentiable(gates, extra, *(() if inputs[3] is not None else (last_c,)))
    ctx.set_materialize_grads(False)


def _gradients(ctx: torch.autograd.function.FunctionCtx, *d_out: Tensor | None) -> tuple[Tensor | None, ...]:
    if not ctx.keep:
        raise RuntimeError(
            "ostinato::scan was called or traced with keep=False, where no gradient was wanted: it has kept nothing to"
            " compute one from; compile or export with grad mode on and weights that require a gradient"
        )
    needed = ctx.needs_input_grad
    # In the order of the results; the lengths and the mask have no gradient.
    wanted = [needed[number] for number in (0, 2, 3, 4, 5, 6, 7, 8)]
    gradients = torch.ops.ostinato.scan_backward(*d_out[:3], *ctx.saved_tensors, ctx.cell, ctx.reverse, wanted)
    d_x, d_h, d_c, *d_weights = [gradient if is_wanted else None for gradient, is_wanted in zip(gradients, wanted)]
    return d_x, None, d_h, d_c, *d_weights, None, None, None, None


def _scan_backward(*arguments: Tensor | str | bool | list[bool] | None) -> tuple[Tensor, ...]:
    d_hidden, d_last_h, d_last_c, *rest = arguments
    own, (hidden, gates, extra, cell, reverse, wanted) = rest[:_NUM_OWN], rest[_NUM_OWN:]
    x, weight_h = own[0], own[5]
    direction = _direction(cell, reverse, own[1], own[8])
    x, *tensors = _native_order(own)
    native.check((direction,), (x, *tensors))
    (rows, size), batch = weight_h.shape, len(direction.layout)
    steps = direction.layout.total
    facts = library().cell(cell)
    has_extra = facts.extra
    for name, tensor, shape in (
        ("d_hidden", d_hidden, (steps, size)),
        ("d_last_h", d_last_h, (batch, size)),
        ("d_last_c", d_last_c, (batch, facts.num_c * size)),
        ("hidden", hidden, (steps, size)),
        ("gates", gates, (steps, rows)),
        ("extra", extra, (steps, facts.in_extra * size) if has_extra else (0,)),
    ):
        if tensor is not None and (tensor.shape != shape or tensor.dtype != x.dtype or tensor.device != x.device):
            raise ValueError(
                f"ostinato::scan_backward: {name} is {tuple(tensor.shape)} {tensor.dtype} on {tensor.device}, "
                f"needed is {tuple(shape)} {x.dtype} on {x.device}"
            )
    needs_x, needs_h, needs_c, needs_weight_x, needs_weight_h, needs_bias_x, needs_bias_h, needs_peepholes = wanted
    d_x, own_gradients = native.backward(
        direction,
        0,
        (needs_x, needs_weight_x, needs_weight_h, needs_bias_x, needs_bias_h, needs_peepholes, False, needs_h, needs_c),
        native.dense_rows(x),
        [None if tensor is None else tensor.contiguous() for tensor in tensors],
        (hidden.contiguous(), gates.contiguous(), extra.contiguous() if has_extra else None),
        None if d_hidden is None else native.dense_rows(d_hidden),
        (d_last_h,) if own[3] is None else (d_last_h, d_last_c),
        keep_gates=True,
    )
    d_weight_x, d_weight_h, d_bias_x, d_bias_h, d_peepholes, _, d_h, d_c = own_gradients
    if d_bias_h is not None and d_bias_h is d_bias_x:
        d_bias_h = d_bias_h.clone()
    return tuple(
        _or_empty(tensor, x) for tensor in (d_x, d_h, d_c, d_weight_x, d_weight_h, d_bias_x, d_bias_h, d_peepholes)
    )


def _fake_scan_backward(*arguments: Tensor | str | bool | list[bool] | None) -> tuple[Tensor, ...]:
    x, _, h, c, weight_x, weight_h, bias_x, bias_h, peepholes, _ = arguments[3 : 3 + _NUM_OWN]
    inputs = (x, h, c, weight_x, weight_h, bias_x, bias_h, peepholes)
    return tuple(x.new_empty(source.shape if wanted else 0) for source, wanted in zip(inputs, arguments[-1]))


def _no_second_derivative(ctx: torch.autograd.function.FunctionCtx, *_: Tensor | None) -> None:
    raise RuntimeError(
        "a recurrence has no second derivative: a gradient of its gradient was asked; leave create_graph out"
    )


_LIBRARY.impl("scan", _scan, "CPU")
_LIBRARY.impl("scan_backward", _scan_backward, "CPU")
torch.library.register_fake("ostinato::scan", _fake_scan, lib=_LIBRARY)
torch.library.register_fake("ostinato::scan_backward", _fake_scan_backward, lib=_LIBRARY)
torch.library.register_autograd("ostinato::scan", _gradients, setup_context=_save, lib=_LIBRARY)
torch.library.register_autograd("ostinato::scan_backward", _no_second_derivative, lib=_LIBRARY)
# The loop has no 16 bits: where autocast would ask for them, float32 is what it gets.
torch.library.register_autocast("ostinato::scan", "cpu", torch.float32, lib=_LIBRARY)
