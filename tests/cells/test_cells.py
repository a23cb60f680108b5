"""What cells are made of: golden parameter counts, first weights, and the equations of the options that torch.nn
lacks."""

import pytest
import torch
from torch import sigmoid, tanh

from ostinato.cells.gru import GRU
from ostinato.cells.lstm import LSTM
from ostinato.cells.rnn import RNN
from ostinato.errors import ConfigError


def count(cell):
    return sum(one.numel() for one in cell.parameters())


def test_parameter_counts_of_the_textbook():
    x, h = 28, 100
    assert count(LSTM(x, h, biases=1)) == 4 * ((x + h) * h + h)
    assert count(GRU(x, h, biases=1)) == 3 * ((x + h) * h + h)
    assert count(RNN(32, 5, biases=1)) == 190
    assert 2 * count(RNN(32, 5, biases=1)) == 380
    assert (
        count(LSTM(x, h, biases=2))
        == 4 * ((x + h) * h + 2 * h)
        == sum(p.numel() for p in torch.nn.LSTM(x, h).parameters())
    )
    assert count(GRU(x, h, biases=0, reset="before")) == 3 * (x + h) * h


def test_parameter_counts_of_the_options():
    x, h = 28, 100
    plain = count(LSTM(x, h, biases=1))
    assert count(LSTM(x, h, biases=1, peepholes=True)) == plain + 3 * h
    assert count(LSTM(x, h, biases=1, layer_norm=True)) == plain + 4 * h + 4 * h + 2 * h
    assert count(LSTM(x, h, biases=1, coupled=True)) == 3 * ((x + h) * h + h)
    assert count(LSTM(x, h, biases=1, coupled=True, peepholes=True)) == 3 * ((x + h) * h + h) + 2 * h


@pytest.mark.parametrize("options", [{}, {"biases": 1}, {"forget_bias": 2.5}])
def test_forget_biases_add_up_to_what_was_asked_and_the_others_are_drawn(options):
    torch.manual_seed(0)
    for coupled, forget in ((False, slice(4, 8)), (True, slice(0, 4))):
        cell = LSTM(3, 4, coupled=coupled, **options)
        total = cell.bias_x + (0 if cell.bias_h is None else cell.bias_h)
        assert torch.equal(total[forget], torch.full((4,), options.get("forget_bias", 1.0)))
        rest = torch.cat([total[: forget.start], total[forget.stop :]])
        assert rest.abs().min() > 0 and rest.abs().max() <= 2 * 4**-0.5


def test_forget_bias_stands_in_the_norm_where_products_are_normalised():
    cell = LSTM(3, 4, layer_norm=True)
    assert cell.bias_x is None and cell.bias_h is None
    assert torch.equal((cell.norm_x.bias + cell.norm_h.bias)[4:8], torch.ones(4))


def test_a_forget_bias_without_biases_is_refused():
    with pytest.raises(ConfigError, match="biases: 0 leaves no place for forget_bias: 1"):
        LSTM(3, 4, biases=0)
    assert LSTM(3, 4, biases=0, forget_bias=0.0).bias_x is None


def test_first_weights_of_rnn():
    torch.manual_seed(0)
    orthogonal = RNN(3, 6, start="orthogonal").weight_h
    assert torch.allclose(orthogonal @ orthogonal.T, torch.eye(6), atol=1e-6)
    identity = RNN(3, 6, start="identity")
    assert torch.equal(identity.weight_h, torch.eye(6))
    assert not identity.bias_x.any() and not identity.bias_h.any()


def test_leaky_relu_lets_a_hundredth_through():
    cell = RNN(1, 1, activation="leaky_relu", biases=0)
    (h,) = cell.pointwise(torch.tensor([[-3.0]]), torch.tensor([[1.0]]), (torch.zeros(1, 1),))
    assert h.item() == pytest.approx(-0.02)


def drawn(cell):
    x, h, c = (torch.randn(2, size, dtype=torch.float64) for size in (3, 4, 4))
    a_x = x @ cell.weight_x.T + (0 if cell.bias_x is None else cell.bias_x)
    return x, h, c, a_x.split(4, 1), (h @ cell.weight_h.T + (0 if cell.bias_h is None else cell.bias_h)).split(4, 1)


def test_gru_with_the_reset_before_is_cho_2014():
    torch.manual_seed(0)
    cell = GRU(3, 4, reset="before").double()
    x, h, _, a, b = drawn(cell)
    r, z = sigmoid(a[0] + b[0]), sigmoid(a[1] + b[1])
    n = tanh(a[2] + (r * h) @ cell.weight_h[8:].T + cell.bias_h[8:])
    torch.testing.assert_close(cell(x, (h,))[0], z * h + (1 - z) * n, rtol=0, atol=1e-14)


def test_z_of_one_keeps_the_past():
    cell = GRU(3, 4)
    with torch.no_grad():
        cell.bias_x[4:8] = 100.0
    h = torch.randn(2, 4)
    assert torch.equal(cell(torch.randn(2, 3), (h,))[0], h)


@pytest.mark.parametrize("coupled", [False, True])
@pytest.mark.parametrize("peepholes", [False, True])
def test_lstm_with_peepholes_and_coupled_gates_is_its_equations(peepholes, coupled):
    torch.manual_seed(0)
    cell = LSTM(3, 4, peepholes=peepholes, coupled=coupled).double()
    x, h, c, a, b = drawn(cell)
    p = list(cell.peepholes) if peepholes else [0.0] * (2 if coupled else 3)
    f = sigmoid(a[-3] + b[-3] + p[-2] * c)
    i = 1 - f if coupled else sigmoid(a[0] + b[0] + p[0] * c)
    after = f * c + i * tanh(a[-2] + b[-2])
    o = sigmoid(a[-1] + b[-1] + p[-1] * after)
    found = cell(x, (h, c))
    torch.testing.assert_close(found[1], after, rtol=0, atol=1e-14)
    torch.testing.assert_close(found[0], o * tanh(after), rtol=0, atol=1e-14)


def test_lstm_with_layer_norm_is_ba_2016():
    torch.manual_seed(0)
    cell = LSTM(3, 4, layer_norm=True).double()
    with torch.no_grad():
        for norm in (cell.norm_x, cell.norm_h, cell.norm_c):
            norm.weight.uniform_(0.5, 2)
        cell.norm_c.bias.uniform_(-1, 1)

    def norm(a, layer):
        return (
            layer.weight * (a - a.mean(1, keepdim=True)) / (a.var(1, keepdim=True, unbiased=False) + 1e-5).sqrt()
            + layer.bias
        )

    x, h, c = (torch.randn(2, size, dtype=torch.float64) for size in (3, 4, 4))
    i, f, g, o = (norm(x @ cell.weight_x.T, cell.norm_x) + norm(h @ cell.weight_h.T, cell.norm_h)).split(4, 1)
    after = sigmoid(f) * c + sigmoid(i) * tanh(g)
    found = cell(x, (h, c))
    torch.testing.assert_close(found[1], after, rtol=0, atol=1e-13)
    torch.testing.assert_close(found[0], sigmoid(o) * tanh(norm(after, cell.norm_c)), rtol=0, atol=1e-13)
