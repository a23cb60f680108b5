"""The laws of encoders, as plain functions: each takes a way to make the encoder, and fails by AssertionError."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from ostinato.encoders.contract import Encoded, Encoder
from ostinato.errors import ConfigError
from ostinato.modalities.contract import Labels, Spec, Symbols, Values
from ostinato.steps import Layout, Steps
from ostinato.testing._tools import Member, near, options_matter, seeded

Make = Callable[[Spec], Encoder]
"""An encoder from what one step of its input is."""

SPECS: dict[str, Spec] = {
    "symbols": Symbols(9, 0, 1, 2),
    "words with characters": Symbols(9, 0, 1, 2, characters=6, longest=4, counts=(0, 0, 0, 5, 3, 1, 1, 1, 1)),
    "values": Values(3),
    "labels": Labels(4),
    "multilabel": Labels(3, multilabel=True),
}
LENGTHS = (4, 0, 7, 1, 4)
"""Unequal lengths in no order, with a tie, a single step and no step at all."""
ONE_EACH = (1, 1, 1, 1)
"""What is no sequence."""


def small(member: Member) -> Member:
    """The encoder with narrow layers, where nothing else is asked for."""
    return member.given(
        {option: size for option, size in (("hidden_size", 6), ("embedding_size", 5)) if member.has(option)}
    )


def build(member: Member) -> Encoder:
    """One of these options, for the first kind of step that it takes, or ConfigError."""
    refused = None
    for spec in SPECS.values():
        if isinstance(spec, member.cls.takes):
            try:
                return small(member)(spec)
            except ConfigError as why:
                refused = why
    raise refused or ConfigError(f"{member} takes no kind of step")


def run(member: Member) -> None:
    """Every law of `LAWS` for every kind of step that it takes, and the law of options."""
    member, lengths = small(member), lengths_of(build(member))
    for spec in SPECS.values():
        if isinstance(spec, member.cls.takes) and _can_read(member, spec):
            for law in LAWS:
                law(member, spec, lengths)
    with torch.no_grad():
        options_matter(member, partial(_fingerprint, lengths=lengths))


def lengths_of(encoder: Encoder) -> Sequence[int]:
    """Lengths that it reads: one that gives no steps reads one step per row."""
    return ONE_EACH if encoder.steps_size is None else LENGTHS


def _can_read(make: Make, spec: Spec) -> bool:
    """One-hot steps and their like are for some kinds of step only, and refuse others by ConfigError."""
    try:
        make(spec)
    except ConfigError:
        return False
    return True


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


@torch.no_grad()
def sizes_are_what_it_says(make: Make, spec: Spec, lengths: Sequence[int] = LENGTHS) -> None:
    """Widths are as announced, rows are the input's; what is announced as nothing is nothing."""
    encoder, steps = _case(make, spec, lengths)
    encoded = encoder.encode(steps)
    assert (encoded.steps is None) == (encoder.steps_size is None) and (encoded.summary is None) == (
        encoder.summary_size is None
    )
    if encoded.steps is not None:
        assert encoded.steps.values.shape[1] == encoder.steps_size and len(encoded.steps.layout) == len(lengths)
    if encoded.summary is not None:
        assert encoded.summary.shape == (len(lengths), encoder.summary_size)
    assert all(len(part) == len(lengths) for part in encoded.state or ()), "a state has a row for each sequence"
    widths = tuple(part.shape[1] for part in encoded.state or ())
    assert encoder.state_sizes in ((), widths), f"states are {widths} wide, state_sizes says {encoder.state_sizes}"
    assert not encoder.causal or encoded.state is not None, "a causal encoder gives the state to resume from"


