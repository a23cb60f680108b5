"""What a decoder is: target steps, one after the other, and encoded inputs to features of the step that follows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from ostinato.encoders.contract import Encoded
from ostinato.kernels.packed import Packed
from ostinato.layers.attend import Memory
from ostinato.steps import Steps


@dataclass(frozen=True)
class Decoding:
    """The state of a generation: one row per hypothesis.

    A search reads `rows`, `attention`, `source_lengths` and `counted`, and calls `reorder`; the rest is the generator's
    own.

    Args:
        memory: what does not change while generating, an entry per input, B examples each: a `Memory`, a tensor, None,
            or a tuple of these; kept by reference.
        rows: (R,) the example of the memory that a hypothesis reads.
        values: what changes, by name, each (R, ...).
        attention: (R, S) per input, the weights of the last step, for pictures and penalties; empty without attention.
        packed: the head's weights as kernels read them (`Packed`), by name, kept by reference for the length of this
            generation.
        counted: (R,) how many of the steps generated so far belong to the answer, -1 before it begins, where the end of
            a prompt is generated again; None: all.
    """

    memory: tuple[Any, ...]
    rows: Tensor
    values: dict[str, Tensor] = field(default_factory=dict)
    attention: tuple[Tensor, ...] = ()
    packed: dict[str, Any] = field(default_factory=lambda: defaultdict(Packed), repr=False)
    counted: Tensor | None = None

    def reorder(self, rows: Tensor, *, forget: bool = False) -> Decoding:
        """The hypotheses `rows` (R',) of this state, in that order.

        Args:
            rows: their numbers.
            forget: whether the memory is cut to the examples that they read, so that stragglers do not drag the whole
                batch along; otherwise it is not copied. A memory of a kind that cannot be cut stays whole.
        """
        memory, examples = self.memory, self.rows.index_select(0, rows)
        if forget and all(entry is None or isinstance(entry, (Memory, Tensor)) for entry in _entries(memory)):
            kept, examples = torch.unique(examples, return_inverse=True)
            memory = _taken(memory, kept)
        return Decoding(
            memory,
            examples,
            {name: value.index_select(0, rows) for name, value in self.values.items()},
            tuple(weights.index_select(0, rows) for weights in self.attention),
            self.packed,
            None if self.counted is None else self.counted.index_select(0, rows),
        )

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """What is made at the first step of a generation, and kept in `packed` under this name for all others."""
        if name not in self.packed:
            self.packed[name] = make()
        return self.packed[name]

    @property
    def source_lengths(self) -> Tensor | None:
        """(R,), on the CPU, the steps of the first input that is attended to, the one of `attention[0]`; None without
        attention."""
        memory = next((entry for entry in _entries(self.memory) if isinstance(entry, Memory)), None)
        return None if memory is None else memory.layout.lengths[self.rows.cpu()]


def joined(states: Sequence[Decoding]) -> Decoding:
    """The states of several generators of the same hypotheses as one; `parted` gives them back. Its attention is the
    mean of those that attend, where all of them attend to the same steps, else empty."""
    values = {f"{k} {name}": value for k, state in enumerate(states) for name, value in state.values.items()}
    shapes = {tuple(weights.shape for weights in state.attention) for state in states}
    alike = [state.attention for state in states] if len(shapes) == 1 else []
    attention = tuple(sum(weights) / len(states) for weights in zip(*alike))
    packed = {str(k): state.packed for k, state in enumerate(states)}
    return Decoding(tuple(state.memory for state in states), states[0].rows, values, attention, packed)


def parted(state: Decoding) -> list[Decoding]:
    return [
        replace(
            state,
            memory=memory,
            values={n.split(" ", 1)[1]: v for n, v in state.values.items() if n.startswith(f"{k} ")},
            attention=(),
            packed=state.packed[str(k)],
        )
        for k, memory in enumerate(state.memory)
    ]


def _entries(memory: Any) -> Iterator[Any]:
    """What a memory holds; an ensemble's holds a tuple for each member."""
    if type(memory) is tuple:
        for entry in memory:
            yield from _entries(entry)
    else:
        yield memory


def _taken(memory: Any, examples: Tensor) -> Any:
    if type(memory) is tuple:
        return tuple(_taken(entry, examples) for entry in memory)
    if isinstance(memory, Memory):
        return memory.take(examples)
    return None if memory is None else memory.index_select(0, examples)


class Decoder(nn.Module, ABC):
    """Reads a target from its beginning, and inputs; gives the features that the head predicts the next step from.

    The head owns the output: softmax, loss, distribution. It gives the decoder the layer that embeds a target step.

    Laws: `extend` over a prompt gives the features of `step` called step by step; `run` gives those of `extend` from a
    fresh state; features depend on no later step, and neither on the other examples nor on their order. While whole
    targets are run, the weights of each input that is attended to are shown (`show_attention`), layer by layer; those
    of the top layer, on average over its heads, are `Decoding.attention`.

    Shapes:
        steps (N, ...) as the embedding reads them; features (N, output_size)

    Args:
        sizes: one `Sizes` for each input that the output reads, by position.
        embed: makes the embedding, a module from target steps to vectors (N, input_size), by position; called once.
        input_size: the width of these vectors, by position.
        output_size: the width of the features, by position; None: the decoder's own.
        dropout: the probability of dropping a value of the embedded steps and between layers, by position.
    """

    embedding: nn.Module
    output_size: int
    attended: Sequence[int] = ()
    """Which of the inputs it attends to, by position."""

    def obstacle(self) -> str | None:
        """Why whole targets are computed step by step in Python, or None where they are not."""
        return None

    @abstractmethod
    def start(self, encoded: Sequence[Encoded]) -> Decoding:
        """One hypothesis per example, before its first step."""

    def run(self, encoded: Sequence[Encoded], steps: Steps, choose: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """The features (N, output_size) after each step of whole targets, which are known.

        Args:
            choose: while training, the model's own best step (N, ...) from features, for decoders that read some of
                these in place of the true ones; None where nothing is sampled.
        """
        return self.extend(steps, self.start(encoded))[0]

    @abstractmethod
    def extend(self, steps: Steps, state: Decoding) -> tuple[Tensor, Decoding]:
        """Reads a prompt at once: features (N, output_size) after each of its steps, and the state after the last.

        A sequence without steps keeps its state.
        """

    @abstractmethod
    def step(self, symbols: Tensor, state: Decoding) -> tuple[Tensor, Decoding]:
        """Reads one step (R, ...) of each hypothesis: features (R, output_size) and the state after it."""
