"""F1 of each label over steps, then their mean: a rare label counts as much as a frequent one."""

from collections.abc import Sequence

import numpy as np

from ostinato.metrics._confusion import by_class, macro, steps
from ostinato.metrics.contract import Judged, Metric


class StepMacroF1(Metric):
    """F1 of each label over steps, then their mean: a rare label counts as much as a frequent one.

        F1 = 2 right / (2 right + wrongly predicted + missed)     of each label, over the steps of all examples
        100 * mean of F1 over the labels that stand in the references

    As `macro_f1`, for lists with one label per step; the order counts here. A step without a reference is left out. The micro
    average of one label per step is `step_accuracy`.

    Errors:
        DataError: a prediction has not as many steps as its reference.

    Source: Opitz and Burst 2019 (arXiv:1911.03347), the mean of F1 and not F1 of the means.
    """

    higher_is_better = True
    unit = "%"
    is_share = False
    needs_log_probability = False

    def statistics(self, judged: Judged) -> np.ndarray:
        both = enumerate(zip(judged.predicted, judged.expected, strict=True))
        return by_class(
            [(frozenset([said]), frozenset([right])) for said, right in steps(predicted, expected, example)]
            for example, (predicted, expected) in both
        )

    def value(self, total: Sequence[float]) -> float:
        return macro(total, "step_macro_f1")

    def signature(self) -> str:
        return "mean of F1 over the labels of the references, over steps"
