"""Is more effort better than a default run, and than other tools in the same time?

    python benchmarks/effort.py --data-root DATA                   --effort 3 beside the default run, ten sets
    python benchmarks/effort.py --data-root DATA --own-time        the same, each for as long as it takes by itself
    python benchmarks/effort.py --data-root DATA --rival flaml     beside FLAML on n-grams, four sets of text
    python benchmarks/effort.py --data-root DATA --rival autogluon beside AutoGluon, two tables and two series
    python benchmarks/effort.py --install flaml                    a rival into .peers, once
    python benchmarks/effort.py --summary                          the rows that there are, p corrected
    python benchmarks/effort.py --data-root DATA --rows 200 --minutes 0.5 --out FILE    a look at whether all works

Sets are those of first_run.py, with bare types: both see the training rows alone, set aside what they validate on, and
are measured on the rows of the valid (or, once, the test) part. Both get the same minutes on the same threads. A row
holds both values of the set's main metric and their paired difference. FLAML gets tf-idf of words and pairs of words,
and of characters, as n-gram baselines count them. AutoGluon gets the columns as they are; of series it forecasts from
some of the origins, evenly spread, all that is known until then at hand. Its models that download weights are left out.

Rows are appended to a file of JSON lines; what is there for this state of the package is not measured again, nor is a
run that has ended trained again.
"""

import argparse
import dataclasses
import hashlib
import json
import math
import os
import shlex
import statistics
import subprocess
import sys
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from _first_run_sets import SETS, Files, Set, written
from first_run import command_of, machine, rows_of, state_of_package

import ostinato
from ostinato import api
from ostinato.data.examples import Examples
from ostinato.data.read import open_table
from ostinato.errors import nearest
from ostinato.evaluation.intervals import holm, paired
from ostinato.evaluation.predictions import predict_all
from ostinato.files import cache_folder, write
from ostinato.metrics.contract import Predictions
from ostinato.registry import make
from ostinato.run.rows import of_split
from ostinato.run.run import Run

HERE = Path(__file__).resolve().parent
PEERS = HERE.parent / ".peers"
EFFORT = 3
DEFAULT = "default"
MINUTES = 5.0, 15.0
LISTED = {
    DEFAULT: (
        *("surnames", "sst-2", "wikiann-en", "wnut17", "pos-english", "protein-q3"),
        *("inflection-finnish", "inflection-german", "cmudict", "har"),
    ),
    "flaml": ("sst-2", "mr-sentences", "surnames", "ag-news"),
    "autogluon": ("sst-2", "pendigits", "airline", "temperatures"),
}
NEEDED = {
    "flaml": ("flaml[automl]",),
    "autogluon": ("autogluon.tabular[lightgbm]", "autogluon.timeseries"),
}
"""What is installed of a rival, torch of this environment's version first."""
MOST_ORIGINS = 20
"""Origins that a rival forecasts from."""


@dataclasses.dataclass(frozen=True)
class Asked:
    """How sets are run.

    Args:
        rival: what is measured beside `--effort`.
        minutes: of both; None: as long as each takes by itself.
        part: `valid` or `test`.
        rows: the most rows of a table; None: all.
        threads: of both.
        root: the folder of the data sets.
        work: the folder of tables and runs.
        python: the rival's interpreter.
        path: folders of packages that the rival finds there.
    """

    rival: str
    minutes: float | None
    part: str
    rows: int | None
    threads: int
    root: Path
    work: Path
    python: Path
    path: str

    def environment(self, path: str) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": str(self.threads)}


def kept(folder: Path, words: list[str], environment: dict[str, str]) -> float:
    """Runs a command once; the seconds that it took, also where that was before."""
    seconds = folder.with_suffix(".seconds")
    if not seconds.is_file():
        folder.parent.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        with folder.with_suffix(".log").open("w", encoding="utf-8") as log:
            print("+", shlex.join(words), file=log, flush=True)
            if subprocess.run(words, stdout=log, stderr=log, env=environment, check=False).returncode:
                sys.exit(f"{shlex.join(words)}: failed; see {log.name}")
        write(seconds, str(time.monotonic() - began))
    return float(seconds.read_text(encoding="utf-8"))


def trained(chosen: Set, files: Files, effort: int, asked: Asked) -> tuple[Run, float]:
    """A run of the command line, and its seconds."""
    words = command_of(chosen, files, asked.minutes) + (["--effort", str(effort)] if effort > 1 else [])
    facts = json.dumps([state_of_package(), words[2:], files.train.read_text(encoding="utf-8"), asked.threads])
    span = "own" if asked.minutes is None else f"{60 * asked.minutes:.0f}s"
    name = f"{chosen.name}-{effort}-{span}-{hashlib.sha256(facts.encode()).hexdigest()[:12]}"
    folder = asked.work / "runs" / name
    words = [sys.executable, "-m", "ostinato", *words, "--run", str(folder), "--device", "cpu", "--overwrite"]
    path = os.pathsep.join([str(Path(ostinato.__file__).parent.parent), os.environ.get("PYTHONPATH", "")])
    seconds = kept(folder, words, asked.environment(path))
    return Run.load(folder), seconds


