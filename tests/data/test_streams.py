"""Streams: every step once, in order, from the piece before; the same for the same seed and epoch."""

import numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.data.streams import Streams

LENGTHS = numpy.random.default_rng(0).integers(0, 60, 800)


def told(chunks):
    return [[column.tolist() for column in chunk] for chunk in chunks]


@given(
    lengths=st.lists(st.integers(0, 40), max_size=60),
    steps=st.integers(1, 50),
    batch_rows=st.integers(1, 9),
    epoch=st.integers(0, 3),
)
@settings(max_examples=200)
def test_each_step_stands_in_one_chunk_and_goes_on_from_the_piece_before(lengths, steps, batch_rows, epoch):
    lengths = numpy.array(lengths, dtype=numpy.int64)
    reached, last = dict.fromkeys(range(len(lengths)), 0), None
    for chunk in Streams(lengths, steps=steps, batch_rows=batch_rows, seed=1).epoch(epoch):
        assert 0 < (chunk.last - chunk.first).sum() <= steps * batch_rows
        assert len(set(chunk.rows.tolist())) == len(chunk.rows), "a row has one piece in a chunk"
        for row, first, end, length, before in zip(*(column.tolist() for column in chunk)):
            assert length == lengths[row] + 1 and first == reached[row] < end <= length
            assert (before < 0) == (first == 0)
            if first:
                assert last.rows[before] == row and last.last[before] == first
            if length <= steps:
                assert end == length, "what fits into a chunk is not cut"
            reached[row] = end
        numpy.testing.assert_array_equal(chunk.ends, chunk.last == lengths[chunk.rows] + 1)
        last = chunk
    assert reached == {row: length + 1 for row, length in enumerate(lengths.tolist())}


def test_a_stream_takes_the_next_row_when_it_is_free_and_a_hand_made_case():
    # Begin included, 7, 2, 3 and 5 steps. Stream 0 takes 7 and stream 1 takes 2, then 3, which waits for the next chunk
    # since 2 + 3 > 4; both end at 7, so the first takes 5, which is longer than a chunk and starts at once.
    streams = Streams(numpy.array([6, 1, 2, 4]), steps=4, batch_rows=2, seed=0)
    stream, start = streams._dealt([7, 2, 3, 5])
    assert stream.tolist() == [0, 1, 1, 0] and start.tolist() == [0, 0, 4, 7]


def test_order_is_a_function_of_seed_and_epoch():
    made = Streams(LENGTHS, steps=16, batch_rows=8, seed=7)
    assert told(made.epoch(3)) == told(made.epoch(3)) == told(Streams(LENGTHS, steps=16, batch_rows=8, seed=7).epoch(3))
    assert told(made.epoch(3)) != told(made.epoch(4))
    assert told(made.epoch(3)) != told(Streams(LENGTHS, steps=16, batch_rows=8, seed=8).epoch(3))


def test_frozen_chunks():
    # Another version of numpy must give the same chunks, or a resumed run would train on others.
    chunks = Streams(numpy.array([3, 9, 5]), steps=4, batch_rows=2, seed=5).epoch(2)
    assert told(chunks) == FROZEN


def test_chunks_of_long_rows_are_full_and_only_the_last_ones_run_dry():
    chunks = Streams(numpy.full(64, 1000), steps=50, batch_rows=8).epoch(0)
    assert [(chunk.last - chunk.first).sum() for chunk in chunks[:-10]] == [400] * (len(chunks) - 10)


def test_without_rows_there_is_no_chunk():
    assert Streams(numpy.array([], dtype=int), steps=4, batch_rows=2).epoch(0) == []


FROZEN = [
    [[0, 1], [0, 0], [4, 4], [4, 10], [-1, -1]],
    [[2, 1], [0, 4], [4, 8], [6, 10], [-1, 1]],
    [[2, 1], [4, 8], [6, 10], [6, 10], [0, 1]],
]
