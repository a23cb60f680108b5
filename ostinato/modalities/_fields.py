"""Raw values as one field of one line, and in a message."""

import base64
import binascii
import io
import math
import os
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.errors import DataError, quoted, shown

TEXT, WHOLE, TRUTH = "text", "whole", "truth"
"""What labels are in training rows."""
_ESCAPES = str.maketrans({"\t": "\\t", "\n": "\\n", "\r": "\\r"})


class Digits(str):
    """The text of a label that a row has as a whole number, so that a model can give such numbers back."""

    __slots__ = ()


def as_kind(label: str, kind: str) -> Any:
    """A label as the value of this kind that its text is; as it is where an earlier run had labels of another."""
    if kind == TRUTH:
        return label == "true" if label in ("true", "false") else label
    is_whole = kind == WHOLE and label.removeprefix("-").isdecimal() and str(int(label)) == label
    return int(label) if is_whole else label


def one_line(text: str) -> str:
    """The text with tabs and line breaks written as `\\t`, `\\n` and `\\r`; a backslash stays as it is."""
    return text.translate(_ESCAPES)


def is_missing(raw: Any) -> bool:
    """Whether a raw value is missing: None, or NaN, which frames have in its place."""
    return raw is None or isinstance(raw, (float, np.floating)) and math.isnan(raw)


def file_content(field: str, mark: str, noun: str) -> bytes:
    """The bytes of the file that a path names, or those that a field of base64 holds.

    Args:
        field: a path, or `mark` and base64.
        mark: what such a field begins with.
        noun: what the file is, for messages.

    Errors:
        DataError: there is no such file, or no base64.
    """
    return of_base64(field, len(mark)) if field.startswith(mark) else content_of(field, noun)


def of_base64(field: str, begin: int) -> bytes:
    """The bytes that a field of text holds as base64 from this character on.

    Errors:
        DataError: it is no base64.
    """
    try:
        return base64.b64decode(field[begin:], validate=True)
    except binascii.Error as why:
        raise DataError(f"{shown(field)} holds no base64: {why}") from None


def content_of(field: str, noun: str) -> bytes:
    """The bytes of the file that a path names; `noun` is what it is, for messages.

    Errors:
        DataError: there is no such file, or it cannot be read.
    """
    path = Path(field)
    if os.path.isdir(path):
        raise DataError(f"{quoted(field)} is a folder; give the path of one {noun} in it")
    if not os.path.isfile(path):
        raise DataError(f"there is no {noun} {quoted(field)}; paths are relative to the working directory")
    try:
        return path.read_bytes()
    except OSError as why:
        raise DataError(f"{quoted(field)} cannot be read: {why.strerror}; see who may read it") from None


def array_of(content: bytes, one: str) -> np.ndarray:
    """The array of a file of numpy: npy, or npz that holds one.

    Args:
        content: of the file.
        one: what such an array is, and what to do where there are several, for messages.

    Errors:
        DataError: it cannot be read, or holds several arrays or none.
    """
    try:
        arrays = np.load(io.BytesIO(content), allow_pickle=False)
        if isinstance(arrays, np.ndarray):
            return arrays
        with arrays:
            names = list(arrays)
            if len(names) == 1:
                return arrays[names[0]]
    except (zipfile.BadZipFile, ValueError, OSError, EOFError) as why:
        raise DataError(f"the npz cannot be read: {why}; write it again, without Python objects") from None
    raise DataError(f"the npz has {len(names)} arrays, and {one}")


def items(raw: Any, noun: str) -> list[Any]:
    """A list, tuple or array as a list.

    Errors:
        DataError: it is none; `noun` is what it should hold.
    """
    if not isinstance(raw, (list, tuple, np.ndarray)):
        raise DataError(f"a list of {noun}s is needed, not {shown(raw)}")
    return raw.tolist() if isinstance(raw, np.ndarray) else list(raw)


def strings(raw: Any, noun: str) -> list[str]:
    """A list, tuple or array of strings as a list; whole numbers in it count as their digits.

    Errors:
        DataError: it is none, or holds something else; `noun` is what it should hold.
    """
    return [item if isinstance(item, str) else _string(item, noun) for item in items(raw, noun)]


def _string(raw: Any, noun: str) -> str:
    if isinstance(raw, int) and not isinstance(raw, bool):
        return Digits(raw)
    if not isinstance(raw, str):
        raise DataError(f"a {noun} must be a string or a whole number, not {shown(raw)}")
    return raw


def why_labels_are_new(counts: Mapping[str, int], seen: Collection[str]) -> str:
    """Why other rows may have labels that the training rows lack.

    Args:
        counts: how often each label occurs in training.
        seen: the labels of validation.
    """
    new, rare = sorted(seen - counts.keys()), sum(count == 1 for count in counts.values())
    if new:
        return f"validation has labels that training lacks, such as {new[0]}"
    once = f"{rare:,} of {len(counts):,} labels occur once in training: " if rare else ""
    return f"{once}other rows may have new ones"
