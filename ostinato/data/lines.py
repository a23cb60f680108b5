"""Bytes of a text file in blocks of whole lines, with the guards that need them: damage, encoding, NUL, nothing at
all."""

from __future__ import annotations

import codecs
import functools
import gzip
import hashlib
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from ostinato.errors import DataError

BLOCK_BYTES = 8 << 20
"""Blocks of this size stay at +58 MB of memory for a file of any length, where Polars' own streaming grew with the
file."""
GLANCE_BYTES = 1 << 16
"""Enough to see a header or the first rows when a table is opened."""


def last_line(data: bytes, line: int) -> int:
    """Where the last whole line of `data` ends; `line` is the number of its first."""
    return data.rfind(b"\n") + 1


def line_blocks(
    path: Path, title: str, *, size: int, cut: Callable[[bytes, int], int] = last_line
) -> Iterator[tuple[bytes, int]]:
    """The file's bytes as (block, number of its first line), each block cut by `cut` and ended by a newline.

    Args:
        title: what an error calls the file.
        size: bytes to read at a time; a line that is longer makes a longer block.
        cut: how many bytes of a block, that begins at a line, hold whole records.
    """
    carry, line, reading = b"", 1, size
    with _open(path, title) as file:
        more = _read(file, reading, title).removeprefix(codecs.BOM_UTF8)
        if not more:
            raise DataError(f"{title} is empty; give a file with at least one row")
        # Lines of old Macintoshes, which spreadsheets still write, end with CR alone.
        carriage = b"\r" in more[:GLANCE_BYTES] and b"\n" not in more[:GLANCE_BYTES]
        while more:
            more = more.replace(b"\r", b"\n") if carriage else more
            data = carry + more
            end = cut(data, line)
            if end:
                yield data[:end], line
                line += data.count(b"\n", 0, end)
            carry = data[end:]
            # Reading twice as much while no line ends keeps the time for one huge line linear.
            reading = max(size, len(carry))
            more = _read(file, reading, title)
    if carry:
        yield carry + b"\n", line


def text_blocks(path: Path, title: str, *, size: int) -> Iterator[tuple[list[str], int]]:
    """The lines of a text file in blocks, without line ends, each block with the number of its first line."""
    for data, line in line_blocks(path, title, size=size):
        text = decoded(data, title, line)
        # str.splitlines would also cut at U+2028 and its kin, which words contain.
        lines = (text.replace("\r\n", "\n") if "\r" in text else text).split("\n")
        lines.pop()
        yield lines, line


def decoded(data: bytes, title: str, line: int) -> str:
    """The block as text; `line` is the number of its first line."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        start = data.rfind(b"\n", 0, error.start) + 1
        at = line + data.count(b"\n", 0, error.start)
        utf16 = line == 1 and data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        source = "utf-16" if utf16 else "latin-1"
        raise DataError(
            f"{title} line {at} is not UTF-8: byte {error.start - start + 1} of the line is 0x{data[error.start]:02x}; "
            f"files must be UTF-8, so convert it first, for example with `iconv -f {source} -t utf-8`"
        ) from error
    if "\0" in text:
        at = line + text.count("\n", 0, text.index("\0"))
        raise DataError(
            f"{title} line {at} has a NUL byte; files must be text, so remove it, for example with `tr -d '\\000'`"
        )
    return text


def file_digest(path: Path) -> str:
    """The sha256 of a file's bytes; read again only when its size or time of change differs."""
    facts = path.stat()
    return _digest(path, facts.st_size, facts.st_mtime_ns)


@functools.cache
def _digest(path: Path, size: int, changed: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _open(path: Path, title: str) -> BinaryIO:
    try:
        return gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb")
    except OSError as error:
        raise DataError(f"{title} cannot be opened: {error.strerror}; give a file that you may read") from error


def _read(file: BinaryIO, size: int, title: str) -> bytes:
    try:
        return file.read(size)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{title} is no whole gzip file ({error}); fetch or compress it again") from error
