"""The laws of schedules, as plain functions: each takes a way to make the schedule, and fails by AssertionError."""

from __future__ import annotations

import json
from collections.abc import Callable

from ostinato.testing._tools import Check, Member, all_checks
from ostinato.training.schedules.contract import Schedule

Make = Callable[[], Schedule]

UPDATES = 2500
TRIED = {"warmup": (5,), "patience": (1,), "threshold": (0.5,)}
"""Values of options that show on so few validations."""
VALIDATIONS = (1.0, 0.9, 0.95, 0.96, 0.97, 0.98, 0.99, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5)
"""Of a metric whose low end is good: better once, then worse for long."""


def factors_are_shares(make: Make) -> None:
    """A factor is from 0 to 1 at every update, and 1 or near it at its highest."""
    factors = _factors(make())
    assert all(0 <= factor <= 1 for factor in factors), factors
    assert max(factors) > 0, "no update moves anything"


def a_factor_is_a_function_of_the_update(make: Make) -> None:
    """Asked in any order, twice or never, an update has one factor."""
    schedule = make()
    forward = _factors(schedule)
    backward = [schedule.factor(update, UPDATES) for update in reversed(range(UPDATES))][::-1]
    assert forward == backward == _factors(make())


def facts_are_all(make: Make) -> None:
    """Law f: facts are JSON, and a schedule that takes them up continues as the one that observed."""
    schedule, other = _observed(make), make()
    other.restore(json.loads(json.dumps(schedule.facts())))
    for value in (*VALIDATIONS, 0.1):
        assert _factors(other) == _factors(schedule)
        schedule.observe(value, higher_is_better=False)
        other.observe(value, higher_is_better=False)
    assert _factors(other) == _factors(schedule)


def the_other_end_is_a_mirror(make: Make) -> None:
    """A metric whose high end is good is the same with its sign changed."""
    schedule = make()
    for value in VALIDATIONS:
        schedule.observe(-value, higher_is_better=True)
    assert _factors(schedule) == _factors(_observed(make))


LAWS = (factors_are_shares, a_factor_is_a_function_of_the_update, facts_are_all, the_other_end_is_a_mirror)


def checks(member: Member) -> list[Check]:
    """Every law of `LAWS`, and the law of options; ConfigError where the options are refused."""
    member()
    return all_checks(member, [(law, member) for law in LAWS], lambda other: _factors(_observed(other)), TRIED)


def _factors(schedule: Schedule) -> list[float]:
    return [schedule.factor(update, UPDATES) for update in range(UPDATES)]


def _observed(make: Make) -> Schedule:
    schedule = make()
    for value in VALIDATIONS:
        schedule.observe(value, higher_is_better=False)
    return schedule
