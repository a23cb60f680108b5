"""The plain rival beside every result: what counting, or a linear model of n-grams, makes of the same rows."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from ostinato.data.examples import Examples
from ostinato.data.split import share_of
from ostinato.errors import ConfigError, DataError
from ostinato.evaluation.evaluate import metrics_of
from ostinato.evaluation.intervals import measure
from ostinato.metrics.contract import Predictions
from ostinato.model.columns import traits_of
from ostinato.raw.numbers import as_array
from ostinato.run.run import Row, Run

MOST_ROWS = 50_000
"""Training rows that a rival learns from: more change a linear model of n-grams little."""
MOST_WEIGHTS = 10_000_000
"""Features times labels of a logistic regression, of which its solver holds some 25 copies of 8 bytes each: 2 GB."""
WORDS, CHARACTERS, SYMBOLS = (1, 2), (1, 4), (1, 3)
"""Lengths of the n-grams of a text's words and characters, and of a list's symbols."""

Answers = dict[str, list[Any]]
"""By the rival's name, an answer for each row."""


def measured(
    run: Run, train: Callable[[], Examples], test: Examples
) -> dict[str, dict[str, dict[str, dict[str, Any]]]]:
    """Each output's rivals by name, each with the output's metrics that need predictions alone.

    - a label of the row: the commonest label, and a logistic regression on tf-idf of the inputs' n-grams (words and characters of
      a text, symbols of a list), on labels one-hot, on numbers scaled and on a series' mean, deviation, first and last value;
    - a number: the training rows' mean;
    - a series: its last value, and its last season, again and again;
    - a label per step: the label that the step's symbol has most often in training, the commonest label where it is new.

    Where there are more than MOST_ROWS training rows so many are drawn by the run's seed, and where features times labels are
    more than MOST_WEIGHTS only the commonest n-grams are read; a rival's name then says so.

    Args:
        run: whose outputs they stand beside.
        train: opens the examples that the run learnt from; asked only where a rival learns from them.
        test: the examples that it is measured on.

    Errors:
        DataError: the training rows cannot be read, or a metric cannot be measured; which.
    """
    if test.windows is not None:
        return {output: _naive(run, output, test) for output in run.outputs}
    answered = {output: _OF[kind] for output, one in run.outputs.items() if (kind := (one.type, one.align)) in _OF}
    if not answered:
        return {}
    try:
        learnt, cut = _learnt(run, train())
    except (ConfigError, DataError) as why:
        raise DataError(f"the training rows cannot be read: {why}") from None
    judged_rows = list(test.raw())
    found: dict[str, dict[str, dict[str, dict[str, Any]]]] = {}
    for output, answer in answered.items():
        place = f"outputs.{output}"
        known = [row for row in learnt if row[place] is not None and _is_whole(run, row)]
        asked = [row for row in judged_rows if row[place] is not None and run.lacks(row) is None]
        if not known or not asked:
            continue
        expected = [row[place] for row in asked]
        metrics = {
            name: one
            for name, one in metrics_of(run, output).items()
            if {"predicted", "expected"}.issuperset(one.needs)
        }
        try:
            found[output] = {
                f"{name}{cut}": {
                    key: asdict(measure(metric, Predictions(predicted, expected))) for key, metric in metrics.items()
                }
                for name, predicted in answer(run, output, known, asked).items()
            }
        except DataError as why:
            raise DataError(f"that of {place} cannot be measured: {why}") from None
    return {output: rivals for output, rivals in found.items() if rivals}


def _learnt(run: Run, examples: Examples) -> tuple[list[Row], str]:
    """The rows that rivals learn from, and what their names say where these are not all."""
    number = len(examples)
    if number <= MOST_ROWS:
        return list(examples.raw()), ""
    # The first ones would not do: files are often sorted by label or by date.
    numbers = share_of(np.arange(number), MOST_ROWS / number, seed=run.recipe.settings.training.seed)
    return list(examples.pick(numbers).raw()), f", {len(numbers):,} of {number:,} rows"


def _is_whole(run: Run, row: Row) -> bool:
    """Whether a row has every input, as each row that is trained on has."""
    cells = (row[f"inputs.{name}"] for name in run.inputs)
    return all(cell is not None and (not isinstance(cell, (str, list, np.ndarray)) or len(cell) > 0) for cell in cells)


def _naive(run: Run, output: str, examples: Examples) -> dict[str, dict[str, dict[str, Any]]]:
    """The last value, and the last season, again and again."""
    place, windows, numbers = f"outputs.{output}", examples.windows, np.arange(len(examples))
    seasons = {"persistence": 1} | (
        {f"seasonal naive, {windows.season} steps": windows.season} if windows.season > 1 else {}
    )
    expected, scales = [row[place] for row in examples.raw()], examples.scales(place, numbers)
    order = examples.order(numbers)
    metrics = {
        name: one
        for name, one in metrics_of(run, output).items()
        if {"predicted", "expected", *(["scales"] if scales else [])}.issuperset(one.needs)
    }
    found = {}
    for name, season in seasons.items():
        judged = Predictions(windows.naive(place, examples.rows, season), expected, scales=scales, order=order)
        found[name] = {key: asdict(measure(metric, judged)) for key, metric in metrics.items()}
    return found


