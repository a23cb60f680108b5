"""Brings data sets from their public homes: resumes where it broke off, checks, and puts only whole files in place."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import lzma
import os
import ssl
import stat
import tarfile
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from ostinato.data.catalogue import Entry, File, find
from ostinato.errors import DataError

BLOCK = 1 << 16
LARGEST_ARCHIVE = 1 << 31
"""The size at which an archive is refused: the catalogue knows the checksums of its members, not its own size."""

Progress = Callable[[str, int, int], None]
"""Called with a file's name, the bytes that are here, and the bytes it will have (0: not known)."""

BROKEN = (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError)
DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    gzip.BadGzipFile,
    lzma.LZMAError,
    zlib.error,
    EOFError,
    NotImplementedError,
)


@dataclass(frozen=True)
class Connection:
    """Where the homes are reached, and how much patience there is.

    Args:
        base: the address in front of `owner/name/commit/path`.
        timeout_seconds: how long to wait for the next bytes.
        tries: how many times in a row a connection may fail without one new byte.
        pause_seconds: the wait before the second try; it doubles from try to try.
    """

    base: str = "https://raw.githubusercontent.com"
    timeout_seconds: float = 30.0
    tries: int = 4
    pause_seconds: float = 1.0


def fetch(name: str, root: Path, *, connection: Connection = Connection(), progress: Progress | None = None) -> Path:
    """Brings a data set of the catalogue below `root` and returns its folder; asks for nothing that lies there already.

    Errors:
        DataError: no such set, not free to fetch, not to be reached, not as in the catalogue, or no room to write.
    """
    return fetch_entry(find(name), root, connection=connection, progress=progress)


def fetch_entry(
    entry: Entry, root: Path, *, connection: Connection = Connection(), progress: Progress | None = None
) -> Path:
    """The same for an entry of any catalogue."""
    folder = entry.folder(root)
    if entry.builtin:
        return folder
    try:
        waiting = [file for file in entry.files if not _stands(folder / file.name, file)]
        if waiting and not entry.free:
            raise DataError(
                f"'{entry.name}' is not fetched: {entry.reason} (licence: {entry.licence}); if you may use it, get it "
                f"from {entry.home} and put {', '.join(file.name for file in waiting)} into {folder}"
            )
        for path, files in groupby(sorted(waiting, key=lambda file: file.path), key=lambda file: file.path):
            folder.mkdir(parents=True, exist_ok=True)
            url = f"{connection.base}/{entry.repository}/{entry.commit}/{urllib.parse.quote(path)}"
            _bring(url, list(files), folder, connection, progress or (lambda *_: None))
    except OSError as error:
        place, problem = error.filename or folder, error.strerror or error
        raise DataError(f"cannot use {place}: {problem}; make room or choose another root, then fetch again") from error
    return folder


def _stands(path: Path, file: File) -> bool:
    """Whether this file lies there already; something else under its name is refused, never overwritten."""
    if not path.exists():
        return False
    kinds = [(open, file.sha256), (gzip.open, file.whole_sha256)]
    for opened, sha256 in kinds if file.store == "gz" else kinds[:1]:
        with suppress(*DAMAGED), opened(path, "rb") as content:
            if hashlib.file_digest(content, "sha256").hexdigest() == sha256:
                return True
    raise DataError(f"{path} is there but is not the catalogue's {file.name}; move it away, then fetch again")


def _bring(url: str, files: list[File], folder: Path, connection: Connection, progress: Progress) -> None:
    """Downloads one original, or one archive for all its members, and puts the files in place."""
    archive, name = files[0].archive, files[0].name
    part = folder / f"{PurePosixPath(files[0].path).name if archive else name}.part"
    for is_last in (False, True):
        resumed = False
        try:
            resumed = _download(url, part, 0 if archive else files[0].whole_bytes, connection, progress)
            with _opened(part, archive, url) as open_member:
                for file in files:
                    with open_member(file.member) as source:
                        _put(source, file, folder, f"{url}, member {file.member}" if archive else url)
        except _Useless as error:
            part.unlink(missing_ok=True)
            # The beginning may be another version's or a damaged disk's: one clean download before the home is blamed.
            if is_last or not resumed:
                raise DataError(str(error)) from error
        else:
            part.unlink()
            return


class _Useless(Exception):
    """What was downloaded is not what was asked for and must not be kept."""


def _put(source: BinaryIO, file: File, folder: Path, where: str) -> None:
    """Checks an original and puts it under its name, gzipped if the catalogue stores it so: the whole file or none."""
    temporary = folder / f"{file.name}.tmp"
    digest, size = hashlib.sha256(), 0
    try:
        with temporary.open("wb") as target:
            with _packer(target, file.store) as packed:
                while size <= file.whole_bytes and (block := source.read(BLOCK)):
                    size += len(block)
                    digest.update(block)
                    packed.write(block)
            target.flush()
            os.fsync(target.fileno())
        if size != file.whole_bytes or digest.hexdigest() != file.whole_sha256:
            raise _Useless(
                f"{where} is not what the catalogue knows ({file.whole_bytes} bytes, sha256 {file.whole_sha256}): it "
                f"has {'at least ' if size > file.whole_bytes else ''}{size} bytes, sha256 {digest.hexdigest()}, and "
                "was thrown away; fetch again, and if that fails too the home has changed"
            )
        os.replace(temporary, folder / file.name)
    finally:
        temporary.unlink(missing_ok=True)


