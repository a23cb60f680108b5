"""How fast is attention over sequences of unequal lengths on a CPU, beside padding, in one run?

    python benchmarks/attention.py                about eight minutes on two cores
    python benchmarks/attention.py --quick        small batches, one round, nothing written

The layers and the rival of gpu.py, in float32: a whole training step (forward, backward, AdamW) of four layers 256 wide
on packed steps, and of the same layers on padded ones around torch's scaled_dot_product_attention, with a mask of what
is real (causal: none is needed). Lengths are all T (full) or uniform in [T/5, T], by seed. Both have equal weights; a
loss that differs ends the run. They take turns, ours first and second in turn; a figure is the median of the rounds in
milliseconds, with the least and the most; the ratio is padded / ours, that of two turns of one round. Memory is the
peak of a training step of one sequence, in a process of its own, above what was there before the step.

Writes results/attention.json and the section of docs/speed.md. A row that was measured is kept in
.peers/attention.jsonl until all are there: a run that was stopped continues.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from _kept_rows import HOME, KeptRows, Row, spread, write_section
from gpu import LAYERS, SIZE, attending, kind_of

from ostinato.files import write
from ostinato.training.repeatable import surroundings

RESULT = HOME / "benchmarks" / "results" / "attention.json"
SHAPES = ((64, 64), (256, 16), (1024, 8))
"""Longest sequence and sequences of a batch."""
KINDS = ((True, False), (True, True), (False, False), (False, True))
"""Ragged, causal."""
BARS = {64: 1.1, 256: 1.3, 1024: 1.3}
"""What padded / ours is asked to be where lengths are unequal; 0.98 where they are equal."""
MEMORY = (1024, 2048, 4096, 8192)


def measure(longest: int, rows: int, ragged: bool, causal: bool, rounds: int) -> Row:
    calls = attending(rows, longest, ragged, causal, "cpu")
    first, other = (float(call()) for call in calls.values())
    if not abs(first - other) <= 1e-3 * abs(other):
        sys.exit(f"T {longest}: the padded layers give {other}, ours {first}")
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(rounds + 1):
        for name in list(calls) if turn % 2 else reversed(calls):
            began = time.perf_counter()
            calls[name]()
            if turn:
                times[name].append(1000 * (time.perf_counter() - began))
    ratios = [theirs / own for own, theirs in zip(times["ours"], times["padded"])]
    return {"ms": {name: spread(own) for name, own in times.items()}, "padded / ours": spread(ratios)}


def peak(longest: int) -> None:
    """Prints the bytes of memory that a step of one sequence asks for beyond what is there before (Linux)."""
    attending(1, 64, False, False, "cpu")["ours"]()
    calls = attending(1, longest, False, False, "cpu")
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here on
    calls["ours"]()
    print(_status("VmHWM") - before)


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(f"{name}:")).split()[1])


def memory(longest: int) -> Row:
    command = [sys.executable, __file__, "--peak", str(longest)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {"bytes of a step": round(int(told) / longest)}


def section(result: dict[str, Any]) -> str:
    machine = result["machine"]
    lines = [
        "| padded / ours, whole training step | threads | " + " | ".join(f"T = {one:,}" for one, _ in SHAPES) + " |"
    ]
    lines.append("|---|" + "---|" * (1 + len(SHAPES)))
    for threads in sorted({row["threads"] for row in result["rows"]}):
        for ragged, causal in KINDS:
            own = [
                row for row in result["rows"] if row["threads"] == threads and row["kind"] == kind_of(ragged, causal)
            ]
            figures = []
            for row in own:
                ratio, low, high = row["padded / ours"]
                figures.append(f"{ratio:.2f} ({low:.2f} to {high:.2f})")
            lines.append(f"| {kind_of(ragged, causal)} | {threads} | " + " | ".join(figures) + " |")
    peaks = ", ".join(f"{own / 1024:,.0f} KiB at T = {int(longest):,}" for longest, own in result["memory"].items())
    rows = ", ".join(f"{count} of up to {longest:,}" for longest, count in SHAPES)
    return (
        f"`{result['command']}` on {machine['processor']}, float32: {LAYERS} layers {SIZE} wide beside the same layers "
        f"padded around `scaled_dot_product_attention`; ragged lengths are uniform in [T/5, T], batches are {rows} "
        "steps. Median of the rounds, with the least and the most.\n\n"
        + "\n".join(lines)
        + f"\n\nMemory of a training step of one sequence, for each of its steps: {peaks}. All figures are in "
        "[this file](../benchmarks/results/attention.json)."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int, default=5, help="turns that count (default 5)")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--peak", type=int, metavar="T", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.peak is not None:
        return peak(chosen.peak)
    rounds = 1 if chosen.quick else chosen.rounds
    kept = KeptRows(HOME / ".peers" / "attention.jsonl")
    found = []
    for threads in chosen.threads:
        torch.set_num_threads(threads)
        for longest, count in SHAPES:
            for ragged, causal in KINDS:
                rows = max(1, count // (8 if chosen.quick else 1))
                key = {"longest": longest, "rows": rows, "ragged": ragged, "causal": causal, "threads": threads}
                given = longest, rows, ragged, causal, rounds
                row = kept.row({**key, "rounds": rounds}, lambda given=given: measure(*given))
                found.append({"kind": kind_of(ragged, causal), **key, **row})
                ratio, low, high = row["padded / ours"]
                bar = BARS[longest] if ragged else 0.98
                met = "met" if ratio >= bar else "missed"
                about = f"T {longest}, {rows} sequences, {kind_of(ragged, causal)}, {threads} threads"
                print(f"{about}: padded / ours {ratio} ({low} to {high}), bar {bar} {met}", flush=True)
    peaks = {}
    for longest in MEMORY[: 2 if chosen.quick else None]:
        peaks[str(longest)] = kept.row({"memory": longest}, lambda longest=longest: memory(longest))["bytes of a step"]
        print(f"memory of a training step, T {longest}: {peaks[str(longest)]:,} bytes a step", flush=True)
    if chosen.quick:
        return
    result = {
        "command": " ".join(["python benchmarks/attention.py", *sys.argv[1:]]),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {"cores": os.cpu_count(), **surroundings("cpu")},
        "rows": [{name: value for name, value in row.items() if name != "key"} for row in found],
        "memory": peaks,
    }
    write(RESULT, json.dumps(result, indent=1) + "\n")
    write_section("Attention on a CPU", section(result))
    kept.end()


if __name__ == "__main__":
    main()
