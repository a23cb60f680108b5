"""Train on the built-in dates, measure, show answers and what they attended to; three minutes."""

from pathlib import Path

import click

from ostinato.cli.options import device_option, json_option, note, show, table


@click.command("demo")
@click.option("--out", type=click.Path(path_type=Path), default="runs/demo", show_default=True, metavar="DIR")
@click.option(
    "--overwrite", is_flag=True, help="Start anew where the folder holds a demo already; otherwise it goes on."
)
@device_option
@json_option
def demo(out: Path, overwrite: bool, device: str, as_json: bool) -> None:
    """Train on the built-in dates: as people write them in 55 languages, to ISO 8601; then measure and show."""
    from ostinato import api
    from ostinato.cli.progress import Progress, going_on
    from ostinato.data.catalogue import BUILTIN
    from ostinato.probes.attention import draw
    from ostinato.recipe.read import load
    from ostinato.run.rows import first_rows

    with Progress() as progress, going_on():
        recipe = load(BUILTIN / "dates.yaml")
        report = api.train(
            recipe, out, resume=not overwrite, overwrite=overwrite, device=device, say=note, on_event=progress.event
        )
    match = report["outputs"]["iso"]["exact_match"]
    line = f"exact match {match['value']:.1f} % [{match['low']:.1f}, {match['high']:.1f}] on {report['examples']} held-out dates"

    run = api.Run.load(out)
    rows = first_rows(run, "test", 2000)[::200]
    found = api.answers([run], rows, attention=True)
    shown = [
        (
            row["inputs.written"],
            answer.text,
            row["outputs.iso"],
            "" if answer.value == row["outputs.iso"] else "  <- wrong",
        )
        for row, answer in ((row, one["iso"][0]) for row, one in zip(rows, found))
    ]
    picture = draw(
        next(one["iso"][0] for row, one in zip(rows, found) if row["inputs.written"].isascii()), out / "attention.png"
    )
    following = f'ostinato predict {out} "3 October 1990"'
    result = {"line": line, **report, "picture": str(picture), "next": following}
    text = [
        line,
        "",
        table(shown, ("written", "answer", "truth", "")),
        "",
        f"attention picture: {picture}",
        f"run: {out}",
        f"next: {following}",
    ]
    show(result, as_json, lambda: "\n".join(text))
