"""Look at data before training: columns, lengths, scripts, and what to mend."""

from dataclasses import asdict

import click

from ostinato.cli.options import data_root_option, json_option, one_source, roots, set_option, show, with_one


@click.command("look", cls=with_one(one_source))
@click.argument("data")
@click.option("--out", "outputs", multiple=True, metavar="COLUMN", help="The labels; the last column by default.")
@set_option
@data_root_option
@json_option
def look(data: str, outputs: tuple[str, ...], sets: tuple[str, ...], data_root: str | None, as_json: bool) -> None:
    """Look at the first rows of DATA: what each column is, and what to mend before training.

    Told are labels that are written almost alike, occur once or make up most rows, columns that are ids or give the
    answer away, and rows that occur twice. `ostinato train DATA` tells the same of its labels. How DATA is written is
    set as in a recipe: --set data.header=3.
    """
    from ostinato import api

    found = api.look(data, outputs, sets=sets, roots=roots(data_root))
    show(asdict(found), as_json, lambda: "\n".join(found.lines()))
