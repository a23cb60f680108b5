"""What recurrent_layers.py reads out of its rows: ratios, shares of the matrix peak, what bounds a row, and the
needs."""

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from _layer_cases import ACTIVATIONS, BYTES, GATES
from _layer_peers import TITLES

Row = dict[str, Any]
"""A row of the result file, or a need of its summary."""

RIVALS = ("torch padded", "torch packed")
WIDE, MANY = 256, 25
"""Rows with so many units and sequences have to reach a share of the matrix peak; of the others is told what bounds
them."""
SHARES = {True: 65.0, False: 50.0}
"""Per cent of the peak that these have to reach in training, full ones and ragged ones."""
PEAKS = {"torch.mm": "torch.mm", "ostinato": "the native kernels' own product"}
WORDS = {"train": "training", "inference": "inference", "stream": "a streaming step"}


def spread(numbers: Sequence[float]) -> dict[str, float]:
    return {"median": short(statistics.median(numbers)), "low": short(min(numbers)), "high": short(max(numbers))}


def short(number: float) -> float:
    """Four digits: the spread of a row is wider than what they leave out."""
    return float(f"{number:.4g}")


def geometric_mean(numbers: Iterable[float]) -> float:
    return math.exp(statistics.fmean(map(math.log, numbers)))


def seconds(row: Row, name: str = "ours") -> float:
    return row["seconds"][name]["median"]


def rival(row: Row) -> str:
    """The faster of torch's two ways in this row."""
    return min(RIVALS, key=lambda name: seconds(row, name))


def against_best(row: Row) -> float:
    return row["ratio"][rival(row)]["median"]


def share(row: Row, peaks: dict[str, Any], of: str) -> float:
    """Of the matrix peak, in per cent, on real steps."""
    return 100 * row["useful"] / seconds(row) / peaks[of]["median"]


def rate(row: Row) -> float:
    """Weights read in a streaming step, GB/s."""
    return row["weight_bytes"] / seconds(row) / 1e9


def is_full(row: Row) -> bool:
    return row["lengths"] == "full"


def is_large(row: Row) -> bool:
    _, sequences, _, size = row["shape"]
    return size >= WIDE and sequences >= MANY


def reaches(row: Row, peaks: dict[str, Any]) -> bool:
    """Whether a row is large and has its share of every peak."""
    return is_large(row) and all(share(row, peaks, of) >= SHARES[is_full(row)] for of in peaks)


def sizes(row: Row) -> str:
    return ",".join(map(str, row["shape"]))


def title(contestant: str) -> str:
    return TITLES.get(contestant, contestant)


# The needs


class Need(NamedTuple):
    """One line of the summary.

    Args:
        what: is measured.
        bar: what it has to reach, or None where it is told only.
        value: what was found; None where nothing was measured.
        unit: stands behind the numbers.
        more: how the value came about.
    """

    what: str
    bar: float | None
    value: float | None
    unit: str = ""
    more: str = ""

    def plain(self) -> Row:
        value = None if self.value is None else round(self.value, 3)
        return self._asdict() | {"value": value, "verdict": self._verdict()}

    def _verdict(self) -> str:
        if self.value is None:
            return "not measured"
        if self.bar is None:
            return ""
        return "pass" if self.value >= self.bar else f"missed by {self.bar - self.value:.2f}{self.unit}"


def summary(found: dict[str, Any]) -> list[Row]:
    """The needs of the issue, and what stands beside them, from the rows that there are."""
    trained = [row for row in found["rows"] if row["what"] == "train"]
    ragged, full = [row for row in trained if not is_full(row)], [row for row in trained if is_full(row)]
    rows_of = "geometric mean of {} rows".format
    best, of_cells = "the better of torch padded and torch packed", {"lstm": 1.5, "gru": 2.5, "rnn": None}
    kinds = list(dict.fromkeys(row["lengths"] for row in ragged))
    needs = [
        Need(f"ragged training against {best}", 2.0, _mean(ragged, against_best), more=rows_of(len(ragged))),
        *(
            Need(f"... {cell.upper()}", bar, _mean([row for row in ragged if row["cell"] == cell], against_best))
            for cell, bar in of_cells.items()
        ),
        *(
            Need(f"... lengths {kind}", None, _mean([row for row in ragged if row["lengths"] == kind], against_best))
            for kind in kinds
        ),
        Need("... the drop-in module given (T, B, I) and lengths=", None, _mean(ragged, _drop_in)),
        Need("ragged training against torch packed", 5.0, _mean(ragged, _against("torch packed"))),
        Need("... against torch padded", None, _mean(ragged, _against("torch padded"))),
        Need(f"full-length training against {best}", 1.1, _mean(full, against_best), more=rows_of(len(full))),
        _lowest("... its lowest row", 0.9, full, against_best),
        Need("one streaming step against torch's module", 3.0, _mean(found["stream"], _against("torch module"))),
        Need("... against torch's Cell", None, _mean(found["stream"], _against("torch cell"))),
    ]
    for of, told in PEAKS.items():
        for rows, kind, bar in ((full, "full-length", SHARES[True]), (ragged, "ragged", SHARES[False])):
            large = {name(row): share(row, found["peaks"], of) for row in rows if is_large(row)}
            what = f"{kind} training, H >= {WIDE}, B >= {MANY}: lowest share of the peak of {told}"
            lowest = min(large, key=large.__getitem__, default=None)
            more = (
                f"{lowest}; {sum(one >= bar for one in large.values())} of {len(large)} rows reach it" if large else ""
            )
            needs.append(Need(what, bar, large.get(lowest), " %", more))
    return [need.plain() for need in [*needs, *_beside_peers(found)]]


def _against(contestant: str) -> Callable[[Row], float]:
    return lambda row: row["ratio"][contestant]["median"]


