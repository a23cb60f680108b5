"""Rows for a trained run: of a split, from arguments, standard input, files or Python, with their places."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice, tee
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from ostinato.alignments import forecasts
from ostinato.data.contract import PLAIN, Dialect
from ostinato.data.examples import Examples, RowExamples, WindowExamples
from ostinato.data.memory import is_frame, library_class
from ostinato.data.read import Table, is_table, open_table
from ostinato.data.series import Frequency, Gathered
from ostinato.data.windows import to_predict
from ostinato.errors import ConfigError, DataError, quoted
from ostinato.modalities.contract import Modality
from ostinato.preprocessing import forecasting
from ostinato.preprocessing.splits import source_of
from ostinato.preprocessing.tables import alternatives_of, columns_of, is_part, kept, parts_of, seed_of_rows
from ostinato.raw.times import Times
from ostinato.recipe import columns as recipe_columns
from ostinato.run.entities import read_in_words
from ostinato.run.predict import Answer
from ostinato.run.run import Place, Row, Run

IN_MEMORY = "a list of dicts, one for each row, or a data frame"


class Rows(NamedTuple):
    """Raw values by place (by column where Python gives them), row after row.

    Args:
        place: the place of a row, by its number, for messages.
        ahead: of a forecast, the name of a row's series and the times of its steps, each None where unknown; else None.
        notes: what was done that the user did not ask for.
        table: the cells of every column, row by row, where a table was opened; None: the rows hold all there is.
    """

    rows: Iterator[dict[str, Any]]
    place: Callable[[int], str]
    ahead: Callable[[int], tuple[str | None, Times | None]] | None = None
    notes: Sequence[str] = ()
    table: Iterator[dict[str, Any]] | None = None

    def dated(self, answers: list[dict[str, list[Answer]]], done: int) -> list[dict[str, list[Answer]]]:
        """Answers to the rows after the first `done`, with series and times where they are forecasts."""
        if self.ahead is None:
            return answers
        dated = []
        for row, by_output in enumerate(answers, done):
            series, times = self.ahead(row)
            dated.append(
                {
                    output: [replace(answer, series=series, times=times) for answer in listed]
                    for output, listed in by_output.items()
                }
            )
        return dated


def of_split(
    run: Run, split: str, data: Any, roots: Sequence[Path], *, extra: Sequence[str] = (), whole: bool = False
) -> Examples:
    """The examples of a split (train, valid or test) as the run knows it, or of other `data`; raw, not encoded.

    Args:
        run: whose split it is.
        split: its name.
        data: other rows.
        roots: folders of data sets.
        extra: further columns that are read.
        whole: whether all columns of a table are.

    Errors:
        ConfigError: the run knows no such split.
        DataError: its files are not there, or are not what they should be.
    """
    settings = run.recipe.settings
    base, roots = _bases(run, data, roots)
    if forecasts(settings):
        return _windows_of_split(run, split, data, base, roots, extra)
    aside = data is None and is_part(settings, split) and is_part(settings, "valid")
    source = data if data is not None else source_of(settings, "train" if aside else split, {})
    if source is None:
        raise ConfigError(
            f"this run knows no {split} split; give --data FILE{'' if split == 'valid' else ', or --split valid'}"
        )
    alternatives, columns = alternatives_of(settings), columns_of(settings)
    wanted = list(dict.fromkeys([*columns.values(), *extra, *alternatives]))
    where = f"data.{split}" if data is None else "data"
    every = whole and (is_frame(source) or not isinstance(source, (str, Path)) or is_table(str(source)))
    opened = partial(open_table, source, base=base, data_root=roots, where=where, dialect=_dialect(run))
    table = opened(columns=None if every else wanted)
    rows = parts_of(settings, table.num_rows)[split] if aside else None
    if split == "train" and data is None and settings.data.fraction < 1:
        rows = kept(settings, np.arange(table.num_rows) if rows is None else rows)
    return RowExamples(table, columns, run.modalities, rows=rows, alternatives=alternatives)


def held_out(run: Run, data: Mapping[str, Any]) -> Examples:
    """The validation examples of a run that was trained on these sources by split, in place of its recipe's."""
    settings = run.recipe.settings
    if forecasts(settings):
        return _windows_of_split(run, "valid", None, Path.cwd(), (), sources=data)
    if data.get("valid") is not None or data.get("train") is None:
        return of_split(run, "valid", data.get("valid"), ())
    every = of_split(run, "train", data["train"], ())
    return every.pick(parts_of(settings, len(every))["valid"])


