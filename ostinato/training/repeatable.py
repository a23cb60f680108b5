"""What makes two runs equal to the bit, and what is known of where a run ran."""

from __future__ import annotations

import functools
import hashlib
import os
import platform
from pathlib import Path

import torch

_WARMED = (
    "acos asin atan ceil cos cosh erf erfc erfinv exp expm1 floor lgamma log log10 log1p log2 reciprocal round rsqrt"
    " sin sinh sqrt tan tanh trunc sigmoid"
).split()


@functools.cache
def warm() -> None:
    """Calls each of torch's vector functions once, on one number.

    The first parallel call of such a function in a process may be wrong in its last bits (pytorch#188792, a race while
    MKL chooses its code, torch 2.13); after one serial call it never was. One number keeps the call serial. 7 ms, once.
    """
    for dtype in (torch.float32, torch.float64):
        for name in _WARMED:
            getattr(torch, name)(torch.full((1,), 0.5, dtype=dtype))


def prepare(seed: int, threads: int | None = None, device: torch.device | str = "cpu") -> None:
    """Makes this process repeatable: to be called before a model is built.

    On a GPU an operation without a deterministic form is named by torch in a warning, and runs.

    Args:
        seed: what the first weights are drawn from.
        threads: torch's thread count, which the bits depend on; None leaves it.
        device: where training will run.
    """
    device = torch.device(device)
    # Read by cuBLAS at its first use; without it its products are not repeatable.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=device.type != "cpu")
    # On by default with the line above, and it writes every new tensor twice: it finds defects, it changes no result.
    torch.utils.deterministic.fill_uninitialized_memory = False
    if threads is not None and threads != torch.get_num_threads():
        torch.set_num_threads(threads)
    warm()
    torch.manual_seed(seed)


def draw_from(seed: int, update: int, part: int, device: torch.device) -> None:
    """Sets what is drawn at random from here on (dropout, sampling) by seed, update and micro-batch alone.

    So a checkpoint holds nothing random, and whatever validation draws changes no training. Only the
    generators in use are set: torch.manual_seed goes through all kinds of device and costs 60 us.
    """
    number = int.from_bytes(hashlib.blake2b(f"{seed}/{update}/{part}".encode(), digest_size=8).digest(), "little") >> 1
    torch.default_generator.manual_seed(number)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(number)


def surroundings(device: torch.device | str) -> dict[str, str | int]:
    """What the bits of a run depend on beside its recipe, its data and its seed."""
    device = torch.device(device)
    return {
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "processor": _processor(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
    }


def differences(before: dict, now: dict) -> list[str]:
    """Why a resumed run may not be equal to the bit: a sentence for each thing that changed; empty when it will be."""
    named = {
        "torch": "torch's version",
        "capability": "the CPU's instruction set",
        "processor": "the processor",
        "device": "the device",
        "threads": "the number of threads",
    }
    return [
        f"{what} was {before[key]}, is {now[key]}: the run continues, but not to the same bits as one never stopped"
        for key, what in named.items()
        if key in before and before[key] != now[key]
    ]


@functools.cache
def _processor() -> str:
    """The processor's model: libraries choose code by it, not by the instruction set alone."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
