"""Layout and Steps against naive loops, for any lengths."""

import copy
import pickle
from dataclasses import FrozenInstanceError

import hypothesis
import pytest
import torch
from hypothesis import strategies
from torch.utils import _pytree

from ostinato.steps import Layout, Steps

LENGTHS = strategies.one_of(
    strategies.lists(strategies.integers(0, 6), max_size=7),
    strategies.tuples(strategies.integers(0, 4), strategies.integers(0, 5)).map(lambda pair: [pair[0]] * pair[1]),
)
settings = hypothesis.settings(max_examples=60, deadline=None, derandomize=True)


def pairs(lengths):
    return [(row, place) for row, length in enumerate(lengths) for place in range(length)]


def steps_of(lengths, width=2):
    layout = Layout(lengths)
    return Steps(torch.arange(layout.total * width, dtype=torch.float32).reshape(-1, width), layout)


@settings
@hypothesis.given(LENGTHS)
def test_every_map_is_what_a_loop_over_rows_and_steps_gives(lengths):
    layout, places = Layout(lengths), pairs(lengths)
    longest = max(lengths, default=0)
    number = {pair: packed for packed, pair in enumerate(places)}
    order = sorted(range(len(lengths)), key=lambda row: -lengths[row])
    in_time = [number[row, time] for time in range(longest) for row in order if time < lengths[row]]

    assert (len(layout), layout.total, layout.longest) == (len(lengths), len(places), longest)
    assert layout.lengths.tolist() == lengths
    assert layout.offsets.tolist() == [sum(lengths[:row]) for row in range(len(lengths) + 1)]
    assert layout.rows.tolist() == [row for row, _ in places]
    assert layout.positions.tolist() == [place for _, place in places]
    assert layout.padded_index.tolist() == [row * longest + place for row, place in places]
    assert layout.mask.tolist() == [[place < length for place in range(longest)] for length in lengths]
    assert layout.order.tolist() == order
    assert layout.alive == tuple(sum(length > time for length in lengths) for time in range(longest))
    assert layout.time_major.tolist() == in_time
    assert [in_time[place] for place in layout.packed.tolist()] == list(range(len(places)))
    assert layout.reversed.tolist() == [number[row, lengths[row] - 1 - place] for row, place in places]
    assert layout.full == (len(set(lengths)) <= 1)


@settings
@hypothesis.given(LENGTHS, strategies.integers(-7, 3))
def test_growing_adds_or_takes_steps_and_never_falls_below_zero(lengths, more):
    assert Layout(lengths).grow(more).lengths.tolist() == [max(0, length + more) for length in lengths]


@settings
@hypothesis.given(LENGTHS, strategies.integers(0, 3))
def test_padding_and_taking_out_are_each_others_inverse(lengths, wider):
    steps = steps_of(lengths)
    padded = steps.padded(fill=-1)
    assert padded.shape == (len(lengths), max(lengths, default=0), 2)
    for row, sequence in enumerate(steps.split()):
        assert torch.equal(padded[row, : lengths[row]], sequence)
        assert bool((padded[row, lengths[row] :] == -1).all())
    wide = torch.cat([padded, padded.new_full((len(lengths), wider, 2), -1)], 1)
    assert torch.equal(Steps.from_padded(wide, steps.layout).values, steps.values)


@settings
@hypothesis.given(LENGTHS)
def test_reversed_turns_each_sequence_round_and_twice_is_nothing(lengths):
    steps = steps_of(lengths)
    for sequence, turned in zip(steps.split(), steps.reversed().split(), strict=True):
        assert torch.equal(turned, sequence.flip(0))
    assert torch.equal(steps.reversed().reversed().values, steps.values)


@settings
@hypothesis.given(LENGTHS, strategies.data())
def test_a_step_is_put_before_or_after_the_sequences_that_are_named_and_taken_away_again(lengths, data):
    steps, value = steps_of(lengths), torch.full((1, 2), -1.0)
    some = data.draw(strategies.lists(strategies.booleans(), min_size=len(lengths), max_size=len(lengths)))
    for rows in (None, torch.tensor(some, dtype=torch.bool)):
        named = [True] * len(lengths) if rows is None else some
        before, after = steps.prepended(-1, rows), steps.appended(-1, rows)
        for row, sequence in enumerate(steps.split()):
            more = [value] if named[row] else []
            assert torch.equal(before.split()[row], torch.cat([*more, sequence]))
            assert torch.equal(after.split()[row], torch.cat([sequence, *more]))
    for shorter, own in ((steps.without_first(), lambda one: one[1:]), (steps.without_last(), lambda one: one[:-1])):
        for row, sequence in enumerate(steps.split()):
            assert torch.equal(shorter.split()[row], own(sequence))


def test_steps_put_in_keep_the_type_and_let_gradients_through():
    steps = Steps(torch.tensor([5, 6, 7]), Layout([2, 1]))
    assert steps.appended(1).values.tolist() == [5, 6, 1, 7, 1] and steps.prepended(0).values.dtype == torch.int64
    values = torch.randn(3, 2, requires_grad=True)
    (4 * Steps(values, Layout([2, 1])).prepended(9).without_last().values.sum()).backward()
    assert values.grad.tolist() == [[4, 4], [0, 0], [0, 0]]


