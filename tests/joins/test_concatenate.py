"""The join that lays inputs one after the other."""

import pytest
import torch

from ostinato import registry
from ostinato.encoders.contract import Encoded
from ostinato.errors import ConfigError
from ostinato.steps import Layout, Steps


def encoded(lengths, width, summary, seed):
    torch.manual_seed(seed)
    steps = None if lengths is None else Steps(torch.randn(sum(lengths), width), Layout(lengths))
    return Encoded(steps, None if summary is None else torch.randn(3, summary), (torch.randn(3, 2),))


def test_steps_of_a_row_follow_each_other_and_summaries_stand_side_by_side():
    read = [encoded([2, 0, 3], 4, 5, 0), encoded(None, 4, 2, 1), encoded([0, 1, 2], 4, None, 2)]
    join = registry.make("joins", "concatenate", ([4, None, 4], [5, 2, None]))
    joined = join.join(read)
    assert (join.steps_size, join.summary_size) == (4, 7)
    for row, found in enumerate(joined.steps.split()):
        assert torch.equal(found, torch.cat([read[0].steps.split()[row], read[2].steps.split()[row]]))
    assert torch.equal(joined.summary, torch.cat([read[0].summary, read[1].summary], 1))
    assert joined.state is None


def test_a_row_alone_is_joined_as_in_company():
    read = [encoded([2, 0, 3], 4, 5, 0), encoded([0, 1, 2], 4, 5, 2)]
    join = registry.make("joins", "concatenate", ([4, 4], [5, 5]))
    together = join.join(read)
    for row in range(3):
        alone = join.join(
            [Encoded(Steps.of([one.steps.split()[row]]), one.summary[row : row + 1], None) for one in read]
        )
        assert torch.equal(alone.steps.values, together.steps.split()[row])
        assert torch.equal(alone.summary[0], together.summary[row])


def test_gradients_reach_every_step():
    read = [encoded([2, 0, 3], 4, 5, 0), encoded([0, 1, 2], 4, 5, 2)]
    for one in read:
        one.steps.values.requires_grad_()
    registry.make("joins", "concatenate", ([4, 4], [5, 5])).join(read).steps.values.sum().backward()
    assert all(torch.equal(one.steps.values.grad, torch.ones_like(one.steps.values)) for one in read)


def test_inputs_without_steps_give_no_steps():
    join = registry.make("joins", "concatenate", ([None, None], [2, 3]))
    joined = join.join([encoded(None, 0, 2, 0), encoded(None, 0, 3, 1)])
    assert join.steps_size is None and joined.steps is None and joined.summary.shape == (3, 5)


def test_steps_of_different_widths_are_refused():
    with pytest.raises(ConfigError, match="4, 6 wide; give their encoders one width"):
        registry.make("joins", "concatenate", ([4, 6], [4, 6]))
