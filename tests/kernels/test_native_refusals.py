"""What the native recurrence refuses, with what it needs."""

import pytest
import torch
from torch import nn

from ostinato.cells.lstm import LSTM
from ostinato.cells.slstm import SLSTM
from ostinato.errors import KernelError
from ostinato.kernels import native
from ostinato.kernels.native_library import library
from tests.kernels.native_cases import batch

pytestmark = pytest.mark.skipif(library() is None, reason="no native library in this installation")


# Bad input.


def wrong(message, error=ValueError):
    return pytest.raises(error, match=message)


@pytest.fixture
def lstm():
    cell = LSTM(3, 4, peepholes=True)
    return cell, *batch(cell, [2, 0, 3])


def test_an_input_that_does_not_fit_is_named_with_both_shapes(lstm):
    cell, x, state, layout = lstm
    with wrong(r"weight_x has shape \(16, 3\).*x of shape \(5, 7\) needs \(16, 7\)"):
        native.scan(cell, torch.randn(5, 7), state, layout)
    with wrong(r"x has shape \(4, 3\), but the layout has 5 steps"):
        native.scan(cell, x[:4], state, layout)
    with wrong(r"x has shape \(5, 1, 3\)"):
        native.scan(cell, x[:, None], state, layout)


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("weight_x", (15, 3), r"weight_x has shape \(15, 3\).*\(16, 3\)"),
        ("weight_h", (15, 4), r"weight_h has shape \(15, 4\).*\(16, 4\)"),
        ("weight_h", (16,), r"weight_h of shape \(16,\)"),
        ("bias_x", (4,), r"bias_x has shape \(4,\).*\(16,\)"),
        ("bias_h", (16, 1), r"bias_h has shape \(16, 1\).*\(16,\)"),
        ("peepholes", (4, 4), r"peepholes has shape \(4, 4\).*\(3, 4\)"),
        ("peepholes", (3,), r"peepholes has shape \(3,\).*\(3, 4\)"),
    ],
)
def test_a_weight_that_does_not_fit_is_named_with_both_shapes(lstm, name, shape, message):
    cell, x, state, layout = lstm
    setattr(cell, name, nn.Parameter(torch.randn(*shape)))
    with wrong(message):
        native.scan(cell, x, state, layout)


def test_states_and_masks_that_do_not_fit_are_named(lstm):
    cell, x, (h, c), layout = lstm
    with wrong(r"the state h has shape \(2, 4\).*\(3, 4\)"):
        native.scan(cell, x, (h[:2], c), layout)
    with wrong(r"the state c has shape \(3, 5\).*\(3, 4\)"):
        native.scan(cell, x, (h, torch.randn(3, 5)), layout)
    with wrong(r"state_mask has shape \(1, 4\).*\(3, 4\)"):
        native.scan(cell, x, (h, c), layout, state_mask=torch.ones(1, 4))
    for state in ((h,), (h, c, c), ()):
        with wrong(f"the state has {len(state)} tensors, lstm has 2"):
            native.scan(cell, x, state, layout)
    several = SLSTM(3, 4)
    with wrong(r"state 2 is \(3, 5\) torch.float32 on cpu, but the state h is \(3, 4\) torch.float32 on cpu"):
        native.scan(several, x, (h, c, torch.randn(3, 5), c), layout)
    with wrong(r"state 3 is \(3, 4\) torch.float64 on cpu"):
        native.scan(several, x, (h, c, c, c.double()), layout)
    with wrong(r"the state h has shape \(2, 4\).*\(3, 4\)"):
        native.scan(several, x, (h[:2],) * 4, layout)


def test_types_and_devices_that_do_not_fit_are_named(lstm):
    cell, x, (h, c), layout = lstm
    with wrong("weight_x is torch.float32 on cpu, but x is torch.float64 on cpu"):
        native.scan(cell, x.double(), (h, c), layout)
    with wrong("the state c is torch.float64 on cpu, but x is torch.float32"):
        native.scan(cell, x, (h, c.double()), layout)
    with wrong("x is torch.bfloat16", KernelError):
        native.scan(cell, x.bfloat16(), (h, c), layout)
    with wrong("the state h is torch.float32 on meta, but x is torch.float32 on cpu"):
        native.scan(cell, x, (h.to("meta"), c), layout)
    with wrong("x is on meta and its layout on cpu; the native kernel works on the CPU"):
        native.scan(cell.to("meta"), x.to("meta"), (h.to("meta"), c.to("meta")), layout)
    with wrong("x is on cpu and its layout on meta"):
        native.scan(cell, x, (h, c), layout.to("meta"))


def test_a_cell_without_a_native_step_is_an_error_that_says_so(lstm):
    with wrong("layer_norm has no native step", KernelError):
        native.scan(LSTM(3, 4, layer_norm=True), *lstm[1:])


def test_two_directions_of_different_cells_are_refused(lstm):
    cell, x, state, layout = lstm
    assert not native.are_alike([cell, LSTM(3, 4, coupled=True)]) and not native.are_alike([cell, LSTM(3, 5)])
    with wrong("two scans of one call differ", KernelError):
        native.scan_both([cell, LSTM(3, 4, coupled=True)], x, (state, state), layout, (None, None))
