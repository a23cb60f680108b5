"""The line that names the columns of a table, where a title comes before it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

LOOKED_AT = 20
"""Lines of a table among which the names of its columns are looked for."""
SURE = 3
"""Fewer lines that are divided alike show no columns."""


def is_title(names: Sequence[str]) -> bool:
    """Whether a first line is no list of names: it fills none of several fields, or the first alone."""
    return len(names) > 1 and not any(name.strip() for name in names[1:])


def named_in(rows: Iterable[tuple[int, Sequence[str | None]]]) -> int | None:
    """The number of the first row that fills several fields, as names of columns do."""
    return next((number for number, fields in rows if sum(bool(field and field.strip()) for field in fields) > 1), None)


def title_advice(first: int, unit: str, named: int) -> str:
    """What to set where the first line may be a title.

    Args:
        first: the number of the line that was read as names.
        unit: `line` or `row`.
        named: that of the line that may hold the names.
    """
    return f"; if {unit} {first} is a title and {unit} {named} names the columns, set data.header: {named}"
