"""Setting rows aside: a tenth, at most 2,000, the same for the same seed and count; a share is part of every larger
one."""

import numpy
import pytest

from ostinato.data.split import enough, in_order, set_aside, share_of, tenth
from ostinato.errors import DataError

SIZES = [(2, 1), (9, 1), (10, 1), (200, 20), (19_999, 1999), (20_001, 2000), (500_000, 2000)]


@pytest.mark.parametrize("num_rows, num_valid", SIZES)
def test_a_tenth_but_at_most_two_thousand_rows_are_set_aside(num_rows, num_valid):
    train, valid = set_aside(num_rows, seed=0)
    assert len(valid) == num_valid
    assert numpy.array_equal(numpy.sort(numpy.concatenate([train, valid])), numpy.arange(num_rows))
    assert (numpy.diff(train) > 0).all() and (numpy.diff(valid) > 0).all(), "rows stay in the file's order"


def test_the_rows_depend_on_seed_and_count_alone():
    assert numpy.array_equal(set_aside(1000, seed=3)[1], set_aside(1000, seed=3)[1])
    assert not numpy.array_equal(set_aside(1000, seed=3)[1], set_aside(1000, seed=4)[1])
    # Frozen: another version of numpy, or another machine, must set the same rows aside.
    assert set_aside(30, seed=1)[1].tolist() == FROZEN


def test_rows_are_set_aside_from_all_over_the_file():
    counts = sum(numpy.bincount(set_aside(100, seed=seed)[1] // 10, minlength=10) for seed in range(200))
    assert counts.min() > 140 and counts.max() < 260


def test_of_few_rows_more_than_a_tenth_validate_and_a_smaller_part_lies_in_a_larger_one():
    assert [enough(number) for number in (2, 7, 8, 12, 39, 49, 50, 30_000)] == [1, 1, 2, 3, 4, 4, 5, 2000]
    assert tenth(12) == 1 and set(set_aside(12, seed=5)[1]) < set(set_aside(12, seed=5, size=3)[1])
    with pytest.raises(DataError, match="7 of 7 rows held out leave none"):
        set_aside(7, seed=0, size=7)
    parts = in_order(10, 2, 1)
    assert [parts[name].tolist() for name in ("train", "valid", "test")] == [[*range(7)], [7, 8], [9]]


@pytest.mark.parametrize("num_rows", [0, 1])
def test_too_few_rows_are_refused(num_rows):
    with pytest.raises(DataError, match=f"{num_rows} row.* at least 2 rows"):
        set_aside(num_rows, seed=0)


FROZEN_SHARE = [0, 4, 12, 13, 15]
FROZEN = [1, 7, 8]


def test_a_share_is_part_of_every_larger_one_and_depends_on_the_seed():
    rows = numpy.arange(7, 207)
    shares = [share_of(rows, fraction, seed=3) for fraction in (0.001, 0.1, 0.3, 0.99, 1)]
    assert [len(one) for one in shares] == [1, 20, 60, 198, 200]
    for smaller, larger in zip(shares, shares[1:]):
        assert set(smaller.tolist()) <= set(larger.tolist()) and (numpy.diff(larger) > 0).all(), (
            "rows stay in the file's order"
        )
    assert numpy.array_equal(shares[-1], rows)
    assert not numpy.array_equal(share_of(rows, 0.1, seed=4), shares[1])
    # Frozen, as what is set aside is.
    assert share_of(numpy.arange(20), 0.25, seed=1).tolist() == FROZEN_SHARE
