"""How fast does each architecture train, by the length of its sequences, and where do the curves cross?

    python benchmarks/speed_by_length.py            about six minutes on two cores
    python benchmarks/speed_by_length.py --quick    two lengths, one round, nothing written

All read one way, are 256 wide and have as many layers as come nearest to 1.6 million parameters, embeddings apart. An
update is forward, the gradients of all weights and AdamW, on 4,096 steps: sequences of 16 are 256 in a batch, those of
2,048 are two. What each step asks of the other steps is all that grows with the length. The architectures take turns;
a figure is the median of the rounds in steps a second, with the least and the most. Writes
results/speed_by_length.json, docs/speed_by_length.png and the section of docs/speed.md. A length that was measured is
kept in .peers/speed_by_length.jsonl until all are there: a run that was stopped continues.
"""

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import torch
from _kept_rows import HOME, KeptRows, Row, spread, write_section
from torch import nn

from ostinato.files import write
from ostinato.modalities.contract import Symbols
from ostinato.registry import make, settings_class
from ostinato.steps import Layout, Steps
from ostinato.training.repeatable import surroundings

WIDTH, WANTED, STEPS, SYMBOLS = 256, 1_600_000, 4096, 100
LENGTHS = (16, 32, 64, 128, 256, 512, 1024, 2048)
ARCHITECTURES: dict[str, tuple[str, str | None]] = {
    "RNN": ("recurrent", "rnn"),
    "LSTM": ("recurrent", "lstm"),
    "GRU": ("recurrent", "gru"),
    "minGRU": ("recurrent", "mingru"),
    "sLSTM": ("recurrent", "slstm"),
    "mLSTM": ("mlstm", None),
    "convolution": ("convolutional", None),
    "Transformer": ("transformer", None),
}
"""The encoder of each, and the cell of a recurrent one."""
RESULT, PICTURE = HOME / "benchmarks" / "results" / "speed_by_length.json", HOME / "docs" / "speed_by_length.png"


def encoder(name: str, layers: int) -> nn.Module:
    kind, cell = ARCHITECTURES[name]
    own = {} if cell is None else {"cell": settings_class("cells", cell)(type=cell), "dropout": 0.0}
    given = {"hidden_size": WIDTH, "embedding_size": WIDTH, "bidirectional": False, "layers": layers, **own}
    torch.manual_seed(1)
    return make("encoders", kind, (Symbols(SYMBOLS, 0, 1, 2),), given)


def parameters(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters()) - SYMBOLS * WIDTH


def as_large(name: str) -> tuple[nn.Module, int]:
    """The encoder whose number of layers comes nearest to the parameters that are wanted, and that number."""
    one, two = (parameters(encoder(name, layers)) for layers in (1, 2))
    layers = max(1, round((WANTED - one) / (two - one)) + 1)
    return encoder(name, layers), layers


def update(module: nn.Module, length: int) -> Callable[[], None]:
    rows = STEPS // length
    symbols = torch.randint(3, SYMBOLS, (rows * length,), generator=torch.Generator().manual_seed(2))
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-4, fused=True)

    def call() -> None:
        optimizer.zero_grad()
        read = module.encode(Steps(symbols.int(), Layout([length] * rows)))
        read.steps.values.square().mean().backward()
        optimizer.step()

    return call


def measure(modules: dict[str, nn.Module], length: int, rounds: int) -> Row:
    """Steps a second of each; the first update of each does not count."""
    calls = {name: update(module, length) for name, module in modules.items()}
    rates: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(rounds + 1):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            if turn:
                rates[name].append(STEPS / (time.perf_counter() - began))
    return {"steps a second": {name: spread(own) for name, own in rates.items()}}


def crossings(rates: dict[str, list[float]], lengths: list[int]) -> dict[str, dict[str, list[int]]]:
    """Where one curve passes another: the length, between two measured ones in logarithms, at which the first of a pair
    becomes the slower one (`below`) or the faster one (`above`)."""
    found: dict[str, dict[str, list[int]]] = {}
    for first, own in rates.items():
        for second, other in rates.items():
            if first >= second:
                continue
            apart = [math.log(mine / theirs) for mine, theirs in zip(own, other)]
            pair: dict[str, list[int]] = {"below": [], "above": []}
            for place, (before, after) in enumerate(zip(apart, apart[1:])):
                if before * after < 0:
                    share = before / (before - after)
                    at = lengths[place] * (lengths[place + 1] / lengths[place]) ** share
                    pair["below" if before > 0 else "above"].append(round(at))
            if pair["below"] or pair["above"]:
                found[f"{first} and {second}"] = pair
    return found


