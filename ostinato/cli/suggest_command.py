"""Suggest the likeliest next words and completions of a text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ostinato.cli.options import device_option, json_option, show

if TYPE_CHECKING:
    from ostinato.run.predictions import Suggestions


@click.command("suggest")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("texts", nargs=-1, required=True)
@click.option(
    "--words", type=click.IntRange(min=1), default=5, show_default=True, help="Next words, as a keyboard shows them."
)
@click.option(
    "--completions",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    help="Whole continuations, as a mail program does.",
)
@device_option
@json_option
def suggest(run: Path, texts: tuple[str, ...], words: int, completions: int, device: str, as_json: bool) -> None:
    """Print the likeliest next words and completions of each TEXT with their probabilities.

    The output of RUN must continue its input. A TEXT that ends within a word is completed first. Probability and
    suggestion are separated by a tab.
    """
    from ostinato import api

    suggestions = api.suggest(run, texts, words=words, completions=completions, device=device)
    plain = [each.to_json() for each in suggestions]
    show({"suggestions": plain}, as_json, lambda: "\n".join(_lines(suggestions)))


def _lines(suggestions: Sequence[Suggestions]) -> list[str]:
    lines = []
    for each in suggestions:
        lines += [each.text] if len(suggestions) > 1 else []
        for kind, listed in (("word", each.words), ("completion", each.completions)):
            lines += [f"{probability:.3g}\t{kind}\t{text}" for text, probability in listed]
    return lines
