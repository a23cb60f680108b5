"""Fewer steps: what is read of an input."""

import torch

from ostinato.modalities.contract import Values
from ostinato.steps import Layout, Steps
from ostinato.testing._tools import Member


def test_a_centered_input_may_be_anywhere():
    encoder = Member.of("encoders", "subsampled", {"centered": True})(Values(3)).eval()
    steps = Steps(torch.randn(9, 3, generator=torch.Generator().manual_seed(0)), Layout([5, 4]))
    moved = steps.with_values(steps.values + torch.tensor([[1.0, -2.0, 0.5], [3.0, 0.0, -1.0]])[steps.layout.rows])
    first, again = (encoder.encode(each).summary for each in (steps, moved))
    assert torch.allclose(first, again, atol=1e-5)
