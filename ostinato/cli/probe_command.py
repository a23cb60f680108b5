"""Look into a model: how far back its gradients reach."""

from __future__ import annotations

import inspect
import os
import re
from pathlib import Path
from typing import Any

import click

from ostinato.cli.options import (
    data_root_option,
    device_option,
    json_option,
    note,
    roots,
    set_option,
    show,
    whole_numbers,
)
from ostinato.errors import nearest
from ostinato.registry import component, keyword_only, names, summaries


class Probes(click.Group):
    """A command for each member of the room `probes`, with an option for each of its settings."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(names("probes"))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Probes"):
            formatter.write_dl(list(summaries("probes").items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in names("probes"):
            raise click.UsageError(
                f"there is no probe '{args[0]}'{nearest(args[0], names('probes'))}; write ostinato probe PROBE SOURCE"
            )
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in names("probes"):
            return None
        return click.Command(
            name,
            callback=_look,
            params=[*_common.params, *_settings(name)],
            help=f"{summaries('probes')[name]}\n\nSOURCE is the folder of a run, or a recipe, whose model is looked at "
            "before training. Nothing of it changes.",
        )


def _settings(name: str) -> list[click.Option]:
    """The options of a probe's own settings; what they allow is checked where the probe is made."""
    cls = component("probes", name)
    told = dict(re.findall(r"^    (\w+): (.+)$", inspect.getdoc(cls) or "", re.MULTILINE))
    return [
        click.Option(
            [f"--{parameter.name.replace('_', '-')}", parameter.name],
            type=type(parameter.default),
            default=parameter.default,
            show_default=True,
            help=told.get(parameter.name),
            expose_value=False,
            callback=_keep,
        )
        for parameter in keyword_only(cls)
    ]


def _keep(context: click.Context, option: click.Parameter, value: Any) -> None:
    """Among the settings of the probe, which are the context's object."""
    context.ensure_object(dict)[option.name] = value


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--at", type=click.Choice(["start", "end"]), help="Weights of the seed, or those that were trained.")
@click.option(
    "--epochs",
    callback=whole_numbers,
    metavar="A,B",
    help="Of a recipe: train it, and look after each of these epochs (0: before); the run is not kept.",
)
@click.option(
    "--rows", type=click.IntRange(min=1), metavar="N", help="Examples read; by default as many as the probe needs."
)
@click.option("--steps", type=click.IntRange(min=1), default=256, show_default=True, metavar="N", help="The longest.")
@click.option("--split", type=click.Choice(["train", "valid", "test"]), help="test if there is one, else valid.")
@click.option("--data", metavar="FILE", help="Other rows with the same columns.")
@click.option("--picture", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.png", help="Draw it.")
@set_option
@data_root_option
@device_option
@json_option
def _common() -> None:
    """What every probe takes."""


def _look(
    source: Path,
    at: str | None,
    epochs: list[int] | None,
    rows: int | None,
    steps: int,
    split: str | None,
    data: str | None,
    picture: Path | None,
    sets: tuple[str, ...],
    data_root: str | None,
    device: str,
    as_json: bool,
) -> None:
    from ostinato import api
    from ostinato.recipe.read import load

    if sets and os.path.isdir(source):
        raise click.UsageError("--set changes a recipe; the settings of a trained run cannot change; leave it out")
    context = click.get_current_context()
    if epochs is not None:
        if os.path.isdir(source) or at is not None or data is not None or split not in (None, "valid"):
            raise click.UsageError(
                "--epochs trains a recipe and looks at its validation rows; give a recipe, and leave out --at, --data"
                " and --split"
            )
        findings = api.probe_course(
            load(source, (*sets, "training.keep_best=false")),
            str(context.info_name),
            epochs,
            rows=rows,
            steps=steps,
            picture=picture,
            options=context.obj,
            roots=roots(data_root),
            device=device,
            say=note,
        )
        plain = {str(epoch): finding.to_json() for epoch, finding in findings.items()}
        show(plain, as_json, lambda: "\n".join(f"epoch {epoch}: {seen.title}" for epoch, seen in findings.items()))
        return
    finding = api.probe(
        source if os.path.isdir(source) else load(source, sets),
        str(context.info_name),
        at=at,
        rows=rows,
        steps=steps,
        split=split,
        data=data,
        picture=picture,
        options=context.obj,
        roots=roots(data_root),
        device=device,
        say=note,
    )
    show(finding.to_json(), as_json, lambda: "\n".join(finding.lines()))


@click.group("probe", cls=Probes)
def probe() -> None:
    """Look into a trained model, or one as it is before training. Nothing of it changes."""
