"""The linear chain against brute force: every sequence of labels of a few steps, scored one by one."""

import itertools
import math

import pytest
import torch

from ostinato.layers import crf as crf_module
from ostinato.layers.crf import CRF
from ostinato.modalities.contract import MISSING, Legal
from ostinato.steps import Layout, Steps

LENGTHS = [3, 0, 1, 5, 2, 0, 4]
SIZE = 3
# O, B, I: I only after B or I, and nothing else is barred
LEGAL = Legal((True, True, False), (True, True, True), ((True, True, False), (True, True, True), (True, True, True)))
# each label lacks something: 2 never starts, 0 never ends, 1 never follows itself; one path of one step
NARROW = Legal((True, True, False), (False, True, True), ((True, True, True), (True, False, True), (False, True, True)))
WAYS = ["products", "number by number"]


@pytest.fixture(params=WAYS)
def way(request, monkeypatch):
    """Both ways to add up: as matrix products, and number by number, which scores far apart need."""
    if request.param == WAYS[1]:
        monkeypatch.setattr(crf_module, "_APART", -1.0)


def case(legal=None, size=SIZE, lengths=LENGTHS, seed=0, dtype=torch.float64, spread=1.0):
    torch.manual_seed(seed)
    chain = CRF(size, legal).to(dtype)
    with torch.no_grad():
        for parameter in chain.parameters():
            parameter.copy_(torch.randn_like(parameter) * spread)
    layout = Layout(lengths)
    return chain, Steps(torch.randn(layout.total, size, dtype=dtype) * spread, layout)


def paths(chain, x, legal=None):
    """Every legal sequence of labels for one sequence of emissions, with its score, from the definition."""
    starts, ends, follows = (one.detach().double() for one in (chain.starts, chain.ends, chain.follows))
    found = {}
    for labels in itertools.product(range(chain.size), repeat=len(x)):
        if legal and labels:
            if not legal.starts[labels[0]] or not legal.ends[labels[-1]]:
                continue
            if not all(legal.follows[one][other] for one, other in itertools.pairwise(labels)):
                continue
        score = sum(float(x[t, label]) for t, label in enumerate(labels))
        score += sum(float(follows[one, other]) for one, other in itertools.pairwise(labels))
        found[labels] = score + (float(starts[labels[0]] + ends[labels[-1]]) if labels else 0.0)
    return found


def log_sum(scores):
    return float(torch.logsumexp(torch.tensor(list(scores), dtype=torch.float64), 0))


