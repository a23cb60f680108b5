"""What searches share."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies

from ostinato.decoders.contract import Decoding
from ostinato.layers.attend import Memory
from ostinato.searches._common import best, likeliest
from ostinato.steps import Layout


@settings(max_examples=200)
@given(strategies.integers(0, 10**6), strategies.integers(1, 5), strategies.integers(1, 300), strategies.integers(1, 9))
def test_the_best_are_those_of_a_stable_sort(seed, rows, size, kinds):
    random = np.random.default_rng(seed)
    scores = random.integers(0, kinds, (rows, size)).astype(np.float32)
    scores[random.random((rows, size)) < 0.2] = -np.inf
    count = int(random.integers(1, size + 4))
    values, places = best(torch.from_numpy(scores), count)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :count]
    assert values.tolist() == np.take_along_axis(scores, order, 1).tolist()
    there = values > -torch.inf
    assert places[there].tolist() == order[there.numpy()].tolist()


@pytest.mark.parametrize("kinds", [3, 10**6])
@pytest.mark.parametrize("size", [1023, 1024, 2001, 5000])
def test_of_many_symbols_the_best_are_those_of_a_stable_sort(size, kinds):
    random = np.random.default_rng(size + kinds)
    scores = random.integers(0, kinds, (6, size)).astype(np.float32)
    scores[random.random((6, size)) < 0.2] = -np.inf
    scores[4], scores[5, :-1] = 1, -np.inf
    scores[5, -1] = 0
    order = np.argsort(-scores, axis=1, kind="stable")
    assert likeliest(torch.from_numpy(scores)).tolist() == order[:, 0].tolist()
    for count in (1, 4):
        values, places = best(torch.from_numpy(scores), count)
        assert values.tolist() == np.take_along_axis(scores, order, 1)[:, :count].tolist()
        there = values > -torch.inf
        assert places[there].tolist() == order[:, :count][there.numpy()].tolist()


def test_a_state_forgets_the_examples_that_nothing_reads():
    values = torch.arange(12.0).view(4, 3, 1)
    memory = Memory(values, values, Layout([3, 1, 2, 3]))
    state = Decoding((memory, None, (values,)), torch.tensor([3, 3, 1]))
    kept = state.reorder(torch.arange(3), forget=True)
    assert kept.rows.tolist() == [1, 1, 0]
    assert torch.equal(kept.memory[0].values, values[[1, 3]]) and kept.memory[0].layout == Layout([1, 3])
    assert torch.equal(kept.memory[2][0], values[[1, 3]]) and kept.memory[1] is None
    assert Decoding((None, (values, (memory,))), state.rows).source_lengths.tolist() == [3, 3, 1]
    assert Decoding((), state.rows).source_lengths is None


@pytest.mark.parametrize("memory", [({"any": 1},), (torch.zeros(4, 2), object())])
def test_a_memory_of_unknown_kind_stays_whole(memory):
    state = Decoding(memory, torch.tensor([3, 3, 1]))
    kept = state.reorder(torch.arange(3), forget=True)
    assert kept.memory is state.memory and torch.equal(kept.rows, state.rows)
