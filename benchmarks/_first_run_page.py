"""What first_run.py writes for the docs: a page, from its rows and the results of tuned recipes alone."""

import json
import statistics
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from _first_run_sets import FOLDS, SETS, Measure, Set

from ostinato.evaluation.intervals import holm

RESULTS = Path(__file__).resolve().parent.parent / "docs" / "results"
ALPHA = 0.05
POINTS, SHARE = 2.0, 0.05
"""How far a first run may be from the tuned recipe: in points, or as a share of its error."""
REDUCTION, CLOSE, FASTER = 0.1, 0.9, 0.5
"""What is needed: the mean relative reduction of the error, the share of sets near the tuned recipe, the share of the
minutes that training took before."""
MR_FOLDS, MR_LEAST = ["mr-sentences", *(f"mr-sentences-{fold}" for fold in range(2, FOLDS + 1))], 77.0

Row = Mapping[str, Any]
Figures = Mapping[str, Any]


def title(metric: str | Mapping[str, Any]) -> str:
    """A metric in a few letters."""
    name = metric if isinstance(metric, str) else metric["type"]
    return name.replace("_", " ")


def error(figures: Figures, value: float) -> float:
    """A value as an error: what a percentage lacks of 100 where higher is better."""
    return 100 - value if figures["higher_is_better"] else value


def reduction(figures: Figures) -> float | None:
    """By what share the error of the best baseline is reduced; None where it has none, or makes none."""
    if "best" not in figures:
        return None
    before = error(figures, figures["baselines"][figures["best"]])
    return 1 - error(figures, figures["value"]) / before if before > 0 else None


def is_close(chosen: Set, figures: Figures, tuned: float) -> bool:
    """Whether a first run is within 2 points of the tuned recipe, of a forecast within 5 % of its error, or better."""
    own, other = error(figures, figures["value"]), error(figures, tuned)
    return own <= other * (1 + SHARE) or (chosen.ends is None and own <= other + POINTS)


def tuned_value(chosen: Set, measure: Measure) -> float | None:
    """The tuned recipe's figure on the test part."""
    path = RESULTS / f"{chosen.recipe}.json"
    if measure.tuned is None or not path.is_file():
        return None
    output, key = measure.tuned
    return json.loads(path.read_text(encoding="utf-8"))["outputs"][output][key]["value"]


def page(rows: Sequence[Row], part: str) -> str:
    """docs/first_run.md: the newest whole row of each set."""
    newest = {row["set"]: row for row in rows if row["kind"] == "row" and row["part"] == part and not row["most_rows"]}
    estimates = {
        row["set"]: row["processor_minutes"] for row in rows if row["kind"] == "estimate" and "error" not in row
    }
    entries = [(chosen, newest[chosen.name]) for chosen in SETS if chosen.listed and chosen.name in newest]
    good = [(chosen, row) for chosen, row in entries if "error" not in row]
    figures = [
        (chosen, measure, shown)
        for chosen, row in good
        for measure, shown in zip(chosen.measures, row["measures"], strict=True)
    ]
    compared = [shown["difference"] for _, _, shown in figures if "difference" in shown]
    corrected = iter(holm([difference["p_value"] for difference in compared]))
    p_values = [next(corrected) if "difference" in shown else None for _, _, shown in figures]
    lines = [
        "# The first run",
        "",
        *_wrapped(
            "How good is a model with nothing said but the columns, how does it compare to counting, and how long does"
            " it take? `benchmarks/first_run.py` says what is measured and how, and all"
            " figures are in [first_run.jsonl](first_run.jsonl). Types are inferred, and nothing is set but what states"
            " the task of a forecast. Training sets aside its own validation rows from the training rows."
        ),
        "",
        *_wrapped(_part_of(part)),
        *_unmeasured(newest),
        "",
        *_head("needed", "found", ""),
        *_needs(figures, p_values, good, estimates, newest, part),
        "",
        "## Sets",
        "",
        *_wrapped(
            "Value with its 95 % interval, over the seeds where there are several. The difference is to the best"
            " baseline, paired by example, with p corrected for the number of figures (Holm); **worse** where it is"
            " real. Tuned is the recipe of `recipes/` in [results.md](results.md), on the same test rows. Epochs are"
            " those of the first seed, the best one in brackets. Minutes are those that the whole command had a"
            " processor, divided by its threads, so that other work on the machine does not count. Before: what"
            " training took with the defaults of the version before, estimated from two epochs."
        ),
        "",
        *_head(
            "set", "rows", "metric", "first run", "best baseline", "difference", "p", "tuned", "epochs", "minutes",
            "before",
        ),
        *(
            _line(chosen, measure, shown, p_value, newest[chosen.name], estimates, part)
            for (chosen, measure, shown), p_value in zip(figures, p_values)
        ),
        *_failures(entries),
        *_repeated(newest),
        "",
        "## How it was made",
        "",
        "DATA holds the folders of the data sets, as `ostinato data list` names them.",
        "",
        "```",
        *_commands([row for _, row in good], part),
        f"python benchmarks/first_run.py --page --part {part}",
        "```",
        "",
        *_machines([row for _, row in good]),
    ]  # fmt: skip
    return "\n".join([*lines, ""])


