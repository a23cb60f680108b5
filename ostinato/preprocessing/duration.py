"""How long a run trains where the recipe leaves it open: epochs by size, a warm-up, a patience; and within minutes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ostinato.recipe.read import Recipe
from ostinato.registry import component
from ostinato.training.curve import LEAST_GAIN

TOTAL_UPDATES, GENERATED_UPDATES = 3000, 5000
"""What is predicted at once stops gaining sooner than what is generated symbol by symbol: the tuned recipes of this
repository make 1,000 to 4,700 updates of the first and 4,000 to 8,000 of the second."""
FEW_STEPS, SEEN_STEPS = 600_000, 3_800_000
"""Of rows that have so few steps in all, what is generated is seen no more steps than the second in all, in no fewer
updates than what is predicted at once: forms of 10,000 words take less than three minutes on two cores then. Of 1,000
held-out Finnish ones 90.6 % were right after 5,000 updates, 90.2 after 4,093, 91.0 after 3,889, 89.5 after 3,480, 89.7
and 88.1 after 3,000; of Spanish ones 97.1 after 4,355 and 97.0 after 2,969; of German ones 88.7 after 4,258 and 88.5
after 3,832."""
WINDOW_UPDATES = 6000
"""Windows of many series are to be seen twice each, in at most so many updates: of the 414 hourly series of M4, where
3,300 updates see each window once, the validation had a sMAPE of 13.5 and a MASE of 0.904 after them (two seeds), of
12.9 and 0.854 after 5,960, of 12.6 and 0.865 after 8,280."""
EPOCHS = 2, 200
"""The fewest and the most that are chosen."""
WARM_UP = 0.05
"""The share of all updates in which the learning rate climbs."""
PATIENCE = 0.25
"""The share of all epochs after which validation that is no better ends a run."""
VALIDATION = 0.2
"""The most that validations may cost within given minutes, as a share of the updates."""
ENOUGH, SHRUNK = 0.5, 0.25
"""The share of the wanted updates that is enough, and to what share a batch shrinks at once where fewer would fit."""
LEAST_ROWS, LEAST_WIDTH = 16, 64
"""A batch and a layer that are chosen for few minutes are no smaller."""
WIDTHS = "hidden_size", "embedding_size"
NARROWED = 2.5
"""Where fewer epochs would fit, narrower layers learn more. In 13 minutes on one core captions were translated with a
BLEU of 6.0 (validation) by layers of 256 in batches of 4,000 steps (1.6 epochs), of 25.5 by layers of 64 in batches of
920 (4 epochs)."""
FEW_EPOCHS, WHOLE_EPOCHS = 4, 10
"""So few epochs are validated each; and fewer than the second within given minutes may end within one of them: the rest
would be a large part of the time."""

Chosen = dict[str, tuple[Any, str]]
Open = Callable[[Recipe, str], bool]
"""Whether a recipe leaves the setting at a path open."""


@dataclass(frozen=True)
class Pace:
    """What training costs on this machine.

    Args:
        updates: of an epoch.
        update_seconds: of one of them.
        validation_seconds: of one validation.
        evaluation_seconds: of all that follows training.
    """

    updates: int
    update_seconds: float
    validation_seconds: float
    evaluation_seconds: float


def duration(recipe: Recipe, updates: float, steps: float, wanted: int | None = None) -> Chosen:
    """Epochs by size, warm-up and patience.

    A schedule that falls needs its end before it begins, so epochs are chosen by size. Patience ends what is learnt
    sooner. It is a share of all epochs and not a few of them: the fall of the rate may make a late validation the best.
    A recipe that gives its epochs trains them all.

    Args:
        recipe: with its batch chosen.
        updates: of an epoch.
        steps: of an epoch, those of all inputs and outputs.
        wanted: updates in all; None: those after which such outputs stop gaining.
    """
    training = recipe.settings.training
    if recipe.gives("training.epochs"):
        return _warm_up(recipe, _total(training.epochs, training.max_updates, updates), _unset)
    wanted = wanted or max(_sufficient(recipe, updates, steps), _of_windows(recipe, updates))
    epochs = min(EPOCHS[1], max(EPOCHS[0], math.ceil(wanted / max(1.0, updates))))
    why = f"{max(1, round(updates)):,} updates an epoch, about {wanted:,} in all"
    return {
        "training.epochs": (epochs, why),
        **_warm_up(recipe, _total(epochs, training.max_updates, updates), _unset),
        **_patience(recipe, epochs, training.validate_every, _unset),
    }


def smaller(recipe: Recipe, seconds: float, pace: Pace, rows: int) -> Chosen:
    """Smaller batches where minutes allow far fewer updates than are wanted, and layers of half the width where they
    allow few epochs; empty where they suffice or the user gave the sizes.

    In five minutes on one core, of the 6,000 words of CMUdict that validated, letters to sounds, 49 % were wrong with
    layers of 256 and 512 and batches of 4,000 steps (377 updates), 38 % with half and a quarter of that (5,135).

    Args:
        recipe: with all that is chosen by size.
        seconds: of training.
        pace: of its updates.
        rows: of the training split.
    """
    fit, wanted, training = seconds / pace.update_seconds, _wanted(recipe), recipe.settings.training
    chosen: Chosen = {}
    if fit <= 0:
        return chosen
    few = f"about {fit:,.0f} updates of {pace.updates:,} an epoch would fit"
    if "training.batch_steps" in recipe.reasons and fit < ENOUGH * wanted:
        least = training.batch_steps * LEAST_ROWS * pace.updates / max(1, rows)
        steps = rounded(max(training.batch_steps * max(fit / wanted, SHRUNK), least))
        if steps < training.batch_steps:
            chosen["training.batch_steps"] = (steps, few)
    widths = [path for path in _leaves(recipe.given) if path.rpartition(".")[2] in WIDTHS]
    # Layers are added to each other and share weights: what is half as wide fits to nothing that was given.
    if fit < NARROWED * pace.updates and recipe.reasons.keys() >= set(widths):
        sizes = {path: recipe.at(path) for path in widths}
        if min(sizes.values(), default=0) > LEAST_WIDTH:
            chosen |= {path: (width // 2, few) for path, width in sizes.items()}
    return chosen


def _leaves(plain: Any, place: str = "") -> Iterator[str]:
    """The paths of all values in mappings."""
    for name, value in plain.items() if isinstance(plain, Mapping) else ():
        path = f"{place}{name}"
        yield from _leaves(value, f"{path}.") if isinstance(value, Mapping) else (path,)


def needed(recipe: Recipe, pace: Pace) -> float:
    """The seconds of all epochs of a recipe, their validations and the evaluation."""
    training = recipe.settings.training
    updates = _total(training.epochs, training.max_updates, pace.updates)
    validations = math.ceil(updates / pace.updates / training.validate_every)
    return updates * pace.update_seconds + validations * pace.validation_seconds + pace.evaluation_seconds


def within(recipe: Recipe, seconds: float, pace: Pace) -> Chosen:
    """Epochs, updates and the distance of validations, so that a run ends in time; then warm-up and patience.

        epoch = updates * update_seconds + validation_seconds / validate_every
        fit   = (seconds - evaluation_seconds - validation_seconds) / epoch

    Where fewer than FEW_EPOCHS fit, validation is within epochs too, so that the best is found to the same part of the
    run, if that costs no more than VALIDATION, and no mean of weights after whole epochs is kept (`average_last`).

    The recipe's epochs, given or chosen by size, are the most. Those that it gives stay what they are, and updates are
    limited. Fewer than WHOLE_EPOCHS may end within an epoch.

    Args:
        recipe: with all that is chosen by size.
        seconds: until the run has to be over, evaluation included.
        pace: what was measured.
    """
    training = recipe.settings.training
    most, updates = training.epochs, pace.updates * pace.update_seconds
    left = max(0.0, seconds - pace.evaluation_seconds - pace.validation_seconds)
    is_open = _unasked(recipe, "training.validate_every")
    every = max(1, math.ceil(pace.validation_seconds / (VALIDATION * updates))) if is_open else training.validate_every
    fit = left / (updates + pace.validation_seconds / every)
    if is_open and training.average_last is None and fit < min(most, FEW_EPOCHS):
        every = _part(fit, pace)
        fit = left / (updates + pace.validation_seconds / every)
    epochs = min(most, math.floor(fit) if fit >= WHOLE_EPOCHS else max(1, math.ceil(fit)))
    max_updates = training.max_updates
    chosen: Chosen = {}
    costs = (
        f"an update takes {1000 * pace.update_seconds:,.1f} ms here, a validation {pace.validation_seconds:,.1f} s, the"
        f" evaluation about {pace.evaluation_seconds:,.0f} s"
    )
    if epochs > fit:
        max_updates = min(max(1, math.floor(fit * pace.updates)), max_updates or epochs * pace.updates)
        chosen["training.max_updates"] = (
            max_updates,
            f"a part of {'an' if epochs == 1 else 'the last'} epoch; {costs}",
        )
    elif epochs < most and not _unasked(recipe, "training.epochs"):
        max_updates = min(epochs * pace.updates, max_updates or epochs * pace.updates)
        chosen["training.max_updates"] = (max_updates, f"{epochs} epochs; {costs}")
    if _unasked(recipe, "training.epochs"):
        chosen["training.epochs"] = (epochs, costs)
    if is_open:
        every = every if every < 1 else max(1, min(every, epochs // FEW_EPOCHS))
        chosen["training.validate_every"] = (every, f"a validation takes {pace.validation_seconds:,.1f} s")
    return {
        **chosen,
        **_warm_up(recipe, _total(epochs, max_updates, pace.updates), _unasked),
        **_patience(recipe, epochs, every, _unasked),
    }


def _wanted(recipe: Recipe) -> int:
    """The updates after which such outputs stop gaining."""
    heads = (component("heads", settings.head.type) for settings in recipe.settings.outputs.values())
    return GENERATED_UPDATES if any(head.generates for head in heads) else TOTAL_UPDATES


def _sufficient(recipe: Recipe, updates: float, steps: float) -> int:
    """The same, fewer where rows have few steps and an update sees many of them."""
    wanted = _wanted(recipe)
    if wanted <= TOTAL_UPDATES or steps > FEW_STEPS:
        return wanted
    return min(wanted, max(TOTAL_UPDATES, round(SEEN_STEPS * updates / max(1.0, steps))))


def _of_windows(recipe: Recipe, updates: float) -> int:
    """The updates that see each window EPOCHS[0] times, where an epoch takes one window in a stride: no more than
    WINDOW_UPDATES; 0 where rows are no windows."""
    stride = max((settings.stride or 1 for settings in recipe.settings.outputs.values()), default=1)
    return 0 if stride == 1 else min(WINDOW_UPDATES, math.ceil(EPOCHS[0] * stride * updates))


def rounded(number: float) -> int:
    """To two leading digits: a chosen size should look chosen."""
    step = 10 ** max(0, math.floor(math.log10(max(1.0, number))) - 1)
    return max(1, round(number / step) * step)


def _part(fit: float, pace: Pace) -> float:
    """The part of an epoch from one validation to the next: halved until FEW_EPOCHS of them are in so many epochs."""
    affordable = VALIDATION * pace.updates * pace.update_seconds / max(pace.validation_seconds, 1e-9)
    most = math.log2(max(1.0, min(pace.updates, affordable)))
    halvings = min(math.floor(most), math.ceil(math.log2(FEW_EPOCHS / max(fit, 1 / pace.updates))))
    return 1 / 2**halvings if halvings else 1


def _unset(recipe: Recipe, path: str) -> bool:
    return not recipe.gives(path)


def _unasked(recipe: Recipe, path: str) -> bool:
    """Whether the user gave no value: what was chosen by size may be chosen anew."""
    return not recipe.gives(path) or any(f"{reason}.".startswith(f"{path}.") for reason in recipe.reasons)


def _total(epochs: int, max_updates: int | None, updates: float) -> int:
    total = max(1, round(epochs * updates))
    return total if max_updates is None else min(total, max_updates)


def _warm_up(recipe: Recipe, total: int, is_open: Open) -> Chosen:
    """The warm-up of a schedule that the recipe leaves open."""
    schedule = recipe.settings.training.schedule
    if not is_open(recipe, "training.schedule") or "warmup" not in type(schedule).model_fields:
        return {}
    return {"training.schedule.warmup": (round(WARM_UP * total), f"{WARM_UP:.0%} of {total:,} updates")}


def patience(epochs: int, every: float) -> int:
    """So many validations without a real gain end a run of these epochs: two at least, since one may be chance, and
    those of an epoch."""
    return max(2, math.ceil(max(1, PATIENCE * epochs) / every))


def _patience(recipe: Recipe, epochs: int, every: float, is_open: Open) -> Chosen:
    if not is_open(recipe, "training.patience"):
        return {}
    chosen: Chosen = {
        "training.patience": (patience(epochs, every), f"{PATIENCE:.0%} of {epochs} epochs, and one at least")
    }
    if is_open(recipe, "training.least_gain"):
        chosen["training.least_gain"] = (LEAST_GAIN, "of the first validation's value: less is no reason to go on")
    return chosen
