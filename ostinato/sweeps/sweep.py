"""Sweeps: the runs of all combinations of some settings' values, planned by name, trained each in its own process."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
import shlex
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ostinato.errors import BundleError, ConfigError, DataError
from ostinato.files import explained, write
from ostinato.recipe.paths import parse_set
from ostinato.recipe.read import Recipe, load
from ostinato.run import bundle as bundles
from ostinato.run.resume import as_it_began, filled, named_alike
from ostinato.training.task import Interrupted

MAIN = "from ostinato.sweeps.child import follow_parent; follow_parent(); from ostinato.cli.main import main; main()"
SEED = "training.seed"
INTERRUPTED = 130
"""The exit status after Ctrl-C."""
FORM = "write PATH=VALUE,VALUE such as inputs.text.encoder.cell=rnn,lstm"
LONGEST_WORD = 40
"""Letters of one value in a run's name; beyond, a hash replaces the rest."""
KEPT = "kept"
"""The folder of what is known of runs beside their own folders."""
SHOWN = ("epoch ", "note: ", "continuing ", "trained ")
"""Notes of a run that differ from those of the next."""
ROOM_OF_MESSAGE = 20
"""Last lines of a run's notes that are kept where it failed."""


@dataclass(frozen=True)
class Axis:
    """One setting and its values, as they were written.

    Args:
        path: of the setting in the recipe.
        values: the values as text, the first one the others are compared with.
        label: the shortest end of the path that no other axis has.
    """

    path: str
    values: tuple[str, ...]
    label: str


@dataclass(frozen=True)
class Planned:
    """One run of a sweep.

    Args:
        name: of its folder.
        values: the value of each axis, by its label.
        seed: of everything random in it.
        recipe: checked.
        words: the command that trains it.
        folder: of the run.
    """

    name: str
    values: dict[str, str]
    seed: int
    recipe: Recipe
    words: tuple[str, ...]
    folder: Path

    @property
    def command(self) -> str:
        return shlex.join(["ostinato", *self.words])


class Ended(NamedTuple):
    """How a run's process ended: exit status, last notes, most resident memory in bytes (None where unknown)."""

    code: int
    notes: str
    peak_memory: int | None


Start = Callable[[Planned, Callable[[str], None]], Ended]
"""Trains one run and hands its notes on."""


def axes(overs: Sequence[str]) -> list[Axis]:
    """The axes that `PATH=VALUE,VALUE` name; brackets and quotes hold a value together.

    Errors:
        ConfigError: one has not this form, names a value twice, or is the seed or another axis.
    """
    by_path: dict[str, tuple[str, ...]] = {}
    for over in overs:
        path, sign, text = over.partition("=")
        if not sign or not all(path.split(".")):
            raise ConfigError(f"--over {over}: {FORM}")
        values = tuple(_split(text, over))
        if path == SEED:
            raise ConfigError(
                f"--over {over}: runs of several seeds are averaged; give --seeds N (and --seed for the first)"
            )
        if path in by_path:
            raise ConfigError(f"--over {over}: '{path}' is in another --over; name all its values in one")
        read = [json.dumps(parse_set(f"{path}={value}")[1], sort_keys=True) for value in values]
        twice = next((value for at, value in enumerate(values) if read[at] in read[:at]), None)
        if twice is not None:
            raise ConfigError(f"--over {over}: the value {twice} is there twice; leave it out once")
        by_path[path] = values
    return [Axis(path, values, _label(path, by_path)) for path, values in by_path.items()]


def _split(text: str, over: str) -> list[str]:
    """The parts between commas outside brackets and quotes."""
    parts, depth, quote = [""], 0, ""
    for letter in text:
        if letter == "," and not depth and not quote:
            parts.append("")
            continue
        parts[-1] += letter
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        else:
            depth += (letter in "[{(") - (letter in ")}]")
    if depth or quote or not all(part.strip() for part in parts):
        raise ConfigError(f"--over {over}: {FORM}; no value may be empty, and brackets and quotes are closed")
    return [part.strip() for part in parts]


def _label(path: str, paths: Mapping[str, object]) -> str:
    words = path.split(".")
    ends = (".".join(words[-count:]) for count in range(1, len(words)))
    return next((end for end in ends if sum(f".{other}".endswith(f".{end}") for other in paths) == 1), path)


def plan(
    recipe: Path,
    overs: Sequence[str],
    *,
    seeds: int,
    folder: Path,
    sets: Sequence[str] = (),
    options: Sequence[str] = (),
    overwrite: bool = False,
) -> tuple[list[Axis], list[Planned]]:
    """The axes, and the runs of all combinations seed by seed, every recipe checked before anything is trained.

    Args:
        recipe: the recipe's file.
        overs: `PATH=VALUE,VALUE`, an axis each.
        seeds: so many seeds, from the recipe's own up.
        folder: of the sweep.
        sets: `PATH=VALUE` for all runs.
        options: further words of each `ostinato train`.
        overwrite: whether runs that are there are deleted.

    Errors:
        ConfigError: an axis or one of the recipes is wrong.
    """
    lines = axes(overs)
    if not lines:
        raise ConfigError("--over: name what to vary, such as --over inputs.text.encoder.cell=rnn,lstm,gru")
    first = load(recipe, list(sets)).settings.training.seed
    planned: list[Planned] = []
    for seed in range(first, first + seeds):
        for values in itertools.product(*(axis.values for axis in lines)):
            every = (*sets, *(f"{axis.path}={value}" for axis, value in zip(lines, values)), f"{SEED}={seed}")
            name = "_".join([*(f"{axis.label}-{word_of(value)}" for axis, value in zip(lines, values)), f"seed-{seed}"])
            flags = [word for setting in every for word in ("--set", setting)]
            words = (
                "train",
                str(recipe),
                *flags,
                "--out",
                str(folder / name),
                *options,
                "--overwrite" if overwrite else "--resume",
            )
            chosen = dict(zip((axis.label for axis in lines), values))
            planned.append(Planned(name, chosen, seed, load(recipe, every), words, folder / name))
    return lines, planned


