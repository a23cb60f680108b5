"""How the inputs of an output are joined where a recipe says nothing, from how long they are."""

from __future__ import annotations

from collections.abc import Mapping

from ostinato import alignments
from ostinato.modalities.contract import Modality, Symbols
from ostinato.model.columns import counts
from ostinato.preprocessing.sizes import Amount, Chosen
from ostinato.recipe.read import Recipe
from ostinato.registry import component, names


def joins(recipe: Recipe, modalities: Mapping[str, Modality], amount: Amount) -> Chosen:
    """The first join that suits the inputs of an output with one answer, all of them sequences of symbols; what is
    counted beside them goes around it."""
    chosen: Chosen = {}
    inputs = recipe.settings.inputs
    for name, output in recipe.settings.outputs.items():
        place = f"outputs.{name}"
        if alignments.of(output) is not alignments.summary or any(
            recipe.gives(f"{place}.{word}") and f"{place}.{word}" not in recipe.reasons for word in ("join", "reads")
        ):
            continue
        reads = output.reads or list(inputs)
        read = [reader for reader in reads if not counts(reader, inputs)]
        if len(read) < 2 or not all(isinstance(modalities[f"inputs.{reader}"].spec, Symbols) for reader in read):
            continue
        lengths = {reader: amount.steps[f"inputs.{reader}"] / max(1, amount.rows) for reader in read}
        found = (component("joins", join).suits(lengths) for join in names("joins"))
        for suits in filter(None, found):
            around = [reader for reader in reads if reader not in read]
            chosen[f"{place}.join"] = suits.settings, suits.reason
            chosen[f"{place}.reads"] = [*suits.reads, *around], "the one that asks first"
            break
    return chosen
