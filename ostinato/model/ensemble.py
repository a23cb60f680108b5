"""Several trained runs as one: which may answer together, and heads of one vocabulary that generate as one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor

from ostinato.decoders.contract import Decoding, joined, parted
from ostinato.distributions.contract import Distribution
from ostinato.encoders.contract import Encoded
from ostinato.errors import ConfigError
from ostinato.heads.contract import Generator, Scored, by_step
from ostinato.layers.vocabulary import PIECE
from ostinato.modalities.contract import Modality, Values
from ostinato.model.columns import copied
from ostinato.model.continuation import scored_in_parts
from ostinato.registry import Settings, settings_class
from ostinato.steps import Steps

ALIKE = ("align", "of", "horizon", "lookback")
"""Of an output: what every member must have."""
UNCOMPARED = "counts", "kind"
"""Facts of labels that members may differ in: training alone reads how many there are, Python's answers their kind."""
MOST_SHOWN = 60
LEAST_PART = 16
"""Steps of each example that are scored at a time at least, however many symbols there are."""


class Member(NamedTuple):
    """What has to be alike in all members.

    Args:
        name: for messages.
        modalities: by place.
        columns: the settings of each input and output, by place.
    """

    name: str
    modalities: Mapping[str, Modality]
    columns: Mapping[str, Settings]


def refuse_unlike(members: Sequence[Member]) -> None:
    """Says nothing where all answer in the same symbols, labels and scales; each reads inputs of one type in its own
    way.

    Errors:
        ConfigError: one differs from the first; which, where and how.
    """
    first = members[0]
    for other in members[1:]:
        columns = {**first.columns, **other.columns}
        outputs = [place for place in columns if place.startswith("outputs.")]
        continued = [f"inputs.{columns[place].of}" for place in outputs if columns[place].of is not None]
        sources = [f"inputs.{source}" for place in outputs if (source := _copied(first, place)) is not None]
        for place in sorted({*outputs, *continued, *sources}):
            why = difference(first, other, place)
            if why is not None:
                raise ConfigError(
                    f"{other.name}: an ensemble needs the same symbols, labels and scales of answers, and {place} "
                    f"differs from {first.name}'s: {why}; train the runs on the same data, data.valid named, with the "
                    "same outputs"
                )
        for place in sorted(first.columns.keys() & other.columns.keys()):
            if first.columns[place].type != other.columns[place].type:
                raise ConfigError(
                    f"{other.name}: {place} has type {other.columns[place].type}, and {first.columns[place].type} in"
                    f" {first.name}; an ensemble reads one type of values there: train the runs with the same types"
                )


def difference(first: Member, other: Member, place: str) -> str | None:
    """How two runs read or write a column differently; None where they do not."""
    missing = next((run.name for run in (first, other) if place not in run.columns), None)
    if missing is not None:
        return f"{missing} has none"
    mine, theirs = first.columns[place], other.columns[place]
    if mine.type != theirs.type:
        return f"type {theirs.type}, and there {mine.type}"
    names = [*settings_class("modalities", mine.type).model_fields]
    if place.startswith("outputs."):
        names += ALIKE
        # Numbers are averaged whatever their distributions are.
        if mine.head.type != theirs.head.type and not isinstance(first.modalities[place].spec, Values):
            return f"head {theirs.head.type}, and there {mine.head.type}"
    for name in names:
        if getattr(mine, name) != getattr(theirs, name):
            return f"{name} {_shown(getattr(theirs, name))}, and there {_shown(getattr(mine, name))}"
    sources = [_copied(member, place) for member in (first, other)]
    if sources[0] != sources[1]:
        here, there = (f"copies from inputs.{source}" if source else "copies nothing" for source in sources[::-1])
        return f"its head {here}, and there it {there}"
    facts, others = first.modalities[place].facts(), other.modalities[place].facts()
    name = next(
        (name for name in facts | others if name not in UNCOMPARED and facts.get(name) != others.get(name)), None
    )
    return None if name is None else _told(name, facts.get(name), others.get(name))


def _copied(member: Member, place: str) -> str | None:
    """The input that an output copies from; None: none."""
    if place not in member.columns or not place.startswith("outputs."):
        return None
    inputs = [name.removeprefix("inputs.") for name in member.columns if name.startswith("inputs.")]
    return copied(member.columns[place], inputs)


def _told(name: str, mine: Any, theirs: Any) -> str:
    if all(isinstance(value, list) and all(isinstance(each, str) for each in value) for value in (mine, theirs)):
        alone = {"here": set(theirs) - set(mine), "there": set(mine) - set(theirs)}
        sides = [f"{_shown(sorted(more))} only {where}" for where, more in alone.items() if more]
        return f"{name}: {', '.join(sides) or 'the same in another order'}"
    return f"{name} {_shown(theirs)}, and there {_shown(mine)}"


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}\u2026"


def score(generator: Generator, state: Decoding, steps: Steps, truth: Tensor) -> Scored:
    """The score of given targets by a generator, an example each, part after part: the distributions of all symbols
    take room.

    Shapes:
        truth (N, ...): what follows each of the N steps

    Args:
        generator: that predicts.
        state: before the first step.
        steps: the begin symbol, then the target without its end.
        truth: the target, then its end.
    """
    layout, scores, places = steps.layout, [], []
    at_once = max(LEAST_PART, PIECE // (max(1, generator.num_symbols) * max(1, len(layout))))
    for part, own in layout.cut(at_once):
        distribution, state = generator.extend(Steps(steps.values[own], part), state)
        scores.append(by_step(distribution, truth[own]))
        places.append(own)
    return scored_in_parts(scores, places, layout)


class Ensemble(Generator):
    """Several generators as one, their distributions combined at each step (`Distribution.ensemble_of`).

        log p(y | x) = mean_k log p_k(y | x) - log Z           of symbols; Z makes it a distribution

    The state holds each member's memory and values, the values' names led by the member's number. Its attention is the
    mean of the members' where all of them attend to the same steps, else empty.

    Args:
        members: generators over the same symbols.
        counts: how often each of them counts; once by default.
    """

    def __init__(self, members: Sequence[Generator], counts: Sequence[int] | None = None):
        self.members = list(members)
        self.counts = counts or [1] * len(members)
        self.begin, self.end, self.unsaid = members[0].begin, members[0].end, members[0].unsaid
        self.num_symbols, self.num_values = members[0].num_symbols, members[0].num_values

    def ended(self, steps: Tensor) -> Tensor:
        return self.members[0].ended(steps)

    def start(self, encoded: Sequence[Sequence[Encoded]]) -> Decoding:
        """One hypothesis per example; `encoded` holds what each member's own encoders read."""
        return joined([member.start(own) for member, own in zip(self.members, encoded)])

    def extend(self, steps: Steps, state: Decoding) -> tuple[Distribution, Decoding]:
        return self._combined([member.extend(steps, own) for member, own in zip(self.members, parted(state))])

    def step(self, steps: Tensor, state: Decoding) -> tuple[Distribution, Decoding]:
        return self._combined([member.step(steps, own) for member, own in zip(self.members, parted(state))])

    def _combined(self, predicted: list[tuple[Distribution, Decoding]]) -> tuple[Distribution, Decoding]:
        distributions, states = zip(*predicted)
        first, *others = (own for own, count in zip(distributions, self.counts) for _ in range(count))
        return first.ensemble_of(others), joined(states)
