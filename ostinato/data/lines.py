"""Bytes of a text file in blocks of whole lines, with the guards that need them: damage, encoding, NUL, nothing at
all."""

from __future__ import annotations

import codecs
import functools
import gzip
import hashlib
import io
import os
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from ostinato.errors import DataError

BLOCK_BYTES = 8 << 20
"""Blocks of this size stay at +58 MB of memory for a file of any length, where Polars' own streaming grew with the
file."""
GLANCE_BYTES = 1 << 16
"""Enough to see a header or the first rows when a table is opened."""
LINE_BYTES = 128 << 20
"""A longer line is a mistake or an attack: lines are held whole, several times their size while they are encoded."""
LINE_VARIABLE = "OSTINATO_LINE_MB"
"""The variable of the environment that sets another limit."""
FEW_LETTERS = 0.3
"""More of the letters beyond ASCII than this are no text of Western Europe in one byte a letter."""


def last_line(data: bytes, line: int) -> int:
    """Where the last whole line of `data` ends; `line` is the number of its first."""
    return data.rfind(b"\n") + 1


def line_blocks(
    path: Path,
    title: str,
    *,
    size: int,
    cut: Callable[[bytes, int], int] = last_line,
    encoding: str | None = None,
    most: int = LINE_BYTES,
    first: int = 1,
) -> Iterator[tuple[bytes, int]]:
    """The file as UTF-8 in (block, number of its first line), each block cut by `cut` and ended by a newline.

    Args:
        title: what an error calls the file.
        size: bytes to read at a time; a line that is longer makes a longer block.
        cut: how many bytes of a block, that begins at a line, hold whole records.
        encoding: of the file; None: UTF-8, or what `encoding_of` detects.
        most: bytes of the longest line.
        first: the line to begin at; those before it are no part of the table.
    """
    encoding = encoding or encoding_of(path, title).name
    most = int(float(os.environ.get(LINE_VARIABLE, 0)) * (1 << 20)) or most
    size = min(size, most)
    carry, line, reading = b"", 1, size
    with _open(path, title, encoding) as file:
        more = _read(file, reading, title, line).removeprefix(codecs.BOM_UTF8)
        if not more:
            raise DataError(f"{title} is empty; give a file with at least one row")
        # Lines of old Macintoshes, which spreadsheets still write, end with CR alone.
        carriage = b"\r" in more[:GLANCE_BYTES] and b"\n" not in more[:GLANCE_BYTES]
        while more:
            more = more.replace(b"\r", b"\n") if carriage else more
            while line < first and more:
                line, more = line + (b"\n" in more), more.partition(b"\n")[2]
            if line < first:
                more = _read(file, reading, title, line)
                continue
            data = carry + more
            end = cut(data, line)
            if end:
                yield data[:end], line
                line += data.count(b"\n", 0, end)
            carry = data[end:]
            if b"\0" in more:
                _demand_no_nul(carry, title, line)
            if len(carry) >= most:
                raise DataError(
                    f"{title} line {line} is longer than {most / (1 << 20):g} MB; break it into rows, or set "
                    f"{LINE_VARIABLE}={2 * most / (1 << 20):g} where so long a line is meant"
                )
            # Reading twice as much while no line ends keeps the time for one huge line linear.
            reading = max(size, len(carry))
            more = _read(file, reading, title, line)
    if line < first:
        raise DataError(f"{title} ends before line {first}, where data.header has the names of the columns; lower it")
    if carry:
        yield carry + b"\n", line


def text_blocks(path: Path, title: str, *, size: int, encoding: str | None = None) -> Iterator[tuple[list[str], int]]:
    """The lines of a text file in blocks, without line ends, each block with the number of its first line."""
    for data, line in line_blocks(path, title, size=size, encoding=encoding):
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
        raise DataError(
            f"{title} line {at} is not UTF-8: byte {error.start - start + 1} of the line is 0x{data[error.start]:02x}; "
            "name its encoding, such as data.encoding: cp1252 (Western Europe), cp1250, cp1251, gb18030 or shift_jis, "
            "or convert it with `iconv -f ENCODING -t utf-8`"
        ) from error
    if "\0" in text:
        _demand_no_nul(data, title, line)
    return text


