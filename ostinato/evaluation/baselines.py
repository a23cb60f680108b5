"""Baselines on the same rows: majority class, n-gram logistic regression, mean, persistence, seasonal naive."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ostinato import alignments
from ostinato.data.examples import Examples
from ostinato.data.split import share_of
from ostinato.errors import ConfigError, DataError
from ostinato.evaluation.intervals import Compared, measure, paired
from ostinato.evaluation.predictions import metrics_of
from ostinato.evaluation.report import Baselines, Metrics
from ostinato.metrics.contract import Predictions
from ostinato.modalities.contract import Features, Labels, Values
from ostinato.model.columns import traits_of
from ostinato.recipe.metrics import main_metric
from ostinato.run.run import Row, Run

MOST_ROWS = 50_000
"""Training rows that a baseline is fitted on: more change a linear model of n-grams little."""
MOST_WEIGHTS = 10_000_000
"""Features times labels of a logistic regression, of which its solver holds some 25 copies of 8 bytes each: 2 GB."""
WORDS, CHARACTERS, SYMBOLS = (1, 2), (1, 4), (1, 3)
"""Lengths of the n-grams of a text's words and characters, and of a list's symbols."""

Answers = dict[str, list[Any]]
"""By the baseline's name, an answer for each row."""
Method = Callable[[Run, str, Sequence[Row], Sequence[Row]], Answers]
"""From training rows to answers for test rows."""


def baselines(run: Run, train: Callable[[], Examples], test: Examples) -> Baselines:
    """The baselines of each output, each with the output's metrics that need predictions alone.

    Args:
        run: whose outputs are predicted.
        train: opens the examples that the run was trained on; called only where a baseline is fitted.
        test: the examples to predict.

    Errors:
        DataError: the training rows cannot be read, or a metric cannot be measured; which.
    """
    return measured_of(run, predictions(run, train, test))


def measured_of(run: Run, predicted: Mapping[str, Mapping[str, Predictions]]) -> Baselines:
    """The metrics of what baselines predict.

    Errors:
        DataError: a metric cannot be measured; which.
    """
    measured: Baselines = {}
    for output, by_name in predicted.items():
        try:
            measured[output] = {name: _measured(run, output, known) for name, known in by_name.items()}
        except DataError as why:
            raise DataError(f"that of outputs.{output} cannot be measured: {why}") from None
    return measured


def compared_with(
    run: Run, own: Mapping[str, Predictions], predicted: Mapping[str, Mapping[str, Predictions]]
) -> dict[str, dict[str, Compared]]:
    """How far a run is from each baseline in the main metric of an output, on the same examples.

    Args:
        run: that is compared.
        own: its predictions by output.
        predicted: those of the baselines by output and name.
    """
    compared: dict[str, dict[str, Compared]] = {}
    for output, by_name in predicted.items():
        key = main_metric(run.outputs[output])
        metric = metrics_of(run, output).get(key or "")
        for name, known in by_name.items():
            if metric is None or metric.lacks(known) or metric.lacks(own[output]):
                continue
            try:
                compared.setdefault(output, {})[name] = paired(metric, known, own[output])
            except DataError:
                continue  # not the same examples: what one of them leaves out
    return compared


