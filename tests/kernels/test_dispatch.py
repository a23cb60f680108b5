"""A forced kernel is taken, or refused with the reason."""

import pytest

from ostinato.cells.gru import GRU
from ostinato.errors import KernelError
from ostinato.kernels import dispatch
from ostinato.steps import Layout


def run(cell):
    layout = Layout([2])
    return dispatch.scan(cell, cell.weight_x.new_zeros(2, 3), cell.start_state(1), layout)


@pytest.mark.parametrize("forced", [None, "", "reference"])
def test_reference_is_taken_by_default_and_on_demand(monkeypatch, forced):
    monkeypatch.delenv("OSTINATO_KERNEL", raising=False)
    if forced is not None:
        monkeypatch.setenv("OSTINATO_KERNEL", forced)
    cell = GRU(3, 4)
    assert dispatch.chosen(cell) == "reference"
    taken = []
    monkeypatch.setitem(dispatch.KERNELS, "reference", lambda *_, **__: taken.append(True))
    run(cell)
    assert taken


def test_a_forced_kernel_that_this_build_lacks_is_an_error_that_says_what_there_is(monkeypatch):
    monkeypatch.setenv("OSTINATO_KERNEL", "native")
    monkeypatch.setattr(dispatch, "KERNELS", {"reference": dispatch.KERNELS["reference"]})
    with pytest.raises(KernelError, match="no native kernel for GRU; available: reference"):
        run(GRU(3, 4))


def test_an_unknown_kernel_is_an_error_that_names_the_nearest(monkeypatch):
    monkeypatch.setenv("OSTINATO_KERNEL", "refrence")
    with pytest.raises(KernelError, match="did you mean 'reference'"):
        run(GRU(3, 4))