def word_of(value: str) -> str:
    """A value as a part of a folder's name, alike in every sweep; a hash replaces what cannot be part of one."""
    plain = re.sub(r"[^A-Za-z0-9.+-]+", "-", value).strip("-.")[:LONGEST_WORD]
    return plain if plain == value else f"{plain}~{hashlib.sha256(value.encode()).hexdigest()[:6]}"


def is_finished(planned: Planned) -> bool:
    """Whether the folder holds the run as planned, trained and measured; changed contents of data are not looked for.

    Data that are named otherwise make a run unfinished: a resumed run reads them, and refuses others than it
        learnt from.
    """
    try:
        began = bundles.load(planned.folder)
    except BundleError:
        return False
    if not began.is_measured or not (planned.folder / bundles.WEIGHTS).is_file():
        return False
    recipe = as_it_began(planned.recipe, began, planned.folder)
    now, before = recipe.plain(), filled(began.recipe)
    return all(now.get(part) == before.get(part) for part in ("training", "search", "calibration")) and named_alike(
        recipe, began
    )


def train_all(
    planned: Sequence[Planned],
    folder: Path,
    *,
    jobs: int,
    start: Start,
    say: Callable[[str], None],
    overwrite: bool = False,
) -> dict[str, str]:
    """Trains what is not finished, `jobs` at a time; the message of each run that failed.

    A run that fails stops no other. What the processes took of memory is kept beside the runs, for the table.

    Errors:
        Interrupted: Ctrl-C; what was trained is kept, and the same command resumes.
        ConfigError: a run in the folder was trained otherwise.
    """
    left = [planned_run for planned_run in planned if overwrite or not is_finished(planned_run)]
    if len(left) < len(planned):
        say(f"{len(planned) - len(left)} of {len(planned)} runs are finished")
    failed: dict[str, str] = {}
    stopped = threading.Event()

    def train(planned_run: Planned) -> None:
        if stopped.is_set():
            return
        say(f"run {planned.index(planned_run) + 1} of {len(planned)}: {planned_run.name}")
        lead = f"{planned_run.name}: " if jobs > 1 else ""
        ended = start(planned_run, lambda line: say(f"{lead}{line}"))
        if ended.peak_memory is not None and planned_run.folder.is_dir():
            before = peak_memory(folder, planned_run.name) if not overwrite else None
            most = max(ended.peak_memory, before or 0)
            write(folder / KEPT / f"{planned_run.name}.json", json.dumps({"peak_memory": most}))
        if ended.code == INTERRUPTED:
            stopped.set()
        elif ended.code:
            failed[planned_run.name] = ended.notes or f"ended with status {ended.code}"

    pool = ThreadPoolExecutor(jobs)
    try:
        list(pool.map(train, left))
    except KeyboardInterrupt:
        stopped.set()
    finally:
        # Ctrl-C reaches the runs too; each finishes its step and saves.
        pool.shutdown(cancel_futures=True)
    if stopped.is_set():
        raise Interrupted(f"stopped; what is trained is kept in {folder}: the same command resumes")
    return failed


def examples_file(folder: Path, name: str) -> Path:
    """What is known of each example that a run of a sweep was measured on."""
    return folder / KEPT / f"{name}.safetensors"


def peak_memory(folder: Path, name: str) -> int | None:
    """The most resident memory of a run's processes in bytes, where it is known."""
    try:
        return json.loads((folder / KEPT / f"{name}.json").read_text(encoding="utf-8"))["peak_memory"]
    except (FileNotFoundError, ValueError, KeyError):
        return None


def process(jobs: int) -> Start:
    """Trains a run in a process of its own, whose memory is measured; several jobs share the cores."""
    several = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // jobs))} if jobs > 1 else {}

    def start(planned_run: Planned, say: Callable[[str], None]) -> Ended:
        # What the run measures of each example is kept for the table, which would decode the split once more.
        keep = ("--examples", str(examples_file(planned_run.folder.parent, planned_run.name)))
        # A terminal shows one run's live line as it is.
        is_live = jobs == 1 and sys.stderr.isatty()
        with explained(planned_run.folder):
            child = subprocess.Popen(
                [sys.executable, "-c", MAIN, *planned_run.words, *keep],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=None if is_live else subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
                env={**several, **os.environ},
            )
        last: deque[str] = deque(maxlen=ROOM_OF_MESSAGE)
        with child:
            for line in child.stderr or ():
                last.append(line.rstrip("\n"))
                if line.startswith(SHOWN):
                    say(last[-1])
            code, memory = _waited(child)
        return Ended(code, _message(last), memory)

    return start


def _message(lines: Sequence[str]) -> str:
    """From the error on, where there is one."""
    named = tuple(f"{cls.__name__}: " for cls in (ConfigError, DataError, BundleError))
    at = next((at for at, line in enumerate(lines) if line.startswith(named)), 0)
    return "\n".join(list(lines)[at:])


def _waited(child: subprocess.Popen) -> tuple[int, int | None]:
    if sys.platform == "win32":
        return child.wait(), None
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    # Kilobytes on Linux, bytes on macOS.
    return child.returncode, used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
