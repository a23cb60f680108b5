"""The plainest join: summaries side by side, steps one input after the other."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ostinato.encoders.contract import Encoded
from ostinato.errors import ConfigError
from ostinato.joins.contract import Join
from ostinato.steps import Layout, Steps


class Concatenate(Join):
    """Several inputs as one: summaries side by side, steps of each row one input after the other.

        summary = [summary_1; ...; summary_n]
        steps   = steps_1 of the row, then steps_2 of the row, ...   so that one attention weighs all of them together

    Shapes:
        summary (B, sum of widths); steps (N_1 + ... + N_n, width)

    Errors:
        ConfigError: inputs with steps of different widths.
    """

    def __init__(self, steps_sizes: Sequence[int | None], summary_sizes: Sequence[int | None]):
        super().__init__()
        widths = {size for size in steps_sizes if size is not None}
        if len(widths) > 1:
            raise ConfigError(
                f"concatenate: the inputs' steps are {', '.join(map(str, sorted(widths)))} wide; give their encoders "
                "one width, or leave the join out so that each input is attended to on its own"
            )
        self.steps_size = next(iter(widths), None)
        self.summary_size = sum(size or 0 for size in summary_sizes) or None

    def join(self, encoded: Sequence[Encoded]) -> Encoded:
        summaries = [source.summary for source in encoded if source.summary is not None]
        steps = [source.steps for source in encoded if source.steps is not None]
        return Encoded(_in_turn(steps) if steps else None, torch.cat(summaries, 1) if summaries else None, None)


def _in_turn(parts: Sequence[Steps]) -> Steps:
    layouts = [part.layout for part in parts]
    lengths = torch.stack([layout.lengths for layout in layouts])
    layout = Layout(lengths.sum(0), layouts[0].device)
    starts = layout.offsets[:-1] + torch.cumsum(lengths, 0) - lengths
    places = [start.to(each.device).index_select(0, each.rows) + each.positions for start, each in zip(starts, layouts)]
    values = torch.cat([part.values for part in parts])
    return Steps(torch.empty_like(values).index_copy(0, torch.cat(places), values), layout)
