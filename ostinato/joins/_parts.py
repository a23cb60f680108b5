"""What joins of summaries share: which widths there are, and the one input whose steps take the others along."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ostinato.encoders.contract import Encoded
from ostinato.errors import ConfigError


def summaries(join: str, sizes: Sequence[int | None]) -> list[int]:
    """The widths of all summaries.

    Errors:
        ConfigError: an input gives none.
    """
    if None in sizes:
        raise ConfigError(
            f"{join}: input {list(sizes).index(None) + 1} of {len(sizes)} gives no summary;"
            " choose another encoder for it, or leave it out of `reads`"
        )
    return list(sizes)


def the_one_with_steps(steps_sizes: Sequence[int | None]) -> int | None:
    """The place of the input that gives steps where it is the only one."""
    places = [place for place, size in enumerate(steps_sizes) if size is not None]
    return places[0] if len(places) == 1 else None


def at_each_step(encoded: Sequence[Encoded], place: int) -> list[Tensor]:
    """The steps of one input and, beside each, the summaries of the others: (N, width) each."""
    rows = encoded[place].steps.layout.rows
    return [
        source.steps.values if k == place else source.summary.index_select(0, rows) for k, source in enumerate(encoded)
    ]
