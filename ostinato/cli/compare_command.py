"""Compare two runs on the same examples and test whether the difference is real."""

from __future__ import annotations

from pathlib import Path

import click

from ostinato.cli.options import data_root_option, device_option, json_option, note, roots, show, table


@click.command("compare")
@click.argument("first", type=click.Path(path_type=Path))
@click.argument("second", type=click.Path(path_type=Path))
@click.option("--split", type=click.Choice(["valid", "test"]), help="test if there is one, else valid.")
@click.option("--data", metavar="FILE", help="Other rows with the same columns.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write it as one page.")
@data_root_option
@device_option
@json_option
def compare(
    first: Path,
    second: Path,
    split: str | None,
    data: str | None,
    html: Path | None,
    data_root: str | None,
    device: str,
    as_json: bool,
) -> None:
    """Compare RUN and RUN by a paired bootstrap over the same examples."""
    from ostinato import api
    from ostinato.reporting.comparison import HEADS, rows_of

    comparison = api.compare(
        first, second, split=split, data=data, html=html, roots=roots(data_root), device=device, say=note
    )
    basis = f"{comparison.examples:,} examples of {comparison.split}; {comparison.method}"
    lines = [table(rows_of(comparison), HEADS), *comparison.notes, basis]
    show(comparison.to_json(), as_json, lambda: "\n".join(lines))
