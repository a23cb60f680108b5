"""Suggest what comes next: the likeliest words and completions of a text."""

from pathlib import Path

import click

from ostinato.cli.options import device_option, json_option, show


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
    """The likeliest next words and completions of each TEXT, with their probabilities, by a RUN whose output goes on from its input.

    A TEXT that ends within a word is completed first. Probability and suggestion are separated by a tab.
    """
    from ostinato import api

    found = api.suggest(run, texts, words=words, completions=completions, device=device)
    show({"suggestions": found}, as_json, lambda: "\n".join(_lines(found)))


def _lines(found: list[dict]) -> list[str]:
    lines = []
    for one in found:
        lines += [one["text"]] if len(found) > 1 else []
        for what in ("words", "completions"):
            lines += [f"{each['probability']:.3g}\t{what.removesuffix('s')}\t{each['text']}" for each in one[what]]
    return lines
