"""What the kernels recommend, followed."""

import ctypes
from functools import partial
from pathlib import Path

import pytest
import torch

from ostinato.cells.gru import GRU
from ostinato.cells.lstm import LSTM
from ostinato.cells.slstm import SLSTM
from ostinato.errors import KernelError
from ostinato.kernels import dispatch, native_library, operators
from ostinato.kernels.deferred import DeferredLinear
from ostinato.steps import Layout
from tests.advice import follow

needs_native = pytest.mark.skipif(native_library.library() is None, reason="no native library in this installation")
NATIVE = Path(native_library.__file__).with_name("_native.so")


def run(cell):
    dispatch.scan(cell, torch.zeros(3, 3), (torch.zeros(2, 4),) * len(cell.state_sizes), Layout([2, 1]))


@needs_native
def test_the_advice_on_a_kernel_that_cannot_compute_a_cell(monkeypatch):
    """The message names those that can; each of them computes it."""
    monkeypatch.setenv(dispatch.VARIABLE, "native")
    cell = LSTM(3, 4, layer_norm=True)
    with pytest.raises(KernelError) as refusal:
        run(cell)
    names, advice = str(refusal.value).partition("available: ")[2].split(". ")
    assert advice == "Unset OSTINATO_KERNEL, or set it to one of these"
    assert names == "reference", "neither native, which was refused, nor cudnn, which has no such cell"
    monkeypatch.setenv(dispatch.VARIABLE, names)
    run(cell)
    monkeypatch.delenv(dispatch.VARIABLE)
    run(cell)


@needs_native
def test_the_advice_on_a_library_that_was_built_before_a_cell(monkeypatch):
    """An installation of now brings the cell, which is computed natively then."""
    cell = SLSTM(3, 4)
    with monkeypatch.context() as patch:
        patch.delitem(native_library.library().cells, "slstm")
        advice = "the native library was built before it had slstm: install Ostinato again"
        assert dispatch.backend(cell) == f"reference (SLSTM: {advice})"
    assert dispatch.backend(cell) == "native"


@needs_native
def test_the_advice_on_an_instruction_set(monkeypatch):
    """The message names those that this machine has; each of them computes."""
    before = native_library.library().instruction_set
    with pytest.raises(KernelError) as refusal:
        native_library.Library(NATIVE).use("sse9")
    known, advice = str(refusal.value).partition("this machine can use: ")[2].split(". ")
    assert advice == "Unset it, or set one of these" and "plain" in known
    for name in known.replace(",", " ").split():
        monkeypatch.setenv(native_library.INSTRUCTION_SET, name)
        assert native_library.Library(NATIVE).instruction_set == name
    monkeypatch.delenv(native_library.INSTRUCTION_SET)
    assert native_library.Library(NATIVE).instruction_set == native_library.library().instruction_sets[0]
    native_library.library().use(before)


def gradient(compute, *, twice):
    source = torch.ones(2, 4, requires_grad=True)
    loss = compute(source).sin().sum()
    (first,) = torch.autograd.grad(loss, source, create_graph=twice)
    if twice:
        first.sum().backward()


def scanned(x):
    cell = GRU(4, 4)
    return operators.scan(cell, x, (torch.zeros(1, 4),), Layout([2]))[0]


def linear(x):
    return DeferredLinear(torch.ones(4, 4, requires_grad=True), None)(x)


@pytest.mark.parametrize(
    ("compute", "advice"),
    [
        (linear, "backward(create_graph=True) was called; leave create_graph out"),
        pytest.param(scanned, "a gradient of its gradient was asked; leave create_graph out", marks=needs_native),
    ],
)
def test_the_advice_on_a_second_derivative(compute, advice):
    follow(partial(gradient, compute, twice=True), advice, partial(gradient, compute, twice=False), error=RuntimeError)


def test_the_advice_on_a_library_that_is_not_there(monkeypatch):
    """Where there is a compiler the package builds it (tests/kernels/test_build.py), and the operator computes."""
    with monkeypatch.context() as patch:
        patch.setattr(operators, "library", lambda: None)
        with pytest.raises(KernelError, match="needs the native library: .*; install Ostinato again where a compiler"):
            scanned(torch.ones(2, 4))
    if native_library.library() is not None:
        scanned(torch.ones(2, 4))


@needs_native
def test_the_advice_on_a_library_of_another_version(monkeypatch):
    """The library that belongs to the package, which an installation brings, is loaded."""
    shorter = type("Product", (ctypes.Structure,), {"_fields_": native_library.Product._fields_[:-1]})
    for name, changed in (("ABI", native_library.ABI + 1), ("Product", shorter)):
        with monkeypatch.context() as patch:
            patch.setattr(native_library, name, changed)
            with pytest.raises(KernelError, match=": install Ostinato again$") as refusal:
                native_library.Library(NATIVE)
        assert f"this package {'needs' if name == 'ABI' else 'has'} " in str(refusal.value)
        native_library.Library(NATIVE)