def _dialect(run: Run) -> Dialect:
    """How the files of a run are written, and those that it reads later."""
    return Dialect.of(run.recipe.settings.data)


def _bases(run: Run, data: Any, roots: Sequence[Path]) -> tuple[Path, list[Path]]:
    """Where paths are looked for: of the run's own data where it was trained, else here; then in the roots."""
    own = run.bundle.data
    return Path(own.get("base", ".")) if data is None else Path.cwd(), [*roots, *map(Path, own.get("roots", ()))]


def _windows_of_split(
    run: Run,
    split: str,
    data: Any,
    base: Path,
    roots: Sequence[Path],
    extra: Sequence[str] = (),
    sources: Mapping[str, Any] = MappingProxyType({}),
) -> WindowExamples:
    """Every window of a split of the run's series, or of all steps of other ones; `sources` as `divide` takes them."""
    settings = run.recipe.settings
    if data is not None:
        series = forecasting.gather(
            settings, run.modalities, data, base=base, roots=roots, where="data", extra=extra, form=_form(run)
        )
        _demand_frequency(run, series)
        border = forecasting.entire(
            series, [forecasting.places(settings).columns[f"outputs.{name}"] for name in settings.outputs]
        )
    else:
        divided = forecasting.divide(settings, run.modalities, sources, (split,), base=base, roots=roots, extra=extra)
        if split not in divided.borders:
            raise ConfigError(f"this run knows no {split} split; give --data FILE, or --split valid")
        series, border = divided.series[split], divided.borders[split]
    windows = forecasting.windows_of(settings, series, border, f"data.{split}")
    if not windows.num_rows:
        raise DataError(
            f"{windows.where}: no series has a window of {windows.horizon} steps with {windows.lookback} before it;"
            " give longer ones"
        )
    return WindowExamples(windows)


def are_labels(source: Any) -> bool:
    """Whether a source is a single column, such as the y of fit(X, y), and no table."""
    if isinstance(source, np.ndarray) or library_class(source)[1] == "Series":
        return True
    cells = source if isinstance(source, (list, tuple)) else ()
    return any(
        isinstance(cell, (int, float)) or isinstance(cell, str) and not os.path.exists(os.path.expanduser(cell))
        for cell in cells
    )


def refuse_columns(source: Any, where: str) -> None:
    """Refuses a dict that holds columns: a dict names files.

    Errors:
        DataError: it holds columns.
    """
    for column, listed in source.items() if isinstance(source, Mapping) else ():
        if not isinstance(listed, (list, tuple, np.ndarray)):
            continue
        for cell in listed:
            if not isinstance(cell, (str, Path)) or not os.path.exists(os.path.expanduser(cell)):
                raise DataError(
                    f"{where}: a dict names a text file for each column, and {cell!r:.40} of '{column}' is none; to"
                    f" give the columns themselves, give {IN_MEMORY}"
                )


def trained_on(runs: Sequence[Run], examples: Examples) -> list[str]:
    """A note for each run that was trained on these very rows."""
    digest = examples.digest()
    trained = [run for run in runs if run.bundle.data.get("splits", {}).get("train", {}).get("digest") == digest]
    note = "{} was trained on these rows, so this score does not measure generalization"
    return [note.format(run.folder or "the model") for run in trained]


def refuse_other_rows(run: Run, others: Sequence[Run], split: str) -> None:
    """Refuses to evaluate `others` on rows that `run` held out of its training data, where they held out others.

    Errors:
        ConfigError: another run was trained on some of these rows.
    """
    held_out = _held_out(run, split)
    if held_out is None:
        return
    for other in others:
        if not _are_same(held_out, _held_out(other, split)):
            seeded = not forecasts(run.recipe.settings)
            by, way = (
                ("training.seed", "data.valid named, or one data.seed")
                if seeded
                else ("data.split", "the same data.split")
            )
            unspoilt = " or --split test" if run.recipe.settings.data.test is not None and split == "valid" else ""
            raise ConfigError(
                f"{split} of {run.folder} was set aside from its training data, and {other.folder} set aside other rows"
                f" (another {by}, other data, or none), so it was trained on some of these; give --data FILE{unspoilt},"
                f" or train both on the same data with {way}"
            )


def _are_same(first: tuple[Any, ...], second: tuple[Any, ...] | None) -> bool:
    """Whether two runs held out the same rows: by the same rule, of the same content or the same times."""
    if second is None or first[:-1] != second[:-1]:
        return False
    own, others = ({name: value for name, value in rows[-1].items() if value} for rows in (first, second))
    return any(own.get(name) == value for name, value in others.items())


