"""Share of steps whose label is right."""

from collections.abc import Sequence

from ostinato.metrics._confusion import steps
from ostinato.metrics._raw import ratio
from ostinato.metrics.contract import Judged, Metric


class StepAccuracy(Metric):
    """Share of steps whose label is right: of words, residues, frames; over all examples together.

        100 * right steps / steps that have a label

    What the model predicts counts, decoded as it would be for a user. Tags of spans count as they stand in the data, `O` too.
    A step without a reference is left out. Alternatives are not read.

    Errors:
        DataError: a prediction has not as many steps as its reference.
    """

    higher_is_better = True
    unit = "%"
    is_share = False
    needs_log_probability = False

    def statistics(self, judged: Judged) -> list[Sequence[float]]:
        rows = []
        for example, (predicted, expected) in enumerate(zip(judged.predicted, judged.expected, strict=True)):
            pairs = steps(predicted, expected, example)
            rows.append([sum(said == right for said, right in pairs), len(pairs)])
        return rows

    def value(self, total: Sequence[float]) -> float:
        return 100 * ratio(total[0], total[1], "step_accuracy", "labelled step")

    def signature(self) -> str:
        return "over steps, those without a label left out"
