"""Compare two runs on the same examples and say whether the difference is real."""

from pathlib import Path

import click

from ostinato.cli.options import data_root_option, device_option, json_option, roots, show, table


@click.command("compare")
@click.argument("first", type=click.Path(path_type=Path))
@click.argument("second", type=click.Path(path_type=Path))
@click.option("--split", type=click.Choice(["valid", "test"]), help="test where there is one, else valid.")
@click.option("--data", metavar="FILE", help="Other rows with the same columns.")
@data_root_option
@device_option
@json_option
def compare(
    first: Path, second: Path, split: str | None, data: str | None, data_root: str | None, device: str, as_json: bool
) -> None:
    """Compare RUN and RUN by a paired bootstrap over the same examples."""
    from ostinato import api

    found = api.compare(first, second, split=split, data=data, roots=roots(data_root), device=device)
    show(found, as_json, lambda: _text(found))


def _text(found: dict) -> str:
    rows = [
        (
            f"{output}.{metric}",
            f"{one['first']:.4g}",
            f"{one['second']:.4g}",
            f"{one['difference']:+.4g}",
            f"[{one['low']:+.4g}, {one['high']:+.4g}]",
            f"{one['p_value']:.3f}",
            "real" if one["real"] else "may be chance",
        )
        for output, metrics in found["outputs"].items()
        for metric, one in metrics.items()
    ]
    shown = table(rows, ("metric", "first", "second", "difference", "95 % interval", "p", "difference is"))
    return "\n".join([shown, *found["notes"], f"{found['examples']:,} examples of {found['split']}; {found['method']}"])