def _held_out(run: Run, split: str) -> tuple[Any, ...] | None:
    """What decides which of its training data a run held out, last the hashes that tell these; None where the split is
    no part of them, or the run was imported and nothing is known of its data."""
    settings, known = run.recipe.settings, run.bundle.data["splits"]
    if not known or getattr(settings.data, split) is not None or known["valid"]["digest"] != known["train"]["digest"]:
        return None
    if not forecasts(settings):
        by = (settings.data.valid_rows, seed_of_rows(settings))
        return ("seed", *by, {"digest": known["train"]["digest"]}) if split == "valid" else None
    ends = settings.data.split.plain() if settings.data.split else {}
    horizon = next(iter(settings.outputs.values())).horizon
    # Runs that read other columns of the same series held out the same times.
    hashes = {name: known["train"].get(name) for name in ("digest", "times")}
    return ("time", ends, None if ends.get(split) else horizon, hashes)


def default_split(run: Run, split: str | None, data: Any) -> str:
    """The split that was asked for; else test where there is one, else valid."""
    named = run.recipe.settings.data
    has_test = data is not None or named.test is not None or (named.split and named.split.test is not None)
    return split or ("test" if has_test else "valid")


def file_endings(run: Run) -> tuple[str, ...]:
    """The endings of files that are a raw value of one of its columns."""
    members = run.modalities.values()
    return tuple(
        dict.fromkeys(ending for member in members for ending in (*member.file_endings, *member.array_endings))
    )


def asked(
    run: Run,
    texts: Sequence[str] | None,
    source: str | None,
    *,
    outputs: bool = False,
    only: Sequence[str] | None = None,
) -> Rows:
    """Rows from arguments, from standard input (`-`) or from a file.

    Args:
        outputs: whether columns of outputs are read too.
        only: the places that are read, in place of all inputs.

    Errors:
        ConfigError: lines of text cannot hold several columns, or a text is the name of a table that is there, or of a
            file of a kind that the run does not read.
        DataError: a line or the file cannot be read.
    """
    plain = [text for text in texts or () if not text.lower().endswith(file_endings(run))]
    named = next((text for text in plain if source is None and os.path.isfile(text)), None)
    if named is not None and file_endings(run) and not is_table(named):
        raise ConfigError(
            f"{named}: is of no kind that this run reads; give a file that ends in {', '.join(file_endings(run))}, or a"
            " table of such files with --input"
        )
    if named is not None:
        what, needed = ("a table", "the file of one example") if file_endings(run) else ("a file", "a text")
        raise ConfigError(
            f"{named}: is {what}, and {needed} is needed here; did you mean --input {shlex.quote(named)}? For this text"
            " itself give it as a line of standard input, with --input -"
        )
    if forecasts(run.recipe.settings):
        return _series_asked(run, texts, source, outputs)
    places = _places(run, outputs if only is None else True)
    if only is not None:
        places = {place: settings for place, settings in places.items() if place in only}
    if source is not None and source != "-" and is_table(source):
        return _of_table(run, source, places, "--input")
    if len(columns := dict.fromkeys(_columns(places))) > 1:
        raise ConfigError(
            f"lines of text hold one column, and this needs {', '.join(columns)}; give --input FILE, a table (csv, tsv,"
            " jsonl, parquet) that has them"
        )
    if source is not None and source != "-":
        return _of_table(run, source, places, "--input")
    lines, place_of = _lines(run, texts, source)
    typed = None
    if source is None or file_endings(run):  # What names a file is told by that name.
        lines, names = tee(lines)
        typed = ({column: name} for name in names for column in columns)
    return Rows(_parsed(lines, _readers(run, places), place_of), place_of, table=typed)


def _lines(run: Run, texts: Sequence[str] | None, source: str | None) -> tuple[Iterable[str], Place]:
    """The arguments, or the lines of standard input, and what messages call each."""
    if source is not None:
        return _standard_input(), _line_of_standard_input
    return texts or (), partial(_argument, run, texts or ())


def _argument(run: Run, texts: Sequence[str], row: int) -> str:
    """What a message calls an argument: the path of a file, or how a text begins."""
    text = texts[row]
    if text.lower().endswith(file_endings(run)) or os.path.isdir(text):
        return text
    return f"the argument {quoted(text)}" if len(texts) == 1 else f"argument {row + 1}, {quoted(text)}"


def _line_of_standard_input(row: int) -> str:
    return f"standard input line {row + 1}"