def _labels(run: Run, output: str, known: Sequence[Row], asked: Sequence[Row]) -> Answers:
    if run.outputs[output].multilabel:
        return {}
    truth = [row[f"outputs.{output}"] for row in known]
    (commonest, _), *_ = Counter(truth).most_common(1)
    found = {"commonest label": [commonest] * len(asked)}
    labels = len(set(map(str, truth)))
    if labels < 2:
        return found
    # Of two labels one has weights.
    features, cut = _features(run, output, known, MOST_WEIGHTS // (labels if labels > 2 else 1))
    if features is not None:
        from sklearn.linear_model import LogisticRegression

        model = LogisticRegression(max_iter=300, C=10.0).fit(features(known), list(map(str, truth)))
        raw = {str(one): one for one in truth}
        reads_symbols = any(run.inputs[name].type in ("text", "tokens") for name in run.graph.reads[output])
        found[f"{'n-gram ' if reads_symbols else ''}logistic regression{cut}"] = [
            raw[one] for one in model.predict(features(asked))
        ]
    return found


def _features(
    run: Run, output: str, known: Sequence[Row], most: int
) -> tuple[Callable[[Sequence[Row]], Any] | None, str]:
    """Rows to a sparse matrix of about `most` columns, fitted on the known rows, and what a name says where columns were left out;
    None where no input has a form that is known here."""
    from scipy.sparse import csr_matrix, hstack
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    read_by: list[tuple[list[Any], Callable[[Sequence[Row]], Any]]] = []
    for name in run.graph.reads[output]:
        settings = run.inputs[name]
        place = f"inputs.{name}"
        # A row that is judged may lack a sequence: it is read as an empty one.
        cells = lambda rows, place=place: [[] if row[place] is None else row[place] for row in rows]  # noqa: E731
        if settings.type == "text":
            parts = [
                TfidfVectorizer(ngram_range=WORDS, sublinear_tf=True, token_pattern=r"\S+"),
                TfidfVectorizer(
                    analyzer="char", ngram_range=CHARACTERS, sublinear_tf=True, min_df=2 if len(known) > 100 else 1
                ),
            ]
            read = lambda rows, cells=cells: [  # noqa: E731
                " ".join(one) if isinstance(one, list) else one or "" for one in cells(rows)
            ]
        elif settings.type == "tokens":
            parts = [TfidfVectorizer(analyzer=_symbol_ngrams, sublinear_tf=True)]
            read = cells
        elif settings.type == "category":
            parts = [OneHotEncoder(handle_unknown="ignore")]
            read = lambda rows, cells=cells: [[str(one)] for one in cells(rows)]  # noqa: E731
        elif settings.type in ("number", "series"):
            parts = [StandardScaler()]
            size = len(_numbers(known[0][place], 0))
            read = lambda rows, cells=cells, size=size: np.nan_to_num(  # noqa: E731
                np.stack([_numbers(one, size) for one in cells(rows)])
            )
        else:
            continue
        given = read(known)
        for part in parts:
            part.fit(given)
        read_by.append((parts, read))
    if not read_by:
        return None, ""
    widths = {part: part.transform(read(known[:1])).shape[1] for parts, read in read_by for part in parts}
    whole = sum(widths.values())
    for parts, read in read_by if whole > most else ():
        for part in parts:
            if isinstance(part, (TfidfVectorizer, OneHotEncoder)):
                limit = "max_features" if isinstance(part, TfidfVectorizer) else "max_categories"
                part.set_params(**{limit: max(1, most * widths[part] // whole)}).fit(read(known))
    cut = f", the commonest {most:,} of {whole:,} features" if whole > most else ""
    made = [(part, read) for parts, read in read_by for part in parts]
    return lambda rows: hstack([csr_matrix(part.transform(read(rows))) for part, read in made]).tocsr(), cut


def _symbol_ngrams(symbols: Sequence[str]) -> list[str]:
    listed = list(map(str, symbols))
    shortest, longest = SYMBOLS
    return [" ".join(listed[at : at + n]) for n in range(shortest, longest + 1) for at in range(len(listed) - n + 1)]


def _numbers(raw: Any, size: int) -> np.ndarray:
    """A number as it is; of a series what a person would look at first, channel by channel; `size` zeros for one without steps."""
    if isinstance(raw, float):
        return np.array([raw])
    values = as_array(raw)
    if not len(values):
        return np.zeros(size)
    return np.concatenate([np.atleast_1d(part) for part in (values.mean(0), values.std(0), values[0], values[-1])])


def _mean(run: Run, output: str, known: Sequence[Row], asked: Sequence[Row]) -> Answers:
    return {"mean": [float(np.mean([row[f"outputs.{output}"] for row in known]))] * len(asked)}


def _label_of_symbol(run: Run, output: str, known: Sequence[Row], asked: Sequence[Row]) -> Answers:
    name = run.graph.reads[output][0]
    if run.inputs[name].type != "tokens" and not traits_of(run.inputs[name]).by_words:
        return {}
    source = f"inputs.{name}"
    counts: dict[str, Counter] = defaultdict(Counter)
    for row in known:
        for symbol, label in zip(row[source] or (), row[f"outputs.{output}"]):
            if label is not None:
                counts[str(symbol)][label] += 1
    if not counts:
        return {}
    (commonest, _), *_ = sum(counts.values(), Counter()).most_common(1)
    best = {symbol: of.most_common(1)[0][0] for symbol, of in counts.items()}
    return {
        "commonest label of the symbol": [
            [best.get(str(symbol), commonest) for symbol in row[source] or ()] for row in asked
        ]
    }


_OF: dict[tuple[str, str | None], Callable[..., Answers]] = {
    ("category", "summary"): _labels,
    ("number", "summary"): _mean,
    ("tags", "each"): _label_of_symbol,
}
