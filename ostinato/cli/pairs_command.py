"""Compare the two texts of minimal pairs: which one a language model finds likelier, against the gap."""

from pathlib import Path

import click

from ostinato.cli.options import device_option, json_option, note, show, whole_numbers


@click.command("pairs")
@click.argument("run", type=click.Path(path_type=Path), required=False)
@click.argument("file", required=False)
@click.option("--picture", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.png", help="Draw it.")
@click.option(
    "--generate",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write sentences that agree in tense (train.txt, valid.txt) and pairs.csv, in place of RUN FILE.",
)
@click.option("--rows", type=click.IntRange(min=2), default=2000, show_default=True, help="Sentences to train on.")
@click.option(
    "--gaps", default="1,2,3,4,6,8,12,16", show_default=True, callback=whole_numbers, help="Of the pairs, in words."
)
@click.option(
    "--longest", type=click.IntRange(min=1), default=16, show_default=True, help="Gap of a training sentence."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the sentences.")
@device_option
@json_option
def pairs(
    run: Path | None,
    file: str | None,
    picture: Path | None,
    generate: Path | None,
    rows: int,
    gaps: list[int],
    longest: int,
    seed: int,
    device: str,
    as_json: bool,
) -> None:
    """Show how often RUN, a language model, finds the `right` text of each row of FILE likelier than the `wrong` one,
    by the column `gap` if there is one."""
    if (generate is None) == (run is None or file is None):
        raise click.UsageError("give RUN and FILE, or --generate DIR")
    if generate is not None:
        from ostinato.probes import pairs as minimal

        paths = minimal.generate(generate, rows=rows, gaps=gaps, longest=longest, seed=seed)
        show({"files": [str(path) for path in paths]}, as_json, lambda: "\n".join(map(str, paths)))
        return
    from ostinato import api

    finding = api.pairs(run, str(file), picture=picture, device=device, say=note)
    show(finding.to_json(), as_json, lambda: "\n".join(finding.lines()))
