"""The native library: found, checked, and set to an instruction set and to torch's threads."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch

from ostinato.errors import KernelError, nearest
from ostinato.kernels.structures import (
    Decoder,
    Energies,
    Gradients,
    Layer,
    LinearScan,
    Look,
    Product,
    Scan,
    Step,
    Watch,
)

ABI = 12
"""The boundary that this package was written for (`native/ostinato.h`)."""

INSTRUCTION_SET = "OSTINATO_INSTRUCTION_SET"
"""The environment variable that forces an instruction set; it is read once, at the first use."""

_FOLDER = Path(__file__).parent


class CellFacts(NamedTuple):
    """A line of the library's table of cells, `native/cell_list.h`.

    Args:
        number: the cell's number at the boundary.
        gates: blocks of H rows of its weights.
        num_c: its states beside h; they lie side by side in a row of c.
        extra: whether the gradient reads a second buffer beside the gates: c at every step, where there is one.
        extra_product: whether the candidate's product of h is apart, with a bias of its own.
        late: whether the last gate multiplies something else than h, after the others.
    """

    number: int
    gates: int
    num_c: int
    extra: bool
    extra_product: bool
    late: bool

    @property
    def in_extra(self) -> int:
        """How many vectors of H a row of the second buffer has."""
        return self.num_c or 1


class _Field(ctypes.Structure):
    """`OstinatoField`: where a field lies; no name gives a structure's size, no structure ends the list."""

    _fields_ = [("structure", ctypes.c_char_p), ("field", ctypes.c_char_p), ("offset", ctypes.c_int64)]


class Library:
    """The C boundary, `native/ostinato.h`: functions as attributes that raise KernelError on an error."""

    def __init__(self, path: Path):
        raw = ctypes.CDLL(str(path))
        raw.ostinato_abi.restype = ctypes.c_int64
        if (boundary := raw.ostinato_abi()) != ABI:
            raise KernelError(f"{path.name} has boundary {boundary}, this package needs {ABI}: install Ostinato again")
        _check_layout(path.name, raw)
        for name in ("error", "instruction_sets", "cells"):
            getattr(raw, f"ostinato_{name}").restype = ctypes.c_char_p
        raw.ostinato_use.restype = ctypes.c_int64
        raw.ostinato_use.argtypes = [ctypes.c_char_p]
        raw.ostinato_set_threads.argtypes = [ctypes.c_int64, *[ctypes.c_void_p] * 3]
        raw.ostinato_set_threads.restype = None
        raw.ostinato_has_half.restype = ctypes.c_int64
        self._raw = raw
        self._openmp = _openmp()
        self._threads = 0
        scan, decoder, product, step = map(ctypes.POINTER, (Scan, Decoder, Product, Step))
        watch, number, address = ctypes.POINTER(Watch), ctypes.c_int64, ctypes.c_void_p
        self.forward = self._function("forward", scan, number)
        self.backward = self._function("backward", scan, ctypes.POINTER(Gradients))
        self.decoder_forward = self._function("decoder_forward", decoder)
        self.decoder_backward = self._function("decoder_backward", decoder)
        self.multiply = self._function("multiply", product)
        self.step = self._function("step", step)
        energies, linear_scan = ctypes.POINTER(Energies), ctypes.POINTER(LinearScan)
        self.energies_forward = self._function("energies_forward", energies)
        self.energies_backward = self._function("energies_backward", energies)
        self.linear_scan_forward = self._function("linear_scan_forward", linear_scan)
        self.linear_scan_backward = self._function("linear_scan_backward", linear_scan)
        self.activate = self._function("activate", number, number, number, address, address)
        self.stream = self._function("stream", *[address] * 8)
        self.packed_size = self._function("packed_size", product)
        self.scan_packed_size = self._function("scan_packed_size", scan)
        self.decoder_packed_size = self._function("decoder_packed_size", decoder)
        self.step_packed_size = self._function("step_packed_size", step)
        self.fingerprint = raw.ostinato_fingerprint
        self.fingerprint.restype = ctypes.c_uint64
        self.fingerprint.argtypes = [watch]
        self.cells: dict[str, CellFacts] = {}
        """What the native loop can compute, by name."""
        for number, line in enumerate(raw.ostinato_cells().decode().splitlines()):
            name, gates, num_c, *flags = line.split()
            self.cells[name] = CellFacts(number, int(gates), int(num_c), *(flag == "1" for flag in flags))
        self.instruction_sets = raw.ostinato_instruction_sets().decode().split()
        # A library is loaded once: it still has the set that was taken before.
        self.use(os.environ.get(INSTRUCTION_SET) or self.instruction_sets[0])

    def _function(self, name: str, *arguments: type) -> Callable[..., int]:
        """A function whose error ctypes raises after the call: no Python function between a kernel and the library."""
        function = getattr(self._raw, f"ostinato_{name}")
        function.restype = ctypes.c_int64
        function.argtypes = arguments
        failed = -1 if name.endswith("_size") else 1

        def checked(result: int, *_: object) -> int:
            if result == failed:
                raise KernelError(f"native {name}: {self.error()}")
            return result

        function.errcheck = checked
        return function

    def cell(self, name: str) -> CellFacts:
        """What there is to know of a native cell.

        Errors:
            KernelError: the library has none of this name.
        """
        if name not in self.cells:
            raise KernelError(f"native library: no cell has the name {name!r}{nearest(name, self.cells)}")
        return self.cells[name]

    def use(self, instruction_set: str) -> None:
        """Takes this instruction set from now on.

        Errors:
            KernelError: the build or the processor lacks it.
        """
        if self._raw.ostinato_use(instruction_set.encode()):
            raise KernelError(f"{INSTRUCTION_SET}={instruction_set}: {self.error()}. Unset it, or set one of these")
        self.instruction_set = instruction_set

    def has_half(self) -> bool:
        """Whether the instruction set in use multiplies bfloat16."""
        return bool(self._raw.ostinato_has_half())

    def error(self) -> str:
        """The message of this thread's last error."""
        return self._raw.ostinato_error().decode()

    def follow_torch(self) -> None:
        """Takes as many threads as torch has now."""
        threads = torch.get_num_threads()
        if threads != self._threads:
            self._raw.ostinato_set_threads(threads, *self._openmp)
            self._threads = threads


