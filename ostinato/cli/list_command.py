"""Name what can stand in a recipe: rooms, or the members of one."""

import click

from ostinato.cli.options import json_option, show, table
from ostinato.registry import ROOMS, summaries


@click.command("list")
@click.argument("room", required=False)
@json_option
def list(room: str | None, as_json: bool) -> None:
    """Name what can stand in a recipe: all ROOMs, or the members of one with a line each."""
    found = {name: summaries(name) for name in ([room] if room else ROOMS)}
    text = lambda: "\n\n".join(f"{name}\n" + _indented(members) for name, members in found.items() if members)  # noqa: E731
    show(found[room] if room else found, as_json, text)


def _indented(members: dict[str, str]) -> str:
    return table([(f"  {name}", line) for name, line in members.items()])
