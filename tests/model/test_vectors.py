"""A `next` output over vectors: it generates, scores, forms ensembles and ends, by the protocol that symbols have."""

import math

import pytest
import torch
from torch import nn

from ostinato import registry
from ostinato.distributions.normal import Normal
from ostinato.errors import ConfigError
from ostinato.heads.contract import Loss, NextHead
from ostinato.modalities.contract import Values
from ostinato.model.continuation import Continuation, score
from ostinato.model.ensemble import Ensemble
from ostinato.steps import Steps
from ostinato.testing._tools import near


class Pen(NextHead):
    """Two offsets, normal around what the encoder gives; an offset below -1 ends a drawing."""

    aligns = frozenset({"next"})
    begin, end, num_symbols = 0.0, math.nan, 0

    def __init__(self, width):
        super().__init__()
        self.output = nn.Linear(width, 4)

    def prepare_input(self, steps, starts=None):
        return steps.prepended(self.begin, starts)

    def ended(self, steps):
        return steps[:, 0] < -1

    def predict_next(self, steps, beside=None, packed=None):
        location, scale = self.output(steps).chunk(2, 1)
        return Normal(location, scale.exp())

    def loss(self, encoded, targets):
        scored = self.score(encoded, targets)
        return Loss(-scored.log_probability.sum(), int(scored.num_targets.sum()))


def pen(seed=0):
    torch.manual_seed(seed)
    encoder = registry.make(
        "encoders", "recurrent", (Values(2),), {"hidden_size": 5, "embedding_size": 4, "bidirectional": False}
    )
    return Continuation(encoder.eval(), Pen(5).eval())


def started(generator, rows=4):
    prompt = generator.head.prepare_input(Steps.of([torch.zeros(0, 2)] * rows))
    return generator.start([generator.encoder.encode(prompt.without_last())]), prompt.values


def found(search, generator, *, rows=4, longest=6):
    state, first = started(generator, rows)
    return search.search(
        generator, state, torch.full((rows,), longest), torch.arange(rows), attention=False, first=first
    )


@torch.no_grad()
@pytest.mark.parametrize("options", [{"seed": 1}, {"n_best": 3}])
def test_drawings_are_drawn_from_the_density_and_scored_as_they_were_drawn(options):
    generator, search = pen(), registry.make("searches", "sample", (), options)
    every = found(search, generator)
    assert [len(own) for own in every] == [search.n_best] * 4
    assert len({tuple(best.symbols.flatten().tolist()) for own in every for best in own}) == 4 * search.n_best
    for own in every:
        assert [best.score for best in own] == sorted((best.score for best in own), reverse=True)
        for best in own:
            drawing = best.symbols
            assert 1 <= len(drawing) <= 6 and drawing.shape[1] == 2
            assert best.finished == bool(drawing[-1, 0] < -1) and not bool((drawing[:-1, 0] < -1).any())
            assert best.finished or len(drawing) == 6
            targets = Steps.of([drawing])
            prompt = generator.head.prepare_input(targets)
            scored = score(generator.encoder, generator.head, prompt, [], targets)
            near(torch.tensor(best.log_probability).float(), scored.log_probability[0], "log-density")
            assert int(scored.num_targets) == drawing.numel()


@torch.no_grad()
def test_a_drawing_depends_on_its_row_alone():
    generator, search = pen(), registry.make("searches", "sample")
    whole = found(search, generator)
    state, first = started(generator, 2)
    again = search.search(generator, state, torch.full((2,), 6), torch.tensor([3, 1]), attention=False, first=first)
    for own, other in zip(again, (whole[3], whole[1])):
        assert own[0].symbols.shape == other[0].symbols.shape
        near(own[0].symbols, other[0].symbols, "drawings")


@torch.no_grad()
def test_extending_is_stepping():
    generator = pen()
    state, _ = started(generator, 1)
    drawing = torch.randn(5, 2)
    whole, _ = generator.extend(Steps.of([drawing]), state)
    for place, step in enumerate(drawing):
        one, state = generator.step(step[None], state)
        near(one.mode()[0], whole.mode()[place], f"step {place}")


@torch.no_grad()
def test_greedy_takes_the_mode_and_beam_refuses():
    generator = pen()
    ((best,), *_) = found(registry.make("searches", "greedy"), generator)
    state, steps = started(generator)
    for place in range(len(best.symbols)):
        distribution, state = generator.step(steps, state)
        steps = distribution.mode()
        near(steps[0], best.symbols[place], f"step {place}")
    with pytest.raises(ConfigError, match="beam.*a step of this output is a vector; set search: sample"):
        found(registry.make("searches", "beam"), generator)
    with pytest.raises(ConfigError, match="sample.*temperature.*a vector; leave them out"):
        found(registry.make("searches", "sample", (), {"temperature": 0.5}), generator)


@torch.no_grad()
def test_equal_members_generate_as_one_alone():
    generator = pen()
    both = Ensemble([generator, generator])
    state, first = started(generator)
    prompt = generator.head.prepare_input(Steps.of([torch.zeros(0, 2)] * 4))
    encoded = [generator.encoder.encode(prompt.without_last())]
    mine, _ = generator.step(first, state)
    theirs, _ = both.step(first, both.start([encoded, encoded]))
    near(theirs.mode(), mine.mode(), "mode")
    near(theirs.score(torch.ones(4, 2)), mine.score(torch.ones(4, 2)), "density")
