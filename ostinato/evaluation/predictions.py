"""The predictions and scores of a run for every example of a split."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice, pairwise
from typing import Any

import numpy as np

from ostinato import alignments
from ostinato.data.examples import Examples
from ostinato.errors import DataError
from ostinato.metrics.contract import Metric, Order, Predictions
from ostinato.modalities.contract import Labels
from ostinato.recipe import columns as recipe_columns
from ostinato.recipe import metrics as recipe_metrics
from ostinato.registry import Settings
from ostinato.run.fusion import Adapt
from ostinato.run.predict import answers
from ostinato.run.run import Row, Run
from ostinato.run.score import scores

FEW_TEXTS, PIECES, LEAST_PIECE = 100, 1000, 50
"""Fewer texts than that are cut into about so many pieces, each of so many characters or items at least."""
CHUNK_ROWS = 4096
"""Rows in memory at once: enough to sort by length, few enough to stay small."""
MOST_NAMED = 5
"""Labels or symbols that training lacks, in one message."""
PREDICTED = ("predicted", "quantiles")
"""The columns of `Predictions` that need an answer."""
SCORED = ("log_probability", "num_targets", "num_right", "distance")
"""Those that the scores of the references give."""


@dataclass(frozen=True)
class SplitPredictions:
    """What a run predicts for the examples of a split.

    Args:
        examples: how many were read.
        outputs: what is known of each output.
        numbers: for each output the numbers of its examples in the split.
    """

    examples: int
    outputs: dict[str, Predictions]
    numbers: dict[str, list[int]]


def metrics_of(run: Run, output: str) -> dict[str, Metric]:
    """The metrics of an output by their key."""
    return recipe_metrics.metrics_of(run.outputs[output])


def chunks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Rows by CHUNK_ROWS, the last chunk shorter."""
    rows = iter(rows)
    while chunk := list(islice(rows, CHUNK_ROWS)):
        yield chunk


