"""A row that is far longer than the others is told before it takes the memory."""

from types import SimpleNamespace

import numpy as np

from ostinato.preprocessing.checks import _extreme


def test_a_row_of_many_more_steps_than_the_others_is_named_with_advice():
    lengths = np.array([5, 6, 7, 3_000_000, 9_000_000])
    dataset = SimpleNamespace(
        lengths={"inputs.text": lengths}, table=SimpleNamespace(place=lambda row: f"t.csv line {row + 2}")
    )
    (note,) = _extreme(dataset, "inputs.text", np.arange(4))
    assert note.startswith("train: t.csv line 5 has 3,000,000 steps in inputs.text, and half of the rows 6 or fewer")
    assert note.endswith("memory and time grow with them: set training.max_steps=600 to train without such rows")
    assert not _extreme(dataset, "inputs.text", np.arange(3))
    even = SimpleNamespace(lengths={"inputs.text": np.full(3, 60_000)}, table=None)
    assert not _extreme(even, "inputs.text", np.arange(3))
