"""What is counted beside what is learnt: which inputs get a second reading, and how an encoder that counts reads."""

from __future__ import annotations

from typing import Any

from ostinato import alignments
from ostinato.model.columns import counts, encoder_owner, input_settings
from ostinato.preprocessing.sizes import Amount, Chosen, rounded
from ostinato.recipe.read import Recipe
from ostinato.recipe.schema import opened
from ostinato.registry import component

MOST_FEATURES = 200_000
MOST_WEIGHTS = 10_000_000
"""Features times labels: 40 MB of a run folder."""
EACH_FEATURE = 2
"""Of 4,500 texts in 10 languages one n-gram per 2 characters had 98.4 % in validation, one per 5 97.8 %."""


def readings(recipe: Recipe) -> Chosen:
    """How encoders that count read, and which inputs are read by counting too; before anything is opened.

    An output of one label has each of its inputs read twice, where its modality has such a reading and the recipe says
    nothing of the input's encoder or of what the output reads.
    """
    chosen: Chosen = {}
    settings = recipe.settings
    for name in settings.inputs:
        if counts(name, settings.inputs):
            chosen |= _as_counted(recipe, name)
    labels = [name for name, output in settings.outputs.items() if _takes_scores(recipe, name, output)]
    reads = {name: list(output.reads or settings.inputs) for name, output in settings.outputs.items()}
    for output in labels:
        for name in settings.inputs:
            reading = component("modalities", settings.inputs[name].type).counted_reading
            if reading is None or recipe.gives(f"inputs.{name}.encoder"):
                continue
            beside = _free(f"{name}_ngrams" if len(labels) == 1 else f"{name}_{output}_ngrams", recipe)
            plain = {**opened(recipe.given["inputs"][name]), **reading}
            plain["column"] = settings.inputs[name].column or name
            chosen[f"inputs.{beside}"] = (
                plain,
                f"{name} by counting, for outputs.{output}: the net need only add to it",
            )
            reads[output].append(beside)
    if any(path.count(".") == 1 for path in chosen):
        for name, listed in reads.items():
            if not recipe.gives(f"outputs.{name}.reads"):
                chosen[f"outputs.{name}.reads"] = (listed, "all inputs, and what is counted for it")
    return chosen


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
        if not recipe.gives(f"{place}.features"):
            steps = amount.steps[f"inputs.{name}"]
            features = max(1000, min(MOST_FEATURES, MOST_WEIGHTS // size, steps // EACH_FEATURE))
            chosen[f"{place}.features"] = (
                rounded(features),
                f"{steps:,} steps, one feature per {EACH_FEATURE} at most",
            )
    return chosen


def _takes_scores(recipe: Recipe, name: str, output: Any) -> bool:
    if alignments.of(output) is not alignments.summary or output.head is None:
        return False
    free = output.join is None and not recipe.gives(f"outputs.{name}.reads")
    return free and component("heads", output.head.type).takes_scores


def _as_counted(recipe: Recipe, name: str) -> Chosen:
    """What the modality's reading by counting says and the recipe does not."""
    settings = recipe.settings.inputs[name]
    reading = component("modalities", settings.type).counted_reading or {}
    plain = input_settings(settings.type).model_validate({"type": settings.type, **reading}).plain()
    why = "its encoder counts n-grams"
    return {
        f"inputs.{name}.{key}": (plain[key], why)
        for key in reading
        if key != "encoder" and not recipe.gives(f"inputs.{name}.{key}")
    }


def _free(name: str, recipe: Recipe) -> str:
    taken = {*recipe.settings.inputs, *recipe.settings.outputs}
    return name if name not in taken else _free(f"{name}_", recipe)
