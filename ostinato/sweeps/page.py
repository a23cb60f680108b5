"""A sweep as one HTML page that loads nothing."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from ostinato.evaluation.intervals import Compared
from ostinato.reporting import comparison
from ostinato.reporting.page import Section, figure, items, page, paragraph, preformatted, table
from ostinato.sweeps.pictures import drawings
from ostinato.sweeps.report import SweepReport


def sweep_page(report: SweepReport) -> str:
    """The sweep as HTML: differences along each axis, tables, pictures, the commands of its runs."""
    differences = list(_first_metrics(report))
    found = [paragraph(comparison.finding(differences)), figure(partial(comparison.draw, differences=differences))]
    sections = [
        Section("Differences", found if differences else []),
        Section("Pictures", [figure(drawing) for drawing in drawings(report).values()]),
        *(
            Section(f"All {title}" if title else "Values", [table(title, [tuple(heads), *rows])])
            for title, heads, rows in report.tables()
        ),
        Section(
            "Notes", [items([*report.footnotes(), *(f"{name} failed: {why}" for name, why in report.failed.items())])]
        ),
        Section("Commands", [preformatted(report.commands.values())]),
    ]
    return page(f"Ostinato: sweep of {report.recipe}", sections)


def _first_metrics(report: SweepReport) -> Iterator[tuple[str, Compared]]:
    """The differences in the first metric of each output, by what is compared."""
    first: dict[str, str] = {}
    for known in report.differences:
        if first.setdefault(known.output, known.metric) == known.metric:
            others = "".join(f", {label} {value}" for label, value in known.others.items())
            yield f"{known.axis} {known.first} to {known.second}{others}: {known.output}.{known.metric}", known.compared
