"""What does the native loop of a recurrent decoder give, beside the same decoder step by step through torch?

    python benchmarks/decoder_loop.py             about two minutes on one core
    python benchmarks/decoder_loop.py --quick     one round, nothing written

An LSTM of 256 with the context before the cell reads targets of 60 to 120 steps, 50 at a time, and attends to inputs of
5 to 10 steps, 128 wide: the sizes of recipes/pen-writing.yaml. Training is forward and backward with teacher forcing;
generation is 40 steps of each row. Both ways have the same weights, and a loss that differs ends the run. They take
turns in one process on one thread; a figure is steps per second of processor time, so that other programs on the core
count little (the share of it that the process had is told): the median of the rounds, with the least and the most; the
ratio is that of two turns of one round.

Writes results/decoder_loop.json and the section of docs/speed.md.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from unittest.mock import patch

import torch
from _kept_rows import HOME, Row, spread, write_section
from torch import nn

from ostinato.attentions.contract import Attention
from ostinato.decoders.recurrent import RecurrentDecoder
from ostinato.encoders.contract import Encoded, Sizes
from ostinato.files import write
from ostinato.registry import settings_class
from ostinato.steps import Layout, Steps
from ostinato.training.repeatable import surroundings

RESULT = HOME / "benchmarks" / "results" / "decoder_loop.json"
ATTENTIONS = ("additive", "general", "gaussian")
ROWS, WIDTH, HIDDEN, READ, GENERATED = 50, 128, 256, 64, 40
WAYS = ("native", "torch")


def decoder_of(attention: str) -> RecurrentDecoder:
    torch.manual_seed(0)
    cell = settings_class("cells", "lstm")(type="lstm")
    looks = settings_class("attentions", attention)(type=attention)
    sizes = [Sizes(WIDTH, WIDTH, (WIDTH,))]
    options = {"cell": cell, "hidden_size": HIDDEN, "attention": looks, "context": "before"}
    return RecurrentDecoder(sizes, lambda: nn.Linear(3, READ), READ, None, 0.0, **options)


def calls_of(decoder: RecurrentDecoder) -> dict[str, tuple[int, Callable[[], float]]]:
    """Training and generation: how many steps one call makes, and the call, which gives a number to compare."""
    memory, layout = (Layout(torch.randint(low, high, (ROWS,))) for low, high in ((5, 11), (60, 121)))
    summary = torch.randn(ROWS, WIDTH)
    encoded = [Encoded(Steps(torch.randn(memory.total, WIDTH), memory), summary, (summary,))]
    steps = Steps(torch.randn(layout.total, 3), layout)

    def train() -> float:
        loss = decoder.run(encoded, steps).square().mean()
        loss.backward()
        decoder.zero_grad()
        return loss.item()

    @torch.no_grad()
    def generate() -> float:
        state, symbols = decoder.start(encoded), torch.ones(ROWS, 3)
        for _ in range(GENERATED):
            features, state = decoder.step(symbols, state)
        return features.square().mean().item()

    return {"training": (layout.total, train), "generation": (GENERATED * ROWS, generate)}


def measure(attention: str, rounds: int) -> dict[str, Row]:
    decoder = decoder_of(attention)
    member: Attention = decoder.attentions[0]
    kinds, rows = {"native": type(member).native, "torch": lambda self: "left out here"}, {}
    for task, (count, call) in calls_of(decoder).items():
        rates: dict[str, list[float]] = {way: [] for way in WAYS}
        said = {}
        for turn in range(rounds + 1):
            for way in WAYS if turn % 2 else reversed(WAYS):
                with patch.object(type(member), "native", kinds[way]):
                    began = time.process_time()
                    said[way] = call()
                    taken = time.process_time() - began
                if turn:
                    rates[way].append(count / taken)
        if not abs(said["native"] - said["torch"]) <= 1e-4 * abs(said["torch"]):
            sys.exit(f"{attention}, {task}: torch gives {said['torch']}, the native loop {said['native']}")
        ratios = [native / other for native, other in zip(*rates.values())]
        rows[task] = {"steps/s": {way: spread(own) for way, own in rates.items()}, "native / torch": spread(ratios)}
    return rows


def section(result: Row) -> str:
    lines = [
        "| attention | | native loop, steps/s | through torch, steps/s | native / torch |",
        "|---|---|---|---|---|",
    ]
    for attention, tasks in result["rows"].items():
        for task, row in tasks.items():
            rates = [f"{row['steps/s'][way][0]:,.0f}" for way in WAYS]
            ratio, low, high = row["native / torch"]
            lines.append(f"| {attention} | {task} | {rates[0]} | {rates[1]} | {ratio:.2f} ({low:.2f} to {high:.2f}) |")
    return (
        f"`{result['command']}` on {result['machine']['processor']}, float32, one thread, processor time (the process "
        f"had {100 * result['share']:.0f} % of its core): LSTM of {HIDDEN}, context before the cell, {ROWS} rows. "
        "Median of the rounds; of ratios with the least and the most.\n\n"
        + "\n".join(lines)
        + "\n\nAll figures are in [this file](../benchmarks/results/decoder_loop.json)."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int, default=9, help="turns that count (default 9)")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    rows, began = {}, (time.perf_counter(), time.process_time())
    for attention in ATTENTIONS:
        rows[attention] = measure(attention, 1 if chosen.quick else chosen.rounds)
        for task, row in rows[attention].items():
            print(f"{attention}, {task}: {row}", flush=True)
    share = (time.process_time() - began[1]) / (time.perf_counter() - began[0])
    print(f"the process had {100 * share:.0f} % of its core")
    if chosen.quick:
        return
    result = {
        "command": " ".join(["python benchmarks/decoder_loop.py", *sys.argv[1:]]),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {"cores": os.cpu_count(), **surroundings("cpu")},
        "share": round(share, 2),
        "rows": rows,
    }
    write(RESULT, json.dumps(result, indent=1) + "\n")
    write_section("The loop of a recurrent decoder", section(result))


if __name__ == "__main__":
    main()
