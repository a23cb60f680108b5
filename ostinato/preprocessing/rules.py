"""Texts that were made by rules: few words, over and over, whose order is what counts."""

from __future__ import annotations

from collections.abc import Mapping

from ostinato import alignments
from ostinato.errors import ConfigError
from ostinato.modalities.contract import Modality, Symbols, Worded
from ostinato.model.columns import counts
from ostinato.raw.words import are_words
from ostinato.registry import Settings

FEW_WORDS, TIMES_A_WORD = 100, 1000
"""Texts of so few words, each of which occurs so often on average, are made by rules, which people's are not: a text
of 10,000 words by people has above 1,000 different ones."""


def made_by_rules(settings: Settings, modalities: Mapping[str, Modality]) -> str | None:
    """Why the inputs are texts made by rules; None where one of them is not, where there is one alone, or where an
    output is no answer to a whole row. What is counted beside them is not looked at.

    Args:
        settings: of the recipe.
        modalities: of its columns, fitted.
    """
    inputs = [name for name in settings.inputs if not counts(name, settings.inputs)]
    if len(inputs) < 2 or any(alignments.of(its) is not alignments.summary for its in settings.outputs.values()):
        return None
    found = [_words(modalities[f"inputs.{name}"]) for name in inputs]
    many, times = (list(numbers) for numbers in zip(*found))
    if not all(many) or max(many) > FEW_WORDS or sum(times) < TIMES_A_WORD * sum(many):
        return None
    return f"{max(many):,} different words, each {sum(times) / sum(many):,.0f} times: texts made by rules"


def _words(modality: Modality) -> tuple[int, int]:
    """How many words training has and how often they occur in all; 0 where symbols are none, as letters, sounds and
    pieces of words are."""
    spec = modality.spec
    if not isinstance(modality, Worded) or not isinstance(spec, Symbols):
        return 0, 0
    try:
        words = modality.words()
    except ConfigError:
        return 0, 0
    known = [word for word in words[: len(words) - spec.added] if word is not None]
    return (len(known), sum(spec.counts)) if are_words(known) else (0, 0)