@torch.no_grad()
def stepwise_equals_whole(make: Make, spec: Spec, lengths: Sequence[int] = LENGTHS) -> None:
    """Law a: a causal encoder gives, step by step, what the whole sequence gives; reading nothing changes nothing."""
    encoder, steps = _case(make, spec, lengths)
    if not encoder.causal or encoder.steps_size is None:
        return
    whole, parts, read = encoder.encode(steps), steps.split(), []
    nothing = Steps(steps.values[:0], Layout([0] * len(lengths)))
    now = encoder.encode(nothing)
    read = [[one] for one in now.steps.split()]
    for place in range(max(lengths)):
        # a row that has ended reads nothing
        now = encoder.encode(Steps.of([part[place : place + 1] for part in parts]), now.state)
        for row, found in enumerate(now.steps.split()):
            read[row].append(found)
    for row, expected in enumerate(whole.steps.split()):
        near(torch.cat(read[row]), expected, f"steps of sequence {row}")
    _same(now, whole, "at the end")
    _same(encoder.encode(nothing, whole.state), whole, "after nothing more")


@torch.no_grad()
def going_on_equals_whole(make: Make, spec: Spec, lengths: Sequence[int] = LENGTHS) -> None:
    """Law a in chunks, as truncated back-propagation reads: rows may end, or begin, with any of them."""
    encoder, steps = _case(make, spec, lengths)
    if not encoder.causal or encoder.steps_size is None:
        return
    whole, parts = encoder.encode(steps), steps.split()
    for cut in (1, 3):
        cuts = [min(len(part), cut * (1 - row % 2)) for row, part in enumerate(parts)]
        first = encoder.encode(Steps.of([part[:at] for part, at in zip(parts, cuts)]))
        second = encoder.encode(Steps.of([part[at:] for part, at in zip(parts, cuts)]), first.state)
        for row, expected in enumerate(whole.steps.split()):
            found = torch.cat([first.steps.split()[row], second.steps.split()[row]])
            near(found, expected, f"steps of sequence {row} cut at {cuts}")
        _same(second, whole, f"cut at {cuts}")


@torch.no_grad()
def a_state_is_refused_unless_causal(make: Make, spec: Spec, lengths: Sequence[int] = LENGTHS) -> None:
    """An encoder that sees later steps refuses a state."""
    encoder, steps = _case(make, spec, lengths)
    if encoder.causal:
        return
    try:
        encoder.encode(steps, encoder.encode(steps).state or ())
    except ValueError:
        return
    raise AssertionError("it is not causal and took a state")


@torch.no_grad()
def company_changes_nothing(make: Make, spec: Spec, lengths: Sequence[int] = LENGTHS) -> None:
    """Law b: a sequence gives the same alone, among others, and in any order."""
    encoder, steps = _case(make, spec, lengths)
    whole, rows = encoder.encode(steps), list(range(len(lengths)))
    for chosen in [*([row] for row in rows), rows[::-1], rows[2:] + rows[:1], [0, 0]]:
        _same(
            encoder.encode(steps.select(torch.tensor(chosen))),
            whole.select(torch.tensor(chosen)),
            f"of sequences {chosen}",
        )


@torch.no_grad()
def what_comes_later_changes_nothing(make: Make, spec: Spec, lengths: Sequence[int] = LENGTHS) -> None:
    """Law k: what comes more than `look_ahead` steps later changes a step by no bit; what it reads changes it."""
    encoder, steps = _case(make, spec, lengths)
    if encoder.steps_size is None:
        return
    others = batch(spec, lengths, seed=2).values
    before = encoder.encode(steps).steps.values
    positions = steps.layout.positions
    for place in range(1, max(lengths)):
        later = (positions >= place).view(-1, *[1] * (others.ndim - 1))
        after = encoder.encode(steps.with_values(torch.where(later, others, steps.values))).steps.values
        if encoder.look_ahead is not None:
            early = positions < place - encoder.look_ahead
            assert torch.equal(before[early], after[early]), (
                f"a step more than {encoder.look_ahead} before {place} is another"
            )
        changed = (steps.values != others).view(len(positions), -1).any(1) & (positions == place)
        assert not changed.any() or not torch.equal(before[changed], after[changed]), (
            f"the steps at {place} are not read"
        )