def _parsed(lines: Iterable[str], readers: Mapping[str, Any], place_of: Place) -> Iterator[dict[str, Any]]:
    """The raw values of lines of text, each by all readers.

    Errors:
        DataError: a line cannot be read; which.
    """
    for row, line in enumerate(lines):
        cells = {}
        for place, reader in readers.items():
            try:
                cells[place] = reader.parse(line)
            except DataError as why:
                raise DataError(f"{place_of(row)}, {place}: {why}") from None
        yield cells


def of_python(run: Run, rows: Any) -> Rows:
    """Rows as Python gives them: dicts by column, a data frame, a path, or with one input its raw values, which may
    be a Series.

    Errors:
        ConfigError: one value where several rows are needed.
    """
    places = _places(run, outputs=False)
    columns = list(dict.fromkeys(_columns(places)))
    in_time = forecasts(run.recipe.settings)
    if library_class(rows)[1] == "Series" and not in_time:
        rows = list(rows)
    is_path = isinstance(rows, str) and (is_table(rows) or os.path.isfile(rows))
    if is_frame(rows) or is_path or isinstance(rows, Path) or (in_time and isinstance(rows, str)):
        return _at_the_end(run, rows, "rows") if in_time else _of_table(run, rows, places, "rows")
    if isinstance(rows, (str, bytes, Mapping)):
        cells = rows.values() if isinstance(rows, Mapping) else ()
        in_lists = any(isinstance(cell, (list, tuple, np.ndarray)) for cell in cells)
        advice = f"; where it holds columns, give {IN_MEMORY}" if in_lists else ""
        raise ConfigError(
            f"rows: a list of rows is needed, not {type(rows).__name__}; put it in a list: [{rows!r:.40}]{advice}"
        )
    if not isinstance(rows, Iterable):
        raise ConfigError(f"rows: {rows!r:.40} is {type(rows).__name__}; give {IN_MEMORY}, a path, or a list of values")
    if in_time:
        return _at_the_end(run, [row if isinstance(row, Mapping) else {columns[0]: row} for row in rows], "rows")
    listed = list(rows)
    if len(columns) > 1 and (wrong := next((row for row in listed if not isinstance(row, Mapping)), None)) is not None:
        raise ConfigError(
            f"rows: this model reads {', '.join(columns)}, so each row is a dict with these keys, not {wrong!r:.40}"
        )
    return Rows((row if isinstance(row, Mapping) else {columns[0]: row} for row in listed), lambda row: f"row {row}")


def _series_asked(run: Run, texts: Sequence[str] | None, source: str | None, outputs: bool) -> Rows:
    """The end of each series of a file, or of lines of text, each a series; with `outputs` every window of a file."""
    settings = run.recipe.settings
    if source is not None and source != "-":
        if not outputs:
            return _at_the_end(run, source, "--input")
        examples = _windows_of_split(run, "data", source, *_bases(run, source, ()))
        return Rows(examples.raw(), examples.place)
    places = _places(run, False)
    if len(places) > 1 or settings.data.time is not None:
        needed = ", ".join(dict.fromkeys([*([settings.data.time] if settings.data.time else []), *_columns(places)]))
        raise ConfigError(
            f"lines of text hold one column, and this needs {needed}; give --input FILE, a table that has them"
        )
    ((place, column),) = zip(places, _columns(places))
    named = {settings.data.series: "text"} if settings.data.series else {}
    lines, place_of = _lines(run, texts, source)
    parsed = _parsed(lines, {place: run.modalities[place]}, place_of)
    where = "--input" if source is not None else "arguments,"
    return _at_the_end(run, [{column: cells[place], **named} for cells in parsed], where)


def _at_the_end(run: Run, source: Any, where: str) -> Rows:
    """One row for each series: its forecast begins after the last known step.

    Args:
        run: that forecasts.
        source: a table, or rows.
        where: it comes from, for messages.
    """
    settings = run.recipe.settings
    form = _form(run)
    series = forecasting.gather(settings, run.modalities, source, base=Path.cwd(), roots=(), where=where, form=form)
    _demand_frequency(run, series)
    columns, reach = forecasting.places(settings)
    output = next(iter(settings.outputs.values()))
    windows = to_predict(
        series,
        reach,
        columns,
        of=f"inputs.{output.of}",
        lookback=output.lookback,
        horizon=output.horizon,
        season=forecasting.season(settings, series),
        where=where,
    )

    def ahead(row: int) -> tuple[str | None, Times | None]:
        name, times = windows.steps_ahead(row)
        # Where no column names the series, they are numbered for messages only.
        return None if settings.data.series is None else name, times

    return Rows(windows.raw(), windows.place, ahead, windows.notes)


