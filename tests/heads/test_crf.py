"""The head of labels chosen together: the laws with and without legal transitions, and what it refuses."""

import itertools
import math

import pytest
import torch

from ostinato import registry
from ostinato.encoders.contract import Encoded
from ostinato.errors import ConfigError, DataError
from ostinato.heads.contract import Sizes
from ostinato.layers import crf as crf_module
from ostinato.modalities.contract import MISSING, Labels, Legal
from ostinato.steps import Layout, Steps
from ostinato.testing import heads
from ostinato.testing import predictors as laws
from ostinato.testing._heads import is_legal
from ostinato.testing._tools import Member
from tests.heads.making import every_option_matters

# O, B, I: I only after B or I
LEGAL = Legal((True, True, False), (True, True, True), ((True, True, False), (True, True, True), (True, True, True)))
# each label lacks something: 2 never starts, 0 never ends, 1 never follows itself
NARROW = Legal((True, True, False), (False, True, True), ((True, True, True), (True, False, True), (False, True, True)))
SPECS = {
    "any": Labels(3),
    "bio": Labels(3, legal=LEGAL),
    "narrow": Labels(3, legal=NARROW),
    "ordinal": Labels(2, ordinal=True),
}


@pytest.mark.parametrize("law", laws.LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("options", [{}, {"dropout": 0.3}], ids=str)
def test_law(law, spec, options):
    law(laws.Predicting(Member.of("heads", "crf", options), SPECS[spec]))


def test_every_option_matters():
    every_option_matters(lambda other: laws.Predicting(other, SPECS["bio"]), Member.of("heads", "crf"))


def test_it_learns_spans():
    # a 3 begins a span, which goes on as long as the symbol stays above 4 : begin 1, inside 2, outside 0
    def spans(symbols):
        labels = []
        for symbol in symbols.tolist():
            inside = symbol > 4 and bool(labels) and labels[-1] in (1, 2)
            labels.append(1 if symbol == 3 else 2 if inside else 0)
        return torch.tensor(labels)

    right = heads.learns(Member.of("heads", "crf"), SPECS["bio"], spans)
    assert right >= 0.95, f"{right:.0%} of steps"


def head(legal=None, size=3):
    torch.manual_seed(0)
    return registry.make("heads", "crf", (Labels(size, legal=legal), [Sizes(4, None)]))


def read(lengths):
    torch.manual_seed(1)
    return [Encoded(Steps(torch.randn(sum(lengths), 4), Layout(list(lengths))), None, None)]


def test_before_training_it_is_a_softmax_of_each_step():
    tagger = registry.make("heads", "tagger", (Labels(3), [Sizes(4, None)]))
    one, encoded = head(), read((3, 0, 2))
    tagger.labels.output.load_state_dict(one.output.state_dict())
    found, expected = one.predict(encoded), tagger.predict(encoded)
    assert torch.equal(found.steps.values, expected.steps.values)
    assert torch.allclose(found.log_probability, expected.log_probability, atol=1e-6)
    assert torch.allclose(found.probabilities, expected.probabilities, atol=1e-6)


@torch.no_grad()
def test_no_answer_is_ever_illegal():
    one, encoded = head(LEGAL), read([5] * 200)
    one.output.weight *= 10
    labels = one.predict(encoded).steps
    assert all(is_legal(SPECS["bio"], mine.tolist()) for mine in labels.split())
    free = encoded[0].steps.with_values(one.output(encoded[0].steps.values).argmax(1))
    assert not all(is_legal(SPECS["bio"], mine.tolist()) for mine in free.split()), "here the plain argmax is not legal"


def test_labels_that_are_not_legal_are_refused_in_training_and_impossible_in_scoring():
    one, encoded = head(LEGAL), read((2, 3))
    cases = ([0, 1, 0, 2, 2], 2, "0, 2, 2"), ([2, 1, 0, 1, 2], 1, "2, 1"), ([0, 1, 0, MISSING, 2], None, "")
    for values, row, numbers in cases:
        truth = Steps(torch.tensor(values), encoded[0].steps.layout)
        scored = one.score(encoded, truth)
        assert (scored.log_probability == -math.inf).tolist() == [row == 1, row == 2]
        if row:
            with pytest.raises(
                DataError, match=f"labels of example {row} of the batch are not legal, numbered .{numbers}"
            ):
                one.loss(encoded, truth)
        else:
            assert bool(one.loss(encoded, truth).total.isfinite())


def test_a_length_that_no_labels_fit_is_refused():
    legal = Legal((True, False), (False, True), ((True, True), (False, True)))
    one, encoded = head(legal, size=2), read((2, 1))
    with pytest.raises(DataError, match="no labels are legal for the 1 steps of example 2"):
        one.predict(encoded)


def test_several_labels_at_once_are_refused():
    with pytest.raises(ConfigError, match="crf predicts one label for each step, and this output has several at once"):
        registry.make("heads", "crf", (Labels(3, multilabel=True), [Sizes(4, None)]))


@torch.no_grad()
def test_a_missing_label_is_summed_over():
    one, encoded = head(LEGAL), read((3,))
    layout = encoded[0].steps.layout
    score = lambda labels: float(one.score(encoded, Steps(torch.tensor(labels), layout)).log_probability)  # noqa: E731
    every = [math.exp(score([first, 1, last])) for first, last in itertools.product(range(3), repeat=2)]
    assert math.exp(score([MISSING, 1, MISSING])) == pytest.approx(sum(every), rel=1e-5)
    assert score([MISSING] * 3) == pytest.approx(0, abs=1e-6)


def test_the_laws_see_a_chain_that_breaks_them(monkeypatch):
    best = crf_module.CRF.best
    monkeypatch.setattr(
        crf_module.CRF, "best", lambda self, emissions: best(self, emissions.with_values(-emissions.values))
    )
    with pytest.raises(AssertionError, match="has a better answer"):
        laws.the_answer_is_the_best(laws.Predicting(Member.of("heads", "crf"), SPECS["any"]))


def test_weights_of_a_pool_are_fitted_on_held_out_targets_and_nothing_else_has_a_gradient():
    spec, sizes = Labels(3, legal=LEGAL), [Sizes(4, None), Sizes(3, None, (), True)]
    torch.manual_seed(0)
    pooled = registry.make("heads", "crf", (spec, sizes))
    layout = Layout([5, 0, 4])
    truth = Steps(torch.tensor([0, 1, 2, 2, 0, 1, 1, 2, 0]), layout)
    right = 4 * torch.nn.functional.one_hot(truth.values, 3).float()
    encoded = [Encoded(Steps(part, layout), None, None) for part in (torch.randn(9, 4), right)]
    before = pooled.score(encoded, truth).log_probability.sum()
    pooled.settle([(encoded, truth)])
    assert pooled.pool.weights[1] > 0.5 > pooled.pool.weights[0]
    assert pooled.score(encoded, truth).log_probability.sum() > before
    assert all(parameter.grad is None for parameter in pooled.parameters())
    # The loss of training is that of what is learnt.
    read = [encoded[0], Encoded(None, None, None)]
    assert pooled.train().loss(read, truth).total.requires_grad
