"""What every verb takes: a run in memory or its folder, a device, and who hears what happens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from pathlib import Path

import torch

from ostinato import files
from ostinato.errors import ConfigError
from ostinato.evaluation.report import Report
from ostinato.run import bundle as bundles
from ostinato.run.fusion import Adapt, fused_with
from ostinato.run.run import Run
from ostinato.run.word_list import listed_words

OneRun = Run | Path | str
Runs = OneRun | Sequence[OneRun]
"""A run in memory or the folder of one; several predict as an ensemble."""


def silent(note: str) -> None:
    """Drops a note."""


def device_of(name: str) -> str:
    """cpu, cuda or cuda:1 from the option; auto takes a GPU where there is one.

    Errors:
        ConfigError: there is no such device here.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as why:
        allowed = "cpu, cuda" if torch.cuda.is_available() else "cpu"
        raise ConfigError(f"--device {name}: {str(why).splitlines()[0]}; allowed here: {allowed}") from None
    return name


def loaded_runs(runs: Runs, device: str, say: Callable[[str], None] = silent) -> list[Run]:
    """The runs of these folders; one that is in memory stays on its device."""
    listed = [runs] if isinstance(runs, (str, Path, Run)) else runs
    loaded = [run if isinstance(run, Run) else Run.load(run, device_of(device)) for run in listed]
    for run, source in zip(loaded, listed):
        for note in run.recipe.notes if run is not source else ():
            say(f"note: {note}")
    return loaded


def keep_report(run: Run, report: Report, *, whole: bool = False) -> None:
    """Writes a report into the run and its card; a whole one has baselines, even if none could be measured."""
    run.bundle.metrics[report.split] = ({"baselines": {}} if whole else {}) | report.to_json()
    bundles.save_metrics(run.folder, run.bundle.metrics)
    bundles.write_card(run.folder, run.bundle, run.graph.parts())


def write_page(file: Path, html: str, say: Callable[[str], None]) -> int:
    """Writes it, and tells where and how many bytes."""
    files.write(file, html)
    size = len(html.encode())
    say(f"page: {file} ({size / 1e6:.2f} MB)")
    return size


def place_after(place: Callable[[int], str], done: int, row: int) -> str:
    """Where a row of a chunk is, after so many rows of other chunks."""
    return place(done + row)


def adapted_by(
    run: Run,
    language_model: OneRun | None,
    weight: float,
    words: Path | None,
    device: str,
    say: Callable[[str], None],
) -> Adapt | None:
    """What puts a language model beside a run, and then keeps its answers to listed words, where there are some."""
    changes: list[Adapt] = []
    if language_model is not None:
        (language,) = loaded_runs(language_model, device, say)
        changes.append(fused_with(language, weight, run))
    if words is not None:
        changes.append(listed_words(Path(words), run, say))
    if not changes:
        return None
    return lambda modality, generator: reduce(lambda inner, adapt: adapt(modality, inner), changes, generator)
