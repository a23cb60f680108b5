"""The laws of joins, as plain functions: each takes a way to make the join, and fails by AssertionError."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from ostinato.encoders.contract import Encoded
from ostinato.errors import ConfigError
from ostinato.joins.contract import Join
from ostinato.testing._tools import Member, drawn, near, options_matter, ragged, seeded

Make = Callable[[Sequence[int | None], Sequence[int | None]], Join]
"""A join from the widths of its inputs' steps and summaries."""

SHORT, LONG = (2, 0, 3, 1), (1, 4, 0, 6)
"""Unequal lengths, in each one row without steps."""
CASES = {
    "two with steps": ((SHORT, 4, 4), (LONG, 4, 4)),
    "steps and a row": ((SHORT, 4, 4), (None, None, 3)),
    "a row and steps": ((None, None, 3), (LONG, 5, 4)),
    "two rows": ((None, None, 4), (None, None, 4)),
    "three with steps": ((SHORT, 4, 4), (LONG, 4, 4), (SHORT, 4, 4)),
    "three of different widths": ((SHORT, 4, 4), (None, None, 3), (None, None, 5)),
}
"""Several inputs: lengths (None where one has no steps), the width of its steps, of its summary."""


def build(member: Member) -> Join:
    """One of these options, or ConfigError; a join that refuses all inputs refuses its options."""
    refused = None
    for case in CASES:
        try:
            return member(*sizes_of(case))
        except ConfigError as why:
            refused = why
    raise refused


def run(member: Member) -> None:
    """Every law of `LAWS` for all inputs that the join takes, and the law of options; others it must refuse by
    ConfigError."""
    build(member)
    for case in filter(partial(_takes, member), CASES):
        for law in LAWS:
            law(member, case)
    with torch.no_grad():
        options_matter(member, _fingerprint)


def read(case: str, dtype: torch.dtype = torch.float32, seed: int = 0) -> list[Encoded]:
    """What encoders might have read: seeded numbers."""
    draw, encoded = drawn(seed, dtype), []
    for lengths, width, summary in CASES[case]:
        steps = None if lengths is None else ragged(draw(sum(lengths), width), lengths)
        encoded.append(Encoded(steps, draw(len(SHORT), summary), None))
    return encoded


def sizes_of(case: str) -> tuple[list[int | None], list[int | None]]:
    return [width for _, width, _ in CASES[case]], [summary for _, _, summary in CASES[case]]


@torch.no_grad()
def sizes_are_what_it_says(make: Make, case: str) -> None:
    """Widths are as announced, and what is announced as nothing is nothing."""
    join, encoded = _case(make, case)
    joined = join.join(encoded)
    assert (joined.steps is None) == (join.steps_size is None) and (joined.summary is None) == (
        join.summary_size is None
    )
    if joined.steps is not None:
        assert joined.steps.values.shape[1] == join.steps_size and len(joined.steps.layout) == len(SHORT)
    if joined.summary is not None:
        assert joined.summary.shape == (len(SHORT), join.summary_size)
    assert set(joined.penalties) == set(join.penalties), (
        f"penalties {set(joined.penalties)}, announced {join.penalties}"
    )
    assert all(bool(one.isfinite().all()) for one in _outputs(joined)), (
        "a row without steps gives numbers that are not finite"
    )


@torch.no_grad()
def company_changes_nothing(make: Make, case: str) -> None:
    """Law b: a row is joined alone as among others, in any order."""
    join, encoded = _case(make, case)
    whole = join.join(encoded)
    for rows in ([0], [1], [2], [3], [3, 1, 0, 2], [2, 2], []):
        chosen = torch.tensor(rows, dtype=torch.int64)
        found, expected = join.join([one.select(chosen) for one in encoded]), whole.select(chosen)
        found = found._replace(penalties={})  # which are sums over the batch
        for one, other in zip(_outputs(found), _outputs(expected), strict=True):
            near(one, other, f"rows {rows}")


def gradients_are_right(make: Make, case: str) -> None:
    """Law c: gradients agree with finite differences in float64; every parameter has one, and so has every input."""
    join, encoded = _case(make, case, torch.float64)
    inputs = [[one.summary, *([] if one.steps is None else [one.steps.values])] for one in encoded]
    tensors = [tensor.requires_grad_() for each in inputs for tensor in each]
    # gradcheck moves its inputs in place, so they need not travel as arguments.
    assert torch.autograd.gradcheck(
        lambda *_: tuple(_outputs(join.join(encoded))), (*tensors, *join.parameters()), fast_mode=True
    )
    sum(one.square().sum() for one in _outputs(join.join(encoded))).backward()
    for place, each in enumerate(inputs):
        assert any(one.grad is not None and bool(one.grad.any()) for one in each), (
            f"no gradient reaches input {place + 1}"
        )
        assert all(one.grad is None or bool(one.grad.isfinite().all()) for one in each), f"input {place + 1}"
    for name, parameter in join.named_parameters():
        assert parameter.grad is not None and bool(parameter.grad.isfinite().all()) and bool(parameter.grad.any()), name


def same_seed_same_bits(make: Make, case: str) -> None:
    """Law i: one seed gives one output, also while training."""
    runs = []
    for _ in range(2):
        join, encoded = _case(make, case)
        torch.manual_seed(3)
        runs.append([*_outputs(join.train().join(encoded)), *join.parameters()])
    assert all(torch.equal(one, other) for one, other in zip(*runs, strict=True)), "two runs of one seed differ"


LAWS = (sizes_are_what_it_says, company_changes_nothing, gradients_are_right, same_seed_same_bits)
"""What `run` runs: the laws that hold for a join with any options."""


def _outputs(joined: Encoded) -> list[Tensor]:
    outputs = [one for one in (joined.steps and joined.steps.values, joined.summary) if one is not None]
    return outputs + [total for total, _ in joined.penalties.values()]


def _case(make: Make, case: str, dtype: torch.dtype = torch.float32) -> tuple[Join, list[Encoded]]:
    return seeded(lambda: make(*sizes_of(case)), dtype), read(case, dtype)


def _fingerprint(make: Make) -> list[Tensor]:
    """What is joined of the first inputs that it takes, then parameters."""
    build(make)
    case = next(case for case in CASES if _takes(make, case))
    join, encoded = _case(make, case)
    return [*_outputs(join.join(encoded)), *join.parameters()]


def _takes(make: Make, case: str) -> bool:
    try:
        make(*sizes_of(case))
    except ConfigError:
        return False
    return True
