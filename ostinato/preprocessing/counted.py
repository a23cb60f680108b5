"""What is counted beside what is learnt: which inputs get a second reading, and how an encoder that counts reads."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ostinato import alignments
from ostinato.model.columns import counts, encoder_owner, input_settings
from ostinato.preprocessing.sizes import Amount, Chosen, rounded
from ostinato.recipe.paths import at_path
from ostinato.recipe.read import Recipe
from ostinato.recipe.schema import opened
from ostinato.registry import SameAs, component

MOST_FEATURES = 200_000
MOST_WEIGHTS = 10_000_000
"""Features times labels: 40 MB of a run folder."""


def readings(recipe: Recipe) -> Chosen:
    """How encoders that count read, and which inputs are read by counting too; before anything is opened.

    An output of one label has each of its inputs read twice, one of a label for each step the input that it labels,
    where the modality has such a reading and the recipe names no encoder for the input and nothing that the output
    reads. A number of the encoder alone, such as its dropout, leaves the counting beside it.
    """
    chosen: Chosen = {}
    settings = recipe.settings
    for name in settings.inputs:
        if counts(name, settings.inputs):
            chosen |= _as_counted(recipe, name)
    scored = {name: output for name, output in settings.outputs.items() if _takes_scores(recipe, name, output)}
    reads = {name: list(output.reads or settings.inputs) for name, output in settings.outputs.items()}
    added: set[str] = set()
    for output, its in scored.items():
        kind = alignments.of(its).name
        alike = [other for other in scored.values() if alignments.of(other).name == kind]
        for name in settings.inputs:
            reading = component("modalities", settings.inputs[name].type).counted_readings.get(kind)
            if reading is None or _names_encoder(recipe, name):
                continue
            owner = name if len(alike) == 1 else f"{name}_{output}"
            beside = _free(
                f"{owner}_{component('encoders', reading['encoder']).called}",
                {*added, *settings.inputs, *settings.outputs},
            )
            plain = {**opened(recipe.given["inputs"][name]), **reading}
            plain["column"] = settings.inputs[name].column or name
            chosen[f"inputs.{beside}"] = (
                plain,
                f"{name} by counting, for outputs.{output}: the net need only add to it",
            )
            added.add(beside)
            reads[output].append(beside)
    if added:
        for name, listed in reads.items():
            if not recipe.gives(f"outputs.{name}.reads"):
                chosen[f"outputs.{name}.reads"] = (listed, "all inputs, and what is counted for it")
    return chosen


def left_out(recipe: Recipe, plain: Recipe, added: Chosen) -> Recipe:
    """A recipe without what `readings` added to `plain`, and with all else that was chosen since.

    Of texts made by rules the order counts, and what is counted is learnt first: in bAbI task 6 (32 words, validation)
    a net beside it stayed at 85 %, and had 99.9 % alone.
    """
    inputs = tuple(f"{path}." for path in added if path.startswith("inputs."))
    return plain.with_chosen(
        {
            path: (at_path(recipe.given, path), why)
            for path, why in recipe.reasons.items()
            if path not in added and path not in plain.reasons and not path.startswith(inputs)
        }
    )


def sizes(recipe: Recipe, amount: Amount) -> Chosen:
    """The widths of encoders that count, after encoding: a score for each label where one output of labels reads it."""
    chosen: Chosen = {}
    inputs, outputs = recipe.settings.inputs, recipe.settings.outputs
    for name in inputs:
        if not counts(name, inputs) or encoder_owner(name, inputs) != name:
            continue
        place = f"inputs.{name}.encoder"
        readers = [output for output, settings in outputs.items() if name in (settings.reads or inputs)]
        heads = [component("heads", outputs[output].head.type) for output in readers]
        size = 64
        if len(readers) == 1 and heads[0].takes_scores:
            size = amount.labels.get(readers[0], size)
            if not recipe.gives(f"{place}.size"):
                chosen[f"{place}.size"] = (size, f"a score for each label of {readers[0]}")
        each = component("encoders", inputs[name].encoder.type).features_per_step
        if each and not recipe.gives(f"{place}.features"):
            steps = amount.steps[f"inputs.{name}"]
            features = max(1000, min(MOST_FEATURES, MOST_WEIGHTS // size, round(steps * each)))
            chosen[f"{place}.features"] = (rounded(features), f"{steps:,} steps, {each:g} features for each at most")
    return chosen


def _names_encoder(recipe: Recipe, name: str) -> bool:
    """Whether the recipe says which encoder reads an input, or whose it is."""
    encoder = opened(opened(recipe.given["inputs"][name]).get("encoder"))
    return isinstance(encoder, Mapping) and not encoder.keys().isdisjoint(("type", "same_as"))


def _takes_scores(recipe: Recipe, name: str, output: Any) -> bool:
    """Whether an output of labels may read what is counted beside its inputs; of steps where it labels the only one."""
    if output.head is None or output.join is not None or recipe.gives(f"outputs.{name}.reads"):
        return False
    alone = not alignments.of(output).labels_steps or len(recipe.settings.inputs) == 1
    return alone and component("heads", output.head.type).takes_scores


def _as_counted(recipe: Recipe, name: str) -> Chosen:
    """What the modality's reading by counting says and the recipe does not."""
    settings = recipe.settings.inputs[name]
    readings = component("modalities", settings.type).counted_readings.values()
    encoder = recipe.settings.inputs[encoder_owner(name, recipe.settings.inputs)].encoder.type
    reading = next((reading for reading in readings if reading["encoder"] == encoder), {})
    plain = input_settings(settings.type).model_validate({"type": settings.type, **reading}).plain()
    why = "its encoder counts n-grams"
    return {
        f"inputs.{name}.{key}": (plain[key], why)
        for key in reading
        if key != "encoder"
        and not recipe.gives(f"inputs.{name}.{key}")
        and not isinstance(getattr(settings, key), SameAs)
    }


def _free(name: str, taken: Collection[str]) -> str:
    return name if name not in taken else _free(f"{name}_", taken)