def _commands(rows: Sequence[Row], part: str) -> list[str]:
    """What was asked for, once for each budget, with the sets of the rarer ones."""
    sets: dict[tuple[float | None, int], list[str]] = {}
    for row in rows:
        sets.setdefault((row["minutes"], row["machine"]["threads"]), []).append(row["set"])
    lines = []
    for (minutes, threads), names in sorted(sets.items(), key=lambda pair: -len(pair[1])):
        budget = "" if minutes is None else f" --minutes {minutes:g}"
        rarer = f" --sets {' '.join(names)}" if lines else ""
        asked = f"python benchmarks/first_run.py --data-root DATA --part {part}"
        lines.append(f"{asked}{budget} --threads {threads}{rarer}")
    return lines or [f"python benchmarks/first_run.py --data-root DATA --part {part}"]


def _unmeasured(newest: Mapping[str, Row]) -> list[str]:
    """The sets that are still to be measured."""
    names = [chosen.name for chosen in SETS if chosen.listed and chosen.name not in newest]
    return ["", *_wrapped(f"Not measured yet: {', '.join(names)}.")] if names else []


def _repeated(newest: Mapping[str, Row]) -> list[str]:
    """The sets whose row took the place of an earlier one, as the row says, and why."""
    again = [f"- {name}: {row['again']}." for name, row in newest.items() if "again" in row]
    lines = ["", "## Second looks", "", "Rows of the table that were measured again, and why:", ""]
    return [*lines, *(line for text in again for line in _wrapped(text))] if again else []


def _part_of(part: str) -> str:
    if part == "valid":
        return "These are the valid parts, by which defaults are chosen; the test parts were not looked at."
    return (
        "Defaults were chosen on training and valid parts alone. The test parts were looked at once, by this page,"
        " after the defaults were settled; where twice or more, it is said below."
    )


def _machines(rows: Sequence[Row]) -> list[str]:
    machines = {
        f"{on['cores']} cores, {on['threads']} in use ({on['processor']}), torch {on['torch']}"
        for on in (row["machine"] for row in rows)
    }
    dates, packages = sorted({row["date"] for row in rows}), sorted({row["package"] for row in rows})
    if not rows:
        return ["Nothing is measured yet."]
    spanned = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    trees = ", ".join(f"`{package}`" for package in packages)
    return _wrapped(f"{'; '.join(sorted(machines))}; {spanned}; git tree of the package: {trees}.")