@torch.no_grad()
def sequences_without_steps_are_read(make: Make, spec: Spec, lengths: Sequence[int] = LENGTHS) -> None:
    """A batch of empty sequences, and a batch of none, give rows of finite numbers."""
    encoder, steps = _case(make, spec, lengths)
    for rows in (3, 0):
        if encoder.steps_size is None and rows:
            continue
        encoded = encoder.encode(Steps(steps.values[:0], Layout([0] * rows)))
        assert encoded.steps is None or encoded.steps.layout.total == 0
        for tensor in (encoded.summary, *(encoded.state or ())):
            assert tensor is None or (len(tensor) == rows and bool(tensor.isfinite().all())), (
                f"{rows} empty sequences give {tensor}"
            )


def gradients_are_right(make: Make, spec: Spec, lengths: Sequence[int] = LENGTHS) -> None:
    """Law c: gradients agree with finite differences in float64, and each parameter has one; of values also through the
    state."""
    lengths = [min(3, length) for length in lengths]
    encoder, steps = _case(make, spec, lengths, torch.float64)
    tensors = [*encoder.parameters()]
    if steps.values.is_floating_point():
        tensors.append(steps.values.requires_grad_())

    # gradcheck moves its inputs in place, so they need not travel as arguments.
    def outputs(*_: Tensor) -> tuple[Tensor, ...]:
        first = encoder.encode(steps)
        again = encoder.encode(steps, first.state) if encoder.causal else first
        return tuple(
            one for one in (first.steps and first.steps.values, first.summary, again.summary) if one is not None
        )

    assert torch.autograd.gradcheck(outputs, tuple(tensors), fast_mode=True)
    sum(one.square().sum() for one in outputs()).backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None and bool(parameter.grad.isfinite().all()) and bool(parameter.grad.any()), name


def same_seed_same_bits(make: Make, spec: Spec, lengths: Sequence[int] = LENGTHS) -> None:
    """Law i: one seed gives one output and one set of gradients, also while training."""
    runs = []
    for _ in range(2):
        encoder, steps = _case(make, spec, lengths)
        torch.manual_seed(3)
        encoded = encoder.train().encode(steps)
        outputs = [one for one in (encoded.steps and encoded.steps.values, encoded.summary) if one is not None]
        if any(one.requires_grad for one in outputs):
            sum(one.square().sum() for one in outputs).backward()
        runs.append([*outputs, *(parameter.grad for parameter in encoder.parameters())])
    assert all(torch.equal(one, other) for one, other in zip(*runs, strict=True)), "two runs of one seed differ"


LAWS = (
    sizes_are_what_it_says,
    stepwise_equals_whole,
    going_on_equals_whole,
    a_state_is_refused_unless_causal,
    company_changes_nothing,
    what_comes_later_changes_nothing,
    sequences_without_steps_are_read,
    gradients_are_right,
    same_seed_same_bits,
)
"""What `run` runs: the laws that hold for an encoder with any options."""


def _same(actual: Encoded, expected: Encoded, what: str) -> None:
    """The same summaries and states, and the same steps where there are as many."""
    if expected.summary is not None:
        near(actual.summary, expected.summary, f"summaries {what}")
    for k, (part, other) in enumerate(zip(actual.state or (), expected.state or (), strict=True)):
        near(part, other, f"state {k} {what}")
    if expected.steps is not None and actual.steps.layout == expected.steps.layout:
        near(actual.steps.values, expected.steps.values, f"steps {what}")


def _case(make: Make, spec: Spec, lengths: Sequence[int], dtype: torch.dtype = torch.float32) -> tuple[Encoder, Steps]:
    """A seeded encoder that is not in training, and what it reads."""
    return seeded(lambda: make(spec), dtype), batch(spec, lengths, dtype=dtype)


def _fingerprint(member: Member, lengths: Sequence[int]) -> list[Tensor]:
    """What is read while training, then parameters."""
    spec = next(spec for spec in SPECS.values() if isinstance(spec, member.cls.takes))
    torch.manual_seed(0)
    encoder = member(spec)
    torch.manual_seed(3)
    encoded = encoder.train().encode(batch(spec, lengths))
    outputs = [one for one in (encoded.steps and encoded.steps.values, encoded.summary) if one is not None]
    return [*outputs, *encoder.parameters()]
