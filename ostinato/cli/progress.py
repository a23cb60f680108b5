"""The live line of training: loss, speed, time left."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn
from rich.progress import Progress as Bar

from ostinato.training.task import Interrupted
from ostinato.training.task import Progress as Event

PLAIN_SECONDS = 15.0
"""Between two lines where standard error is not a terminal."""


class Progress:
    """A bar on a terminal, a line now and then elsewhere; on standard error."""

    def __init__(self) -> None:
        console = Console(file=sys.stderr)
        self.live = console.is_terminal
        columns = (
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[line]}"),
        )
        self.bar = Bar(*columns, console=console, transient=True)
        self.task: TaskID | None = None
        self.last = 0.0

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self.task is not None:
            self.bar.stop()

    def event(self, event: Event) -> None:
        line = f"loss {event.loss:.3f}  {event.steps_per_second:,.0f} steps/s  {_span(event.seconds_left)} left"
        epoch = f"{event.epoch}/{event.epochs}"
        if self.live:
            if self.task is None:
                self.task = self.bar.add_task("", total=event.total_updates, epoch=epoch, line=line)
                self.bar.start()
            self.bar.update(self.task, completed=event.update, total=event.total_updates, epoch=epoch, line=line)
        elif time.monotonic() - self.last >= PLAIN_SECONDS:
            self.last = time.monotonic()
            print(
                f"epoch {epoch}  update {event.update:,}/{event.total_updates:,}  {line}", file=sys.stderr, flush=True
            )


@contextmanager
def resumable() -> Iterator[None]:
    """After Ctrl-C, names the command that continues the run."""
    try:
        yield
    except Interrupted as stopped:
        words = [word for word in sys.argv[1:] if word not in ("--overwrite", "--resume")]
        again = [] if words[:1] == ["demo"] else ["--resume"]
        raise Interrupted(f"{stopped}:\n  {shlex.join(['ostinato', *words, *again])}") from None


def _span(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
