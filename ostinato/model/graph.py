"""The fixed graph: modalities, encoders, joins and heads wired by the names that a recipe gives them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ostinato import alignments
from ostinato.cells.contract import Cell
from ostinato.encoders.contract import Encoded, Source
from ostinato.errors import ConfigError
from ostinato.heads.contract import Belief, Generator, Head, Loss, Scored, Sizes, Span
from ostinato.heads.forecast import Forecast
from ostinato.heads.next_step import NextStep
from ostinato.kernels.dispatch import backend
from ostinato.layers.embedding import Embedding
from ostinato.layers.pooling import by_words
from ostinato.modalities.contract import Modality, Symbols
from ostinato.model.batch import Batch
from ostinato.model.columns import encoder_owner, traits_of
from ostinato.model.continuation import Continuation
from ostinato.model.continuation import score as score_in_parts
from ostinato.registry import Settings, build, component
from ostinato.steps import Layout, Steps


class Graph(nn.Module):
    """Encoders by input, heads by output.

    Args:
        inputs: settings of each input, its encoder settled.
        outputs: settings of each output, align and head settled.
        modalities: the fitted modality of each input (`inputs.NAME`) and output (`outputs.NAME`).
    """

    def __init__(
        self, inputs: Mapping[str, Settings], outputs: Mapping[str, Settings], modalities: Mapping[str, Modality]
    ):
        super().__init__()
        self.encoders = nn.ModuleDict()
        self.heads = nn.ModuleDict()
        self.joins = nn.ModuleDict()
        self.reads: dict[str, list[str]] = {}
        self.goes_on = {name: settings.of for name, settings in outputs.items() if alignments.of(settings).continues}
        self.weights = {name: settings.weight for name, settings in outputs.items()}
        self._owner = {name: encoder_owner(name, inputs) for name in inputs}
        specs = {name: modalities[f"inputs.{name}"].spec for name in inputs}
        self._pooling = {
            name: one.pooling for name, one in specs.items() if isinstance(one, Symbols) and one.pooling != "none"
        }
        self._each = {name for name, settings in outputs.items() if alignments.of(settings).labels_steps}
        for name, settings in inputs.items():
            if self._owner[name] == name:
                spec = modalities[f"inputs.{name}"].spec
                if isinstance(spec, Symbols):
                    spec = dataclasses.replace(spec, pooling="none")
                self.encoders[name] = _built(f"inputs.{name}.encoder", settings.encoder, "encoders", spec)
        for name, settings in outputs.items():
            self.reads[name] = sorted(settings.reads or inputs, key=lambda one, of=settings.of: one != of)
            sizes = [
                Sizes(one.steps_size, one.summary_size, one.state_sizes) for one in map(self.encoder, self.reads[name])
            ]
            if settings.join is not None:
                widths = [one.steps for one in sizes], [one.summary for one in sizes]
                self.joins[name] = join = _built(f"outputs.{name}.join", settings.join, "joins", *widths)
                sizes = [Sizes(join.steps_size, join.summary_size, ())]
            wired: list[Any] = [modalities[f"outputs.{name}"].spec, sizes]
            if component("heads", settings.head.type) is Forecast:
                wired.append(
                    Span(
                        settings.lookback,
                        settings.horizon,
                        tuple(traits_of(inputs[one]).known_future for one in self.reads[name]),
                    )
                )
            self.heads[name] = _built(f"outputs.{name}.head", settings.head, "heads", *wired)
            if name in self.goes_on:
                self._check_next(name)

    def _check_next(self, name: str) -> None:
        of, head = self.goes_on[name], self.heads[name]
        encoder = self.encoder(of)
        if not encoder.causal:
            raise ConfigError(
                f"inputs.{of}.encoder: outputs.{name} says what follows each step, and this encoder sees later steps before;"
                " set bidirectional: false (and no reversed_source)"
            )
        others = [
            self.heads[one] for one, its in self.goes_on.items() if its == of and one != name and one in self.heads
        ]
        if isinstance(head, Forecast) and any(
            isinstance(one, Forecast) and one.normalize != head.normalize for one in others
        ):
            raise ConfigError(
                f"outputs.{name}.head.normalize: another output goes on from '{of}' too, and both read it in one unit; give both the same"
            )
        if isinstance(head, NextStep) and head.tied:
            embedding = next((one for one in encoder.modules() if isinstance(one, nn.Embedding)), None)
            try:
                head.tie(embedding)
            except ConfigError as why:
                raise ConfigError(f"outputs.{name}.head: {why}") from None

    def start_from(self, name: str, vectors: Tensor) -> None:
        """Puts these vectors into the embedding of an input, one for each of its symbols."""
        next(one for one in self.encoder(name).modules() if isinstance(one, Embedding)).start_from(vectors)

    def encoder(self, name: str) -> nn.Module:
        return self.encoders[self._owner[name]]

    def generator(self, output: str) -> Generator:
        """What a search asks."""
        head = self.heads[output]
        return Continuation(self.encoder(self.goes_on[output]), head) if output in self.goes_on else head

    def encode(self, inputs: Mapping[str, Steps]) -> dict[str, Encoded]:
        """Each input encoded; one that an output goes on from begins with the begin symbol, a series is read in its window's unit."""
        begins = {
            of: self.heads[name].begin for name, of in self.goes_on.items() if isinstance(self.heads[name], NextStep)
        }
        forecasts = {
            of: self.heads[name] for name, of in self.goes_on.items() if isinstance(self.heads[name], Forecast)
        }
        found = {}
        for name, one in inputs.items():
            if name in self._pooling:
                one = one.with_values(_pieces(one.values))
            if name in forecasts:
                read = self.encoder(name).encode(forecasts[name].seen(one))
                found[name] = read._replace(source=Source(one, self.encoder(name)))
            else:
                found[name] = self.encoder(name).encode(_begun(one, begins.get(name)))
        return found

    def read(self, output: str, inputs: Mapping[str, Steps]) -> list[Encoded]:
        """What an output reads, encoded; through its join if it has one."""
        return self._read(output, self.encode({name: inputs[name] for name in self.reads[output]}), inputs)

    def _read(self, output: str, encoded: Mapping[str, Encoded], inputs: Mapping[str, Steps]) -> list[Encoded]:
        own = self.goes_on.get(output)
        begun = {of for name, of in self.goes_on.items() if isinstance(self.heads[name], NextStep)}
        read = [
            _without_first(encoded[one]) if one in begun and one != own else encoded[one] for one in self.reads[output]
        ]
        labelled = self.reads[output][0]
        if output in self._each and labelled in self._pooling and read[0].steps is not None:
            pooled = by_words(self._pooling[labelled], read[0].steps, inputs[labelled].values[:, -1])
            read[0] = read[0]._replace(steps=pooled)
        return self._joined(output, read)

    def prompted(self, output: str, inputs: Mapping[str, Steps]) -> tuple[list[Encoded], Tensor | None]:
        """What a generation starts from, and the symbol that each example is told first, or None for the generator's own.

        Of the input that the output goes on from all but the last symbol is read; that one is told.
        """
        of = self.goes_on.get(output)
        if of is None:
            return self.read(output, inputs), None
        heard = _begun(inputs[of], self.heads[output].begin)
        last = heard.layout.offsets[1:].to(heard.values.device) - 1
        others = self.encode({name: inputs[name] for name in self.reads[output] if name != of})
        return [self.encoder(of).encode(heard.without_last()), *others.values()], heard.values[last]

    def _joined(self, output: str, encoded: list[Encoded]) -> list[Encoded]:
        return [self.joins[output].join(encoded)] if output in self.joins else encoded

    def losses(self, batch: Batch) -> dict[str, Loss]:
        """The loss of each output; an input that several outputs read is encoded once, whatever rows have a target."""
        encoded = self.encode(batch.inputs)
        losses = {}
        for output, head in self.heads.items():
            read = self._read(output, encoded, batch.inputs)
            losses[output] = head.loss(_of_rows(read, batch.given.get(output)), batch.targets[output])
        return losses

    def losses_from(self, batch: Batch, carried: tuple[Tensor, ...]) -> tuple[dict[str, Loss], tuple[Tensor, ...]]:
        """The losses of a chunk of streams, and what the next chunk goes on from: the states after it, without their gradient.

        Every output goes on from one input (`recipe` sees to that); the others that they read are read whole with each piece.

        Args:
            carried: what the chunk before gave; of no use, and perhaps empty, where no row goes on.
        """
        of = next(iter(self.goes_on.values()))
        heads: dict[str, NextStep] = dict(self.heads.items())
        read = _begun(batch.inputs[of], next(iter(heads.values())).begin, batch.pieces.before < 0)
        encoded = {name: self.encoder(name).encode(one) for name, one in batch.inputs.items() if name != of}
        encoded[of] = self.encoder(of).encode(read, self._taken_up(of, read, carried, batch.pieces.before))
        ends = batch.pieces.ends
        losses = {}
        for name, head in heads.items():
            losses[name] = head.piece_loss(self._read(name, encoded, batch.inputs), batch.targets[name], ends)
        return losses, tuple(one.detach() for one in encoded[of].state)

    def _taken_up(
        self, name: str, steps: Steps, carried: tuple[Tensor, ...], before: Tensor
    ) -> tuple[Tensor, ...] | None:
        """The state of each row: the one that it goes on from, or the start state."""
        starts = before < 0
        if bool(starts.all()):
            return None
        fresh = ()
        if bool(starts.any()):
            # The state after nothing is the start state, learnt or not, of whatever encoder.
            fresh = self.encoder(name).encode(Steps(steps.values[:0], Layout.equal(1, 0, steps.layout.device))).state
        device = steps.values.device
        rows = torch.where(starts, len(carried[0]), before).to(device)
        state = carried if not fresh else tuple(torch.cat([one.to(new), new]) for one, new in zip(carried, fresh))
        return tuple(one.index_select(0, rows) for one in state)

    @torch.no_grad()
    def score(self, output: str, batch: Batch) -> Scored:
        """The log-probability of the batch's targets: a row for each that has one."""
        head, rows, targets = self.heads[output], batch.given.get(output), batch.targets[output]
        if not isinstance(head, NextStep):
            return head.score(_of_rows(self.read(output, batch.inputs), rows), targets)
        of = self.goes_on[output]
        others = self.encode({name: batch.inputs[name] for name in self.reads[output] if name != of})
        heard = _begun(batch.inputs[of], head.begin)
        heard = heard if rows is None else heard.select(rows)
        return score_in_parts(self.encoder(of), head, heard, _of_rows([*others.values()], rows), targets)

    @torch.no_grad()
    def believe(self, output: str, inputs: Mapping[str, Steps], targets: Steps | None = None) -> Belief:
        """What an output that needs no search thinks of these inputs, and of true `targets` before each step of an answer."""
        return self.heads[output].believe(self.read(output, inputs), targets)

    def parts(self) -> dict[str, int]:
        """Number of parameters of each encoder, join and head, by its place in the recipe."""
        return {place: sum(one.numel() for one in module.parameters()) for place, module in self._places().items()}

    def recurrences(self) -> dict[str, str]:
        """How the recurrences of each encoder and head are computed, and why where it is not the native kernel."""
        found: dict[str, list[str]] = {}
        for place, module in self._places().items():
            for cell in module.modules():
                if isinstance(cell, Cell) and (said := backend(cell)) not in found.setdefault(place, []):
                    found[place].append(said)
            if isinstance(module, Head) and (why := module.obstacle()):
                found[place].append(f"targets step by step in Python ({why})")
        return {place: "; ".join(each) for place, each in found.items()}

    def _places(self) -> dict[str, nn.Module]:
        rooms = {"inputs.{}.encoder": self.encoders, "outputs.{}.join": self.joins, "outputs.{}.head": self.heads}
        return {place.format(name): module for place, room in rooms.items() for name, module in room.items()}


def _pieces(values: Tensor) -> Tensor:
    """Pieces of words without the sign that tells where a word begins."""
    return values[:, 0] if values.shape[1] == 2 else values[:, :-1]


def _begun(steps: Steps, begin: int | None, starts: Tensor | None = None) -> Steps:
    """The sequences with the begin symbol in front; where `starts` (B,) is given, of those alone for which it is true."""
    return steps if begin is None else steps.prepended(begin, starts)


def _without_first(encoded: Encoded) -> Encoded:
    """For an output that knows nothing of the begin symbol."""
    return encoded if encoded.steps is None else encoded._replace(steps=encoded.steps.without_first())


def _of_rows(encoded: list[Encoded], rows: Tensor | None) -> list[Encoded]:
    return encoded if rows is None else [one.select(rows) for one in encoded]


def _built(place: str, settings: Settings, room: str, *positional: Any) -> Any:
    """The component, or its refusal with its place in the recipe in front."""
    try:
        return build(settings, room, *positional)
    except ConfigError as why:
        raise ConfigError(f"{place}: {why}") from None
