"""The native library: found, checked and told which threads and instruction set to use."""

from __future__ import annotations

import ctypes
import os
from functools import cache
from pathlib import Path

import torch

from ostinato.errors import KernelError

ABI = 6
"""The boundary that this package was written for (`native/ostinato.h`)."""

INSTRUCTION_SET = "OSTINATO_INSTRUCTION_SET"
"""The environment variable that forces an instruction set; it is read once, at the first use."""

_FOLDER = Path(__file__).parent
_FUNCTIONS = ("forward", "backward", "decoder_forward", "decoder_backward", "multiply", "activate")


class Library:
    """The functions of the C boundary, `native/ostinato.h`, each of which raises KernelError where it reports an error."""

    def __init__(self, path: Path):
        raw = ctypes.CDLL(str(path))
        raw.ostinato_abi.restype = ctypes.c_int64
        if (found := raw.ostinato_abi()) != ABI:
            raise KernelError(f"{path.name} has boundary {found}, this package needs {ABI}: install the package again")
        for name in ("error", "instruction_sets"):
            getattr(raw, f"ostinato_{name}").restype = ctypes.c_char_p
        raw.ostinato_use.restype = ctypes.c_int64
        raw.ostinato_use.argtypes = [ctypes.c_char_p]
        raw.ostinato_set_threads.argtypes = [ctypes.c_int64, *[ctypes.c_void_p] * 3]
        raw.ostinato_set_threads.restype = None
        self._raw = raw
        self._openmp = _openmp()
        self._threads = 0
        self.functions = {}
        for name in _FUNCTIONS:
            function = getattr(raw, f"ostinato_{name}")
            function.restype = ctypes.c_int64
            function.argtypes = [ctypes.c_int64] * 5 if name == "activate" else None
            self.functions[name] = function
        for name in ("packed_size", "scan_packed_size", "decoder_packed_size"):
            getattr(raw, f"ostinato_{name}").restype = ctypes.c_int64
        self.fingerprint = raw.ostinato_fingerprint
        self.fingerprint.restype = ctypes.c_uint64
        self._stream = raw.ostinato_stream
        self._stream.restype = ctypes.c_int64
        self._stream.argtypes = [ctypes.c_void_p] * 8
        self.instruction_sets = raw.ostinato_instruction_sets().decode().split()
        self.instruction_set = self.instruction_sets[0]
        if forced := os.environ.get(INSTRUCTION_SET):
            self.use(forced)

    def use(self, instruction_set: str) -> None:
        """Takes this instruction set from now on.

        Errors:
            KernelError: the build or the processor lacks it.
        """
        if self._raw.ostinato_use(instruction_set.encode()):
            raise KernelError(f"{INSTRUCTION_SET}={instruction_set}: {self.error()}. Unset it, or set one of these")
        self.instruction_set = instruction_set

    def error(self) -> str:
        """The message of this thread's last error."""
        return self._raw.ostinato_error().decode()

    def call(self, name: str, *arguments: object) -> None:
        """Calls a function of the boundary, on as many threads as torch has."""
        self._follow_torch()
        if self.functions[name](*arguments):
            raise KernelError(f"native {name}: {self.error()}")

    def stream(self, *addresses: object) -> bool:
        """One call of `ostinato_stream`; False where what is watched has changed."""
        self._follow_torch()
        if (found := self._stream(*addresses)) == 1:
            raise KernelError(f"native stream: {self.error()}")
        return not found

    def _follow_torch(self) -> None:
        threads = torch.get_num_threads()
        if threads != self._threads:
            self._raw.ostinato_set_threads(threads, *self._openmp)
            self._threads = threads

    def size(self, name: str, words: object) -> int:
        """Asks one of the `packed_size` functions about its struct."""
        found = getattr(self._raw, f"ostinato_{name}")(words)
        if found < 0:
            raise KernelError(f"native {name}: {self.error()}")
        return found


def _openmp() -> tuple[int | None, ...]:
    """Torch's own OpenMP runtime, where it is GNU's or speaks its language: one pool of threads for torch and for us.

    Torch's threads spin for a while after their work; a second pool beside them would share the cores with that.
    """
    process = ctypes.CDLL(None)
    try:
        found = [process.GOMP_parallel, process.omp_get_thread_num, process.omp_get_num_threads]
    except AttributeError:
        return None, None, None
    return tuple(ctypes.cast(one, ctypes.c_void_p).value for one in found)


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
    """The library, or None where this installation has none; `why_not` says why.

    Errors:
        KernelError: it is of another version, or the instruction set asked for is not there.
    """
    found = _found()
    return found if isinstance(found, Library) else None


def why_not() -> str:
    """Why there is no native library; empty where there is one."""
    found = _found()
    return found if isinstance(found, str) else ""