def measured(chosen: Set, asked: Asked) -> dict[str, Any]:
    """The row of a set."""
    tables = asked.work / "tables" / f"{chosen.name}-{asked.part}{'' if asked.rows is None else f'-{asked.rows}'}"
    files = written(asked.part, chosen, asked.root, tables, asked.rows)
    run, seconds = trained(chosen, files, EFFORT, asked)
    measure = chosen.measures[0]
    examples = of_split(run, "test", None if files.measured is None else str(files.measured), ())
    if chosen.ends is not None and asked.rival != DEFAULT:
        examples = examples.pick(np.unique(np.linspace(0, len(examples) - 1, MOST_ORIGINS).astype(int)))
    own = predict_all([run], examples).outputs[measure.output]
    if asked.rival == DEFAULT:
        default, rival_seconds = trained(chosen, files, 1, asked)
        other = predict_all([default], examples).outputs[measure.output]
    else:
        other, rival_seconds = predicted(chosen, files, run, examples, own, asked)
    settings = {"type": measure.metric} if isinstance(measure.metric, str) else dict(measure.metric)
    metric = make("metrics", settings.pop("type"), (), settings)
    portfolio = api.portfolio(run)
    return {
        "rows": files.rows,
        "examples": len(own.expected),
        "metric": metric.name,
        "higher_is_better": metric.higher_is_better,
        **dataclasses.asdict(paired(metric, other, own)),
        "seconds": {asked.rival: round(rival_seconds, 1), "effort": round(seconds, 1)},
        "validation": None if portfolio is None else {"default": portfolio.default, "chosen": portfolio.chosen},
        "members": run.bundle.members,
    }


def predicted(
    chosen: Set, files: Files, run: Run, examples: Examples, own: Predictions, asked: Asked
) -> tuple[Predictions, float]:
    """What a rival predicts of these examples, and its seconds."""
    assert asked.minutes is not None
    folder = asked.work / "rivals" / f"{chosen.name}-{asked.rival}-{60 * asked.minutes:.0f}s-{asked.part}-{asked.rows}"
    order = {"minutes": asked.minutes, "threads": asked.threads, "folder": str(folder), **_task(chosen, files, own)}
    write(folder.with_suffix(".order.json"), json.dumps(order, ensure_ascii=False))
    words = [str(asked.python), str(HERE / f"_{asked.rival}_peer.py"), str(folder.with_suffix(".order.json"))]
    seconds = kept(folder, words, asked.environment(asked.path))
    answers = json.loads(folder.with_suffix(".answers.json").read_text(encoding="utf-8"))
    if chosen.ends is None:
        parse = run.modalities[f"outputs.{chosen.measures[0].output}"].parse
        return Predictions([parse(answer) for answer in answers], own.expected), seconds
    shaped = [np.reshape(answer, np.shape(true)).tolist() for answer, true in zip(answers, own.expected, strict=True)]
    return Predictions(shaped, own.expected, scales=own.scales, order=own.order), seconds


def _task(chosen: Set, files: Files, own: Predictions) -> dict[str, Any]:
    """What a rival is asked: rows with an output and rows without, or a series and the origins of its forecasts."""
    columns = [*chosen.inputs, *chosen.outputs]

    def rows(path: Path, names: list[str]) -> list[list[Any]]:
        table = open_table(str(path), columns=names, base=path.parent, data_root=(), where="data")
        return [list(row) for block in table.blocks() for row in zip(*(block.columns[name] for name in names))]

    if chosen.ends is None:
        train, asked = rows(files.train, columns), rows(files.measured, list(chosen.inputs))
        return {"columns": columns, "train": [_flat(row) for row in train], "asked": [_flat(row) for row in asked]}
    value = chosen.outputs[0].partition(":")[0]
    series = [float(row[0]) for row in rows(files.train, [value])]
    horizon, held_out = len(own.expected[0]), files.rows[1]
    origins = len(series) - held_out + np.linspace(0, held_out - horizon, len(own.expected)).astype(int)
    table = open_table(str(files.train), columns=None, base=files.train.parent, data_root=(), where="data")
    dates = [row[0] for block in table.blocks() for row in zip(*block.columns.values())]
    return {"series": series, "dates": dates, "horizon": horizon, "origins": origins.tolist(), "held_out": held_out}


def _flat(row: list[Any]) -> list[Any]:
    """A row whose series of equal length are columns."""
    cells = [json.loads(cell) if isinstance(cell, str) and cell.startswith("[[") else cell for cell in row]
    return [part for cell in cells for part in (np.ravel(cell).tolist() if isinstance(cell, list) else [cell])]


