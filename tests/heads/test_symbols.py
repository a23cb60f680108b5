"""What is said of true symbols: the same in any piece, and never more scores at a time than a piece."""

import pytest
import torch

from ostinato.distributions.categorical import Categorical
from ostinato.heads.contract import Scored, by_step_in_pieces
from ostinato.kernels.dispatch import forced
from ostinato.layers.vocabulary import AdaptiveSoftmax, FullSoftmax
from ostinato.steps import Layout
from tests.layers.test_vocabulary import Largest

LENGTHS = (4, 0, 7, 1)


def case():
    random = torch.Generator().manual_seed(1)
    return torch.randn(12, 6, generator=random), torch.randint(0, 50, (12,), generator=random)


def scored(softmax, features, truth, layout, *, piece):
    by_step = by_step_in_pieces(lambda part: Categorical(softmax(features[part])), truth, softmax.size, piece=piece)
    return Scored.of_steps(by_step, layout)


@pytest.mark.parametrize("made", [FullSoftmax(6, 50), AdaptiveSoftmax(6, 50, [8, 20])], ids=["full", "adaptive"])
@pytest.mark.parametrize("piece", [1, 120, 10_000])
@torch.no_grad()
def test_scores_are_sums_of_the_log_probabilities_of_the_whole_vocabulary(made, piece):
    read, truth = case()
    truth[3] = made(read)[3].argmax()
    found = scored(made, read, truth, Layout(list(LENGTHS)), piece=piece)
    said = made(read).log_softmax(1)
    each, right = said[torch.arange(12), truth].split(LENGTHS), (said.argmax(1) == truth).split(LENGTHS)
    torch.testing.assert_close(found.log_probability, torch.stack([one.sum() for one in each]))
    assert found.num_right.tolist() == [int(one.sum()) for one in right] and found.num_right.sum() > 0
    assert found.num_targets.tolist() == list(LENGTHS)


@pytest.mark.parametrize("made", [FullSoftmax(8, 500), AdaptiveSoftmax(8, 500, [60, 200])], ids=["full", "adaptive"])
@torch.no_grad()
def test_memory_does_not_grow_with_rows_times_symbols(made):
    with Largest() as seen, forced("reference"):
        scored(made, torch.randn(600, 8), torch.zeros(600, dtype=torch.int64), Layout([600]), piece=5_000)
    assert seen.largest <= 5_000


def test_millions_of_log_probabilities_are_summed_without_losing_digits():
    said = torch.tensor([-0.3, -0.7, -2.1]).repeat(1_000_000)
    found = Layout([2_999_999, 0, 1]).sums(said)
    assert found.dtype == torch.float32
    assert found.tolist() == pytest.approx([float(said[:-1].double().sum()), 0, -2.1], rel=1e-6)
    assert Layout([1, 2]).sums(torch.ones(3, dtype=torch.int64)).tolist() == [1, 2]