def predict_all(
    runs: Sequence[Run],
    examples: Examples,
    *,
    search: Settings | None = None,
    seed: int = 0,
    metrics: Mapping[str, Mapping[str, Metric]] | None = None,
    adapt: Adapt | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> SplitPredictions:
    """The predictions of a run, or of several as an ensemble, for every example, and the scores of its references; what
    no metric needs is not computed.

    Args:
        runs: one, or several that answer as an ensemble.
        examples: of a split.
        search: in place of the recipe's.
        seed: of sampling.
        metrics: that will be asked, by output; by default all that the run has.
        adapt: changes what generates the answers; scores of references are the runs' own.
        say: gets a line for each kind of rows that are left out, or read as unknown.

    An example without an output is left out for this output. One without an input that is no sequence is left out
    everywhere, with a message that counts them.

    Errors:
        DataError: there is an output that no row has.
    """
    run = runs[0]
    asked = {output: metrics_of(run, output) for output in run.outputs} if metrics is None else metrics
    answered, scored = outputs_that_need(PREDICTED, asked), outputs_that_need(SCORED, asked)
    # Long texts are cut where their symbols are scored.
    scored += [output for output in asked if output not in scored and alignments.of(run.outputs[output]).streams]
    needed = {
        output: {*(PREDICTED if output in answered else ()), *(SCORED if output in scored else ())}
        for output in run.outputs
    }
    columns = {output: _Columns(run, output, columns) for output, columns in needed.items()}
    left_out: dict[str, list[int]] = {}
    unseen: dict[str, dict[str, list[int]]] = {}
    # A word of an input, or of a text that is continued, that training lacks is nothing unusual.
    own = {f"outputs.{name}" for name, settings in run.outputs.items() if not alignments.of(settings).streams}
    named = own | {where for where, modality in run.modalities.items() if isinstance(modality.spec, Labels)}
    total = 0
    for pairs in chunks(usable(run, examples, left_out)):
        numbers, rows = [number for number, _ in pairs], [row for _, row in pairs]
        place = partial(_place, examples, numbers)
        predicted = answers(runs, rows, search=search, seed=seed, outputs=answered, adapt=adapt, place=place, say=say)
        given = scores(runs, rows, outputs=scored, place=place)
        for number, row in pairs:
            for where in run.modalities:
                raw = run.raw(row, where)
                if raw is not None and where in named:
                    # What a row's answer can copy from its source is not unseen.
                    for symbol in dict.fromkeys(run.modality(row, where).unseen(raw)):
                        unseen.setdefault(where, {}).setdefault(symbol, []).append(number)
        for output, column in columns.items():
            column.add(numbers, rows, predicted, given.get(output))
        total += len(rows)
    for lack, numbers in left_out.items():
        rows = f"{len(numbers):,} row{'s' * (len(numbers) > 1)}"
        say(f"{rows} left out, {lack} is missing (the first: {examples.place(numbers[0])})")
    for where, symbols in unseen.items():
        how = "counts as wrong" if where.startswith("outputs.") else "is read as unknown"
        what = "label"
        if not isinstance(run.modalities[where].spec, Labels):
            what, how = "symbol", "no answer has"
        numbers = sorted({number for rows in symbols.values() for number in rows})
        names = ", ".join(
            repr(symbol[:40])
            for symbol in sorted(symbols, key=lambda symbol: (-len(symbols[symbol]), symbol))[:MOST_NAMED]
        )
        more = f" and {len(symbols) - MOST_NAMED:,} more" if len(symbols) > MOST_NAMED else ""
        say(
            f"{len(numbers):,} rows have a {what} of {where} that training lacks, which {how}: {names}{more} (the"
            f" first: {examples.place(numbers[0])})"
        )
    lacking = [column.name for column in columns.values() if not column.numbers]
    if lacking:
        raise DataError(f"{examples.where}: no row holds {', '.join(lacking)}; there is nothing to measure against")
    known = {output: column.predictions(examples, say) for output, column in columns.items()}
    return SplitPredictions(total, known, {output: column.numbers for output, column in columns.items()})


def outputs_that_need(columns: Sequence[str], metrics: Mapping[str, Mapping[str, Metric]]) -> list[str]:
    """The outputs with a metric that is made from one of these columns of `Predictions`.

    What continues an input is measured by its scores alone: a continuation of its own has no reference.
    """
    return [
        output
        for output, listed in metrics.items()
        if any(not set(columns).isdisjoint(metric.needs) for metric in listed.values())
    ]


def usable(run: Run, examples: Examples, left_out: dict[str, list[int]]) -> Iterator[tuple[int, Row]]:
    """The rows that can be predicted, by number; the numbers of the others go into `left_out` by what they lack."""
    for number, row in enumerate(examples.raw()):
        lack = run.lacks(row)
        if lack is not None:
            left_out.setdefault(lack, []).append(number)
        elif any(_holds(run, row, output) for output in run.outputs):
            yield number, row
        elif any(run.raw(row, f"outputs.{output}") is not None for output in run.outputs):
            left_out.setdefault("every output, or its text,", []).append(number)


def _holds(run: Run, row: Row, output: str) -> bool:
    """Whether a row has an output: an empty text or list of steps is none, as in training."""
    place, raw = f"outputs.{output}", run.raw(row, f"outputs.{output}")
    is_steps = run.modalities[place].is_sequence and not alignments.of(run.outputs[output]).streams
    return raw is not None and not (is_steps and isinstance(raw, (str, list)) and not raw)


def _place(examples: Examples, numbers: Sequence[int], row: int) -> str:
    return examples.place(numbers[row])


class _Columns:
    """The columns of an output's predictions while they are collected."""

    def __init__(self, run: Run, output: str, needed: Collection[str]):
        self.run, self.output, self.place, self.settings = run, output, f"outputs.{output}", run.outputs[output]
        self.name = recipe_columns.column_of(self.place, self.settings)
        self.numbers: list[int] = []
        self.by_step: list[np.ndarray | None] = []
        known = recipe_metrics.known_of(self.settings) - ({*PREDICTED, *SCORED} - set(needed))
        known -= set() if self.settings.alternatives is not None else {"alternatives"}
        names = ("expected", "alternatives", *PREDICTED, *SCORED)
        self.columns: dict[str, list[Any] | None] = {name: [] if name in known else None for name in names}

    def add(self, numbers: Sequence[int], rows: Sequence[Row], predicted: Any, scored: Any) -> None:
        """Adds a chunk."""
        present = [at for at, row in enumerate(rows) if _holds(self.run, row, self.output)]
        self.numbers += [numbers[at] for at in present]
        best = [predicted[at][self.output][0] if self.columns["predicted"] is not None else None for at in present]
        self._extend("predicted", [answer and answer.value for answer in best])
        quantiles = [answer and answer.quantiles for answer in best]
        self._extend("quantiles", quantiles if all(levels is not None for levels in quantiles) else None)
        self._extend("expected", [self.run.raw(rows[at], self.place) for at in present])
        self._extend("alternatives", [self._alternatives(rows[at]) for at in present])
        self.by_step += (scored and scored.by_step) or [None] * len(present)
        for name in SCORED:
            scores = scored and getattr(scored.scored, name)
            self._extend(name, None if scores is None else scores.tolist())

    def _extend(self, name: str, values: list[Any] | None) -> None:
        column = self.columns[name]
        self.columns[name] = None if column is None or values is None else column + values

    def _alternatives(self, row: Row) -> list[Any]:
        column = self.settings.alternatives
        parse = self.run.modalities[self.place].parse
        return [] if column is None else [parse(text) for text in row[column].split(" | ") if text]

    def predictions(self, examples: Examples, say: Callable[[str], None]) -> Predictions:
        """All that was collected, long texts in pieces."""
        scales, order = examples.scales(self.place, self.numbers), examples.order(self.numbers)
        if examples.windows is not None:
            series = examples.windows.at(self.numbers)[0]
            known = (
                [] if scales is None else [number for number, scale in zip(series, scales) if np.isfinite(scale).any()]
            )
            scaled = [key for key, metric in metrics_of(self.run, self.output).items() if "scales" in metric.needs]
            if scaled and len(set(known)) < (whole := len(set(series))):
                counts = f"counts {len(set(known)):,} of {whole:,} series" if known else "is left out"
                every = "the others" if known else "every series"
                say(
                    f"{self.place}: {', '.join(scaled)} {counts}, since the past of {every} is too short, or repeats"
                    " itself season by season"
                )
        if alignments.of(self.settings).streams:
            # Consecutive rows of a file are often pieces of one text; where they are not, blocks come out short.
            num_rows = len(self.numbers)
            self.columns, self.numbers = in_pieces(self.columns, self.by_step, self.numbers)
            unit = "row" if len(self.numbers) == num_rows else "piece"
            order = Order([0] * len(self.numbers), 1, unit, "texts")
        return Predictions(**self.columns, scales=scales, order=order)


def in_pieces(
    columns: Mapping[str, list[Any] | None], by_step: Sequence[np.ndarray | None], numbers: list[int]
) -> tuple[dict[str, list[Any] | None], list[int]]:
    """A few long texts as many short pieces, whose neighbours a bootstrap can draw in blocks; more texts as they are.

    Each text is cut at equal shares of its characters (of a list: items), and the same shares of its steps. Sums over
    all pieces are those over all texts; where a step has many characters a cut may be off by one step, which an
    interval does not notice.

    Args:
        columns: the columns of the predictions by name.
        by_step: for each text the log-probability of every step, whether it scored best and how many targets it has, or
            None.
        numbers: of the texts in their split.
    """
    lengths = [len(text) for text in columns["expected"]]
    if not 0 < len(lengths) < FEW_TEXTS or any(steps is None for steps in by_step):
        return dict(columns), numbers
    whole = sum(lengths)
    pieces: dict[str, list[Any] | None] = {name: None if column is None else [] for name, column in columns.items()}
    numbers_of_pieces: list[int] = []
    for text, (length, steps) in enumerate(zip(lengths, by_step)):
        count = max(1, min(length // LEAST_PIECE, round(PIECES * length / max(1, whole))))
        cut, cut_steps = (np.linspace(0, size, count + 1).round().astype(int).tolist() for size in (length, len(steps)))
        parts = [steps[slice(*ends)].astype(np.float64) for ends in pairwise(cut_steps)]
        own = {
            "expected": [columns["expected"][text][slice(*ends)] for ends in pairwise(cut)],
            "log_probability": [float(part[:, 0].sum()) for part in parts],
            "num_targets": [int(part[:, 2].sum()) for part in parts],
            "num_right": [float(part[:, 1].sum()) for part in parts],
        }
        for name, values in pieces.items():
            if values is not None:
                values += own.get(name) or [columns[name][text]] * count
        numbers_of_pieces += [numbers[text]] * count
    return pieces, numbers_of_pieces
