"""The run folder: full recipe, fitted modalities, weights, metrics, versions and a card."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import math
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from ostinato.errors import BundleError
from ostinato.files import as_json, with_checksum, without_checksum, write
from ostinato.recipe.migrate import migrate, new_path, report_today
from ostinato.recipe.read import RECIPE_FILE, RUN_FILE

VERSION = 3


def _in_new_words(plain: dict[str, Any]) -> dict[str, Any]:
    """Of earlier versions the recipe and the reasons have old words."""
    old = plain["recipe"]
    recipe, notes = migrate(old)
    reasons = {new_path(path, old): why for path, why in plain.get("reasons", {}).items()}
    return {**plain, "recipe": recipe, "reasons": reasons, "renamed": [*plain.get("renamed", []), *notes]}


MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _in_new_words, 2: _in_new_words}
"""From a version to the next: what turns a bundle.json of that version into one of the version after it."""

DESCRIPTION, WEIGHTS, METRICS, CARD, RECIPE, BASELINES, MEMBERS, EFFORT, CHECKPOINTS = (
    RUN_FILE,
    "weights.safetensors",
    "metrics.json",
    "README.md",
    RECIPE_FILE,
    "baselines.safetensors",
    "members",
    "effort.json",
    "checkpoints",
)


@dataclass
class Bundle:
    """What a run keeps beside its checkpoints.

    Args:
        recipe: every setting, as plain values.
        modalities: the facts of each column by its place (`inputs.de`).
        lengths: the longest training target of each output, in steps.
        data: of the splits: sources, base folder, digests, rows left out.
        reasons: why a size was chosen, by path.
        metrics: split -> the report of `evaluate`.
        versions: of the packages and the machine that trained it.
        members: the runs in the folder MEMBERS that answer together, and how often each counts; empty where the run
            has weights of its own.
        temperatures: of each output that is calibrated what its log-probabilities are divided by.
        renamed: the words of an earlier version that were replaced in it; not written.
    """

    recipe: dict[str, Any]
    modalities: dict[str, dict]
    lengths: dict[str, int]
    data: dict[str, Any]
    reasons: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    members: dict[str, int] = field(default_factory=dict)
    temperatures: dict[str, float] = field(default_factory=dict)
    renamed: list[str] = field(default_factory=list)

    @property
    def is_measured(self) -> bool:
        """Whether metrics are there to their end: those of the baselines come last."""
        return any("baselines" in report for report in self.metrics.values())


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:  # It is imported from a folder of sources.
        return "not installed"


def versions() -> dict[str, str]:
    """What a number may depend on: packages, Python, processor."""
    named = {name: _version(name) for name in ("ostinato", "torch", "numpy", "tokenizers", "sacrebleu")}
    return named | {
        "python": platform.python_version(),
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "machine": platform.machine(),
    }


def describe(folder: Path, bundle: Bundle) -> None:
    """Writes all but the weights; before training too, so that a run can be resumed from what was fitted."""
    kept = {key: value for key, value in vars(bundle).items() if key not in ("metrics", "renamed")}
    plain = with_checksum({"version": VERSION, **kept})
    write(folder / DESCRIPTION, json.dumps(plain, ensure_ascii=False, indent=1).encode())


def save_weights(folder: Path, tensors: dict[str, Tensor]) -> None:
    """Writes the weights and their sha256."""
    data = save_tensors({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})
    write(folder / WEIGHTS, data)
    write(folder / f"{WEIGHTS}.sha256", hashlib.sha256(data).hexdigest().encode())


def save_metrics(folder: Path, metrics: dict[str, Any]) -> None:
    write(folder / METRICS, as_json(metrics, indent=1))


def _measured(report: dict[str, Any]) -> dict[str, Any]:
    """A part of the metrics, with NaN where JSON has null for a number that is not finite."""
    return {name: math.nan if value is None else value for name, value in report.items()}


def exists(folder: Path) -> bool:
    return os.path.isfile(folder / DESCRIPTION)


def has_weights(folder: Path) -> bool:
    """Whether training has ended, so that its weights, or those of its members, are there."""
    return os.path.isfile(folder / WEIGHTS) or os.path.isdir(folder / MEMBERS)


def load(folder: Path) -> Bundle:
    """Reads all but the weights.

    Errors:
        BundleError: there is no bundle, it is damaged, or it is newer than this Ostinato.
    """
    path = folder / DESCRIPTION
    # Of a name that is too long pathlib makes an error.
    if not os.path.isfile(path):
        problem = "the folder holds no bundle.json" if os.path.isdir(folder) else "there is no such folder"
        raise BundleError(f"{folder}: {problem}; give the run folder that `ostinato train` prints at its end")
    try:
        plain = without_checksum(json.loads(path.read_text(encoding="utf-8")))
        version = plain["version"]
        if not isinstance(version, int):
            raise TypeError(f"its version is {version!r}")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as why:
        raise BundleError(f"{path}: damaged ({why}); restore the file or train again") from None
    if version > VERSION:
        raise BundleError(
            f"{path}: written as bundle version {version}, this Ostinato reads up to {VERSION}; update Ostinato"
        )
    is_old = version < VERSION
    while version < VERSION:
        if version not in MIGRATIONS:
            raise BundleError(f"{path}: bundle version {version} can no longer be read; train again")
        try:
            plain, version = MIGRATIONS[version](plain), version + 1
        except (KeyError, TypeError, AttributeError) as why:
            raise BundleError(f"{path}: damaged ({why!r}); restore the file or train again") from None
    plain.pop("version")
    metrics = folder / METRICS
    try:
        kept = json.loads(metrics.read_text(encoding="utf-8"), object_hook=_measured) if os.path.isfile(metrics) else {}
        bundle = Bundle(**plain, metrics=report_today(kept) if is_old else kept)
        wrong = [name for name, value in vars(bundle).items() if not isinstance(value, dict) and name != "renamed"]
        if wrong:
            raise TypeError(f"{', '.join(wrong)}: no mapping")
    except (TypeError, ValueError, AttributeError, RecursionError) as why:
        raise BundleError(
            f"{folder}: damaged ({why}); restore both {DESCRIPTION} and {METRICS}, or train again"
        ) from None
    try:
        _lines_of(bundle.metrics)
    except (TypeError, ValueError, AttributeError, KeyError) as why:
        raise BundleError(
            f"{metrics}: damaged ({why!r}); delete it, and `ostinato evaluate {folder}` measures again"
        ) from None
    return bundle


def load_weights(folder: Path) -> dict[str, Tensor]:
    """The weights, checked against their sha256.

    Errors:
        BundleError: they are missing or are not what was written.
    """
    path = folder / WEIGHTS
    if not os.path.isfile(path):
        raise BundleError(
            f"{path}: the weights are missing, and there is no checkpoint; if training was stopped before its first"
            " one, continue it with `ostinato train ... --resume`"
        )
    data = path.read_bytes()
    known = folder / f"{WEIGHTS}.sha256"
    if os.path.isfile(known) and known.read_bytes().strip() != hashlib.sha256(data).hexdigest().encode():
        raise BundleError(
            f"{path}: the weights are not what was written (sha256 differs); copy the run again or train again"
        )
    try:
        return load_tensors(data)
    except SafetensorError as why:
        raise BundleError(f"{path}: damaged ({why}); copy the run again or train again") from None


def card(bundle: Bundle, parts: dict[str, int]) -> str:
    """The model card, in Markdown."""
    inputs, outputs = (
        ", ".join(f"`{name}` ({settings['type']})" for name, settings in bundle.recipe[side].items())
        for side in ("inputs", "outputs")
    )
    lines = [
        f"# {inputs} to {outputs}",
        "",
        f"Made by Ostinato {bundle.versions.get('ostinato', '?')}; {sum(parts.values()):,} parameters:",
        "",
        *(f"- `{place}`: {number:,}" for place, number in parts.items()),
        "",
    ]
    if bundle.members:
        total = sum(bundle.members.values())
        listed = ", ".join(f"{name} ({count / total:.0%})" for name, count in bundle.members.items())
        lines += [f"The answers are averages of members, of which these are the first one's parts: {listed}.", ""]
    lines += ["## Metrics", "", *_lines_of(bundle.metrics)]
    lines += [] if bundle.metrics else ["Not measured yet: `ostinato evaluate RUN`.", ""]
    lines += ["## Training data", ""]
    lines += [
        f"- {split}: {source['rows']:,} rows, {source['source']}"
        for split, source in bundle.data.get("splits", {}).items()
    ]
    lines += [f"- {note}" for note in bundle.data.get("notes", [])]
    lines += [
        "",
        "Errors and biases of these rows are in the model too; evaluate it on rows like yours before you rely on it.",
        "",
    ]
    lines += ["## Versions", "", *(f"- {name} {version}" for name, version in bundle.versions.items()), ""]
    return "\n".join(lines)


def _lines_of(metrics: dict[str, Any]) -> list[str]:
    """The metrics of the card."""
    lines = []
    for split, report in metrics.items():
        lines += [f"On `{split}`, {report['examples']:,} examples, with 95 % intervals:", ""]
        lines += ["| output | metric | value | interval | method |", "|---|---|---|---|---|"]
        for name, measured in report["outputs"].items():
            lines += [
                f"| {name} | {metric} | {of['value']:.4g} | {of['low']:.4g} to {of['high']:.4g} | {of['method']} |"
                for metric, of in measured.items()
            ]
        lines.append("")
    return lines


def write_card(folder: Path, bundle: Bundle, parts: dict[str, int]) -> None:
    write(folder / CARD, card(bundle, parts))
