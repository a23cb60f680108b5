"""The differences of runs as a picture, and two compared runs as one HTML page that loads nothing."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from ostinato.evaluation.intervals import Compared
from ostinato.evaluation.report import Comparison
from ostinato.probes import run_pictures
from ostinato.probes.pictures import drawable, picture
from ostinato.reporting.page import Section, figure, items, page, paragraph, table
from ostinato.run.run import Run
from ostinato.training.checkpoints import flat
from ostinato.training.curve import Curve

MOST_DRAWN = 16
"""Differences of one picture."""
HEADS = ("metric", "first", "second", "difference", "95 % interval", "p", "difference is")


def rows_of(comparison: Comparison) -> list[tuple[str, ...]]:
    """A row of text for each metric of each output, with the columns `HEADS`."""
    return [
        (
            name,
            f"{compared.first:.4g}",
            f"{compared.second:.4g}",
            f"{compared.difference:+.4g}",
            f"[{compared.low:+.4g}, {compared.high:+.4g}]",
            f"{compared.p_value:.3f}",
            "real" if compared.real else "may be chance",
        )
        for name, compared in named(comparison)
    ]


def named(comparison: Comparison) -> list[tuple[str, Compared]]:
    """Each difference under `OUTPUT.METRIC`."""
    return [
        (f"{output}.{key}", part) for output, metrics in comparison.outputs.items() for key, part in metrics.items()
    ]


def finding(differences: Sequence[tuple[str, Compared]]) -> str:
    """What the differences show, in a sentence."""
    real = [
        f"{name} {part.difference:+.3g}, {part.better or 'neither'} is better"
        for name, part in differences
        if part.real
    ]
    if not real:
        return f"None of the {len(differences)} differences is real: each interval includes 0, or the examples are few"
    more = f"; {len(real) - 3} more" if len(real) > 3 else ""
    return f"{len(real)} of {len(differences)} differences are real: {'; '.join(real[:3])}{more}"


def draw(path: Path, differences: Sequence[tuple[str, Compared]]) -> None:
    """Writes a picture of differences with their intervals, each on an axis of its own unit.

    Args:
        path: of the picture.
        differences: second less first, by name.
    """
    shown = differences[:MOST_DRAWN]
    with picture(path, (7.6, 0.8 + 0.75 * len(shown)), 1, len(shown)) as (drawing, panels):
        for (name, part), axes in zip(shown, panels):
            ends = [[max(0.0, part.difference - part.low)], [max(0.0, part.high - part.difference)]]
            colour = "tab:blue" if part.real else "tab:gray"
            axes.errorbar([part.difference], [0], xerr=ends, marker="o", capsize=3, color=colour)
            axes.axvline(0, color="0.5", linestyle=":")
            axes.set_yticks([0], [drawable(name, 40)])
            for side in ("top", "right", "left"):
                axes.spines[side].set_visible(False)
        panels[-1].set_xlabel("difference, second less first, with its 95 % interval (blue: real)")
        drawing.suptitle(drawable(finding(differences)), fontsize=10, wrap=True)


def comparison_page(comparison: Comparison, runs: Sequence[Run], curves: Sequence[Curve | None]) -> str:
    """The comparison of two runs as HTML: differences, what the runs are, their learning curves, how recipes differ.

    Args:
        comparison: of the two.
        runs: the first and the second.
        curves: of their training, where there are some.
    """
    differences = named(comparison)
    whole = [flat(run.recipe.plain()) for run in runs]
    paths = dict.fromkeys([*whole[0], *whole[1]])
    changed = [(path, *(str(own.get(path, "")) for own in whole)) for path in paths]
    changed = [row for row in changed if row[1] != row[2] and not row[0].startswith("data.")]
    trained = [
        ("run", "folder", "what it is", "training"),
        *(
            (name, str(run.folder or "in memory"), run.described(), "" if curve is None else curve.summary())
            for name, run, curve in zip(("first", "second"), runs, curves)
        ),
    ]
    drawn = [
        figure(drawing)
        for run, curve in zip(runs, curves)
        for drawing in run_pictures.learning_curve(run, curve).values()
    ]
    basis = f"{comparison.examples:,} examples of {comparison.split}; {comparison.method}"
    sections = [
        Section("Difference", [paragraph(finding(differences)), figure(partial(draw, differences=differences))]),
        Section(
            "Metrics", [table("differences of metrics", [HEADS, *rows_of(comparison)]), paragraph(basis, note=True)]
        ),
        Section("Notes", [items(comparison.notes)]),
        Section("Runs", [table("the two runs", trained), *drawn]),
        Section("Recipes", [table("settings that differ", [("setting", "first", "second"), *changed])]),
    ]
    return page(f"Ostinato: {' and '.join(str(run.folder or 'a run') for run in runs)}", sections)
