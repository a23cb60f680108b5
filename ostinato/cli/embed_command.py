"""Compute the summary vectors of inputs, their nearest neighbours and a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ostinato.cli.options import device_option, json_option, note, show

if TYPE_CHECKING:
    from ostinato.probes.summaries import Embedding


@click.command("embed")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("texts", nargs=-1)
@click.option("--input", "source", metavar="FILE|-", help="One example a line, or a table with the input's column.")
@click.option("--of", metavar="INPUT", help="The input whose encoder embeds, where there are several.")
@click.option(
    "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write the vectors to a .csv or .parquet file."
)
@click.option(
    "--nearest", type=click.IntRange(min=1), metavar="N", help="The N nearest other rows of each row, by cosine."
)
@click.option("--picture", type=click.Path(path_type=Path), metavar="FILE.png", help="Draw all rows in a plane.")
@device_option
@json_option
def embed(
    run: Path,
    texts: tuple[str, ...],
    source: str | None,
    of: str | None,
    output: Path | None,
    nearest: int | None,
    picture: Path | None,
    device: str,
    as_json: bool,
) -> None:
    """Compute the summary vector of each TEXT, or of each row of --input, by the encoder of a trained RUN.

    Vectors are printed as csv, or written to --output. --nearest prints neighbours instead. --picture shows the first
    two principal components of the rows, coloured by an output's column where the table has one.
    """
    from ostinato import api
    from ostinato.probes.summaries import write_table

    if source is None and not texts:
        raise click.UsageError("give TEXT, or --input FILE, or --input - to read standard input")
    if source is not None and texts:
        raise click.UsageError("give TEXT or --input, not both")
    if output is not None and output.suffix not in (".csv", ".parquet"):
        raise click.UsageError(f"--output {output}: give a name that ends in .csv or .parquet")
    embedding = api.embed(
        run,
        list(texts) if source is None else None,
        source=source,
        of=of,
        nearest=nearest or 0,
        picture=picture,
        device=device,
    )
    if output is not None:
        rows, size = embedding.vectors.shape
        note(f"{rows:,} vectors of {size} numbers: {write_table(embedding, output)}")
    if picture is not None:
        note(f"picture: {picture}")
    if as_json or nearest is not None:
        show(embedding.to_json(), as_json, lambda: "\n".join(_lines(embedding)))
    elif output is None and picture is None:
        click.echo(write_table(embedding), nl=False)


def _lines(embedding: Embedding) -> list[str]:
    lines = []
    for number, (text, nearest) in enumerate(zip(embedding.texts, embedding.nearest), 1):
        lines.append(f"{number}\t{text}")
        lines += [f"\t{near.similarity:.3f}\t{near.row + 1}\t{embedding.texts[near.row]}" for near in nearest]
    return lines
