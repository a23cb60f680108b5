"""What follows an interruption of training."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ostinato.training.task import Interrupted


@contextmanager
def resumable() -> Iterator[None]:
    """After Ctrl-C, names the command that continues the run."""
    try:
        yield
    except Interrupted as stopped:
        words = [word for word in sys.argv[1:] if word not in ("--overwrite", "--resume")]
        again = [] if words[:1] == ["demo"] else ["--resume"]
        raise Interrupted(f"{stopped}:\n  {shlex.join(['ostinato', *words, *again])}") from None
