"""List what a recipe can name: rooms, or the members of one."""

import click

from ostinato.cli.options import json_option, show, table
from ostinato.registry import ROOMS, summaries


@click.command("list")
@click.argument("room", required=False)
@json_option
def list(room: str | None, as_json: bool) -> None:
    """List what a recipe can name: all ROOMs, or the members of one with a line each."""
    rooms = {name: summaries(name) for name in ([room] if room else ROOMS)}
    show(rooms[room] if room else rooms, as_json, lambda: _text(rooms))


def _text(rooms: dict[str, dict[str, str]]) -> str:
    return "\n\n".join(
        f"{room}\n" + table([(f"  {name}", line) for name, line in members.items()])
        for room, members in rooms.items()
        if members
    )
