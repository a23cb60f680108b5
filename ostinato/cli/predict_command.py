"""Predict with a trained run: a line in, a prediction out."""

from __future__ import annotations

import mimetypes
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ostinato import files
from ostinato.cli.options import (
    device_option,
    json_option,
    language_model_option,
    language_weight_of,
    language_weight_option,
    note,
    seed_option,
    set_option,
    words_option,
)

if TYPE_CHECKING:
    from ostinato.run.run import Run

AT_ONCE = 1 << 16
"""The most bytes of sound read at once, where more have arrived than could be answered."""


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
    help="A table (csv, jsonl, parquet) of --input's columns, the answers and their probabilities; a text (txt); of"
    " drawings a picture (svg); a tune (abc, mid, wav, png); or speech (wav).",
)
@click.option("--probabilities", is_flag=True, help="In --output a column for the probability of each label.")
@click.option("--n-best", type=click.IntRange(min=1), metavar="N", help="N answers each: rank, score, text.")
@click.option(
    "--attention", type=click.Path(path_type=Path), metavar="FILE.png", help="Draw what the first answer attended to."
)
@click.option(
    "--times",
    is_flag=True,
    help="Below each answer a line per symbol: where it begins and ends, in seconds of sound or steps (head ctc).",
)
@language_model_option
@language_weight_option
@words_option
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
@click.option(
    "--temperature",
    type=click.FloatRange(min=0),
    metavar="T",
    help="Draw the answer: below 1 safer, above 1 bolder; 0: greedy.",
)
@click.option(
    "--top-p",
    type=click.FloatRange(min=0, max=1),
    metavar="P",
    help="Draw from the likeliest symbols of this share alone.",
)
@click.option(
    "--escape/--no-escape",
    default=None,
    help="Show line breaks and tabs of a text as \\n and \\t; the default with --input, whose answers are a line each.",
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
    times: bool,
    language_model: Path | None,
    language_weight: float | None,
    words: Path | None,
    stops: tuple[str, ...],
    stream: bool,
    temperature: float | None,
    top_p: float | None,
    escape: bool | None,
    sets: tuple[str, ...],
    seed: int | None,
    device: str,
    as_json: bool,
) -> None:
    """Predict with a trained RUN: each TEXT, or each line of --input, gives one line of standard output.

    With --output FILE the answers go into a table, and TEXT may be the file of --input: predict RUN TABLE --output
    FILE. Run folders before the first TEXT join the RUN as an ensemble. A generated text keeps its line breaks; several
    outputs are separated by tabs, and tabs and line breaks within an answer are then escaped. In a TEXT that the answer
    continues, \\n and \\t are a line break and a tab. Where RUN reads recordings, TEXT is the path of one, or - for raw
    sound on standard input: one channel of whole numbers of 16 bits at the run's rate. If the encoder is causal and
    the head ctc, it is answered while it arrives, and a long recording while it is read. With --json each line is one
    JSON object. Notes go to standard error.
    """
    from ostinato import api
    from ostinato.cli.reports import lines_of
    from ostinato.data.read import is_table
    from ostinato.data.write import writer_of
    from ostinato.run import follow
    from ostinato.run.answer_files import pictured, write_picture, write_predictions
    from ostinato.run.predictions import STANDARD_INPUT
    from ostinato.run.rows import file_endings
    from ostinato.run.search import sampling

    folders = [run]
    while texts and os.path.isfile(os.path.join(texts[0], "bundle.json")):  # pathlib raises on a long text
        folders.append(Path(texts[0]))
        texts = texts[1:]
    if probabilities and output is None:
        raise click.UsageError("--probabilities needs --output FILE; --json has the probability of each label too")
    if output is not None and (as_json or stream):
        raise click.UsageError("--output writes the answers into a file; leave out --json and --stream")
    if times and (output is not None or n_best or stream):
        raise click.UsageError(
            "--times follows the best answer on standard output; leave out --output, --n-best and --stream"
        )
    weight = language_weight_of(language_model, language_weight)
    if source is None and not texts:
        raise click.UsageError("give TEXT, or --input FILE, or --input - to read standard input")
    if source is not None and texts:
        raise click.UsageError("give TEXT or --input, not both")
    if stream and (len(texts) != 1 or len(folders) > 1 or n_best or attention or as_json or language_model or words):
        raise click.UsageError(
            "--stream prints the answer of one RUN to one TEXT; leave out --input, --n-best, --attention,"
            " --language-model, --words and --json"
        )
    runs = api.loaded_runs(folders, device, note)
    if output is not None and source is None and len(texts) == 1:
        # A file that is itself a value, such as a tune, is no table of rows.
        own = texts[0].lower().endswith(file_endings(runs[0]))
        if not own and (os.path.isfile(texts[0]) or is_table(texts[0])):
            (source,), texts = texts, ()
    rows, cell = None, None
    changed = stops or sets or temperature is not None or top_p is not None
    whole = changed or n_best or attention or times or language_model or words or output or as_json or len(runs) > 1
    if texts == ("-",) and follow.arriving(runs[0]):
        read, obstacle = partial(sys.stdin.buffer.read1, AT_ONCE), follow.obstacle(runs[0])
        if obstacle is None and not whole:
            if (said := follow.note_on(runs[0].recipe.settings.search, "standard input", arrives=True)) is not None:
                note(said)
            api.listen(runs[0], read, partial(click.echo, nl=False))
            click.echo()
            return
        if obstacle is not None:
            note(f"note: the answer comes after the whole recording: {obstacle}")
        rows, texts, stream, cell = [follow.arrived(runs[0], read)], (), False, STANDARD_INPUT
    elif len(texts) == 1 and not whole:
        stream = stream or follow.long_text(runs[0], texts[0])
    elif "-" in texts and follow.arriving(runs[0]):
        raise click.UsageError("- is the sound of standard input, and stands alone; leave the other texts out")
    as_picture = output is not None and pictured(runs[0], output)
    if output is not None and n_best and not as_picture:
        raise click.UsageError("--output writes the best answer of each row; leave out --n-best")
    if output is not None and not as_picture:
        _refuse_other_answers(runs[0], output)
    as_table = output is not None and not as_picture and writer_of(output, "--output") is not None
    stop = [_unescaped(text) for text in stops]
    prompts = [_unescaped(text) for text in texts] if runs[0].graph.continues else list(texts)
    sets = tuple(sampling(runs[0], sets, temperature, top_p))
    if stream:
        pieces = partial(click.echo, nl=False)
        hear = _escaped(pieces) if escape else pieces
        api.stream(runs[0], prompts[0], hear, stop=stop, sets=sets, seed=seed or 0, say=note)
        click.echo()
        return
    predictions = api.predict(
        runs,
        prompts if source is None else None,
        source=source,
        rows=rows,
        n_best=n_best,
        stop=stop,
        sets=sets,
        seed=seed or 0,
        attention=attention,
        times=times,
        language_model=language_model,
        language_weight=weight,
        words=words,
        cells=as_table or as_json,
        say=note,
    )
    if cell is not None:
        predictions = (replace(answer, cells=dict.fromkeys(answer.inputs, cell)) for answer in predictions)
    if as_picture:
        note(write_picture(runs[0], predictions, output))
        return
    if as_table:
        note(write_predictions(runs[0], predictions, output, probabilities=probabilities, source=source))
        return
    escape = source is not None if escape is None else escape
    lines = (
        line
        for prediction in predictions
        for line in (
            [files.as_json(prediction.to_json())]
            if as_json
            else lines_of(prediction, ranked=n_best is not None, escape=escape)
        )
    )
    if output is not None:
        files.write(output, "".join(f"{line}\n" for line in lines))
        note(f"{output}: the answers as text")
        return
    for line in lines:
        click.echo(line)


