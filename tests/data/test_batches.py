"""Batches: each row once, within the limits, the same for the same seed and epoch in any process."""

import subprocess
import sys

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.data.batches import Batches, share
from ostinato.errors import ConfigError

LENGTHS = numpy.random.default_rng(0).integers(1, 60, 5000)


def same(one, other):
    return len(one) == len(other) and all(numpy.array_equal(a, b) for a, b in zip(one, other))


@given(
    lengths=st.lists(st.integers(0, 50), max_size=300),
    limit=st.tuples(st.integers(1, 200), st.none()) | st.tuples(st.none(), st.integers(1, 20)),
    epoch=st.integers(0, 5),
)
@settings(max_examples=200)
def test_each_row_stands_once_in_an_epoch_and_limits_hold(lengths, limit, epoch):
    batch_steps, batch_rows = limit
    lengths = numpy.array(lengths, dtype=numpy.int64)
    made = Batches(lengths, batch_steps=batch_steps, batch_rows=batch_rows, seed=1)
    for batches in (made.epoch(epoch), made.evaluation()):
        assert all(len(batch) for batch in batches)
        assert sorted(row for batch in batches for row in batch.tolist()) == list(range(len(lengths)))
        for batch in batches:
            assert batch_steps is None or len(batch) == 1 or lengths[batch].sum() <= batch_steps
            assert batch_rows is None or len(batch) <= batch_rows


def test_equal_seed_and_epoch_give_equal_batches_in_another_process():
    program = (
        "import numpy, hashlib; from ostinato.data.batches import Batches;"
        "batches = Batches(numpy.random.default_rng(0).integers(1, 60, 5000), batch_steps=800, seed=7).epoch(3);"
        "print(hashlib.sha256(b''.join(b.tobytes() + b'|' for b in batches)).hexdigest())"
    )
    told = [
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    assert told[0] == told[1] != ""
    made = Batches(LENGTHS, batch_steps=800, seed=7)
    assert same(made.epoch(3), made.epoch(3)), "what was asked before changes nothing"
    assert not same(made.epoch(3), made.epoch(4))
    assert not same(made.epoch(3), Batches(LENGTHS, batch_steps=800, seed=8).epoch(3))


def test_frozen_order():
    # Another version of numpy must give the same order, or a resumed run would train on other batches.
    batches = Batches(numpy.array([3, 1, 2, 5, 4, 9, 2, 2]), batch_steps=8, seed=5).epoch(2)
    assert [batch.tolist() for batch in batches] == FROZEN


def test_batches_are_full_and_of_similar_length():
    batches = Batches(LENGTHS, batch_steps=800, seed=0).epoch(0)
    assert len(batches) <= LENGTHS.sum() / 800 * 1.1
    padded = sum(len(batch) * LENGTHS[batch].max() for batch in batches)
    assert padded < 1.1 * LENGTHS.sum()


def test_long_and_short_batches_are_mixed_over_the_epoch():
    means = numpy.array([LENGTHS[batch].mean() for batch in Batches(LENGTHS, batch_rows=32, seed=0).epoch(0)])
    assert abs(numpy.corrcoef(means, numpy.arange(len(means)))[0, 1]) < 0.3
    assert abs(numpy.corrcoef(means[1:], means[:-1])[0, 1]) < 0.3


def test_rows_of_equal_length_meet_others_in_another_epoch():
    made = Batches(numpy.full(1000, 5), batch_rows=10, seed=0)
    groups = lambda epoch: {frozenset(batch.tolist()) for batch in made.epoch(epoch)}  # noqa: E731
    assert not groups(0) & groups(1)


def test_evaluation_begins_with_the_longest_row_and_is_not_shuffled():
    made = Batches(LENGTHS, batch_rows=64, seed=0)
    order = numpy.concatenate(made.evaluation())
    assert (numpy.diff(LENGTHS[order]) <= 0).all()
    assert same(made.evaluation(), Batches(LENGTHS, batch_rows=64, seed=9).evaluation())


@pytest.mark.parametrize("world", [1, 2, 3, 64])
def test_ranks_share_out_a_batch_and_change_none(world):
    for batch in Batches(LENGTHS, batch_steps=800, seed=0).epoch(0)[:20]:
        shares = [share(batch, rank, world) for rank in range(world)]
        assert sorted(numpy.concatenate(shares).tolist()) == sorted(batch.tolist())
        assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_one_limit_is_needed():
    for limits in ({}, {"batch_steps": 5, "batch_rows": 5}):
        with pytest.raises(ConfigError, match="one limit; give batch_steps .* or batch_rows"):
            Batches(LENGTHS, **limits)


FROZEN = [[0, 4], [1, 7, 6, 2], [5], [3]]
