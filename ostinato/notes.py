"""Lines that verbs give to whoever listens: notes, results, and details that a user reads only when asking for them."""

from __future__ import annotations


class Detail(str):
    """A line of progress or a choice that the run folder keeps too: logged, and shown by `--verbose` alone."""

    __slots__ = ()
