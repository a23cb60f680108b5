"""Pictures of a sweep: quality against the amount of data, and quality by the length of the input."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator

from ostinato.metrics.contract import Measured
from ostinato.probes.pictures import picture
from ostinato.sweeps.report import Bin, Line, SweepReport, SweepRow

MOST_LINES = 10
"""As many colours as the eye tells apart; more lines take theirs from one scale."""
LETTERS = 80
"""As many as fit over a panel."""
BY_DATA, BY_LENGTH = "quality_by_data.png", "quality_by_length.png"


def draw(report: SweepReport, folder: Path) -> list[str]:
    """Writes the pictures that a sweep's report has numbers for; their names.

    Errors:
        DataError: a picture cannot be written.
    """
    every = drawings(report)
    for name, drawing in every.items():
        drawing(folder / name)
    return [*every]


def drawings(report: SweepReport) -> dict[str, Callable[[Path], None]]:
    """What writes each picture to a path, by its name."""
    every: dict[str, Callable[[Path], None]] = {}
    fraction = next((label for label, axis in report.axes.items() if axis.path == "data.fraction"), None)
    outputs = _first_metrics(report.rows)
    if fraction is not None and outputs:
        lines: dict[str, list[SweepRow]] = {}
        for row in report.rows:
            lines.setdefault(_name(_without(row.values, fraction)), []).append(row)
        lines = {name: sorted(rows, key=lambda row: row.training_rows) for name, rows in lines.items()}
        every[BY_DATA] = partial(_draw_by_data, lines=lines, outputs=outputs)
    by_length = {output: each for output, each in report.by_length.items() if any(line.bins for line in each)}
    if by_length:
        every[BY_LENGTH] = partial(_draw_by_length, by_length=by_length)
    return every


def _draw_by_data(path: Path, lines: Mapping[str, Sequence[SweepRow]], outputs: Mapping[str, str]) -> None:
    with picture(path, _size(len(outputs), [*lines]), len(outputs)) as (figure, panels):
        for axes, (output, metric) in zip(panels, outputs.items()):
            _by_data(axes, lines, output, metric)
        output, metric = next(iter(outputs.items()))
        most = max((rows for rows in lines.values()), key=lambda rows: rows[-1].training_rows)
        values = [row.outputs[output][metric].value for row in (most[0], most[-1])]
        figure.suptitle(
            f"{output}: {metric} {values[0]:.4g} with {most[0].training_rows:,} training rows, {values[1]:.4g} with "
            f"{most[-1].training_rows:,}",
            fontsize=10,
            wrap=True,
        )


def _draw_by_length(path: Path, by_length: Mapping[str, Sequence[Line]]) -> None:
    every = [line.values for each in by_length.values() for line in each]
    shared = {
        label: value
        for label, value in every[0].items()
        if len(every) > 1 and all(values[label] == value for values in every)
    }
    legend = [_name(_without(values, *shared)) for values in every]
    with picture(path, _size(len(by_length), legend), len(by_length)) as (figure, panels):
        for axes, (output, each) in zip(panels, by_length.items()):
            _by_length(axes, output, each, shared)
        output, line, change = max(
            (
                (output, line, line.bins[-1].value - line.bins[0].value)
                for output, each in by_length.items()
                for line in each
                if line.bins
            ),
            key=lambda known: abs(known[2]),
        )
        ends = [f"{group.value:.4g} at {group.first} to {group.last} steps" for group in (line.bins[0], line.bins[-1])]
        name = _name(_without(line.values, *shared))
        figure.suptitle(
            f"{output}: {line.metric} {' and '.join(ends)}{f', {name}' * bool(name)}", fontsize=10, wrap=True
        )


def _first_metrics(rows: Sequence[SweepRow]) -> dict[str, str]:
    """Of each output the first metric that every row has: a setting that is varied may change which there are."""
    first: dict[str, str] = {}
    for output, metrics in rows[0].outputs.items() if rows else ():
        for key in metrics:
            if output not in first and all(key in row.outputs.get(output, {}) for row in rows):
                first[output] = key
    return first


def _without(values: Mapping[str, str], *labels: str) -> dict[str, str]:
    return {label: value for label, value in values.items() if label not in labels}


def _size(panels: int, names: Sequence[str]) -> tuple[float, float]:
    """Inches, with room for the rows of the legend."""
    rows = -(-len(set(names)) // _columns(names))
    return 5.4 * panels + 0.4, 3.9 + 0.17 * (rows - 1)


def _columns(names: Sequence[str]) -> int:
    """Of the legend: as many names side by side as a panel is wide."""
    return max(1, min(3, len(set(names)), LETTERS // (6 + max(map(len, names)))))


def _by_data(axes: Axes, lines: Mapping[str, Sequence[SweepRow]], output: str, metric: str) -> None:
    for number, (colour, (name, rows)) in enumerate(zip(_colours(len(lines)), lines.items())):
        # Side by side, so that no interval hides another.
        aside = min(1.03, 1.12 ** (1 / max(1, len(lines) - 1))) ** (number - (len(lines) - 1) / 2)
        _line(
            axes,
            [row.training_rows * aside for row in rows],
            [row.outputs[output][metric] for row in rows],
            colour,
            name,
        )
    axes.set_xscale("log")
    shown = sorted({row.training_rows for rows in lines.values() for row in rows})
    axes.set_xticks(shown, [f"{rows:,}" for rows in shown])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("training rows")
    _finish(axes, output, metric, [*lines])


def _by_length(axes: Axes, output: str, lines: Sequence[Line], shared: Mapping[str, str]) -> None:
    spread = 0.12 / max(1, len(lines) - 1)
    # A line may have no number for one of the bins.
    bins = {group.first: group for line in lines for group in line.bins}
    places = {start: place for place, start in enumerate(sorted(bins))}
    names = [_name(_without(line.values, *shared)) for line in lines]
    for number, (colour, line, name) in enumerate(zip(_colours(len(lines)), lines, names)):
        aside = spread * (number - (len(lines) - 1) / 2) * 2
        _line(axes, [places[group.first] + aside for group in line.bins], line.bins, colour, name)
    ends = {start: f"{start}" if start == bins[start].last else f"{start}\u2013{bins[start].last}" for start in places}
    axes.set_xticks(range(len(places)), [f"{ends[start]}\n{bins[start].examples:,} ex." for start in places])
    axes.set_xlabel("steps of the input, and examples" + (f" ({_name(shared)})" if shared else ""))
    _finish(axes, output, lines[0].metric, names)


def _line(axes: Axes, places: Sequence[float], measured: Sequence[Measured | Bin], colour: Any, name: str) -> None:
    values = [point.value for point in measured]
    errors = [[point.value - point.low for point in measured], [point.high - point.value for point in measured]]
    errors = [[max(0.0, error) for error in side] for side in errors]
    look = {"marker": "o", "markersize": 4, "linewidth": 1.6, "elinewidth": 1, "capsize": 2.5}
    axes.errorbar(places, values, yerr=errors, color=colour, label=name, **look)


def _finish(axes: Axes, output: str, metric: str, names: Sequence[str]) -> None:
    axes.set_ylabel(f"{output}: {metric}".replace("$", r"\$"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.grid(axis="y", color="0.9")
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if all(min(container.lines[0].get_ydata(), default=0) >= 0 for container in axes.containers):
        # Student's t over few seeds knows nothing of the bound that errors and shares have.
        axes.set_ylim(bottom=max(0.0, axes.get_ylim()[0]))
    if len(names) > 1:
        axes.legend(frameon=False, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=_columns(names))


def _name(values: Mapping[str, str]) -> str:
    name = ", ".join(f"{label} {value}" for label, value in values.items())
    return (name if len(name) <= LETTERS else f"{name[: LETTERS - 1]}\u2026").replace("$", r"\$")


def _colours(lines: int) -> Iterator[Any]:
    if lines <= MOST_LINES:
        return iter(colormaps["tab10"].colors)
    scale = colormaps["viridis"]
    return (scale(0.95 * number / (lines - 1)) for number in range(lines))
