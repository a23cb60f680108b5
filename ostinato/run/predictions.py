"""Results of predict, score and suggest: frozen classes with attributes, and JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ostinato.data.write import plain
from ostinato.run.complete import Suggestion
from ostinato.run.predict import Answer

STANDARD_INPUT = "-"
"""The cell of what arrived there as bytes."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """The answers to one row.

    Args:
        inputs: the raw value of each input.
        outputs: the answers of each output, best first.
        dated: whether the answers are forecasts, with the name of their series and the times of their steps.
        cells: every cell of the row as its table has it, by column, where these were asked for.
    """

    inputs: Mapping[str, Any]
    outputs: Mapping[str, Sequence[Answer]]
    dated: bool = False
    cells: Mapping[str, Any] = field(default_factory=dict)

    @property
    def best(self) -> dict[str, Answer]:
        """The best answer of each output."""
        return {output: answers[0] for output, answers in self.outputs.items()}

    def to_json(self) -> dict[str, Any]:
        """`inputs`, in place of the content of a file its name where the row's cells are known; `outputs`; and of a
        forecast `series` and `times`, null where nothing names them."""
        answers = {
            output: [_answer(*ranked) for ranked in enumerate(listed, 1)] for output, listed in self.outputs.items()
        }
        first = next(iter(self.best.values()))
        when = {"series": first.series, "times": first.times} if self.dated else {}
        return plain({"inputs": self.named_inputs, **when, "outputs": answers})

    @property
    def named_inputs(self) -> dict[str, Any]:
        """The inputs, in place of the content of a file its name or how many bytes it has."""
        return {name: named(raw, self.cells.get(name)) for name, raw in self.inputs.items()}


def named(raw: Any, cell: Any = None) -> Any:
    """A raw value for people: in place of the content of a file its name, or how many bytes it has.

    Args:
        raw: the value.
        cell: what the row's table has in its place, such as a path, or `-` for standard input; None: not known.
    """
    known = isinstance(cell, str)
    if not isinstance(raw, bytes | Path) and not (known and cell == STANDARD_INPUT):
        return raw
    if known:
        return cell
    return str(raw) if isinstance(raw, Path) else f"{len(raw):,} bytes"


@dataclass(frozen=True)
class LogProbabilities:
    """The log-probability of the values of one output, a number per row; None where a row has no value.

    Args:
        log_probability: natural logarithm.
        num_targets: the targets that it sums over.
    """

    log_probability: list[float | None]
    num_targets: list[int | None]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Suggestions:
    """What may follow a text.

    Args:
        text: the prompt.
        words: the likeliest next words.
        completions: the likeliest whole continuations.
    """

    text: str
    words: Sequence[Suggestion]
    completions: Sequence[Suggestion]

    def to_json(self) -> dict[str, Any]:
        listed = {"words": self.words, "completions": self.completions}
        return {
            "text": self.text,
            **{name: [suggestion._asdict() for suggestion in suggestions] for name, suggestions in listed.items()},
        }


def _answer(rank: int, answer: Answer) -> dict[str, Any]:
    fields = ("score", "log_probability", "finished", "value")
    plain = {"rank": rank} | {name: getattr(answer, name) for name in fields}
    if answer.probabilities is not None:
        plain["probabilities"] = answer.probabilities
    if answer.step_probabilities is not None:
        plain["step_probabilities"] = answer.step_probabilities
    if answer.words is not None:
        plain |= {"words": answer.words, "offsets": answer.offsets}
    if answer.entities is not None:
        plain["entities"] = [entity._asdict() for entity in answer.entities]
    if answer.symbol_times is not None:
        plain["times"] = [{"symbol": word, "start": start, "end": end} for word, start, end in answer.symbol_times]
    if answer.quantiles is not None:
        plain["quantiles"] = {f"{level:g}": values for level, values in answer.quantiles.items()}
    return plain
