"""The convolutional net over pictures: what a position sees, and that it is read as if it were alone."""

import pytest
import torch

from ostinato.errors import ConfigError
from ostinato.modalities.contract import Pixels, Values
from ostinato.model.graph import _demand_reader
from ostinato.settings import Series
from ostinato.steps import Layout, Steps
from ostinato.testing._tools import Member

SPEC = Pixels(3 * 8, unscaled=True, height=8)


def net(**options):
    torch.manual_seed(0)
    return Member.of("encoders", "cnn", {"hidden_size": 6, "layers": 2, **options})(SPEC)


def pictures(*widths, seed=0):
    random = torch.Generator().manual_seed(seed)
    return Steps(torch.randn(sum(widths), SPEC.size, generator=random), Layout(list(widths)))


@pytest.mark.parametrize("options", [{}, {"steps": "columns"}, {"column_halvings": 0}, {"summary": "points"}])
def test_pictures_of_other_widths_beside_it_change_nothing(options):
    encoder = net(**options)
    steps = pictures(5, 12, 1)
    whole = encoder.encode(steps)
    for row, own in enumerate(steps.split()):
        alone = encoder.encode(Steps(own, Layout([len(own)])))
        torch.testing.assert_close(alone.steps.values, whole.steps.split()[row], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(alone.summary[0], whole.summary[row], rtol=1e-5, atol=1e-5)
    halved = [5, 12, 1] if "column_halvings" in options else [2, 3, 1]
    assert whole.steps.layout.lengths.tolist() == [size * encoder.grid_height for size in halved]


def test_positions_are_column_after_column_from_top_to_bottom():
    encoder = net(layers=1)
    steps = pictures(6)
    before = encoder.encode(steps).steps.values
    values = steps.values.view(6, 8, 3).clone()
    values[5, 5] += 1  # seen by column 2 and rows 2 and 3
    changed = (encoder.encode(steps.with_values(values.view(6, -1))).steps.values != before).any(1).view(3, 4)
    assert changed.tolist() == [[False] * 4, [False] * 4, [False, False, True, True]]


def test_a_grid_reads_where_its_pixels_are_and_columns_do_not():
    flat = Steps(torch.zeros(32, SPEC.size), Layout([32]))
    for options, same in (({"steps": "grid"}, False), ({"steps": "columns"}, True)):
        values = net(**options).encode(flat).steps.values
        middle = values.view(8, -1)[3:5]
        assert torch.equal(middle[0], middle[1]) == same


def test_points_are_the_largest_numbers_and_where_they_lie():
    encoder = net(summary="points")
    steps = Steps(torch.full((2 * 3 * 2 + 2, 6), -9.0), Layout([12, 0, 2]))  # six columns of two positions, none, one
    steps.values[4 * 2 + 1, 0] = steps.values[12, 5] = 30
    largest, across, down = encoder._points(steps).unflatten(1, (3, 6)).unbind(1)
    torch.testing.assert_close(largest[0], torch.tensor([30.0, *[-9.0] * 5]))
    torch.testing.assert_close(across[0], torch.tensor([0.5, *[0.0] * 5]))
    torch.testing.assert_close(down[0], torch.tensor([0.5, *[0.0] * 5]))
    torch.testing.assert_close(down[2], torch.tensor([*[0.0] * 5, -0.5]))
    assert not torch.stack([largest[1], across[1], down[1]]).any()


def test_training_pictures_are_mirrored_and_moved_and_others_are_not():
    encoder = net(flip=True, shift=2)
    plane = torch.arange(4 * 8, dtype=torch.float32).view(1, 4, 8, 1).expand(800, -1, -1, 3)
    torch.manual_seed(1)
    moved = encoder.augmentation.changed(plane, Layout([4] * 800))
    assert moved.shape == plane.shape and len(moved.flatten(1).unique(dim=0)) == 2 * 5 * 5
    steps = pictures(5, 7)
    assert torch.equal(encoder.eval().encode(steps).summary, encoder.encode(steps).summary)
    torch.manual_seed(2)
    first = encoder.train().encode(steps).summary
    torch.manual_seed(2)
    assert torch.equal(encoder.encode(steps).summary, first)
    assert not torch.equal(encoder.encode(steps).summary, first)


def test_the_frames_of_a_training_video_are_changed_alike():
    each = {"type": "cnn", "hidden_size": 6, "layers": 2, "shift": 2, "warp": 2, "contrast": 0.5}
    stacked = Member.of("encoders", "stacked", {"each": each})(Pixels(8 * 8 * 3, unscaled=True, height=8, width=8))
    read = []
    stacked.each.first.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0]))
    frame = torch.randn(1, SPEC.size * 8)
    stacked.train().encode(Steps(frame.repeat(5, 1), Layout([3, 0, 2])))
    assert torch.equal(read[0][0], read[0][2]) and torch.equal(read[0][3], read[0][4])
    assert not torch.equal(read[0][0], read[0][3])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"summary": "points", "steps": "columns"}, "points lie in a grid, and steps are columns; set steps: grid"),
        ({"column_halvings": 3}, "column_halvings: 3 is more than layers: 2; set 2 at most"),
        ({"layers": 1, "blocks": 2}, "set layers: 2, or blocks: 1"),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        net(**options)


def test_an_encoder_of_pictures_refuses_a_series_and_names_those_that_read_it():
    stacked = {"type": "stacked", "each": "cnn", "over": "recurrent"}
    with pytest.raises(ConfigError, match="x: stacked does not read what an input of type series .*convolutional"):
        _demand_reader("x", Series(encoder=stacked), Values(3))


def test_vectors_are_read_as_a_plane_of_one_channel():
    torch.manual_seed(0)
    member = Member.of("encoders", "cnn", {"hidden_size": 6, "layers": 2})
    of_vectors, of_pixels = member(Values(8)), member(Pixels(8, height=8))
    of_pixels.load_state_dict(of_vectors.state_dict())
    steps = Steps(torch.randn(9, 8, generator=torch.Generator().manual_seed(3)), Layout([4, 5]))
    assert torch.equal(of_vectors.encode(steps).summary, of_pixels.encode(steps).summary)
