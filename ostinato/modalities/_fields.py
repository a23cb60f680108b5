"""Raw values as one field of one line, and in a message."""

from typing import Any

_ESCAPES = str.maketrans({"\t": "\\t", "\n": "\\n", "\r": "\\r"})


def one_line(text: str) -> str:
    """The text with tabs and line breaks written as `\\t`, `\\n` and `\\r`; a backslash stays as it is."""
    return text.translate(_ESCAPES)


def shown(raw: Any) -> str:
    """A raw value of the wrong kind, for a message: its kind and how it begins."""
    return "a missing value" if raw is None else f"{type(raw).__name__} {repr(raw)[:40]}"