def _drop_in(row: Row) -> float:
    return seconds(row, rival(row)) / seconds(row, "ours padded")


def _mean(rows: Sequence[Row], ratio: Callable[[Row], float]) -> float | None:
    return geometric_mean(map(ratio, rows)) if rows else None


def _lowest(what: str, bar: float, rows: Sequence[Row], ratio: Callable[[Row], float]) -> Need:
    if not rows:
        return Need(what, bar, None)
    row = min(rows, key=ratio)
    return Need(what, bar, ratio(row), more=name(row))


def _beside_peers(found: dict[str, Any]) -> list[Need]:
    told = []
    for peer in TITLES:
        for done, words in WORDS.items():
            rows = [row for row in [*found["rows"], *found["stream"]] if row["what"] == done and peer in row["ratio"]]
            for kind, kept in (
                ("ragged ", [row for row in rows if row["lengths"] not in ("full", "stream")]),
                ("full-length ", [row for row in rows if is_full(row)]),
                ("", [row for row in rows if row["lengths"] == "stream"]),
            ):
                if kept:
                    what = f"{kind}{words} against {title(peer)}"
                    told.append(
                        Need(what, None, _mean(kept, _against(peer)), more=f"geometric mean of {len(kept)} rows")
                    )
    return told


def name(row: Row) -> str:
    return f"{row['cell']} {sizes(row)} {row['lengths']}"


# What bounds a row


def parts(row: Row, peaks: dict[str, Any], threads: int) -> dict[str, float]:
    """Where the time of a row must have gone, as shares of it, by the rates that were measured in the same run.

    products      2 (inference) or 6 operations a weight and real step, at the best peak that was seen
    weights       reading W_h at each step of the longest sequence, forward and backward: where that takes longer than
                  the recurrent products do, in their place. Each thread reads all of it for its own sequences, or its
                  part where there are fewer sequences than threads
    activations   one sigmoid or tanh each, forward
    rest          what a step costs whatever its size, threads that wait for the longest, gates written and read
    """
    steps, sequences, size, gates = row["steps"], row["shape"][1], row["shape"][3], GATES[row["cell"]]
    passes = 2 if row["what"] == "train" else 1
    peak = max(one["median"] for one in peaks.values())
    recurrent = passes * 2 * steps * gates * size * size / peak
    read_rate = row["rates"]["read"] / (threads if sequences >= threads else 1)
    reading = passes * row["longest"] * gates * size * size * BYTES / read_rate
    found = {
        "products": row["useful"] / peak - (recurrent if reading > recurrent else 0),
        "weights": reading if reading > recurrent else 0.0,
        "activations": steps * size * ACTIVATIONS[row["cell"]] / row["rates"]["activate"],
    }
    found = {what: one / seconds(row) for what, one in found.items()}
    return found | {"rest": max(0.0, 1 - sum(found.values()))}


def bound(row: Row, peaks: dict[str, Any], threads: int) -> str:
    """What bounds a row, in words: the largest of its parts first."""
    found = sorted(parts(row, peaks, threads).items(), key=lambda one: -one[1])
    shares = ", ".join(f"{what} {100 * one:.0f} %" for what, one in found if one >= 0.02)
    read = GATES[row["cell"]] * row["shape"][3] ** 2 * BYTES / 1024
    a_step, alive = seconds(row) / row["longest"] * 1e6, row["steps"] / row["longest"]
    return f"{shares}; {row['longest']} steps of {alive:.1f} sequences, {a_step:.1f} us and {read:,.0f} KiB of W_h each"


# What is printed


def milliseconds(row: Row) -> str:
    return f"{1e3 * seconds(row):.3g}"


def percent(number: float) -> str:
    return f"{number:.0f}" if number >= 1 else f"{number:.1g}"


def gigaflops(one: Row) -> str:
    return f"{one['median'] / 1e9:.0f}"


def between(one: Row, scale: float = 1.0, digits: int = 2) -> str:
    return f"{scale * one['low']:.{digits}f} to {scale * one['high']:.{digits}f}"


def bar(need: Row) -> str:
    return "" if need["bar"] is None else f">= {need['bar']:g}{need['unit']}"


def value(need: Row) -> str:
    return "" if need["value"] is None else f"{need['value']:.2f}{need['unit']}"


def line(row: Row, peaks: dict[str, Any]) -> str:
    """A row as it is told during the run: ours, then how many times that the others take."""
    others = ", ".join(f"{title(other)} {one['median']:.2f} ({between(one)})" for other, one in row["ratio"].items())
    if row["what"] == "stream":
        head = (
            f"{row['cell']:4} H {row['shape'][3]:<3} one step: ours {1e6 * seconds(row):.1f} us, {rate(row):.1f} GB/s"
        )
    else:
        shares = " and ".join(f"{percent(share(row, peaks, of))} % of {of}" for of in peaks)
        head = (
            f"{row['cell']:4} {sizes(row):14} {row['lengths']:8} {row['what']:9}: ours {milliseconds(row)} ms, {shares}"
        )
    return f"{head}; times that: {others}"


def told(found: dict[str, Any]) -> list[str]:
    """The summary as it is printed at the end."""
    peaks = found["peaks"].items()
    lines = [f"peak of {PEAKS[of]}: {gigaflops(one)} GFLOP/s ({between(one, 1e-9, 0)})" for of, one in peaks]
    widest = max(len(need["what"]) for need in found["summary"])
    for need in found["summary"]:
        lines.append(
            f"{need['what']:{widest}} {bar(need):7} {value(need):>8}  {need['verdict']:17} {need['more']}".rstrip()
        )
    return [*lines, f"{found['seconds']} seconds{'' if found['finished'] else ', and not finished'}"]
