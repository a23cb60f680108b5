"""What a message on distributions recommends, followed."""

import pytest
import torch

from ostinato.distributions.categorical import Categorical
from ostinato.distributions.chain import Chain
from ostinato.distributions.contract import Average
from ostinato.distributions.normal import Normal
from ostinato.distributions.point import Point
from ostinato.layers.crf import CRF
from ostinato.modalities.contract import Legal
from ostinato.steps import Layout, Steps
from tests.advice import follow

LAYOUT = Layout([2])
SCORES = torch.zeros(2, 3)
AFTER_FIRST = Legal((True, False, False), (False, True, True), ((True,) * 3,) * 3)
"""Sequences begin with label 0 and end with another, so that none has one step."""
LEGAL, OTHER, WRONG = torch.tensor([0, 1]), torch.tensor([0, 2]), torch.tensor([1, 2])


def chain(steps, legal=AFTER_FIRST):
    return Chain(Steps(torch.zeros(steps, 3), Layout([steps])), CRF(3, legal))


def of_symbols(*symbols):
    return Categorical(SCORES, LAYOUT, torch.tensor([symbols] * 2))


NORMAL = Normal(torch.zeros(2, 1), torch.ones(2, 1), LAYOUT)
POINT = Point(torch.zeros(2, 1), "squared", LAYOUT)
CALLS = [
    # what is refused | what the message recommends | calls that follow it
    (
        lambda: of_symbols(1, 2, 3).ensemble_of([of_symbols(4, 5, 6)]),
        "distributions of different symbols have no average; give runs of one vocabulary",
        lambda: of_symbols(1, 2, 3).ensemble_of([of_symbols(1, 2, 3)]),
    ),
    (
        lambda: Average([NORMAL, POINT]),
        "points cannot be averaged with quantiles; give runs of one distribution",
        lambda: Average([NORMAL, NORMAL]),
        lambda: Average([POINT, POINT]),
    ),
    (
        lambda: chain(1).mode(),
        "what may begin, follow and end leaves none of this length; use the head tagger, or another scheme of tags",
        lambda: Categorical(SCORES[:1], Layout([1])).mode(),
        lambda: chain(1, Legal((True,) * 3, (True,) * 3, ((True,) * 3,) * 3)).mode(),
    ),
    (
        lambda: chain(2).loss(WRONG),
        "one begins, ends or follows another where it may not; mend the data, or use the head tagger",
        lambda: chain(2).loss(LEGAL),
        lambda: chain(2).loss(OTHER),
        lambda: Categorical(SCORES, LAYOUT).loss(WRONG),
    ),
]


@pytest.mark.parametrize("row", CALLS, ids=lambda row: row[1][:60])
def test_a_call_that_follows_the_advice_works(row):
    refused, advice, *calls = row
    follow(refused, advice)
    for call in calls:
        assert call() is not None
