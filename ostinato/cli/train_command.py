"""Train the model of a recipe, measure it and keep it as a run folder."""

from pathlib import Path

import click

from ostinato.cli.options import data_root_option, device_option, json_option, note, roots, seed_option, set_option, show


@click.command("train")
@click.argument("recipe", type=click.Path(path_type=Path))
@set_option
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="The run folder; runs/RECIPE by default.")
@click.option("--resume", is_flag=True, help="Go on where the run in the folder stopped; start it if there is none.")
@click.option("--overwrite", is_flag=True, help="Delete the run that the folder holds.")
@seed_option
@device_option
@data_root_option
@json_option
def train(
    recipe: Path,
    sets: tuple[str, ...],
    out: Path | None,
    resume: bool,
    overwrite: bool,
    seed: int | None,
    device: str,
    data_root: str | None,
    as_json: bool,
) -> None:
    """Train the model of RECIPE, measure it and keep it as a run folder."""
    from ostinato import api
    from ostinato.cli.progress import Progress, going_on
    from ostinato.recipe import load

    sets = (*sets, f"training.seed={seed}") if seed is not None else sets
    folder = out or Path("runs") / recipe.stem
    with Progress() as progress, going_on():
        found = api.train(
            load(recipe, sets),
            folder,
            resume=resume,
            overwrite=overwrite,
            device=device,
            roots=roots(data_root),
            say=note,
            on_event=progress.event,
        )
    show(found, as_json, lambda: api.text_of(found))