@settings
@hypothesis.given(LENGTHS.filter(bool))
def test_split_and_of_are_each_others_inverse(lengths):
    steps = steps_of(lengths)
    assert [len(one) for one in steps.split()] == lengths
    again = Steps.of(steps.split())
    assert again.layout == steps.layout and torch.equal(again.values, steps.values)


def test_values_of_one_number_and_of_many_axes_are_padded_alike():
    layout = Layout([2, 0, 1])
    assert Steps(torch.tensor([1, 2, 3]), layout).padded(9).tolist() == [[1, 2], [9, 9], [3, 9]]
    deep = torch.randn(3, 4, 5)
    assert torch.equal(Steps.from_padded(Steps(deep, layout).padded(), layout).values, deep)


def test_a_layout_never_changes_and_the_advice_is_another():
    lengths = torch.tensor([2, 1])
    layout = Layout(lengths)
    layout.mask  # a map that was made already is as fixed as one that was not
    for name in ("lengths", "total", "mask", "order", "anything"):
        with pytest.raises(FrozenInstanceError, match=f"a layout never changes: cannot assign {name}; make a new one"):
            setattr(layout, name, None)
    with pytest.raises(FrozenInstanceError):
        del layout.total
    lengths[0] = 9
    assert layout.lengths.tolist() == [2, 1], "the caller's tensor is still the layout's"
    assert Layout(lengths).lengths.tolist() == [9, 1]


def test_steps_never_change():
    steps = steps_of([2, 1])
    for name in ("values", "layout", "anything"):
        with pytest.raises(FrozenInstanceError):
            setattr(steps, name, None)


def test_the_same_map_is_made_once():
    layout = Layout([3, 1])
    assert layout.time_major is layout.time_major and layout.mask is layout.mask
    assert layout.to("cpu") is layout


def test_layouts_of_equal_lengths_are_equal():
    assert Layout([2, 0]) == Layout(torch.tensor([2, 0])) != Layout([0, 2])
    assert len({Layout([2, 0]), Layout([2, 0]), Layout([2])}) == 2


@pytest.mark.parametrize("lengths", [[1, -1], [[1, 2]], 3])
def test_impossible_lengths_are_refused(lengths):
    with pytest.raises(ValueError, match="lengths must be one row of numbers >= 0"):
        Layout(lengths)


@pytest.mark.parametrize("shape", [(2, 3), (4, 3), ()])
def test_values_that_do_not_fit_are_refused(shape):
    with pytest.raises(ValueError, match="do not fit"):
        Steps(torch.zeros(shape), Layout([2, 1]))


@pytest.mark.parametrize("shape", [(2, 1, 4), (1, 2, 4), (3, 2, 4)])
def test_a_padded_batch_that_does_not_fit_is_refused(shape):
    with pytest.raises(ValueError, match="does not hold"):
        Steps.from_padded(torch.zeros(shape), Layout([2, 1]))


@settings
@hypothesis.given(LENGTHS)
def test_steps_pass_through_a_pytree_a_copy_and_a_pickle(lengths):
    steps = steps_of(lengths)
    leaves, shape = _pytree.tree_flatten({"batch": steps})
    assert all(isinstance(leaf, torch.Tensor) for leaf in leaves)
    again = _pytree.tree_unflatten(leaves, shape)["batch"]
    for other in (again, copy.deepcopy(steps), pickle.loads(pickle.dumps(steps))):
        assert isinstance(other, Steps) and other.layout == steps.layout and torch.equal(other.values, steps.values)
        assert torch.equal(other.reversed().values, steps.reversed().values)
    doubled = _pytree.tree_map_only(torch.Tensor, lambda leaf: leaf * 2 if leaf.is_floating_point() else leaf, steps)
    assert torch.equal(doubled.values, steps.values * 2) and doubled.layout == steps.layout


@pytest.mark.parametrize(("rows", "steps"), [(3, 4), (1, 1), (0, 3), (2, 0), (0, 0)])
def test_a_layout_of_equal_lengths_is_that_of_the_list(rows, steps):
    one, other = Layout.equal(rows, steps), Layout([steps] * rows)
    assert one == other and (len(one), one.total, one.longest, one.full) == (
        len(other),
        other.total,
        other.longest,
        other.full,
    )
    for name in ("offsets", "rows", "positions", "padded_index", "mask", "order", "time_major", "packed", "reversed"):
        assert torch.equal(getattr(one, name), getattr(other, name)), name
        assert getattr(one, name).dtype == getattr(other, name).dtype
    assert one.alive == other.alive and one.to("meta").total == other.total


def test_a_layout_of_equal_lengths_refuses_what_is_below_nothing():
    for rows, steps in ((-1, 2), (2, -1)):
        with pytest.raises(ValueError, match=f"got {rows} of {steps}"):
            Layout.equal(rows, steps)


def test_a_tree_may_be_mapped_to_what_is_no_tensor():
    shapes = _pytree.tree_map(lambda leaf: tuple(leaf.shape), steps_of([2, 1]))
    assert shapes.values == (3, 2) and shapes.layout.lengths == (2,) and "(2,)" in repr(shapes)


def test_a_spec_of_equal_batches_is_equal():
    one, other = _pytree.tree_structure(steps_of([2, 1])), _pytree.tree_structure(steps_of([1, 5, 0]))
    assert one == other, "torch.compile and DDP would take them for different inputs"
