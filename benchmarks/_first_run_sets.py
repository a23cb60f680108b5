"""The data sets of first_run.py: each as the table that a user would give to `ostinato train`, with its standard split.

A set that has no valid part has one set aside from its training rows by seed (`held_out`): for the test these rows go
back to training. Where tools/prepare.py makes the table of a recipe, its rows are taken, so that both are measured on
the same ones.
"""

import csv
import functools
import gzip
import io
import json
import random
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np

from ostinato.data.read import open_table

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))

from prepare import SPLIT_SEED, TASKS, Row, Tables, set_aside

Form = Literal["tsv", "jsonl", "conll"]
PARTS = ("train", "valid", "test")
FOLDS = 10
SHARE, SMALL_SHARE = 0.1, 0.2
"""What is set aside of training rows, and of so few that a tenth would be a handful."""
IMDB = {"train": 4_000, "valid": 1_000, "test": 2_000}
NEWS = {"1": "World", "2": "Sports", "3": "Business", "4": "Science"}
DECIMALS = 4
"""Decimals of sensor values in a table."""


@dataclass(frozen=True)
class Measure:
    """A figure of a set.

    Args:
        output: the output that is measured.
        metric: a metric's name, or a mapping as in a recipe.
        tuned: the output and the key of this figure in the result of the set's tuned recipe; None where there is none.
        alternatives: a column with further right answers, apart by ` | `.
        least: what is needed on the test part; None where nothing is said.
    """

    output: str
    metric: str | dict[str, Any] = "accuracy"
    tuned: tuple[str, str] | None = None
    alternatives: str | None = None
    least: float | None = None


@dataclass(frozen=True)
class Ends:
    """The steps at the end of each series that are its valid and its test part.

    Args:
        valid: steps of the valid part, before the test.
        test: steps of the test part.
        rows: rows of the table for each step; 0 where a row is a whole series.
    """

    valid: int
    test: int
    rows: int = 1


@dataclass(frozen=True)
class Set:
    """A data set with a task.

    Args:
        name: of the set, for --sets.
        task: what is predicted, in a few words.
        tables: from the data root to the columns and rows of each part; of a forecast to those of `series` alone.
        inputs: what --in names.
        outputs: what --out names.
        measures: its figures, the main one first.
        form: the kind of the table.
        held_out: whether the valid part is set aside from the training rows.
        ends: of a forecast, its parts.
        task_settings: what states the task of a forecast, for --set: the horizon, the season.
        recipe: the tuned recipe of the same task, measured on the same test rows.
        minutes: the budget of training.
        listed: whether it is one of the benchmark; others are run where --sets names them.
    """

    name: str
    task: str
    tables: Callable[[Path], Tables]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    measures: tuple[Measure, ...]
    form: Form = "tsv"
    held_out: bool = False
    ends: Ends | None = None
    task_settings: tuple[str, ...] = ()
    recipe: str | None = None
    minutes: float = 3.0
    listed: bool = True


def _lines(path: Path, encoding: str = "utf-8-sig") -> list[str]:
    with gzip.open(path, "rt", encoding=encoding, newline="\n") as lines:
        return [line.strip() for line in lines]


def _of_table(root: Path, source: Any, columns: Sequence[str]) -> list[Row]:
    """The rows of a file, or of `{column names: file}`, below the data root."""
    table = open_table(source, columns=columns, base=root, data_root=(), where="--data-root")
    return [row for block in table.blocks() for row in zip(*(block.columns[column] for column in columns))]


def _drawn(rows: Sequence[Row], sizes: dict[str, int]) -> dict[str, list[Row]]:
    """So many rows for each part, drawn by seed, in their order."""
    places = random.Random(SPLIT_SEED).sample(range(len(rows)), sum(sizes.values()))
    drawn, begin = {}, 0
    for part, size in sizes.items():
        drawn[part] = [rows[place] for place in sorted(places[begin : begin + size])]
        begin += size
    return drawn


def _held_out(columns: tuple[str, ...], train: Sequence[Row], test: Sequence[Row], share: float = SHARE) -> Tables:
    """Tables whose valid part is a share of the training rows of each label, the last column."""
    rest, valid = set_aside(train, [str(row[-1]) for row in train], share=share)
    return {part: (columns, rows) for part, rows in zip(PARTS, (rest, valid, test))}


