"""Augmentation: a function of (seed, epoch, row), which leaves no row too short for its target."""

import numpy as np
import torch

from ostinato.data.variation import Demand, Variation
from ostinato.heads.ctc import CTC
from ostinato.modalities.series import Series
from ostinato.model.batch import Batch
from ostinato.steps import Layout, Steps


def batch(lengths, targets=()):
    values = torch.arange(float(sum(lengths)))[:, None]
    words = torch.tensor([symbol for target in targets for symbol in target], dtype=torch.int64)
    return Batch(
        {"sound": Steps(values, Layout(lengths))},
        {"words": Steps(words, Layout([len(target) for target in targets]))} if targets else {},
    )


def vary(seed=1, demands=(), **options):
    series = Series(scale="none", **options)
    series.fit([[1.0, 2.0]])
    return Variation({"sound": series}, demands, seed)


def rows_of(batch):
    return [row.tolist() for row in batch.inputs["sound"].split()]


def test_what_continues_an_input_is_varied_like_it():
    plain = batch([4, 6, 5, 4])
    given = torch.tensor([0, 2, 3])
    targets = plain.inputs["sound"].select(given)
    series = vary(noise=0.1, tempo_change=0.4)
    both = Variation(series.modalities, (), 1, {"after": "sound"})
    varied = both(Batch(plain.inputs, {"after": targets}, {"after": given}), np.array([7, 3, 5, 8]), 2)
    expected = rows_of(varied)
    assert [row.tolist() for row in varied.targets["after"].split()] == [expected[row] for row in (0, 2, 3)]
    assert expected == rows_of(series(plain, np.array([7, 3, 5, 8]), 2)) != rows_of(plain)


def test_a_row_is_varied_by_seed_epoch_and_its_number_whatever_its_company():
    whole = vary(noise=0.1)(batch([4, 4, 4]), np.array([7, 3, 5]), 2)
    alone = vary(noise=0.1)(Batch({"sound": batch([4]).inputs["sound"]}, {}), np.array([7]), 2)
    assert rows_of(whole)[0] == rows_of(alone)[0]
    others = [vary(seed=2, noise=0.1)(batch([4]), np.array([7]), 2), vary(noise=0.1)(batch([4]), np.array([7]), 3)]
    others.append(vary(noise=0.1)(batch([4]), np.array([8]), 2))
    assert all(rows_of(other)[0] != rows_of(alone)[0] for other in others)


def test_masks_are_those_of_the_row_in_its_epoch_and_leave_its_length():
    options = {"step_masks": 2, "step_width": 2}
    plain = batch([6, 9, 4])
    whole = vary(**options)(plain, np.array([7, 3, 5]), 2)
    parts = [vary(**options)(batch([6]), np.array([7]), 2), vary(**options)(batch([6]), np.array([7]), 3)]
    assert rows_of(whole)[0] == rows_of(parts[0])[0] != rows_of(parts[1])[0]
    assert whole.inputs["sound"].layout.lengths.tolist() == [6, 9, 4]


def test_what_would_be_too_short_for_its_target_stays_as_it_is():
    demand = Demand("words", CTC, "sound", 2)
    plain = batch([8] * 20, [[1, 2, 3, 1]] * 20)
    free, bound = (vary(demands=demands, tempo_change=0.5)(plain, np.arange(20), 0) for demands in ((), (demand,)))
    lengths = free.inputs["sound"].layout.lengths
    assert (lengths < 7).any() and (lengths > 8).any()
    kept = bound.inputs["sound"].layout.lengths
    assert torch.equal(kept, torch.where(lengths < 7, 8, lengths))
