"""Generate from nothing, or between two inputs, with a run that has a latent code."""

from pathlib import Path

import click

from ostinato import files
from ostinato.cli.options import device_option, json_option, note, seed_option, set_option, show, with_one


def _text(further: list[str]) -> str:
    return f"{' '.join(further)}: it starts from no text; to continue one use ostinato predict RUN TEXT"


@click.command("generate", cls=with_one(_text))
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--number", type=click.IntRange(min=1), default=10, show_default=True, help="How many answers.")
@click.option(
    "--between", nargs=2, metavar="TEXT TEXT", help="On the way from one input to another, in place of drawn codes."
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="A text (txt); of drawings a picture (svg), of a tune or speech a file as of `predict --output`.",
)
@set_option
@seed_option
@device_option
@json_option
def generate(
    run: Path,
    number: int,
    between: tuple[str, str] | None,
    output: Path | None,
    sets: tuple[str, ...],
    seed: int | None,
    device: str,
    as_json: bool,
) -> None:
    """Generate answers of a RUN whose output has `join: latent`: codes are drawn, and decoded, a line each.

    With --between the codes lie on the line between those of two inputs. A search is set as for predict: --set
    search=sample.
    """
    from ostinato import api
    from ostinato.run.answer_files import pictured, write_answers

    if output is not None and as_json:
        raise click.UsageError("--output writes what is generated into a file; leave out --json")
    (loaded,) = api.loaded_runs(run, device, note)
    as_picture = output is not None and pictured(loaded, output)
    if output is not None and not as_picture and output.suffix.lower() != ".txt":
        endings = sorted({ending for modality in loaded.modalities.values() for ending in modality.render_endings})
        raise click.UsageError(f"--output {output}: give a file that ends in {' or '.join(['.txt', *endings])}")
    answers = api.generate(loaded, number, between=between, sets=sets, seed=seed or 0)
    if as_picture:
        note(write_answers(loaded, [answer.value for answer in answers], output))
        return
    if output is not None:
        files.write(output, "".join(f"{answer.text}\n" for answer in answers))
        note(f"{output}: the answers as text")
        return
    plain = [{"text": answer.text, "log_probability": answer.log_probability} for answer in answers]
    show({"answers": plain}, as_json, lambda: "\n".join(answer.text for answer in answers))
