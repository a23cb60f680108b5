"""Predict with a trained run: a line in, a prediction out."""

import os
from pathlib import Path

import click

from ostinato.cli.options import device_option, json_option, note, seed_option, set_option
from ostinato.files import as_json as as_json_text


@click.command("predict")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("texts", nargs=-1)
@click.option(
    "--input",
    "source",
    metavar="FILE|-",
    help="One example a line, or a table (csv, tsv, jsonl, parquet) with the inputs' columns.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write a table (csv, jsonl, parquet): the columns of --input, the answers and their probabilities.",
)
@click.option("--probabilities", is_flag=True, help="In --output a column for the probability of each label.")
@click.option("--n-best", type=click.IntRange(min=1), metavar="N", help="N answers each: rank, score, text.")
@click.option(
    "--attention", type=click.Path(path_type=Path), metavar="FILE.png", help="Draw what the first answer attended to."
)
@click.option(
    "--stop",
    "stops",
    multiple=True,
    metavar="TEXT",
    help="End the answer before TEXT, in which \\n and \\t are a line break and a tab; for several give it again.",
)
@click.option(
    "--stream", is_flag=True, help="Print the answer to one TEXT while it is generated (search greedy or sample)."
)
@set_option
@seed_option
@device_option
@json_option
def predict(
    run: Path,
    texts: tuple[str, ...],
    source: str | None,
    output: Path | None,
    probabilities: bool,
    n_best: int | None,
    attention: Path | None,
    stops: tuple[str, ...],
    stream: bool,
    sets: tuple[str, ...],
    seed: int | None,
    device: str,
    as_json: bool,
) -> None:
    """Predict with a trained RUN: each TEXT, or each line of --input, gives one line of standard output.

    With --output FILE the answers go into a table, and TEXT may be the file of --input: predict RUN TABLE --output
    FILE. Run folders before the first TEXT join the RUN as an ensemble. Several outputs are separated by tabs; tabs and
    line breaks within an answer are escaped. With --json each line is one JSON object. Notes go to standard error.
    """
    from ostinato import api
    from ostinato.cli.reports import lines_of
    from ostinato.data.write import writer_of

    folders = [run]
    while texts and os.path.isfile(os.path.join(texts[0], "bundle.json")):  # pathlib raises on a long text
        folders.append(Path(texts[0]))
        texts = texts[1:]
    if output is not None and source is None and len(texts) == 1 and os.path.isfile(texts[0]):
        (source,), texts = texts, ()
    if probabilities and output is None:
        raise click.UsageError("--probabilities needs --output FILE; --json has the probability of each label too")
    if output is not None and (n_best or as_json or stream):
        raise click.UsageError("--output writes the best answer of each row; leave out --n-best, --json and --stream")
    if source is None and not texts:
        raise click.UsageError("give TEXT, or --input FILE, or --input - to read standard input")
    if source is not None and texts:
        raise click.UsageError("give TEXT or --input, not both")
    stop = [text.replace("\\n", "\n").replace("\\t", "\t") for text in stops]
    if stream:
        if len(texts) != 1 or len(folders) > 1 or n_best or attention or as_json:
            raise click.UsageError(
                "--stream prints the answer of one RUN to one TEXT; leave out --input, --n-best, --attention and --json"
            )
        api.stream(
            run,
            texts[0],
            lambda piece: click.echo(piece, nl=False),
            stop=stop,
            sets=sets,
            seed=seed or 0,
            device=device,
        )
        click.echo()
        return
    if output is not None:
        writer_of(output, "--output")
    runs = api.loaded_runs(folders, device, note)
    predictions = api.predict(
        runs,
        list(texts) if source is None else None,
        source=source,
        n_best=n_best,
        stop=stop,
        sets=sets,
        seed=seed or 0,
        attention=attention,
        cells=output is not None,
        say=note,
    )
    if output is not None:
        note(api.write_predictions(runs[0], predictions, output, probabilities=probabilities))
        return
    for prediction in predictions:
        for line in (
            [as_json_text(prediction.to_json())] if as_json else lines_of(prediction, ranked=n_best is not None)
        ):
            click.echo(line)
