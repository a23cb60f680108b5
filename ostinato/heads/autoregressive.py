"""The autoregressive head: a recurrent decoder, with attention over what was read or without."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal

import torch
from pydantic import Strict
from torch import Tensor, nn
from torch.nn import functional

from ostinato.encoders.contract import Encoded
from ostinato.errors import ConfigError
from ostinato.heads._symbols import scored
from ostinato.heads.contract import Decoding, Generator, Head, Loss, Scored, Sizes
from ostinato.kernels import decoder
from ostinato.kernels.contract import State
from ostinato.kernels.deferred import DeferredLinear
from ostinato.kernels.dispatch import chosen, scan
from ostinato.kernels.products import linear
from ostinato.layers.attend import Memory
from ostinato.layers.dropout import dropped
from ostinato.layers.embedding import rows_of
from ostinato.layers.vocabulary import softmax_of
from ostinato.modalities.contract import Symbols
from ostinato.registry import Count, Rate, Room, Settings, build
from ostinato.steps import Layout, Steps


class Autoregressive(Head, Generator):
    """Says an output symbol by symbol, each from those before it and from the inputs.

        e[i]   = embedding(y[i-1])                                     y[-1] is the begin symbol
        c[i]   = context(s[i-1]);  s[i] = cell([e[i]; c[i]], s[i-1])   context before the cell (Bahdanau 2015)
        s[i]   = cell(e[i], s[i-1]);  c[i] = context(s[i])             context after the cell (Luong 2015)
        s[i]   = cell([e[i]; a[i-1]], s[i-1])                          ... with input feeding (Luong 2015, 3.3)
        a[i]   = tanh(W_a [s[i]; c[i]])                                readout; before: tanh(W_a [s[i]; c[i]; e[i]])
        p(y[i]) = softmax(W_o a[i] + b_o)
        s[0]   = tanh(W_b [last states of the encoders])               bridge

    Without attention the readout is s[i] itself and the bridge is all that reaches the decoder (Sutskever 2014). Several
    inputs with steps are attended to each on its own, their contexts concatenated. With the context after the cell and no
    input feeding a whole target runs as one recurrence.

    Shapes:
        targets (N,) symbols; logits (N, V); state values `layer.k` (R, H), `fed` (R, A), `previous.k` (R, S)

    Args:
        cell: the recurrence.
        hidden_size: H, width of each layer.
        layers: how many, one above the other.
        embedding_size: width of the symbols' vectors.
        attention: how inputs are looked at; none: the plain encoder-decoder.
        context: whether the context enters before the cell or after it.
        input_feeding: whether the last readout enters the cell too; needs the context after.
        bridge: whether the start state is made from the encoders' last states, or is zero.
        tied: whether the softmax shares the embedding's weights; the readout is then as wide as the embedding.
        dropout: on embeddings, between layers and before the softmax.
        label_smoothing: share of each target's probability that is spread over all symbols (Szegedy 2016).
        softmax: full: every symbol has a vector as wide as what is read; adaptive: rare ones have shorter vectors, and are
            looked at only where one is meant, which makes vocabularies of many thousand symbols cheap. Needs tied: false.
        cutoffs: of an adaptive softmax: the symbols, numbered from the most frequent to the rarest, at which its parts of
            rare ones begin; by default where 85 % and 95 % of the training targets stand before.
        scheduled_sampling: share of steps that hear the model's own best symbol in place of the truth (Bengio 2015).

    Errors:
        ConfigError: nothing would reach the head, or options exclude each other.

    Source: Sutskever 2014, arXiv:1409.3215; Bahdanau 2015, arXiv:1409.0473, A.2 (there the readout reads s[i-1], and has maxout
    in place of tanh); Luong 2015, arXiv:1508.04025;
    adaptive softmax: Grave 2017, arXiv:1609.04309.
    """

    aligns = frozenset({"free"})
    generates = True

    def __init__(
        self,
        spec: Symbols,
        sizes: Sequence[Sizes],
        *,
        cell: Annotated[Settings, Room("cells")] = "lstm",
        hidden_size: Count = 512,
        layers: Count = 1,
        embedding_size: Count = 256,
        attention: Annotated[Settings, Room("attentions")] | None = "additive",
        context: Literal["before", "after"] = "after",
        input_feeding: bool = False,
        bridge: bool = True,
        tied: bool = False,
        dropout: Rate = 0.0,
        label_smoothing: Rate = 0.0,
        softmax: Literal["full", "adaptive"] = "full",
        cutoffs: Annotated[tuple[Count, ...], Strict(False)] = (),
        scheduled_sampling: Rate = 0.0,
    ):
        super().__init__()
        self.begin, self.end, self.num_symbols = spec.begin, spec.end, spec.size
        self.hidden_size, self.embedding_size, self.tied = hidden_size, embedding_size, tied
        self.dropout, self.scheduled_sampling = dropout, scheduled_sampling
        self.attended = [place for place, one in enumerate(sizes) if one.steps is not None and attention is not None]
        self.attentions = nn.ModuleList(
            build(attention, "attentions", hidden_size, sizes[place].steps) for place in self.attended
        )
        contexts = sum(sizes[place].steps for place in self.attended)
        widths = [sum(one.state) or one.summary or 0 for one in sizes]
        self.starts_from_state = [bool(one.state) for one in sizes]
        self.context_first = context == "before" and bool(contexts)
        self.input_feeding = input_feeding
        _check(self.attended, widths, attention, context, input_feeding, bridge)

        self.readout_size = readout_size = embedding_size if tied else hidden_size
        self.fed_size = contexts if self.context_first else readout_size if input_feeding else 0
        self.embedding = nn.Embedding(spec.size, embedding_size)
        nn.init.normal_(self.embedding.weight, std=embedding_size**-0.5)
        below = [embedding_size + self.fed_size] + [hidden_size] * (layers - 1)
        self.cells = nn.ModuleList(build(cell, "cells", width, hidden_size) for width in below)
        starts = layers * self.cells[0].num_states * hidden_size
        self.bridge = nn.Linear(sum(widths), starts) if bridge and sum(widths) else None
        read = hidden_size + contexts + (embedding_size if self.context_first else 0)
        self.readout = nn.Linear(read, readout_size) if contexts or readout_size != hidden_size else None
        self.output = softmax_of(softmax, readout_size, spec.size, cutoffs, label_smoothing=label_smoothing, tied=tied)
        if tied:
            self.output.weight = self.embedding.weight
        self.stepwise = bool(self.fed_size) or any(one.needs_previous for one in self.attentions)

    # Training and scoring: the whole target at once.

    def loss(self, encoded: Sequence[Encoded], targets: Steps) -> Loss:
        heard, truth = self._shifted(targets)
        features = self._dropped(self._features(encoded, heard, self.scheduled_sampling if self.training else 0.0))
        return Loss(self.output.loss(features, truth), len(truth))

    def score(self, encoded: Sequence[Encoded], targets: Steps) -> Scored:
        heard, truth = self._shifted(targets)
        return scored(self.output, self._features(encoded, heard, 0.0), truth, heard.layout)

    def _shifted(self, targets: Steps) -> tuple[Steps, Tensor]:
        """What is heard (begin, then the targets) and what is to be said after each (the targets, then end)."""
        return targets.prepended(self.begin), targets.appended(self.end).values

    # Generation.

    def start(self, encoded: Sequence[Encoded]) -> Decoding:
        rows = len(encoded[0].summary if encoded[0].steps is None else encoded[0].steps.layout)
        memory = tuple(
            Memory.of(attention, encoded[place].steps) for attention, place in zip(self.attentions, self.attended)
        )
        values = self._start_values(encoded)
        for k, attention in enumerate(self.attentions):
            if attention.needs_previous:
                values[f"previous.{k}"] = self.embedding.weight.new_zeros(rows, memory[k].values.shape[1])
        return Decoding(memory, torch.arange(rows, device=self.embedding.weight.device), values)

    def _start_values(self, encoded: Sequence[Encoded]) -> dict[str, Tensor]:
        """The cells' states before the first step and, with input feeding, what is fed at it."""
        rows = len(encoded[0].summary if encoded[0].steps is None else encoded[0].steps.layout)
        weight = self.embedding.weight
        names = [f"{layer}.{k}" for layer, cell in enumerate(self.cells) for k in range(cell.num_states)]
        if self.bridge is None:
            starts = [weight.new_zeros(rows, self.hidden_size) for _ in names]
        else:
            read = [one.state if whole else (one.summary,) for one, whole in zip(encoded, self.starts_from_state)]
            last = torch.cat([one for each in read for one in each if one is not None], 1)
            starts = torch.tanh(linear(last, self.bridge.weight, self.bridge.bias)).split(self.hidden_size, 1)
        values = dict(zip(names, starts))
        if self.input_feeding:
            values["fed"] = weight.new_zeros(rows, self.fed_size)
        return values

    def extend(self, steps: Steps, state: Decoding) -> tuple[Tensor, Decoding]:
        features, state = self._run(steps, state)
        return self._logits(features), state

    def step(self, symbols: Tensor, state: Decoding) -> tuple[Tensor, Decoding]:
        embedded = self._dropped(rows_of(self.embedding, symbols))
        if self._steps_natively(embedded, state):
            return self._native_step(embedded, state)
        if not self.attentions:
            return self._plain_step(embedded, state)
        loop = _Loop(self)
        parts, values, weights = self._one(loop, loop.gates(embedded), embedded, state.values, state.memory, state.rows)
        return self._logits(self._read_out(parts), state), replace(state, values=values, attention=weights)

    def _steps_natively(self, embedded: Tensor, state: Decoding) -> bool:
        """Whether `step` can go through the native loop: no gradient, one memory, nothing that it lacks."""
        return (
            not torch.is_grad_enabled()
            and len(self.attentions) == 1
            and bool(state.memory[0].layout.total)
            and not (self.training and self.dropout)
            and self._native_obstacle() is None
        )

    def _native_step(self, embedded: Tensor, state: Decoding) -> tuple[Tensor, Decoding]:
        attention, (memory, keys) = self.attentions[0], state.memory[0].packed
        states = [
            tuple(state.values[f"{layer}.{k}"] for k in range(cell.num_states)) for layer, cell in enumerate(self.cells)
        ]
        readout = None
        if not self.context_first:
            readout = self._readout(state.values.get("fed"), len(embedded))
        after, read, contexts, weights = decoder.step(
            self.cells, embedded, states, keys, memory, state.rows, attention.native(), readout, state.packed["loop"]
        )
        values = {f"{layer}.{k}": one for layer, states in enumerate(after) for k, one in enumerate(states)}
        if self.input_feeding:
            values["fed"] = read
        padded = functional.pad(weights, (0, state.memory[0].values.shape[1] - weights.shape[1]))
        features = self._read_out([read, contexts, embedded]) if self.context_first else read
        return self._logits(features, state), replace(state, values=values, attention=(padded,))

    def _plain_step(self, embedded: Tensor, state: Decoding) -> tuple[Tensor, Decoding]:
        """Without attention a step is a scan of one step for each hypothesis."""
        layout, values, top = Layout.equal(len(embedded), 1, embedded.device), dict(state.values), embedded
        for layer, cell in enumerate(self.cells):
            before = tuple(values[f"{layer}.{k}"] for k in range(cell.num_states))
            top, after = scan(cell, self._dropped(top) if layer else top, before, layout)
            values |= {f"{layer}.{k}": one for k, one in enumerate(after)}
        return self._logits(self._read_out([top]), state), replace(state, values=values)

    def _logits(self, features: Tensor, state: Decoding | None = None) -> Tensor:
        return self.output(self._dropped(features), None if state is None else state.packed)

    # The decoder.

    def obstacle(self) -> str | None:
        if not self.stepwise and not self.scheduled_sampling:
            return None
        if self.scheduled_sampling and self.training:
            return "scheduled_sampling hears what the step before said"
        return self._native_obstacle()

    def _native_obstacle(self) -> str | None:
        """Why the native loop cannot take this head, or None."""
        if any(chosen(cell) != "native" for cell in self.cells):
            return "its cells are not computed natively"
        if len(self.attentions) != 1:
            return f"the native loop attends to one input, not to {len(self.attentions)}"
        scores = self.attentions[0].native()
        return scores if isinstance(scores, str) else decoder.obstacle(self.cells)

    def _features(self, encoded: Sequence[Encoded], heard: Steps, sampled: float) -> Tensor:
        """What the softmax reads after each step heard (N, A), for targets that are known."""
        if not heard.layout.total or sampled or not self.attentions or self._native_obstacle():
            return self._run(heard, self.start(encoded), sampled)[0]
        attention, memory = self.attentions[0], encoded[self.attended[0]].steps
        values = self._start_values(encoded)
        x = self._dropped(rows_of(self.embedding, heard.values))
        num_layers = range(len(self.cells))
        ones = x.new_ones(len(x), self.hidden_size)
        masks = [self._dropped(ones) if self.dropout and self.training else None for _ in num_layers[1:]]
        states = [tuple(values[f"{layer}.{k}"] for k in range(self.cells[layer].num_states)) for layer in num_layers]
        readout = None
        if not self.context_first:
            readout = self._readout(values.get("fed"), len(heard.layout))
        found, contexts = decoder.decode(
            self.cells,
            Steps(x, heard.layout),
            states,
            attention.prepare(memory.values),
            memory,
            attention.native(),
            readout,
            masks,
        )
        return self._read_out([found, contexts, x]) if self.context_first else found

    def _readout(self, fed: Tensor | None, rows: int) -> decoder.Readout:
        if fed is None:
            fed = self.readout.weight.new_zeros(rows, len(self.readout.weight))
        return decoder.Readout(self.readout.weight, self.readout.bias, fed)

    def _run(self, heard: Steps, state: Decoding, sampled: float = 0.0) -> tuple[Tensor, Decoding]:
        """Readouts (N, A) after each step heard, and the state after the last; a sequence without steps keeps its state."""
        if not heard.layout.total:
            return self.embedding.weight.new_zeros(0, self.readout_size), state
        if self.stepwise or sampled:
            return self._run_stepwise(heard, state, sampled)
        return self._run_whole(heard, state)

    def _looked(self, state: Decoding) -> tuple[Tensor, ...]:
        """The weights of the step before, zeros where there was none."""
        fresh = self.embedding.weight.new_zeros
        return state.attention or tuple(fresh(len(state.rows), one.values.shape[1]) for one in state.memory)

    def _run_whole(self, heard: Steps, state: Decoding) -> tuple[Tensor, Decoding]:
        """When nothing that is found at a step enters the recurrence: one scan a layer, then attention for all steps at once."""
        layout, values = heard.layout, dict(state.values)
        x = self.embedding(heard.values)
        for layer, cell in enumerate(self.cells):
            before = tuple(values[f"{layer}.{k}"] for k in range(cell.num_states))
            x, after = scan(cell, self._dropped(x), before, layout)
            values |= {f"{layer}.{k}": one for k, one in enumerate(after)}
        parts, last = [x], []
        query = Steps(x, layout).padded() if self.attentions else None
        numbers = torch.arange(len(layout), device=state.rows.device)
        in_order = torch.equal(state.rows, numbers)
        lengths = layout.lengths.to(numbers.device)
        for attention, memory, looked in zip(self.attentions, state.memory, self._looked(state)):
            whole = in_order and len(memory.layout) == len(layout)
            context, weights = (memory if whole else memory.take(state.rows)).attend(attention, query)
            parts.append(Steps.from_padded(context, layout).values)
            last.append(torch.where(lengths[:, None] > 0, weights[numbers, (lengths - 1).clamp(min=0)], looked))
        return self._read_out(parts), replace(state, values=values, attention=tuple(last))

    def _run_stepwise(self, heard: Steps, state: Decoding, sampled: float) -> tuple[Tensor, Decoding]:
        """Step after step, sequences from longest to shortest, each step over those still alive."""
        layout, loop = heard.layout, _Loop(self)
        order = layout.order
        memory = tuple(one.take(state.rows.index_select(0, order)) for one in state.memory)
        values = {name: value.index_select(0, order) for name, value in state.values.items()}
        in_time = self._dropped(self.embedding(heard.values.index_select(0, layout.time_major)))
        embedded, gates = in_time.split(layout.alive), loop.gates(in_time).split(layout.alive)
        ended: list[dict[str, Tensor]] = []
        parts: list[list[Tensor]] = []
        weights = tuple(one.index_select(0, order) for one in self._looked(state))
        width = len(layout)
        for time, alive in enumerate(layout.alive):
            if alive < width:
                whole = values | {f"weights.{k}": one for k, one in enumerate(weights)}
                ended.append({name: value[alive:] for name, value in whole.items()})
                values = {name: value[:alive] for name, value in values.items()}
                memory = tuple(one.first(alive) for one in memory)
                width = alive
            heard_now, gates_now = embedded[time], gates[time]
            if sampled and time:
                with torch.no_grad():
                    own = self.output(self._read_out([one[:alive] for one in parts[-1]])).argmax(1)
                lots = torch.rand(alive, 1, device=own.device) < sampled
                heard_now = torch.where(lots, self._dropped(self.embedding(own)), heard_now)
                gates_now = loop.gates(heard_now)
            said, values, weights = self._one(loop, gates_now, heard_now, values, memory, None)
            parts.append(said)
        features = [torch.cat(column).index_select(0, layout.packed) for column in zip(*parts)]
        last = values | {f"weights.{k}": one for k, one in enumerate(weights)}
        back = torch.argsort(order)
        after = {
            name: torch.cat([last[name], *(one[name] for one in reversed(ended))]).index_select(0, back)
            for name in last
        }
        attention = tuple(after.pop(f"weights.{k}") for k in range(len(weights)))
        return self._read_out(features), replace(state, values=after, attention=attention)

    def _one(
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
            contexts, weights = self._look(top, values, memory, rows)
            gates = gates + loop.fed(torch.cat(contexts, 1))
        elif self.input_feeding:
            gates = gates + loop.fed(values["fed"])
        for layer, cell in enumerate(self.cells):
            if layer:
                gates = loop.below[layer](self._dropped(top))
            state: State = tuple(values[f"{layer}.{k}"] for k in range(cell.num_states))
            state = cell.step(gates, state, loop.products[layer])
            values |= {f"{layer}.{k}": one for k, one in enumerate(state)}
            top = state[0]
        if not self.context_first and self.attentions:
            contexts, weights = self._look(top, values, memory, rows)
        parts = [top, *contexts, embedded] if self.context_first else [top, *contexts]
        if self.input_feeding:
            values["fed"] = torch.tanh(loop.readout(torch.cat(parts, 1)))
            parts = [values["fed"]]
        return parts, values, weights

    def _look(
        self, query: Tensor, values: dict[str, Tensor], memory: tuple[Memory, ...], rows: Tensor | None
    ) -> tuple[list[Tensor], tuple[Tensor, ...]]:
        contexts, weights = [], []
        for k, (attention, one) in enumerate(zip(self.attentions, memory)):
            previous = values.get(f"previous.{k}")
            if rows is not None:
                context, weight = one.attend_rows(attention, query, rows, previous)
            else:
                seen = one.attend(attention, query.unsqueeze(1), None if previous is None else previous.unsqueeze(1))
                context, weight = seen[0].squeeze(1), seen[1].squeeze(1)
            contexts.append(context)
            weights.append(weight)
            if attention.needs_previous:
                values[f"previous.{k}"] = weight
        return contexts, tuple(weights)

    def _read_out(self, parts: list[Tensor]) -> Tensor:
        if self.input_feeding or self.readout is None:
            return parts[0]
        return torch.tanh(linear(torch.cat(parts, 1), self.readout.weight, self.readout.bias))

    def _dropped(self, values: Tensor) -> Tensor:
        return dropped(values, self.dropout) if self.dropout and self.training else values


class _Loop:
    """The products of one call of the decoder, their weights' gradients each one product after the loop."""

    def __init__(self, head: Autoregressive):
        first, size = head.cells[0], head.embedding_size
        self.weight, self.bias = first.weight_x[:, :size], first.bias_x
        self.fed = DeferredLinear(first.weight_x[:, size:]) if head.fed_size else None
        self.below = [None] + [DeferredLinear(cell.weight_x, cell.bias_x) for cell in head.cells[1:]]
        self.products = [cell.products() for cell in head.cells]
        self.readout = DeferredLinear(head.readout.weight, head.readout.bias) if head.input_feeding else None

    def gates(self, embedded: Tensor) -> Tensor:
        return functional.linear(embedded, self.weight, self.bias)


def _check(
    attended: list[int], widths: list[int], attention: Settings | None, context: str, input_feeding: bool, bridge: bool
) -> None:
    if attention is not None and not attended:
        raise ConfigError("attention: no input that this output reads has steps to attend to; set attention: none")
    for place, width in enumerate(widths):
        if place not in attended and not (bridge and width):
            which = f"input {place + 1} of {len(widths)} in `reads`" if len(widths) > 1 else "the input"
            raise ConfigError(
                f"bridge: nothing of {which} would reach the output, which has neither attention to its steps nor a bridge from"
                " its last state; set bridge: true, or an attention where it has steps"
            )
    if input_feeding and context == "before":
        raise ConfigError(
            "input_feeding: needs context: after; with the context before the cell it enters the cell already"
        )
    if input_feeding and attention is None:
        raise ConfigError("input_feeding: feeds back what attention found; set an attention, or input_feeding: false")
    if attention is None and context == "before":
        raise ConfigError("context: there is no context without attention; leave it out")
