"""A pyramid: two steps of a recurrence are one of the next."""

import torch

from ostinato.modalities.contract import Values
from ostinato.steps import Layout, Steps
from ostinato.testing._tools import Member


def test_each_layer_is_torchs_own_over_pairs_of_steps_of_the_one_below():
    torch.manual_seed(0)
    options = {"cell": "gru", "hidden_size": 5, "layers": 2}
    encoder = Member.of("encoders", "pyramidal", options)(Values(3)).eval()
    lengths, values = [7, 4, 1], torch.randn(12, 3)
    read = encoder.encode(Steps(values, Layout(lengths)))
    assert read.steps.layout.lengths.tolist() == [2, 1, 1] and encoder.reduction == 4
    for row, part in enumerate(values.split(lengths)):
        for number, stack in enumerate(encoder.stacks):
            if number:
                part = torch.cat([part, part.new_zeros(len(part) % 2, part.shape[1])]).view(-1, 2 * part.shape[1])
            part = stack(Steps(part, Layout([len(part)])))[0].values
        start = sum(read.steps.layout.lengths[:row].tolist())
        assert torch.allclose(read.steps.values[start : start + len(part)], part, atol=1e-6)
        assert torch.allclose(read.summary[row], torch.cat([part[-1, :5], part[0, 5:]]), atol=1e-6)