def _needs(
    figures: Sequence[tuple[Set, Measure, Figures]],
    p_values: Sequence[float | None],
    good: Sequence[tuple[Set, Row]],
    estimates: Mapping[str, float],
    newest: Mapping[str, Row],
    part: str,
) -> list[str]:
    """What is needed and what was found, a line each."""
    worse = [
        chosen.name
        for (chosen, _, shown), p_value in zip(figures, p_values)
        if p_value is not None and _verdict(shown, p_value) == "worse"
    ]
    lines = [
        _need("no set on which the baseline is really better", ", ".join(worse) or "none", not worse),
    ]
    reductions = [share for _, _, shown in figures if (share := reduction(shown)) is not None]
    if reductions:
        mean = statistics.fmean(reductions)
        found = f"{100 * mean:.1f} % over {len(reductions)} figures"
        lines.append(
            _need(f"mean relative reduction of the error >= {100 * REDUCTION:.0f} %", found, mean >= REDUCTION)
        )
    tuned = [(chosen, shown, tuned_value(chosen, measure)) for chosen, measure, shown in figures]
    near = [is_close(chosen, shown, value) for chosen, shown, value in tuned if value is not None]
    if near and part == "test":
        lines.append(
            _need(
                f"within {POINTS:g} points or {100 * SHARE:.0f} % of the error of the tuned recipe on"
                f" {100 * CLOSE:.0f} %",
                f"{sum(near)} of {len(near)}",
                sum(near) >= CLOSE * len(near),
            )
        )
    both = [(_minutes(row), estimates[chosen.name]) for chosen, row in good if chosen.name in estimates]
    if both:
        own, before = map(sum, zip(*both))
        wanted = f"minutes in all at most {100 * FASTER:.0f} % of those before"
        lines.append(_need(wanted, f"{own:.0f} of {before:.0f}, {len(both)} sets", own <= FASTER * before))
    for chosen, measure, shown in figures:
        if measure.least is not None and part == "test":
            wanted = f"{chosen.name}: {shown['metric']} >= {measure.least:g}"
            lines.append(_need(wanted, _number(shown, shown["value"]), shown["value"] >= measure.least))
    folds = [
        newest[name]["measures"][0]["value"] for name in MR_FOLDS if name in newest and "error" not in newest[name]
    ]
    if len(folds) == FOLDS:
        mean = statistics.fmean(folds)
        lines.append(_need(f"MR, mean of {FOLDS} folds >= {MR_LEAST:g}", f"{mean:.1f}", mean >= MR_LEAST))
    return lines


def _need(wanted: str, found: str, met: bool) -> str:
    return _cells(wanted, found, "met" if met else "missed")


def _line(
    chosen: Set,
    measure: Measure,
    shown: Figures,
    p_value: float | None,
    row: Row,
    estimates: Mapping[str, float],
    part: str,
) -> str:
    run = row["runs"][0]
    seeds = f", {len(row['runs'])} seeds" if len(row["runs"]) > 1 else ""
    ends = f"({_number(shown, shown['low'])} to {_number(shown, shown['high'])}{seeds})"
    beside, difference, corrected = "", "", ""
    if p_value is not None:
        beside = f"{_number(shown, shown['baselines'][shown['best']])}, {shown['best']}"
        compared, verdict = shown["difference"], _verdict(shown, p_value)
        difference = f"{_number(shown, compared['difference'], '+')}{f' **{verdict}**' * bool(verdict)}"
        corrected = f"{p_value:.3f}"
    tuned = tuned_value(chosen, measure) if part == "test" else None
    output = f" of {measure.output}" if len(chosen.measures) > 1 else ""
    best = "" if run["best_epoch"] is None else f" ({run['best_epoch']})"
    return _cells(
        f"{chosen.name}: {chosen.task}",
        f"{row['rows'][0]:,}",
        f"{shown['metric']}{output}",
        f"{_number(shown, shown['value'])} {ends}",
        beside,
        difference,
        corrected,
        "" if tuned is None else _number(shown, tuned),
        f"{run['epochs']}{best}{', interrupted' * run['interrupted']}",
        f"{_minutes(row):.1f}",
        f"{estimates[chosen.name]:.1f}" if chosen.name in estimates else "",
    )


def _verdict(shown: Figures, p_value: float) -> str:
    """`better` or `worse` than the best baseline where that is real after correction, else nothing."""
    compared = shown["difference"]
    if not compared["real"] or p_value >= ALPHA:
        return ""
    return "better" if (compared["difference"] > 0) == shown["higher_is_better"] else "worse"


def _minutes(row: Row) -> float:
    """Of a processor for one run, the mean over seeds."""
    return statistics.fmean(run["processor_seconds"] for run in row["runs"]) / 60


def _number(shown: Figures, value: float, sign: str = "") -> str:
    """A percentage with one decimal, any other number with four digits."""
    return f"{value:{sign}.1f}" if shown["unit"] == "%" or shown["higher_is_better"] else f"{value:{sign}.4g}"


def _failures(entries: Sequence[tuple[Set, Row]]) -> list[str]:
    failed = [f"- {chosen.name}: {row['error']}" for chosen, row in entries if "error" in row]
    return ["", "## Failed", "", *failed] if failed else []


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, 120)


def _head(*names: str) -> list[str]:
    return [_cells(*names), f"|{'---|' * len(names)}"]


def _cells(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