def _by_fold(columns: tuple[str, ...], folds: Sequence[Sequence[Row]], fold: int) -> Tables:
    """Fold `fold` (from 1) for the test, the next one to valid, the others to train."""
    test, valid = (fold - 1) % len(folds), fold % len(folds)
    train = [row for place, rows in enumerate(folds) if place not in (test, valid) for row in rows]
    return {part: (columns, rows) for part, rows in zip(PARTS, (train, folds[valid], folds[test]))}


def _sst_five(root: Path) -> Tables:
    names = {"train": "train", "valid": "dev", "test": "test"}
    files = {part: root / "stanford-sentiment-sst" / f"stsa.fine.{name}.gz" for part, name in names.items()}
    rows = {part: [line.partition(" ")[::-2] for line in _lines(path)] for part, path in files.items()}
    return {part: (("text", "sentiment"), listed) for part, listed in rows.items()}


def _mr_sentences(root: Path, *, fold: int = 1) -> Tables:
    path = root / "movie-review-sentences-mr" / "rt-polarity.all.gz"
    rows = [line.partition(" ")[::-2] for line in _lines(path, "latin-1")]
    order = sorted(random.Random(SPLIT_SEED).sample(range(len(rows)), len(rows)), key=lambda at: rows[at][1])
    folds = [[rows[at] for at in sorted(order[place::FOLDS])] for place in range(FOLDS)]
    return _by_fold(("text", "sentiment"), folds, fold)


