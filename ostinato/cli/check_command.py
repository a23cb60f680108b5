"""Check a recipe before training: what it will build and what it costs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ostinato.cli.options import data_root_option, json_option, note, roots, set_option, show, table
from ostinato.cli.reports import short
from ostinato.recipe.yaml_text import flow

if TYPE_CHECKING:
    from ostinato.run.check import Check

WIDEST = 60
"""Characters of a value in the table; `--full` prints the whole."""


@click.command("check")
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option("--full", is_flag=True, help="Print the recipe with every default and every chosen size written out.")
@set_option
@data_root_option
@json_option
def check(recipe: Path, full: bool, sets: tuple[str, ...], data_root: str | None, as_json: bool) -> None:
    """Check RECIPE before training: parameters per part, chosen kernel, cost of one step, steps of look-ahead.

    The data are read and encoded as for training. The cost counts the matrix products of the first update, forward and
    backward: two operations per multiplication. Look-ahead is the number of input steps needed before the first answer.
    """
    from ostinato import api
    from ostinato.recipe.read import load

    result = api.check(load(recipe, sets), roots=roots(data_root), say=note)
    show(result.to_json(), as_json, lambda: result.yaml if full else _text(result))


def _text(result: Check) -> str:
    rows = [
        *((f"parameters of {place}", f"{number:,}") for place, number in result.parameters.items()),
        ("parameters in all", f"{sum(result.parameters.values()):,}"),
        *((f"kernel of {place}", name) for place, name in result.kernels.items()),
        (
            "one update",
            f"{result.update_steps:,} steps, about {result.update_flops / 1e9:.3g} GFLOP forward and backward",
        ),
        *(
            (
                f"look-ahead of {name}",
                "the whole input"
                if steps is None
                else f"{steps} steps{'' if seconds is None else f', {1000 * seconds:.0f} ms'}",
            )
            for (name, steps), seconds in zip(result.look_ahead.items(), result.look_ahead_seconds.values())
        ),
    ]
    chosen = [(path, short(flow(value), WIDEST), why) for path, value, why in result.chosen]
    lines = [f"{result.recipe}: good", "", table(rows)]
    if chosen:
        lines += ["", "chosen from the data:", table(chosen)]
    return "\n".join([*lines, *(f"note: {note}" for note in result.notes)])
