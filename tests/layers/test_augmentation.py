"""Training pictures in another form: what stays, what belongs together, and what lies beyond a picture."""

import pytest
import torch

from ostinato.layers.augmentation import Augmentation
from ostinato.steps import Layout

BENDS = [{"turn": 20}, {"stretch": 0.3}, {"slant": 0.4}, {"warp": 2}]
ALL = {"shift": 2, "flip": True, "contrast": 0.3, "turn": 20, "stretch": 0.3, "slant": 0.4, "warp": 2}


def pictures(count, width=9, height=9):
    torch.manual_seed(0)
    return torch.randn(count, width, height, 2), Layout([width] * count)


@pytest.mark.parametrize("options", BENDS)
def test_each_bend_changes_pictures_and_a_very_small_one_does_not(options):
    plane, layout = pictures(3)
    assert (Augmentation(**options).changed(plane, layout) - plane).abs().amax((1, 2, 3)).min() > 0.1
    tiny = dict.fromkeys(options, 1e-06)
    torch.testing.assert_close(Augmentation(**tiny).changed(plane, layout), plane, atol=1e-4, rtol=0)
    assert Augmentation().changed(plane, layout) is plane


@pytest.mark.parametrize("options", BENDS[:3])
def test_the_middle_of_a_picture_stays(options):
    plane, layout = pictures(4)
    changed = Augmentation(**options).changed(plane, layout)
    torch.testing.assert_close(changed[:, 4, 4], plane[:, 4, 4], atol=1e-5, rtol=0)


def test_a_turn_of_a_bar_is_within_its_angle():
    plane = torch.zeros(200, 41, 41, 1)
    plane[:, :, 20] = 1
    changed = Augmentation(turn=30).changed(plane, Layout([41] * 200)).squeeze(3)
    rows = (changed[:, 36] * torch.arange(41)).sum(1) / changed[:, 36].sum(1) - 20
    tangents = rows / 16
    limit = torch.tan(torch.deg2rad(torch.tensor(30.0)))
    assert tangents.abs().max() < limit + 0.03 and tangents.min() < -0.8 * limit and tangents.max() > 0.8 * limit


def test_parts_of_one_example_are_changed_alike_and_the_same_seed_gives_the_same():
    one, _ = pictures(1)
    plane, layout, owners = one.expand(5, -1, -1, -1), Layout([9] * 5), torch.tensor([0, 0, 1, 1, 1])
    for options in [*BENDS, {"shift": 3}, {"contrast": 0.4}, ALL]:
        torch.manual_seed(3)
        changed = Augmentation(**options).changed(plane, layout, owners)
        assert torch.equal(changed[0], changed[1]) and torch.equal(changed[2], changed[4])
        assert not torch.equal(changed[0], changed[2])
        torch.manual_seed(3)
        assert torch.equal(Augmentation(**options).changed(plane, layout, owners), changed)


def test_a_narrow_picture_is_changed_about_its_own_middle_and_ends_where_it_ended():
    plane, _ = pictures(1, width=5)
    padded = torch.nn.functional.pad(plane, (0, 0, 0, 0, 0, 6), value=7.0).expand(2, -1, -1, -1)
    bend = Augmentation(turn=20, stretch=0.3, slant=0.4)
    torch.manual_seed(5)
    alone = bend.changed(plane, Layout([5]))
    torch.manual_seed(5)
    beside = bend.changed(padded, Layout([5, 11]), torch.tensor([0, 0]))
    torch.testing.assert_close(beside[0, :5], alone[0], atol=1e-5, rtol=0)
    assert not beside[0, 5:].any()
    assert bend.changed(plane[:0], Layout([])).shape == (0, 5, 9, 2)
