"""Setting rows aside: a tenth, at most 2,000, the same for the same seed and count."""

import numpy
import pytest

from ostinato.data.split import set_aside
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


@pytest.mark.parametrize("num_rows", [0, 1])
def test_too_few_rows_are_refused(num_rows):
    with pytest.raises(DataError, match=f"{num_rows} row.* at least 2 rows"):
        set_aside(num_rows, seed=0)


FROZEN = [1, 7, 8]
