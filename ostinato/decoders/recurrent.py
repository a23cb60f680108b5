"""The recurrent decoder: a stack of cells, with attention over the inputs or without."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from ostinato.decoders._options import check_options, copied_states
from ostinato.decoders.contract import Decoder, Decoding
from ostinato.encoders.contract import Encoded, Sizes
from ostinato.errors import ConfigError
from ostinato.kernels import decoder
from ostinato.kernels.contract import State
from ostinato.kernels.deferred import DeferredLinear
from ostinato.kernels.dispatch import chosen, scan
from ostinato.kernels.products import linear
from ostinato.kernels.watch import Attended, show_attention
from ostinato.layers.attend import Memory
from ostinato.layers.dropout import dropped
from ostinato.registry import Count, Rate, Room, Settings, build
from ostinato.steps import Layout, Steps

Choose = Callable[[Tensor], Tensor]


class RecurrentDecoder(Decoder):
    """A stack of recurrent layers reads the target, with attention over the inputs or without.

        e[i]   = embedding(y[i-1])                                     y[-1] is the begin symbol
        c[i]   = context(s[i-1]);  s[i] = cell([e[i]; c[i]], s[i-1])   context before the cell (Bahdanau 2015)
        s[i]   = cell(e[i], s[i-1]);  c[i] = context(s[i])             context after the cell (Luong 2015)
        s[i]   = cell([e[i]; a[i-1]], s[i-1])                          ... with input feeding (Luong 2015, 3.3)
        a[i]   = tanh(W_a [s[i]; c[i]])                                features; before: tanh(W_a [s[i]; c[i]; e[i]])
        a[i]   = W_a [s[i]; c[i]]                                      ... with readout: linear
        s[0]   = tanh(W_b [last states of the encoders])               bridge; relu in place of tanh with bridge: relu
        s[0]   = last states of the encoder, layer by layer            ... with bridge: copy (Sutskever 2014)

    Without attention the features are s[i] itself and the bridge is all that reaches the decoder (Sutskever 2014).
    Several inputs with steps are attended to each on its own, their contexts concatenated. With the context after the
    cell and no input feeding a whole target runs as one recurrence.

    Shapes:
        features (N, A); state values `layer.k` (R, H), `fed` (R, A), `previous.k` (R, S), or as
        wide as what its attention carries

    Args:
        cell: the recurrence.
        hidden_size: H, width of each layer.
        layers: how many, one above the other.
        attention: how inputs are attended to; none: the plain encoder-decoder.
        context: whether the context enters before the cell or after it.
        input_feeding: whether the last features enter the cell too; needs the context after.
        readout: what the features are of [s; c]: tanh of a linear map, or the linear map alone.
        bridge: whether the start state is made from the encoders' last states, or is zero; relu: with relu for tanh;
            copy: it is the last state of the one encoder, whose cell and layers are the decoder's, its two directions
            beside each other.
        scheduled_sampling: share of steps, in training, that read the model's own best symbol in place of the truth
            (Bengio 2015).

    Errors:
        ConfigError: nothing would reach the decoder, or options exclude each other.

    Source: Sutskever 2014, arXiv:1409.3215; Bahdanau 2015, arXiv:1409.0473, A.2 (there the readout reads s[i-1], and
    has maxout in place of tanh); Luong 2015, arXiv:1508.04025; scheduled sampling: Bengio 2015, arXiv:1506.03099.
    """

    def __init__(
        self,
        sizes: Sequence[Sizes],
        embed: Callable[[], nn.Module],
        input_size: int,
        output_size: int | None,
        dropout: float,
        *,
        cell: Annotated[Settings, Room("cells")] = "lstm",
        hidden_size: Count = 512,
        layers: Count = 1,
        attention: Annotated[Settings, Room("attentions")] | None = "additive",
        context: Literal["before", "after"] = "after",
        input_feeding: bool = False,
        readout: Literal["tanh", "linear"] = "tanh",
        bridge: bool | Literal["relu", "copy"] = True,
        scheduled_sampling: Rate = 0.0,
    ):
        super().__init__()
        self.input_size, self.hidden_size, self.dropout = input_size, hidden_size, dropout
        self.scheduled_sampling, self.input_feeding = scheduled_sampling, input_feeding
        self.attended = [place for place, size in enumerate(sizes) if size.steps is not None and attention is not None]
        # Attentions, embedding, cells, bridge, readout: the order in which weights are drawn from the seed and
        # gradients summed for clipping. Another order changes the digits of every result.
        self.attentions = nn.ModuleList(
            build(attention, "attentions", hidden_size, sizes[place].steps) for place in self.attended
        )
        contexts = sum(sizes[place].steps for place in self.attended)
        widths = [sum(size.state) or size.summary or 0 for size in sizes]
        self.starts_from_state = [bool(size.state) for size in sizes]
        self.context_first = context == "before" and bool(contexts)
        check_options(self.attended, widths, attention, context, input_feeding, bridge)

        self.output_size = output_size or hidden_size
        self.fed_size = contexts if self.context_first else self.output_size if input_feeding else 0
        self.embedding = embed()
        below = [input_size + self.fed_size] + [hidden_size] * (layers - 1)
        self.cells = nn.ModuleList(build(cell, "cells", width, hidden_size) for width in below)
        self.state_sizes = [size for cell in self.cells for size in cell.state_sizes]
        self.copies = copied_states(sizes, self.state_sizes, self.cells[0].num_states) if bridge == "copy" else []
        makes = bool(bridge) and not self.copies and bool(sum(widths))
        self.bridge = nn.Linear(sum(widths), sum(self.state_sizes)) if makes else None
        self.bend = torch.relu if bridge == "relu" else torch.tanh
        read = hidden_size + contexts + (input_size if self.context_first else 0)
        self.readout = nn.Linear(read, self.output_size) if contexts or self.output_size != hidden_size else None
        self.linear_readout = readout == "linear"
        if self.linear_readout and self.readout is None:
            raise ConfigError("readout: without attention the features are the cell's state; leave readout out")
        self.stepwise = bool(self.fed_size) or any(attention.needs_previous for attention in self.attentions)

    def obstacle(self) -> str | None:
        if not self.stepwise and not self.scheduled_sampling:
            return None
        if self.scheduled_sampling and self.training:
            return "scheduled_sampling reads what the step before predicted"
        scores = self._native()
        return scores if isinstance(scores, str) else None

    def start(self, encoded: Sequence[Encoded]) -> Decoding:
        memory = tuple(
            Memory.of(attention, encoded[place].steps) for attention, place in zip(self.attentions, self.attended)
        )
        values = self._start_values(encoded)
        rows = len(values["0.0"])
        for k, attention in enumerate(self.attentions):
            if attention.needs_previous:
                values[f"previous.{k}"] = self._zeros(rows, attention.carried_size or memory[k].values.shape[1])
        return Decoding(memory, torch.arange(rows, device=values["0.0"].device), values)

    def run(self, encoded: Sequence[Encoded], steps: Steps, choose: Choose | None = None) -> Tensor:
        sampled = self.scheduled_sampling > 0 and self.training and choose is not None
        scores = self._native()
        if not steps.layout.total or sampled or isinstance(scores, str):
            return self._advance(steps, self.start(encoded), choose if sampled else None)[0]
        attention, memory = self.attentions[0], encoded[self.attended[0]].steps
        values = self._start_values(encoded)
        x = self._dropped(self.embedding(steps.values))
        ones = x.new_ones(len(x), self.hidden_size)
        masks = [self._dropped(ones) if self.dropout and self.training else None for _ in self.cells[1:]]
        readout = None
        if not self.context_first:
            readout = self._native_readout(values.get("fed"), len(steps.layout))
        top, contexts = decoder.decode(
            self.cells,
            Steps(x, steps.layout),
            self._states(values),
            attention.prepare(memory.values),
            memory,
            scores,
            readout,
            masks,
        )
        return self._read_out([top, contexts, x]) if self.context_first else top

    def extend(self, steps: Steps, state: Decoding) -> tuple[Tensor, Decoding]:
        return self._advance(steps, state, None)

    def step(self, symbols: Tensor, state: Decoding) -> tuple[Tensor, Decoding]:
        embedded = self._dropped(self.embedding(symbols))
        scores = self._native_of(state)
        if scores is not None:
            return self._native_step(embedded, state, scores)
        if not self.attentions:
            return self._plain_step(embedded, state)
        loop = _Loop(self)
        parts, values, weights = self._one_step(
            loop, loop.gates(embedded), embedded, state.values, state.memory, state.rows
        )
        return self._read_out(parts), replace(state, values=values, attention=weights)

    # The state.

    def _start_values(self, encoded: Sequence[Encoded]) -> dict[str, Tensor]:
        """The cells' states before the first step and, with input feeding, what is fed at it."""
        rows = len(encoded[0].summary if encoded[0].steps is None else encoded[0].steps.layout)
        names = [f"{layer}.{k}" for layer, cell in enumerate(self.cells) for k in range(cell.num_states)]
        if self.copies:
            state = encoded[0].state
            starts = [torch.cat([state[k] for k in places], 1) for places in self.copies]
        elif self.bridge is None:
            starts = [self._zeros(rows, size) for size in self.state_sizes]
        else:
            read = [
                source.state if whole else (source.summary,) for source, whole in zip(encoded, self.starts_from_state)
            ]
            last = torch.cat([part for parts in read for part in parts if part is not None], 1)
            starts = self.bend(linear(last, self.bridge.weight, self.bridge.bias)).split(self.state_sizes, 1)
        values = dict(zip(names, starts))
        if self.input_feeding:
            values["fed"] = self._zeros(rows, self.fed_size)
        return values

    def _zeros(self, rows: int, width: int) -> Tensor:
        return next(self.parameters()).new_zeros(rows, width)

    def _states(self, values: dict[str, Tensor]) -> list[State]:
        """The state of each layer."""
        return [tuple(values[f"{layer}.{k}"] for k in range(cell.num_states)) for layer, cell in enumerate(self.cells)]

    # The native loop.

    def _native(self) -> decoder.Scores | str:
        """What the native loop must know of the attention, or why it cannot take this decoder."""
        if any(chosen(cell) != "native" for cell in self.cells):
            return "its cells are not computed natively"
        if len(self.attentions) != 1:
            return f"the native loop attends to one input, not to {len(self.attentions)}"
        if self.linear_readout:
            return "the native loop's readout is a tanh"
        return decoder.obstacle(self.cells) or self.attentions[0].native()

    def _native_of(self, state: Decoding) -> decoder.Scores | None:
        """As `_native`, for `step` after this state, without a gradient and with something to attend to; or None."""
        if torch.is_grad_enabled() or (self.training and self.dropout):
            return None
        scores = self._native()
        return None if isinstance(scores, str) or not state.memory[0].layout.total else scores

    def _native_step(self, embedded: Tensor, state: Decoding, scores: decoder.Scores) -> tuple[Tensor, Decoding]:
        memory, keys = state.memory[0].packed
        readout = None
        if not self.context_first:
            readout = self._native_readout(state.values.get("fed"), len(embedded))
        after, top, contexts, weights, middle = decoder.step(
            self.cells,
            embedded,
            self._states(state.values),
            keys,
            memory,
            state.rows,
            scores,
            readout,
            state.packed["loop"],
            state.values.get("previous.0"),
        )
        values = {f"{layer}.{k}": part for layer, parts in enumerate(after) for k, part in enumerate(parts)}
        if self.input_feeding:
            values["fed"] = top
        if middle is not None:
            values["previous.0"] = middle
        padded = functional.pad(weights, (0, state.memory[0].values.shape[1] - weights.shape[1]))
        features = self._read_out([top, contexts, embedded]) if self.context_first else top
        return features, replace(state, values=values, attention=(padded,))

    def _native_readout(self, fed: Tensor | None, rows: int) -> decoder.Readout:
        if fed is None:
            fed = self.readout.weight.new_zeros(rows, len(self.readout.weight))
        return decoder.Readout(self.readout.weight, self.readout.bias, fed)

    # Scans and the loop in Python.

    def _plain_step(self, embedded: Tensor, state: Decoding) -> tuple[Tensor, Decoding]:
        """Without attention a step is a scan of one step for each hypothesis."""
        top, values = self._scan(embedded, state.values, Layout.equal(len(embedded), 1, embedded.device))
        return self._read_out([top]), replace(state, values=values)

    def _scan(self, x: Tensor, values: dict[str, Tensor], layout: Layout) -> tuple[Tensor, dict[str, Tensor]]:
        """The top hidden states over embedded steps, which are dropped already, and the values after them."""
        values = dict(values)
        for layer, (cell, before) in enumerate(zip(self.cells, self._states(values))):
            x, after = scan(cell, self._dropped(x) if layer else x, before, layout)
            values |= {f"{layer}.{k}": part for k, part in enumerate(after)}
        return x, values

    def _advance(self, steps: Steps, state: Decoding, choose: Choose | None) -> tuple[Tensor, Decoding]:
        """Features (N, A) after each step, and the state after the last; a sequence without steps keeps its state."""
        if not steps.layout.total:
            return self._zeros(0, self.output_size), state
        if self.stepwise or choose is not None:
            return self._step_by_step(steps, state, choose)
        return self._at_once(steps, state)

    def _last_weights(self, state: Decoding) -> tuple[Tensor, ...]:
        """The weights of the step before, zeros where there was none."""
        return state.attention or tuple(self._zeros(len(state.rows), memory.values.shape[1]) for memory in state.memory)

    def _at_once(self, steps: Steps, state: Decoding) -> tuple[Tensor, Decoding]:
        """Where no result of a step enters the recurrence: one scan a layer, then attention for all steps at once."""
        layout = steps.layout
        top, values = self._scan(self._dropped(self.embedding(steps.values)), state.values, layout)
        parts, last = [top], []
        query = Steps(top, layout).padded() if self.attentions else None
        numbers = torch.arange(len(layout), device=state.rows.device)
        in_order = torch.equal(state.rows, numbers)
        lengths = layout.lengths.to(numbers.device)
        for k, before in enumerate(self._last_weights(state)):
            memory = state.memory[k]
            memory = memory if in_order and len(memory.layout) == len(layout) else memory.take(state.rows)
            context, weights = memory.attend(self.attentions[k], query)
            self._show(k, partial(Steps.from_padded, weights, layout), state)
            parts.append(Steps.from_padded(context, layout).values)
            last.append(torch.where(lengths[:, None] > 0, weights[numbers, (lengths - 1).clamp(min=0)], before))
        return self._read_out(parts), replace(state, values=values, attention=tuple(last))

    def _step_by_step(self, steps: Steps, state: Decoding, choose: Choose | None) -> tuple[Tensor, Decoding]:
        """Step after step, sequences from longest to shortest, each step over those still alive."""
        layout, loop = steps.layout, _Loop(self)
        order = layout.order
        memory = tuple(source.take(state.rows.index_select(0, order)) for source in state.memory)
        values = {name: value.index_select(0, order) for name, value in state.values.items()}
        in_time = self._dropped(self.embedding(steps.values.index_select(0, layout.time_major)))
        embedded, gates = in_time.split(layout.alive), loop.gates(in_time).split(layout.alive)
        ended: list[dict[str, Tensor]] = []
        parts: list[list[Tensor]] = []
        looks: list[tuple[Tensor, ...]] = []
        weights = tuple(weight.index_select(0, order) for weight in self._last_weights(state))
        width = len(layout)
        for time, alive in enumerate(layout.alive):
            if alive < width:
                whole = values | {f"weights.{k}": weight for k, weight in enumerate(weights)}
                ended.append({name: value[alive:] for name, value in whole.items()})
                values = {name: value[:alive] for name, value in values.items()}
                memory = tuple(source.first(alive) for source in memory)
                width = alive
            embedded_now, gates_now = embedded[time], gates[time]
            if choose is not None and time:
                with torch.no_grad():
                    own = choose(self._read_out([part[:alive] for part in parts[-1]]))
                lots = torch.rand(alive, 1, device=own.device) < self.scheduled_sampling
                embedded_now = torch.where(lots, self._dropped(self.embedding(own)), embedded_now)
                gates_now = loop.gates(embedded_now)
            read, values, weights = self._one_step(loop, gates_now, embedded_now, values, memory, None)
            parts.append(read)
            looks.append(weights)

        def in_order(column: Sequence[Tensor]) -> Steps:
            return Steps(torch.cat(column).index_select(0, layout.packed), layout)

        features = [in_order(column).values for column in zip(*parts)]
        for k, column in enumerate(zip(*looks)):
            self._show(k, partial(in_order, column), state)
        last = values | {f"weights.{k}": weight for k, weight in enumerate(weights)}
        back = torch.argsort(order)
        after = {
            name: torch.cat([last[name], *(part[name] for part in reversed(ended))]).index_select(0, back)
            for name in last
        }
        attention = tuple(after.pop(f"weights.{k}") for k in range(len(weights)))
        return self._read_out(features), replace(state, values=after, attention=attention)

    def _one_step(
        self,
        loop: _Loop,
        gates: Tensor,
        embedded: Tensor,
        values: dict[str, Tensor],
        memory: tuple[Memory, ...],
        rows: Tensor | None,
    ) -> tuple[list[Tensor], dict[str, Tensor], tuple[Tensor, ...]]:
        """One step: what the readout reads, the values after it, the weights of each attention."""
        values, contexts, weights = dict(values), [], ()
        top = values[f"{len(self.cells) - 1}.0"]
        if self.context_first:
            contexts, weights = self._attend(top, values, memory, rows)
            gates = gates + loop.fed(torch.cat(contexts, 1))
        elif self.input_feeding:
            gates = gates + loop.fed(values["fed"])
        for layer, (cell, state) in enumerate(zip(self.cells, self._states(values))):
            if layer:
                gates = loop.below[layer](self._dropped(top))
            state = cell.step(gates, state, loop.products[layer])
            values |= {f"{layer}.{k}": part for k, part in enumerate(state)}
            top = state[0]
        if not self.context_first and self.attentions:
            contexts, weights = self._attend(top, values, memory, rows)
        parts = [top, *contexts, embedded] if self.context_first else [top, *contexts]
        if self.input_feeding:
            values["fed"] = self._features(loop.readout(torch.cat(parts, 1)))
            parts = [values["fed"]]
        return parts, values, weights

    def _attend(
        self, query: Tensor, values: dict[str, Tensor], memory: tuple[Memory, ...], rows: Tensor | None
    ) -> tuple[list[Tensor], tuple[Tensor, ...]]:
        contexts, weights = [], []
        for k, (attention, source) in enumerate(zip(self.attentions, memory)):
            previous = values.get(f"previous.{k}")
            if previous is not None:
                previous = attention.move(query, previous)
            if rows is not None:
                context, weight = source.attend_rows(attention, query, rows, previous)
            else:
                before = None if previous is None else previous.unsqueeze(1)
                both = source.attend(attention, query.unsqueeze(1), before)
                context, weight = both[0].squeeze(1), both[1].squeeze(1)
            contexts.append(context)
            weights.append(weight)
            if previous is not None:
                values[f"previous.{k}"] = weight if attention.carried_size is None else previous
        return contexts, tuple(weights)

    def _show(self, k: int, weights: Callable[[], Steps], state: Decoding) -> None:
        """Shows who watches the weights (N, S) that whole targets have in attention k."""

        def make() -> Attended:
            looked, keys = weights(), state.memory[k].take(state.rows).layout
            values, layout = looked.values.unsqueeze(1), looked.layout
            return Attended(self.attentions[k], values, layout, keys, "cross-attention", self.attended[k])

        show_attention(make)

    def _read_out(self, parts: list[Tensor]) -> Tensor:
        if self.input_feeding or self.readout is None:
            return parts[0]
        return self._features(linear(torch.cat(parts, 1), self.readout.weight, self.readout.bias))

    def _features(self, read: Tensor) -> Tensor:
        return read if self.linear_readout else torch.tanh(read)

    def _dropped(self, values: Tensor) -> Tensor:
        return dropped(values, self.dropout) if self.dropout and self.training else values


class _Loop:
    """The products of one call of the decoder, their weights' gradients each one product after the loop."""

    def __init__(self, own: RecurrentDecoder):
        first, size = own.cells[0], own.input_size
        self.weight, self.bias = first.weight_x[:, :size], first.bias_x
        self.fed = DeferredLinear(first.weight_x[:, size:]) if own.fed_size else None
        self.below = [None] + [DeferredLinear(cell.weight_x, cell.bias_x) for cell in own.cells[1:]]
        self.products = [cell.products() for cell in own.cells]
        self.readout = DeferredLinear(own.readout.weight, own.readout.bias) if own.input_feeding else None

    def gates(self, embedded: Tensor) -> Tensor:
        return functional.linear(embedded, self.weight, self.bias)
