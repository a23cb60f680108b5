"""Write all that is known of a run as one HTML page: data, results, errors, a look inside, costs."""

from pathlib import Path

import click

from ostinato.cli.options import data_root_option, device_option, json_option, note, roots, show


@click.command("report")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="By default RUN/report.html."
)
@click.option("--example", "examples", multiple=True, metavar="TEXT", help="Look into this text too; several times.")
@click.option("--split", type=click.Choice(["valid", "test"]), help="test if there is one, else valid.")
@click.option("--data", metavar="FILE", help="Other rows with the same columns.")
@click.option("--by", metavar="COLUMN", help="Measure each value of this column by itself too.")
@data_root_option
@device_option
@json_option
def report(
    run: Path,
    output: Path | None,
    examples: tuple[str, ...],
    split: str | None,
    data: str | None,
    by: str | None,
    data_root: str | None,
    device: str,
    as_json: bool,
) -> None:
    """Write one HTML file about RUN that opens anywhere without a network: the task, the data, results beside
    baselines, the worst errors, examples with what the model attends to, what probes see, and what it costs."""
    from ostinato import api

    result = api.report(
        run, output, examples=examples, split=split, data=data, by=by, roots=roots(data_root), device=device, say=note
    )
    show(result, as_json, lambda: f"report: {result['file']} ({result['bytes'] / 1e6:.2f} MB)")
