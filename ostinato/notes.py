"""Lines that verbs give to whoever listens: notes, results, and details that a user reads only when asking for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping


class Detail(str):
    """A line of progress or a choice that the run folder keeps too: logged, and shown by `--verbose` alone."""

    __slots__ = ()


class Alike:
    """What is said of several rows, once: of the first row, with how many there are.

    Args:
        said: by text the first row and the number of rows, as it was kept.
    """

    def __init__(self, said: Mapping[str, list[int]] | None = None):
        self.said: dict[str, list[int]] = dict(said or {})

    def add(self, text: str | None, row: int) -> None:
        """Says a text of a row; None is nothing to say."""
        if text is not None:
            self.said.setdefault(text, [row, 0])[1] += 1

    def lines(self, place: Callable[[int], str], lead: str) -> Iterator[str]:
        """A line for each text: the place of its first row, what leads to the text, and how many rows are like it."""
        for text, (row, count) in self.said.items():
            more = f" ({count:,} rows like this)" if count > 1 else ""
            yield f"{place(row)}{lead}{text}{more}"
