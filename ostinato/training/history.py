"""A run's history: one JSON object per report, in step with the checkpoints; TensorBoard's files on demand."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ostinato import files
from ostinato.errors import ConfigError


class History:
    """Appends reports to `history.jsonl`, and forgets on resuming what was reported after the checkpoint.

    Args:
        path: the file.
        length: its bytes when the checkpoint was written; 0 for a new run.
        update: the checkpoint's number of updates.
        tensorboard: the folder of TensorBoard's files, or None.
        notes: gets a line when there is less in the file than there was.

    Errors:
        DataError: it cannot be written.
        ConfigError: TensorBoard is not installed.
    """

    def __init__(self, path: Path, length: int, update: int, tensorboard: Path | None, notes: Callable[[str], None]):
        self._board = _writer(tensorboard, update) if tensorboard is not None else None
        with files.explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(path, "ab")  # noqa: SIM115 (closed by close)
        self._path = path
        if self._size() < length:
            notes(f"{path}: is shorter than it was at the checkpoint; what is missing of it stays missing")
        with files.explained(path):
            self._file.truncate(min(length, self._size()))

    def _size(self) -> int:
        return os.fstat(self._file.fileno()).st_size

    def append(self, report: Mapping[str, Any]) -> None:
        # JSON has no word for infinity or for what is no number.
        plain = {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in report.items()
        }
        with files.explained(self._path):
            self._file.write(json.dumps(plain, ensure_ascii=False).encode() + b"\n")
            self._file.flush()
        if self._board is not None:
            for name, value in report.items():
                if isinstance(value, (int, float)) and name not in ("update", "epoch"):
                    self._board.add_scalar(name, value, report["update"])

    def length(self) -> int:
        """Its bytes, once they are on the disk."""
        with files.explained(self._path):
            os.fsync(self._file.fileno())
        return self._size()

    def close(self) -> None:
        self._file.close()
        if self._board is not None:
            self._board.close()


def _writer(folder: Path, update: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise ConfigError(
            "training.tensorboard: TensorBoard is not installed; pip install 'ostinato[tensorboard]', or leave it"
            " false: history.jsonl holds the same numbers"
        ) from None
    # purge_step hides what was shown of later updates before the run was stopped.
    return SummaryWriter(str(folder), purge_step=update + 1)
