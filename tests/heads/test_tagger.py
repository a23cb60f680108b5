"""The head of labels of each step: the laws with every kind of label, and what it refuses."""

import pytest
import torch
from torch.nn import functional

from ostinato import registry
from ostinato.encoders.contract import Encoded
from ostinato.errors import ConfigError, DataError
from ostinato.heads.contract import Sizes
from ostinato.modalities.contract import MISSING, Labels, Symbols
from ostinato.steps import Layout, Steps
from ostinato.testing import heads
from ostinato.testing import predictors as laws
from ostinato.testing._tools import Member
from tests.heads.making import every_option_matters

COUNTS = (5, 2, 3)
SPECS = {
    "one": Labels(3, counts=COUNTS),
    "multilabel": Labels(2, multilabel=True, counts=(4, 1)),
    "ordinal": Labels(3, ordinal=True, counts=COUNTS),
}
SETS = [
    {},
    {"dropout": 0.3},
    {"label_smoothing": 0.1},
    {"class_weights": "balanced"},
    {"focal": 2.0},
    {"focal": 0.5, "label_smoothing": 0.2, "class_weights": "balanced"},
]


@pytest.mark.parametrize("law", laws.LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("options", SETS, ids=str)
def test_law(law, spec, options):
    law(laws.Predicting(Member.of("heads", "tagger", options), SPECS[spec]))


@pytest.mark.parametrize("spec", SPECS)
def test_every_option_matters(spec):
    for beside in ({}, {"focal": 0.5}):
        every_option_matters(lambda other: laws.Predicting(other, SPECS[spec]), Member.of("heads", "tagger", beside))


def test_it_learns_which_symbol_stands_one_step_on():
    # the last step's answer is the first label
    following = lambda symbols: torch.cat((symbols[1:] - 3, symbols.new_zeros(1)))  # noqa: E731
    right = heads.learns(Member.of("heads", "tagger"), Labels(4), following)
    assert right >= 0.95, f"{right:.0%} of steps"


def head(spec=Labels(3), **options):
    torch.manual_seed(0)
    return registry.make("heads", "tagger", (spec, [Sizes(4, None)]), options)


def read(lengths):
    torch.manual_seed(1)
    return [Encoded(Steps(torch.randn(sum(lengths), 4), Layout(list(lengths))), None, None)]


def test_its_loss_is_torchs_cross_entropy_without_the_missing_steps():
    encoded, labels = read((3, 0, 2)), torch.tensor([0, MISSING, 2, 1, MISSING])
    expected = functional.cross_entropy(
        head().labels.output(encoded[0].steps.values),
        labels,
        ignore_index=MISSING,
        reduction="sum",
        label_smoothing=0.1,
    )
    loss = head(label_smoothing=0.1).train().loss(encoded, Steps(labels, encoded[0].steps.layout))
    assert torch.allclose(loss.total, expected) and loss.count == 3


def test_each_step_of_the_answer_is_the_most_likely_label():
    encoded = read((3, 0, 2))
    said = head().predict(encoded)
    odds = head().labels.output(encoded[0].steps.values).softmax(1)
    assert torch.equal(said.steps.values, odds.argmax(1)) and torch.allclose(said.probabilities, odds)
    expected = torch.stack([one.max(1).values.log().sum() for one in odds.split([3, 0, 2])])
    assert torch.allclose(said.log_probability, expected) and said.log_probability[1] == 0


@pytest.mark.parametrize("name", ["tagger", "crf"])
def test_answers_that_are_not_one_for_each_step_are_refused(name):
    one = registry.make("heads", name, (Labels(3), [Sizes(4, None)]))
    for lengths, said in (
        ((2, 1), "3 steps were read and 4 answers are given; example 2 of the batch has 1 steps and 2 answers"),
        ((1, 2), "3 steps were read and 4 answers are given; example 1 of the batch has 1 steps and 2 answers"),
        ((4,), "4 steps were read and 4 answers are given, in 1 and 2 examples"),
    ):
        truth = Steps(torch.zeros(4, dtype=torch.int64), Layout([2, 2]))
        for asked in (one.loss, one.score):
            with pytest.raises(DataError, match=said):
                asked(read(lengths), truth)


@pytest.mark.parametrize("name", ["tagger", "crf"])
def test_two_inputs_or_one_without_steps_are_refused(name):
    with pytest.raises(
        ConfigError, match=f"{name} predicts a label for each step of one input, and reads 2; .* `join: attend`"
    ):
        registry.make("heads", name, (Labels(3), [Sizes(4, 4), Sizes(4, 4)]))
    with pytest.raises(
        ConfigError, match=f"{name} predicts a label for each step of its input, and what it reads gives none"
    ):
        registry.make("heads", name, (Labels(3), [Sizes(None, 4)]))


@pytest.mark.parametrize("name", ["tagger", "crf"])
def test_what_is_no_label_is_refused(name):
    with pytest.raises(ConfigError, match=f"{name} predicts labels, and a step of this output is one of 5 symbols"):
        registry.make("heads", name, (Symbols(5, 0, 1, 2), [Sizes(4, 4)]))
