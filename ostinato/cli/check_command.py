"""Check a recipe before training: what it will build, what it costs, what it lacks."""

from pathlib import Path

import click

from ostinato.cli.options import data_root_option, json_option, note, roots, set_option, show, table


@click.command("check")
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option("--full", is_flag=True, help="Print the recipe with every default and every chosen size written out.")
@set_option
@data_root_option
@json_option
def check(recipe: Path, full: bool, sets: tuple[str, ...], data_root: str | None, as_json: bool) -> None:
    """Check RECIPE before training: parameters per part, chosen kernel, cost of one step, steps of look-ahead.

    The data are read and encoded as for training. The cost is what torch counts in the products of the first update, forward and
    backward: two operations per multiplication. Look-ahead: steps of an input to wait for before the first answer can begin.
    """
    from ostinato import api
    from ostinato.recipe.read import load

    found = api.check(load(recipe, sets), roots=roots(data_root), say=note)
    show(found, as_json, lambda: found["yaml"] if full else _text(found))


def _text(found: dict) -> str:
    rows = [
        *((f"parameters of {place}", f"{number:,}") for place, number in found["parameters"].items()),
        ("parameters in all", f"{sum(found['parameters'].values()):,}"),
        *((f"kernel of {place}", name) for place, name in found["kernels"].items()),
        (
            "one update",
            f"{found['update_steps']:,} steps, about {found['update_flops'] / 1e9:.3g} GFLOP forward and backward",
        ),
        *(
            (f"look-ahead of {name}", "the whole input" if steps is None else f"{steps} steps")
            for name, steps in found["look_ahead"].items()
        ),
    ]
    chosen = [(path, str(value), why) for path, value, why in found["chosen"]]
    lines = [f"{found['recipe']}: good", "", table(rows)]
    if chosen:
        lines += ["", "chosen from the data:", table(chosen)]
    return "\n".join([*lines, *(f"note: {one}" for one in found["notes"])])
