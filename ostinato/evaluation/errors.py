"""What a model gets wrong on held-out rows, and labels that are likely wrong in the data themselves."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.data.contract import PLAIN, Dialect
from ostinato.data.examples import Examples
from ostinato.data.split import evenly
from ostinato.data.write import plain
from ostinato.evaluation.predictions import PREDICTED, chunks, metrics_of, outputs_that_need, usable
from ostinato.modalities.contract import Labels, Values
from ostinato.recipe import columns as recipe_columns
from ostinato.run import prediction_table
from ostinato.run import rows as row_sources
from ostinato.run.entities import with_entities
from ostinato.run.predict import Answer, answers, labels_of
from ostinato.run.predictions import Prediction
from ostinato.run.run import Run
from ostinato.run.score import scores

LEAST_LETTERS = 6
"""Letters of a label from which on one that differs by a single letter is likely a typing error of it."""


@dataclass(frozen=True, eq=False)
class Judged:
    """The true value of an output of one row, and how the model scores it.

    Args:
        expected: the true value as text.
        predicted: the model's answer as text; None where nothing is predicted that could be compared.
        loss: minus the log-probability of the true value, per target, in nats.
        wrong: whether the answer differs from the true labels; None where the output is none of labels.
        probability: of the true label; None where the output is not one label.
        likely: the label that the row likely has in truth, by confident learning, of labels of steps all of them;
            None: its own.
        likely_steps: of labels of steps each that is likely wrong, as `word{true->likely}`.
        marked: of labels of words the words, each that is labelled wrongly as `word{true>predicted}`; else None.
        are_numbers: whether both texts are real numbers, in full.
    """

    expected: str
    predicted: str | None
    loss: float
    wrong: bool | None = None
    probability: float | None = None
    likely: str | None = None
    marked: str | None = None
    are_numbers: bool = False
    likely_steps: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "are_numbers"}


@dataclass(frozen=True, eq=False)
class HeldOut:
    """A held-out row.

    Args:
        number: of the row in its split.
        place: of the row in the data.
        prediction: the answers to it, with its cells.
        outputs: each output that the row has.
    """

    number: int
    place: str
    prediction: Prediction
    outputs: dict[str, Judged]


@dataclass(frozen=True, eq=False)
class ErrorReport:
    """The held-out rows of a run from the highest loss, and labels that are likely one.

    Args:
        split: which rows.
        rows: all of them, by the highest loss of an output.
        notes: what limits the report.
        similar: for each output groups of labels that are written almost alike, with how often each occurs in training.
        csv_dialect: how csv has to be written to be like the table that holds them.
    """

    split: str
    rows: list[HeldOut]
    notes: list[str] = field(default_factory=list)
    similar: dict[str, list[dict[str, int]]] = field(default_factory=dict)
    csv_dialect: Dialect = PLAIN

    def __repr__(self) -> str:
        return f"ErrorReport of {len(self.rows):,} rows of {self.split}: .rows[:20], .likely(OUTPUT), .to_json(top=20)"

    def likely(self, output: str) -> list[HeldOut]:
        """The rows whose label is likely wrong."""
        return [row for row in self.rows if output in row.outputs and row.outputs[output].likely is not None]

    def to_json(self, top: int | None = None) -> dict[str, Any]:
        """The report as JSON values, the first `top` rows of it."""
        rows = [
            {
                "place": row.place,
                "inputs": row.prediction.named_inputs,
                "outputs": {output: judged.to_json() for output, judged in row.outputs.items()},
            }
            for row in self.rows[:top]
        ]
        return plain(
            {
                "split": self.split,
                "examples": len(self.rows),
                "rows": rows,
                "similar_labels": self.similar,
                "notes": self.notes,
            }
        )

    def records(self, run: Run) -> Iterator[dict[str, Any]]:
        """All rows for a table: their cells, the answers, and for each output `X_loss` and `X_likely`."""
        predictions = prediction_table.records(run, (row.prediction for row in self.rows), fields=True)
        for row, record in zip(self.rows, predictions):
            judged = {
                f"{output}_{name}": getattr(row.outputs.get(output), name, None)
                for output in run.outputs
                for name in ("loss", "likely")
            }
            yield {**record, **judged}


def errors(
    run: Run, *, split: str | None = None, data: Any = None, roots: Sequence[Path] = (), most: int | None = None
) -> ErrorReport:
    """The held-out rows by their loss, with likely label errors.

    Args:
        run: whose held-out rows they are.
        split: valid or test; test by default where there is one.
        data: other rows with the same columns.
        roots: folders of data sets.
        most: rows that are read, evenly spread; None: all.

    Errors:
        ConfigError: the run knows no such split.
        DataError: the rows cannot be read.
    """
    split = row_sources.default_split(run, split, data)
    examples = row_sources.of_split(run, split, data, roots, whole=True)
    numbers = evenly(len(examples), len(examples) if most is None else most)
    rows = list(_rows(run, examples.pick(numbers), numbers))
    for output in run.outputs:
        _find_likely(run, output, rows)
        _find_likely_steps(run, output, rows)
    rows.sort(key=lambda row: -max(judged.loss for judged in row.outputs.values()))
    similar = {output: groups for output in run.outputs if (groups := similar_labels(_counts(run, output)))}
    notes = [] if data is None else row_sources.trained_on([run], examples)
    return ErrorReport(split, rows, notes, similar, examples.csv_dialect)


def _rows(run: Run, examples: Examples, all_numbers: np.ndarray) -> Iterator[HeldOut]:
    answered = outputs_that_need(PREDICTED, {output: metrics_of(run, output) for output in run.outputs})
    columns = [f"inputs.{name}" for name in run.inputs]
    again = recipe_columns.second_readings(run.recipe.settings)
    cells = dict(enumerate(examples.cells()))
    for pairs in chunks(usable(run, examples, {})):
        numbers, rows = [number for number, _ in pairs], [row for _, row in pairs]
        place = partial(_place, examples, numbers)
        every = answers([run], rows, outputs=answered, place=place)
        judged: list[dict[str, Judged]] = [{} for _ in rows]
        complete = [with_entities(run, row, by_output) for row, by_output in zip(rows, every)]
        for output, known in scores([run], rows, place=place).items():
            losses = zip(known.rows, known.scored.log_probability.tolist(), known.scored.num_targets.tolist())
            for at, log_probability, targets in losses:
                if targets:
                    raw, (answer, *_) = run.raw(rows[at], f"outputs.{output}"), complete[at].get(output, [None])
                    judged[at][output] = _judged(run, output, raw, answer, -log_probability / targets)
        for number, row, by_output, outputs in zip(numbers, rows, complete, judged):
            if outputs:
                inputs = {place.partition(".")[2]: row[place] for place in columns if place not in again}
                prediction = Prediction(inputs, by_output, cells=cells.get(number, {}))
                yield HeldOut(int(all_numbers[number]), examples.place(number), prediction, outputs)


def _place(examples: Examples, numbers: Sequence[int], row: int) -> str:
    return examples.place(numbers[row])


def _judged(run: Run, output: str, raw: Any, answer: Answer | None, loss: float) -> Judged:
    modality = run.modalities[f"outputs.{output}"]
    marked = None
    if answer is not None and answer.words is not None:
        pairs = zip_longest(answer.words, raw, answer.value)
        marked = " ".join(word if true == label else f"{word}{{{true}>{label}}}" for word, true, label in pairs)
    expected = modality.write(raw)
    shares = (answer and answer.probabilities) or {}
    text = None if answer is None else answer.text
    wrong = text != expected if text is not None and isinstance(modality.spec, Labels) else None
    return Judged(
        expected, text, loss, wrong, shares.get(expected), marked=marked, are_numbers=isinstance(modality.spec, Values)
    )


def _find_likely(run: Run, output: str, rows: list[HeldOut]) -> None:
    """Names the likely label of each row whose own is likely wrong."""
    labels = labels_of(run, output)
    if not labels or run.modalities[f"outputs.{output}"].spec.multilabel:
        return
    number = {label: at for at, label in enumerate(labels)}
    known = [row for row in rows if output in row.outputs and row.outputs[output].expected in number]
    if not known:
        return
    shares = np.array([[row.prediction.best[output].probabilities[label] for label in labels] for row in known])
    own = np.array([number[row.outputs[output].expected] for row in known])
    for row, label in zip(known, likely_labels(shares, own)):
        if label >= 0:
            judged = row.outputs[output]
            row.outputs[output] = replace(judged, likely=labels[label])


def _find_likely_steps(run: Run, output: str, rows: list[HeldOut]) -> None:
    """Writes the likely labels of each row of which a step's own is likely wrong, the others as they are.

    Of a step the probability of the predicted label is known. Its own has at most the rest, which counts as its
    probability: thresholds can only be too high, and too few steps be named.
    """
    modality, steps = run.modalities[f"outputs.{output}"], list[tuple[HeldOut, int, str, str, float]]()
    for row in rows:
        answer = row.prediction.best.get(output) if output in row.outputs else None
        if answer is not None and answer.step_probabilities is not None:
            own = modality.parse(row.outputs[output].expected)
            every = enumerate(zip(own, answer.value, answer.step_probabilities))
            steps += [(row, at, *known) for at, known in every if known[0] is not None]
    labels = sorted({label for *_, own, predicted, _ in steps for label in (own, predicted)})
    number = {label: at for at, label in enumerate(labels)}
    shares, owns = np.zeros((len(steps), len(labels))), np.array([number[step[2]] for step in steps], dtype=np.int64)
    for at, (_, _, own, predicted, share) in enumerate(steps):
        shares[at, number[own]] = 1 - share
        shares[at, number[predicted]] = share
    for (row, at, own, *_), label in zip(steps, likely_labels(shares, owns) if steps else ()):
        if label >= 0:
            judged = row.outputs[output]
            whole = modality.parse(judged.likely or judged.expected)
            whole[at] = labels[label]
            words = row.prediction.best[output].words
            mark = f"{words[at] if words else f'step {at + 1}'}{{{own}->{labels[label]}}}"
            row.outputs[output] = replace(
                judged, likely=modality.write(whole), likely_steps=(*judged.likely_steps, mark)
            )


def likely_labels(shares: np.ndarray, own: np.ndarray) -> np.ndarray:
    """The label that each row likely has in truth where that is not its own, else -1: confident learning.

        t[j]   = mean of p(j | x) over the rows x whose own label is j
        likely = argmax over the labels j with p(j | x) >= t[j] of p(j | x)

    Shapes:
        shares (rows, labels) out-of-sample probabilities; own (rows,) numbers of labels

    Only where that label has more than half of the probability: a model that is not sure of any label names none, and
    a row whose own label is the most probable is never named.

    Source: Northcutt, Jiang and Chuang 2021, arXiv:1911.00068, equations 1 and 2: the off-diagonals of the confident
    joint; the last rule is ours.
    """
    counts = np.bincount(own, minlength=shares.shape[1])
    sums = np.bincount(own, weights=shares[np.arange(len(own)), own], minlength=shares.shape[1])
    thresholds = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)
    confident = np.where(shares >= thresholds, shares, -np.inf)
    likely = confident.argmax(1)
    return np.where((confident.max(1) > 0.5) & (likely != own), likely, -1)


def _counts(run: Run, output: str) -> dict[str, int]:
    """How often each label of an output occurs in training."""
    modality = run.modalities[f"outputs.{output}"]
    spec = modality.spec
    if not isinstance(spec, Labels) or spec.legal is not None:
        return {}
    labels = labels_of(run, output) or modality.labels(np.arange(spec.size))
    return dict(zip(labels, spec.counts))


def similar_labels(counts: Mapping[str, int]) -> list[dict[str, int]]:
    """Groups of labels that differ in case, blanks, marks or forms of letters alone, or by one letter of a long word.

    Args:
        counts: how often each label occurs.
    """
    from rapidfuzz.distance import Levenshtein

    keys: dict[str, list[str]] = {}
    for label in counts:
        letters = unicodedata.normalize("NFKC", label).casefold()
        keys.setdefault(re.sub(r"[\W_]+", "", letters) or letters, []).append(label)
    # Labels that end in numbers, such as `type 1` and `type 2`, differ on purpose.
    words = sorted(
        (key for key in keys if len(key) >= LEAST_LETTERS and key.isalpha()), key=lambda key: (len(key), key)
    )
    for at, word in enumerate(words):
        for other in words[at + 1 :]:
            if len(other) - len(word) > 1:
                break
            if Levenshtein.distance(word, other, score_cutoff=1) <= 1 and word in keys and other in keys:
                keys[other] += keys.pop(word)
                break
    groups = [sorted(group, key=lambda label: (-counts[label], label)) for group in keys.values() if len(group) > 1]
    return [{label: counts[label] for label in group} for group in sorted(groups)]
