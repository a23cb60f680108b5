"""Each law of modules catches the fault that it is there for: one small module, and its broken twins."""

import pytest
import torch
from torch import nn

from ostinato.encoders.contract import Encoded
from ostinato.errors import ConfigError
from ostinato.steps import Layout, Steps
from ostinato.testing import _modules
from ostinato.testing._modules import LENGTHS, Sequential
from ostinato.testing._tools import Member, drawn, options_matter


class Sum(nn.Module):
    """The running sum of what a linear map makes of each step."""

    steps_size, summary_size, penalties = 2, 2, ()

    def __init__(self, *, size: int = 2, idle: int = 0):
        super().__init__()
        self.map, self.size = nn.Linear(3, size), size

    def encode(self, steps, state=None):
        start = torch.zeros(len(steps.layout), self.size, dtype=steps.values.dtype) if state is None else state
        mapped = steps.with_values(self.map(steps.values)).split()
        sums = [begin + torch.cat([begin[None] * 0, part]).cumsum(0) for begin, part in zip(start, mapped)]
        last = torch.stack([part[-1] for part in sums]) if sums else start
        values = torch.cat([part[1:] for part in sums]) if sums else self.map(steps.values)
        return Encoded(steps.with_values(values), last, (last,))


class Reading(Sequential):
    def __init__(self, make=Sum, change=None):
        self.make, self.change = make, change

    def read(self, seed=0, dtype=torch.float32):
        return (Steps(drawn(seed, dtype)(sum(LENGTHS), 3), Layout(list(LENGTHS))),)

    def build(self, *_):
        return self.make()

    def run(self, module, steps, state=None):
        encoded = module.encode(steps, state)
        return encoded if self.change is None else self.change(module, steps, encoded)

    def resume(self, module, steps, state, *read):
        encoded = self.run(module, steps, state)
        return encoded.steps.values, encoded.summary


def changed(encoded, values):
    return encoded._replace(steps=encoded.steps.with_values(values))


BROKEN = {
    _modules.company_changes_nothing: (
        lambda module, steps, encoded: changed(encoded, encoded.steps.values + steps.values.sum()),
        "steps of rows",
    ),
    _modules.weights_are_all_there_is: (
        lambda module, steps, encoded: changed(encoded, encoded.steps.values + id(module) % 1009),
        "a copy gives something else",
    ),
    _modules.gradients_are_right: (
        lambda module, steps, encoded: changed(encoded, encoded.steps.values + encoded.steps.values.detach() ** 2),
        "Jacobian|jacobian",
    ),
    _modules.same_seed_same_bits: (
        lambda module, steps, encoded: changed(encoded, encoded.steps.values * torch.rand((), generator=RANDOM)),
        "two runs of one seed differ",
    ),
    _modules.parts_are_the_whole: (
        lambda module, steps, encoded: encoded._replace(summary=encoded.summary * 0),
        "steps of sequences in parts of 1",
    ),
    _modules.what_comes_later_changes_nothing: (
        lambda module, steps, encoded: changed(encoded, encoded.steps.values + steps.values.mean()),
        "a step more than 0 before",
    ),
    _modules.sizes_are_what_it_says: (
        lambda module, steps, encoded: changed(encoded, encoded.steps.values.repeat(1, 2)),
        "steps: 4 wide, announced as 2",
    ),
}
RANDOM = torch.Generator()


@pytest.mark.parametrize("law", BROKEN, ids=lambda law: law.__name__)
def test_a_law_sees_what_breaks_it_and_nothing_else(law):
    law(Reading())
    change, message = BROKEN[law]
    with pytest.raises(Exception, match=message):
        law(Reading(change=change))


def test_a_step_that_is_not_read_is_seen():
    blind = Reading(change=lambda module, steps, encoded: changed(encoded, encoded.steps.values * 0))
    with pytest.raises(AssertionError, match="steps at 1 are not read"):
        _modules.what_comes_later_changes_nothing(blind)


def test_a_weight_without_a_gradient_is_seen():
    class Idle(Sum):
        def __init__(self):
            super().__init__()
            self.unused = nn.Linear(1, 1)

    with pytest.raises(AssertionError, match="gradient of unused.weight"):
        _modules.gradients_are_right(Reading(Idle))


def test_an_option_without_an_effect_is_seen():
    with pytest.raises(AssertionError, match="idle: 1}: the last option changes nothing"):
        options_matter(Member(Sum), lambda member: _modules.fingerprint([Reading(member)]), {})


def test_a_member_that_refuses_all_says_why():
    def refuses():
        raise ConfigError("nothing suits it")

    with pytest.raises(ConfigError, match="nothing suits it"):
        _modules.taken(Reading, [(refuses,), (refuses,)])
    assert len(_modules.taken(Reading, [(refuses,), (Sum,)])) == 1
