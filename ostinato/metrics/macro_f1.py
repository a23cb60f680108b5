"""F1 of each label, then their mean: a rare label counts as much as a frequent one."""

from collections.abc import Sequence

import numpy as np

from ostinato.metrics._confusion import by_class, chosen, macro
from ostinato.metrics.contract import Judged, Metric


class MacroF1(Metric):
    """F1 of each label, then their mean: a rare label counts as much as a frequent one.

        F1 = 2 right / (2 right + wrongly predicted + missed)     of each label
        macro F1 = 100 * mean of F1 over the labels that stand in the references

    One label an example, or a list of any number. A label that is predicted but stands in no reference has no F1 of its own, so
    that two systems are judged on the same labels; what it took from others counts as missed there. An example without a
    reference is left out. Alternatives are not read.

    Source: Opitz and Burst 2019 (arXiv:1911.03347), the mean of F1 and not F1 of the means.
    """

    higher_is_better = True
    unit = "%"
    is_share = False
    needs_log_probability = False

    def statistics(self, judged: Judged) -> np.ndarray:
        return by_class([] if pair is None else [pair] for pair in chosen(judged))

    def value(self, total: Sequence[float]) -> float:
        return macro(total, "macro_f1")

    def signature(self) -> str:
        return "mean of F1 over the labels of the references"
