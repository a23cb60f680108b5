"""Make a run of a model that another tool trained."""

from pathlib import Path

import click

from ostinato.cli.options import json_option, note, run_option, show


@click.command("import")
@click.argument("source", type=click.Path(path_type=Path), metavar="FOLDER")
@run_option("The new run; runs/FOLDER by default.")
@click.option("--format", "format", metavar="TOOL", help="The tool: a name that `ostinato list importers` shows.")
@click.option("--overwrite", is_flag=True, help="Delete the run that the folder holds.")
@json_option
def import_(source: Path, out: Path | None, format: str | None, overwrite: bool, as_json: bool) -> None:
    """Make a run of the model in FOLDER, which another tool trained (`ostinato list importers`); its outputs are equal.
    Nothing is unpickled."""
    from ostinato import api

    out = out or Path("runs") / source.resolve().name
    run = api.import_model(source, out, format=format, overwrite=overwrite, say=note)
    plain = {"run": str(out), "model": run.described(), "notes": run.bundle.data["notes"]}
    show(plain, as_json, run.described)
