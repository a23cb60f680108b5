"""The head of labels of a whole example: the laws with every kind of label, and its losses against other people's."""

import math

import pytest
import torch
from torch.nn import functional

from ostinato import registry
from ostinato.distributions._entropy import cross_entropy
from ostinato.distributions.categorical import Categorical
from ostinato.distributions.contract import Costs
from ostinato.encoders.contract import Encoded
from ostinato.errors import ConfigError, DataError
from ostinato.heads._losses import LabelLayer, balanced
from ostinato.heads.contract import Sizes
from ostinato.modalities.contract import MISSING, Labels, Symbols, Values
from ostinato.steps import Layout, Steps
from ostinato.testing import _modules, heads
from ostinato.testing import predictors as laws
from ostinato.testing._tools import Member
from tests.heads.making import every_option_matters

COUNTS = (5, 2, 3)
SPECS = {
    "one": Labels(3, counts=COUNTS),
    "multilabel": Labels(3, multilabel=True, counts=COUNTS),
    "ordinal": Labels(3, ordinal=True, counts=COUNTS),
    "two": Labels(2, counts=(4, 1)),
    "two ordered": Labels(2, ordinal=True, counts=(4, 1)),
}
SETS = [
    {},
    *({"pool": pool} for pool in ("mean", "max", "attention")),
    {"layer_size": 4},
    {"dropout": 0.3, "layer_size": 4, "pool": "mean"},
    {"label_smoothing": 0.1},
    {"class_weights": "balanced"},
    {"focal": 2.0},
    {"focal": 0.5, "label_smoothing": 0.2, "class_weights": "balanced"},
]
CASES = [(spec, options) for spec in ("one", "multilabel", "ordinal") for options in SETS]
CASES += [(spec, options) for spec in ("two", "two ordered") for options in ({}, SETS[-1])]


def name_of(options):
    if isinstance(options, str):
        return options
    return ",".join(f"{key}={value}" for key, value in options.items()) or "plain"


