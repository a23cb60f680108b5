"""What a model costs: parameters, operations, seconds, memory, and an estimate of energy with its formula."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import torch

from ostinato.model.batch import Batch
from ostinato.model.graph import Graph
from ostinato.run.flops import flops
from ostinato.training.curve import Curve

CORE_WATTS, MEMORY_WATTS = 12.0, 0.3725
"""Of a processor core, and of a gigabyte of memory. Source: Lannelongue, Grealey and Inouye 2021,
doi:10.1002/advs.202100707, where nothing is known of the processor."""


def kilowatt_hours(seconds: float, *, cores: int, gigabytes: float) -> float:
    """The energy of a computation, without what cools a data centre (PUE 1).

        E = t (n_c P_c + m P_m) / 1000        t: hours; n_c cores of P_c watts, in use all the time; m gigabytes

    Source: Lannelongue, Grealey and Inouye 2021, doi:10.1002/advs.202100707, equation 1.
    """
    return seconds / 3600 * (cores * CORE_WATTS + gigabytes * MEMORY_WATTS) / 1000


def cost_rows(graph: Graph, batch: Batch, curve: Curve | None) -> list[tuple[str, str, str]]:
    """Quantity, number and how it was computed; the first row has the names of the columns.

    Args:
        graph: the model.
        batch: a few examples.
        curve: of its training, where there is one.
    """
    numbers = graph.parts()
    size = sum(parameter.numel() * parameter.element_size() for parameter in graph.parameters())
    count = len(next(iter(batch.targets.values())).layout)
    with torch.no_grad():
        forward = flops(lambda: graph.losses(batch)) / max(1, count)
    rows = [("quantity", "number", "how")]
    rows += [(f"parameters of {place}", f"{number:,}", "") for place, number in numbers.items()]
    rows += [
        ("parameters", f"{sum(numbers.values()):,}", "each once"),
        ("weights", _bytes(size), "as the model holds them"),
        ("operations of an example", _operations(forward), f"forward, mean of {count} examples; products alone"),
        ("operations of a training example", _operations(3 * forward), "forward and backward: 3 times forward"),
    ]
    peak = peak_bytes()
    if peak:
        rows.append(("memory", _bytes(peak), "the most that this process has held while it made the report"))
    seconds = _seconds(curve)
    if seconds:
        cores = torch.get_num_threads()
        energy = kilowatt_hours(seconds, cores=cores, gigabytes=peak / 1e9)
        how = (
            f"E = t (n P + m P_m) / 1000 with t = {seconds / 3600:.3g} h, n = {cores} core{'s' * (cores > 1)} of "
            f"{CORE_WATTS:g} W, m = {peak / 1e9:.2g} GB of {MEMORY_WATTS:g} W, no cooling; an estimate that assumes "
            "this machine; Lannelongue 2021, doi:10.1002/advs.202100707"
        )
        rows += [
            ("training", f"{seconds:,.1f} s", "as its history has it"),
            ("energy of training", f"{energy:.2g} kWh", how),
        ]
    return rows


def _seconds(curve: Curve | None) -> float | None:
    last: Mapping[str, float] = curve.epochs[-1] if curve is not None else {}
    return last.get("seconds")


def peak_bytes() -> int:
    """The most memory that this process has held; 0 where the system does not tell."""
    if sys.platform == "win32":
        return 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _operations(number: float) -> str:
    power, letter = next(
        (pair for pair in ((12, "T"), (9, "G"), (6, "M"), (3, "k")) if number >= 10 ** pair[0]), (0, "")
    )
    return f"{number / 10**power:.3g} {letter}FLOP"


def _bytes(number: int) -> str:
    return f"{number / 1e6:,.1f} MB"
