"""Show what a run gets wrong on held-out rows, and labels that are likely wrong in the data."""

from pathlib import Path

import click

from ostinato.cli.options import data_root_option, device_option, json_option, note, roots, show


@click.command("errors")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--top", type=click.IntRange(min=1), default=20, show_default=True, metavar="N", help="Rows to show.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="All held-out rows as a table (csv, jsonl, parquet), with answers, losses and likely labels.",
)
@click.option("--split", type=click.Choice(["valid", "test"]), help="test if there is one, else valid.")
@click.option("--data", metavar="FILE", help="Other rows with the same columns.")
@data_root_option
@device_option
@json_option
def errors(
    run: Path,
    top: int,
    output: Path | None,
    split: str | None,
    data: str | None,
    data_root: str | None,
    device: str,
    as_json: bool,
) -> None:
    """Show the held-out rows that RUN predicts worst, rows whose label is likely wrong, and labels written almost
    alike: errors of the data are worth more than another model."""
    from ostinato import api
    from ostinato.cli.reports import error_lines

    report = api.errors(run, split=split, data=data, roots=roots(data_root), output=output, device=device, say=note)
    show(report.to_json(top), as_json, lambda: "\n".join(error_lines(report, top)))
