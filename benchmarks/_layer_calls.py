"""What recurrent_layers.py times in its own process: Ostinato's modules and torch's, given the same numbers."""

import sys
import time
from collections.abc import Callable, Sequence

import torch
from _layer_cases import Case, Numbers
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import ostinato.nn
from ostinato.steps import Layout, Steps

Call = Callable[[], Sequence[Tensor]]
"""Computes a row once; gives hidden, and in training the gradients of x and of the parameters."""

OURS = {"rnn": ostinato.nn.RNN, "lstm": ostinato.nn.LSTM, "gru": ostinato.nn.GRU}
TORCHS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
TORCHS_CELLS = {"rnn": nn.RNNCell, "lstm": nn.LSTMCell, "gru": nn.GRUCell}

TOLERANCE = 1e-4
"""How far two contestants may be from each other, as a share of the largest number: they sum in another order."""


def module(kinds: dict[str, type[nn.Module]], case: Case, numbers: Numbers) -> nn.Module:
    made = kinds[case.cell](case.shape.I, case.shape.H)
    ends = "" if kinds is TORCHS_CELLS else "_l0"
    made.load_state_dict({name.removesuffix("_l0") + ends: one for name, one in numbers.weights.items()})
    return made


def whole(case: Case, numbers: Numbers) -> dict[str, Call]:
    """A batch, trained on or read.

    - `ours`: `Steps`, the real steps one after the other; the layout is made in the call.
    - `ours padded`: the drop-in module, given (T, B, I) and `lengths=`.
    - `torch padded`: (T, B, I), the padding computed; T is the longest of the batch.
    - `torch packed`: from (T, B, I) and back to it, as a user would: pack_padded_sequence with enforce_sorted=False,
      the module, pad_packed_sequence.
    """
    x, d_hidden = numbers.cut(case.lengths)
    lengths = torch.tensor(case.lengths)
    layout = Layout(lengths)
    values, d_values = (
        Steps.from_padded(one.transpose(0, 1).contiguous(), layout).values.clone() for one in (x, d_hidden)
    )
    own, peer = module(OURS, case, numbers), module(TORCHS, case, numbers)
    given = lengths if case.ragged else None

    def packed(batch: Tensor) -> Tensor:
        out, _ = peer(pack_padded_sequence(batch, lengths, enforce_sorted=False))
        return pad_packed_sequence(out)[0]

    return {
        "ours": _call(case.what, own, lambda one: own(Steps(one, Layout(lengths)))[0].values, values, d_values),
        "ours padded": _call(case.what, own, lambda one: own(one, lengths=given)[0], x, d_hidden),
        "torch padded": _call(case.what, peer, lambda one: peer(one)[0], x, d_hidden),
        "torch packed": _call(case.what, peer, packed, x, d_hidden),
    }


def _call(what: str, layer: nn.Module, forward: Callable[[Tensor], Tensor], x: Tensor, d_hidden: Tensor) -> Call:
    if what == "inference":
        return lambda: (forward(x),)
    own = x.clone().requires_grad_()
    wanted = [own, *layer.parameters()]

    def train() -> Sequence[Tensor]:
        hidden = forward(own)
        return (hidden, *torch.autograd.grad(hidden, wanted, d_hidden))

    return train


def stream(case: Case, numbers: Numbers) -> dict[str, Call]:
    """One step of one sequence, which goes on from the state after the step before."""
    x = numbers.x[:1]

    def step(layer: nn.Module, given: Tensor, is_cell: bool) -> Call:
        state = None

        def call() -> Sequence[Tensor]:
            nonlocal state
            found = layer(given, state)
            state = found if is_cell else found[1]
            return state if case.cell == "lstm" else (state,)

        return call

    return {
        "ours": step(module(OURS, case, numbers), x, False),
        "torch module": step(module(TORCHS, case, numbers), x, False),
        "torch cell": step(module(TORCHS_CELLS, case, numbers), x[0], True),
    }


def measures(case: Case, found: Sequence[Tensor]) -> dict[str, float]:
    """What a peer, whose numbers are in another process, is compared by: the mean square of hidden, and of x's
    gradient."""
    real = case.steps if case.what != "stream" else 1
    shown = {"hidden": float(found[0].double().square().sum()) / (real * case.shape.H)}
    if case.what == "train":
        shown["d_x"] = float(found[1].double().square().sum()) / (real * case.shape.I)
    return shown


def check_equal(case: Case, calls: dict[str, Call]) -> tuple[dict[str, float], dict[str, float]]:
    """Runs all once, and ends the program if two do not compute the same; `measures` of ours, and how long each call
    took."""
    found, seconds = {}, {}
    for name, call in calls.items():
        began = time.perf_counter()
        computed = call()
        seconds[name] = time.perf_counter() - began
        found[name] = [one.detach() for one in computed]
    layout = Layout(case.lengths)
    ours = found["ours"]
    for name, theirs in found.items():
        for what, one, other in zip(("hidden", "d_x", "d_weight", "d_weight", "d_bias", "d_bias"), ours, theirs):
            if one.shape != other.shape:
                if case.what == "stream":
                    other = other.view(one.shape)
                else:
                    other = Steps.from_padded(other.transpose(0, 1).contiguous(), layout).values
            apart = float((one - other).abs().max())
            if not apart <= TOLERANCE * float(one.abs().max()):
                sys.exit(f"{case}: {what} of {name} is {apart:.1e} away from ours, so their times cannot be compared")
    return measures(case, ours), seconds
