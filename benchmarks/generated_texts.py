"""How good are a run's answers, beside the beginning of what it reads and the answer to the most similar training row?

    python benchmarks/generated_texts.py RUN --data DIR/prepared-aeslc [--split valid]
    python benchmarks/generated_texts.py recipes/aeslc.yaml --data DIR/prepared-aeslc [--split valid]

RUN is one of a recipe with one input and one output of text, such as recipes/aeslc.yaml or recipes/dailydialog.yaml; a
recipe in its place measures the other ways without a run. DIR is made by tools/prepare.py. Printed as JSON, each with
its interval: the output's metrics that need answers alone, and

    distinct_1, distinct_2    different words, and pairs of neighbours, in percent of all that the answers have (Li et
                              al. 2016, arXiv:1510.03055); shorter texts repeat fewer words, so `words` stands beside it

of four ways to answer:

    run           the model, by its own search
    lead          the first words of the input, as many as training answers have on average
    retrieval     the answer of the training row whose input is the most similar: cosine of tf-idf vectors of words
    people        the first further reference, against the first; where there are some
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ostinato import api
from ostinato.data.read import open_table
from ostinato.evaluation.intervals import measure
from ostinato.metrics.contract import Metric, Predictions
from ostinato.recipe.metrics import metrics_of
from ostinato.recipe.read import load
from ostinato.run.run import Run

Columns = dict[str, list[Any]]


def read(folder: Path, split: str, columns: Sequence[str]) -> Columns:
    """The columns of a prepared split."""
    (path,) = folder.glob(f"{split}.*")
    table = open_table(str(path.absolute()), columns=columns, base=folder, data_root=(), where="--data")
    return {name: [cell for block in table.blocks() for cell in block.columns[name]] for name in columns}


def lead(asked: Sequence[str], answers: Sequence[str]) -> list[str]:
    """The first words of each text, as many as these answers have on average."""
    number = round(np.mean([len(answer.split()) for answer in answers]))
    return [" ".join(text.split()[:number]) for text in asked]


def retrieved(asked: Sequence[str], known: Sequence[str], answers: Sequence[str]) -> list[str]:
    """The answer that belongs to the most similar of the known texts, of equals the first."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectors = TfidfVectorizer(sublinear_tf=True)
    table = vectors.fit_transform(known).T.tocsc()
    wanted = vectors.transform(asked)
    parts = (wanted[at : at + 200] @ table for at in range(0, len(asked), 200))
    return [answers[place] for part in parts for place in np.asarray(part.argmax(axis=1)).ravel()]


def distinct(texts: Sequence[str], n: int) -> float:
    """Different runs of n words in percent of all of them."""
    grams = [
        gram for words in (text.lower().split() for text in texts) for gram in zip(*(words[at:] for at in range(n)))
    ]
    return 100 * len(set(grams)) / len(grams) if grams else 0.0


def measures(metrics: Mapping[str, Metric], known: Predictions) -> dict[str, Any]:
    """What is printed of these answers."""
    texts = [str(answer) for answer in known.predicted or ()]
    measured: dict[str, Any] = {
        key: asdict(measure(metric, known)) for key, metric in metrics.items() if not metric.lacks(known)
    }
    measured |= {f"distinct_{n}": distinct(texts, n) for n in (1, 2)}
    return measured | {"words": float(np.mean([len(text.split()) for text in texts]))}


def report(source: Path, data: Path, split: str) -> dict[str, Any]:
    """What is printed of the answers of a run, or of those that need none.

    Args:
        source: a run folder, or a recipe.
        data: the folder of the prepared splits.
        split: the one to answer.
    """
    run = None if source.is_file() else Run.load(source)
    settings = (load(source) if run is None else run.recipe).settings
    (read_from,), (output,) = settings.inputs, settings.outputs
    others, metrics = settings.outputs[output].alternatives, metrics_of(settings.outputs[output])
    train = read(data, "train", (read_from, output))
    rows = read(data, split, (read_from, output, *([others] if others else ())))
    asked, expected = rows[read_from], rows[output]
    more = [cell.split(" | ") if cell else [] for cell in rows[others]] if others else None
    answers = {
        "lead": lead(asked, train[output]),
        "retrieval": retrieved(asked, train[read_from], train[output]),
    }
    if run is not None:
        predictions = api.predict(run, rows=[{read_from: text} for text in asked])
        answers = {"run": [str(answer.best[output].value) for answer in predictions], **answers}
    measured = {way: measures(metrics, Predictions(answer, expected, more)) for way, answer in answers.items()}
    if more is not None and all(more):
        first = [several[0] for several in more]
        measured["people"] = measures(metrics, Predictions(first, expected, [several[1:] for several in more]))
    return {"split": split, "examples": len(asked), **measured}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, metavar="RUN|RECIPE")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--split", default="valid", choices=("valid", "test"))
    chosen = parser.parse_args()
    print(json.dumps(report(chosen.source, chosen.data, chosen.split), indent=1))


if __name__ == "__main__":
    main()