def _check_layout(library: str, raw: ctypes.CDLL) -> None:
    """Compares every field of every structure with the library's own: one elsewhere would be a wrong address."""
    raw.ostinato_layout.restype = ctypes.POINTER(_Field)
    fields, theirs = raw.ostinato_layout(), {}
    number = 0
    while (field := fields[number]).structure is not None:
        name = field.field.decode() if field.field else "its size"
        theirs.setdefault(field.structure.decode().removeprefix("Ostinato"), {})[name] = field.offset
        number += 1
    for structure in (Scan, Gradients, Watch, Decoder, Product, Energies, LinearScan, Look, Layer, Step):
        ours = {name: getattr(structure, name).offset for name, _ in structure._fields_}
        ours["its size"] = ctypes.sizeof(structure)
        there = theirs.get(structure.__name__, {})
        for name in [*ours, *there]:
            if ours.get(name) != there.get(name):
                raise KernelError(
                    f"{library}: {name} of {structure.__name__} is {there.get(name, 'absent')}, this package has"
                    f" {ours.get(name, 'none')}: install Ostinato again"
                )


def _openmp() -> tuple[int | None, ...]:
    """Torch's own OpenMP runtime, where it is GNU's or speaks its language: one pool of threads for torch and for us.

    Torch's threads spin for a while after their work; a second pool beside them would share the cores with that.
    """
    process = ctypes.CDLL(None)
    try:
        functions = [process.GOMP_parallel, process.omp_get_thread_num, process.omp_get_num_threads]
    except AttributeError:
        return None, None, None
    return tuple(ctypes.cast(function, ctypes.c_void_p).value for function in functions)


@cache
def _found() -> Library | str:
    path = _FOLDER / "_native.so"
    if not path.exists():
        note = _FOLDER / "_native_build_error.txt"
        why = (
            note.read_text(encoding="utf-8").strip()
            if note.exists()
            else "no C++ compiler was found when it was installed"
        )
        return f"this installation has no native library: {why}"
    try:
        return Library(path)
    except OSError as error:
        return f"{path.name} cannot be loaded: {error}"


def library() -> Library | None:
    """The library, set to torch's number of threads, or None where there is none; `why_not` has the reason.

    Errors:
        KernelError: it is of another version, or the instruction set asked for is not there.
    """
    loaded = _found()
    if isinstance(loaded, str):
        return None
    loaded.follow_torch()
    return loaded


def why_not() -> str:
    """Why there is no native library; empty where there is one."""
    loaded = _found()
    return loaded if isinstance(loaded, str) else ""
