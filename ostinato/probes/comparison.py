"""Pictures of a sweep: quality against the amount of data, and quality by the length of the input."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator

from ostinato.probes._pictures import picture

MOST_LINES = 10
"""As many colours as are told apart; more lines take theirs from one scale."""
BY_DATA, BY_LENGTH = "quality_by_data.png", "quality_by_length.png"


def draw(report: Mapping[str, Any], folder: Path) -> list[str]:
    """Writes the pictures that a sweep's report has numbers for; their names.

    Errors:
        DataError: a picture cannot be written.
    """
    made = []
    fraction = next((label for label, axis in report["axes"].items() if axis["path"] == "data.fraction"), None)
    if fraction is not None and report["rows"]:
        outputs = {output: next(iter(metrics)) for output, metrics in report["rows"][0]["outputs"].items()}
        with picture(folder / BY_DATA, _size(len(outputs)), len(outputs)) as (_, panels):
            for axes, (output, metric) in zip(panels, outputs.items()):
                _by_data(axes, report, fraction, output, metric)
        made.append(BY_DATA)
    by_length = {output: lines for output, lines in report["by_length"].items() if any(one["bins"] for one in lines)}
    if by_length:
        with picture(folder / BY_LENGTH, _size(len(by_length)), len(by_length)) as (_, panels):
            for axes, (output, lines) in zip(panels, by_length.items()):
                _by_length(axes, output, lines)
        made.append(BY_LENGTH)
    return made


def _size(panels: int) -> tuple[float, float]:
    return 5.4 * panels + 0.4, 3.9


def _by_data(axes: Axes, report: Mapping[str, Any], fraction: str, output: str, metric: str) -> None:
    lines: dict[str, list[tuple[int, Mapping[str, float]]]] = {}
    for row in report["rows"]:
        name = _name({label: value for label, value in row["values"].items() if label != fraction})
        lines.setdefault(name, []).append((row["training_rows"], row["outputs"][output][metric]))
    for number, (colour, (name, points)) in enumerate(zip(_colours(len(lines)), lines.items())):
        points.sort(key=lambda point: point[0])
        # Side by side, so that no interval hides another.
        aside = 1.03 ** (number - (len(lines) - 1) / 2)
        _line(axes, [rows * aside for rows, _ in points], [one for _, one in points], colour, name)
    axes.set_xscale("log")
    shown = sorted({rows for points in lines.values() for rows, _ in points})
    axes.set_xticks(shown, [f"{rows:,}" for rows in shown])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("training rows")
    _finish(axes, output, metric, len(lines))


def _by_length(axes: Axes, output: str, lines: Sequence[Mapping[str, Any]]) -> None:
    spread = 0.12 / max(1, len(lines) - 1)
    for number, (colour, one) in enumerate(zip(_colours(len(lines)), lines)):
        places = [at + spread * (number - (len(lines) - 1) / 2) * 2 for at in range(len(one["bins"]))]
        _line(axes, places, one["bins"], colour, _name(one["values"]))
    most = max(lines, key=lambda one: len(one["bins"]))["bins"]
    ends = [f"{one['from']}" if one["from"] == one["to"] else f"{one['from']}–{one['to']}" for one in most]
    axes.set_xticks(range(len(most)), [f"{end}\n{one['examples']:,} ex." for end, one in zip(ends, most)])
    axes.set_xlabel("steps of the input, and examples")
    _finish(axes, output, lines[0]["metric"], len(lines))


def _line(axes: Axes, places: Sequence[float], measured: Sequence[Mapping[str, float]], colour: Any, name: str) -> None:
    values = [one["value"] for one in measured]
    errors = [[one["value"] - one["low"] for one in measured], [one["high"] - one["value"] for one in measured]]
    errors = [[max(0.0, error) for error in side] for side in errors]
    look = {"marker": "o", "markersize": 4, "linewidth": 1.6, "elinewidth": 1, "capsize": 2.5}
    axes.errorbar(places, values, yerr=errors, color=colour, label=name, **look)


def _finish(axes: Axes, output: str, metric: str, lines: int) -> None:
    axes.set_ylabel(f"{output}: {metric}".replace("$", r"\$"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.grid(axis="y", color="0.9")
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if lines > 1:
        axes.legend(frameon=False, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=min(lines, 3))


def _name(values: Mapping[str, str]) -> str:
    return ", ".join(f"{label} {value}" for label, value in values.items()).replace("$", r"\$")


def _colours(lines: int) -> Iterator[Any]:
    if lines <= MOST_LINES:
        return iter(colormaps["tab10"].colors)
    scale = colormaps["viridis"]
    return (scale(0.95 * number / (lines - 1)) for number in range(lines))
