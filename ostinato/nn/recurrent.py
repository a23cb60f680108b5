"""The base of the drop-in RNN, LSTM and GRU: torch.nn's arguments, parameters and checks around a scan per layer."""

from __future__ import annotations

import operator
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import PackedSequence

from ostinato.cells.contract import Cell
from ostinato.kernels import dispatch
from ostinato.kernels.native import FEW_STEPS, Prepared
from ostinato.kernels.native_library import library
from ostinato.nn import batches
from ostinato.nn.batches import Batch, Lengths, Sequences
from ostinato.registry import keyword_only
from ostinato.steps import Layout, Steps

TORCHS_NAMES = {
    "weight_x": "weight_ih",
    "weight_h": "weight_hh",
    "bias_x": "bias_ih",
    "bias_h": "bias_hh",
    "weight_r": "weight_hr",
}
"""Names of a cell's parameters in torch.nn; others keep their own. Each gets `_l0`, `_l0_reverse`, `_l1` ..."""


class _Kept:
    """The layers of a module prepared for a stream, and their parameters. A copy or a pickle of it is empty."""

    def __init__(self):
        self.key: tuple | None = None
        self.layers: list[Prepared] = []
        self.parameters: list[Tensor] = []
        self.places: list[int] = []

    def fill(self, key: tuple, layers: list[Prepared], parameters: Mapping[str, Tensor]) -> None:
        self.key, self.layers, self.parameters = key, layers, list(parameters.values())
        self.places = [parameter.data_ptr() for parameter in self.parameters]

    def is_of(self, key: tuple, parameters: Mapping[str, Tensor]) -> bool:
        """Whether it was made for this key from these parameters, in these places; the layers check their values."""
        own = parameters.values()
        return (
            key == self.key
            and len(own) == len(self.places)
            and all(map(operator.is_, own, self.parameters))
            and list(map(Tensor.data_ptr, own)) == self.places
            and all(map(Tensor.is_contiguous, own))
        )

    def __deepcopy__(self, memo: dict) -> _Kept:
        return _Kept()

    def __reduce__(self) -> tuple:
        return _Kept, ()


