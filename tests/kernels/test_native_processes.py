"""The native recurrence in children of fork, in threads of Python, and under a forced instruction set."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from ostinato.errors import KernelError
from ostinato.kernels import native
from ostinato.kernels.native_library import INSTRUCTION_SET, Library, library
from tests.kernels.native_cases import KINDS, batch, cell_of, equal, everything, threads

pytestmark = pytest.mark.skipif(library() is None, reason="no native library in this installation")


# Processes, threads, environment.

# The child compares bytes: torch's own comparison of large tensors waits in it for the parent's threads, for ever.
CHILD = """
import os, signal, sys, torch
from ostinato.cells.gru import GRU
from ostinato.kernels import native
from ostinato.steps import Layout
torch.set_num_threads(2)
cases = [(GRU(30, 70), Layout([9, 0, 14, 3, 14, 8])), (GRU(30, 256), Layout([12]))]
def work():
    made = []
    for cell, layout in cases:
        x = torch.linspace(-2, 2, layout.total * 30).view(-1, 30)
        hidden, _ = native.scan(cell, x, cell.start_state(len(layout)), layout)
        made += [hidden.detach(), *torch.autograd.grad(hidden, list(cell.parameters()), torch.ones_like(hidden))]
    return [one.numpy().tobytes() for one in made]
expected = work()
child = os.fork()
if not child:
    signal.alarm(60)
    os._exit(0 if work() == expected else 1)
_, status = os.waitpid(child, 0)
again = work() == expected
sys.exit(0 if again and not status else f"child: {status}, parent again: {again}")
"""


def run_python(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env={**os.environ, **environment}
    )


def test_a_child_of_fork_computes_the_same_and_does_not_hang():
    done = run_python(CHILD)
    assert done.returncode == 0, done.stderr


def test_an_instruction_set_that_is_not_there_is_an_error_that_names_those_that_are():
    code = "from ostinato.kernels.native_library import library; library()"
    done = run_python(code, **{INSTRUCTION_SET: "nonsense"})
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert "KernelError" in last and f"{INSTRUCTION_SET}=nonsense" in last and "plain" in last


def test_a_forced_instruction_set_is_taken(monkeypatch):
    before = library().instruction_set
    try:
        for name in library().instruction_sets:
            monkeypatch.setenv(INSTRUCTION_SET, name)
            assert Library(Path(native.__file__).with_name("_native.so")).instruction_set == name
    finally:
        library().use(before)


def test_several_threads_of_python_at_once_get_the_same_bits():
    torch.manual_seed(0)
    cases = []
    for kind in KINDS:
        cell = cell_of(kind, 12, 60)
        cases.append((cell, *batch(cell, [20, 0, 31, 4, 9])))
    expected = [everything(native.scan, *case) for case in cases]
    wrong_ones = []

    def work(first):
        for k in range(2 * len(cases)):
            place = (first + k) % len(cases)
            if not equal(everything(native.scan, *cases[place]), expected[place]):
                wrong_ones.append(place)

    with threads(2):
        workers = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    assert not wrong_ones


def test_each_threads_error_is_its_own():
    messages = {}
    gate = threading.Barrier(3)

    def work(number):
        for _ in range(50):
            gate.wait()
            try:
                library().activate(number + 9, 0, 1, 0, 0)
            except KernelError as error:
                messages.setdefault(number, set()).add(str(error))

    workers = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert messages == {number: {f"native activate: activate: kind {number + 9} of 1 numbers"} for number in range(3)}
