"""One step of each row through the layers of a Transformer, in one call of the native library."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from ostinato.kernels.dispatch import native_is_allowed
from ostinato.kernels.native import DTYPES, pointer
from ostinato.kernels.native_library import library
from ostinato.kernels.structures import Layer, Look, Step, array_of

NORMS = ("layer", "rms")
ACTIVATIONS = ("relu", "squared_relu", "swiglu")
"""Those that the library has, in the order of its numbers. gelu wants an error function, which no vector unit has."""
MOST_LAYERS, MOST_INPUTS = 64, 8


class LookWeights(NamedTuple):
    """What attends to one input in one layer, as `OstinatoLook` names it."""

    norm_weight: Tensor | None
    norm_bias: Tensor | None
    query_weight: Tensor
    query_bias: Tensor | None
    gain: Tensor | None
    output_weight: Tensor
    output_bias: Tensor | None


class LayerWeights(NamedTuple):
    """The weights of a layer, as `OstinatoLayer` names them."""

    norm_weight: Tensor | None
    norm_bias: Tensor | None
    read_weight: Tensor
    read_bias: Tensor | None
    gain: Tensor | None
    output_weight: Tensor
    output_bias: Tensor | None
    last_norm_weight: Tensor | None
    last_norm_bias: Tensor | None
    first_weight: Tensor
    first_bias: Tensor | None
    second_weight: Tensor
    second_bias: Tensor | None
    looks: tuple[LookWeights, ...] = ()

    def tensors(self) -> list[Tensor]:
        parts = [*self[:-1], *(part for look in self.looks for part in look)]
        return [part for part in parts if part is not None]


class Facts(NamedTuple):
    """What the layers of a stack have in common.

    Args:
        heads: A.
        kv_heads: K.
        width: D.
        norm: one of `NORMS`.
        epsilon: what a norm adds inside its root.
        norm_first: whether norms come before sublayers.
        activation: of the feed-forward net.
        norm_after: whether a norm follows the last layer, with this weight and bias.
    """

    heads: int
    kv_heads: int
    width: int
    norm: str
    epsilon: float
    norm_first: bool
    activation: str
    norm_after: tuple[Tensor | None, Tensor | None] | None


class Input(Protocol):
    """An input that steps attend to: R rows read E examples of it.

    Attributes:
        kept: keys and values of each layer in turn, (E, K, S, D) each, dense.
        lengths: (E,) on the CPU, the steps of each example; None: S each.
        rows: (R,) the example that each row reads.
        weights: (R, S), left here by the last layer: the mean of its heads' weights.
    """

    kept: Sequence[Tensor]
    lengths: Tensor | None
    rows: Tensor
    weights: Tensor


class LayersStep:
    """The layers of one stack, their weights packed at the first step; make one per generation, as `Packed`.

    Args:
        layers: their weights.
        facts: what they have in common.
    """

    def __init__(self, layers: Sequence[LayerWeights], facts: Facts):
        self.facts, self.count = facts, len(layers)
        self.weights = [part for layer in layers for part in layer.tensors()]
        self.weights += [part for part in facts.norm_after or () if part is not None]
        self.inputs = len(layers[0].looks)
        self.fits = (
            facts.activation in ACTIVATIONS
            and len(layers) <= MOST_LAYERS
            and self.inputs <= MOST_INPUTS
            and all(part.is_contiguous() for part in self.weights)
            and len({(part.dtype, part.device) for part in self.weights}) == 1
        )
        if not self.fits:
            return
        self.looks = [array_of([_structure(Look, look) for look in layer.looks] or [Look()]) for layer in layers]
        self.layers = array_of([_structure(Layer, layer) for layer in layers])
        for layer, looks in zip(self.layers, self.looks):
            layer.looks = ctypes.addressof(looks)
        self.room: Tensor | None = None
        weight, bias = facts.norm_after or (None, None)
        self.step = Step(
            is_double=DTYPES.get(layers[0].read_weight.dtype, 0),
            H=facts.heads * facts.width,
            A=facts.heads,
            K=facts.kv_heads,
            D=facts.width,
            F=layers[0].second_weight.shape[1],
            layers=ctypes.addressof(self.layers),
            num_layers=self.count,
            num_looks=self.inputs,
            norm=NORMS.index(facts.norm),
            epsilon=facts.epsilon,
            norm_first=facts.norm_first,
            norm_after=facts.norm_after is not None,
            activation=ACTIVATIONS.index(facts.activation),
            norm_weight=pointer(weight),
            norm_bias=pointer(bias),
        )

    def is_allowed(self, x: Tensor) -> bool:
        """Whether the library can compute the step of these rows."""
        return self.fits and native_is_allowed([x, self.weights[0]])

    def __call__(
        self,
        x: Tensor,
        rooms: Sequence[Tensor],
        filled: int,
        rotation: tuple[Tensor, Tensor] | None,
        inputs: Sequence[Input],
    ) -> Tensor:
        """Features (R, H) of vectors (R, H).

        Args:
            x: a step of each row.
            rooms: keys and values of each layer in turn, (R, K, C, D) each: those of `filled` steps, and behind them
                room, where the new step's are written.
            filled: steps that each row has read, fewer than C.
            rotation: cosines and sines (D / 2,) of the step's place; None: heads are not turned.
            inputs: what layers attend to; what each says of its weights is written.
        """
        step, x, out = self.step, x.contiguous(), torch.empty_like(x)
        step.R, step.filled, step.capacity = len(x), filled, rooms[0].shape[2]
        step.x, step.out = x.data_ptr(), out.data_ptr()
        cosines, sines = (part.contiguous() for part in rotation) if rotation else (None, None)
        step.cosines, step.sines = pointer(cosines), pointer(sines)
        for number, layer in enumerate(self.layers):
            layer.keys, layer.values = (room.data_ptr() for room in rooms[2 * number : 2 * number + 2])
        for place, source in enumerate(inputs):
            step.num_examples, step.examples = len(source.kept[0]), source.rows.data_ptr()
            source.weights = torch.empty(len(x), source.kept[0].shape[2], dtype=x.dtype)
            for number, looks in enumerate(self.looks):
                look = looks[place]
                look.keys, look.values = (part.data_ptr() for part in source.kept[2 * number : 2 * number + 2])
                look.S, look.lengths = source.kept[0].shape[2], pointer(source.lengths)
            look.weights = source.weights.data_ptr()
        native = library()
        if self.room is None:
            room = torch.empty(native.step_packed_size(step), dtype=torch.uint8)
            step.packed = room.data_ptr()
            native.step(step)
            self.room, step.packed_ready = room, 1
        else:
            native.step(step)
        return out


def _structure(kind: type[ctypes.Structure], weights: NamedTuple) -> ctypes.Structure:
    return kind(**{name: pointer(part) for name, part in zip(weights._fields, weights) if name != "looks"})
