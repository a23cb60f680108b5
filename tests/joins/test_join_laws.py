"""The laws of joins, on every member of the room and on its options; and each join against its equations."""

import pytest
import torch
from torch import nn

from ostinato import registry
from ostinato.encoders.contract import Encoded
from ostinato.errors import ConfigError
from ostinato.steps import Layout, Steps
from ostinato.testing import _modules, joins, laws
from ostinato.testing._tools import Member

VARIANTS = {
    "add": [{"size": 4}, {"size": 7}],
    "gate": [{"size": 7}],
    "attend": [
        {"attention": {"type": "scaled_dot", "size": 5}},
        {"attention": "general", "hops": 2},
        {"attention": "location", "hops": 2},
    ],
    "compare": [{"features": [], "bilinear": 3}, {"features": ["first", "second"], "bilinear": 2}],
}
"""Beside each option alone."""


@pytest.mark.parametrize(
    ("name", "options"),
    [
        (name, options)
        for name in registry.names("joins")
        for options in (*laws.variants("joins", name), *VARIANTS.get(name, []))
        if options not in ({"features": ["first"]}, {"features": ["second"]})  # which read one input alone
    ],
    ids=str,
)
def test_every_join_keeps_the_laws(name, options):
    laws.run("joins", name, options)


def made(name, case, options=None):
    torch.manual_seed(0)
    case = joins.Joining(Member.of("joins", name, options), case)
    return case.build(), *case.read()


def test_add_of_one_width_is_a_sum_without_parameters():
    join, read = made("add", "two rows")
    assert not list(join.parameters())
    assert torch.equal(join.join(read).summary, read[0].summary + read[1].summary)


def test_add_takes_the_others_along_at_each_step_of_the_only_one_with_steps():
    join, read = made("add", "three of different widths")
    joined = join.join(read)
    maps = [one.weight if isinstance(one, nn.Linear) else torch.eye(5) for one in join.maps]
    for row, steps in enumerate(joined.steps.split()):
        others = maps[1] @ read[1].summary[row] + maps[2] @ read[2].summary[row]
        for found, h in zip(steps, read[0].steps.split()[row], strict=True):
            torch.testing.assert_close(found, maps[0] @ h + others)
        torch.testing.assert_close(joined.summary[row], maps[0] @ read[0].summary[row] + others)
    assert made("add", "two with steps")[0].steps_size is None


def test_add_has_a_map_of_its_own_for_steps_of_another_width():
    join, read = made("add", "a row and steps")
    assert join.steps_map.weight.shape == (4, 5)
    expected = join.maps[0].weight @ read[0].summary[3] + join.steps_map.weight @ read[1].steps.split()[3][2]
    torch.testing.assert_close(join.join(read).steps.split()[3][2], expected)


def test_gate_computes_its_equations():
    join, read = made("gate", "steps and a row", {"size": 5})

    def weighed(parts):
        gates = torch.sigmoid(join.gates.weight @ torch.cat(parts) + join.gates.bias)
        return sum(gates[5 * k : 5 * k + 5] * (join.maps[k].weight @ part) for k, part in enumerate(parts))

    joined = join.join(read)
    for row in range(4):
        torch.testing.assert_close(joined.summary[row], weighed([one.summary[row] for one in read]))
        for found, h in zip(joined.steps.split()[row], read[0].steps.split()[row], strict=True):
            torch.testing.assert_close(found, weighed([h, read[1].summary[row]]))


@pytest.mark.parametrize("hops", [1, 3])
def test_attend_computes_its_equations(hops):
    join, read = made("attend", "three with steps", {"hops": hops, "attention": "general"})

    def context(attention, query, steps):
        if not len(steps):
            return torch.zeros(4)
        keys = attention.prepare(steps[None])
        return attention.scores(query[None, None], keys, None)[0, 0].softmax(0) @ steps

    def looked(query, row):
        for hop in range(hops):
            found = [context(one, query, other.steps.split()[row]) for one, other in zip(join.attentions, read[1:])]
            ended = torch.cat([query, *found])
            if hop < hops - 1:
                query = query + torch.tanh(join.hops[hop].weight @ ended + join.hops[hop].bias)
        return ended

    joined = join.join(read)
    for row in range(4):
        torch.testing.assert_close(joined.summary[row], looked(read[0].summary[row], row))
        for found, h in zip(joined.steps.split()[row], read[0].steps.split()[row], strict=True):
            torch.testing.assert_close(found, looked(h, row))


def test_attend_answers_what_asks_with_a_row():
    join, read = made("attend", "a row and steps")
    joined = join.join(read)
    assert join.steps_size is None and joined.steps is None and joined.summary.shape == (5, 8)
    assert not joined.summary[2, 3:].any(), "nothing to look into gives a context of zeros"


def test_compare_stands_its_features_in_one_order():
    join, (first, second) = made(
        "compare", "two rows", {"features": ["product", "second", "first", "difference"], "bilinear": 2}
    )
    u, v = first.summary, second.summary
    bilinear = torch.stack([torch.stack([a @ weight @ b for weight in join.bilinear.weight]) for a, b in zip(u, v)])
    torch.testing.assert_close(join.join([first, second]).summary, torch.cat([u, v, (u - v).abs(), u * v, bilinear], 1))


