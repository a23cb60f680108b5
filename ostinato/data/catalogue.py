"""The data sets that recipes name: what each is for, its licence, its files with their checksums, and where it
lives."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

from ostinato.errors import DataError, nearest

BUILTIN = Path(__file__).resolve().parent.parent / "builtin"
PAGES = "https://github.com"


@dataclass(frozen=True)
class File:
    """One file of a data set, as it lies in the set's folder.

    Args:
        name: its name in the folder.
        bytes: its size there.
        sha256: its checksum there.
        path: where the original lies in the repository; empty if it cannot be fetched.
        store: `gz` if the original is gzipped when it is put into the folder, else empty.
        original_bytes: the original's size, if it differs.
        original_sha256: the original's checksum, if it differs.
        archive: `zip` or `tar` if `path` is an archive that holds the original.
        member: the original's path in that archive.
    """

    name: str
    bytes: int
    sha256: str
    path: str = ""
    store: str = ""
    original_bytes: int = 0
    original_sha256: str = ""
    archive: str = ""
    member: str = ""

    @property
    def whole_bytes(self) -> int:
        """The size of the original."""
        return self.original_bytes or self.bytes

    @property
    def whole_sha256(self) -> str:
        """The checksum of the original."""
        return self.original_sha256 or self.sha256


@dataclass(frozen=True)
class Entry:
    """A data set.

    Args:
        name: the name of its folder below the data root.
        task: what it is for, in one line.
        licence: its licence, as its home states it.
        free: whether the licence lets anybody fetch it and its files lie at its home as they are.
        reason: why not, if not.
        repository: its home on GitHub, `owner/name`; empty for a built-in set.
        commit: the state of that repository which the checksums belong to.
        builtin: whether it comes with the package.
        files: its files.
    """

    name: str
    task: str
    licence: str
    free: bool
    reason: str = ""
    repository: str = ""
    commit: str = ""
    builtin: bool = False
    files: tuple[File, ...] = ()

    @property
    def bytes(self) -> int:
        """What the set takes on disk."""
        return sum(file.bytes for file in self.files)

    @property
    def home(self) -> str:
        """The page where people find it; empty for a built-in set."""
        return f"{PAGES}/{self.repository}/tree/{self.commit}" if self.repository else ""

    def folder(self, root: Path) -> Path:
        """Where it lies: below the data root, or in the package."""
        return BUILTIN if self.builtin else Path(root) / self.name

    def missing(self, root: Path) -> list[str]:
        """The names of its files that do not lie there; looks at names only."""
        return [file.name for file in self.files if not (self.folder(root) / file.name).is_file()]


@functools.cache
def entries() -> dict[str, Entry]:
    """All data sets of the catalogue by name, in its order."""
    from ruamel.yaml import YAML

    text = (BUILTIN / "catalogue.yaml").read_text(encoding="utf-8")
    return {name: _entry(name, facts) for name, facts in YAML(typ="safe", pure=True).load(text).items()}


def find(name: str) -> Entry:
    """The data set of this name.

    Errors:
        DataError: the catalogue has none.
    """
    if name not in entries():
        hint = nearest(name, entries())
        raise DataError(f"the catalogue has no data set '{name}'{hint}; `ostinato data list` tells what each is")
    return entries()[name]


def _entry(name: str, facts: dict) -> Entry:
    files = tuple(File(name=file, **details) for file, details in facts["files"].items())
    own = {key: fact for key, fact in facts.items() if key not in ("source", "files")}
    return Entry(name, files=files, **facts.get("source", {}), **own)
