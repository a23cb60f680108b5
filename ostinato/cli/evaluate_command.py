"""Measure a run on held-out rows: every metric with a 95 % interval."""

from pathlib import Path

import click

from ostinato.cli.options import (
    data_root_option,
    device_option,
    json_option,
    language_model_option,
    language_weight_of,
    language_weight_option,
    note,
    roots,
    set_option,
    show,
    words_option,
)


@click.command("evaluate")
@click.argument("runs", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--split", type=click.Choice(["valid", "test"]), help="test if there is one, else valid.")
@click.option("--data", metavar="FILE", help="Other rows with the same columns.")
@click.option("--by", metavar="COLUMN", help="Measure each value of this column by itself too, the worst first.")
@click.option(
    "--origins", type=click.IntRange(min=2), metavar="N", help="Of forecasts: a backtest from N origins in the split."
)
@click.option(
    "--swap",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Two words a line (he,she): how often the answer flips when they are swapped.",
)
@click.option("--all", "every", is_flag=True, help="All metrics; else the main one of each output.")
@language_model_option
@language_weight_option
@words_option
@set_option
@data_root_option
@device_option
@json_option
def evaluate(
    runs: tuple[Path, ...],
    split: str | None,
    data: str | None,
    by: str | None,
    origins: int | None,
    swap: Path | None,
    every: bool,
    language_model: Path | None,
    language_weight: float | None,
    words: Path | None,
    sets: tuple[str, ...],
    data_root: str | None,
    device: str,
    as_json: bool,
) -> None:
    """Measure RUN on held-out rows: the main metric of each output with a 95 % interval beside baselines, each label by
    itself. --all and --json have every metric. Several RUNS are measured as an ensemble."""
    from ostinato import api
    from ostinato.evaluation.report_text import text_of

    report = api.evaluate(
        runs,
        split=split,
        data=data,
        by=by,
        origins=origins,
        swap=swap,
        language_model=language_model,
        language_weight=language_weight_of(language_model, language_weight),
        words=words,
        sets=sets,
        roots=roots(data_root),
        device=device,
        say=note,
    )
    show(report.to_json(), as_json, lambda: text_of(report, every))
