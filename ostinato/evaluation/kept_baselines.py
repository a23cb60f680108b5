"""Fitted baselines in the run folder, so that evaluation need not fit them anew."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from ostinato.evaluation.label_baseline import LabelBaseline
from ostinato.files import write
from ostinato.preprocessing.tables import seed_of_rows
from ostinato.run.bundle import BASELINES
from ostinato.run.run import Run

VERSION = 1
MOST_BYTES = 64_000_000
"""A larger file is not kept."""
FACTS = "facts"


def load(run: Run, limits: Mapping[str, int]) -> dict[str, LabelBaseline]:
    """The baselines that were fitted on what they would be fitted on now, by output; none where there is no such file.

    Args:
        run: whose folder may hold them.
        limits: what else decides what is fitted.
    """
    path = None if run.folder is None else run.folder / BASELINES
    if path is None or not path.is_file():
        return {}
    try:
        arrays = load_arrays(path.read_bytes())
        facts = json.loads(arrays.pop(FACTS).tobytes())
        if facts["key"] != key_of(run, digest_of(run), limits):
            return {}
        return {
            output: LabelBaseline.restored(plain, _below(f"{at}.", arrays))
            for at, (output, plain) in enumerate(facts["outputs"].items())
        }
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, IndexError):
        return {}  # What is kept saves time, and nothing else: a damaged file is fitted anew.


def keep(run: Run, digest: str, limits: Mapping[str, int], fitted: Mapping[str, LabelBaseline]) -> None:
    """Writes fitted baselines into the run folder, where it is one and they are not too large.

    Args:
        run: whose baselines they are.
        digest: of the data that they were fitted on.
        limits: what else decided what was fitted.
        fitted: by output.
    """
    if run.folder is None or not run.folder.is_dir() or digest != digest_of(run):
        return
    states = {output: baseline.state() for output, baseline in fitted.items()}
    if not states or None in states.values():
        return
    arrays: dict[str, np.ndarray] = {}
    plain: dict[str, Any] = {}
    for at, (output, (facts, own)) in enumerate(states.items()):
        plain[output] = facts
        arrays |= {f"{at}.{name}": np.ascontiguousarray(array) for name, array in own.items()}
    facts = {"key": key_of(run, digest, limits), "outputs": plain}
    arrays[FACTS] = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    if sum(array.nbytes for array in arrays.values()) <= MOST_BYTES:
        write(run.folder / BASELINES, save_arrays(arrays))


def digest_of(run: Run) -> str | None:
    """The digest of the data that the run was trained on."""
    return run.bundle.data.get("splits", {}).get("train", {}).get("digest")


def key_of(run: Run, digest: str | None, limits: Mapping[str, int]) -> str:
    """What decides what is fitted: the data, which of their rows, the columns, and the code."""
    settings = run.recipe.settings
    content = [
        VERSION,
        importlib.metadata.version("scikit-learn"),
        digest,
        settings.training.seed,
        seed_of_rows(settings),
        settings.data.fraction,
        settings.data.valid is None,
        run.recipe.plain()["inputs"],
        run.recipe.plain()["outputs"],
        dict(limits),
    ]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _below(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
