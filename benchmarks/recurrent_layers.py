"""How fast are the native RNN, LSTM and GRU, beside torch.nn, Flax, Keras and ONNX Runtime in the same run?

    python benchmarks/recurrent_layers.py --install-peers      Flax, ONNX Runtime and Keras into .peers, once
    python benchmarks/recurrent_layers.py --data-root DATA     measures, writes docs/recurrent_layers.{json,png,md}
    python benchmarks/recurrent_layers.py --quick              two shapes and fewer rounds, into runs/recurrent_layers
    python benchmarks/recurrent_layers.py --draw               page and plot again, from the result that is there

Rows are cells x shapes (T, B, I, H) x lengths x what is done. Lengths are all T (full), uniform in [T/5, T] from a
seed, and samples of real ones: words of Multi30k's captions where T <= 100, residues of protein chains where T >= 100,
cut at T.

- train: forward and backward, the gradients of x and of all weights and biases, for a gradient of hidden that is given;
- inference: forward under no_grad;
- stream: one step of one sequence under no_grad, from the state after the step before; I = H, B = 1.

What makes it fair: every contestant has the same weights and inputs, and one that computes something else ends the run.
They take turns in short pieces, in an order that rotates, so that a slow moment of the machine meets all; a figure is
the median of the rounds, beside the least and the most. All use as many threads as torch does by default. A call begins
with a batch in the contestant's own form: for `ours` the real steps and the lengths; for torch, ONNX Runtime and
`ours padded` (T, B, I) padded to the longest of the batch; for Flax and Keras padded to T, because each other length
would be compiled anew. Making a layout, packing and unpacking are inside. Torch's padded module computes the padding,
and its final state is of no use on ragged batches; that is not held against it.

On more than two cores, `taskset -c 0,1 python benchmarks/recurrent_layers.py ...` binds all of them to two.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import _layer_calls
import _layer_page
import _layer_peers
import _layer_report
import torch
from _layer_cases import (
    BYTES,
    GATES,
    QUICK_SHAPES,
    QUICK_STREAM_SIZES,
    SEED,
    SHAPES,
    STREAM_SIZES,
    Case,
    Numbers,
    RealLengths,
    Shape,
    lengths_of,
)
from _layer_peers import Peer, PeerEnded
from _layer_report import short, spread
from _peer_service import timed

from ostinato.files import write
from ostinato.kernels.native_library import library, why_not
from ostinato.kernels.products import NT, multiply
from ostinato.training.repeatable import surroundings, warm

HOME = Path(__file__).resolve().parent.parent
NAME = "recurrent_layers"
TURN_SECONDS = 0.02
"""How long a turn of calls lasts at least; a longer call is a turn of its own."""
SETTLE_SECONDS = 0.01
"""Threads spin for a while after their work; the next process is not to share the cores with that."""
PEAK_SIZE = 2048


class Contestant(Protocol):
    def turn(self, calls: int) -> float:
        """Seconds a call."""


class Own(NamedTuple):
    """A contestant in this process."""

    call: Callable[[], Any]

    def turn(self, calls: int) -> float:
        return timed(self.call, calls)


class Machine:
    """What the machine can do, measured again and again during the run."""

    def __init__(self) -> None:
        self.left, self.right = torch.rand(2, PEAK_SIZE, PEAK_SIZE)
        self.found: dict[str, list[float]] = {"torch.mm": [], "ostinato": []}
        self._measure()
        for one in self.found.values():
            one.clear()

    def _measure(self) -> None:
        for name, product in (
            ("torch.mm", lambda: torch.mm(self.left, self.right)),
            ("ostinato", lambda: multiply(NT, self.left, self.right)),
        ):
            self.found[name].append(2 * PEAK_SIZE**3 / timed(product, 1))

    def rates(self, cell: str, shape: Shape) -> dict[str, float]:
        """The peaks once more, and what bounds small layers: bytes/s of a recurrent weight, activations/s, of all
        threads."""
        self._measure()
        # The same memory over and over: it stays in that cache in which it fits, as in a time loop.
        weight, numbers = torch.rand(GATES[cell] * shape.H * shape.H).expand(16, -1), torch.randn(1 << 14)
        out = torch.empty_like(numbers)
        read = min(timed(lambda: weight.sum(1), 3) for _ in range(5))
        activated = min(timed(lambda: _activate(numbers, out), 5) for _ in range(5))
        return {
            "read": short(weight.numel() * BYTES / read),
            "activate": short(2 * len(numbers) / activated * torch.get_num_threads()),
        }


def _activate(x: torch.Tensor, y: torch.Tensor) -> None:
    """Sigmoid, then tanh, on the calling thread."""
    for kind in (0, 1):
        library().activate(kind, 0, len(x), x.data_ptr(), y.data_ptr())


def interleaved(contestants: dict[str, Contestant], seconds: dict[str, float], rounds: int) -> dict[str, list[float]]:
    """Seconds a call of each round. `seconds` says about how long a call takes, and so how many make a turn."""
    names = list(contestants)
    calls = {name: max(1, round(TURN_SECONDS / max(one, 1e-9))) for name, one in seconds.items()}
    taken: dict[str, list[float]] = {name: [] for name in names}
    before: Contestant | None = None
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            one = contestants[name]
            if before is not None and before is not one and not (isinstance(before, Own) and isinstance(one, Own)):
                time.sleep(SETTLE_SECONDS)
            if calls[name] > 1:
                one.turn(1)
            taken[name].append(one.turn(calls[name]))
            before = one
    return taken


class Run:
    """One run: what has been found so far, and where it is kept."""

    def __init__(self, found: dict[str, Any], out: Path, peers: dict[str, Peer], folder: Path):
        self.found = found
        self.out = out
        self.peers = peers
        self.numbers = folder / "numbers.npz"
        self.machine = Machine()
        self.began = time.perf_counter()

    def group(self, cell: str, shape: Shape, cases: Iterable[Case]) -> None:
        """The rows of one cell and shape; they are in the file when this returns."""
        numbers = Numbers.drawn(cell, shape)
        if self.peers:
            numbers.save(self.numbers)
        rates = self.machine.rates(cell, shape)
        self.found["peaks"] = {name: spread(one) for name, one in self.machine.found.items()}
        for case in cases:
            with torch.set_grad_enabled(case.what == "train"):
                row = self.row(case, numbers)
            row["rates"] = rates
            self.found["stream" if case.what == "stream" else "rows"].append(row)
            print(_layer_report.line(row, self.found["peaks"]), flush=True)
        self.keep()

    def row(self, case: Case, numbers: Numbers) -> dict[str, Any]:
        streams = case.what == "stream"
        calls = _layer_calls.stream(case, numbers) if streams else _layer_calls.whole(case, numbers)
        contestants: dict[str, Contestant] = {name: Own(call) for name, call in calls.items()}
        expected, seconds = _layer_calls.check_equal(case, calls)
        # The first call of all is slower than the others; of a long one that changes nothing.
        seconds |= {name: contestants[name].turn(1) for name, one in seconds.items() if one < 2 * TURN_SECONDS}
        for name in [*self.peers]:
            if name != "onnx" and case.kind not in ("full", "uniform", "stream"):
                continue  # padded to T as in `uniform`: the same work once more
            try:
                told = self.peers[name].case(case, self.numbers)
            except PeerEnded as why:
                self.without(why)
                continue
            if told:
                check_peer(case, name, expected, told)
                contestants[name], seconds[name] = self.peers[name], told["seconds"]
        rounds = self.found["rounds"] * (3 if streams else 1)
        try:
            taken = interleaved(contestants, seconds, rounds)
        except PeerEnded as why:
            self.without(why)
            return self.row(case, numbers)
        return {
            "cell": case.cell,
            "shape": list(case.shape),
            "lengths": case.kind,
            "what": case.what,
            "steps": case.steps,
            "longest": case.longest,
            "useful": case.useful,
            "weight_bytes": case.weight_bytes,
            "seconds": {name: spread(one) | {"all": [short(each) for each in one]} for name, one in taken.items()},
            "ratio": {
                name: spread([theirs / ours for theirs, ours in zip(one, taken["ours"], strict=True)])
                for name, one in taken.items()
                if name != "ours"
            },
        }

    def without(self, why: PeerEnded) -> None:
        print(f"{why}; measured without from here on")
        del self.peers[why.name]

    def keep(self) -> None:
        self.found["seconds"] = round(time.perf_counter() - self.began)
        self.found["summary"] = _layer_report.summary(self.found)
        lists = {name: self.found[name] for name in ("rows", "stream")}
        # A line a row, so that two results can be compared by eye.
        text = json.dumps(self.found | {name: name for name in lists}, indent=1)
        for name, rows in lists.items():
            lines = ",\n".join(f"  {json.dumps(row)}" for row in rows)
            text = text.replace(f'"{name}": "{name}"', f'"{name}": [\n{lines}\n ]')
        write(self.out / f"{NAME}.json", text + "\n")


def check_peer(case: Case, name: str, expected: dict[str, float], told: dict[str, float]) -> None:
    for what, ours in expected.items():
        if not abs(told[what] - ours) <= 1e-3 * abs(ours):
            theirs = told[what]
            sys.exit(
                f"{case}: the mean square of {what} is {ours:.6g}, {name} has {theirs:.6g}: it computes something else"
            )


def measure(
    out: Path,
    *,
    cells: Sequence[str],
    shapes: Sequence[Shape],
    stream_sizes: Sequence[int],
    rounds: int,
    data_root: Path,
    peer_names: Sequence[str],
    command: str,
) -> None:
    """Runs all rows and keeps the result in `out`."""
    if library() is None:
        sys.exit(f"there is no native kernel to measure: {why_not()}")
    warm()
    threads = torch.get_num_threads()
    real = RealLengths.read(data_root)
    with (
        tempfile.TemporaryDirectory() as folder,
        _layer_peers.started(list(peer_names), threads, Path(folder)) as peers,
    ):
        found: dict[str, Any] = {
            "command": command,
            "date": datetime.now(UTC).date().isoformat(),
            "machine": {"cores": os.cpu_count(), **surroundings("cpu"), "instruction_set": library().instruction_set},
            "peers": {name: peer.versions for name, peer in peers.items()},
            "rounds": rounds,
            "seed": SEED,
            "finished": False,
            "seconds": 0,
            "peaks": {},
            "summary": [],
            "stream": [],
            "rows": [],
        }
        run = Run(found, out, peers, Path(folder))
        for size in stream_sizes:
            for cell in cells:
                shape = Shape(1, 1, size, size)
                run.group(cell, shape, [Case(cell, shape, "stream", "stream", (1,))])
        for shape in shapes:
            kinds = lengths_of(shape, real).items()
            for cell in cells:
                cases = [
                    Case(cell, shape, kind, what, lengths) for kind, lengths in kinds for what in ("train", "inference")
                ]
                run.group(cell, shape, cases)
        found["finished"] = True
        run.keep()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--install-peers", action="store_true", help="put the peers into .peers, and end")
    parser.add_argument("--draw", action="store_true", help="write page and plot of the result that is there, and end")
    parser.add_argument("--data-root", type=Path, default=os.environ.get("OSTINATO_DATA", "data"), metavar="DATA")
    parser.add_argument("--rounds", type=int, help="turns of each contestant in a row (default 5; 2 with --quick)")
    parser.add_argument("--quick", action="store_true", help="two shapes and less than a minute")
    parser.add_argument("--cells", nargs="+", choices=GATES, metavar="CELL", help="of rnn, lstm, gru")
    parser.add_argument("--shapes", nargs="+", type=_shape, metavar="T,B,I,H", help="in place of the usual ones")
    parser.add_argument("--stream-sizes", nargs="*", type=int, metavar="H", help="in place of the usual ones")
    names = ", ".join(_layer_peers.KNOWN)
    parser.add_argument("--peers", nargs="*", choices=_layer_peers.KNOWN, metavar="PEER", help=f"of {names}")
    parser.add_argument(
        "--out", type=Path, help="the folder of the result (default docs; runs/recurrent_layers if quick)"
    )
    chosen = parser.parse_args()
    if chosen.install_peers:
        return _layer_peers.install()
    out = chosen.out or (HOME / "runs" / NAME if chosen.quick else HOME / "docs")
    stream_sizes = QUICK_STREAM_SIZES if chosen.quick else STREAM_SIZES
    if not chosen.draw:
        measure(
            out,
            cells=chosen.cells or list(GATES),
            shapes=chosen.shapes or (QUICK_SHAPES if chosen.quick else SHAPES),
            stream_sizes=stream_sizes if chosen.stream_sizes is None else chosen.stream_sizes,
            rounds=chosen.rounds or (2 if chosen.quick else 5),
            data_root=chosen.data_root,
            peer_names=list(_layer_peers.KNOWN) if chosen.peers is None else chosen.peers,
            command=_command(chosen),
        )
    path = out / f"{NAME}.json"
    if not path.is_file():
        parser.error(f"{path}: there is no result to draw; measure first")
    found = json.loads(path.read_text(encoding="utf-8"))
    _layer_page.draw(found, out / f"{NAME}.png")
    write(out / f"{NAME}.md", _layer_page.page(found))
    print("\n".join(["", *_layer_report.told(found)]))


def _command(chosen: argparse.Namespace) -> str:
    """What was asked for, without this machine's folders."""
    words = ["python", "benchmarks/recurrent_layers.py", "--data-root", "DATA", *(["--quick"] if chosen.quick else [])]
    for name in ("rounds", "cells", "shapes", "stream_sizes", "peers"):
        value = getattr(chosen, name)
        if value is not None:
            words += [f"--{name.replace('_', '-')}", *map(str, value if isinstance(value, list) else [value])]
    return " ".join(words)


def _shape(text: str) -> Shape:
    sizes = text.split(",")
    if len(sizes) != 4 or not all(one.isdigit() and int(one) for one in sizes):
        raise argparse.ArgumentTypeError(f"{text}: four numbers above 0 are needed: T,B,I,H, like 50,32,256,256")
    return Shape(*map(int, sizes))


if __name__ == "__main__":
    main()
