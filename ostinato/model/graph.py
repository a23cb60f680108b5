"""The fixed graph: modalities, encoders, joins and heads wired by the names that a recipe gives them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ostinato import alignments, registry
from ostinato.cells.contract import Cell
from ostinato.encoders.contract import Encoded, Encoder, Source
from ostinato.errors import ConfigError, nearest, placed
from ostinato.heads.contract import Generator, Head, Loss, Sizes, Span
from ostinato.kernels.dispatch import backend
from ostinato.layers.embedding import Embedding
from ostinato.layers.memory import within_memory
from ostinato.layers.pooling import by_words
from ostinato.modalities.contract import Modality, Spec, Symbols
from ostinato.model.batch import Batch
from ostinato.model.columns import copied, encoder_owner, reads_of, traits_of
from ostinato.model.continuation import Continuation
from ostinato.registry import Settings, build, component
from ostinato.steps import Layout, Steps

ROOMS = {"encoders": "inputs.{}.encoder", "joins": "outputs.{}.join", "heads": "outputs.{}.head"}
"""The place in a recipe of each part of a graph."""


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
        self.scored: dict[str, list[str]] = {}
        # Of each output with a join, the places of what goes through it, and of the scores of labels around it.
        self._joined: dict[str, tuple[list[int], list[int]]] = {}
        self.alignments = {name: alignments.of(settings) for name, settings in outputs.items()}
        self.continues = {name: outputs[name].of for name, alignment in self.alignments.items() if alignment.continues}
        self.weights = {name: settings.weight for name, settings in outputs.items()}
        # Of an input that outputs continue, the last of these outputs: its head prepares the input.
        self._prepares = {of: name for name, of in self.continues.items()}
        self._owner = {name: encoder_owner(name, inputs) for name in inputs}
        specs = {name: modalities[f"inputs.{name}"].spec for name in inputs}
        # Of inputs whose unknown symbols have numbers of their own: the size of the vocabulary, and the unknown symbol.
        self._numbered = {
            name: (specs[name].size, specs[name].unknown)
            for name in {copied(settings, inputs) for settings in outputs.values()} - {None}
            if isinstance(specs[name], Symbols)
        }
        self._pooling = {name: spec.pooling for name, spec in specs.items() if spec.pooling != "none"}
        for name, settings in inputs.items():
            if self._owner[name] == name:
                spec = dataclasses.replace(specs[name], pooling="none") if name in self._pooling else specs[name]
                _demand_reader(f"inputs.{name}.encoder", settings, spec)
                self.encoders[name] = _built(f"inputs.{name}.encoder", settings.encoder, "encoders", spec)
        for name, settings in outputs.items():
            self.reads[name] = reads_of(settings, inputs)
            encoders = [self.encoder(read) for read in self.reads[name]]
            sizes = [
                Sizes(reader.steps_size, reader.summary_size, reader.state_sizes, reader.counts) for reader in encoders
            ]
            spec, names = modalities[f"outputs.{name}"].spec, self.reads[name]
            if settings.join is not None:
                takes_scores = component("heads", settings.head.type).takes_scores
                around = [
                    at for at, size in enumerate(sizes) if takes_scores and size.counted and size.summary == spec.size
                ]
                joined = [at for at in range(len(sizes)) if at not in around]
                self._joined[name] = joined, around
                widths = [sizes[at].steps for at in joined], [sizes[at].summary for at in joined]
                self.joins[name] = join = _built(f"outputs.{name}.join", settings.join, "joins", *widths)
                sizes = [Sizes(join.steps_size, join.summary_size, ()), *(sizes[at] for at in around)]
                names = ["", *(names[at] for at in around)]
            wired: list[Any] = [spec, sizes]
            if self.alignments[name].windows:
                ahead = tuple(traits_of(inputs[read]).known_future for read in self.reads[name])
                wired.append(Span(settings.lookback, settings.horizon, ahead))
            self.heads[name] = _built(f"outputs.{name}.head", settings.head, "heads", *wired)
            if name in self.continues:
                self._connect(name)
            if self.heads[name].shares_vocabulary:
                self._demand_one_vocabulary(name, modalities, "copying")
            if self.heads[name].shares_embedding:
                self._share(name, modalities)
            self.scored[name] = [names[at] for at in self.heads[name].scored]
        self._demand_one_reader()
        # In training the scores of these are asked by nobody.
        self._idle = {
            read for name, scored in self.scored.items() if len(self.reads[name]) > len(scored) for read in scored
        }
        parts = {f"inputs.{name}": self.encoder(name) for name in inputs} | dict(self.joins.items())
        for place, part in [*parts.items(), *self.heads.items()]:
            self.weights |= {f"{place}.{penalty}": 1.0 for penalty in part.penalties}

    def weights_at(self, update: int) -> dict[str, float]:
        """What losses and penalties are multiplied by in an update, the first being 0."""
        own = {name: join.penalty_weights(update) for name, join in self.joins.items()}
        return self.weights | {f"{name}.{penalty}": weight for name in own for penalty, weight in own[name].items()}

    def _connect(self, name: str) -> None:
        """Checks an output that continues an input against that input's encoder, and connects both."""
        of, head = self.continues[name], self.heads[name]
        encoder = self.encoder(of)
        if not encoder.causal:
            raise ConfigError(
                f"inputs.{of}.encoder: outputs.{name} predicts what follows each step, and this encoder reads later"
                " steps before; set bidirectional: false (and no reversed_source)"
            )
        if encoder.reduction > 1:
            raise ConfigError(
                f"inputs.{of}.encoder: outputs.{name} predicts what follows each step, and this encoder joins"
                f" {encoder.reduction} steps in one; choose the encoder that it holds, or another that joins none"
            )
        for other, its in self.continues.items():
            if its == of and other in self.heads and self.heads[other].preparation != head.preparation:
                option = next(iter({**head.preparation, **self.heads[other].preparation}))
                raise ConfigError(
                    f"outputs.{name}.head.{option}: another output continues '{of}' too, and both read it in one unit;"
                    " give both the same"
                )
        try:
            head.continue_from(encoder)
        except ConfigError as why:
            raise ConfigError(f"outputs.{name}.head: {why}") from None

    def _share(self, name: str, modalities: Mapping[str, Modality]) -> None:
        """Gives an output and the first input that it reads one embedding."""
        first = self.reads[name][0]
        self._demand_one_vocabulary(name, modalities, "an embedding that is shared")
        try:
            self.heads[name].share_embedding(self.encoder(first))
        except ConfigError as why:
            raise ConfigError(f"outputs.{name}.head: {why}") from None

    def _demand_one_vocabulary(self, name: str, modalities: Mapping[str, Modality], what: str) -> None:
        first = self.reads[name][0]
        if modalities[f"inputs.{first}"].facts() != modalities[f"outputs.{name}"].facts():
            raise ConfigError(
                f"outputs.{name}.head: {what} needs one vocabulary, and inputs.{first} has another; set"
                f" outputs.{name}.tokenizer: {{same_as: {first}}}"
            )

    def _demand_one_reader(self) -> None:
        """Weights that an output solves for are its own."""
        for output, scored in self.scored.items():
            for name in scored:
                readers = [other for other in self.reads if name in self.reads[other]]
                sharing = self.readers(self._owner[name])
                if len(readers) > 1 or len(sharing) > 1:
                    raise ConfigError(
                        f"inputs.{name}.encoder: its weights are solved for the labels of outputs.{output}, and"
                        f" {', '.join(readers)} read it, by an encoder of {', '.join(sharing)}; give each output an"
                        " input of its own, with the same column, and name it in `reads`; or set another size, for a"
                        " vector that all learn"
                    )

    def readers(self, owner: str) -> list[str]:
        """The inputs that the encoder of this one reads."""
        return [name for name, its in self._owner.items() if its == owner]

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    def hold(self) -> None:
        """Takes what was solved for out of training."""
        for name in {name for scored in self.scored.values() for name in scored}:
            self.encoder(name).requires_grad_(False)

    def settle(self, held_out: Callable[[], Iterable[Batch]]) -> None:
        """Fits on held-out examples what heads fit there."""
        for output in (output for output, scored in self.scored.items() if scored):
            self.heads[output].settle(
                (of_rows(self.read(output, batch.inputs), batch.given.get(output)), batch.targets[output])
                for batch in held_out()
            )

    def embedding(self, name: str) -> Embedding:
        """The embedding of an input."""
        return next(module for module in self.encoder(name).modules() if isinstance(module, Embedding))

    def encoder(self, name: str) -> nn.Module:
        return self.encoders[self._owner[name]]

    def generator(self, output: str) -> Generator:
        """What a search asks."""
        head = self.heads[output]
        return Continuation(self.encoder(self.continues[output]), head) if output in self.continues else head

    def encode(self, inputs: Mapping[str, Steps]) -> dict[str, Encoded]:
        """Each input encoded; one that an output continues as its head prepares it."""
        encoded = {}
        for name, encoder, steps, source in self._readings(inputs):
            encoded[name] = encoder.encode(steps)._replace(source=source)
        return encoded

    def _readings(self, inputs: Mapping[str, Steps]) -> Iterator[tuple[str, Encoder, Steps, Source]]:
        """For each input its encoder, what that reads, and the source that a head may read again."""
        for name, steps in inputs.items():
            encoder = self.encoder(name)
            if name in self._pooling:
                steps = steps.with_values(_pieces(steps.values))
            source = Source(steps, encoder)
            steps = self.as_read(name, steps)
            if name in self._prepares:
                steps = self.heads[self._prepares[name]].prepare_input(steps)
            yield name, encoder, steps, source

    def as_read(self, name: str, steps: Steps) -> Steps:
        """An input as its encoder reads it: symbols that the vocabulary lacks are the unknown one, whatever numbers
        they have for a head that copies."""
        if name not in self._numbered:
            return steps
        (size, unknown), values = self._numbered[name], steps.values
        if values.ndim == 1:
            return steps.with_values(values.masked_fill(values >= size, unknown))
        first = values[:, :1]
        return steps.with_values(torch.cat([first.masked_fill(first >= size, unknown), values[:, 1:]], 1))

    def read(self, output: str, inputs: Mapping[str, Steps]) -> list[Encoded]:
        """What an output reads, encoded; through its join if it has one."""
        return self.wired(output, self.encode({name: inputs[name] for name in self.reads[output]}), inputs)

    def wired(self, output: str, encoded: Mapping[str, Encoded], inputs: Mapping[str, Steps]) -> list[Encoded]:
        """What an output reads of inputs that are encoded; through its join if it has one."""
        own = self.continues.get(output)
        read = [
            self.heads[self._prepares[name]].as_others_read(encoded[name])
            if name in self._prepares and name != own
            else encoded[name]
            for name in self.reads[output]
        ]
        labelled = self.reads[output][0]
        if self.alignments[output].labels_steps and labelled in self._pooling and read[0].steps is not None:
            pooled = by_words(self._pooling[labelled], read[0].steps, inputs[labelled].values[:, -1])
            read[0] = read[0]._replace(steps=pooled)
        if output not in self.joins:
            return read
        joined, beside = self.parted(output, read)
        return [self.joins[output].join(joined), *beside]

    def parted(self, output: str, read: list[Encoded]) -> tuple[list[Encoded], list[Encoded]]:
        """Of what an output reads, what its join makes into one, and what its head takes beside that."""
        joined, beside = ([read[at] for at in places] for places in self._joined[output])
        return joined, beside

    def as_continued(self, output: str, steps: Steps) -> Steps:
        """The input that an output continues, as its encoder reads it for this output."""
        return self.heads[output].prepare_input(self.as_read(self.continues[output], steps))

    def losses(self, batch: Batch) -> dict[str, Loss]:
        """The loss of each output, then each penalty; an input is encoded once, whatever outputs read it and rows have
        a target."""
        encoded = {}
        for name, encoder, steps, source in self._readings(batch.inputs):  # as `encode`, without its call
            idle = self.training and name in self._idle
            encoded[name] = Encoded(None, None, None) if idle else encoder.encode(steps)._replace(source=source)
        losses, penalties = {}, {f"inputs.{name}": read.penalties for name, read in encoded.items() if read.penalties}
        for output, head in self.heads.items():
            read = self.wired(output, encoded, batch.inputs)
            losses[output] = loss = head.loss(of_rows(read, batch.given.get(output)), batch.targets[output])
            if output in self.joins or loss.penalties:
                own = read[0].penalties if output in self.joins else {}
                by_target = {name: (total, count or loss.count) for name, (total, count) in own.items()}
                penalties[output] = {**loss.penalties, **by_target}
        return losses | self._as_losses(penalties) if penalties else losses

    def losses_from(self, batch: Batch, carried: tuple[Tensor, ...]) -> tuple[dict[str, Loss], tuple[Tensor, ...]]:
        """The losses of a chunk of streams, and the states after it, without their gradient, for the next chunk.

        Every output continues one input (`recipe` checks it); the others that they read are read whole with each piece.

        Args:
            batch: whose rows are pieces.
            carried: what the chunk before gave; of no use, and perhaps empty, where no row continues one of it.
        """
        of, output = next((of, name) for name, of in self.continues.items())
        read = self.heads[output].prepare_input(batch.inputs[of], batch.pieces.before < 0)
        encoded = {name: self.encoder(name).encode(steps) for name, steps in batch.inputs.items() if name != of}
        encoded[of] = self.encoder(of).encode(read, self._taken_up(of, read, carried, batch.pieces.before))
        losses, penalties = {}, {f"inputs.{name}": read.penalties for name, read in encoded.items() if read.penalties}
        for name, head in self.heads.items():
            read = self.wired(name, encoded, batch.inputs)
            losses[name] = loss = head.piece_loss(read, batch.targets[name], batch.pieces.ends)
            penalties[name] = loss.penalties
        return losses | self._as_losses(penalties), tuple(part.detach() for part in encoded[of].state)

    def _as_losses(self, penalties: Mapping[str, Mapping[str, tuple[Tensor, int]]]) -> dict[str, Loss]:
        """Penalties by the place that adds them and by name, under `PLACE.NAME`."""
        losses = {f"{place}.{name}": Loss(*parts) for place, own in penalties.items() for name, parts in own.items()}
        unlisted = losses.keys() - self.weights.keys()
        if unlisted:
            raise TypeError(f"penalties that no part lists in its attribute `penalties`: {', '.join(sorted(unlisted))}")
        return losses

    def _taken_up(
        self, name: str, steps: Steps, carried: tuple[Tensor, ...], before: Tensor
    ) -> tuple[Tensor, ...] | None:
        """The state of each row: the one after the row that it continues, or the start state."""
        starts = before < 0
        if bool(starts.all()):
            return None
        fresh = ()
        if bool(starts.any()):
            # The state after nothing is the start state, learnt or not, of whatever encoder.
            fresh = self.encoder(name).encode(Steps(steps.values[:0], Layout.equal(1, 0, steps.layout.device))).state
        device = steps.values.device
        rows = torch.where(starts, len(carried[0]), before).to(device)
        state = carried if not fresh else tuple(_stacked(old.to(new), new) for old, new in zip(carried, fresh))
        return tuple(part.index_select(0, rows) for part in state)

    def parts(self) -> dict[str, int]:
        """Number of parameters of each encoder, join and head, by its place in the recipe; one that is shared counts at
        the first."""
        seen: set[nn.Parameter] = set()
        numbers = {}
        for place, module in self.places().items():
            own = set(module.parameters()) - seen
            numbers[place] = sum(parameter.numel() for parameter in own)
            seen |= own
        return numbers

    def recurrences(self) -> dict[str, str]:
        """How the recurrences of each encoder and head are computed, and why where it is not the native kernel."""
        backends: dict[str, list[str]] = {}
        for place, module in self.places().items():
            for cell in module.modules():
                if isinstance(cell, Cell) and (name := backend(cell)) not in backends.setdefault(place, []):
                    backends[place].append(name)
            if isinstance(module, Head) and (why := module.obstacle()):
                backends[place].append(f"targets step by step in Python ({why})")
        return {place: "; ".join(names) for place, names in backends.items()}

    def places(self) -> dict[str, nn.Module]:
        """Each encoder, join and head by its place in the recipe; one that inputs share at the first."""
        return {path_of(f"{room}.{name}"): module for room in ROOMS for name, module in getattr(self, room).items()}

    def owners(self) -> dict[nn.Module, str]:
        """The place of the part of the recipe that each module belongs to."""
        return {module: place for place, part in self.places().items() for module in part.modules()}

    def sources(self) -> dict[str, list[str]]:
        """What each join and head reads, by its place and in its order: the places of inputs, or of a join."""
        sources = {}
        for output, names in self.reads.items():
            read = [f"inputs.{name}" for name in names]
            if output in self.joins:
                joined, around = self._joined[output]
                join = path_of(f"joins.{output}")
                sources[join] = [read[at] for at in joined]
                read = [join, *(read[at] for at in around)]
            sources[path_of(f"heads.{output}")] = read
        return sources

    def distances(self) -> dict[str, int]:
        """How many layers each weight is away from the outputs: 0 in heads and joins, 1 in the top layer of an encoder,
        most in its embedding."""
        away: dict[nn.Parameter, int] = {}
        for encoder in self.encoders.values():
            layers = encoder.layers()
            away |= dict.fromkeys(encoder.parameters(), len(layers) + 1)
            for number, modules in enumerate(layers):
                away |= {weight: len(layers) - number for module in modules for weight in module.parameters()}
        return {name: away.get(weight, 0) for name, weight in self.named_parameters()}

    def freeze(self, patterns: Iterable[str]) -> None:
        """Takes the weights at these places out of training; patterns as `below` reads them.

        Errors:
            ConfigError: a pattern fits nothing, or nothing is left to train.
        """
        weights = {path_of(name): weight for name, weight in self.named_parameters()}
        for pattern in patterns:
            for path in below(pattern, weights, "training.freeze"):
                weights[path].requires_grad_(False)
            if not any(weight.requires_grad for weight in weights.values()):
                raise ConfigError(
                    f"training.freeze: {pattern} freezes the last of the weights, and nothing is left to train; leave"
                    f" it out, or name a part of {', '.join(self.parts())}"
                )