def predictions(run: Run, train: Callable[[], Examples], test: Examples) -> dict[str, dict[str, Predictions]]:
    """What baselines predict: for each output that has some, by the baseline's name, in the order of `predict_all`.

    - a label of the row: the majority class, and a logistic regression on what each input's modality gives as features
      (tf-idf of n-grams, labels one-hot, numbers scaled);
    - a number: the training rows' mean;
    - a series: its last value (persistence), and its last season (seasonal naive), repeated;
    - a label per step: the majority class of the step's symbol in training, that of all where the symbol is new.

    Where there are more than MOST_ROWS training rows so many are drawn by the run's seed, and where features times
    labels are more than MOST_WEIGHTS only the commonest n-grams are read; the name of a baseline then tells it.

    Args:
        run, train, test: as `baselines` takes them.

    Errors:
        DataError: the training rows cannot be read, or a baseline cannot be fitted; which.
    """
    if test.windows is not None:
        return {output: _naive(output, test) for output in run.outputs}
    methods = {output: method for output in run.outputs if (method := _method(run, output)) is not None}
    if not methods:
        return {}
    try:
        rows, cut = _training_rows(run, train())
    except (ConfigError, DataError) as why:
        raise DataError(f"the training rows cannot be read: {why}") from None
    test_rows = list(test.raw())
    predicted: dict[str, dict[str, Predictions]] = {}
    for output, method in methods.items():
        place = f"outputs.{output}"
        known = [row for row in rows if row[place] is not None and _is_whole(run, row)]
        asked = [row for row in test_rows if row[place] is not None and run.lacks(row) is None]
        if not known or not asked:
            continue
        expected = [row[place] for row in asked]
        try:
            answers = method(run, output, known, asked)
        except DataError as why:
            raise DataError(f"that of {place} cannot be fitted: {why}") from None
        predicted[output] = {f"{name}{cut}": Predictions(answer, expected) for name, answer in answers.items()}
    return {output: by_name for output, by_name in predicted.items() if by_name}


def _method(run: Run, output: str) -> Method | None:
    """What can predict the output, by what one of its steps is and how it lines up with time."""
    spec, alignment = run.modalities[f"outputs.{output}"].spec, alignments.of(run.outputs[output])
    if isinstance(spec, Labels) and not spec.multilabel:
        if alignment is alignments.summary:
            return _labels
        return _label_of_symbol if alignment.labels_steps else None
    return _mean if isinstance(spec, Values) and alignment is alignments.summary else None


def _measured(run: Run, output: str, predictions: Predictions) -> Metrics:
    metrics = metrics_of(run, output).items()
    return {key: measure(metric, predictions) for key, metric in metrics if not metric.lacks(predictions)}


def _training_rows(run: Run, examples: Examples) -> tuple[list[Row], str]:
    """The rows that baselines are fitted on, and what their names tell where these are not all."""
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


def _naive(output: str, examples: Examples) -> dict[str, Predictions]:
    """Persistence and seasonal naive."""
    place, windows, numbers = f"outputs.{output}", examples.windows, np.arange(len(examples))
    seasons = {"persistence": 1}
    if windows.season > 1:
        seasons[f"seasonal naive, {windows.season} steps"] = windows.season
    expected = [row[place] for row in examples.raw()]
    scales, order = examples.scales(place, numbers), examples.order(numbers)
    return {
        name: Predictions(windows.naive(place, examples.rows, season), expected, scales=scales, order=order)
        for name, season in seasons.items()
    }