def test_a_bilinear_form_of_wide_summaries_starts_as_large_as_they_are():
    torch.manual_seed(0)
    join = Member.of("joins", "compare", {"features": [], "bilinear": 20})([None, None], [256, 256])
    u, v = torch.randn(50, 256), torch.randn(50, 256)
    found = join.join([Encoded(None, u, None), Encoded(None, v, None)]).summary
    assert found.std().item() == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    ("name", "options", "steps", "summaries", "message"),
    [
        ("add", {}, [4, 4], [4, None], "add: input 2 of 2 gives no summary; choose another encoder"),
        ("gate", {}, [4, 4], [None, 4], "gate: input 1 of 2 gives no summary"),
        ("attend", {}, [4], [4], "needs two inputs, .*; name both under `reads`"),
        ("attend", {}, [4, 4], [None, 4], "the first input gives no summary to ask with"),
        (
            "attend",
            {},
            [4, 4, None],
            [4, 4, 3],
            "input 3 of 3 gives no steps to look into; .* name it first under `reads`",
        ),
        ("attend", {"attention": "location"}, [4, 4], [4, 4], "with hops: 1 it looks once; set hops: 2"),
        ("attend", {"attention": "dot"}, [4, 6], [4, 6], "dot"),
        ("compare", {}, [4, 4, 4], [4, 4, 4], "takes two inputs, 3 given; name two under `reads`"),
        ("compare", {}, [4, 6], [4, 6], "are 4 and 6 wide; share the encoder"),
        ("compare", {}, [4, 4], [4, None], "compare: input 2 of 2 gives no summary"),
        ("compare", {"features": ["first", "first"]}, [4, 4], [4, 4], "names one twice"),
        ("compare", {"features": []}, [4, 4], [4, 4], "nothing is taken; name a feature"),
    ],
)
def test_what_cannot_be_is_refused(name, options, steps, summaries, message):
    with pytest.raises(ConfigError, match=message):
        Member.of("joins", name, options)(steps, summaries)


def test_summaries_of_different_widths_can_stand_beside_each_other():
    join = Member.of("joins", "compare", {"features": ["first", "second"], "bilinear": 2})([None, None], [4, 6])
    assert join.summary_size == 12
    assert join.join(
        [Encoded(None, torch.randn(3, 4), None), Encoded(None, torch.randn(3, 6), None)]
    ).summary.shape == (3, 12)


def test_the_laws_see_a_join_that_leaves_an_input_out(monkeypatch):
    cls = registry.component("joins", "add")
    honest = cls.join

    def deaf(self, encoded):
        return honest(self, [encoded[0], *(one._replace(summary=torch.zeros_like(one.summary)) for one in encoded[1:])])

    monkeypatch.setattr(cls, "join", deaf)
    with pytest.raises(AssertionError, match="input 2 is not read"):
        _modules.every_input_is_read(joins.Joining(Member.of("joins", "add"), "two rows"))


def test_the_laws_see_rows_mixed_up(monkeypatch):
    cls = registry.component("joins", "gate")
    honest = cls.join

    def mixed_up(self, encoded):
        joined = honest(self, encoded)
        return joined._replace(summary=joined.summary.flip(0))

    monkeypatch.setattr(cls, "join", mixed_up)
    with pytest.raises(AssertionError, match="rows"):
        _modules.company_changes_nothing(joins.Joining(Member.of("joins", "gate"), "two rows"))


def chains(rows, hops):
    """Stories of arrows a -> b among 8 symbols, and where `hops` arrows lead from the one that is asked for."""
    order = torch.rand(rows, 8).argsort(1)
    shuffled = torch.rand(rows, 7).argsort(1)
    arrows = torch.stack([order[:, :-1], order[:, 1:]], 2).gather(1, shuffled.unsqueeze(2).expand(-1, -1, 2))
    start = torch.randint(8 - hops, (rows, 1))
    return arrows, order.gather(1, start)[:, 0], order.gather(1, start + hops)[:, 0]


def follows(arrows_to_follow, hops, updates):
    """Trained to follow this many arrows with this many hops: the share right of 500 new stories."""
    torch.manual_seed(0)
    size = 32
    symbols, facts = nn.Embedding(8, size), nn.Linear(2 * size, size)
    join = Member.of("joins", "attend", {"hops": hops})([None, size], [size, size])
    answer = nn.Linear(join.summary_size, 8)
    optimizer = torch.optim.Adam(nn.ModuleList([symbols, facts, join, answer]).parameters(), lr=0.01)

    def logits(arrows, asked):
        story = Steps(facts(symbols(arrows).flatten(2)).flatten(0, 1), Layout.equal(len(arrows), 7))
        return answer(join.join([Encoded(None, symbols(asked), None), Encoded(story, None, None)]).summary)

    for _ in range(updates):
        arrows, asked, expected = chains(128, arrows_to_follow)
        optimizer.zero_grad()
        nn.functional.cross_entropy(logits(arrows, asked), expected).backward()
        optimizer.step()
    with torch.no_grad():
        arrows, asked, expected = chains(500, arrows_to_follow)
        return (logits(arrows, asked).argmax(1) == expected).double().mean().item()


def test_it_learns_to_follow_an_arrow():
    assert follows(1, hops=1, updates=200) >= 0.95


def test_two_arrows_take_two_hops():
    """One hop stays at 0.2 however long it learns; two hops come to 0.6 after 500 updates and 0.95 after 2,000."""
    assert follows(2, hops=1, updates=400) <= 0.35
    assert follows(2, hops=2, updates=400) >= 0.5
