"""Train on built-in data, evaluate, show answers and their attention."""

from pathlib import Path
from typing import Any

import click

from ostinato.cli.options import device_option, json_option, run_option, show, table

DATES, SHAPES = "dates", "shapes"


@click.command("demo")
@click.argument("name", type=click.Choice((DATES, SHAPES)), default=DATES)
@run_option("The run folder; by default runs/demo.")
@click.option(
    "--overwrite", is_flag=True, help="Start anew where the folder holds a demo already; otherwise it continues."
)
@device_option
@json_option
def demo(name: str, out: Path | None, overwrite: bool, device: str, as_json: bool) -> None:
    """Train on the built-in dates, written in 55 languages, to ISO 8601; then evaluate and show answers.

    `ostinato demo shapes`: on drawn shapes, to captions that say what they are.
    """
    folder = out or Path("runs") / ("demo" if name == DATES else f"demo-{name}")
    result, text = (_dates if name == DATES else _shapes)(folder, overwrite, device)
    show(result, as_json, lambda: "\n".join([*text, f"run: {folder}", f"next: {result['next']}"]))


def _fitted(name: str, out: Path, overwrite: bool, device: str, roots: tuple[Path, ...] = ()) -> Any:
    """The run of a built-in recipe, and its report."""
    from ostinato import api
    from ostinato.cli.progress import resumable
    from ostinato.data.catalogue import BUILTIN
    from ostinato.recipe.read import load
    from ostinato.training.progress import Progress

    with Progress() as progress, resumable():
        run = api.fit(
            load(BUILTIN / f"{name}.yaml"),
            out,
            resume=not overwrite,
            overwrite=overwrite,
            device=device,
            roots=roots,
            say=progress.say,
            on_event=progress.event,
        )
        return run, api.measure(run, roots=roots, say=progress.say)


def _dates(out: Path, overwrite: bool, device: str) -> tuple[dict[str, Any], list[str]]:
    from ostinato import api
    from ostinato.probes.attention import draw
    from ostinato.run.rows import first_rows

    run, report = _fitted(DATES, out, overwrite, device)
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
    text = [line, "", table(shown, ("written", "answer", "truth", "")), "", f"attention picture: {picture}"]
    return result, text


def _shapes(out: Path, overwrite: bool, device: str) -> tuple[dict[str, Any], list[str]]:
    from ostinato import api
    from ostinato.data import shapes
    from ostinato.probes.attention import draw

    data = out.with_name(f"{out.name}-data")
    for seed, (split, count) in enumerate(shapes.SPLITS.items()):
        shapes.make(data / split, count, seed, unseen=split == "unseen")
    run, report = _fitted(SHAPES, out, overwrite, device, (data,))

    shares, shown = {}, []
    for split in ("test", "unseen"):
        pictures, captions = shapes.captions(data / split)
        answers = [
            row["caption"][0]
            for row in api.answers([run], [{"inputs.picture": path} for path in pictures], attention=True)
        ]
        right = [shapes.meaning(answer.value) == shapes.meaning(truth) for answer, truth in zip(answers, captions)]
        shares[split] = 100 * sum(right) / len(right)
        several = list(zip(pictures, answers, right))[:5]
        shown += [(str(path), answer.text, "" if good else "  <- wrong") for path, answer, good in several]
    seen, unseen = shapes.SPLITS["test"], shapes.SPLITS["unseen"]
    line = (
        f"right meaning {shares['test']:.1f} % of {seen} held-out pictures, {shares['unseen']:.1f} % of"
        f" {unseen} with a shape whose color and kind never met in training"
    )
    picture = draw(answers[0], out / "attention.png")
    following = f"ostinato predict {out} {shown[0][0]}"
    result = {"line": line, "right_meaning": shares, **report.to_json(), "picture": str(picture), "next": following}
    text = [line, "", table(shown, ("picture", "caption", "")), "", f"attention over a picture: {picture}"]
    return result, text
