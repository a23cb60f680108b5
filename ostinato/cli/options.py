"""Options that several commands share, and how results are printed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ostinato.files import as_json as as_json_text
from ostinato.notes import Detail

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object in place of text.")
data_root_option = click.option(
    "--data-root",
    envvar="OSTINATO_DATA",
    metavar="DIR",
    help=f"Folder that holds the data sets' folders; several separated by '{os.pathsep}'. Also OSTINATO_DATA.",
)
device_option = click.option(
    "--device", default="auto", show_default=True, metavar="D", help="cpu, cuda, cuda:1 ..., or auto."
)
forecast_option = click.option(
    "--forecast",
    "ahead",
    metavar="COLUMN",
    help="Of DATA by date: forecast this column, as --out COLUMN:series.",
)
seed_option = click.option("--seed", type=int, metavar="N", help="Seed of everything random; the recipe's by default.")
set_option = click.option(
    "--set", "sets", multiple=True, metavar="PATH=VALUE", help="Change a setting, such as training.epochs=5."
)
LANGUAGE_WEIGHT = 0.5


def language_weight_of(model: Path | None, weight: float | None) -> float:
    """The weight of a language model, which is none without one."""
    if weight is not None and model is None:
        raise click.UsageError("--language-weight is that of --language-model RUN; name one, or leave it out")
    return LANGUAGE_WEIGHT if weight is None else weight


language_model_option = click.option(
    "--language-model",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="A run that continues texts, which judges the symbols of the answer too.",
)
language_weight_option = click.option(
    "--language-weight",
    type=click.FloatRange(min=0),
    metavar="W",
    help=f"What its log-probabilities are multiplied by.  [default: {LANGUAGE_WEIGHT}]",
)
words_option = click.option(
    "--words",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A text file of words: generated answers hold no others.",
)


verbose_option = click.option(
    "--verbose", is_flag=True, help="Print every setting that was chosen, with its reason, and each step of the work."
)


def with_one(advice: Callable[[list[str]], str]) -> type[click.Command]:
    """A command of one argument: where more are given it says what to do with them.

    Args:
        advice: of the further arguments.
    """

    class WithOne(click.Command):
        allow_extra_args = True

        def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
            rest = super().parse_args(ctx, args)
            if ctx.args:
                raise click.UsageError(advice(ctx.args), ctx)
            return rest

    return WithOne


def one_source(further: list[str]) -> str:
    """What to do where a command gets several files of data."""
    return (
        f"{' '.join(further)}: one file or recipe at a time; name files whose lines belong together in one argument:"
        " '{en: train.en, de: train.de}'; several tables are rows of one as a list in a recipe: data: {train: [a.csv,"
        " b.csv]}"
    )


def run_option(help: str) -> Callable[[Any], Any]:
    """Where a command that makes runs puts them; `--out` is what people typed before."""
    return click.option("--run", "--out", "out", type=click.Path(path_type=Path), metavar="DIR", help=help)


def whole_numbers(_: click.Context, option: click.Parameter, text: str | None) -> list[int] | None:
    """The numbers of an option that takes several, with commas."""
    try:
        return None if text is None else [int(number) for number in text.split(",")]
    except ValueError:
        raise click.BadParameter(f"{text}: whole numbers with commas, such as 1,2,4", param=option) from None


def roots(text: str | None) -> list[Path]:
    """The folders that --data-root names."""
    return [Path(root) for root in (text or "").split(os.pathsep) if root]


def with_forecast(outputs: tuple[str, ...], column: str | None) -> tuple[str, ...]:
    """The values of --out, with that of --forecast."""
    return outputs if column is None else (*outputs, f"{column}:series")


def show(result: Any, as_json: bool, text: Callable[[], str]) -> None:
    """Prints a result on standard output, as JSON or as text."""
    click.echo(as_json_text(result) if as_json else text())


def note(text: str) -> None:
    """Progress and notes go to standard error, so that standard output holds the result alone."""
    if not isinstance(text, Detail):
        click.echo(text, err=True)


def table(rows: list[tuple[str, ...]], heads: tuple[str, ...] = ()) -> str:
    """Columns aligned with spaces."""
    shown = [heads, *rows] if heads else rows
    widths = [max(len(row[place]) for row in shown) for place in range(len(shown[0]))] if shown else []
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in shown)
