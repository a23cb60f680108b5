"""Train on the built-in dates, evaluate, show answers and their attention; three minutes."""

from pathlib import Path

import click

from ostinato.cli.options import device_option, json_option, show, table


@click.command("demo")
@click.option("--out", type=click.Path(path_type=Path), default="runs/demo", show_default=True, metavar="DIR")
@click.option(
    "--overwrite", is_flag=True, help="Start anew where the folder holds a demo already; otherwise it continues."
)
@device_option
@json_option
def demo(out: Path, overwrite: bool, device: str, as_json: bool) -> None:
    """Train on the built-in dates, written in 55 languages, to ISO 8601; then evaluate and show answers."""
    from ostinato import api
    from ostinato.cli.progress import resumable
    from ostinato.data.catalogue import BUILTIN
    from ostinato.probes.attention import draw
    from ostinato.recipe.read import load
    from ostinato.run.rows import first_rows
    from ostinato.training.progress import Progress

    with Progress() as progress, resumable():
        recipe = load(BUILTIN / "dates.yaml")
        run = api.fit(
            recipe,
            out,
            resume=not overwrite,
            overwrite=overwrite,
            device=device,
            say=progress.say,
            on_event=progress.event,
        )
        report = api.measure(run, say=progress.say)
    ((output, metrics),) = report.outputs.items()
    name, first = next(iter(metrics.items()))
    line = (
        f"{name.replace('_', ' ')} {first.value:.1f} % [{first.low:.1f}, {first.high:.1f}]"
        f" on {report.examples} held-out dates"
    )

    rows = first_rows(run, "test", 2000)[::200]
    answers = [by_output[output][0] for by_output in api.answers([run], rows, attention=True)]
    written, dates = [row["inputs.written"] for row in rows], [row[f"outputs.{output}"] for row in rows]
    shown = [
        (text, answer.text, date, "" if answer.value == date else "  <- wrong")
        for text, answer, date in zip(written, answers, dates)
    ]
    picture = draw(next(answer for answer, text in zip(answers, written) if text.isascii()), out / "attention.png")
    following = f'ostinato predict {out} "3 October 1990"'
    result = {"line": line, **report.to_json(), "picture": str(picture), "next": following}
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