def _mr_documents(root: Path) -> Tables:
    folds: list[list[Row]] = [[] for _ in range(FOLDS)]
    with tarfile.open(root / "movie-review-documents" / "review_polarity.tar.gz") as archive:
        for member in sorted(archive.getmembers(), key=lambda member: member.name):
            path = PurePosixPath(member.name)
            if member.isfile() and path.match("cv*.txt"):
                text = archive.extractfile(member).read().decode("utf-8")
                folds[int(path.name[2:5]) // 100].append((text, path.parent.name))
    return _by_fold(("text", "sentiment"), folds, 1)


def _imdb(root: Path) -> Tables:
    rows: dict[str, list[Row]] = {}
    for part in ("train", "test"):
        lines = map(json.loads, _lines(root / "imdb-reviews" / f"{part}.jsonl.gz"))
        rows[part] = [(row["text"], str(row["sentiment"])) for row in lines]
    trained = {part: size for part, size in IMDB.items() if part != "test"}
    drawn = _drawn(rows["train"], trained) | _drawn(rows["test"], {"test": IMDB["test"]})
    return {part: (("text", "sentiment"), listed) for part, listed in drawn.items()}


def _ag_news(root: Path) -> Tables:
    with gzip.open(root / "ag-news-topics" / "test.csv.gz", "rt", encoding="utf-8", newline="") as lines:
        rows = [(title, " ".join(text.split()), NEWS[label]) for label, title, text in csv.reader(lines)]
    parts = {0: "test", 1: "valid"}
    tables = {part: (("title", "text", "topic"), []) for part in PARTS}
    for place, row in enumerate(rows):
        tables[parts.get(place % 5, "train")][1].append(row)
    return tables


def _surnames(root: Path) -> Tables:
    """Of each name, which may belong to several languages, all rows on one side."""
    languages: dict[str, dict[str, None]] = {}
    for path in sorted((root / "surnames-18-languages").glob("*.txt")):
        for name in path.read_text(encoding="utf-8").splitlines():
            if name.strip():
                languages.setdefault(name.strip(), {})[path.stem] = None
    names = [(name, next(iter(found))) for name, found in sorted(languages.items())]
    rest, test = set_aside(names, [language for _, language in names])
    train, valid = set_aside(rest, [language for _, language in rest])
    columns = ("name", "language")
    return {
        part: (columns, [(name, language) for name, _ in chosen for language in languages[name]])
        for part, chosen in zip(PARTS, (train, valid, test))
    }


def _dna(root: Path) -> Tables:
    """The rows of the tuned recipe, with the sequence in one piece."""
    tables = TASKS["dna-splice-1"](root)
    columns = ("sequence", "junction")
    return {part: (columns, [(up + down, label) for up, down, label in rows]) for part, (_, rows) in tables.items()}


def _protein(root: Path) -> Tables:
    """A list of residues with one of states, null where the residue was not resolved."""
    folder = "protein-secondary-structure"
    files = (_of_table(root, f"{folder}/{name}.fasta.gz", ("name", "sequence")) for name in _PROTEIN_FILES)
    columns = ("residues", "states")
    tables: Tables = {part: (columns, []) for part in PARTS}
    for (title, labels), (_, residues), (_, mask) in zip(*files, strict=True):
        states = [label if known == "1" else None for label, known in zip(labels, mask, strict=True)]
        part = "test" if "SET=test" in title else "valid" if "VALIDATION=True" in title else "train"
        if any(state is not None for state in states):
            tables[part][1].append((list(residues), states))
    return tables


_PROTEIN_FILES = ("sampled", "sequences", "mask")


def _tagged(root: Path, source: Callable[[str], Any], names: Sequence[str], columns: tuple[str, str]) -> Tables:
    """Words and their tags from the files of a treebank or of CoNLL's form."""
    return {part: (("words", "tags"), _of_table(root, source(name), columns)) for part, name in zip(PARTS, names)}


def _conll(root: Path) -> Tables:
    def source(name: str) -> Any:
        return {"word _ _ tag": f"conll2003-english-ner/eng.{name}.gz"}

    return _tagged(root, source, ("train", "testa", "testb"), ("word", "tag"))


def _wnut(root: Path) -> Tables:
    names = ("wnut17train.conll", "emerging.dev.conll", "emerging.test.annotated")
    return _tagged(root, lambda name: {"word tag": f"wnut17-emerging-ner/{name}.gz"}, names, ("word", "tag"))


def _wikiann(root: Path, *, language: str) -> Tables:
    """Without the language before each word; valid and test sentences that occur in training are left out."""

    def source(name: str) -> Any:
        return {"word tag": f"wikiann-ner/{language}.{name}.tsv.gz"}

    tables = _tagged(root, source, ("train", "dev", "test"), ("word", "tag"))
    rows = {
        part: [([word.removeprefix(f"{language}:") for word in words], tags) for words, tags in listed]
        for part, (_, listed) in tables.items()
    }
    trained = {tuple(words) for words, _ in rows["train"]}
    return {
        part: (columns, [row for row in rows[part] if part == "train" or tuple(row[0]) not in trained])
        for part, (columns, _) in tables.items()
    }


def _treebank(root: Path, *, folder: str, prefix: str) -> Tables:
    def source(name: str) -> str:
        return f"{folder}/{prefix}-ud-{name}.conllu.gz"

    return _tagged(root, source, ("train", "dev", "test"), ("form", "upos"))


def _inflection(root: Path, *, language: str) -> Tables:
    names = {"train": "train-high", "valid": "dev", "test": "test"}
    folder, tables = root / "sigmorphon2018-inflection", {}
    for part, name in names.items():
        rows = [line.split("\t") for line in _lines(folder / f"{language}-{name}.tsv.gz")]
        tables[part] = (("lemma", "features", "form"), [(lemma, asked, form) for lemma, form, asked in rows])
    return tables


def _scan(root: Path) -> Tables:
    tables = TASKS["scan"](root)
    columns, train = tables["train"][0], list(tables["train"][1])
    rest, valid = set_aside(train, [None] * len(train))
    return {"train": (columns, rest), "valid": (columns, valid), "test": tables["test"]}


def _multi30k(root: Path) -> Tables:
    names, tables = {"train": "train", "valid": "val", "test": "test_2016_flickr"}, {}
    for part, name in names.items():
        sides = (_lines(root / "multi30k-translation" / f"{name}.{language}.gz") for language in ("en", "de"))
        tables[part] = (("en", "de"), list(zip(*sides, strict=True)))
    return tables


def _natops(root: Path) -> Tables:
    files = (f"natops-body-joints/NATOPS_{part}.ts.gz" for part in ("TRAIN", "TEST"))
    sides = [_of_table(root, file, ("series", "label")) for file in files]
    return _held_out(("series", "label"), *sides, share=SMALL_SHARE)


def _indoor(root: Path) -> Tables:
    """Walks in the buildings 1 and 2, a fifth for the test."""
    with zipfile.ZipFile(root / "indoor-movement" / "IndoorMovement.zip") as archive:

        def table(name: str) -> list[list[str]]:
            lines = io.StringIO(archive.read(name).decode("utf-8"))
            return [[cell.strip() for cell in row] for row in csv.reader(lines) if row and not row[0].startswith("#")]

        labels = dict(table("dataset/MovementAAL_target.csv"))
        groups = dict(table("groups/MovementAAL_DatasetGroup.csv"))
        walks = [number for number in labels if groups[number] in ("1", "2")]
        rows = [
            ([list(map(float, step)) for step in table(f"dataset/MovementAAL_RSS_{number}.csv")], labels[number])
            for number in walks
        ]
    train, test = set_aside(rows, [label for _, label in rows], share=SMALL_SHARE)
    return _held_out(("series", "label"), train, test)


def _har(root: Path) -> Tables:
    sides = []
    for part in ("train", "test"):
        with np.load(root / "human-activity-har" / f"{part}.npz") as file:
            signals, labels = file["signals"].astype(float).round(DECIMALS).tolist(), file["labels"].tolist()
        sides.append(list(zip(signals, labels)))
    return _held_out(("series", "label"), *sides)


def _pendigits(root: Path) -> Tables:
    sides = []
    for part in ("tra", "tes"):
        lines = (root / "pendigits-pen-strokes" / f"pendigits.{part}.csv").read_text(encoding="utf-8").split()
        cells = [list(map(int, line.split(","))) for line in lines]
        sides.append([([list(point) for point in zip(row[:-1:2], row[1:-1:2])], row[-1]) for row in cells])
    return _held_out(("series", "label"), *sides)


def _etth1(root: Path) -> Tables:
    """The rows of the tuned recipe, hour by hour."""
    columns, rows = TASKS["etth1"](root)["hours"]
    return {"series": (columns, sorted(rows, key=lambda row: row[0]))}


def _univariate(root: Path, *, name: str) -> Tables:
    with (root / "small-univariate-series" / f"{name}.csv").open(encoding="utf-8", newline="") as lines:
        header, *rows = csv.reader(lines)
    return {"series": (("date", header[1].lower()), [tuple(row) for row in rows])}


def _whole(root: Path, *, task: str, table: str) -> Tables:
    return {"series": TASKS[task](root)[table]}


def _classes(
    name: str,
    task: str,
    tables: Callable[[Path], Tables],
    inputs: Sequence[str],
    output: str,
    *,
    form: Form = "tsv",
    held_out: bool = False,
    recipe: str | None = None,
    least: float | None = None,
    listed: bool = True,
) -> Set:
    """A set of one label a row."""
    measures = (Measure(output, tuned=(output, "accuracy") if recipe else None, least=least),)
    more = {"form": form, "held_out": held_out, "recipe": recipe, "listed": listed}
    return Set(name, task, tables, tuple(inputs), (output,), measures, **more)


def _tags(
    name: str, task: str, tables: Callable[[Path], Tables], metric: str | dict[str, Any], least: float | None = None
) -> Set:
    """A set of one tag a word."""
    return Set(name, task, tables, ("word",), ("tag",), (Measure("tag", metric, least=least),), form="conll")


def _sensors(
    name: str, task: str, tables: Callable[[Path], Tables], output: str = "label", recipe: str | None = None
) -> Set:
    return _classes(name, task, tables, ("series",), output, form="jsonl", held_out=True, recipe=recipe)


def _parts_of_speech(folder: str, prefix: str) -> Callable[[Path], Tables]:
    return functools.partial(_treebank, folder=folder, prefix=prefix)


def _inflected(language: str, recipe: str | None = None) -> Set:
    measures = (Measure("form", "exact_match", ("form", "exact_match") if recipe else None),)
    tables = functools.partial(_inflection, language=language)
    task = f"{language.title()} word forms"
    return Set(f"inflection-{language}", task, tables, ("lemma", "features"), ("form",), measures, recipe=recipe)


def _forecast(metric: str, *, tuned: bool = False) -> tuple[Measure, ...]:
    return (Measure("forecast", metric, ("ahead", metric) if tuned else None),)


def _small_series(name: str, file: str, task: str, column: str, ends: Ends) -> Set:
    tables = functools.partial(_univariate, name=file)
    return Set(name, task, tables, (), (f"{column}:series",), _forecast("mae"), ends=ends)


STEPS = {"type": "accuracy", "over": "steps"}
WORD_ERROR = "sequence_error"
SETS: tuple[Set, ...] = (
    _classes("sst-2", "sentiment, two classes", TASKS["sst"], ["text"], "sentiment", recipe="sst", least=82.0),
    _classes("sst-5", "sentiment, five classes", _sst_five, ["text"], "sentiment"),
    _classes("mr-sentences", "sentiment of sentences", _mr_sentences, ["text"], "sentiment", held_out=True),
    _classes(
        "mr-documents", "sentiment of documents", _mr_documents, ["text"], "sentiment", form="jsonl", held_out=True
    ),
    _classes("imdb", "sentiment of documents, 4,000 of them", _imdb, ["text"], "sentiment", form="jsonl"),
    _classes("ag-news", "topic of news", _ag_news, ["title", "text"], "topic"),
    _classes(
        "wili", "language of a text", TASKS["wili"], ["text"], "language", held_out=True, recipe="wili", least=97.0
    ),
    _classes("surnames", "language of a name", _surnames, ["name"], "language", held_out=True),
    _classes("mrpc", "paraphrase", TASKS["mrpc"], ["first", "second"], "paraphrase", held_out=True, recipe="mrpc"),
    Set(
        "atis",
        "slots and intent of questions",
        TASKS["atis"],
        ("words",),
        ("slots", "first_intent"),
        (
            Measure("slots", "span_f1", ("slots", "span_f1")),
            Measure("first_intent", "accuracy", ("first_intent", "accuracy")),
        ),
        recipe="atis",
    ),
    _tags("conll-ner", "entities, English news", _conll, "span_f1"),
    _tags("wikiann-en", "entities, English", functools.partial(_wikiann, language="en"), "span_f1"),
    _tags("wikiann-de", "entities, German", functools.partial(_wikiann, language="de"), "span_f1", 82.0),
    _tags("wnut17", "entities, noisy English", _wnut, "span_f1"),
    _tags("pos-english", "parts of speech, English", _parts_of_speech("ud-english-ewt", "en_ewt"), STEPS, 93.5),
    _tags("pos-french", "parts of speech, French", _parts_of_speech("ud-french-sequoia", "fr_sequoia"), STEPS, 96.0),
    _classes(
        "dna-splice", "DNA splice junctions", _dna, ["sequence"], "junction", held_out=True, recipe="dna-splice-1"
    ),
    Set(
        "protein-q3",
        "secondary structure of proteins",
        _protein,
        ("residues",),
        ("states",),
        (Measure("states", STEPS, least=66.0),),
        form="jsonl",
    ),
    *(
        _classes(
            f"babi-{task}",
            f"question answering, task {task}",
            TASKS[f"babi-{task}"],
            ["story", "question"],
            "answer",
            held_out=True,
            recipe=f"babi-{task}",
            listed=task in (1, 6),
        )
        for task in (1, 2, 4, 6, 20)
    ),
    _inflected("german", "sigmorphon-german"),
    _inflected("spanish"),
    _inflected("finnish"),
    _inflected("arabic"),
    Set(
        "cmudict",
        "English spelling to sounds",
        TASKS["cmudict"],
        ("word",),
        ("sounds",),
        (Measure("sounds", WORD_ERROR, ("sounds", WORD_ERROR), "variants"),),
        held_out=True,
        recipe="cmudict",
        minutes=10.0,
    ),
    Set(
        "scan",
        "commands to actions",
        _scan,
        ("command",),
        ("actions",),
        (Measure("actions", "exact_match", ("actions", "exact_match")),),
        held_out=True,
        recipe="scan-simple",
    ),
    Set(
        "multi30k-en-de",
        "translation of captions",
        _multi30k,
        ("en",),
        ("de",),
        (Measure("de", "bleu", ("de", "bleu"), least=33.0),),
        recipe="multi30k-en-de",
        minutes=40.0,
        form="jsonl",
    ),
    Set(
        "etth1",
        "7 channels, 96 hours ahead",
        _etth1,
        (),
        ("value:series",),
        _forecast("mse", tuned=True),
        ends=Ends(2_880, 2_880, rows=7),
        task_settings=("outputs.forecast.horizon=96",),
        recipe="etth1",
    ),
    Set(
        "m4-hourly",
        "414 series, 48 hours ahead",
        functools.partial(_whole, task="m4-hourly", table="series"),
        (),
        ("value:series",),
        _forecast("smape", tuned=True),
        form="jsonl",
        ends=Ends(48, 48, rows=0),
        task_settings=("outputs.forecast.horizon=48", "data.season=24"),
        recipe="m4-hourly",
    ),
    Set(
        "beijing-air",
        "fine dust, 24 hours ahead, the weather not known ahead",
        functools.partial(_whole, task="beijing-air", table="hours"),
        (),
        ("pm25:series",),
        _forecast("mae"),
        ends=Ends(8_760, 8_760),
        task_settings=("outputs.forecast.horizon=24",),
    ),
    _small_series("airline", "airline-passengers", "passengers, 12 months ahead", "passengers", Ends(24, 36)),
    _small_series("sunspots", "monthly-sunspots", "sunspots, 12 months ahead", "sunspots", Ends(240, 480)),
    _small_series("temperatures", "daily-min-temperatures", "temperature, 7 days ahead", "temp", Ends(365, 730)),
    _sensors("japanese-vowels", "speaker of a vowel", TASKS["japanese-vowels"], "speaker", "japanese-vowels"),
    _sensors("basic-motions", "activity from a watch", TASKS["basic-motions"], "activity", "basic-motions"),
    _sensors("indoor-movement", "change of room from radio signals", _indoor),
    _sensors("natops", "signals of body joints", _natops),
    _sensors("har", "activity from a phone", _har),
    _sensors("pendigits", "digits from pen points", _pendigits),
    *(
        _classes(
            f"mr-sentences-{fold}",
            f"sentiment of sentences, fold {fold}",
            functools.partial(_mr_sentences, fold=fold),
            ["text"],
            "sentiment",
            held_out=True,
            listed=False,
        )
        for fold in range(2, FOLDS + 1)
    ),
)
"""In the order of the page; the folds of MR from the second on are run where --sets names them."""


@dataclass(frozen=True)
class Files:
    """What is given to the command line.

    Args:
        train: the table.
        measured: the rows that are measured; None where they are the end of the table's own series.
        settings: for --set: what states the task.
        rows: rows of the table, and of what is measured.
    """

    train: Path
    measured: Path | None
    settings: tuple[str, ...]
    rows: tuple[int, int]


def written(part: str, chosen: Set, root: Path, folder: Path, most: int | None = None) -> Files:
    """Writes the tables of a set for a part, `valid` or `test`, of `most` rows each where that is given."""
    tables = {name: (columns, list(rows)) for name, (columns, rows) in chosen.tables(root).items()}
    if chosen.ends is not None:
        return _written_series(part, chosen, tables["series"], folder, most)
    columns, train = tables["train"]
    if part == "test" and chosen.held_out:
        train = train + tables["valid"][1]
    train, asked = _evenly(train, most), _evenly(tables[part][1], most)
    paths = [folder / f"{name}.{chosen.form}" for name in ("train", part)]
    for path, rows in zip(paths, (train, asked)):
        _write(path, columns, rows, chosen.form)
    return Files(paths[0], paths[1], chosen.task_settings, (len(train), len(asked)))


def _written_series(
    part: str, chosen: Set, table: tuple[tuple[str, ...], list[Row]], folder: Path, most: int | None
) -> Files:
    """A table that ends with the part that is measured: for `valid` it has no step of the test."""
    columns, rows = table
    ends = chosen.ends
    unread = ends.test if part == "valid" else 0
    if ends.rows == 0:
        rows = [(*row[:-1], row[-1][: len(row[-1]) - unread]) for row in _evenly(rows, most)]
    else:
        rows = rows[: len(rows) - unread * ends.rows]
    path = folder / f"series-{part}.{chosen.form}"
    _write(path, columns, rows, chosen.form)
    settings = (*chosen.task_settings, f"data.split={{test: {getattr(ends, part)}}}")
    return Files(path, None, settings, (len(rows), getattr(ends, part)))


def _evenly(rows: list[Row], most: int | None) -> list[Row]:
    """At most so many rows, spread over all: files are often sorted by label."""
    if most is None or len(rows) <= most:
        return rows
    return [rows[place * len(rows) // most] for place in range(most)]


def _write(path: Path, columns: Sequence[str], rows: Sequence[Row], form: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(_FORMS[form](columns, rows))


def _tsv(columns: Sequence[str], rows: Sequence[Row]) -> Iterator[str]:
    for row in (columns, *rows):
        line = "\t".join(row)
        if line.count("\t") != len(columns) - 1 or "\n" in line:
            raise ValueError(f"a cell of {row!r:.80} holds a tab or a line break; make the set's form jsonl")
        yield f"{line}\n"


def _jsonl(columns: Sequence[str], rows: Sequence[Row]) -> Iterator[str]:
    for row in rows:
        yield json.dumps(dict(zip(columns, row)), ensure_ascii=False) + "\n"


def _conll_lines(columns: Sequence[str], rows: Sequence[Row]) -> Iterator[str]:
    """Words and tags, whose columns are named in the singular."""
    yield "# global.columns = word tag\n"
    for words, tags in rows:
        yield "".join(f"{word}\t{tag}\n" for word, tag in zip(words, tags, strict=True)) + "\n"


_FORMS = {"tsv": _tsv, "jsonl": _jsonl, "conll": _conll_lines}
