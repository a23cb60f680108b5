"""The join that adds."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from ostinato.encoders.contract import Encoded
from ostinato.joins._parts import at_each_step, summaries, the_one_with_steps
from ostinato.joins.contract import Join
from ostinato.registry import Count


class Add(Join):
    """Summaries in one width, added; where one input has steps, the others' summaries are added to each of them.

        summary  = sum_i V_i summary_i                        V_i only where an input is of another width
        steps[t] = V h[t] + sum_i V_i summary_i               h the steps of the only input that has some, i the others

    Where several inputs have steps, or none, it gives none.

    Shapes:
        summary (B, size); steps (N, size) in the layout of the input that has them

    Args:
        size: the common width; that of the widest input by default.

    Errors:
        ConfigError: an input that gives no summary.
    """

    def __init__(
        self, steps_sizes: Sequence[int | None], summary_sizes: Sequence[int | None], *, size: Count | None = None
    ):
        super().__init__()
        widths = summaries("add", summary_sizes)
        self.summary_size = size = size or max(widths)
        self.maps = nn.ModuleList(_map(width, size) for width in widths)
        self.place = the_one_with_steps(steps_sizes)
        self.steps_size = None if self.place is None else size
        # An input's steps may differ from its summary in width, and then need a map of their own.
        own = self.place is not None and steps_sizes[self.place] != widths[self.place]
        self.steps_map = _map(steps_sizes[self.place], size) if own else None

    def join(self, encoded: Sequence[Encoded]) -> Encoded:
        summary = _sum(self.maps, [source.summary for source in encoded])
        if self.place is None:
            return Encoded(None, summary, None)
        maps = list(self.maps)
        if self.steps_map is not None:
            maps[self.place] = self.steps_map
        return Encoded(
            encoded[self.place].steps.with_values(_sum(maps, at_each_step(encoded, self.place))), summary, None
        )


def _map(width: int, size: int) -> nn.Module:
    return nn.Identity() if width == size else nn.Linear(width, size, bias=False)


def _sum(maps: Sequence[nn.Module], parts: Sequence[Tensor]) -> Tensor:
    return sum(transform(part) for transform, part in zip(maps, parts))