def _packer(target: BinaryIO, store: str) -> AbstractContextManager[BinaryIO]:
    """What to write into: the target, or a gzip stream without name and time, so that the same content gives the same
    bytes."""
    if store == "gz":
        return gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=target, mtime=0)
    return nullcontext(target)


def _download(url: str, part: Path, size: int, connection: Connection, progress: Progress) -> bool:
    """Downloads into `part`, from where it ends, until all is there; returns whether older bytes were used."""
    failures, furthest = 0, 0
    while True:
        have = _size(part)
        if size and have > size:
            part.unlink()
            have = 0
        if size and have == size:
            return furthest == 0
        try:
            return _receive(url, part, have, size, connection, progress)
        except BROKEN as error:
            failure = _lasting(url, error, part)
        here = _size(part)
        failures = 1 if here > furthest else failures + 1
        furthest = max(furthest, here)
        if failures >= connection.tries:
            raise DataError(
                f"{url} could not be fetched: {failure}, {failures} times in a row; {here} bytes are kept in {part}: "
                "look at the connection and fetch again, the download resumes there"
            )
        time.sleep(connection.pause_seconds * 2 ** (failures - 1))


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _lasting(url: str, error: Exception, part: Path) -> str:
    """What broke, in words; raises at once when another try would give the same answer."""
    if not isinstance(error, urllib.error.HTTPError):
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        return str(reason) or type(error).__name__
    error.close()
    if error.code == 416:
        # The server has no bytes from there on: what is here cannot be its file.
        part.unlink(missing_ok=True)
    elif error.code not in (408, 425, 429) and error.code < 500:
        raise DataError(
            f"{url} answers {error.code} {error.reason}: the file is gone or may not be read; if the address opens in "
            "a browser, put the file into the folder yourself, else tell Ostinato's maintainers"
        ) from error
    return f"the server answers {error.code} {error.reason}"


def _receive(url: str, part: Path, have: int, size: int, connection: Connection, progress: Progress) -> bool:
    """One request; appends what comes to `part` and returns whether it continued the bytes that were there.

    Errors:
        ConnectionError: the answer ended early, or is another range than asked for.
    """
    headers = {"User-Agent": "ostinato"}
    if have:
        headers["Range"] = f"bytes={have}-"
    with urllib.request.urlopen(
        urllib.request.Request(url, headers=headers), timeout=connection.timeout_seconds
    ) as response:
        goes_on = response.status == 206
        if goes_on and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            part.unlink(missing_ok=True)
            raise ConnectionError("the server sent another range than asked for")
        done = have if goes_on else 0
        length = response.headers.get("Content-Length")
        whole = done + int(length) if length else 0
        most = size or LARGEST_ARCHIVE
        if (size and whole and whole != size) or whole > most:
            raise _Useless(
                f"{url} has {whole} bytes, the catalogue knows {size or f'at most {most}'}: the file at its home has "
                "changed, or something on the way answers in its place"
            )
        with part.open("ab" if goes_on else "wb") as target:
            # read1 hands on what has come: a connection that breaks or stalls loses nothing.
            while block := response.read1(BLOCK):
                done += len(block)
                if done > most:
                    raise _Useless(f"{url} sends more than the {most} bytes that the catalogue allows")
                target.write(block)
                progress(part.name.removesuffix(".part"), done, size or whole)
    if done < (size or whole):
        raise ConnectionError(f"the connection broke off after {done} of {size or whole} bytes")
    return goes_on


@contextmanager
def _opened(part: Path, archive: str, url: str) -> Iterator[Callable[[str], BinaryIO]]:
    """A function that opens the original, or by its name a member of an archive that holds nothing but files inside
    itself."""
    try:
        if archive == "zip":
            with zipfile.ZipFile(part) as opened:
                for member in opened.infolist():
                    _demand_harmless(url, member.filename, stat.S_ISLNK(member.external_attr >> 16))
                    if member.flag_bits & 1:
                        raise _Useless(f"{url} was thrown away: its member {member.filename!r} is encrypted")
                yield _by_name(url, opened.namelist(), opened.open)
        elif archive:
            with tarfile.open(part) as opened:
                for member in opened.getmembers():
                    _demand_harmless(url, member.name, not (member.isfile() or member.isdir()))
                yield _by_name(url, [member.name for member in opened if member.isfile()], opened.extractfile)
        else:
            yield lambda _: part.open("rb")
    except DAMAGED as error:
        raise _Useless(f"{url} is a damaged {archive} archive ({error}) and was thrown away; fetch again") from error


def _demand_harmless(url: str, name: str, is_link: bool) -> None:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in name or is_link:
        what = "a link or a device" if is_link else "a path that leaves its folder"
        raise _Useless(f"{url} was refused and thrown away: its member {name!r} is {what}; nothing was unpacked")


def _by_name(url: str, names: list[str], open_member: Callable[[str], BinaryIO]) -> Callable[[str], BinaryIO]:
    def opened(name: str) -> BinaryIO:
        if name not in names:
            raise _Useless(f"{url} holds no member '{name}': the file at its home has changed")
        return open_member(name)

    return opened
