"""Runs each recipe that has no result yet, cheapest first, and writes docs/results.md from the results that there are.

    python tools/results.py --data-root DATA                  all rows that have no docs/results/ROW.json yet
    python tools/results.py --data-root DATA --only multi30k  the row of that name, or those whose name begins with it
    python tools/results.py --only copy                       three models and docs/bottleneck.png (needs no data)
    python tools/results.py --render                          the page, the plot and the README's tables alone

DATA holds the data sets' folders, as `ostinato data list` names them. What was stopped goes on where it was: training
resumes, and a row is written when it is whole. To measure a row again, delete its JSON and its folder below
runs/results.
"""

import argparse
import csv
import datetime
import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from _rows import ROWS, RUNS, TRAINED_LENGTH, Row, Shown
from _sweep_rows import FEWS, SWEEPS, Swept, reach

from ostinato.files import write

HOME = Path(__file__).resolve().parent.parent
RESULTS, PAGE, PLOT = HOME / "docs" / "results", HOME / "docs" / "results.md", HOME / "docs" / "bottleneck.png"
SPEED = HOME / "benchmarks" / "results" / "translation_training.json"
COPY = ("copy-none", "copy-reversed", "copy-attention")


def measure(row: Row, data_root: str) -> dict[str, Any]:
    """Prepares, trains and evaluates a row; what was done before is not done again.

    Errors:
        CalledProcessError: a command failed; it has told why.
    """
    commands = row.commands()
    if row.prepared and not list((HOME / RUNS / f"prepared-{row.prepared}").glob("test*")):
        _run(commands["prepare"], data_root)
    for step, words in commands.items():
        if step.startswith("train"):
            _run(words, data_root)
    report = json.loads(_run(commands["evaluate"], data_root, keep=True))
    runs = [HOME / run for run in row.runs()]
    seeds = [
        json.loads((run / "bundle.json").read_text(encoding="utf-8"))["recipe"]["training"]["seed"] for run in runs
    ]
    found = {
        "row": row.name,
        "commands": [" ".join(words) for words in commands.values()],
        **({"seed": seeds[0]} if len(runs) == 1 else {"seeds": seeds}),
        "minutes": round(sum(map(_seconds, [*runs, *([HOME / row.language.run] if row.language else [])])) / 60, 1),
        "machine": machine(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        **report,
    }
    if row.judge:
        found["outputs"] |= json.loads(_run(commands["judge"], data_root, keep=True))
    return found | ({"exact_by_length": _by_length(row, data_root)} if row.prepared == "copy" else {})


def measure_sweep(row: Swept, data_root: str) -> dict[str, Any]:
    """Prepares and sweeps; runs that are finished are not trained again.

    Errors:
        CalledProcessError: a command failed; it has told why.
    """
    run = RUNS / row.name
    commands = row.commands(run.as_posix())
    if row.task and not list((HOME / RUNS / f"prepared-{row.task}").glob("test*")):
        _run(commands["prepare"], data_root)
    table = HOME / run / "sweep.json"
    table.unlink(missing_ok=True)
    try:
        _run(commands["sweep"], data_root)
    except subprocess.CalledProcessError:
        # Runs that diverged have no value, and the table is of the others.
        if not table.exists():
            raise
    about = {"row": row.name, "machine": machine(), "date": datetime.datetime.now(datetime.UTC).date().isoformat()}
    return about | row.found(HOME / run)


def _run(words: Sequence[str], data_root: str, *, keep: bool = False) -> str:
    """Runs a command with the machine's own folders in place of DATA and DIR; gives its standard output if that is
    kept."""
    ostinato = str(Path(sys.executable).with_name("ostinato"))
    own = {"DATA": data_root, "DIR": str(RUNS), "python": sys.executable, "ostinato": ostinato}
    print("+", *words, flush=True)
    filled = [own.get(word, word) for word in words]
    return (
        subprocess.run(filled, cwd=HOME, check=True, text=True, stdout=subprocess.PIPE if keep else None).stdout or ""
    )


def _seconds(run: Path) -> float:
    """Seconds of training and validation in all, those before an interruption too."""
    events = [json.loads(line) for line in (run / "history.jsonl").read_text(encoding="utf-8").splitlines()]
    return [event["seconds"] for event in events if event["event"] == "epoch"][-1]


def machine() -> dict[str, Any]:
    """What a time depends on."""
    from ostinato.training.repeatable import surroundings

    found = surroundings("cpu")
    return {"cores": os.cpu_count(), **{name: found[name] for name in ("processor", "capability", "threads", "torch")}}


def _by_length(row: Row, data_root: str) -> dict[str, float]:
    """The share of the test's strings that are copied exactly, by their length."""
    test = RUNS / "prepared-copy" / "test.tsv"
    words = ["ostinato", "predict", (RUNS / row.name).as_posix(), "--input", test.as_posix()]
    said = _run(words, data_root, keep=True).splitlines()
    right: dict[str, list[bool]] = defaultdict(list)
    with (HOME / test).open(encoding="utf-8", newline="") as lines:
        for asked, answer in zip(csv.DictReader(lines, delimiter="\t"), said, strict=True):
            right[asked["length"]].append(answer == asked["copied"])
    return {length: sum(one) / len(one) for length, one in right.items()}


def draw(results: dict[str, dict[str, Any]]) -> bool:
    """Draws exact match by length for the copying models that were measured; says whether there were any."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    measured = [row for row in ROWS if row.name in COPY and row.name in results]
    if not measured:
        return False
    figure, axes = pyplot.subplots(figsize=(7, 4))
    for row in measured:
        by_length = results[row.name]["exact_by_length"]
        axes.plot([int(length) for length in by_length], [100 * share for share in by_length.values()], label=_how(row))
    axes.axvline(TRAINED_LENGTH, color="grey", linestyle=":", label="longest in training")
    axes.set(xlabel="symbols to copy", ylabel="copied exactly, %", ylim=(-3, 103))
    axes.legend(loc="upper right", fontsize="small")
    figure.tight_layout()
    figure.savefig(PLOT, dpi=150, metadata={"Software": None})
    pyplot.close(figure)
    return True


def _how(row: Row) -> str:
    return row.measured.partition(f"trained on 1 to {TRAINED_LENGTH}, ")[2]


def page(results: dict[str, dict[str, Any]], speed: dict[str, Any] | None) -> str:
    """docs/results.md."""
    lines = [
        "# Results",
        "",
        "Made by `make results`, which runs each recipe that has no result yet; written by `tools/results.py` from the "
        "files in",
        "`docs/results`. Values stand with their 95 % intervals. Minutes are those of training and validation, on the "
        "machine",
        "named with each row.",
        "",
        "| recipe | metric | bar | value | interval | | minutes |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in ROWS:
        for place, shown in enumerate(row.shown):
            lead = f"[{row.name}](#{row.name.replace('.', '')})" if place == 0 else ""
            cells = [lead, shown.metric, shown.bar(), *_cells(shown, results.get(row.name), place)]
            lines.append(f"| {' | '.join(cells)} |")
    for row in SWEEPS:
        lines += row.overview(results.get(row.name))
    minutes = [results[row.name]["minutes"] for row in (*ROWS, *SWEEPS) if row.name in results]
    lines += ["", f"In all: {len(minutes)} rows, {sum(minutes):,.0f} minutes."]
    lines += ["", *_speed(speed)]
    for row in ROWS:
        lines += ["", *_section(row, results.get(row.name))]
    for row in SWEEPS:
        lines += ["", *row.section(results.get(row.name), (RUNS / row.name).as_posix())]
    lines += ["", *reach(results), ""]
    for few in FEWS:
        lines += [*few.section(results), ""]
    lines += _bottleneck(results)
    return "\n".join(lines) + "\n"


def _cells(shown: Shown, result: dict[str, Any] | None, place: int) -> list[str]:
    """Value, interval, verdict and minutes."""
    if result is None:
        return ["not yet run", "", "", ""]
    found = result["outputs"][shown.output].get(shown.metric)
    minutes = f"{result['minutes']:.0f}" if place == 0 else ""
    if found is None:
        return ["not measured", "", "", minutes]
    interval = f"{found['low']:.2f} to {found['high']:.2f}"
    return [f"{found['value']:.2f}", interval, shown.verdict(found["value"]), minutes]


def _section(row: Row, result: dict[str, Any] | None) -> list[str]:
    told = f"{row.measured[0].upper()}{row.measured[1:]}. Published: {row.published}."
    lines = [f"## {row.name}", "", told + (f" Beside it: {row.beside}." if row.beside else ""), ""]
    commands = [" ".join(words) for words in row.commands().values()]
    lines += ["```", *(result["commands"] if result else commands), "```", ""]
    if result is None:
        return [*lines, "not yet run"]
    lines += ["| output | metric | value | interval | method |", "|---|---|---|---|---|"]
    for output, metrics in result["outputs"].items():
        for metric, one in metrics.items():
            interval = f"{one['low']:.2f} to {one['high']:.2f}"
            lines.append(f"| {output} | {metric} | {one['value']:.2f} | {interval} | {one['method']} |")
    on = result["machine"]
    seeds = (
        f"seed {result['seed']}"
        if "seed" in result
        else f"{len(result['seeds'])} runs of seeds {', '.join(map(str, result['seeds']))}"
    )
    lines += [
        "",
        f"{result['examples']:,} examples, {seeds}, {result['minutes']} minutes on {on['cores']} cores"
        f" ({on['processor']}, {on['capability']}, {on['threads']} threads, torch {on['torch']}), {result['date']}.",
    ]
    return [*lines, "", result["note"]] if "note" in result else lines


def _bottleneck(results: dict[str, dict[str, Any]]) -> list[str]:
    lines = [
        "## The bottleneck",
        "",
        "`python tools/results.py --only copy`: strings copied exactly, %, by their length.",
        "",
    ]
    lengths = [str(length) for length in range(10, 61, 10)]
    lines += ["| | " + " | ".join(lengths) + " |", "|---" * (len(lengths) + 1) + "|"]
    for row in (row for row in ROWS if row.name in COPY):
        shares = results[row.name]["exact_by_length"] if row.name in results else None
        cells = [f"{100 * shares[length]:.0f}" if shares else "not yet run" for length in lengths]
        lines.append(f"| {_how(row)} | {' | '.join(cells)} |")
    if any(name in results for name in COPY):
        lines += [
            "",
            f"![Strings copied exactly, by length; the longest in training have {TRAINED_LENGTH} symbols]({PLOT.name})",
        ]
    return lines


def _speed(speed: dict[str, Any] | None) -> list[str]:
    lines = [
        "| speed beside JoeyNMT 2.3.0, the same shapes in one run | bar | ratio | spread | |",
        "|---|---|---|---|---|",
    ]
    for name, what, least in (("training", "training, target tokens/s", 2.5), ("decoding", "beam 5, sentences/s", 4.0)):
        ratio = speed and speed[name].get("ratio")
        cells = ["not yet run", "", ""]
        if ratio:
            shown = Shown("", name, least=least)
            cells = [
                f"{ratio['median']:.2f}",
                f"{ratio['low']:.2f} to {ratio['high']:.2f}",
                shown.verdict(ratio["median"]),
            ]
        lines.append(f"| {what} | >= {least:g} | {' | '.join(cells)} |")
    return [*lines, "", "By `python benchmarks/translation_training.py`, which says what is compared and how."]


IN_README = (
    "japanese-vowels",
    "dna-splice-1",
    "babi-1",
    "atis",
    "sigmorphon-german",
    "m4-hourly",
    "shakespeare-char",
    "scan-simple",
    "multi30k-en-de",
    "cmudict",
)


def readme_block(results: dict[str, dict[str, Any]]) -> list[str]:
    """The first metric of one row of each kind, for the README."""
    lines = ["| measured | metric | value | 95 % interval | minutes | command |", "|---|---|---|---|---|---|"]
    for row in (row for row in ROWS if row.name in IN_README):
        value, interval, _, minutes = _cells(row.shown[0], results.get(row.name), 0)
        what = f"[{row.measured.partition(';')[0]}](docs/results.md#{row.name})"
        lines.append(
            f"| {what} | {row.shown[0].metric} | {value} | {interval} | {minutes} | `python tools/results.py --only "
            f"{row.name}` |"
        )
    return lines


def demo_block() -> list[str]:
    """What the demo found, for the README; docs/results/demo.json is what `ostinato demo --json` printed."""
    kept, lines = RESULTS / "demo.json", ["not yet run"]
    if kept.is_file():
        lines = ["```", json.loads(kept.read_text(encoding="utf-8"))["line"], "```"]
    if (HOME / "docs" / "attention.png").is_file():
        picture = "Attention: a row for each output symbol, a column for each source symbol"
        lines += ["", f"![{picture}](docs/attention.png)"]
    return lines


def filled(text: str, name: str, lines: Sequence[str]) -> str:
    """A page with these lines between its markers of this name."""
    before, opening, rest = text.partition(f"<!-- {name} -->\n")
    _, closing, after = rest.partition(f"<!-- /{name} -->")
    return "\n".join([before + opening.rstrip("\n"), *lines, closing + after]) if closing else text


def load() -> dict[str, dict[str, Any]]:
    """The results that there are, by row."""
    paths = {row.name: RESULTS / f"{row.name}.json" for row in (*ROWS, *SWEEPS)}
    return {name: json.loads(path.read_text(encoding="utf-8")) for name, path in paths.items() if path.is_file()}


def render() -> None:
    results = load()
    draw(results)
    for few in FEWS:
        few.draw(results, PAGE.parent)
    write(PAGE, page(results, json.loads(SPEED.read_text(encoding="utf-8")) if SPEED.is_file() else None))
    readme = HOME / "README.md"
    if readme.is_file():
        text = filled(readme.read_text(encoding="utf-8"), "results", readme_block(results))
        write(readme, filled(text, "demo", demo_block()))
    print(f"{PAGE.relative_to(HOME)}: {len(results)} of {len(ROWS) + len(SWEEPS)} rows measured")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="ROW", help="a row's name, or what several names begin with")
    parser.add_argument("--render", action="store_true", help="write the page from the results that there are")
    parser.add_argument("--data-root", default=os.environ.get("OSTINATO_DATA", "data"), metavar="DATA")
    chosen = parser.parse_args()
    known = (*ROWS, *SWEEPS)
    exact = [row for row in known if row.name == chosen.only]
    rows = exact or [row for row in known if chosen.only is None or row.name.startswith(f"{chosen.only}-")]
    if not rows:
        parser.error(f"there is no row {chosen.only}; rows: {', '.join(row.name for row in known)}")
    data_root = os.pathsep.join(str(Path(root).resolve()) for root in chosen.data_root.split(os.pathsep))
    failed = []
    for row in rows if not chosen.render else ():
        if (RESULTS / f"{row.name}.json").is_file():
            continue
        try:
            found = measure_sweep(row, data_root) if isinstance(row, Swept) else measure(row, data_root)
        except subprocess.CalledProcessError as why:
            if why.returncode == 130:
                return 130
            failed.append(row.name)
            print(f"{row.name}: failed, as told above; going on with the next row", file=sys.stderr)
        else:
            write(RESULTS / f"{row.name}.json", json.dumps(found, ensure_ascii=False, indent=1) + "\n")
            render()
    render()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
