"""List known data sets, or download one."""

from pathlib import Path

import click

from ostinato.cli.options import json_option, note, roots, show, table


@click.group("data")
def data() -> None:
    """List known data sets, or download one."""


@data.command("list")
@json_option
def list_sets(as_json: bool) -> None:
    """List the known data sets with task, size, licence and whether they can be fetched."""
    from ostinato.data.catalogue import entries

    sets = entries()
    fetchable = {name: "yes" if entry.free else f"no: {entry.reason}" for name, entry in sets.items()}
    rows = [
        (name, entry.task, f"{entry.bytes / 1e6:.1f} MB", entry.licence, fetchable[name])
        for name, entry in sets.items()
    ]
    plain = {row[0]: dict(zip(("task", "size", "licence", "fetch"), row[1:])) for row in rows}
    show(plain, as_json, lambda: table(rows, ("name", "task", "size", "licence", "can be fetched")))


@data.command("fetch")
@click.argument("name")
@click.option(
    "--root",
    envvar="OSTINATO_DATA",
    default="data",
    show_default=True,
    metavar="DIR",
    help="Folder that holds the data sets' folders. Also OSTINATO_DATA, the first of several.",
)
@json_option
def fetch_set(name: str, root: str, as_json: bool) -> None:
    """Download a data set into DIR/NAME, verified by checksum; an interrupted download is resumed."""
    from ostinato.data.fetch import fetch

    first, *_ = roots(root) or [Path("data")]
    folder = fetch(name, first)
    note(f"{name} is in {folder}; name it in training with --data-root {first}")
    show({"name": name, "folder": str(folder)}, as_json, lambda: str(folder))
