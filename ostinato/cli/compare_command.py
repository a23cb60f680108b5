"""Compare two runs on the same examples and test whether the difference is real."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ostinato.cli.options import data_root_option, device_option, json_option, roots, show, table

if TYPE_CHECKING:
    from ostinato.evaluation.report import Comparison


@click.command("compare")
@click.argument("first", type=click.Path(path_type=Path))
@click.argument("second", type=click.Path(path_type=Path))
@click.option("--split", type=click.Choice(["valid", "test"]), help="test if there is one, else valid.")
@click.option("--data", metavar="FILE", help="Other rows with the same columns.")
@data_root_option
@device_option
@json_option
def compare(
    first: Path, second: Path, split: str | None, data: str | None, data_root: str | None, device: str, as_json: bool
) -> None:
    """Compare RUN and RUN by a paired bootstrap over the same examples."""
    from ostinato import api

    comparison = api.compare(first, second, split=split, data=data, roots=roots(data_root), device=device)
    show(comparison.to_json(), as_json, lambda: _text(comparison))


def _text(comparison: Comparison) -> str:
    rows = [
        (
            f"{output}.{key}",
            f"{compared.first:.4g}",
            f"{compared.second:.4g}",
            f"{compared.difference:+.4g}",
            f"[{compared.low:+.4g}, {compared.high:+.4g}]",
            f"{compared.p_value:.3f}",
            "real" if compared.real else "may be chance",
        )
        for output, metrics in comparison.outputs.items()
        for key, compared in metrics.items()
    ]
    shown = table(rows, ("metric", "first", "second", "difference", "95 % interval", "p", "difference is"))
    basis = f"{comparison.examples:,} examples of {comparison.split}; {comparison.method}"
    return "\n".join([shown, *comparison.notes, basis])