@pytest.mark.parametrize("law", laws.LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize(("spec", "options"), CASES, ids=name_of)
def test_law(law, spec, options):
    for inputs in ("one", "two"):
        law(laws.Predicting(Member.of("heads", "classifier", options), SPECS[spec], inputs))


@pytest.mark.parametrize("spec", SPECS)
def test_every_option_matters(spec):
    for beside in ({}, {"pool": "mean", "layer_size": 3}, {"focal": 0.5}):
        member = Member.of("heads", "classifier", beside)
        every_option_matters(lambda other: laws.Predicting(other, SPECS[spec]), member)


@pytest.mark.parametrize(
    ("spec", "answer"),
    [
        (Labels(4), lambda symbols: symbols[:1] - 3),
        (Labels(4, ordinal=True), lambda symbols: (symbols == 3).sum().clamp(max=3)[None]),
        (
            Labels(4, multilabel=True),
            lambda symbols: torch.stack([(symbols == 3 + k).any() for k in range(4)]).float()[None],
        ),
    ],
    ids=["the first symbol", "how many", "which symbols"],
)
def test_it_learns(spec, answer):
    options = {"pool": "attention" if spec.multilabel else "last", "dropout": 0.1}
    right = heads.learns(Member.of("heads", "classifier", options), spec, answer)
    assert right >= 0.95, f"{right:.0%}"


def scored(log_probabilities, labels, **options):
    return float(cross_entropy(log_probabilities, labels, Costs(**options)))


def test_the_smoothed_and_weighted_loss_is_torchs():
    torch.manual_seed(0)
    logits, labels = torch.randn(20, 5, dtype=torch.float64), torch.randint(0, 5, (20,))
    weights = torch.rand(5, dtype=torch.float64) + 0.5
    for smoothing in (0.0, 0.1):
        for weight in (None, weights):
            expected = functional.cross_entropy(logits, labels, weight, reduction="sum", label_smoothing=smoothing)
            assert scored(logits.log_softmax(1), labels, smoothing=smoothing, weights=weight) == pytest.approx(
                float(expected)
            )


def test_the_focal_loss_is_lins_equation():
    # p = 0.8 and 0.1 with gamma 2: 0.2^2 * -log 0.8 and 0.9^2 * -log 0.1
    p = torch.tensor([[0.8, 0.2], [0.9, 0.1]], dtype=torch.float64)
    expected = 0.04 * -math.log(0.8) + 0.81 * -math.log(0.1)
    assert scored(p.log(), torch.tensor([0, 1]), focal=2.0) == pytest.approx(expected)


def test_the_focal_loss_of_what_is_sure_has_a_finite_slope():
    logits = torch.tensor([[200.0, 0.0], [0.0, 200.0], [20.0, 0.0]], requires_grad=True)
    for focal in (0.5, 1.0, 2.0):
        logits.grad = None
        cross_entropy(logits.log_softmax(1), torch.tensor([0, 0, 0]), Costs(focal=focal, smoothing=0.1)).backward()
        assert bool(logits.grad.isfinite().all())


def test_balanced_weights_are_scikit_learns_rule():
    # n / (classes * count) of 10 examples: its documented formula, compute_class_weight("balanced")
    assert balanced((5, 2, 3)) == [10 / 15, 10 / 6, 10 / 9]
    assert balanced((6, 0, 2)) == [8 / 12, 1.0, 8 / 4]


def head(spec, **options):
    torch.manual_seed(0)
    return registry.make("heads", "classifier", (spec, [Sizes(None, 4)]), options)


def summary(rows=6):
    torch.manual_seed(1)
    return [Encoded(None, torch.randn(rows, 4), None)]


def one_each(values):
    return Steps(values, Layout.equal(len(values), 1))


def test_weights_multiply_the_loss_of_their_label():
    labels = one_each(torch.tensor([0, 1, 2, 0, 2, 1]))
    plain, weighed = head(Labels(3, counts=COUNTS)), head(Labels(3, counts=COUNTS), class_weights="balanced")
    expected = -plain.score(summary(), labels).log_probability @ torch.tensor(
        [balanced(COUNTS)[k] for k in labels.values]
    )
    loss = weighed.train().loss(summary(), labels)
    assert torch.allclose(loss.total, expected) and loss.count == 6


def test_several_labels_are_a_sigmoid_each():
    values = torch.tensor([[0.0, 1.0, 1.0]] * 6)
    one = head(Labels(3, multilabel=True))
    logits = one.labels.output(summary()[0].summary)
    expected = functional.binary_cross_entropy_with_logits(logits, values, reduction="sum")
    loss = one.loss(summary(), one_each(values))
    assert torch.allclose(loss.total, expected) and loss.count == 6
    said = one.predict(summary())
    assert torch.equal(said.steps.values, (logits.sigmoid() > 0.5).float())
    assert torch.allclose(said.probabilities, logits.sigmoid())


def test_a_row_with_some_labels_unknown_counts_for_the_others():
    values = torch.tensor([[0.0, math.nan, 1.0]] + [[math.nan] * 3] * 5)
    one = head(Labels(3, multilabel=True))
    logits = one.labels.output(summary()[0].summary)
    expected = functional.binary_cross_entropy_with_logits(logits[0, [0, 2]], torch.tensor([0.0, 1.0]), reduction="sum")
    loss = one.loss(summary(), one_each(values))
    loss.total.backward()
    assert torch.allclose(loss.total, expected) and loss.count == 1
    assert bool(one.labels.output.weight.grad.isfinite().all())
    assert one.score(summary(), one_each(values)).num_targets.tolist() == [1, 0, 0, 0, 0, 0]


def test_several_labels_are_right_when_all_that_are_given_are():
    one, nan = head(Labels(3, multilabel=True)), math.nan
    best = one.predict(summary(4)).steps.values
    values = torch.stack((best[0], 1 - best[1], best[2], best[3]))
    values[2, 1], values[3] = nan, torch.stack((1 - best[3, 0], best[3, 1], torch.tensor(nan)))
    assert one.score(summary(4), one_each(values)).num_right.tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize("size", [1, 2, 5])
def test_ordered_labels_are_mccullaghs_and_start_out_equally_likely(size):
    one = head(Labels(size, ordinal=True))
    nothing = [Encoded(None, torch.zeros(3, 4), None)]
    assert torch.allclose(one.predict(nothing).probabilities, torch.full((3, size), 1 / size))
    torch.manual_seed(2)
    for parameter in one.parameters():
        torch.nn.init.normal_(parameter)
    score = one.labels.output(summary()[0].summary)
    first, gaps = one.labels.cuts[:1], one.labels.cuts[1:]
    cuts = torch.cat((first, first + functional.softplus(gaps).cumsum(0)))
    above = torch.cat((torch.ones(6, 1), torch.sigmoid(score - cuts), torch.zeros(6, 1)), 1)
    assert torch.allclose(one.predict(summary()).probabilities, above[:, :-1] - above[:, 1:], atol=1e-6)


@pytest.mark.parametrize("far", [1e3, -1e3])
def test_ordered_labels_far_from_their_cuts_keep_a_finite_loss_and_slope(far):
    one = LabelLayer(1, Labels(4, ordinal=True), smoothing=0.0, weighted="none", focal=0.0)
    x = torch.full((4, 1), far, requires_grad=True)
    loss = one(x, Layout.equal(4, 1), True).loss(torch.arange(4)).total
    loss.backward()
    assert math.isfinite(float(loss.detach())) and bool(x.grad.isfinite().all())


def test_the_loss_of_no_target_is_zero():
    for spec, values in (
        (Labels(3), torch.tensor([MISSING])),
        (Labels(3, multilabel=True), torch.tensor([[math.nan] * 3])),
    ):
        loss = head(spec).loss(summary(1), one_each(values))
        assert (loss.total.item(), loss.count) == (0.0, 0)


@pytest.mark.parametrize("spec", [Symbols(5, 0, 1, 2), Values(2)])
def test_what_is_no_label_is_refused(spec):
    with pytest.raises(ConfigError, match="classifier predicts labels, and a step of this output is"):
        head(spec)


def test_weights_without_counts_are_refused():
    with pytest.raises(ConfigError, match="class_weights: balanced: .* set it to none"):
        head(Labels(3), class_weights="balanced")


@pytest.mark.parametrize("pool", ["mean", "max", "attention", "concatenated"])
def test_an_input_without_steps_gives_its_summary_and_without_any_steps_pooling_them_is_refused(pool):
    made = registry.make("heads", "classifier", (Labels(3), [Sizes(4, 4), Sizes(None, 5)]), {"pool": pool})
    text = Encoded(Steps(torch.randn(5, 4), Layout([2, 3])), torch.randn(2, 4), None)
    number = Encoded(None, torch.randn(2, 5), None)
    torch.testing.assert_close(made.features([text, number])[:, -5:], number.summary)
    with pytest.raises(ConfigError, match=f"pool: {pool} needs steps, and it reads none; choose last"):
        registry.make("heads", "classifier", (Labels(3), [Sizes(None, 4), Sizes(None, 4)]), {"pool": pool})


@pytest.mark.parametrize("pool", ["last", "concatenated"])
def test_a_summary_that_is_not_there_is_refused(pool):
    with pytest.raises(
        ConfigError, match=f"pool: {pool} needs a summary, and input 1 of 1 .* choose mean, max or attention"
    ):
        registry.make("heads", "classifier", (Labels(3), [Sizes(4, None)]), {"pool": pool})


def test_more_than_one_answer_an_example_is_refused():
    with pytest.raises(DataError, match="6 examples need one answer each, and the targets have 12 steps in 6 examples"):
        head(Labels(3)).loss(summary(), Steps(torch.zeros(12, dtype=torch.int64), Layout.equal(6, 2)))


def test_the_laws_see_a_head_that_breaks_them(monkeypatch):
    honest = Categorical.mode
    monkeypatch.setattr(Categorical, "mode", lambda self: (honest(self) + 1) % 3)
    with pytest.raises(AssertionError, match="has a better answer"):
        laws.the_answer_is_the_best(laws.Predicting(Member.of("heads", "classifier"), SPECS["one"]))
    monkeypatch.undo()

    def whole_batch(self, features, layout, training):
        return honest_layer(self, features - features.mean(0), layout, training)

    honest_layer = LabelLayer.forward
    monkeypatch.setattr(LabelLayer, "forward", whole_batch)
    with pytest.raises(AssertionError, match="scores of rows"):
        _modules.company_changes_nothing(laws.Predicting(Member.of("heads", "classifier"), SPECS["one"]))
