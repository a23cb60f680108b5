"""Student's t: quantiles of a table, and draws that have them."""

import numpy as np
import pytest
import torch

from ostinato.distributions.student_t import StudentT


def standard(freedom):
    return StudentT(torch.zeros_like(freedom), torch.ones_like(freedom), freedom)


def test_quantiles_are_those_of_the_table():
    # Abramowitz and Stegun 1972, table 26.10.
    found = standard(torch.tensor([3.0, 5.0, 10.0, 120.0]).double()).quantile([0.9, 0.95])
    assert found[1, [0, 2]].tolist() == pytest.approx([2.353, 1.812], abs=6e-4)
    assert [float(found[0, 1]), float(found[1, 3])] == pytest.approx([1.476, 1.658], abs=6e-4)
    low, high = standard(torch.tensor(4.0)).quantile([0.05, 0.95])
    assert float(low) == pytest.approx(-float(high), rel=1e-5)


def test_draws_have_its_quantiles():
    uniform = torch.rand(200_000, 2, generator=torch.Generator().manual_seed(0)).clamp(1e-6, 1 - 1e-6)
    drawn = standard(torch.full((200_000,), 4.0)).sample(uniform)
    wanted = standard(torch.tensor(4.0)).quantile([0.05, 0.5, 0.9])
    np.testing.assert_allclose(np.quantile(drawn.numpy(), [0.05, 0.5, 0.9]), wanted, atol=0.03)
