"""Laws that every search keeps."""

import math

import pytest
import torch

from ostinato import registry
from ostinato.distributions.categorical import Categorical
from ostinato.errors import BundleError, ConfigError
from ostinato.testing import searches as laws

OPTIONS = {
    "greedy": [{}, {"max_length": 4}, {"min_length": 3}],
    "beam": [
        {},
        {"n_best": 5},
        {"normalization": "none", "n_best": 2},
        {"normalization": "gnmt", "alpha": 0.6, "coverage_penalty": 0.3},
        {"width": 3, "max_length": 5, "min_length": 2, "no_repeat_ngrams": 2},
    ],
    "sample": [
        {},
        {"n_best": 3, "temperature": 0.7},
        {"top_k": 3},
        {"top_p": 0.8, "min_p": 0.05},
        {"max_length": 4, "min_length": 3},
    ],
}
CASES = [(name, options) for name in registry.names("searches") for options in OPTIONS[name]]


def name_of(value):
    return value if isinstance(value, str) else ",".join(f"{key}={one}" for key, one in value.items()) or "default"


@pytest.mark.parametrize(("name", "options"), CASES, ids=name_of)
def test_company_changes_nothing(name, options):
    examples = laws.random_examples(19, seed=5)
    longest = [3 + sum(one) % 17 for one in examples]
    for seed, bias in ((0, 0.0), (1, -2.0)):
        generator = laws.TableGenerator(11, seed, end_bias=bias)
        laws.check_company(registry.make("searches", name, (), options), generator, examples, longest)


@pytest.mark.parametrize(("name", "options"), CASES, ids=name_of)
def test_answers_are_whole_ranked_and_carry_the_models_own_numbers(name, options):
    examples = laws.random_examples(9, seed=6)
    generator = laws.TableGenerator(11, 3, end_bias=-1.0)
    laws.check_answers(
        registry.make("searches", name, (), options), generator, examples, [9, 0, 1, 2, 3, 12, 12, 12, 12]
    )


@pytest.mark.parametrize("name", registry.names("searches"))
def test_equal_scores_give_equal_answers_in_any_company(name):
    examples = laws.random_examples(15, seed=8)
    generator = laws.TableGenerator(40, 2, whole_logits=True, sharpness=0.7)
    laws.check_company(registry.make("searches", name), generator, examples, [8] * 15)


@pytest.mark.parametrize("name", registry.names("searches"))
def test_an_output_without_attention_gives_answers_without_weights(name):
    generator = laws.TableGenerator(11, 3, looks=False)
    laws.check_answers(registry.make("searches", name), generator, laws.random_examples(4, seed=6), [7] * 4)


@pytest.mark.parametrize("name", registry.names("searches"))
def test_no_examples_give_no_answers(name):
    generator = laws.TableGenerator(5, 0)
    state = generator.start(laws.encode([[1]])).reorder(torch.zeros(0, dtype=torch.int64))
    empty = torch.zeros(0, dtype=torch.int64)
    assert registry.make("searches", name).search(generator, state, empty, empty, attention=True) == []


@pytest.mark.parametrize("name", registry.names("searches"))
def test_a_prompt_said_before_is_gone_on_from(name):
    generator = laws.TableGenerator(7, 4, end_bias=-1.0)
    examples, search = laws.random_examples(3, seed=2), registry.make("searches", name)
    state, seeds = generator.start(laws.encode(examples)), torch.arange(3)
    for symbol in (0, 5):
        _, state = generator.step(torch.full((3,), symbol), state)
    whole = search.search(generator, state, torch.full((3,), 6), seeds, attention=False, first=torch.full((3,), 3))
    for example, (answer, *_) in zip(examples, whole):
        own = laws.log_probability(generator, example, [5, 3, *answer.symbols])
        own -= sum(
            float(row[symbol]) for row, symbol in zip(laws.scored_one_by_one(generator, example, [5, 3])[0], [5, 3])
        )
        assert answer.log_probability == pytest.approx(own, rel=1e-5)


@pytest.mark.parametrize("name", registry.names("searches"))
def test_a_symbol_without_probability_is_never_said_and_an_answer_is_still_given(name):
    generator = laws.TableGenerator(6, 4)
    generator.table[:, 4] = -torch.inf
    generator.table[:, generator.end] = -torch.inf
    for answer, *more in laws.found(
        registry.make("searches", name), generator, laws.random_examples(5, seed=2), [5] * 5
    ):
        assert len(answer.symbols) == 5 and 4 not in answer.symbols
        assert answer.log_probability == -torch.inf and not answer.finished and not more


@pytest.mark.parametrize("name", registry.names("searches"))
def test_the_end_is_said_before_the_minimum_where_nothing_else_has_a_probability(name):
    generator = laws.TableGenerator(6, 4)
    generator.table[:, 2:] = -torch.inf
    generator.table[::2, 5] = 0.0
    answers = laws.found(
        registry.make("searches", name, (), {"min_length": 9}), generator, laws.random_examples(12, seed=2), [9] * 12
    )
    for answer, *_ in answers:
        assert len(answer.symbols) < 9 and set(answer.symbols) <= {5} and math.isfinite(answer.log_probability)
    assert len({len(answer.symbols) for answer, *_ in answers}) > 1


@pytest.mark.parametrize("name", registry.names("searches"))
def test_the_advice_on_logits_that_are_not_numbers(name):
    """Copied again, the weights are what they were."""
    generator, search = laws.TableGenerator(6, 4), registry.make("searches", name)
    whole = generator.table.clone()
    generator.table[:, 2] = torch.nan
    advice = (
        "its weights are damaged or its training diverged; copy the run again, or train again with a lower training"
    )
    with pytest.raises(BundleError, match=f"{advice}.optimizer.learning_rate"):
        laws.found(search, generator, [[1, 2]], [5])
    generator.table = whole
    assert laws.found(search, generator, [[1, 2]], [5])


@pytest.mark.parametrize("name", registry.names("searches"))
def test_a_minimum_above_the_maximum_is_refused(name):
    with pytest.raises(ConfigError, match="min_length 5 is above max_length 4"):
        registry.make("searches", name, (), {"min_length": 5, "max_length": 4})


@pytest.mark.parametrize("name", registry.names("searches"))
def test_half_precision_logits_are_scored_in_single(name):
    generator = laws.TableGenerator(11, 3)
    generator.table = generator.table.bfloat16()
    laws.check_answers(registry.make("searches", name), generator, laws.random_examples(5, seed=6), [7] * 5)


@pytest.mark.parametrize("name", registry.names("searches"))
def test_the_generators_own_tensors_stay_as_they_are(name):
    generator = laws.TableGenerator(11, 3)
    logits = torch.randn(1, 11)
    step = generator.step
    generator.step = lambda symbols, state: (
        Categorical(logits.expand(len(symbols), -1), normalized=True),
        step(symbols, state)[1],
    )
    before = logits.clone()
    laws.found(registry.make("searches", name, (), {"min_length": 2}), generator, [[1, 2]], [5])
    assert torch.equal(logits, before)


@pytest.mark.parametrize("name", registry.names("searches"))
def test_every_search_keeps_the_laws_with_every_option(name):
    from ostinato.testing.laws import run

    run("searches", name)
