"""What to run after a training run, as a command."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ostinato.evaluation.verdict import Verdict
from ostinato.run.rows import first_rows
from ostinato.run.run import Run

MORE_MINUTES = 2
"""So many times the minutes are advised where these were too few."""

PROMPT = 3
"""Words of a text that the prompt is made of which is shown as an example."""


class Command(NamedTuple):
    """A `train` command.

    Args:
        source: the recipe or the data.
        inputs: the values of `--in`.
        outputs: those of `--out`, where they name columns.
        sets: those of `--set`.
        folder: of the run.
        minutes: of `--minutes`, or None.
        seed: of `--seed`, or None.
        data_root: of `--data-root`, or None.
        earlier: of `--from`, or None.
    """

    source: str
    inputs: Sequence[str]
    outputs: Sequence[str]
    sets: Sequence[str]
    folder: Path
    minutes: float | None
    seed: int | None
    data_root: str | None
    earlier: Path | None

    def words(self) -> list[str]:
        """As a shell reads it."""
        named = {
            "--minutes": self.minutes,
            "--seed": self.seed,
            "--data-root": self.data_root,
            "--from": self.earlier,
        }
        return [
            *("ostinato", "train", self.source),
            *(word for value in self.inputs for word in ("--in", value)),
            *(word for value in self.outputs for word in ("--out", value)),
            *(word for value in self.sets for word in ("--set", value)),
            *("--run", str(self.folder)),
            *(word for name, value in named.items() if value is not None for word in (name, f"{value}")),
        ]


def next_command(command: Command, verdict: Verdict, run: Run) -> str | None:
    """What to try next: more time, other settings in another folder, or predictions; None where nothing is known.

    Args:
        command: that trained the run.
        verdict: on its results.
        run: that was trained.
    """
    if verdict.unfinished and command.minutes is not None:
        changed = command._replace(minutes=MORE_MINUTES * command.minutes, folder=_another(command.folder))
        return shlex.join(changed.words())
    changed = command._replace(sets=[*_without(command.sets, verdict.sets), *verdict.sets])
    if verdict.sets and verdict.resume:
        return shlex.join([*changed.words(), "--resume"])
    if verdict.sets:
        return shlex.join(changed._replace(folder=_another(command.folder)).words())
    rows = _rows(run)
    if rows is not None and run.recipe.settings.data.passage is not None:
        text = next(iter(first_rows(run, "valid", 1)[0].values()))
        return shlex.join(["ostinato", "predict", str(command.folder), " ".join(text.split()[:PROMPT])])
    return None if rows is None else shlex.join(["ostinato", "predict", str(command.folder), "--input", str(rows)])


def _without(sets: Sequence[str], replaced: Sequence[str]) -> list[str]:
    """The settings that no later one replaces."""
    paths = {change.partition("=")[0] for change in replaced}
    return [change for change in sets if change.partition("=")[0] not in paths]


def _another(folder: Path) -> Path:
    """The first folder of the same name and a number that is not there yet."""
    stem = re.sub(r"-\d+$", "", folder.name)
    number = 2
    while (path := folder.with_name(f"{stem}-{number}")).exists():
        number += 1
    return path


def _rows(run: Run) -> Path | None:
    """A file of rows like those of training."""
    data = run.recipe.settings.data
    for source in (data.test, data.valid, data.train, data.file):
        path = run.recipe.base / source if isinstance(source, str) else None
        if path is not None and path.is_file():
            return path
    return None
