"""Linear maps inside a time loop whose weight gradient is one large product after the loop, in plain torch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


class DeferredLinear:
    """A linear map that is called once per step of a loop, and collects its weight's gradient for after the loop.

        y[t] = W h[t] + b
        dh[t] = W^T dy[t]                      inside the loop, backwards
        dW = sum_t dy[t] h[t]^T                one product of all steps; autograd would make T small ones and T sums
        db = sum_t dy[t]

    Make one per call of the module that loops, never once for all: it holds on to the weight and to what backward
    collects. It computes in autocast's type where autocast is on. Where no gradient of W or b is asked for it is a
    plain linear map.

    Shapes:
        weight (O, I); bias (O,) or None; h (B, I), B may differ from call to call; y (B, O)

    Errors:
        RuntimeError: the gradient of a gradient is asked for (create_graph).
    """

    def __init__(self, weight: Tensor, bias: Tensor | None = None):
        self.dtype = _dtype_under_autocast(weight)
        self.weight = weight.to(self.dtype)
        self.bias = None if bias is None else bias.to(self.dtype)
        wanted = weight.requires_grad or (bias is not None and bias.requires_grad)
        self.tape = _Tape(self.weight, self.bias) if torch.is_grad_enabled() and wanted else None

    def __call__(self, h: Tensor) -> Tensor:
        h = h.to(self.dtype)
        if self.tape is None or not torch.is_grad_enabled():
            return functional.linear(h, self.weight, self.bias)
        return _Step.apply(h, self.tape.token, self.tape)


def _dtype_under_autocast(weight: Tensor) -> torch.dtype:
    kind = weight.device.type
    return (
        torch.get_autocast_dtype(kind)
        if torch.is_autocast_enabled(kind) and weight.dtype == torch.float32
        else weight.dtype
    )


class _Tape:
    """Shared by the steps of one loop. Every step depends on `token`, so that autograd runs `_Start` after all."""

    def __init__(self, weight: Tensor, bias: Tensor | None):
        self.weight = weight.detach()
        self.bias = None if bias is None else bias.detach()
        self.entries: list[tuple[Tensor, Tensor]] = []
        self.task = -1
        self.token = _Start.apply(weight, bias, self)

    def take(self) -> list[tuple[Tensor, Tensor]]:
        """What the backward pass that is running has collected; the tape forgets it, so that its memory is free."""
        entries, self.entries = self.entries, []
        return entries

    def note(self, h: Tensor, dy: Tensor) -> None:
        # A backward pass that stops short of the weights (autograd.grad of h alone) leaves entries behind; another
        # pass over the same graph must not add them again. torch.utils.checkpoint tells passes apart by the same
        # number.
        task = torch._C._current_graph_task_id()
        if task != self.task:
            self.task, self.entries = task, []
        self.entries.append((h, dy))


class _Start(torch.autograd.Function):
    @staticmethod
    def forward(ctx, weight: Tensor, bias: Tensor | None, tape: _Tape) -> Tensor:
        ctx.tape = tape
        ctx.set_materialize_grads(False)
        return weight.new_zeros(())

    @staticmethod
    def backward(ctx, _: Tensor | None) -> tuple[Tensor | None, Tensor | None, None]:
        refuse_second_derivative()
        entries = ctx.tape.take()
        if not entries:
            return None, None, None
        h = torch.cat([part for part, _ in entries])
        dy = torch.cat([part for _, part in entries])
        return (
            (dy.t().mm(h) if ctx.needs_input_grad[0] else None),
            (dy.sum(0) if ctx.needs_input_grad[1] else None),
            None,
        )


class _Step(torch.autograd.Function):
    @staticmethod
    def forward(ctx, h: Tensor, token: Tensor, tape: _Tape) -> Tensor:
        ctx.tape = tape
        # Saved, not only kept, so that autograd notices a weight that was changed in place before backward.
        ctx.save_for_backward(h, tape.weight)
        return functional.linear(h, tape.weight, tape.bias)

    @staticmethod
    def backward(ctx, dy: Tensor) -> tuple[Tensor | None, None, None]:
        refuse_second_derivative()
        h, weight = ctx.saved_tensors
        ctx.tape.note(h, dy)
        return (dy.mm(weight) if ctx.needs_input_grad[0] else None), None, None


def refuse_second_derivative() -> None:
    """Raises RuntimeError inside a backward pass that is itself recorded (create_graph)."""
    # once_differentiable misses the case in which only saved tensors carry a gradient; only create_graph turns grad
    # mode on.
    if torch.is_grad_enabled():
        raise RuntimeError(
            "a recurrence has no second derivative: backward(create_graph=True) was called; leave create_graph out"
        )
