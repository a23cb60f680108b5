"""The errors that Ostinato raises on purpose; each names the place, the value, what is allowed and what to do next."""

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

LONGEST_QUOTE = 80
"""Characters of a text in a message."""
TRAIN_AGAIN = "train again with a lower training.optimizer.learning_rate"
"""What to do where a training diverged."""


class OstinatoError(Exception):
    """An error in what the user gave; the command line prints it without a traceback and exits 2.

    OstinatoError
    ├── ConfigError   a recipe, an option or an argument: unknown, of the wrong type, or impossible together
    ├── DataError     a file, a column, a line or an example
    ├── BundleError   a trained model or a checkpoint: missing, damaged, or of another version
    └── KernelError   a forced kernel that cannot be used

    Any other exception is a defect of Ostinato or of the machine and keeps its traceback.
    """


class ConfigError(OstinatoError):
    """A recipe, an option or an argument is unknown, of the wrong type, or impossible in this combination."""


class DataError(OstinatoError):
    """A file, a column, a line or an example cannot be used as it is."""


class BundleError(OstinatoError):
    """A trained model or a checkpoint is missing, damaged, or was written by another version."""


class KernelError(OstinatoError):
    """A forced kernel cannot be used on this machine or for this shape."""


@contextmanager
def placed(place: str) -> Iterator[None]:
    """Refusals of settings with their place in the recipe in front."""
    try:
        yield
    except ConfigError as why:
        raise ConfigError(f"{place}: {why}") from None


def closest(given: str, allowed: Iterable[str]) -> str:
    """The end of a sentence that names the closest allowed word, `; did you mean 'gru'?`; or nothing."""
    close = difflib.get_close_matches(given, sorted(allowed), n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else ""


def nearest(given: str, allowed: Iterable[str]) -> str:
    """The same, and all allowed words: `; did you mean 'gru'? allowed here: gru, lstm`."""
    names = sorted(allowed)
    hint = closest(given, names)
    return f"{hint}{';' if not hint else ''} allowed here: {', '.join(names)}" if names else hint


def quoted(field: str) -> str:
    """A text that a user gave, for a message: how it begins."""
    return repr(field if len(field) <= LONGEST_QUOTE else f"{field[:LONGEST_QUOTE]}...")


def shown(raw: Any) -> str:
    """A raw value of the wrong kind, for a message: its kind and how it begins."""
    return "a missing value" if raw is None else f"{type(raw).__name__} {repr(raw)[:40]}"
