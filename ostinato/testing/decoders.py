"""The laws of decoders, as plain functions: each takes a way to make the decoder, and fails by AssertionError."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from ostinato.decoders.contract import Decoder, Decoding
from ostinato.encoders.contract import Encoded, Sizes
from ostinato.errors import ConfigError
from ostinato.kernels import dispatch
from ostinato.layers.embedding import Table
from ostinato.steps import Layout, Steps
from ostinato.testing._tools import Member, near, options_matter, same
from ostinato.testing.heads import INPUTS, TARGETS, WIDTH, read, rows_of, sizes_of

Make = Callable[[Sequence[Sizes], Callable[[], Table], int, int | None, float], Decoder]
"""A decoder from what goes in by position."""

SYMBOLS = 7
INPUT = 5
"""The width of the embedding."""
TRIED = {"hidden_size": (7,), "scheduled_sampling": (0.5,)}
"""Values of options that others would not show on these few examples."""


def build(member: Member) -> Decoder:
    """One of these options, or ConfigError; a decoder that refuses all inputs refuses its options."""
    refused = None
    for inputs in INPUTS:
        try:
            return made(member, read(inputs))
        except ConfigError as why:
            refused = why
    raise refused


def run(member: Member) -> None:
    """Every law of `LAWS` for all inputs that the decoder takes, and the law of options; others it must refuse by
    ConfigError."""
    member = small(member)
    build(member)
    for inputs in filter(partial(_takes, member), INPUTS):
        for law in LAWS:
            law(member, inputs)
    options_matter(member, _fingerprint, TRIED)


def small(member: Member) -> Member:
    """The member `WIDTH` wide, if it has a width."""
    return member.given({"hidden_size": WIDTH}) if member.has("hidden_size") else member


def made(
    make: Make, encoded: Sequence[Encoded], dtype: torch.dtype = torch.float32, *, dropout: float = 0.0
) -> Decoder:
    """A seeded decoder that is not in training."""
    torch.manual_seed(0)
    return make(sizes_of(encoded), _table, INPUT, None, dropout).to(dtype).eval()


def _table() -> Table:
    return Table(SYMBOLS, INPUT)


def targets(lengths: Sequence[int] = TARGETS, seed: int = 1) -> Steps:
    random = torch.Generator().manual_seed(seed)
    return Steps(torch.randint(2, SYMBOLS, (sum(lengths),), generator=random), Layout(list(lengths)))


@torch.no_grad()
def features_are_as_wide_as_announced(make: Make, inputs: str) -> None:
    """Features have the width `output_size`, one row for each step; a width that is asked for is kept."""
    encoded = read(inputs)
    decoder = made(make, encoded)
    assert decoder.run(encoded, targets()).shape == (sum(TARGETS), decoder.output_size)
    asked = make(sizes_of(encoded), _table, INPUT, INPUT, 0.0)
    assert asked.output_size == INPUT and asked.run(encoded, targets()).shape == (sum(TARGETS), INPUT)
    assert all(0 <= place < len(encoded) for place in decoder.attended)


@torch.no_grad()
def step_by_step_is_the_whole(make: Make, inputs: str) -> None:
    """Law a: `run`, `extend` and `step` called step by step give the same features, the last two the same state."""
    encoded, steps = read(inputs), targets()
    decoder = made(make, encoded)
    start = decoder.start(encoded)
    features, after = decoder.extend(steps, start)
    near(decoder.run(encoded, steps), features, "run and extend")
    for row, (own, expected) in enumerate(zip(steps.split(), features.split(list(TARGETS)))):
        state = start.reorder(torch.tensor([row]))
        for place, symbol in enumerate(own):
            feature, state = decoder.step(symbol[None], state)
            near(feature[0], expected[place], f"features of row {row} at step {place}")
        same_state(after.reorder(torch.tensor([row])), state, f"after row {row}")


@torch.no_grad()
def hypotheses_read_their_examples(make: Make, inputs: str) -> None:
    """Hypotheses in any order and number, forgetting included, read the memory of their own examples."""
    encoded = read(inputs)
    decoder = made(make, encoded)
    expected, every = decoder.step(torch.full((len(TARGETS),), 3), decoder.start(encoded))
    for rows in ([4, 2, 2, 0, 1, 4], [0], [3, 1]):
        chosen = torch.tensor(rows)
        for forget in (False, True):
            state = decoder.start(encoded).reorder(chosen, forget=forget)
            features, after = decoder.step(torch.full((len(rows),), 3), state)
            near(features, expected[chosen], f"features of hypotheses {rows}")
            for name, value in every.values.items():
                near(after.values[name], value[chosen], f"state {name} of hypotheses {rows}")


@torch.no_grad()
def company_changes_nothing(make: Make, inputs: str) -> None:
    """Law b: an example gets the same features alone, among others and in any order."""
    encoded, steps = read(inputs), targets()
    decoder = made(make, encoded)
    together = decoder.run(encoded, steps).split(list(TARGETS))
    for rows in [[row] for row in range(len(TARGETS))] + [[3, 0, 4, 2, 1], [2, 1]]:
        some = Steps.of([steps.split()[row] for row in rows])
        expected = torch.cat([together[row] for row in rows])
        near(decoder.run(rows_of(encoded, rows), some), expected, f"features of rows {rows}")


@torch.no_grad()
def later_steps_change_nothing(make: Make, inputs: str) -> None:
    """Law k: the features of a step do not change when later steps do, and change when it does."""
    encoded, steps = read(inputs), targets()
    decoder, early = made(make, encoded), steps.layout.positions < 2
    other = steps.with_values(torch.where(early, steps.values, (steps.values - 1) % 5 + 2))
    one, two = (decoder.run(encoded, each) for each in (steps, other))
    near(one[early], two[early], "features before the change")
    assert not torch.allclose(one[~early], two[~early]), "the changed steps are not read"


def the_reference_agrees(make: Make, inputs: str) -> None:
    """Law d: features and gradients are those of the reference kernel."""
    results = []
    for kernel in ("", "reference"):
        encoded = read(inputs)
        decoder = made(make, encoded)
        with dispatch.forced(kernel):
            decoder.run(encoded, targets()).square().sum().backward()
            with torch.no_grad():
                features, state = decoder.step(torch.full((len(TARGETS),), 3), decoder.start(encoded))
        gradients = [_zeros_if_none(parameter) for parameter in decoder.parameters()]
        results.append([features, *state.values.values(), *gradients])
    for place, (fast, plain) in enumerate(zip(*results, strict=True)):
        near(fast, plain, f"number {place} of features, state and gradients")


def gradients_are_right(make: Make, inputs: str) -> None:
    """Law c: gradients of inputs and parameters agree with finite differences in float64."""
    encoded = read(inputs, dtype=torch.float64)
    decoder, steps = made(make, encoded, torch.float64), targets((2, 1, 0, 3, 1))
    leaves = [one.steps.values for one in encoded if one.steps is not None] + [one.summary for one in encoded]
    leaves += [part for one in encoded for part in one.state or ()]
    for leaf in leaves:
        leaf.requires_grad_()

    def total(*_: Tensor) -> Tensor:
        return decoder.run(encoded, steps).sum()

    # gradcheck moves its inputs in place, so the tensors need not travel as arguments.
    assert torch.autograd.gradcheck(total, (*leaves, *decoder.parameters()), fast_mode=True)


def same_seed_same_bits(make: Make, inputs: str) -> None:
    """Law i: one seed gives one set of features and gradients, dropout included."""
    results = []
    for _ in range(2):
        encoded = read(inputs)
        decoder = made(make, encoded, dropout=0.3).train()
        torch.manual_seed(3)
        features = decoder.run(encoded, targets(), _best)
        features.square().sum().backward()
        results.append([features.detach(), *map(_zeros_if_none, decoder.parameters())])
    assert same(*results)


LAWS = (
    features_are_as_wide_as_announced,
    step_by_step_is_the_whole,
    hypotheses_read_their_examples,
    company_changes_nothing,
    later_steps_change_nothing,
    the_reference_agrees,
    gradients_are_right,
    same_seed_same_bits,
)


def same_state(actual: Decoding, expected: Decoding, what: str) -> None:
    assert actual.values.keys() == expected.values.keys() and torch.equal(actual.rows, expected.rows), what
    for name, value in expected.values.items():
        near(actual.values[name], value, f"state {name} {what}")
    for k, weights in enumerate(actual.attention):
        earlier = expected.attention[k] if expected.attention else torch.zeros_like(weights)
        near(weights, earlier, f"attention {k} {what}")


def _takes(member: Member, inputs: str) -> bool:
    try:
        made(member, read(inputs))
    except ConfigError:
        return False
    return True


def _best(features: Tensor) -> Tensor:
    return features.abs().argmax(1) % SYMBOLS


def _zeros_if_none(parameter: Tensor) -> Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad


def _fingerprint(member: Member) -> list[Tensor]:
    """Features in training, then parameters."""
    encoded = read("one")
    decoder = made(member, encoded).train()
    torch.manual_seed(3)
    features = decoder.run(encoded, targets(), _best).detach()
    return [features, *(parameter.detach() for parameter in decoder.parameters())]
