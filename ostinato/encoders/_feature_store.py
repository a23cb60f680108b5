"""Features of texts by a frozen model, kept on the disk between runs."""

from __future__ import annotations

import hashlib
import sqlite3
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ostinato.files import cache_folder

STORED = 4 * 2**30
"""Bytes of a file after which nothing is added to it."""
PATIENCE_SECONDS = 30
"""How long one process waits while another writes."""
ASKED = 500
"""Keys in one question: SQLite took 999 in versions before 3.32."""


@dataclass(frozen=True)
class FeatureStore:
    """One SQLite file for a model and all that its features depend on to the bit; several processes may share it.

    What is damaged or refused counts as absent: features can be computed again.

    Args:
        path: of the file.
        width: numbers of a step.
    """

    path: Path
    width: int

    @staticmethod
    def of(weights: Mapping[str, Tensor], width: int, *facts: object) -> FeatureStore:
        """The store of a model.

        Args:
            weights: by their names.
            width: numbers of a step.
            facts: what features depend on beside weights, torch and the machine.
        """
        digest = hashlib.sha256()
        machine = (torch.__version__, torch.get_num_threads(), torch.backends.cpu.get_cpu_capability())
        digest.update(repr((*machine, *facts)).encode())
        for name, tensor in weights.items():
            digest.update(f"{name} {tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().numpy().tobytes())
        return FeatureStore(cache_folder() / "features" / f"{digest.hexdigest()}.sqlite", width)

    def read(self, keys: Sequence[bytes]) -> dict[bytes, Tensor]:
        """Features (T, width) of those of these texts that are known."""
        found: dict[bytes, Tensor] = {}
        if not self.path.is_file():
            return found
        names = {_name(key): key for key in keys}

        def ask(file: sqlite3.Connection) -> None:
            for asked in (list(names)[at : at + ASKED] for at in range(0, len(names), ASKED)):
                marks = ",".join("?" * len(asked))
                for name, check, values in file.execute(f"SELECT * FROM features WHERE name IN ({marks})", asked):
                    if zlib.crc32(values) == check:
                        numbers = np.frombuffer(values, np.float32).reshape(-1, self.width)
                        found[names[name]] = torch.from_numpy(numbers.copy())

        self._with_file(ask)
        return found

    def write(self, features: Mapping[bytes, Tensor]) -> None:
        """Keeps features (T, width) of float32, while there is room."""
        rows = [(_name(key), zlib.crc32(values), values) for key, values in _blobs(features)]
        if not rows or (self.path.is_file() and self.path.stat().st_size > STORED):
            return
        self._with_file(lambda file: file.executemany("INSERT OR REPLACE INTO features VALUES (?, ?, ?)", rows))

    def _with_file(self, work: Callable[[sqlite3.Connection], object]) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self.path, timeout=PATIENCE_SECONDS)) as file, file:
                file.execute("CREATE TABLE IF NOT EXISTS features (name BLOB PRIMARY KEY, crc INTEGER, numbers BLOB)")
                work(file)
        except (sqlite3.OperationalError, OSError):
            return
        except sqlite3.DatabaseError:
            # It is damaged: the next process begins a new one.
            self.path.unlink(missing_ok=True)


def _name(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


def _blobs(features: Mapping[bytes, Tensor]) -> Iterator[tuple[bytes, bytes]]:
    for key, values in features.items():
        if values.dtype == torch.float32:
            yield key, values.cpu().numpy().tobytes()
