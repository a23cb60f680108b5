"""Train the model of a recipe, evaluate it and keep it as a run folder."""

import os
from dataclasses import asdict
from pathlib import Path

import click

from ostinato.cli.options import (
    data_root_option,
    device_option,
    forecast_option,
    json_option,
    note,
    one_source,
    roots,
    seed_option,
    set_option,
    show,
    verbose_option,
    with_forecast,
    with_one,
)


@click.command("train", cls=with_one(one_source))
@click.argument("recipe", type=click.Path(path_type=Path), metavar="RECIPE|DATA")
@set_option
@click.option(
    "--in", "inputs", multiple=True, metavar="COLUMN[:TYPE]", help="Of DATA: an input; all other columns by default."
)
@click.option(
    "--out",
    "outs",
    multiple=True,
    metavar="DIR|COLUMN[:TYPE]",
    help="Of DATA: an output; by default the last. Of a RECIPE: the run folder, as --run.",
)
@forecast_option
@click.option(
    "--run", "folder", type=click.Path(path_type=Path), metavar="DIR", help="The run folder; runs/NAME by default."
)
@click.option(
    "--resume", is_flag=True, help="Continue the run in the folder where it stopped; start it if there is none."
)
@click.option("--overwrite", is_flag=True, help="Delete the run that the folder holds.")
@click.option(
    "--examples",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Keep what the metrics are computed from, example by example.",
)
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, min_open=True),
    metavar="N",
    help="Be done in so many minutes on this machine: epochs, updates and validations are chosen to fit.",
)
@click.option(
    "--effort",
    type=click.IntRange(1, 5),
    default=1,
    show_default=True,
    metavar="N",
    help="From 2 on other models are tried too, within --minutes; the best, or an ensemble of them, is kept.",
)
@click.option(
    "--from",
    "earlier",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Start from this run: its settings, vocabularies and weights, where types agree; a table is read as there.",
)
@click.option(
    "--allow-download", is_flag=True, help="Pretrained encoders that no folder holds may be fetched from Hugging Face."
)
@seed_option
@device_option
@data_root_option
@verbose_option
@json_option
def train(
    recipe: Path,
    sets: tuple[str, ...],
    inputs: tuple[str, ...],
    outs: tuple[str, ...],
    ahead: str | None,
    folder: Path | None,
    resume: bool,
    overwrite: bool,
    examples: Path | None,
    minutes: float | None,
    effort: int,
    earlier: Path | None,
    allow_download: bool,
    seed: int | None,
    device: str,
    data_root: str | None,
    verbose: bool,
    as_json: bool,
) -> None:
    """Train the model of RECIPE, evaluate it and keep it as a run folder.

    DATA is a table, or text with an example a line: columns and types that --in and --out leave open are inferred from
    its first rows and printed with the reason. `ostinato init` writes the same recipe to a file.
    """
    from ostinato import api, files
    from ostinato.cli.following import Command, next_command
    from ostinato.cli.progress import resumable
    from ostinato.cli.reports import tried_lines, verdict_lines
    from ostinato.data.read import as_columns, is_data
    from ostinato.evaluation.report_text import text_of
    from ostinato.files import as_json as as_json_text
    from ostinato.recipe.infer import recipe_of
    from ostinato.recipe.read import load
    from ostinato.run.transfer import earlier_columns
    from ostinato.training.progress import Progress

    is_recipe = not inputs and ahead is None and not is_data(str(recipe))
    outs = with_forecast(outs, ahead)
    if is_recipe and (len(outs) > 1 or (outs and folder)):
        raise click.UsageError("--out and --run name one run folder; of a recipe's run give one of them, once")
    if is_recipe and outs:
        folder = Path(outs[0])
        note("note: with a recipe --out names the run folder, as --run does in any case")
    all_sets = (*sets, f"training.seed={seed}") if seed is not None else sets
    if allow_download:
        os.environ[files.ALLOW_DOWNLOAD] = "1"
    if earlier is not None:
        all_sets = (*all_sets, f"from.run={as_json_text(str(earlier.resolve()))}")
    named = as_columns(str(recipe))
    file = recipe if isinstance(named, str) else Path([*named.values()][-1])
    folder = folder or Path("runs") / (file.stem if is_recipe else file.name.split(".")[0])
    checked = (
        load(recipe, all_sets)
        if is_recipe
        else recipe_of(
            str(recipe),
            inputs,
            outs,
            sets=all_sets,
            roots=roots(data_root),
            say=note,
            earlier=None if earlier is None else earlier_columns(earlier, folder if resume else None),
        )
    )
    for line in () if is_recipe else api.label_notes(str(recipe), checked, roots=roots(data_root)):
        note(f"note: {line}")
    with Progress(3 if verbose else 2) as progress, resumable():
        run = api.fit(
            checked,
            folder,
            resume=resume,
            overwrite=overwrite,
            device=device,
            roots=roots(data_root),
            minutes=minutes,
            effort=effort,
            say=progress.say,
            on_event=progress.event,
        )
        report = api.measure(run, roots=roots(data_root), examples=examples, say=progress.say)
    verdict, curve, portfolio = api.verdict(run, report), api.curve_of(run), api.portfolio(run)
    command = Command(
        str(recipe),
        inputs,
        () if is_recipe else outs,
        sets,
        folder,
        minutes=minutes,
        seed=seed,
        data_root=data_root,
        earlier=earlier,
    )
    following = None if verdict is None else next_command(command, verdict, run)
    result = report.to_json()
    if verdict is not None:
        result |= {"verdict": verdict.lines, "next": following}
    result |= {"training": asdict(curve)} if curve is not None else {}
    result |= {"effort": asdict(portfolio)} if portfolio is not None else {}
    parts = [*tried_lines(portfolio), text_of(report, every=False), *verdict_lines(verdict, following)]
    show(result, as_json, lambda: "\n".join(parts))
