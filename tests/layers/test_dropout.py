"""Dropout: the rate, the scale, and values that fall independently."""

import pytest
import torch

from ostinato.layers.dropout import dropped


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5, 0.97])
def test_values_are_dropped_at_the_rate_and_the_rest_is_scaled(rate):
    torch.manual_seed(0)
    values = torch.ones(1001, 1000, requires_grad=True)
    made = dropped(values, rate)
    zeros = float((made == 0).float().mean())
    assert abs(zeros - rate) < 5 * (rate * (1 - rate) / 1e6) ** 0.5 + 2**-16
    assert torch.allclose(made[made > 0], torch.tensor(1 / (1 - rate)), rtol=1e-3)
    made.sum().backward()
    assert torch.equal(values.grad, made.detach())
    # neighbours share a random number and must not share their fate
    kept = (made > 0).float().flatten()[:1_000_000].view(-1, 4)
    assert float(torch.corrcoef(kept.t()).fill_diagonal_(0).abs().max()) < 0.02


def test_a_rate_too_small_for_sixteen_bits_is_torchs():
    torch.manual_seed(0)
    assert int((dropped(torch.ones(10_000_000), 1e-6) == 0).sum()) in range(1, 31)
