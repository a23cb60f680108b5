"""Draw by hand on a page of this machine: drawings to train on, or for a run to read."""

from pathlib import Path

import click

from ostinato.cli.options import device_option, note


@click.command("draw")
@click.option(
    "--out",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default="drawings",
    show_default=True,
    metavar="DIR",
    help="The folder whose manifest.jsonl gets a line for each drawing that is saved.",
)
@click.option("--run", type=click.Path(path_type=Path), metavar="RUN", help="A run that reads drawings and answers.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8737, show_default=True, help="Of the page; 0: a free one."
)
@device_option
def draw(folder: Path, run: Path | None, port: int, device: str) -> None:
    """Draw by mouse, pen, finger or keyboard on a local page, with a label for each drawing if wanted.

    The folder is data: ostinato train drawings --in drawing:strokes --out label. The page is seen from this machine
    alone, and loads nothing from elsewhere; Ctrl-C ends it.
    """
    from ostinato import api

    try:
        server = api.drawing_page(folder, run, port=port, device=device, say=note)
    except OSError as why:
        raise click.UsageError(f"--port {port}: {why.strerror}; give another, or 0 for a free one") from None
    note(f"draw at http://127.0.0.1:{server.server_address[1]} (Ctrl-C ends it); drawings go to {folder}")
    try:
        server.serve_forever()
    finally:
        server.server_close()
