"""The laws of decoders: each takes an `Unrolled`, a decoder and what it reads, and fails by AssertionError."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ostinato.decoders.contract import Decoder
from ostinato.encoders.contract import Encoded, Sizes
from ostinato.kernels import dispatch
from ostinato.kernels.watch import attention_watched
from ostinato.layers.embedding import Table
from ostinato.layers.pooling import last
from ostinato.steps import Layout, Steps
from ostinato.testing import _inputs, _modules, _stepwise, encoders
from ostinato.testing._inputs import INPUTS, WIDTH
from ostinato.testing._stepwise import TARGETS, Stepwise
from ostinato.testing._tools import Check, Member, all_checks, near

SYMBOLS = 7
INPUT = 5
"""The width of the embedding."""
TRIED = {"hidden_size": (7,), "scheduled_sampling": (0.5,), **encoders.BLOCKS}
"""Values of options that others would not show on these few examples."""


@dataclass(frozen=True)
class Unrolled(Stepwise):
    """A decoder that reads whole targets, with dropout while training."""

    make: Callable[[Sequence[Sizes], Callable[[], Table], int, int | None, float], Decoder]
    inputs: str

    def read(self, seed: int = 0, dtype: torch.dtype = torch.float32) -> tuple[list[Encoded], Steps]:
        random = torch.Generator().manual_seed(seed + 1)
        symbols = torch.randint(2, SYMBOLS, (sum(TARGETS),), generator=random)
        return _inputs.read(INPUTS[self.inputs], seed, dtype), Steps(symbols, Layout(list(TARGETS)))

    def build(self, encoded: list[Encoded], steps: Steps, width: int | None = None) -> Decoder:
        return self.make(_inputs.sizes_of(encoded), lambda: Table(SYMBOLS, INPUT), INPUT, width, 0.3)

    def run(self, decoder: Decoder, encoded: list[Encoded], steps: Steps) -> Steps:
        return steps.with_values(decoder.run(encoded, steps, lambda features: features.abs().argmax(1) % SYMBOLS))

    def outputs(self, result: Tensor, rows: int) -> Tensor:
        return result


@torch.no_grad()
def features_are_as_announced(case: Unrolled) -> None:
    """`run` and `extend` give the same features, of width `output_size`; a width that is asked for is kept."""
    decoder, (encoded, steps) = case.made()
    features = decoder.run(encoded, steps)
    near(features, decoder.extend(steps, decoder.start(encoded))[0], "features of run and extend")
    wide = case.build(encoded, steps, INPUT).eval()
    assert features.shape[1] == decoder.output_size and wide.output_size == INPUT
    assert wide.run(encoded, steps).shape == (sum(TARGETS), INPUT)
    assert all(0 <= place < len(encoded) for place in decoder.attended)


def the_reference_agrees(case: Unrolled) -> None:
    """Law d: features and gradients are those of the reference kernel."""
    results: list[Any] = []
    for kernel in ("", "reference"):
        decoder, (encoded, steps) = case.made()
        with dispatch.forced(kernel):
            _modules.backward([case.run(decoder, encoded, steps).values])
            with torch.no_grad():
                features, state = decoder.step(torch.full((len(TARGETS),), 3), decoder.start(encoded))
        gradients = {name: parameter.grad for name, parameter in decoder.named_parameters()}
        results.append(({"features": features, "state": state.values}, {"gradient of": gradients}))
    (outputs, gradients), (others, expected) = results
    _modules.near_trees(outputs, others, "by the reference")
    # Through several layers the rounding of the largest gradients reaches the small ones.
    largest = max(float(part.abs().max()) for part in _modules.values(expected))
    _modules.near_trees(gradients, expected, "by the reference", floor=largest)


@torch.no_grad()
def attention_is_that_of_the_state(case: Unrolled) -> None:
    """Of each input that it attends to weights are shown; those of the last step in the top layer, on average over its
    heads, are what a search reads in the state."""
    decoder, (encoded, steps) = case.made()
    with dispatch.forced("reference"), attention_watched() as seen:
        decoder.run(encoded, steps)
    top = {item.source: item for item in seen if item.kind == "cross-attention"}
    assert set(top) == set(decoder.attended), f"inputs {sorted(top)} are shown, {sorted(decoder.attended)} attended to"
    _, state = decoder.extend(steps, decoder.start(encoded))
    for place, weights in zip(decoder.attended, state.attention):
        expected = last(Steps(top[place].weights.mean(1), steps.layout))
        near(weights[:, : expected.shape[1]], expected, f"weights of input {place + 1}")


LAWS = (*_stepwise.LAWS, features_are_as_announced, the_reference_agrees, attention_is_that_of_the_state)
"""The laws that hold for a decoder with any options."""


def small(member: Member) -> Member:
    """The member `WIDTH` wide, if it has a width."""
    return member.given({"hidden_size": WIDTH, "heads": 3})


def cases(member: Member) -> list[Unrolled]:
    """One for all inputs that the decoder takes; others it must refuse by ConfigError."""
    return _modules.taken(Unrolled, [(small(member), inputs) for inputs in INPUTS])


def checks(member: Member) -> list[Check]:
    """Every law of `LAWS`, and the law of options; ConfigError where the options are refused."""
    trials = [(law, case) for case in cases(member) for law in LAWS]
    return all_checks(small(member), trials, lambda other: _modules.fingerprint(cases(other)), TRIED)
