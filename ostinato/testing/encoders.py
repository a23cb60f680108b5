"""The laws of encoders: each takes a `Reading`, an encoder and what it reads, and fails by AssertionError."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ostinato.encoders.contract import BagEncoder, Encoded, Encoder
from ostinato.modalities.contract import Labels, Pixels, Spec, Symbols, Values
from ostinato.steps import Layout, Steps
from ostinato.testing import _modules
from ostinato.testing._modules import LENGTHS, Sequential
from ostinato.testing._tools import Check, Member, all_checks

BLOCKS: dict[str, Any] = {
    "norm": ["layer"],
    "norm_first": [False],
    "query_key_norm": [False],
    "last_norm": [False],
    "norm_epsilon": [0.1],
    "positions": ["sinusoidal", "learned", "alibi", "none"],
    "feed_forward_activation": ["relu", "gelu", "swiglu"],
    "window": [2, 3],
}
"""What the default block of a Transformer has not, and windows shorter than the examples."""
TRIED = {**BLOCKS, "band_width": [3]}
SPECS: dict[str, Spec] = {
    "symbols": Symbols(9, 0, 1, 2),
    "words with characters": Symbols(9, 0, 1, 2, characters=6, longest=4, counts=(0, 0, 0, 5, 3, 1, 1, 1, 1)),
    "values": Values(3),
    "labels": Labels(4),
    "multilabel": Labels(3, multilabel=True),
    "columns of pixels": Pixels(12, unscaled=True, height=12),
    "pictures in time": Pixels(12, unscaled=True, height=3, width=4),
}


def batch(spec: Spec, lengths: Sequence[int] = LENGTHS, *, seed: int = 1, dtype: torch.dtype = torch.float32) -> Steps:
    """Seeded steps of this kind."""
    random = torch.Generator().manual_seed(seed)
    layout = Layout(list(lengths))

    def draw(size: int, *shape: int) -> Tensor:
        return torch.randint(size, (layout.total, *shape), generator=random)

    if isinstance(spec, Values):
        return Steps(torch.randn(layout.total, spec.size, generator=random, dtype=torch.float64).to(dtype), layout)
    if isinstance(spec, Labels) and spec.multilabel:
        return Steps(draw(2, spec.size).to(dtype), layout)
    if isinstance(spec, Symbols) and spec.characters:
        characters = (1 + draw(spec.characters - 1, spec.longest)) * (
            torch.arange(spec.longest) < draw(spec.longest + 1, 1)
        )
        return Steps(torch.cat([draw(spec.size, 1), characters], 1).int(), layout)
    return Steps(draw(spec.size).int(), layout)


@dataclass(frozen=True)
class Reading(Sequential):
    """An encoder that reads steps of one kind; one that gives no steps reads one step per row."""

    make: Callable[[Spec], Encoder]
    spec: Spec

    def read(self, seed: int = 0, dtype: torch.dtype = torch.float32) -> tuple[Steps]:
        lengths = LENGTHS if self.make(self.spec).reads_sequences else [1] * len(LENGTHS)
        return (batch(self.spec, lengths, seed=seed + 1, dtype=dtype),)

    def build(self, *_: Any) -> Encoder:
        """One that counted what it will read, where it counts."""
        encoder = self.make(self.spec)
        if isinstance(encoder, BagEncoder):
            encoder.count([batch(self.spec)])
        return encoder

    def run(self, encoder: Encoder, steps: Steps) -> Encoded:
        return encoder.encode(steps)

    def losses(self, encoder: Encoder, steps: Steps) -> list[Encoded]:
        """What is read, and where the state leads to."""
        first = encoder.encode(steps)
        second = [encoder.encode(steps, first.state)] if encoder.causal else []
        return [encoded._replace(state=None) for encoded in (first, *second)]

    def resume(self, encoder: Encoder, steps: Steps, state: Any, *read: Any) -> tuple[Tensor | None, Any]:
        encoded = encoder.encode(steps, state and state.state)
        return encoded.steps and _by_input_step(encoded.steps, steps.layout, encoder), encoded._replace(steps=None)

    def resumes(self, encoder: Encoder) -> bool:
        return encoder.causal and encoder.steps_size is not None

    def unit(self, encoder: Encoder) -> int:
        return encoder.reduction

    def look_ahead(self, encoder: Encoder) -> int | None:
        return encoder.look_ahead


def _by_input_step(given: Steps, layout: Layout, encoder: Encoder) -> Tensor:
    """What an encoder gave for each step that it read."""
    rows = encoder.grid_height
    assert given.layout == Layout(rows * -(-layout.lengths // encoder.reduction)), "it gives other steps than it says"
    return given.values[given.layout.offsets[:-1][layout.rows] + rows * (layout.positions // encoder.reduction)]


@torch.no_grad()
def states_are_what_it_says(case: Reading) -> None:
    """The state of a causal encoder is as wide as announced; one that sees later steps refuses a state."""
    encoder, (steps,) = case.made()
    state = case.run(encoder, steps).state
    widths = tuple(part.shape[1] for part in state or ())
    assert encoder.state_sizes in ((), widths), f"states are {widths} wide, state_sizes says {encoder.state_sizes}"
    assert not encoder.causal or state is not None, "a causal encoder gives the state to resume from"
    if not encoder.causal:
        try:
            encoder.encode(steps, state or ())
        except ValueError:
            return
        raise AssertionError("it is not causal and took a state")


LAWS = (
    *_modules.LAWS,
    _modules.sizes_are_what_it_says,
    _modules.parts_are_the_whole,
    _modules.what_comes_later_changes_nothing,
    states_are_what_it_says,
)
"""The laws that hold for an encoder with any options."""


def small(member: Member) -> Member:
    """The encoder with narrow layers, where nothing else is asked for."""
    narrow = {"hidden_size": 4, "layers": 1}
    parts = {"each": {"type": "cnn", **narrow}, "over": {"type": "recurrent", "embedding_size": 4, **narrow}}
    return member.given({"hidden_size": 6, "embedding_size": 5, "features": 40, "size": 4, "heads": 3, **parts})


def cases(member: Member) -> list[Reading]:
    """One for each kind of step that it takes; pixels only where it reads them as a plane."""
    kinds = [(small(member), spec) for spec in SPECS.values() if type(spec) in member.cls.takes]
    return _modules.taken(Reading, kinds)


def checks(member: Member) -> list[Check]:
    """Every law of `LAWS`, and the law of options; ConfigError where the options are refused."""
    trials = [(law, case) for case in cases(member) for law in LAWS]
    return all_checks(small(member), trials, lambda other: _modules.fingerprint(cases(other)), TRIED)