def install(rival: str) -> None:
    """A rival into an environment of its own, torch of this one's version first, so that no other build is drawn."""
    import torch

    folder = PEERS / rival
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip = partial(subprocess.run, check=True)
    for needed in (("torch==" + torch.__version__.partition("+")[0],) * (rival == "autogluon"), NEEDED[rival]):
        if needed:
            pip([folder / "bin" / "python", "-m", "pip", "install", *needed])


def summary(rows: list[dict[str, Any]]) -> str:
    """The rows of each rival and time, p corrected for all of them."""
    lines = []
    for rival, minutes in sorted(
        {(row["rival"], row["minutes"]) for row in rows}, key=lambda pair: (pair[0], pair[1] or 0)
    ):
        known = [row for row in rows if (row["rival"], row["minutes"]) == (rival, minutes)]
        corrected = holm([row["p_value"] for row in known])
        better = sum(row["better"] == "second" for row in known)
        worse = sum(row["better"] == "first" and p < 0.05 for row, p in zip(known, corrected))
        span = "its own time" if minutes is None else f"{minutes:g} minutes"
        lines.append(f"{rival}, {span}: better on {better} of {len(known)}, worse on {worse} (Holm)")
        lines += [f"  {line_of(row)}, p {p:.3g} (Holm)" for row, p in zip(known, corrected)]
        gains = [_reduction(row) for row in known if math.isfinite(_reduction(row))]
        lines += [f"  mean reduction of the error: {statistics.fmean(gains):.1%}"] if gains else []
    return "\n".join(lines)


def _reduction(row: dict[str, Any]) -> float:
    """By how much of its error the rival's is reduced; of a share the error is what is missing to 100."""
    errors = [100 - row[side] if row["higher_is_better"] else row[side] for side in ("first", "second")]
    return 1 - errors[1] / errors[0] if errors[0] else math.nan


def line_of(row: dict[str, Any]) -> str:
    sides = f"{row['rival']} {row['first']:.4g}, effort {EFFORT} {row['second']:.4g}"
    ends = f"{row['difference']:+.3g} [{row['low']:.3g}, {row['high']:.3g}]"
    return f"{row['set']} {row['metric']}: {sides}, {ends}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, default=os.environ.get("OSTINATO_DATA"), metavar="DATA")
    parser.add_argument("--rival", choices=[*LISTED], default=DEFAULT)
    parser.add_argument("--sets", nargs="+", metavar="NAME", help="some of the sets")
    parser.add_argument("--minutes", nargs="+", type=float, default=MINUTES, help="of each side (default 5 and 15)")
    parser.add_argument("--own-time", action="store_true", help="each side for as long as it takes without --minutes")
    parser.add_argument("--part", choices=("valid", "test"), default="valid")
    parser.add_argument("--rows", type=int, help="the most rows of a table, for a look")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--out", type=Path, default=HERE / "results" / "effort.jsonl", metavar="FILE")
    parser.add_argument("--work", type=Path, default=cache_folder() / "effort", help="the folder of tables and runs")
    parser.add_argument("--install", choices=[*NEEDED], help="install a rival into .peers, and nothing else")
    parser.add_argument("--python", type=Path, help="the rival's interpreter (default .peers/RIVAL/bin/python)")
    parser.add_argument("--path", default="", help="folders of packages for it, in place of an environment")
    parser.add_argument("--summary", action="store_true", help="print the rows, and nothing else")
    asked = parser.parse_args()
    if asked.install:
        return install(asked.install)
    if asked.summary:
        return print(summary(rows_of(asked.out)))
    if asked.data_root is None:
        parser.error("--data-root names the folder of the data sets' folders (`ostinato data list`)")
    python = (asked.python or PEERS / asked.rival / "bin" / "python").absolute()
    if asked.rival != DEFAULT and not python.is_file():
        parser.error(f"{python}: not installed; --install {asked.rival}")
    if asked.rival != DEFAULT and asked.own_time:
        parser.error("--own-time: a rival is told its minutes; leave --rival or --own-time out")
    known = {chosen.name: chosen for chosen in SETS}
    for minutes in (None,) if asked.own_time else asked.minutes:
        how = Asked(
            *(asked.rival, minutes, asked.part, asked.rows, asked.threads),
            *(asked.data_root.resolve(), asked.work.resolve(), python, asked.path),
        )
        for name in asked.sets or LISTED[asked.rival]:
            if name not in known:
                parser.error(f"--sets {name}: there is no such set{nearest(name, known)}")
            head = {"rival": asked.rival, "set": name, "minutes": minutes, "part": asked.part, "most_rows": asked.rows}
            head |= {"threads": asked.threads, "package": state_of_package()}
            if any(head.items() <= row.items() for row in rows_of(asked.out)):
                print(f"{name}: there already")
                continue
            about = {"machine": machine(asked.threads), "date": datetime.now(UTC).date().isoformat()}
            row = {**head, **measured(known[name], how), **about}
            with asked.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
            print(line_of(row), flush=True)


if __name__ == "__main__":
    main()
