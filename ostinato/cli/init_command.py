"""Infer a commented recipe from a data file."""

from pathlib import Path

import click

from ostinato.cli.options import (
    data_root_option,
    forecast_option,
    json_option,
    note,
    one_source,
    roots,
    set_option,
    show,
    with_forecast,
    with_one,
)


@click.command("init", cls=with_one(one_source))
@click.argument("data")
@click.option("--in", "inputs", multiple=True, metavar="COLUMN[:TYPE]", help="An input; all other columns by default.")
@click.option("--out", "outputs", multiple=True, metavar="COLUMN[:TYPE]", help="An output; the last column by default.")
@forecast_option
@set_option
@click.option(
    "--recipe",
    "file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the recipe there; an existing file is refused.",
)
@data_root_option
@json_option
def init(
    data: str,
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
    ahead: str | None,
    sets: tuple[str, ...],
    file: Path | None,
    data_root: str | None,
    as_json: bool,
) -> None:
    """Infer a commented recipe from DATA: which columns, of which types, and why.

    What --in and --out leave open is inferred from the first rows. Each choice is printed on standard error with its
    reason and, where it is uncertain, the alternative. The recipe goes to standard output, or to --recipe FILE. How
    DATA is written is set as in a recipe: --set data.header=3.
    """
    from ostinato import api

    text = api.init(data, inputs, with_forecast(outputs, ahead), sets=sets, file=file, roots=roots(data_root), say=note)
    if file is not None:
        note(f"next: ostinato train {file}")
    if file is None or as_json:
        show({"recipe": text, "file": None if file is None else str(file)}, as_json, lambda: text.rstrip("\n"))
