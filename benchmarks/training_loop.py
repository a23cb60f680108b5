"""What does the training loop cost around a recurrent layer: data, embedding, loss, gradients' norm, optimizer,
reports, checkpoints?

    python benchmarks/training_loop.py            measures, prints, writes training_loop.{json,md} into docs
    python benchmarks/training_loop.py --quick    one row, into runs/training_loop
    python benchmarks/training_loop.py --update   clipping and AdamW alone, by torch's functions and by the loop's own

Rows are cells x hidden sizes x tasks on generated rows of 10 to 50 symbols out of 100: a label of the whole
(`summary`), a label of each step (`each`), the next symbol (`next`). A row trains by `ostinato.api.train`, and every 20
updates its loop waits: the layer alone then computes the same 20 batches forward and backward (`ostinato.nn`, the
gradients of x and of all weights, for a gradient of hidden that is given; the layouts are made in the call), as
benchmarks/recurrent_layers.py measures it beside others. So both take turns in one process, on the same threads. Ratios
are those of turns, their median beside the least and the most; the first turn is left out.

Batches hold 4,000 steps, the most that a recipe's defaults choose, and 1,000, where what an update costs once weighs
more.

What is counted: the time from the end of an update to the end of the next, so reports and checkpoints too. What is not:
validation, which comes between epochs. Overhead is the loop's time over the layer's, less one. The bar holds at hidden
sizes from 256 up and 4,000 steps a batch: 15 % for LSTM and GRU, 30 % for the RNN.
"""

import argparse
import itertools
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from _layer_calls import OURS

from ostinato import api
from ostinato.files import write
from ostinato.kernels.native_library import library
from ostinato.preprocessing.prepare import prepare
from ostinato.recipe.read import from_arguments
from ostinato.registry import make
from ostinato.steps import Layout, Steps
from ostinato.training.clip import clip
from ostinato.training.repeatable import surroundings
from ostinato.training.task import Progress

HOME = Path(__file__).resolve().parent.parent
NAME = "training_loop"
BARS = {"lstm": 0.15, "gru": 0.15, "rnn": 0.30}
"""The overhead that is allowed from LEAST up, in batches of BATCHES[0] steps."""
LEAST = 256
ROWS, ALPHABET, LENGTHS, SEED = 12_000, 100, (10, 50), 20261121
BATCHES = (4_000, 1_000)
"""Steps in a batch."""
EMBEDDED = 256
TURN = 20
"""Updates from one turn of the layer to the next."""
EPOCHS = 2
CELLS, SIZES, TASKS = ("lstm", "gru", "rnn"), (128, 256, 512), ("summary", "each", "next")
OUTPUTS: dict[str, dict[str, Any]] = {
    "summary": {"label": {"type": "category", "head": {"dropout": 0}}},
    "each": {"marks": {"type": "tags", "head": {"dropout": 0}}},
    "next": {"going_on": {"of": "symbols", "align": "next", "head": {"dropout": 0}}},
}


