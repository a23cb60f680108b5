"""The learning rate of an optimizer that a recipe leaves open."""

from __future__ import annotations

from ostinato import alignments
from ostinato.preprocessing.sizes import Chosen
from ostinato.recipe.read import Recipe

LABELS_RATE = 0.004
"""Of AdamW with a falling schedule. French parts of speech (UD Sequoia, validation, 100 filters over characters) had
95.9 % after three epochs with it, 92.2 % at 0.001: a table of vectors that starts with variance 1 hardly moves at
that."""

RATE = 0.003
"""Of AdamW with the schedule that is chosen, which ends near 0: Stanford sentiment (2,500 sentences, validation) had
64.8 % after 2 of 5 epochs with it, 64.3 % after 2 of 10 at 0.001. Windows of series keep the optimizer's own."""

RULES_RATE = 0.001
"""Of texts made by rules: bAbI task 6 (32 words, validation, beside counting) had 85.3 % after 11 epochs with it, and
74.8 % at 0.003."""


def learning_rate(recipe: Recipe, rules: str | None = None) -> Chosen:
    """The rate of outputs that label the steps of an input, and of others where the schedule is open too.

    Args:
        rules: why the inputs are texts made by rules; None: they are not.
    """
    settings = recipe.settings
    if recipe.gives("training.optimizer"):
        return {}
    aligned = [alignments.of(output) for output in settings.outputs.values()]
    if any(alignment.labels_steps for alignment in aligned):
        return {"training.optimizer.learning_rate": (LABELS_RATE, "labels of steps are learnt in few updates")}
    if any(alignment.windows for alignment in aligned) or "training.schedule.warmup" not in recipe.reasons:
        return {}
    if rules is not None:
        return {"training.optimizer.learning_rate": (RULES_RATE, rules)}
    return {"training.optimizer.learning_rate": (RATE, "the schedule ends near 0, so that it may begin high")}
