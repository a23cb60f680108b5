"""Make one run of the mean of a run's checkpoints, or of the weights of several runs."""

from pathlib import Path

import click

from ostinato.cli.options import data_root_option, device_option, json_option, note, roots, show


@click.command("average")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN...")
@click.option(
    "--run", "folder", type=click.Path(path_type=Path), metavar="DIR", help="The new run; RUN-average by default."
)
@click.option(
    "--last", type=click.IntRange(min=2), metavar="N", help="Of one RUN: its N newest checkpoints; by default all."
)
@click.option("--overwrite", is_flag=True, help="Delete the run that the folder holds.")
@data_root_option
@device_option
@json_option
def average(
    runs: tuple[Path, ...],
    folder: Path | None,
    last: int | None,
    overwrite: bool,
    data_root: str | None,
    device: str,
    as_json: bool,
) -> None:
    """Average the checkpoints of RUN, or the weights of several runs of one recipe that started from one run, and
    measure the result. Checkpoints are kept by training.keep_checkpoints."""
    from ostinato import api
    from ostinato.evaluation.report_text import text_of

    folder = folder or runs[0].with_name(f"{runs[0].name}-average")
    run = api.average(runs, folder, last=last, overwrite=overwrite, device=device)
    note(f"mean of {', '.join(run.bundle.data['averaged'])}")
    report = api.measure(run, roots=roots(data_root), say=note)
    show(report.to_json(), as_json, lambda: text_of(report, every=False))
