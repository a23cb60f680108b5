"""A stream's steps take the prepared way and equal the general one; changed weights, types and sizes are noticed."""

import copy

import pytest
import torch

from ostinato import nn
from ostinato.kernels.dispatch import forced
from ostinato.kernels.native_library import library
from ostinato.nn import recurrent

pytestmark = pytest.mark.skipif(library() is None, reason="no native library in this installation")


def states_of(module, rows, layers):
    h = torch.randn(layers, rows, 6, dtype=module.weight_ih_l0.dtype)
    return (h, torch.randn_like(h)) if isinstance(module, nn.LSTM) else h


def flat(output, state):
    return [output, *(state if isinstance(state, tuple) else (state,))]


@torch.no_grad()
def both(module, x, state):
    found = flat(*module(x, state))
    with forced("reference"):
        expected = flat(*module(x, state))
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        torch.testing.assert_close(one, other)
    return found


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize(
    ("shape", "batch_first"), [((1, 1, 4), False), ((5, 1, 4), False), ((1, 3, 4), False), ((1, 5, 4), True)]
)
def test_a_prepared_step_equals_the_general_way(kind, layers, shape, batch_first, monkeypatch):
    torch.manual_seed(0)
    module = kind(4, 6, num_layers=layers, batch_first=batch_first).eval()
    rows = shape[0] if batch_first else shape[1]
    x, state = torch.randn(shape), states_of(module, rows, layers)
    both(module, x, state)
    monkeypatch.setattr(recurrent.dispatch, "scan", None)
    with torch.no_grad():
        module(x, state)


def test_changed_weights_a_new_type_and_another_length_are_noticed():
    torch.manual_seed(0)
    module = nn.GRU(4, 6).eval()
    x, state = torch.randn(1, 1, 4), states_of(module, 1, 1)
    before = both(module, x, state)
    with torch.no_grad():
        module.weight_hh_l0.mul_(2)
    assert not torch.equal(both(module, x, state)[0], before[0])
    module.load_state_dict(nn.GRU(4, 6).state_dict())
    both(module, x, state)
    both(module, torch.randn(7, 1, 4), state)
    module.double()
    both(module, x.double(), state.double())
    other = copy.deepcopy(module)
    with torch.no_grad():
        module.bias_ih_l0.add_(1)
    both(other, x.double(), state.double())


def test_results_are_new_tensors_each_time():
    module = nn.LSTM(4, 6).eval()
    x, state = torch.randn(1, 1, 4), states_of(module, 1, 1)
    with torch.no_grad():
        first, (h, c) = module(x, state)
        kept = [one.clone() for one in (first, h, c)]
        module(torch.randn(1, 1, 4), (h, c))
    assert all(torch.equal(one, other) for one, other in zip((first, h, c), kept))
    assert first.data_ptr() != h.data_ptr()


@pytest.mark.parametrize("state", [torch.zeros(1, 2, 6), torch.zeros(2, 1, 6), torch.zeros(1, 1, 5)])
def test_a_state_that_does_not_fit_has_torchs_error(state):
    module = nn.GRU(4, 6).eval()
    with torch.no_grad():
        module(torch.randn(1, 1, 4), torch.zeros(1, 1, 6))
        with pytest.raises(RuntimeError, match="Expected hx of size"):
            module(torch.randn(1, 1, 4), state)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("write", ["fused optimizer", "through .data", "transposed in place", "another parameter"])
def test_weights_that_change_without_being_counted_are_noticed(write, layers):
    torch.manual_seed(0)
    module = (nn.RNN if write == "transposed in place" else nn.LSTM)(4, 6, num_layers=layers).eval()
    x, state = torch.randn(1, 1, 4), states_of(module, 1, layers)
    before = both(module, x, state)
    for _ in range(2):
        if write == "fused optimizer":
            module(x)[0].sum().backward()
            torch.optim.SGD(module.parameters(), lr=0.1, fused=True).step()
            module.zero_grad()
        elif write == "through .data":
            getattr(module, f"weight_hh_l{layers - 1}").data.mul_(2)
        elif write == "transposed in place":
            module.weight_hh_l0.data = module.weight_hh_l0.data.t()
        else:
            module.weight_hh_l0 = torch.nn.Parameter(torch.randn(24, 6))
        after = both(module, x, state)
        assert not torch.equal(after[0], before[0])
        before = after
