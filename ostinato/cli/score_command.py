"""Print the log-probability of given outputs, for example to rescore candidates."""

from pathlib import Path

import click

from ostinato.cli.options import device_option, json_option, show


@click.command("score")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--input", "source", required=True, metavar="FILE", help="A table or JSONL with the inputs' and outputs' columns."
)
@device_option
@json_option
def score(run: Path, source: str, device: str, as_json: bool) -> None:
    """Print the natural log-probability of the outputs given in FILE, one line a row, outputs separated by tabs."""
    from ostinato import api

    scores = api.score(run, source, device=device)
    lines = zip(
        *(["" if value is None else f"{value:.6f}" for value in column.log_probability] for column in scores.values())
    )
    plain = {output: column.to_json() for output, column in scores.items()}
    show({"outputs": plain}, as_json, lambda: "\n".join("\t".join(line) for line in lines))
