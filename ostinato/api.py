"""One verb, one function: what the commands call and what Python users call."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from ostinato import bundle as bundles
from ostinato import fitting, judging, predicting
from ostinato.data.read import Table, open_table
from ostinato.data.split import set_aside
from ostinato.errors import BundleError, ConfigError, DataError
from ostinato.kernels.dispatch import chosen as chosen_kernel
from ostinato.model import Graph
from ostinato.predicting import Answer, Row, Run, answers
from ostinato.preparing import Prepared, columns_of, prepare
from ostinato.recipe import Recipe, check as check_recipe, from_arguments, parse_yaml, _set
from ostinato.registry import Settings
from ostinato.runs import train_run
from ostinato.training.task import Progress

Runs = Path | str | Sequence[Path | str]


def device_of(name: str) -> str:
    """cpu, cuda or cuda:1 from what the user said; auto takes a GPU where there is one.

    Errors:
        ConfigError: there is no such device here.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as why:
        raise ConfigError(f"--device {name}: {str(why).splitlines()[0]}; allowed here: cpu{', cuda' if torch.cuda.is_available() else ''}") from None
    return name


def check(recipe: Recipe, *, roots: Sequence[Path] = (), say: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """What a recipe will build: parameters by part, kernels, the cost of an update, steps to wait before the first answer.

    The data are read, the vocabularies fitted and the examples encoded as for training, which then finds them in the cache.
    """
    prepared = prepare(recipe, roots=roots, say=say)
    settings = prepared.recipe.settings
    graph = Graph(settings.inputs, settings.outputs, prepared.modalities)
    steps = _update_steps(prepared)
    parts = graph.parts()
    return {
        "recipe": recipe.origin,
        "parameters": parts,
        "kernels": {f"inputs.{name}.encoder": chosen_kernel(encoder) for name, encoder in graph.encoders.items()},
        "update_steps": steps,
        # Two operations per weight and step forward, twice that backward; embeddings are looked up, not multiplied.
        "update_flops": 6 * steps * sum(p.numel() for n, p in graph.named_parameters() if "embedding" not in n),
        "look_ahead": {name: graph.encoder(name).look_ahead for name in settings.inputs},
        "chosen": [(path, _at(settings, path), why) for path, why in prepared.recipe.reasons.items()],
        "notes": prepared.notes,
        "yaml": prepared.recipe.yaml(),
    }


def _update_steps(prepared: Prepared) -> int:
    training, split = prepared.recipe.settings.training, prepared.splits["train"]
    mean = sum(lengths[split.rows].mean() for lengths in split.dataset.lengths.values())
    one = training.batch_steps if training.batch_rows is None else int(training.batch_rows * mean)
    return int(one * training.accumulate)


def _at(settings: Any, path: str) -> Any:
    for key in path.split("."):
        settings = settings[key] if isinstance(settings, dict) else getattr(settings, key)
    return settings


def train(
    recipe: Recipe,
    folder: Path | str,
    *,
    resume: bool = False,
    overwrite: bool = False,
    device: str = "auto",
    roots: Sequence[Path] = (),
    data: Mapping[str, Any] | None = None,
    say: Callable[[str], None] = lambda _: None,
    on_event: Callable[[Progress], None] = lambda _: None,
) -> dict[str, Any]:
    """Trains the model of a recipe into a run folder and measures it on the test split, or on valid where there is none.

    Errors:
        ConfigError: the folder holds a run and neither `resume` nor `overwrite` is given; a setting would change the past.
        DataError: the data cannot be used, or are not those that the run began with.
    """
    folder = Path(folder)
    train_run(
        recipe, folder, resume=resume, overwrite=overwrite, device=device_of(device), roots=roots, data=data or {}, say=say, on_event=on_event
    )
    run = Run.load(folder, device_of(device))
    if not run.bundle.metrics:
        say("measuring")
        split = "test" if (data or {}).get("test") is not None or recipe.settings.data.test is not None else "valid"
        table, rows = _split(run, split, (data or {}).get(split), roots)
        found = judging.report(run, judging.examine([run], table, rows=rows), split)
        run.bundle.metrics[split] = found
        bundles.save_metrics(folder, run.bundle.metrics)
        bundles.write_card(folder, run.bundle, run.graph.parts())
    split, found = list(run.bundle.metrics.items())[-1]
    return {**found, "run": str(folder)}


def _loaded(runs: Runs, device: str) -> list[Run]:
    listed = [runs] if isinstance(runs, (str, Path)) else list(runs)
    return [Run.load(one, device_of(device)) for one in listed]


def _split(run: Run, split: str, data: Any, roots: Sequence[Path]) -> tuple[Table, Any]:
    """The table of a split as the run knows it, and the rows in it (None: all)."""
    settings, kept = run.recipe.settings, run.bundle.data
    base = Path(kept.get("base", "."))
    roots = [*roots, *(Path(one) for one in kept.get("roots", ()))]
    source = data if data is not None else getattr(settings.data, split)
    aside = source is None and split == "valid"
    if aside:
        source = settings.data.train or settings.data.file
    if source is None:
        raise ConfigError(f"this run knows no {split} split; give --data FILE, or --split valid")
    base = Path.cwd() if data is not None else base
    extra = [one.alternatives for one in settings.outputs.values() if one.alternatives]
    table = open_table(source, columns=[*columns_of(settings).values(), *extra], base=base, data_root=roots, where=f"data.{split}")
    return table, set_aside(table.num_rows, seed=settings.training.seed)[1] if aside else None


def _default_split(run: Run, split: str | None, data: Any) -> str:
    if split is None:
        return "test" if data is not None or run.recipe.settings.data.test is not None else "valid"
    return split


def _search(run: Run, sets: Iterable[str]) -> Settings:
    """The run's search with `search.x=y` overrides.

    Errors:
        ConfigError: a setting that cannot change once a model is trained.
    """
    sets = list(sets)
    if not sets:
        return run.recipe.settings.search
    plain = run.recipe.plain()
    for one in sets:
        where, sign, value = one.partition("=")
        if not sign or where.split(".")[0] != "search":
            raise ConfigError(f"--set {one}: of a trained run only the search can be changed: search.width=5, search=greedy ...")
        value = parse_yaml(value, f"--set {one}")
        if where in ("search", "search.type"):
            plain["search"] = {"type": value} if isinstance(value, str) else value
        else:
            _set(plain, where, value, run.recipe.settings)
    return check_recipe(plain, f"--set {' '.join(sets)}").search


def evaluate(
    runs: Runs,
    *,
    split: str | None = None,
    data: Any = None,
    sets: Iterable[str] = (),
    roots: Sequence[Path] = (),
    device: str = "auto",
) -> dict[str, Any]:
    """Every metric of a run, or of several as an ensemble, with 95 % intervals; kept in the run if nothing was changed."""
    loaded = _loaded(runs, device)
    run, split = loaded[0], _default_split(loaded[0], split, data)
    table, rows = _split(run, split, data, roots)
    found = judging.report(run, judging.examine(loaded, table, rows=rows, search=_search(run, sets)), split)
    if len(loaded) == 1 and data is None and not list(sets) and run.folder is not None:
        run.bundle.metrics[split] = found
        bundles.save_metrics(run.folder, run.bundle.metrics)
        bundles.write_card(run.folder, run.bundle, run.graph.parts())
    return found


def compare(
    first: Path, second: Path, *, split: str | None = None, data: Any = None, roots: Sequence[Path] = (), device: str = "auto"
) -> dict[str, Any]:
    """Two runs on the same rows, each metric's difference with its interval and whether it is real."""
    both = _loaded([first, second], device)
    split = _default_split(both[0], split, data)
    examined = []
    for run in both:
        table, rows = _split(run, split, data, roots)
        examined.append(judging.examine([run], table, rows=rows))
    return judging.compare(both[0], both[1], (examined[0], examined[1]), split)


def _rows(run: Run, texts: Sequence[str] | None, source: str | None, outputs: bool) -> Iterator[dict[str, Any]]:
    """Rows of raw values from arguments, from standard input or from a file."""
    places = {place: one for place, one in fitting.places(run.recipe.settings) if outputs or place.startswith("inputs.")}
    columns = {place: fitting.column_of(place, settings) for place, settings in places.items()}
    alone = next(iter(places)) if len(places) == 1 else None
    plain_lines = source in (None, "-") or _is_text(source)
    if plain_lines and alone is None:
        raise ConfigError(
            f"this needs the columns {', '.join(columns.values())}; give --input FILE, a table (csv, tsv, jsonl, parquet) that has them"
        )
    if source is None or source == "-":
        lines = texts if source is None else (_decoded(line, number) for number, line in enumerate(sys.stdin.buffer, 1))
        for line in lines or ():
            yield {columns[alone]: run.modalities[alone].parse(line)}
        return
    table = open_table(source, columns=list(dict.fromkeys(columns.values())), base=Path.cwd(), data_root=(), where="--input")
    values = {column: table.values(column, run.modalities[place]) for place, column in columns.items()}
    for row in zip(*values.values()):
        yield dict(zip(values, row))


def _is_text(source: str) -> bool:
    return Path(source.removesuffix(".gz")).suffix.lower() not in (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")


def _decoded(line: bytes, number: int) -> str:
    try:
        text = line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as why:
        raise DataError(f"standard input line {number}: not UTF-8 (byte {why.start + 1}); convert it, for example with iconv") from None
    return text.rstrip("\n").removesuffix("\r")


def predict(
    runs: Runs,
    texts: Sequence[str] | None = None,
    *,
    source: str | None = None,
    n_best: int | None = None,
    sets: Iterable[str] = (),
    seed: int = 0,
    device: str = "auto",
    attention: Path | None = None,
    as_json: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Iterator[str]:
    """One line of text per example, in the examples' order; with `n_best` rank, score and text, N lines each."""
    loaded = _loaded(runs, device)
    sets = [*sets, *([f"search.n_best={n_best}"] if n_best is not None else [])]
    search = _search(loaded[0], sets)
    chunk: list[Row] = []

    def told() -> Iterator[str]:
        found = answers(loaded, chunk, search=search, seed=seed, attention=attention is not None)
        for row, one in zip(chunk, found):
            yield from _lines(row, one, n_best, as_json)
            if attention is not None and not drawn:
                drawn.append(_draw(one, attention))
                say(f"attention: {drawn[0]}")
        chunk.clear()

    drawn: list[Path] = []
    for row in _rows(loaded[0], texts, source, outputs=False):
        chunk.append(row)
        if len(chunk) == judging.CHUNK_ROWS:
            yield from told()
    if chunk:
        yield from told()


def _draw(found: dict[str, list[Answer]], path: Path) -> Path:
    from ostinato.probes.attention import draw

    output, listed = next(iter(found.items()))
    return draw(listed[0], path, output)


def _lines(row: Row, found: dict[str, list[Answer]], n_best: int | None, as_json: bool) -> Iterator[str]:
    if as_json:
        plain = {
            output: [
                {"rank": rank, "score": one.score, "log_probability": one.log_probability, "finished": one.finished, "value": one.value}
                for rank, one in enumerate(listed, 1)
            ]
            for output, listed in found.items()
        }
        yield json.dumps({"inputs": dict(row), "outputs": plain}, ensure_ascii=False)
    elif n_best is None:
        yield "\t".join(listed[0].text for listed in found.values())
    else:
        for output, listed in found.items():
            lead = f"{output}\t" if len(found) > 1 else ""
            yield from (f"{lead}{rank}\t{one.score:.6f}\t{one.text}" for rank, one in enumerate(listed, 1))


def score(run: Path | str, source: str, *, device: str = "auto") -> dict[str, dict[str, list]]:
    """The log-probability of the outputs that a file gives, a number per row."""
    (loaded,) = _loaded(run, device)
    rows = list(_rows(loaded, None, source, outputs=True))
    found = predicting.scores(loaded, rows)
    return {
        output: {"log_probability": one.log_probability.tolist(), "num_targets": one.num_targets.tolist()} for output, one in found.items()
    }


def text_of(report: dict[str, Any]) -> str:
    """A report as a person reads it."""
    lines = []
    for output, metrics in report["outputs"].items():
        width = max(map(len, metrics))
        for name, one in metrics.items():
            lines.append(f"{output}  {name:{width}}  {one['value']:.4g}  [{one['low']:.4g}, {one['high']:.4g}]  {one['method']}")
    lines.append(f"{report['examples']:,} examples of {report['split']}; intervals of 95 %")
    return "\n".join(lines + ([f"run: {report['run']}"] if "run" in report else []))


class Model:
    """A model from named inputs and outputs, with scikit-learn's habits: fit, predict, evaluate, save.

    Args:
        inputs: name -> a modality's name, a mapping as in a recipe, or a class of `ostinato.settings`.
        outputs: likewise.
        search: how answers are looked for.
        training: settings of training, as in a recipe.

    Errors:
        ConfigError: what a recipe of the same words would be told.
    """

    def __init__(
        self, inputs: Mapping[str, Any], outputs: Mapping[str, Any], *, search: Any = None, training: Any = None
    ):
        self.recipe = from_arguments(inputs, outputs, search=search, training=training)
        self.run: Run | None = None

    def fit(
        self,
        train: Any,
        valid: Any = None,
        *,
        folder: Path | str | None = None,
        resume: bool = False,
        overwrite: bool = False,
        device: str = "auto",
        on_event: Callable[[Progress], None] = lambda _: None,
    ) -> Model:
        """Trains on rows: a path, a list of dicts, a data frame or anything that `data.train` may name.

        Args:
            train: the training rows.
            valid: rows to judge by; set aside from `train` if not given.
            folder: where the run is kept; a temporary folder by default, until `save`.
        """
        import tempfile

        where = Path(folder) if folder is not None else Path(tempfile.mkdtemp(prefix="ostinato-")) / "run"
        data = {"train": train, "valid": valid}
        train_run(
            self.recipe, where, resume=resume, overwrite=overwrite, device=device_of(device), roots=(), data=data, say=lambda _: None,
            on_event=on_event,
        )
        self.run = Run.load(where, device_of(device))
        return self

    def _fitted(self) -> Run:
        if self.run is None:
            raise ConfigError("this model is not trained yet; call fit(train) or load a run with ostinato.load(folder)")
        return self.run

    def predict(self, rows: Sequence[Row] | Sequence[str], *, n_best: int | None = None, seed: int = 0) -> list[Any]:
        """The best answer to each row (a dict by output where there are several outputs), or the `n_best` Answers each.

        Args:
            rows: dicts by column; with one input also its raw values.
        """
        run = self._fitted()
        (column,) = columns if len(columns := [fitting.column_of(f"inputs.{n}", s) for n, s in run.inputs.items()]) == 1 else (None,)
        listed = [row if isinstance(row, Mapping) else {column: row} for row in rows]
        search = _search(run, [f"search.n_best={n_best}"] if n_best is not None else [])
        found = answers([run], listed, search=search, seed=seed)
        pick = lambda answer: answer if n_best is not None else answer[0].value  # noqa: E731
        if len(run.outputs) == 1:
            return [pick(next(iter(one.values()))) for one in found]
        return [{output: pick(answer) for output, answer in one.items()} for one in found]

    def evaluate(self, data: Any) -> dict[str, Any]:
        """Every metric on these rows, with intervals: what `ostinato evaluate --json` prints."""
        run = self._fitted()
        table, _ = _split(run, "test", data, ())
        return judging.report(run, judging.examine([run], table), "test")

    def save(self, folder: Path | str) -> Path:
        """Copies the run, so that `ostinato.load(folder)` and every command take it."""
        import shutil

        run, folder = self._fitted(), Path(folder)
        if bundles.exists(folder):
            raise BundleError(f"{folder}: holds a run already; choose another folder or delete it")
        shutil.copytree(run.folder, folder, ignore=shutil.ignore_patterns("checkpoints"))
        self.run = Run.load(folder)
        return folder


def load(folder: Path | str, *, device: str = "auto") -> Model:
    """A trained model from its run folder."""
    run = Run.load(folder, device_of(device))
    model = object.__new__(Model)
    model.recipe, model.run = run.recipe, run
    return model


def some_rows(run: Run, split: str, count: int, *, roots: Sequence[Path] = ()) -> list[dict[str, Any]]:
    """The first rows of a split, as raw values by column."""
    table, rows = _split(run, split, None, roots)
    listed = judging.rows_of(run, table, rows)
    return [row for _, row in zip(range(count), listed)]
