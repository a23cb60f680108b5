"""A forced kernel is taken, or refused with the reason; what leaves the native path is named once."""

import logging

import pytest
import torch

from ostinato.cells.gru import GRU
from ostinato.cells.lstm import LSTM
from ostinato.errors import KernelError
from ostinato.kernels import dispatch
from ostinato.kernels.native_library import library
from ostinato.steps import Layout

needs_native = pytest.mark.skipif(library() is None, reason="no native library in this installation")


@pytest.fixture(autouse=True)
def not_forced(monkeypatch):
    monkeypatch.delenv("OSTINATO_KERNEL", raising=False)


def run(cell, dtype=torch.float32):
    layout = Layout([2])
    cell = cell.to(dtype)
    return dispatch.scan(cell, torch.zeros(2, 3, dtype=dtype), cell.start_state(1), layout)


def taken_by(monkeypatch, name):
    taken = []
    monkeypatch.setitem(dispatch._SCANS, name, lambda *_, **__: taken.append(True))
    return taken


@pytest.mark.parametrize("forced", ["reference", "cudnn", pytest.param("native", marks=needs_native)])
def test_a_forced_kernel_is_taken(monkeypatch, forced):
    monkeypatch.setenv("OSTINATO_KERNEL", forced)
    taken = taken_by(monkeypatch, forced)
    run(GRU(3, 4))
    assert taken


@needs_native
def test_native_is_taken_where_it_can_be(monkeypatch):
    taken = taken_by(monkeypatch, "native")
    run(GRU(3, 4))
    assert taken


def test_the_reference_is_taken_where_there_is_no_library(monkeypatch):
    monkeypatch.setattr(dispatch, "available", lambda: ("reference", "cudnn"))
    taken = taken_by(monkeypatch, "reference")
    run(GRU(3, 4))
    assert taken


def test_a_forced_kernel_that_this_build_lacks_is_an_error_that_says_what_there_is(monkeypatch):
    monkeypatch.setenv("OSTINATO_KERNEL", "native")
    monkeypatch.setattr(dispatch, "available", lambda: ("reference", "cudnn"))
    with pytest.raises(KernelError, match="this build has no native kernel.*available: reference"):
        run(GRU(3, 4))


@needs_native
@pytest.mark.parametrize(
    ("cell", "dtype", "why"),
    [
        (LSTM(3, 4, layer_norm=True), torch.float32, "layer_norm has no native step"),
        (GRU(3, 4), torch.bfloat16, "bfloat16"),
    ],
)
def test_what_the_native_loop_lacks_is_named_once_and_refused_where_it_is_forced(monkeypatch, caplog, cell, dtype, why):
    dispatch._log_once.cache_clear()
    with caplog.at_level(logging.INFO, "ostinato.kernels"):
        run(cell, dtype)
        run(cell, dtype)
    assert [why in one.getMessage() for one in caplog.records] == [True]
    monkeypatch.setenv("OSTINATO_KERNEL", "native")
    with pytest.raises(KernelError, match=why):
        run(cell, dtype)


@needs_native
def test_a_library_that_was_built_before_a_cell_leaves_it_to_the_reference(monkeypatch):
    monkeypatch.delitem(library().cells, "gru_after")
    assert dispatch.backend(GRU(3, 4)) == (
        "reference (GRU: the native library was built before it had gru_after: install Ostinato again)"
    )
    taken = taken_by(monkeypatch, "reference")
    run(GRU(3, 4))
    assert taken and dispatch.chosen(LSTM(3, 4)) == "native"


@needs_native
def test_autocast_takes_the_reference_which_has_16_bits():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert dispatch.chosen(GRU(3, 4), torch.zeros(2, 3)) == "reference"


def test_an_unknown_kernel_is_an_error_that_names_the_nearest(monkeypatch):
    monkeypatch.setenv("OSTINATO_KERNEL", "refrence")
    with pytest.raises(KernelError, match="did you mean 'reference'"):
        run(GRU(3, 4))


def test_a_backend_that_was_renamed_is_an_error_that_names_it_as_it_is_called_now(monkeypatch):
    monkeypatch.setenv("OSTINATO_KERNEL", "library")
    with pytest.raises(KernelError, match="OSTINATO_KERNEL=library: no kernel has this name; it is called cudnn now"):
        run(GRU(3, 4))
