"""What a person sees of training: a bar with loss, speed and time left, and notes."""

from __future__ import annotations

import logging
import sys
import time
from typing import TYPE_CHECKING

from ostinato.notes import Detail
from ostinato.training.task import Progress as Event

if TYPE_CHECKING:
    from tqdm import tqdm

PLAIN_SECONDS = 15.0
"""Between two lines where standard error is neither a terminal nor a notebook's."""
LOG = logging.getLogger("ostinato")


class Progress:
    """A bar on a terminal or in a notebook, a line now and then elsewhere; on standard error.

    Notes are logged too, by the logger `ostinato` at the level INFO, and not shown a second time where that is seen.

    Args:
        verbose: 0 shows nothing, 1 the bar and what should be known (`note: ...`), 2 each epoch and what is made
            too, 3 details too.
        leave: whether the bar remains when training has ended.
    """

    def __init__(self, verbose: int = 2, *, leave: bool = False) -> None:
        from tqdm.auto import tqdm

        self.verbose, self.leave, self.new_bar = verbose, leave, tqdm
        self.live = sys.stderr.isatty() or "ipykernel" in sys.modules
        self.bar: tqdm | None = None
        self.shown, self.last = 0, 0.0

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None

    def say(self, note: str) -> None:
        """Logs a note, and shows it."""
        LOG.info(note)
        least = 3 if isinstance(note, Detail) else 1 if note.startswith("note: ") else 2
        if self.verbose >= least and not (LOG.hasHandlers() and LOG.isEnabledFor(logging.INFO)):
            self.new_bar.write(note, file=sys.stderr)

    def event(self, event: Event) -> None:
        """Shows the position after an update."""
        if self.verbose == 0:
            return
        line = f"loss {event.loss:.3f}  {event.steps_per_second:,.0f} steps/s  {_span(event.seconds_left)} left"
        epoch = f"epoch {event.epoch}/{event.epochs}"
        if self.live:
            if self.bar is None:
                form = "{desc} {bar}"
                self.bar = self.new_bar(bar_format=form, leave=self.leave, file=sys.stderr, initial=event.update)
                self.shown = event.update
            self.bar.total = event.total_updates
            self.bar.set_description_str(f"{epoch}  {line}", refresh=False)
            self.bar.update(event.update - self.shown)
            self.shown = event.update
        elif time.monotonic() - self.last >= PLAIN_SECONDS:
            self.last = time.monotonic()
            print(f"{epoch}  update {event.update:,}/{event.total_updates:,}  {line}", file=sys.stderr, flush=True)


def _span(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
