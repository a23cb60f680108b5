"""Share of examples, or of steps, whose label is right."""

from collections.abc import Sequence
from typing import Literal

from ostinato.metrics._labels import of_examples, of_steps
from ostinato.metrics.contract import Predictions, Ratio


class Accuracy(Ratio):
    """Share of examples, or of steps, whose label is right.

        100 * right labels / labels of the references

    An example with several labels is right where all of them and no other are predicted, in any order (subset
    accuracy). Over `steps` the labels of words, residues or frames count, tags of spans as they are in the data, `O`
    too. What has no reference is left out. Alternatives are not read.

    Args:
        over: what a label belongs to: an example, or each step of one.

    Errors:
        DataError: over steps, a prediction has not as many steps as its reference.
    """

    higher_is_better = True
    unit = "%"
    greatest = 100.0
    factor = 100.0
    counted = "label"

    def __init__(self, *, over: Literal["examples", "steps"] = "examples"):
        self.is_share = over == "examples"

    def statistics(self, predictions: Predictions) -> list[Sequence[float]]:
        if self.is_share:
            return [[0, 0] if pair is None else [int(pair[0] == pair[1]), 1] for pair in of_examples(predictions)]
        return [[sum(label == right for label, right in pairs), len(pairs)] for pairs in of_steps(predictions)]
