"""The baseline of one label for each row: the majority class, and a logistic regression on what inputs hold; fitted
once and kept with the run."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ostinato.modalities.contract import Features
from ostinato.recipe.columns import second_readings
from ostinato.run.run import Row, Run

WORDS, CHARACTERS, SYMBOLS = (1, 2), (1, 4), (1, 3)
"""Lengths of the n-grams of a text's words and characters, and of a list's symbols."""
ITERATIONS = 300
"""The most of a logistic regression."""

Arrays = dict[str, np.ndarray]


def fitted(model: Any, features: Any, labels: Sequence[Any]) -> Any:
    """A linear model of labels from scikit-learn, fitted without its warnings of data that are as they are."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        # Labels that occur once each are labels all the same.
        warnings.filterwarnings("ignore", message="The number of unique classes", category=UserWarning)
        # Of many features the last iterations change little.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(features, labels)


@dataclass
class Column:
    """A part of a linear model's input: what a transformer of scikit-learn makes of the features of one input.

    Args:
        place: of the input.
        part: which of the transformers of its kind of features this is.
        transformer: that of scikit-learn.
        limit: its setting that limits the number of its features, or None.
    """

    place: str
    part: int
    kind: str
    transformer: Any
    limit: str | None

    @property
    def counts_ngrams(self) -> bool:
        return self.kind in ("text", "symbols")

    def values(self, read: Callable[[Sequence[Any]], Features | None], rows: Sequence[Row]) -> Any:
        features = read([row[self.place] for row in rows])
        assert features is not None, "only inputs with features have a column"
        if features.kind == "numbers":
            return np.nan_to_num(np.stack(features.values))
        return [[value] for value in features.values] if features.kind == "label" else features.values

    def state(self) -> Arrays | None:
        """What was fitted, or None where that cannot be kept."""
        if self.counts_ngrams:
            known = sorted(self.transformer.vocabulary_, key=self.transformer.vocabulary_.get)
            return {"vocabulary": _packed(known), "idf": self.transformer.idf_}
        if self.kind == "numbers":
            return {"mean": self.transformer.mean_, "scale": self.transformer.scale_}
        if self.transformer.max_categories is not None:
            return None
        return {"categories": _packed([str(category) for category in self.transformer.categories_[0]])}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        if self.counts_ngrams:
            self.transformer.set_params(vocabulary=_unpacked(state["vocabulary"]))
            self.transformer.idf_ = state["idf"]
        elif self.kind == "numbers":
            self.transformer.mean_, self.transformer.scale_ = state["mean"], state["scale"]
            self.transformer.n_features_in_ = len(state["mean"])
        else:
            self.transformer.fit([[category] for category in _unpacked(state["categories"])])