def _form(run: Run) -> str | None:
    """How the times of its training rows are written."""
    return run.bundle.data["splits"].get("train", {}).get("form")


def _demand_frequency(run: Run, series: Gathered) -> None:
    trained = run.bundle.data["splits"]["train"].get("frequency")
    if trained is not None and not series.has_frequency(Frequency.read(trained)):
        raise DataError(
            f"{series.name}: one step is one {series.frequency}, and {run.folder} was trained on steps of one"
            f" {trained}; give steps as far apart as those, or train on these"
        )


def _places(run: Run, outputs: bool) -> dict[str, Any]:
    places = recipe_columns.places(run.recipe.settings)
    return {place: settings for place, settings in places if outputs or place.startswith("inputs.")}


def outputs_there(run: Run, source: str | None) -> list[str]:
    """The outputs whose columns a table has, as places; none where lines of text are given."""
    table = _table(run, source)
    there = () if table is None else table.columns
    columns = columns_of(run.recipe.settings).items()
    return [place for place, column in columns if place.startswith("outputs.") and column in there]


def csv_dialect(run: Run, source: str | None) -> Dialect:
    """How csv has to be written to be like a table that the run reads."""
    table = _table(run, source)
    return PLAIN if table is None else table.csv_dialect


def columns_read(run: Run, source: str | None) -> tuple[str, ...]:
    """All columns of a table; where lines of text are given, that of the input."""
    table = _table(run, source)
    return tuple(dict.fromkeys(_columns(_places(run, outputs=False)))) if table is None else table.columns


def _table(run: Run, source: str | None) -> Table | None:
    """A table with all its columns; None where lines of text are given."""
    if source is None or source == "-" or not is_table(source):
        return None
    opened = partial(open_table, source, base=Path.cwd(), data_root=(), where="--input", dialect=_dialect(run))
    return opened(columns=None, empty=True)


class _Unsplit(NamedTuple):
    """Reads a text whose words are labelled as it was written: it is split once its words are known."""

    modality: Modality

    def parse(self, field: str) -> str:
        return field

    def take(self, raw: Any) -> Any:
        return self.modality.take(raw)


def _readers(run: Run, places: Mapping[str, Any]) -> dict[str, Any]:
    """What makes raw values of the texts at these places; where outputs are read too, words have labels already."""
    unsplit = [] if any(place.startswith("outputs.") for place in places) else read_in_words(run)
    return {place: _Unsplit(run.modalities[place]) if place in unsplit else run.modalities[place] for place in places}


def _columns(places: Mapping[str, Any]) -> list[str]:
    return [recipe_columns.column_of(place, settings) for place, settings in places.items()]


def _of_table(run: Run, source: Any, places: Mapping[str, Any], where: str) -> Rows:
    columns = dict(zip(places, _columns(places)))
    wanted, base = list(dict.fromkeys(columns.values())), Path.cwd()
    dialect = _dialect(run)
    # What is continued in passages is asked about line by line.
    dialect = dialect if dialect.passage is None else dialect._replace(rows=None, passage=None)
    # A filter that leaves no rows asks for no answers; what reads outputs too measures, and needs some.
    empty = not any(place.startswith("outputs.") for place in places)
    opened = partial(open_table, source, base=base, data_root=(), where=where, dialect=dialect, empty=empty)
    table = opened(columns=wanted)
    readers = _readers(run, places)
    values = [table.values(column, readers[place]) for place, column in columns.items()]
    every = opened(columns=None) if is_frame(source) or is_table(str(source)) else None
    # Of files in a folder without a manifest, and of lines of text, the column is called as it is asked for.
    named = every if every is not None and set(wanted) <= set(every.columns) else opened(columns=wanted)
    whole = named.named().rows()
    return Rows((dict(zip(columns, row)) for row in zip(*values)), table.place, table=whole)


def _standard_input() -> Iterator[str]:
    for number, line in enumerate(sys.stdin.buffer, 1):
        where = f"standard input line {number}"
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as why:
            raise DataError(f"{where}: not UTF-8 (byte {why.start + 1}); convert it, for example with iconv") from None
        if "\0" in text:
            raise DataError(f"{where}: has a NUL byte; remove it, for example with `tr -d '\\000'`")
        yield text.removesuffix("\n").removesuffix("\r")


def first_rows(run: Run, split: str, count: int, *, roots: Sequence[Path] = ()) -> list[Row]:
    """The first rows of a split, as raw values by place."""
    return list(islice(of_split(run, split, None, roots).raw(), count))
