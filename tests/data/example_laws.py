"""Laws of examples: rows, windows and streams keep the same promises to training, evaluation and messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch

from ostinato.data.examples import Examples, Part
from ostinato.modalities.contract import Modality
from ostinato.model.batch import Batch
from ostinato.registry import Settings


def all_of(
    make: Callable[[bool], Examples], training: Settings, modalities: Mapping[str, Modality], *, epochs: int = 1
) -> None:
    """Every law.

    Args:
        make: makes the examples, encoded; given True, those of data in which one raw value differs.
        training: with the limits and the seed of batches.
        modalities: fitted, by place.
        epochs: after so many epochs each example was seen once.
    """
    examples = make(False)
    assert len(examples) > 2, "too few examples to tell an order"
    check_epochs(examples, training, epochs)
    check_order(examples, make(False), training)
    check_evaluation(examples, training)
    check_steps(examples, modalities)
    check_places(examples)
    check_picked(examples)
    check_digest(examples, make(False), make(True))


def check_epochs(examples: Examples, training: Settings, epochs: int) -> None:
    """The epochs hold each target step once, no example is missing, and the steps of parts add up."""
    batches = examples.batches(training)
    parts = [part for number in range(epochs) for part in batches.epoch(number)]
    rows = np.arange(len(examples)) if examples.rows is None else examples.rows
    assert np.array_equal(np.unique(np.concatenate([examples.part_rows(part) for part in parts])), np.unique(rows))
    whole = examples.batch(np.arange(len(examples)))
    for name, targets in whole.targets.items():
        seen = torch.cat([examples.fetch(part).targets[name].values for part in parts])
        assert torch.equal(seen.sort(0).values, targets.values.sort(0).values), (
            f"outputs.{name}: steps missing or twice"
        )
    counted = sum(examples.part_steps(part) for part in parts)
    assert abs(counted - examples.num_steps.sum()) <= len(parts), "the shares of streams are rounded, part by part"


def check_order(examples: Examples, again: Examples, training: Settings) -> None:
    """Batches are a function of the seed and the epoch alone."""

    def told(examples: Examples, epoch: int, seed: int) -> list[list[list[int]]]:
        batches = examples.batches(training.model_copy(update={"seed": seed}))
        return [_numbers(part) for part in batches.epoch(epoch)]

    first = told(examples, 0, 1)
    assert first == told(again, 0, 1) == told(examples, 0, 1)
    assert any(told(examples, epoch, 1) != first for epoch in range(1, 4))
    assert any(told(examples, 0, seed) != first for seed in range(2, 6))


def check_evaluation(examples: Examples, training: Settings) -> None:
    """Evaluation holds each example once and asks for no seed; a batch is the steps of its examples."""
    batches = examples.evaluation_batches(training)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(examples)))
    other = examples.evaluation_batches(training.model_copy(update={"seed": training.seed + 1}))
    assert [_numbers(batch) for batch in batches] == [_numbers(batch) for batch in other]
    for numbers in batches:
        batch = examples.batch(numbers)
        assert len(batch) == len(numbers) and _total(batch) == examples.num_steps[numbers].sum()


def check_steps(examples: Examples, modalities: Mapping[str, Modality]) -> None:
    """The encoded steps of an example are its raw values encoded, also out of order and twice; lengths count them."""
    raw = list(examples.raw())
    assert len(raw) == len(examples) and set(examples.places) <= set(raw[0])
    numbers = [len(raw) - 1, 0, 1, 0]
    for place in examples.places:
        steps = examples.steps(place, numbers)
        assert steps.layout.lengths.tolist() == examples.lengths(place)[numbers].tolist()
        for number, values in zip(numbers, steps.split()):
            value = raw[number][place]
            encoded = np.empty((0, *values.shape[1:])) if value is None else modalities[place].encode(value)
            np.testing.assert_array_equal(values.numpy(), encoded, f"{place} of example {number}")


def check_places(examples: Examples) -> None:
    """A message names one example."""
    places = [examples.place(number) for number in range(len(examples))]
    assert len(set(places)) == len(places)


def check_picked(examples: Examples) -> None:
    """Examples that are picked, and picked from those, are the same ones with new numbers."""
    numbers = np.arange(0, len(examples), 2)
    picked, last = examples.pick(numbers), examples.pick(numbers).pick(np.array([len(numbers) - 1]))
    assert len(picked) == len(numbers) and picked.where == examples.where and picked.digest() == examples.digest()
    assert [picked.place(number) for number in range(len(picked))] == [examples.place(n) for n in numbers.tolist()]
    assert last.place(0) == examples.place(int(numbers[-1]))
    assert repr(list(picked.raw())) == repr([row for number, row in enumerate(examples.raw()) if number % 2 == 0])
    for place in examples.places:
        assert torch.equal(picked.steps(place, [1, 0]).values, examples.steps(place, numbers[[1, 0]]).values)
    order, of_picked = examples.order(numbers), picked.order(np.arange(len(picked)))
    assert (order is None and of_picked is None) or order == of_picked


def check_digest(examples: Examples, again: Examples, edited: Examples) -> None:
    """Equal contents have equal digests, and one other value another."""
    assert examples.digest() == again.digest() != edited.digest()


def _numbers(part: Part) -> list:
    return [column.tolist() for column in part] if isinstance(part, tuple) else part.tolist()


def _total(batch: Batch) -> int:
    return sum(steps.layout.total for steps in (*batch.inputs.values(), *batch.targets.values()))