class Recurrent(nn.Module, ABC):
    """Layers of one cell, forward or both ways, with torch.nn's parameters, inputs, outputs and errors.

    The parameters are the module's own, under torch's names. The cells beside them hold none: each call binds a copy of
    a cell to the tensors that the module has at that moment, so that functional_call, parametrizations, replicas and
    weights that an optimizer has replaced are all honoured.

    Shapes:
        input (T, B, I), (B, T, I) with batch_first, (T, I), a PackedSequence or Steps; output the same form, D*H wide
        hx and the final state (L*D, B, H), (L*D, H) without a batch; the LSTM's a pair of them, h (L*D, B, P)
        with a projection

    Args:
        input_size: I.
        hidden_size: H.
        num_layers: L.
        bias: whether there are biases, one for the input and one for the state.
        batch_first: whether padded input and output are (B, T, I); states never are.
        dropout: the probability of dropping a value between two layers, in training.
        bidirectional: whether each layer reads both ways, D = 2.
        proj_size: P, the width of h, where it is not 0: the LSTM's alone.

    Errors:
        TypeError: a size or a flag of another type; lengths that are not whole numbers.
        ValueError: an argument out of its range; input of a wrong number of dimensions or type; lengths that do not
            fit.
        RuntimeError: input or hx whose sizes or device do not fit the module; the gradient of a gradient.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        bias: bool,
        batch_first: bool,
        dropout: float,
        bidirectional: bool,
        proj_size: int,
    ):
        super().__init__()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            # Torch's own checks of its arguments: on meta its module takes no memory and draws nothing at random.
            sizes = (input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size)
            nn.RNNBase("LSTM", *sizes, device="meta")
        for warning in caught:
            warnings.warn(warning.message, stacklevel=3)
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bool(bidirectional)
        self.proj_size = proj_size

    def make_parameters(
        self, make: Callable[[int], Cell], device: torch.device | str | None, dtype: torch.dtype | None
    ) -> None:
        """Registers what the cells of all layers need, in torch's order and with torch's first values.

        Args:
            make: a cell for inputs of this width.
            device: where the parameters live; None is torch's default.
            dtype: their type; None is torch's default.
        """
        ways = ("", "_reverse") if self.bidirectional else ("",)
        width = self.input_size
        cells: list[Cell] = []
        named: list[tuple[tuple[str, str], ...]] = []
        for layer in range(self.num_layers):
            for way in ways:
                # On meta a cell takes no memory and draws nothing at random: the draws are those of torch.nn.
                with torch.device("meta"):
                    cell = make(width)
                names = []
                for own, parameter in cell.named_parameters(recurse=False):
                    names.append((own, f"{TORCHS_NAMES.get(own, own)}_l{layer}{way}"))
                    setattr(self, names[-1][1], nn.Parameter(torch.empty(parameter.shape, device=device, dtype=dtype)))
                for own, norm in cell.named_children():
                    names.append((own, f"{own}_l{layer}{way}"))
                    layer_norm = nn.LayerNorm(
                        norm.normalized_shape, norm.eps, bias=norm.bias is not None, device=device, dtype=dtype
                    )
                    setattr(self, names[-1][1], layer_norm)
                for own in [*cell._parameters, *cell._modules]:
                    delattr(cell, own)
                    setattr(cell, own, None)
                cells.append(cell)
                named.append(tuple(names))
            width = len(ways) * cells[-1].state_sizes[0]
        # A tuple, so that they are no children of this module: their parameters are its own.
        self._cells = tuple(cells)
        self._names = tuple(named)
        self._kept = _Kept()
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """First values: uniform in +-1/sqrt(H), drawn in torch's order, then what the options ask for."""
        bound = self.hidden_size**-0.5
        for parameter in self.parameters(recurse=False):
            nn.init.uniform_(parameter, -bound, bound)
        for number in range(len(self._cells)):
            self.set_first_values(self._bound(number))

    @abstractmethod
    def set_first_values(self, cell: Cell) -> None:
        """Writes the first values that torch.nn has no word for into the parameters of a cell."""

    @property
    def all_weights(self) -> list[list[Tensor]]:
        """The weights and biases of each layer and direction, in torch's order."""
        return [[getattr(self, name) for own, name in names if own in TORCHS_NAMES] for names in self._names]

    def flatten_parameters(self) -> None:
        """Does nothing: the parameters need not lie in one piece of memory. Here because models for cuDNN call it."""

    def extra_repr(self) -> str:
        shown = [str(self.input_size), str(self.hidden_size)]
        for name, usual in (
            ("proj_size", 0),
            ("num_layers", 1),
            ("bias", True),
            ("batch_first", False),
            ("dropout", 0),
            ("bidirectional", False),
            *((option.name, option.default) for option in keyword_only(type(self))),
        ):
            if (value := getattr(self, name)) != usual:
                shown.append(f"{name}={value}")
        return ", ".join(shown)

    def forward(
        self, input: Sequences, hx: Tensor | tuple[Tensor, Tensor] | None = None, *, lengths: Lengths | None = None
    ) -> tuple[Sequences, Tensor | tuple[Tensor, ...]]:
        """The hidden states of the last layer, in the form of the input, and the state at the end of each sequence.

        Args:
            input: the sequences.
            hx: the state before the first step; zeros where there is none.
            lengths: the steps of each sequence of a padded batch. Nothing after them is read; output is zero there, and
                the final state is the one after its last real step. A sequence of no steps ends in its start state.
        """
        if lengths is None and hx is not None and (streamed := self._streamed(input, hx)) is not None:
            return streamed
        batch = self._batch(input, lengths)
        before = self._states(hx, batch)
        values, layout = batch.values, batch.layout
        after: list[tuple[Tensor, ...]] = []
        ways = 1 + self.bidirectional
        for first in range(0, len(self._cells), ways):
            if first and self.dropout and self.training:
                values = functional.dropout(values, self.dropout)
            if self.bidirectional:
                cells = (self._bound(first), self._bound(first + 1))
                scan_both = dispatch.kernel_of_both(cells, values)
                values, finals = scan_both(cells, values, before[first : first + 2], layout, (None, None))
                after += finals
            else:
                values, final = dispatch.scan(self._bound(first), values, before[first], layout)
                after.append(final)
        return batch.back(values), self._final(after, batch)

    def _streamed(self, input: Sequences, hx: Tensor | tuple[Tensor, Tensor]) -> tuple[Tensor, Any] | None:
        """A few steps of a stream, from a state and without a gradient, or None where the general way must be taken.

        The general way costs Python several times what a step costs; here what does not change is prepared once, and
        the layers read and write by address.
        """
        states = hx if type(hx) is tuple else (hx,)
        if torch.is_grad_enabled() or type(input) is not Tensor:
            return None
        if self.bidirectional or (self.dropout and self.training):
            return None
        if len(states) != self._cells[0].num_states or not input.is_contiguous():
            return None
        for state in states:
            if type(state) is not Tensor or not state.is_contiguous():
                return None
        if not dispatch.native_is_allowed((input, *states)):
            return None
        kept, shape, kind = self._kept, input.shape, input.dtype
        key = (shape, *[state.shape for state in states], kind, library().instruction_set)
        if not kept.is_of(key, self._parameters) and not self._prepare(key, input, states):
            return None
        rows = states[0].shape[1]
        stride = rows * self.hidden_size * input.element_size()  # from a layer's state to the next one's
        last = [torch.empty_like(state) for state in states]
        before, after = [state.data_ptr() for state in states], [state.data_ptr() for state in last]
        values = input
        for number, layer in enumerate(kept.layers):
            if number:
                before, after = [state + stride for state in before], [state + stride for state in after]
            hidden = torch.empty(shape[0], shape[1], self.hidden_size, dtype=kind)
            if not layer(values.data_ptr(), hidden.data_ptr(), before, after):
                kept.key = None  # the weights are others now: made anew
                return self._streamed(input, hx)
            values = hidden
        return values, (tuple(last) if len(last) > 1 else last[0])

    def _prepare(self, key: tuple, input: Tensor, states: Sequence[Tensor]) -> bool:
        if input.dim() != 3 or min(input.shape[:2]) != 1 or max(input.shape[:2]) > FEW_STEPS:
            return False
        rows, steps = input.shape[:2] if self.batch_first else (input.shape[1], input.shape[0])
        if any(state.shape != (len(self._cells), rows, self.hidden_size) for state in states):
            return False
        cells = [self._bound(number) for number in range(len(self._cells))]
        # what has been parametrized away is no parameter to watch, and what does not fit has its error in the general
        # way
        if len(self._parameters) != len(list(self.parameters())) or input.shape[-1] != self.input_size:
            return False
        if any(dispatch.chosen(cell, input) != "native" for cell in cells):
            return False
        # of a view's weights a copy would be prepared, and nothing would tell when the view changes
        if not all(map(Tensor.is_contiguous, self._parameters.values())):
            return False
        layout = Layout([steps] * rows)
        self._kept.fill(key, [Prepared(cell, layout) for cell in cells], self._parameters)
        return True

    def _bound(self, number: int) -> Cell:
        """A copy of a cell that computes with the tensors that this module has now."""
        cell = self._cells[number]
        bound = object.__new__(type(cell))
        parts = vars(bound)
        parts.update(vars(cell))
        for own, name in self._names[number]:
            parts[own] = self._tensor(name)
        return bound

    def _tensor(self, name: str) -> Any:
        # The dictionary first: a step of a stream asks for a handful, and Module's own way takes half a microsecond
        # each.
        parameter = self._parameters.get(name)
        return getattr(self, name) if parameter is None else parameter

    def _batch(self, input: Sequences, lengths: Lengths | None) -> Batch:
        if isinstance(input, Tensor):
            if input.dim() not in (2, 3):
                raise ValueError(
                    f"{type(self).__name__}: Expected input to be 2D or 3D, got {input.dim()}D tensor instead"
                )
            self._check(input)
            if lengths is None and not input.shape[0 if input.dim() == 2 or not self.batch_first else 1]:
                raise RuntimeError(
                    f"Expected sequence length to be larger than 0, got input of shape {tuple(input.shape)}"
                    f" with batch_first={self.batch_first}; sequences without steps need lengths="
                )
            if input.dim() == 3:
                return batches.of_padded(input, self.batch_first, lengths)
        elif not isinstance(input, (PackedSequence, Steps)):
            raise TypeError(
                f"{type(self).__name__} reads a tensor, a PackedSequence or Steps, got {type(input).__name__}"
            )
        if lengths is not None:
            kind = "an input without a batch dimension" if isinstance(input, Tensor) else type(input).__name__
            raise ValueError(
                f"{type(self).__name__}: lengths= is for a padded batch; {kind} has its own: leave lengths out"
            )
        if isinstance(input, Tensor):
            return batches.of_single(input)
        data = input.data if isinstance(input, PackedSequence) else input.values
        if data.dim() != 2:
            kind = type(input).__name__
            raise RuntimeError(f"input must have 2 dimensions, got {data.dim()}: a {kind} of shape {tuple(data.shape)}")
        self._check(data)
        return batches.of_packed(input) if isinstance(input, PackedSequence) else batches.of_steps(input)

    def _weight(self) -> Tensor:
        return self._tensor("weight_ih_l0")

    def _check(self, values: Tensor) -> None:
        weight = self._weight()
        if values.dtype != weight.dtype and not torch.is_autocast_enabled(values.device.type):
            raise ValueError(
                f"RNN input dtype ({values.dtype}) does not match weight dtype ({weight.dtype}). "
                f"Convert input: input.to({weight.dtype}), or convert model: model.to({values.dtype})"
            )
        if values.shape[-1] != self.input_size:
            raise RuntimeError(
                f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got {values.shape[-1]}:"
                f" input of shape {tuple(values.shape)}, weight_ih_l0 of shape {tuple(weight.shape)}"
            )
        if values.device != weight.device:
            raise RuntimeError(f"input is on {values.device} and the module on {weight.device}; move one with .to(...)")

    def _states(self, hx: Tensor | tuple[Tensor, Tensor] | None, batch: Batch) -> list[tuple[Tensor, ...]]:
        """The state before the first step, cell by cell."""
        # Not len(), which is a plain number: an exporter would fix the number of rows for all that follow.
        weight, sizes, rows = self._weight(), self._cells[0].state_sizes, batch.layout.lengths.shape[0]
        if hx is None:
            return [tuple(weight.new_zeros(rows, size) for size in sizes)] * len(self._cells)
        passed = hx if len(sizes) > 1 else (hx,)
        listed = isinstance(passed, (tuple, list)) and len(passed) == len(sizes)
        if not listed or not all(isinstance(state, Tensor) for state in passed):
            wanted = "a tuple (h, c) of two tensors" if len(sizes) > 1 else "a tensor"
            raise TypeError(f"{type(self).__name__}: hx must be {wanted}, got {type(hx).__name__}")
        tensors = []
        for number, (state, size) in enumerate(zip(passed, sizes)):
            what = f"hx[{number}]" if len(sizes) > 1 else "hx"
            wanted = (len(self._cells), size) if batch.single else (len(self._cells), rows, size)
            if state.dim() != len(wanted):
                form = "unbatched 2-D" if batch.single else "batched 3-D"
                raise RuntimeError(
                    f"For {form} input, {what} should also be {len(wanted)}-D but got {state.dim()}-D tensor:"
                    f" expected {wanted}, got {tuple(state.shape)}"
                )
            if state.shape != wanted:
                raise RuntimeError(f"Expected {what} of size {wanted}, got {tuple(state.shape)}")
            if state.device != weight.device:
                raise RuntimeError(
                    f"{what} is on {state.device} and the module on {weight.device}; move one with .to(...)"
                )
            if state.dtype != weight.dtype:
                if not torch.is_autocast_enabled(state.device.type):
                    raise RuntimeError(
                        f"{what} is {state.dtype} and the module {weight.dtype}; convert one with .to(...)"
                    )
                state = state.to(weight.dtype)
            if batch.single:
                state = state.unsqueeze(1)
            tensors.append(state if batch.order is None else state.index_select(1, batch.order))
        return list(zip(*(state.unbind(0) for state in tensors)))

    def _final(self, after: list[tuple[Tensor, ...]], batch: Batch) -> Any:
        """The states after the last steps, as the caller's hx would be."""
        tensors = []
        for parts in zip(*after):
            stacked = torch.stack(parts) if len(parts) > 1 else parts[0].unsqueeze(0)
            if batch.inverse is not None:
                stacked = stacked.index_select(1, batch.inverse)
            tensors.append(stacked.squeeze(1) if batch.single else stacked)
        return tuple(tensors) if len(tensors) > 1 else tensors[0]