@pytest.mark.parametrize("legal", [None, LEGAL, NARROW])
@pytest.mark.parametrize("spread", [1.0, 20.0, 400.0])
def test_the_partition_is_the_sum_over_all_legal_paths(way, legal, spread):
    chain, emissions = case(legal, spread=spread)
    for found, x in zip(chain.log_partition(emissions).detach(), emissions.values.split(LENGTHS)):
        scores = paths(chain, x, legal)
        assert float(found) == pytest.approx(log_sum(scores.values()), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("legal", [None, LEGAL, NARROW])
def test_a_paths_score_is_its_sum_and_minus_infinity_where_it_is_not_legal(legal):
    chain, emissions = case(legal)
    for x in emissions.values.split(LENGTHS):
        every = list(itertools.product(range(SIZE), repeat=len(x)))
        batch = Steps(x.repeat(len(every), 1), Layout([len(x)] * len(every)))
        scores = chain.score(batch, torch.tensor(every, dtype=torch.int64).flatten())
        legals = paths(chain, x, legal)
        expected = [legals.get(labels, -math.inf) for labels in every]
        assert torch.allclose(scores, torch.tensor(expected, dtype=torch.float64), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("legal", [None, LEGAL, NARROW])
@pytest.mark.parametrize("spread", [1.0, 400.0])
def test_the_best_path_is_the_best_of_all(legal, spread):
    chain, emissions = case(legal, spread=spread)
    labels, scores = chain.best(emissions)
    for mine, score, x in zip(labels.split(LENGTHS), scores, emissions.values.split(LENGTHS)):
        every = paths(chain, x, legal)
        assert float(score) == pytest.approx(max(every.values()), rel=1e-12)
        assert every[tuple(mine.tolist())] == pytest.approx(max(every.values()), rel=1e-12)


@pytest.mark.parametrize("legal", [None, LEGAL, NARROW])
@pytest.mark.parametrize("spread", [1.0, 400.0])
def test_marginals_are_the_shares_of_the_paths_through_a_label(way, legal, spread):
    chain, emissions = case(legal, spread=spread)
    for found, x in zip(chain.marginals(emissions).split(LENGTHS), emissions.values.split(LENGTHS)):
        every = paths(chain, x, legal)
        expected = torch.zeros_like(found)
        for labels, score in every.items():
            for t, label in enumerate(labels):
                expected[t, label] += math.exp(score - log_sum(every.values()))
        assert torch.allclose(found, expected, atol=1e-10)


@pytest.mark.parametrize("legal", [None, LEGAL, NARROW])
def test_missing_labels_are_summed_over(way, legal):
    chain, emissions = case(legal)
    for row, x in enumerate(emissions.values.split(LENGTHS)):
        every = paths(chain, x, legal)
        one = Steps(x, Layout([len(x)]))
        for known in itertools.product((False, True), repeat=len(x)):
            truth = list(every)[row % len(every)]
            labels = torch.tensor(
                [label if there else MISSING for label, there in zip(truth, known)], dtype=torch.int64
            )
            fitting = [
                s for path, s in every.items() if all(a == b for a, b, there in zip(path, truth, known) if there)
            ]
            assert float(chain.score(one, labels).detach()) == pytest.approx(log_sum(fitting), rel=1e-12, abs=1e-12)
            expected = log_sum(fitting) - log_sum(every.values())
            assert float(chain.log_probability(one, labels).detach()) == pytest.approx(expected, rel=1e-10, abs=1e-10)


@pytest.mark.parametrize("legal", [None, LEGAL, NARROW])
@pytest.mark.parametrize("missing", [False, True])
def test_gradients_are_those_of_finite_differences(way, legal, missing):
    chain, emissions = case(legal)
    labels, _ = chain.best(emissions)
    if missing:
        labels[[0, 2, 5, 9, 10]] = MISSING
    x = emissions.values.requires_grad_()
    weights = torch.randn(len(LENGTHS), dtype=torch.float64)
    loss = lambda *_: (chain.log_probability(Steps(x, emissions.layout), labels) * weights).sum()  # noqa: E731
    assert torch.autograd.gradcheck(loss, (x, *chain.parameters()))


def test_the_gradient_of_the_partition_is_what_is_expected_of_each_pair():
    chain, emissions = case(LEGAL, lengths=[4])
    chain.log_partition(emissions).sum().backward()
    every = paths(chain, emissions.values, LEGAL)
    expected = torch.zeros(SIZE, SIZE, dtype=torch.float64)
    for labels, score in every.items():
        for one, other in itertools.pairwise(labels):
            expected[one, other] += math.exp(score - log_sum(every.values()))
    assert torch.allclose(chain.follows.grad, expected)
    assert not chain.follows.grad[~torch.tensor(LEGAL.follows)].any(), "what is not legal has no gradient"


@pytest.mark.parametrize("spread", [1.0, 400.0])
def test_gradients_stay_finite_whatever_cannot_be_reached(spread):
    # label 1 is reached by nothing and leads nowhere; 2 ends only
    legal = Legal(
        (True, False, False), (True, False, True), ((True, False, True), (False, False, False), (False, False, True))
    )
    chain, emissions = case(legal, spread=spread, dtype=torch.float32)
    x = emissions.values
    x[:, 1] += 1000  # what is barred may score what it likes
    x.requires_grad_()
    labels, _ = chain.best(emissions)
    assert not bool((labels == 1).any())
    for given in (labels, torch.where(torch.arange(len(labels)) % 2 == 0, labels, MISSING)):
        chain.log_probability(emissions, given).sum().backward()
        assert all(bool(one.grad.isfinite().all()) for one in (x, *chain.parameters()))
        assert not x.grad[:, 1].any()


# Each loses its only paths, or their gradient, if it is added up as plain products of exp: labels, then (starts, ends,
# follows) as text with one letter a label, then scores of transitions and of steps.
FAR = {
    "what leads on lies far below what does not": ("11", "01", "11 10", {}, [[0, 2000], [0, 3]]),
    "what was led to lies far below what was not": ("01", "11", "11 10", {}, [[0, 3], [0, 2000]]),
    "one transition lies far below another to one label": ("10", "01", "11 11", {(0, 1): -1000},
        [[0, 0], [0, 0], [0, 0]]),
    "one transition lies far above another from one label": ("10", "01", "11 11", {(0, 0): 1000}, [[0, 0], [0, 0]]),
    # a starts, b starts and leads nowhere, u and w are never reached; every gap is below the bound, their sum is not
    "what cannot be reached adds up": (
        "11000", "00011", "00010 00000 00011 00000 00000", {(2, 3): 340, (2, 4): 340},
        [[0, 340, -680, 0, 0], [0, 0, 0, 0, 340]],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAR)
def test_scores_far_apart_are_added_up_exactly(name):
    starts, ends, follows, moves, scores = FAR[name]
    read = lambda text: tuple(one == "1" for one in text)  # noqa: E731
    legal = Legal(read(starts), read(ends), tuple(map(read, follows.split())))
    chain = CRF(len(starts), legal).double()
    with torch.no_grad():
        for place, score in moves.items():
            chain.follows[place] = score
    x = torch.tensor(scores, dtype=torch.float64, requires_grad=True)
    total = chain.log_partition(Steps(x, Layout([len(x)])))
    total.sum().backward()
    every = paths(chain, x.detach(), legal)
    expected, pairs = torch.zeros_like(x), torch.zeros_like(chain.follows)
    for labels, score in every.items():
        share = math.exp(score - log_sum(every.values()))
        for t, label in enumerate(labels):
            expected[t, label] += share
            if t:
                pairs[labels[t - 1], label] += share
    assert float(total.detach()) == pytest.approx(log_sum(every.values()))
    assert torch.allclose(x.grad, expected) and torch.allclose(chain.follows.grad, pairs)
    assert torch.allclose(chain.marginals(Steps(x.detach(), Layout([len(x)]))), expected)


def test_company_and_order_change_nothing():
    chain, emissions = case(LEGAL, dtype=torch.float32)
    labels, score = chain.best(emissions)
    labels[3] = MISSING
    together = chain.log_probability(emissions, labels), chain.marginals(emissions)
    steps = emissions.with_values(torch.arange(len(labels)))
    for rows in [[row] for row in range(len(LENGTHS))] + [[6, 1, 3, 0], [5, 5, 2]]:
        some, picked = emissions.select(torch.tensor(rows)), steps.select(torch.tensor(rows)).values
        assert torch.allclose(chain.log_probability(some, labels[picked]), together[0][rows], atol=1e-10)
        assert torch.allclose(chain.marginals(some), together[1][picked], atol=1e-10)
        best, best_score = chain.best(some)
        assert torch.allclose(best_score, score[rows])
        assert torch.equal(best[labels[picked] != MISSING], labels[picked][labels[picked] != MISSING])


def test_no_step_of_padding_is_computed(monkeypatch):
    rows = []
    honest = crf_module._Summed.__call__
    monkeypatch.setattr(crf_module._Summed, "__call__", lambda self, left: rows.append(len(left)) or honest(self, left))
    chain, emissions = case()
    chain.log_partition(emissions)
    assert rows == list(emissions.layout.alive[1:])


@pytest.mark.parametrize("lengths", [[], [0], [0, 0], [1], [0, 1, 0]])
def test_batches_of_next_to_nothing(lengths):
    chain, emissions = case(LEGAL, lengths=lengths)
    labels, score = chain.best(emissions)
    assert labels.shape == (sum(lengths),) and score.shape == (len(lengths),)
    loss = -chain.log_probability(emissions, labels).sum()
    loss.backward()
    assert math.isfinite(float(loss.detach())) and chain.marginals(emissions).shape == (sum(lengths), SIZE)
    empty = torch.tensor([length == 0 for length in lengths], dtype=torch.bool)
    assert not chain.log_partition(emissions)[empty].any()


def test_where_nothing_is_legal_the_partition_is_that_of_no_path():
    legal = Legal((True, False), (False, True), ((True, True), (False, True)))
    chain, emissions = case(legal, size=2, lengths=[1, 2])
    assert chain.log_partition(emissions)[0] == -math.inf and chain.log_partition(emissions)[1].isfinite()
    assert chain.best(emissions)[1][0] == -math.inf
    assert not chain.marginals(emissions)[0].any()


def test_a_second_derivative_is_refused():
    chain, emissions = case()
    loss = chain.log_partition(emissions).sum()
    with pytest.raises(RuntimeError, match="no second derivative"):
        torch.autograd.grad(loss, chain.follows, create_graph=True)


def test_a_golden_case_worked_out_by_hand():
    # two steps, two labels, all scores log 1 or log 2: paths 00 01 10 11 weigh 2, 4, 1, 1; log Z = log 8
    chain = CRF(2).double()
    two = math.log(2)
    with torch.no_grad():
        chain.starts.copy_(torch.tensor([two, 0.0]))
        chain.follows.copy_(torch.tensor([[0.0, two], [0.0, 0.0]]))
    emissions = Steps(torch.zeros(2, 2, dtype=torch.float64), Layout([2]))
    assert float(chain.log_partition(emissions).detach()) == pytest.approx(math.log(8))
    assert chain.best(emissions)[0].tolist() == [0, 1]
    assert torch.allclose(
        chain.marginals(emissions), torch.tensor([[6 / 8, 2 / 8], [3 / 8, 5 / 8]], dtype=torch.float64)
    )
