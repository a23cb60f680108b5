"""Several heads that generate as one."""

import pytest
import torch

from ostinato import registry
from ostinato.ensemble import Ensemble
from ostinato.steps import Steps
from ostinato.testing import heads as laws

ATTENTIONS = [{"attention": name} for name in (*registry.names("attentions"), "none")]
SETS = [*ATTENTIONS, {"input_feeding": True}, {"attention": "location", "context": "before", "layers": 2}]


def member(options=None, seed=0, inputs="one"):
    encoded = laws.read(inputs)
    torch.manual_seed(seed)
    head = laws.maker("autoregressive", options)(laws.SPEC, laws.sizes_of(encoded)).eval()
    with torch.no_grad():
        head.output.weight.mul_(8)  # so that members disagree
    return head, encoded


@torch.no_grad()
def test_it_says_the_normalised_mean_of_the_log_probabilities():
    heads, (encoded, *_) = zip(*(member({"cell": cell}, seed) for seed, cell in enumerate(("gru", "lstm", "rnn"))))
    both = Ensemble(heads)
    state, own = both.start([encoded] * 3), [head.start(encoded) for head in heads]
    for symbol in (0, 3, 5):
        said = torch.full((5,), symbol)
        logits, state = both.step(said, state)
        steps = [head.step(said, one) for head, one in zip(heads, own)]
        own = [one for _, one in steps]
        product = torch.stack([one.softmax(1) for one, _ in steps]).log().mean(0).exp()
        laws.near(logits.exp(), product / product.sum(1, keepdim=True), "probabilities")
        laws.near(state.attention[0], torch.stack([one.attention[0] for one in own]).mean(0), "attention")


@torch.no_grad()
@pytest.mark.parametrize("options", SETS, ids=str)
def test_extending_is_stepping_and_states_are_reordered(options):
    (one, encoded), (other, _) = member(options, 0), member(options, 1)
    both, prompt = Ensemble([one, other]), laws.targets()
    start = both.start([encoded, encoded])
    logits, after = both.extend(prompt, start)
    for row, (symbols, found) in enumerate(zip(prompt.split(), logits.split(list(laws.TARGETS)))):
        state = start.reorder(torch.tensor([row]))
        for place, symbol in enumerate(symbols):
            said, state = both.step(symbol[None], state)
            laws.near(found[place], said[0], f"row {row}, step {place}")
        for name, value in state.values.items():
            laws.near(after.values[name][[row]], value, name)


@torch.no_grad()
@pytest.mark.parametrize("options", SETS, ids=str)
@pytest.mark.parametrize("search", ["beam", "greedy"])
def test_equal_members_answer_as_one_alone(options, search):
    head, encoded = member(options)
    find = registry.make("searches", search)
    most, seeds = torch.full((5,), 6), torch.arange(5)
    alone = find.search(head, head.start(encoded), most, seeds, attention=True)
    both = Ensemble([head, head])
    together = find.search(both, both.start([encoded, encoded]), most, seeds, attention=True)
    for one, other in zip(alone, together, strict=True):
        assert [each.symbols for each in one] == [each.symbols for each in other]
        for each, same in zip(one, other):
            assert abs(each.score - same.score) < 1e-4 * max(1, abs(each.score))
            assert (each.attention is None) == (same.attention is None)
            if each.attention is not None:
                laws.near(same.attention, each.attention, "attention")


@torch.no_grad()
def test_a_beam_over_unequal_members_does_not_depend_on_company():
    pairs = [member({"attention": "additive"}, 0), member({"attention": "general", "cell": "gru"}, 1)]
    both, encoded = Ensemble([head for head, _ in pairs]), pairs[0][1]
    find = registry.make("searches", "beam", (), {"n_best": 3})
    read = lambda rows: [laws.rows_of(encoded, rows)] * 2  # noqa: E731
    together = find.search(both, both.start(read(range(5))), torch.full((5,), 6), torch.arange(5), attention=False)
    for row in range(5):
        (alone,) = find.search(both, both.start(read([row])), torch.tensor([6]), torch.tensor([row]), attention=False)
        assert [one.symbols for one in alone] == [one.symbols for one in together[row]]


@torch.no_grad()
def test_more_than_nine_members_keep_their_states_apart():
    heads = [member({"cell": "gru"}, seed)[0] for seed in range(11)]
    encoded = laws.read("one")
    many = Ensemble(heads)
    state = many.start([encoded] * 11)
    said = torch.full((5,), 3)
    for _ in range(2):
        logits, state = many.step(said, state)
    second = []
    for head in heads:
        _, own = head.step(said, head.start(encoded))
        second.append(head.step(said, own)[0].softmax(1))
    product = torch.stack(second).log().mean(0).exp()
    laws.near(logits.exp(), product / product.sum(1, keepdim=True), "probabilities")


@torch.no_grad()
def test_members_that_look_at_different_things_give_no_weights():
    (one, encoded), (other, _) = member({"attention": "additive"}), member({"attention": "none"}, 1)
    both = Ensemble([one, other])
    logits, state = both.extend(Steps(torch.zeros(5, dtype=torch.int64), laws.targets((1,) * 5).layout), both.start([encoded] * 2))
    assert state.attention == () and bool(logits.isfinite().all())
