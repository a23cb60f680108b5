"""Atomic writes: a temporary name, synced, then renamed; tensors of files; errors of the disk come with advice."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import pickle
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ostinato.errors import DataError

ALLOW_DOWNLOAD = "OSTINATO_ALLOW_DOWNLOAD"
"""Set to 1 by --allow-download: only then is a model fetched that no folder holds."""
CACHE_VARIABLE = "OSTINATO_CACHE"
PARTIAL = ".partial"
"""The ending of temporary names; a file with it was never finished and may be deleted."""
CHECKSUM = "checksum"
SAFE = ".safetensors"
"""The ending of files that hold tensors by name and nothing else."""


def cache_folder() -> Path:
    """Where encoded examples and features are kept: OSTINATO_CACHE, or `ostinato` in the user's cache folder."""
    path = os.environ.get(CACHE_VARIABLE)
    return Path(path) if path else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ostinato"


def as_json(value: Any, *, indent: int | None = None) -> str:
    """Strict JSON, with null for numbers that are not finite."""
    return json.dumps(_finite(value), ensure_ascii=False, indent=indent, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(child) for key, child in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(child) for child in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def with_checksum(plain: Mapping[str, Any]) -> dict[str, Any]:
    """JSON values with the sha256 of all of them as `checksum`."""
    return {**plain, CHECKSUM: hashlib.sha256(json.dumps(plain).encode()).hexdigest()}


def without_checksum(plain: Mapping[str, Any]) -> dict[str, Any]:
    """What `with_checksum` was given; what has no checksum is as it is.

    Errors:
        ValueError: a value was changed since.
    """
    rest = {key: value for key, value in plain.items() if key != CHECKSUM}
    if CHECKSUM in plain and with_checksum(rest) != plain:
        raise ValueError("it is not what was written: its checksum differs")
    return rest


def write(path: str | Path, data: bytes | str) -> None:
    """Writes a file so that a reader, also after a crash, sees the old content or the new, never a part.

    Errors:
        DataError: the disk is full, the folder is read-only, or the path is impossible; the old content is intact.
    """
    with replacing(path) as temporary:
        write_synced(temporary, data)


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A file that appears whole: the block writes a temporary name and waits for the disk, then that is renamed.

    Errors:
        DataError: as for `write`; nothing is left behind.
    """
    path = Path(path)
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}{PARTIAL}")
        try:
            yield temporary
            os.replace(temporary, path)
            sync(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def new_folder(path: str | Path) -> Iterator[Path]:
    """A folder that appears whole: the block fills a temporary folder by `write_synced`, which is then renamed.

    Errors:
        DataError: the path exists, the disk is full, or the folder is read-only; nothing is left behind.
    """
    path = Path(path)
    with explained(path):
        if path.exists():
            raise DataError(f"{path}: exists already; delete it or choose another name")
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}{PARTIAL}")
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        try:
            yield temporary
            sync(temporary)
            os.replace(temporary, path)
            sync(path.parent)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def write_synced(path: Path, data: bytes | str) -> None:
    """Writes a file under its own name and waits until the disk has it."""
    with open(path, "wb") as file:
        file.write(data.encode() if isinstance(data, str) else data)
        file.flush()
        os.fsync(file.fileno())


def sync(path: Path) -> None:
    """Waits until the disk has a file, or the names of a folder; without it a rename may be lost with the power."""
    if os.name == "nt":
        return  # Windows opens no folders, and its renames are journalled.
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sweep(folder: str | Path) -> int:
    """Deletes what interrupted writes left in a folder; returns how many files and folders."""
    with explained(Path(folder)):
        leftovers = list(Path(folder).glob(f".*{PARTIAL}"))
        for left in leftovers:
            shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)
    return len(leftovers)


@contextmanager
def explained(path: str | Path) -> Iterator[None]:
    """Turns an error of the system while writing into a DataError with advice."""
    try:
        yield
    except OSError as problem:
        raise DataError(f"{path}: could not be written: {_advice(problem, Path(path))}") from problem


def _advice(problem: OSError, path: Path) -> str:
    if problem.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"the disk is full{_room_left(path)}; free some space or choose another folder."
            " What was written before is intact"
        )
    if problem.errno == errno.EFBIG:
        return (
            "the file would exceed the system's limit on file sizes; raise it (ulimit -f)."
            " What was written before is intact"
        )
    if problem.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return (
            "the folder is read-only for this user; choose another or change its permissions."
            " What was written before is intact"
        )
    if problem.errno in (errno.ENOTDIR, errno.EEXIST):
        return f"a part of the path is a file, not a folder ({problem.filename}); choose another folder"
    if problem.errno == errno.ENAMETOOLONG:
        return "the name is too long for this disk; choose a shorter one"
    return (
        f"{problem.strerror or problem}; choose another folder, or look at the disk. What was written before is intact"
    )


def _room_left(path: Path) -> str:
    folder = next((parent for parent in path.parents if os.path.isdir(parent)), None)
    return f" ({shutil.disk_usage(folder).free / 1e6:,.0f} MB free)" if folder else ""


def saved(path: Path, advice: str, plain: Sequence[type] = ()) -> Any:
    """What torch.save or safetensors wrote: tensors and plain values.

    Args:
        path: the file.
        advice: how what is read here is saved without the rest, for a file that holds more.
        plain: classes that hold plain values and run nothing, which the file may have too.

    Errors:
        DataError: it is damaged, or reading it would run code.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.suffix == SAFE:
            return load_file(path)
        with torch.serialization.safe_globals(list(plain)):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as why:
        named = re.search(r"GLOBAL (\S+)", str(why))
        if named is None:
            raise DataError(f"{path}: damaged, or no file of torch.save; copy it again") from None
        raise DataError(
            f"{path}: holds more than tensors and plain values ({named[1]}), and reading that could run any code;"
            f" nothing is unpickled here. {advice}"
        ) from None
    except (RuntimeError, EOFError, SafetensorError, ValueError, KeyError, AttributeError, OSError) as why:
        told = "" if isinstance(why, KeyError) else str(why)
        reason = f" ({told.splitlines()[0][:200]})" if told else ""
        tool = "safetensors" if path.suffix == SAFE else "torch.save"
        raise DataError(f"{path}: damaged, or no file of {tool}{reason}; copy it again") from None
