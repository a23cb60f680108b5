"""Train all combinations of some settings' values, and compare them with intervals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ostinato.cli.options import (
    data_root_option,
    device_option,
    json_option,
    note,
    run_option,
    seed_option,
    set_option,
    show,
    table,
)

if TYPE_CHECKING:
    from ostinato.sweeps.report import SweepReport


@click.command("sweep")
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option(
    "--over",
    "overs",
    multiple=True,
    required=True,
    metavar="PATH=V,V",
    help="A setting and its values; several: all combinations.",
)
@click.option(
    "--seeds", type=click.IntRange(min=1), default=1, show_default=True, metavar="N", help="Seeds of each combination."
)
@run_option("Folder of the runs and the table; runs/RECIPE-sweep by default.")
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, metavar="N", help="Runs at once.")
@click.option(
    "--overwrite", is_flag=True, help="Train all runs anew; otherwise finished runs are kept and stopped ones resumed."
)
@click.option(
    "--html", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write it as one page too."
)
@set_option
@seed_option
@device_option
@data_root_option
@json_option
def sweep(
    recipe: Path,
    overs: tuple[str, ...],
    seeds: int,
    out: Path | None,
    jobs: int,
    overwrite: bool,
    html: Path | None,
    sets: tuple[str, ...],
    seed: int | None,
    device: str,
    data_root: str | None,
    as_json: bool,
) -> int:
    """Train RECIPE with each value of a setting and compare cost and metrics, with intervals and paired differences.

    Example: --over inputs.text.encoder.cell=rnn,lstm,gru --over data.fraction=0.1,0.3,1 --seeds 3. Values are YAML; a
    value in brackets may have commas. DIR then holds a run folder for each combination and seed, sweep.json, sweep.md
    and pictures. The same command, called again, continues where it stopped and trains nothing twice.
    """
    from ostinato import api

    sets = (*sets, f"training.seed={seed}") if seed is not None else sets
    folder = out or Path("runs") / f"{recipe.stem}-sweep"
    report = api.sweep(
        recipe,
        overs,
        folder,
        seeds=seeds,
        jobs=jobs,
        overwrite=overwrite,
        html=html,
        sets=sets,
        device=device,
        data_root=data_root,
        say=note,
    )
    show(report.to_json(), as_json, lambda: _text(report, folder))
    return 2 if report.failed else 0


def _text(report: SweepReport, folder: Path) -> str:
    parts = [
        table([tuple(row) for row in rows], tuple(heads)) for _, heads, rows in report.tables(briefly=True) if rows
    ]
    failed = [f"{name} failed: {why}" for name, why in report.failed.items()]
    written = [f"{folder / name}" for name in ("sweep.md", "sweep.json", *report.pictures)]
    more = ["differences in the other metrics are in sweep.md"] if report.differences else []
    return "\n\n".join([*parts, "\n".join([*report.footnotes(), *more, *failed, *written])])
