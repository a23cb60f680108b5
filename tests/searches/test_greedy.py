"""Greedy search."""

import torch

from ostinato.searches.greedy import Greedy
from ostinato.testing import searches as laws


def plain(generator, example, longest, least=0):
    """The most probable symbol at each step, and whether the end came by itself."""
    said = []
    while True:
        scores = laws.scored_one_by_one(generator, example, said)[0][-1]
        scores[generator.begin] = -torch.inf
        if len(said) < least:
            scores[generator.end] = -torch.inf
        symbol = int(scores.argmax())
        if symbol == generator.end or len(said) == longest:
            return said, symbol == generator.end
        said.append(symbol)


def test_the_most_probable_symbol_is_said_at_each_step():
    generator, examples = laws.TableGenerator(9, 0, end_bias=-0.5), laws.random_examples(20, seed=1)
    lengths = set()
    for (answer,), example in zip(laws.found(Greedy(), generator, examples, [12] * 20), examples):
        assert (answer.symbols, answer.finished) == plain(generator, example, 12)
        assert answer.score == answer.log_probability
        lengths.add((len(answer.symbols), answer.finished))
    assert len(lengths) > 5 and (12, False) in lengths


def test_the_end_waits_for_the_minimum_and_comes_at_the_maximum():
    generator, examples = laws.TableGenerator(9, 0, end_bias=1.0), laws.random_examples(20, seed=1)
    answers = laws.found(Greedy(min_length=3, max_length=5), generator, examples, [4, 9, 2, 0] * 5)
    for (answer,), example, longest in zip(answers, examples, [4, 9, 2, 0] * 5):
        longest = min(5, longest)
        assert (answer.symbols, answer.finished) == plain(generator, example, longest, min(3, longest))


def test_of_equal_symbols_the_lower_is_said():
    generator = laws.TableGenerator(9, 0)
    generator.table[:] = torch.tensor([9.0, -9.0, 0.0, 1.0, 1.0, 1.0, 0.0, 1.0, 0.0])
    assert laws.found(Greedy(), generator, [[1], [2]], [3, 4])[1][0].symbols == [3] * 4


def test_what_is_done_is_no_longer_computed():
    generator, examples = laws.TableGenerator(9, 0), laws.random_examples(64, seed=1)
    longest = [2] * 60 + [40] * 4
    generator.table[:, generator.end] = -50
    laws.found(Greedy(), generator, examples, longest)
    assert generator.num_steps == 41
    assert generator.num_rows == generator.num_remembered == 64 * 3 + 4 * 38
