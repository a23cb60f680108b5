"""Generate from nothing, or between two inputs, with a run that has a latent code."""

from pathlib import Path

import click

from ostinato.cli.options import device_option, json_option, seed_option, set_option, show


@click.command("generate")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--number", type=click.IntRange(min=1), default=10, show_default=True, help="How many answers.")
@click.option(
    "--between", nargs=2, metavar="TEXT TEXT", help="On the way from one input to another, in place of drawn codes."
)
@set_option
@seed_option
@device_option
@json_option
def generate(
    run: Path,
    number: int,
    between: tuple[str, str] | None,
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

    answers = api.generate(run, number, between=between, sets=sets, seed=seed or 0, device=device)
    plain = [{"text": answer.text, "log_probability": answer.log_probability} for answer in answers]
    show({"answers": plain}, as_json, lambda: "\n".join(answer.text for answer in answers))