def draw(result: dict[str, Any]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    lengths = result["lengths"]
    figure, axes = pyplot.subplots(figsize=(8.4, 5.2), layout="constrained")
    colours = pyplot.get_cmap("tab10")
    for number, (name, own) in enumerate(result["architectures"].items()):
        rates, low, high = zip(*own["steps a second"])
        style = "--" if name in ("convolution", "Transformer") else "-"
        label = f"{name} ({own['layers']} layers)"
        axes.plot(lengths, rates, style, marker="o", markersize=4, color=colours(number), label=label)
        axes.fill_between(lengths, low, high, color=colours(number), alpha=0.15, linewidth=0)
    axes.set(xscale="log", yscale="log", xlabel="steps of a sequence", ylabel="steps a second, whole update")
    axes.set_xticks(lengths, [f"{length:,}" for length in lengths])
    axes.minorticks_off()
    low, high = axes.get_ylim()
    ticks = [base * 10**power for power in range(6) for base in (1, 2, 3, 5, 7) if low <= base * 10**power <= high]
    axes.set_yticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.grid(color="0.9")
    axes.set_title(title_of(result), fontsize=11, loc="left")
    figure.legend(loc="outside right upper", fontsize=9, frameon=False)
    figure.savefig(PICTURE, dpi=130, metadata={"Software": None})


def medians(result: dict[str, Any]) -> dict[str, list[float]]:
    return {name: [rate for rate, *_ in own["steps a second"]] for name, own in result["architectures"].items()}


def title_of(result: dict[str, Any]) -> str:
    rates = medians(result)
    first, last = (max(rates, key=lambda name: rates[name][place]) for place in (0, -1))
    lengths = result["lengths"]
    if first == last:
        return f"The {first} is the fastest at {lengths[0]} steps and at {lengths[-1]:,}"
    return f"At {lengths[0]} steps the {first} is the fastest, at {lengths[-1]:,} the {last}"


def section(result: dict[str, Any]) -> str:
    rates, lengths, machine = medians(result), result["lengths"], result["machine"]
    shown = [place for place, length in enumerate(lengths) if length in (16, 64, 256, 1024, 2048)]
    lines = [
        "| steps a second | layers | parameters | " + " | ".join(f"T = {lengths[place]:,}" for place in shown) + " |"
    ]
    lines.append("|" + "---|" * (3 + len(shown)))
    for name, own in result["architectures"].items():
        figures = " | ".join(f"{rates[name][place]:,.0f}" for place in shown)
        lines.append(f"| {name} | {own['layers']} | {own['parameters'] / 1e6:.2f} M | {figures} |")
    passed = []
    for pair, own in result["crossings"].items():
        if "Transformer" not in pair:
            continue
        other = next(name for name in pair.split(" and ") if name != "Transformer")
        ours = pair.startswith("Transformer")
        falls = own["below" if ours else "above"]
        passed += [f"the {other} at about {at:,} steps" for at in falls]
    crossing = (
        f"The Transformer falls behind {', '.join(passed)}. " if passed else "No curve crosses the Transformer's. "
    )
    return (
        f"`{result['command']}`, {machine['threads']} threads of one machine ({machine['processor']}): updates of "
        f"encoders {WIDTH} wide that read one way, with about as many parameters, {STEPS:,} steps in a batch whatever "
        "the length T. Each layer of a recurrence costs the same per step at any length, until too few sequences are "
        f"left to share its weights; attention costs more with each earlier step. {crossing}All figures, with the "
        "least and the most of the rounds, are in [this file](../benchmarks/results/speed_by_length.json).\n\n"
        + "\n".join(lines)
        + "\n\n![Steps a second by the length of sequences](speed_by_length.png)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int, default=5, help="turns that count (default 5)")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    lengths, rounds = ([16, 128], 1) if chosen.quick else (list(LENGTHS), chosen.rounds)
    made = {name: as_large(name) for name in ARCHITECTURES}
    modules = {name: module for name, (module, _) in made.items()}
    kept = KeptRows(HOME / ".peers" / "speed_by_length.jsonl")
    rows = []
    for length in lengths:
        key = {"length": length, "rounds": rounds, "threads": chosen.threads, "names": list(made)}
        rows.append(kept.row(key, lambda length=length: measure(modules, length, rounds)))
        print(length, {name: rate for name, (rate, *_) in rows[-1]["steps a second"].items()}, flush=True)
    architectures = {
        name: {
            "layers": layers,
            "parameters": parameters(module),
            "steps a second": [row["steps a second"][name] for row in rows],
        }
        for name, (module, layers) in made.items()
    }
    result = {
        "command": " ".join(["python benchmarks/speed_by_length.py", *sys.argv[1:]]),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {"cores": os.cpu_count(), **surroundings("cpu")},
        "lengths": lengths,
        "architectures": architectures,
    }
    result["crossings"] = crossings(medians(result), lengths)
    print(json.dumps(result["crossings"], indent=1))
    if chosen.quick:
        return
    write(RESULT, json.dumps(result, indent=1) + "\n")
    draw(result)
    write_section("By the length of sequences", section(result))
    kept.end()


if __name__ == "__main__":
    main()