@dataclass
class LabelBaseline:
    """What answers rows with a label, fitted on training rows.

    Args:
        majority: the commonest label.
        name: of the regression, with what was left out; empty where there is none.
        raw: the raw value of each label by its text.
        columns: of the regression.
        model: scikit-learn's.
        cut: what the names tell where not all training rows were read.
    """

    majority: Any
    name: str
    raw: dict[str, Any]
    columns: list[Column]
    model: Any
    cut: str

    @staticmethod
    def fit(run: Run, output: str, known: Sequence[Row], most: int, cut: str) -> LabelBaseline:
        """Fits both on rows of which all have the output.

        Args:
            run: whose inputs are read.
            output: what is answered.
            known: the rows.
            most: features times labels of the regression, at most.
            cut: what the names tell where these are not all training rows.
        """
        from sklearn.linear_model import LogisticRegression

        truth = [row[f"outputs.{output}"] for row in known]
        (majority, _), *_ = Counter(truth).most_common(1)
        raw = {str(label): label for label in truth}
        nothing = LabelBaseline(majority, "", raw, [], None, cut)
        if len(raw) < 2:
            return nothing
        # Of two labels one has weights.
        columns, left_out = _fitted(run, output, known, most // (len(raw) if len(raw) > 2 else 1))
        if not columns:
            return nothing
        features = _matrix(run, columns, known)
        model = fitted(LogisticRegression(max_iter=ITERATIONS, C=10.0), features, list(map(str, truth)))
        lead = "n-gram " if any(column.counts_ngrams for column in columns) else ""
        return LabelBaseline(majority, f"{lead}logistic regression{left_out}", raw, columns, model, cut)

    def __call__(self, run: Run, asked: Sequence[Row]) -> dict[str, list[Any]]:
        """By the baseline's name, an answer for each row."""
        answers = {f"majority class{self.cut}": [self.majority] * len(asked)}
        if self.model is not None:
            labels = self.model.predict(_matrix(run, self.columns, asked))
            answers[f"{self.name}{self.cut}"] = [self.raw[label] for label in labels]
        return answers

    def state(self) -> tuple[dict[str, Any], Arrays] | None:
        """What was fitted as JSON values and arrays, or None where that cannot be kept."""
        arrays: Arrays = {}
        for at, column in enumerate(self.columns):
            state = column.state()
            if state is None:
                return None
            arrays |= {f"{at}.{name}": array for name, array in state.items()}
        if self.model is not None:
            arrays |= {"coef": self.model.coef_, "intercept": self.model.intercept_}
            arrays["classes"] = _packed(self.model.classes_.tolist())
        plain = {"majority": self.majority, "name": self.name, "raw": self.raw, "cut": self.cut}
        return {**plain, "columns": [[column.place, column.kind, column.part] for column in self.columns]}, arrays

    @staticmethod
    def restored(plain: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> LabelBaseline:
        from sklearn.linear_model import LogisticRegression

        columns = []
        for at, (place, kind, part) in enumerate(plain["columns"]):
            column = _new(place, kind, least=1)[part]
            own = {name.partition(".")[2]: array for name, array in arrays.items() if name.startswith(f"{at}.")}
            column.restore(own)
            columns.append(column)
        model = None
        if "coef" in arrays:
            model = LogisticRegression()
            model.coef_, model.intercept_ = arrays["coef"], arrays["intercept"]
            model.classes_ = np.array(_unpacked(arrays["classes"]))
        return LabelBaseline(plain["majority"], plain["name"], plain["raw"], columns, model, plain["cut"])


def _packed(texts: Sequence[str]) -> np.ndarray:
    """Texts as bytes of JSON, since arrays of texts would need pickle."""
    return np.frombuffer(json.dumps(list(texts)).encode(), np.uint8)


def _unpacked(array: np.ndarray) -> list[str]:
    return json.loads(array.tobytes())


def _fitted(run: Run, output: str, known: Sequence[Row], most: int) -> tuple[list[Column], str]:
    """Columns of about `most` features fitted on the known rows, and what a name tells where features were left out."""
    again = second_readings(run.recipe.settings)
    places = [place for name in run.graph.reads[output] if (place := f"inputs.{name}") not in again]
    columns: list[Column] = []
    for place in places:
        features = run.modalities[place].features([])
        if features is not None:
            columns += _new(place, features.kind, least=2 if len(known) > 100 else 1)
    readers = [run.modalities[column.place].features for column in columns]
    for read, column in zip(readers, columns):
        column.transformer.fit(column.values(read, known))
    widths = [
        column.transformer.transform(column.values(read, known[:1])).shape[1] for read, column in zip(readers, columns)
    ]
    whole = sum(widths)
    if whole <= most:
        return columns, ""
    for read, column, width in zip(readers, columns, widths):
        if column.limit is not None:
            limit = {column.limit: max(1, most * width // whole)}
            column.transformer.set_params(**limit).fit(column.values(read, known))
    return columns, f", the commonest {most:,} of {whole:,} features"


def _new(place: str, kind: str, least: int) -> list[Column]:
    """The transformers of one input, not fitted yet."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    limit: str | None = "max_features"
    if kind == "text":
        transformers = [
            TfidfVectorizer(ngram_range=WORDS, sublinear_tf=True, token_pattern=r"\S+"),
            TfidfVectorizer(analyzer="char", ngram_range=CHARACTERS, sublinear_tf=True, min_df=least),
        ]
    elif kind == "symbols":
        transformers = [TfidfVectorizer(analyzer=_symbol_ngrams, sublinear_tf=True)]
    elif kind == "label":
        transformers, limit = [OneHotEncoder(handle_unknown="ignore")], "max_categories"
    else:
        transformers, limit = [StandardScaler()], None
    return [Column(place, part, kind, transformer, limit) for part, transformer in enumerate(transformers)]


def _matrix(run: Run, columns: Sequence[Column], rows: Sequence[Row]) -> Any:
    from scipy.sparse import csr_matrix, hstack

    parts = (
        column.transformer.transform(column.values(run.modalities[column.place].features, rows)) for column in columns
    )
    return hstack([csr_matrix(part) for part in parts]).tocsr()


def _symbol_ngrams(symbols: Sequence[str]) -> list[str]:
    shortest, longest = SYMBOLS
    return [" ".join(symbols[at : at + n]) for n in range(shortest, longest + 1) for at in range(len(symbols) - n + 1)]