def _demand_reader(place: str, settings: Settings, spec: Spec) -> None:
    """That the encoder of an input reads such steps."""
    if not isinstance(spec, component("encoders", settings.encoder.type).takes):
        others = [name for name in registry.names("encoders") if isinstance(spec, component("encoders", name).takes)]
        raise ConfigError(
            f"{place}: {settings.encoder.type} does not read what an input of type {settings.type} holds; allowed here:"
            f" {', '.join(others)}"
        )


def path_of(name: str) -> str:
    """The place of a tensor in the recipe: `encoders.de.stack` -> `inputs.de.encoder.stack`."""
    room, _, rest = name.partition(".")
    column, dot, inside = rest.partition(".")
    return f"{ROOMS[room].format(column)}{dot}{inside}"


def below(pattern: str, paths: Iterable[str], where: str) -> list[str]:
    """The paths that a pattern names: a path, all below one, or either with `*` for any run of characters.

    Errors:
        ConfigError: none, with the nearest ones.
    """
    prefixes = {path: [".".join(path.split(".")[:end]) for end in range(1, path.count(".") + 2)] for path in paths}
    fitting = [path for path, own in prefixes.items() if any(fnmatchcase(prefix, pattern) for prefix in own)]
    if not fitting:
        depth = min(max(3, pattern.count(".") + 1), 5)
        known = {own[depth - 1] for own in prefixes.values() if len(own) >= depth}
        raise ConfigError(f"{where}: there is no part '{pattern}'{nearest(pattern, known)}")
    return fitting


def _pieces(values: Tensor) -> Tensor:
    """Pieces of words without the sign that a word begins."""
    return values[:, 0] if values.shape[1] == 2 else values[:, :-1]


def _stacked(old: Tensor, new: Tensor) -> Tensor:
    """The rows of two states; of steps (B, T, C) that were kept, those of the second end in zeros where it has
    fewer."""
    if old.ndim == 3:
        new = functional.pad(new, (0, 0, 0, old.shape[1] - new.shape[1]))
    return torch.cat([old, new])


def of_rows(encoded: list[Encoded], rows: Tensor | None) -> list[Encoded]:
    """These rows of what was encoded; None: all."""
    return encoded if rows is None else [read.select(rows) for read in encoded]


def _built(place: str, settings: Settings, room: str, *positional: Any) -> Any:
    """The component, or its refusal with its place in the recipe in front."""
    with placed(place), within_memory():
        return build(settings, room, *positional)