def _refuse_other_answers(run: Run, output: Path) -> None:
    """Refuses a file of sound or pictures for answers that are neither, or are written in other kinds."""
    from ostinato.registry import component, names
    from ostinato.run.answer_files import picture_endings

    ending, kind = output.suffix.lower(), (mimetypes.guess_type(output.name)[0] or "text/").partition("/")[0]
    types = [name for name in names("modalities") if ending in component("modalities", name).render_endings]
    # A tune in .abc is text all the same; tables are of other kinds too.
    if kind == "text" or kind == "application" and not types:
        return
    *others, last = [*picture_endings(run), ".csv", ".jsonl", ".parquet", ".txt"]
    *more, end = types or [""]
    made = f", those of type {', '.join(more)} or {end} do" if more else f", those of type {end} do" if end else ""
    raise click.UsageError(
        f"--output {output}: this run's answers make no {ending}{made}; give {', '.join(others)} or {last}"
    )


def _unescaped(text: str) -> str:
    return text.replace("\\n", "\n").replace("\\t", "\t")


def _escaped(hear: Callable[[str], None]) -> Callable[[str], None]:
    """Passes on pieces of a text with their line breaks and tabs escaped."""
    return lambda piece: hear(piece.replace("\n", "\\n").replace("\t", "\\t"))