def _demand_no_nul(data: bytes, title: str, line: int) -> None:
    if (place := data.find(b"\0")) >= 0:
        at = line + data.count(b"\n", 0, place)
        raise DataError(
            f"{title} line {at} has a NUL byte; files must be text, so remove it, for example with `tr -d '\\000'`"
        )


class Encoding(NamedTuple):
    """The encoding of a file.

    Args:
        name: as Python knows it; None: UTF-8.
        notes: that it was detected, and what shows it.
    """

    name: str | None
    notes: tuple[str, ...] = ()


def encoding_of(path: Path, title: str) -> Encoding:
    """The encoding of a file by its first bytes: UTF-16 by its mark, cp1252 where they are no UTF-8 and few letters lie
    beyond ASCII, UTF-8 otherwise."""
    facts = path.stat()
    return _detected(path, title, facts.st_size, facts.st_mtime_ns)


@functools.lru_cache(maxsize=1024)
def _detected(path: Path, title: str, size: int, changed: int) -> Encoding:
    with _open(path, title) as file:
        data = _read(file, GLANCE_BYTES, title, 1)
    if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return Encoding("utf-16", (f"{title} is read as UTF-16, by its first two bytes; data.encoding names another",))
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data)
    except UnicodeDecodeError:
        foreign, ascii_letters = len(re.findall(rb"[\x80-\xff]", data)), len(re.findall(rb"[A-Za-z]", data))
        # What cp1252 lacks or hardly has, and pairs that make a letter of UTF-8: such a file is a damaged one.
        other = re.search(rb"[\x81\x8d\x8f\x90\x9d\xff\0]|[\xc2-\xf4][\x80-\xbf]", data)
        if other is None and foreign <= FEW_LETTERS * ascii_letters:
            word = re.search(rb"[A-Za-z]*[\x80-\xff]+[A-Za-z]*", data)
            example = "" if word is None else word[0][:40].decode("cp1252")
            note = (
                f"{title} is no UTF-8 and is read as cp1252 (Western Europe), which makes {example!r} of its first such"
                " word; data.encoding names another"
            )
            return Encoding("cp1252", (note,))
    return Encoding(None)


def file_digest(path: Path) -> str:
    """The sha256 of a file's bytes; read again only when its size or time of change differs."""
    facts = path.stat()
    return _digest(path, facts.st_size, facts.st_mtime_ns)


@functools.cache
def _digest(path: Path, size: int, changed: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _open(path: Path, title: str, encoding: str | None = None) -> BinaryIO | _Recoded:
    """The bytes of a file, unpacked; of another encoding than UTF-8 those of its text in UTF-8."""
    try:
        file: Any = gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb")  # noqa: SIM115
    except OSError as error:
        raise DataError(f"{title} cannot be opened: {error.strerror}; give a file that you may read") from error
    return file if encoding is None else _Recoded(io.TextIOWrapper(file, encoding=encoding, newline=""))


class _Recoded:
    """A text as a file of UTF-8."""

    def __init__(self, text: io.TextIOWrapper):
        self.text = text

    def __enter__(self) -> _Recoded:
        return self

    def __exit__(self, *_: Any) -> None:
        self.text.close()

    def read(self, size: int) -> bytes:
        return self.text.read(size).encode()


def _read(file: BinaryIO | _Recoded, size: int, title: str, line: int) -> bytes:
    try:
        return file.read(size)
    except UnicodeError as error:
        raise DataError(
            f"{title} after line {line} is no text of its encoding: {error}; name another by data.encoding"
        ) from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{title} is no whole gzip file ({error}); fetch or compress it again") from error