def _labels(run: Run, output: str, known: Sequence[Row], asked: Sequence[Row]) -> Answers:
    """The majority class, and a logistic regression where some input has features."""
    truth = [row[f"outputs.{output}"] for row in known]
    (majority, _), *_ = Counter(truth).most_common(1)
    answers = {"majority class": [majority] * len(asked)}
    raw = {str(label): label for label in truth}
    if len(raw) < 2:
        return answers
    # Of two labels one has weights.
    fitted, cut = _fitted(run, output, known, MOST_WEIGHTS // (len(raw) if len(raw) > 2 else 1))
    if fitted:
        from sklearn.linear_model import LogisticRegression

        model = LogisticRegression(max_iter=300, C=10.0).fit(_matrix(fitted, known), list(map(str, truth)))
        lead = "n-gram " if any(column.counts_ngrams for column in fitted) else ""
        answers[f"{lead}logistic regression{cut}"] = [raw[label] for label in model.predict(_matrix(fitted, asked))]
    return answers


class _Column(NamedTuple):
    """A part of a linear model's input: what a transformer of scikit-learn makes of the features of one input."""

    read: Callable[[Sequence[Any]], Features | None]
    place: str
    transformer: Any
    limit: str | None
    counts_ngrams: bool

    def values(self, rows: Sequence[Row]) -> Any:
        features = self.read([row[self.place] for row in rows])
        if features.kind == "numbers":
            return np.nan_to_num(np.stack(features.values))
        return [[value] for value in features.values] if features.kind == "label" else features.values

    def transformed(self, rows: Sequence[Row]) -> Any:
        return self.transformer.transform(self.values(rows))


def _fitted(run: Run, output: str, known: Sequence[Row], most: int) -> tuple[list[_Column], str]:
    """Columns of about `most` features fitted on the known rows, and what a name tells where features were left out."""
    columns = [column for name in run.graph.reads[output] for column in _columns(run, f"inputs.{name}", known)]
    for column in columns:
        column.transformer.fit(column.values(known))
    widths = [column.transformed(known[:1]).shape[1] for column in columns]
    whole = sum(widths)
    if whole <= most:
        return columns, ""
    for column, width in zip(columns, widths):
        if column.limit is not None:
            limit = {column.limit: max(1, most * width // whole)}
            column.transformer.set_params(**limit).fit(column.values(known))
    return columns, f", the commonest {most:,} of {whole:,} features"


def _columns(run: Run, place: str, known: Sequence[Row]) -> list[_Column]:
    """The transformers of one input, not fitted yet."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    read = run.modalities[place].features
    features = read([])
    if features is None:
        return []
    if features.kind == "text":
        least = 2 if len(known) > 100 else 1
        ngrams = [
            TfidfVectorizer(ngram_range=WORDS, sublinear_tf=True, token_pattern=r"\S+"),
            TfidfVectorizer(analyzer="char", ngram_range=CHARACTERS, sublinear_tf=True, min_df=least),
        ]
        return [_Column(read, place, transformer, "max_features", True) for transformer in ngrams]
    if features.kind == "symbols":
        ngrams = TfidfVectorizer(analyzer=_symbol_ngrams, sublinear_tf=True)
        return [_Column(read, place, ngrams, "max_features", True)]
    if features.kind == "label":
        return [_Column(read, place, OneHotEncoder(handle_unknown="ignore"), "max_categories", False)]
    return [_Column(read, place, StandardScaler(), None, False)]


def _matrix(columns: Sequence[_Column], rows: Sequence[Row]) -> Any:
    from scipy.sparse import csr_matrix, hstack

    return hstack([csr_matrix(column.transformed(rows)) for column in columns]).tocsr()


def _symbol_ngrams(symbols: Sequence[str]) -> list[str]:
    shortest, longest = SYMBOLS
    return [" ".join(symbols[at : at + n]) for n in range(shortest, longest + 1) for at in range(len(symbols) - n + 1)]


def _mean(run: Run, output: str, known: Sequence[Row], asked: Sequence[Row]) -> Answers:
    return {"mean": [float(np.mean([row[f"outputs.{output}"] for row in known]))] * len(asked)}


def _label_of_symbol(run: Run, output: str, known: Sequence[Row], asked: Sequence[Row]) -> Answers:
    name = run.graph.reads[output][0]
    source = f"inputs.{name}"
    features = run.modalities[source].features([])
    if not traits_of(run.inputs[name]).by_words and (features is None or features.kind != "symbols"):
        return {}
    counts: dict[str, Counter] = defaultdict(Counter)
    for row in known:
        for symbol, label in zip(row[source] or (), row[f"outputs.{output}"]):
            if label is not None:
                counts[str(symbol)][label] += 1
    if not counts:
        return {}
    (majority, _), *_ = sum(counts.values(), Counter()).most_common(1)
    best = {symbol: labels.most_common(1)[0][0] for symbol, labels in counts.items()}
    answers = [[best.get(str(symbol), majority) for symbol in row[source] or ()] for row in asked]
    return {"majority class of the symbol": answers}
