"""Summary vectors: neighbours and the plane against plain arithmetic, and no sign or order that hangs on the
machine."""

import numpy as np
import pytest

from ostinato.probes import summaries
from ostinato.probes.summaries import draw, nearest, plane


def vectors(rows=40, size=6, seed=0):
    return (np.random.default_rng(seed).standard_normal((rows, size)) * [9, 4, 2, 1, 1, 1][:size]).astype(np.float32)


def test_neighbours_are_the_largest_cosines_of_all_other_rows():
    given = vectors()
    for row, near in enumerate(nearest(given, 3)):
        cosines = {
            other: float(given[row] @ given[other] / np.linalg.norm(given[row]) / np.linalg.norm(given[other]))
            for other in range(len(given))
            if other != row
        }
        best = sorted(cosines, key=lambda other: -cosines[other])[:3]
        assert [one.row for one in near] == best
        assert [one.similarity for one in near] == pytest.approx([cosines[one] for one in best], abs=1e-6)


def test_equally_near_rows_stand_in_their_order_and_zero_is_near_to_nothing(monkeypatch):
    monkeypatch.setattr(summaries, "CHUNK_ROWS", 2)
    given = np.array([[1, 0], [2, 0], [0, 0], [3, 0], [-1, 0]], dtype=np.float32)
    found = nearest(given, 9)
    assert [one.row for one in found[0]] == [1, 3, 2, 4] and len(found) == 5
    assert [round(one.similarity, 6) for one in found[0]] == [1, 1, 0, -1]
    assert [one.similarity for one in found[2]] == [0] * 4
    assert nearest(given[:1], 3) == [[]]


def test_the_plane_holds_the_most_variance_and_its_signs_are_fixed():
    given = vectors()
    points, shares = plane(given)
    centred = given - given.mean(0)
    singular = np.linalg.svd(centred.astype(np.float64), compute_uv=False)
    assert (points**2).sum(0) == pytest.approx(singular[:2] ** 2)
    assert shares == pytest.approx((singular**2 / (singular**2).sum())[:2])
    # Directions back from the points: the largest component of each is positive, so that order and machine turn
    # nothing.
    directions = np.linalg.lstsq(points, centred, rcond=None)[0]
    assert all(one[np.abs(one).argmax()] > 0 for one in directions)
    order = np.random.default_rng(1).permutation(len(given))
    assert plane(given[order])[0] == pytest.approx(points[order], abs=1e-5)


@pytest.mark.parametrize("given", [vectors(1), vectors(2), vectors(5, 1), np.ones((4, 3), np.float32)])
def test_few_rows_one_component_and_equal_rows_have_a_plane_too(given):
    points, shares = plane(given)
    assert points.shape == (len(given), 2) and np.isfinite(points).all() and all(0 <= one <= 1 for one in shares)


@pytest.mark.parametrize(
    "colours",
    [
        None,
        ["a", "b", None, "$x"] * 10,
        [0.5, None, 3, 4] * 10,
        [f"label {number}" for number in range(40)],
        [None] * 40,
    ],
)
def test_pictures_of_labels_numbers_and_nothing(tmp_path, colours):
    path = draw(vectors(), ["a $ b"] * 40, tmp_path / "maps" / "one.png", colours=colours, name="topic")
    assert path.read_bytes().startswith(b"\x89PNG")