def rows() -> list[dict[str, Any]]:
    """Symbols, the most frequent ninth of them as the label, and for each symbol whether it is even."""
    draw = random.Random(SEED)
    made = []
    for _ in range(ROWS):
        numbers = [draw.randrange(ALPHABET) for _ in range(draw.randint(*LENGTHS))]
        label = max(range(10), key=[one // 10 for one in numbers].count)
        made.append(
            {
                "symbols": [f"s{one}" for one in numbers],
                "label": str(label),
                "marks": ["odd" if one % 2 else "even" for one in numbers],
            }
        )
    return made


class Turns:
    """Listens to the end of each update, and after every `TURN` of them times the layer on the same batches."""

    def __init__(self, layer: torch.nn.Module, batches: Sequence[torch.Tensor]):
        self.layer = layer
        self.batches = batches
        self.loop: list[float] = []
        self.alone: list[float] = []
        self.began: float | None = None

    def after_update(self, progress: Progress) -> None:
        if progress.update % TURN:
            return
        now = time.perf_counter()
        if self.began is not None:
            self.loop.append(now - self.began)
            self.alone.append(self.compute(progress.update))
        place = progress.update % (progress.total_updates // progress.epochs)
        # Validation comes between two epochs: a turn that holds it is not counted.
        whole = place + TURN <= progress.total_updates // progress.epochs
        self.began = time.perf_counter() if whole else None

    def compute(self, update: int) -> float:
        began = time.perf_counter()
        for lengths in self.batches[update - TURN : update]:
            layout = Layout(lengths)
            x = self.given[: layout.total].requires_grad_()
            hidden = self.layer(Steps(x, layout))[0].values
            torch.autograd.grad(hidden, [x, *self.layer.parameters()], self.wanted[: layout.total])
        return time.perf_counter() - began

    def drawn(self, sizes: tuple[int, int]) -> "Turns":
        most = max(int(one.sum()) for one in self.batches)
        self.given, self.wanted = (torch.randn(most, size) for size in sizes)
        return self


def measured(cell: str, size: int, task: str, batch_steps: int, data: list[dict[str, Any]]) -> dict[str, Any]:
    encoder = {"cell": cell, "hidden_size": size, "embedding_size": EMBEDDED, "bidirectional": False, "dropout": 0}
    training = {
        "batch_steps": batch_steps * (1 if task == "summary" else 2),
        "epochs": EPOCHS,
        "precision": "float32",
        "keep_best": False,
    }
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "rows.jsonl"
        write(table, "".join(json.dumps(one) + "\n" for one in data))
        recipe = from_arguments(
            data={"train": str(table)},
            inputs={"symbols": {"type": "tokens", "encoder": encoder}},
            outputs=OUTPUTS[task],
            training=training,
        )
        prepared = prepare(recipe)
        examples, settings = prepared.splits["train"], prepared.recipe.settings
        epochs = [examples.batches(settings.training).epoch(number) for number in range(EPOCHS)]
        extra = 1 if task == "next" else 0
        lengths = [
            torch.from_numpy(examples.lengths("inputs.symbols")[part]).long() + extra for one in epochs for part in one
        ]
        turns = Turns(OURS[cell](EMBEDDED, size), lengths).drawn((EMBEDDED, size))
        api.train(recipe, Path(folder) / "run", device="cpu", on_event=turns.after_update)
    loop, alone = turns.loop[1:], turns.alone[1:]
    ratios = sorted(one / other for one, other in zip(loop, alone, strict=True))
    steps = statistics.mean(int(one.sum()) for one in lengths)
    return {
        "cell": cell,
        "hidden_size": size,
        "task": task,
        "turns": len(ratios),
        "steps_a_batch": round(steps),
        "loop_steps_per_second": round(TURN * steps / statistics.median(loop)),
        "layer_steps_per_second": round(TURN * steps / statistics.median(alone)),
        "overhead": round(statistics.median(ratios) - 1, 3),
        "least": round(ratios[0] - 1, 3),
        "most": round(ratios[-1] - 1, 3),
    }


def beside(row: dict[str, Any]) -> float:
    """Milliseconds of an update that are not the layer's."""
    return 1000 * row["steps_a_batch"] * (1 / row["loop_steps_per_second"] - 1 / row["layer_steps_per_second"])


def bars() -> str:
    allowed = ", ".join(f"{100 * bar:.0f} % ({cell})" for cell, bar in BARS.items())
    return f"At most {allowed} from {LEAST} up and {BATCHES[0]:,} steps"


def told(rows: Sequence[dict[str, Any]]) -> str:
    """How many rows of each cell and batch size meet the bar."""
    lines = []
    for cell, steps in itertools.product(CELLS, BATCHES):
        ours = [
            row
            for row in rows
            if row["cell"] == cell and row["hidden_size"] >= LEAST and steps / 2 < row["steps_a_batch"] < 2 * steps
        ]
        if ours:
            met = sum(row["overhead"] <= BARS[cell] for row in ours)
            worst = max(ours, key=lambda row: row["overhead"])
            where = f"H {worst['hidden_size']}, {worst['task']}"
            lines.append(
                f"- {cell}, {steps:,} steps: {met} of {len(ours)}, the worst {100 * worst['overhead']:.0f} % ({where})"
            )
    return "\n".join(lines)


def line(row: dict[str, Any]) -> str:
    """A row of the page's table."""
    held = row["hidden_size"] >= LEAST and row["steps_a_batch"] > BATCHES[0] / 2
    beyond = row["overhead"] - BARS[row["cell"]]
    verdict = "" if not held else "met" if beyond <= 0 else f"missed by {100 * beyond:.0f} points"
    cells = [row["cell"], f"{row['hidden_size']}", row["task"], f"{row['steps_a_batch']:,}"]
    cells += [f"{row[f'{name}_steps_per_second']:,}" for name in ("layer", "loop")]
    cells += [
        f"{beside(row):.1f}",
        f"{100 * row['overhead']:.0f} %",
        f"{100 * row['least']:.0f} to {100 * row['most']:.0f} %",
        verdict,
    ]
    return f"| {' | '.join(cells)} |"


def page(found: dict[str, Any]) -> str:
    """docs/training_loop.md."""
    on = found["machine"]
    return "\n".join(
        [
            "# The cost of the training loop",
            "",
            "Made by the command below; `benchmarks/training_loop.py` says what is measured and how. Real steps a "
            "second of the layer",
            "alone (forward and backward) and of the whole loop on the same batches, in turns, in one process.",
            f"{on['cores']} cores ({on['processor']}, {on['capability']}, {on['threads']} threads, torch "
            f"{on['torch']}), {found['date']}.",
            "",
            "```",
            found["command"],
            "```",
            "",
            f"{bars()}, by cell and batch:",
            "",
            told(found["rows"]),
            "",
            "What is beside the layer costs an update nearly the same whatever the cell (ms beside): the embedding, "
            "the head with its",
            "products, the loss, the norm, the optimizer. So it weighs most where the layer is cheapest, a plain RNN "
            "on few steps. Of",
            "`next`, the products of the output layer with its symbols are counted too.",
            "",
            "| cell | H | task | steps a batch | layer, steps/s | loop, steps/s | ms beside | overhead | spread | bar "
            "|",
            "|---|---|---|---|---|---|---|---|---|---|",
            *map(line, found["rows"]),
            "",
        ]
    )


def updates() -> str:
    """Milliseconds of clipping and AdamW, medians of 30 turns; before each a matrix product empties the caches, as a
    batch does."""
    left, right = torch.randn(1000, 1000), torch.randn(1000, 1000)
    lines = ["| parameters | in tensors | torch.nn.utils and torch.optim, ms | the loop, ms |", "|---|---|---|---|"]
    for cell, size in itertools.product(("rnn", "lstm"), SIZES):
        sides = []
        for ours in (False, True):
            torch.manual_seed(SEED)
            model = torch.nn.ModuleList(
                [torch.nn.Embedding(ALPHABET, EMBEDDED), OURS[cell](EMBEDDED, size), torch.nn.Linear(size, ALPHABET)]
            )
            weights = list(model.parameters())
            optimizer = make("optimizers", "adamw").make(weights) if ours else torch.optim.AdamW(weights, fused=True)
            sides.append((weights, optimizer, clip if ours else clipped_by_torch))
        times: tuple[list[float], list[float]] = ([], [])
        for _ in range(30):
            for (weights, optimizer, clipping), taken in zip(sides, times):
                for weight in weights:
                    weight.grad = torch.randn_like(weight)
                left @ right
                began = time.perf_counter()
                clipping(weights, norm=1.0, value=None)
                optimizer.step()
                taken.append(time.perf_counter() - began)
        numbers = [f"{1000 * statistics.median(taken[5:]):.3f}" for taken in times]
        lines.append(f"| {sum(map(torch.numel, weights)):,} | {len(weights)} | {' | '.join(numbers)} |")
    return "\n".join(lines)


def clipped_by_torch(weights: Sequence[torch.nn.Parameter], *, norm: float, value: None) -> None:
    """What the loop did before its own: torch's functions, without a pass where nothing is too large."""
    total = torch.nn.utils.get_total_norm([weight.grad for weight in weights])
    if bool(total.isfinite()) and not bool(total <= norm):
        torch.nn.utils.clip_grads_with_norm_(weights, norm, total)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one row, into runs/training_loop")
    parser.add_argument("--update", action="store_true", help="clipping and AdamW alone, printed")
    chosen = parser.parse_args()
    if chosen.update:
        print(updates())
        return
    if library() is None:
        parser.error("there is no native kernel to measure; ostinato doctor says why")
    on = surroundings("cpu")
    found: dict[str, Any] = {
        "command": "python benchmarks/training_loop.py" + (" --quick" if chosen.quick else ""),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {
            "cores": os.cpu_count(),
            **{name: on[name] for name in ("processor", "capability", "threads", "torch")},
        },
        "rows": [],
    }
    data = rows()
    wanted = [("lstm", 256, "summary", 4_000)] if chosen.quick else [*itertools.product(CELLS, SIZES, TASKS, BATCHES)]
    for one in wanted:
        found["rows"].append(measured(*one, data))
        print(line(found["rows"][-1]), flush=True)
    out = HOME / "runs" / NAME if chosen.quick else HOME / "docs"
    out.mkdir(parents=True, exist_ok=True)
    write(out / f"{NAME}.json", json.dumps(found, indent=1) + "\n")
    write(out / f"{NAME}.md", page(found))


if __name__ == "__main__":
    main()
