"""What recurrent_layers.py writes for the docs: a page and a plot, from the result alone."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from _layer_report import (
    MANY,
    PEAKS,
    WIDE,
    WORDS,
    Row,
    bar,
    between,
    bound,
    gigaflops,
    is_full,
    milliseconds,
    percent,
    rate,
    reaches,
    seconds,
    share,
    sizes,
    title,
    value,
)

from ostinato.files import explained


def page(found: dict[str, Any]) -> str:
    """docs/recurrent_layers.md."""
    on, peaks = found["machine"], found["peaks"]
    versions = {one: number for peer in found["peers"].values() for one, number in peer.items()}
    beside = ", ".join([f"torch {on['torch']}", *(f"{one} {number}" for one, number in versions.items())])
    lines = [
        "# Recurrent layers",
        "",
        *_wrapped(
            "Made by the command below; `benchmarks/recurrent_layers.py` says what is compared and how, and all "
            "figures are in [recurrent_layers.json](recurrent_layers.json)."
            f" {on['cores']} cores ({on['processor']}, {on['instruction_set']}, {on['threads']} threads), {beside},"
            f" {found['date']}. Medians of {found['rounds']} rounds, of {3 * found['rounds']} for a streaming step. A "
            "ratio is how many times the time of ours the other one takes, with the least and the most of the rounds."
        ),
        "",
        "```",
        found["command"],
        "```",
        *([] if found["finished"] else ["", "**The run was cut off: rows are missing.**"]),
        "",
        *_head("what", "needed", "found", "", ""),
        *(_cells(need["what"], bar(need), value(need), need["verdict"], need["more"]) for need in found["summary"]),
        "",
        *_head("matrix product, 2048 x 2048 x 2048, float32", "GFLOP/s", "spread"),
        *(_cells(PEAKS[of], gigaflops(one), between(one, 1e-9, 0)) for of, one in peaks.items()),
        "",
        "![How many times the time of ours the others take in training, by cell, shape and "
        "lengths](recurrent_layers.png)",
    ]
    for what in ("train", "inference"):
        lines += ["", *_table([row for row in found["rows"] if row["what"] == what], what, peaks)]
    lines += ["", *_streaming(found["stream"]), "", *_bounds(found)]
    return "\n".join(lines) + "\n"


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, 125, break_long_words=False, break_on_hyphens=False)


def _cells(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _head(*names: str) -> list[str]:
    return [_cells(*names), "|---" * len(names) + "|"]


def _ratio(one: dict[str, Any] | None) -> str:
    return f"{one['median']:.2f} ({between(one)})" if one else ""


def _others(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(other for row in rows for other in row["ratio"]))


def _table(rows: Sequence[Row], what: str, peaks: dict[str, Any]) -> list[str]:
    others = _others(rows)
    lines = [
        f"## {WORDS[what].capitalize()}",
        "",
        "Milliseconds of ours, per cent of both peaks on real steps, ratios.",
        "",
    ]
    lines += _head("cell", "T,B,I,H", "lengths", "ours, ms", *(f"% of {of}" for of in peaks), *map(title, others))
    for row in rows:
        shares = [percent(share(row, peaks, of)) for of in peaks]
        ratios = [_ratio(row["ratio"].get(other)) for other in others]
        lines.append(_cells(row["cell"], sizes(row), row["lengths"], milliseconds(row), *shares, *ratios))
    return lines


def _streaming(rows: Sequence[Row]) -> list[str]:
    others = _others(rows)
    lines = ["## One streaming step", "", "One sequence, I = H. GB/s is the weights over the time of a step.", ""]
    lines += _head("cell", "H", "ours, us", "GB/s", *map(title, others))
    for row in rows:
        ratios = [_ratio(row["ratio"].get(other)) for other in others]
        lines.append(
            _cells(row["cell"], str(row["shape"][3]), f"{1e6 * seconds(row):.1f}", f"{rate(row):.1f}", *ratios)
        )
    return lines


def _bounds(found: dict[str, Any]) -> list[str]:
    lines = [
        "## What bounds the others",
        "",
        *_wrapped(
            f"Training rows with H < {WIDE} or B < {MANY}, and larger ones that miss their share of a peak. An "
            "estimate from rates that were measured in the same run: products at the best peak, reading W_h at each "
            "step where that takes longer than its products, one sigmoid or tanh at a time; the rest is what a step "
            "costs whatever its size, threads waiting for the longest sequences, and gates written and read again."
        ),
        "",
        *_head("cell", "T,B,I,H", "lengths", "of its time"),
    ]
    for row in found["rows"]:
        if row["what"] == "train" and not reaches(row, found["peaks"]):
            told = bound(row, found["peaks"], found["machine"]["threads"])
            lines.append(_cells(row["cell"], sizes(row), row["lengths"], told))
    return lines


COLOURS = {"torch padded": "tab:blue", "torch packed": "tab:red", "flax": "tab:green", "keras": "tab:purple"}
MARKS = {"torch padded": "o", "torch packed": "s", "flax": "^", "keras": "v"}
TICKS = (0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 7, 10, 15, 20, 30, 50, 100)


def draw(found: dict[str, Any], path: Path) -> None:
    """Ratios in training: a column per cell, ragged batches above, full ones below; a line per shape, a mark per
    contestant."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

    rows = [row for row in found["rows"] if row["what"] == "train"]
    if not rows:
        return
    cells = list(dict.fromkeys(row["cell"] for row in rows))
    kinds = [[row for row in rows if not is_full(row)], [row for row in rows if is_full(row)]]
    labels = [list(dict.fromkeys(map(_label, kept))) for kept in kinds]
    heights = [max(1, len(one)) for one in labels]
    shown = [one for row in rows for other, one in row["ratio"].items() if other in COLOURS]
    limits = min(0.75, *(one["low"] for one in shown)) * 0.9, max(one["high"] for one in shown) * 1.1
    figure, grid = pyplot.subplots(
        2, len(cells), figsize=(2 + 3.6 * len(cells), 2.2 + 0.3 * sum(heights)),
        height_ratios=heights, sharex=True, squeeze=False, layout="constrained",
    )  # fmt: skip
    try:
        for line_of_axes, kept, places, what in zip(grid, kinds, labels, ("unequal lengths", "all lengths T")):
            for axes, cell in zip(line_of_axes, cells):
                for row in kept:
                    if row["cell"] == cell:
                        _mark(axes, row, places.index(_label(row)))
                axes.axvline(1, color="black", linewidth=1)
                axes.set(xscale="log", xlim=limits, ylim=(len(places) - 0.5, -0.5))
                axes.xaxis.set_major_locator(FixedLocator(TICKS))
                axes.xaxis.set_minor_locator(NullLocator())
                axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
                axes.set_yticks(range(len(places)), places if axes is line_of_axes[0] else [""] * len(places))
                axes.grid(color="0.9")
                axes.set_axisbelow(True)
                axes.set_title(f"{cell.upper()}, {what}", fontsize=10)
                axes.tick_params(length=0, labelsize=8)
            line_of_axes[0].set_ylabel("T,B,I,H", fontsize=9)
        for axes in grid[-1]:
            axes.set_xlabel("times the time of ours", fontsize=9)
        handles = {text: handle for axes in grid.flat for handle, text in zip(*axes.get_legend_handles_labels())}
        figure.legend(
            handles.values(), handles, loc="outside upper center", ncols=len(handles), fontsize=9, frameon=False
        )
        with explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(path, dpi=130, metadata={"Software": None})
    finally:
        pyplot.close(figure)


def _label(row: Row) -> str:
    return sizes(row) if is_full(row) else f"{sizes(row)}  {row['lengths']}"


def _mark(axes: Any, row: Row, place: int) -> None:
    for other, colour in COLOURS.items():
        if one := row["ratio"].get(other):
            axes.plot([one["low"], one["high"]], [place, place], color=colour, linewidth=1, alpha=0.6)
            axes.plot([one["median"]], [place], MARKS[other], color=colour, markersize=6, label=title(other))
