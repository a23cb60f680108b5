"""Each optimizer does the arithmetic of its docstring, and each of its options changes it."""

import math

import pytest
import torch

from ostinato.errors import ConfigError
from ostinato.layers.embedding import Table
from ostinato.layers.vocabulary import FullSoftmax, tables_of
from ostinato.registry import make, names, settings_class

GRADIENTS = [0.3, -1.2, 0.7, 2.0]


def moved(name, **options):
    """The weight 1.5 after each of four gradients, by torch."""
    settings = {"learning_rate": 0.1} | options
    optimizer = make("optimizers", name, options=settings)
    weight = torch.nn.Parameter(torch.tensor([1.5], dtype=torch.float64))
    inner = optimizer.make([weight])
    assert optimizer.learning_rate == settings["learning_rate"]
    path = []
    for gradient in GRADIENTS:
        weight.grad = torch.tensor([gradient], dtype=torch.float64)
        inner.step()
        path.append(weight.item())
    return path


def adam(decoupled, rate=0.1, beta1=0.9, beta2=0.999, epsilon=1e-8, decay=0.0):
    w, m, v, path = 1.5, 0.0, 0.0, []
    for t, g in enumerate(GRADIENTS, 1):
        if decoupled:
            w -= rate * decay * w
        else:
            g += decay * w
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
        w -= rate * (m / (1 - beta1**t)) / (math.sqrt(v / (1 - beta2**t)) + epsilon)
        path.append(w)
    return path


def sgd(rate=0.1, momentum=0.9, nesterov=False, decay=0.0):
    w, v, path = 1.5, None, []
    for g in GRADIENTS:
        g += decay * w
        v = g if v is None else momentum * v + g
        w -= rate * (g + momentum * v if nesterov else v)
        path.append(w)
    return path


def rmsprop(rate=0.1, smoothing=0.99, epsilon=1e-8, momentum=0.0, centered=False, decay=0.0):
    w, s, a, v, path = 1.5, 0.0, 0.0, 0.0, []
    for g in GRADIENTS:
        g += decay * w
        s, a = smoothing * s + (1 - smoothing) * g * g, smoothing * a + (1 - smoothing) * g
        d = g / (math.sqrt(s - a * a if centered else s) + epsilon)
        v = momentum * v + d
        w -= rate * v
        path.append(w)
    return path


def adadelta(rate=0.1, smoothing=0.95, epsilon=1e-6, decay=0.0):
    w, s, u, path = 1.5, 0.0, 0.0, []
    for g in GRADIENTS:
        g += decay * w
        s = smoothing * s + (1 - smoothing) * g * g
        d = g * math.sqrt(u + epsilon) / math.sqrt(s + epsilon)
        u = smoothing * u + (1 - smoothing) * d * d
        w -= rate * d
        path.append(w)
    return path


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("adamw", {}, adam(True, decay=0.01)),
        ("adamw", {"beta1": 0.5, "beta2": 0.8, "epsilon": 0.1, "weight_decay": 0.3},
         adam(True, 0.1, 0.5, 0.8, 0.1, 0.3)),
        ("adam", {}, adam(False)),
        ("adam", {"beta1": 0.5, "beta2": 0.8, "epsilon": 0.1, "weight_decay": 0.3},
         adam(False, 0.1, 0.5, 0.8, 0.1, 0.3)),
        ("sgd", {}, sgd()),
        ("sgd", {"momentum": 0.5, "nesterov": True, "weight_decay": 0.3}, sgd(0.1, 0.5, True, 0.3)),
        ("rmsprop", {}, rmsprop()),
        ("rmsprop", {"smoothing": 0.8, "epsilon": 0.1, "momentum": 0.5, "centered": True, "weight_decay": 0.3},
         rmsprop(0.1, 0.8, 0.1, 0.5, True, 0.3)),
        ("adadelta", {}, adadelta()),
        ("adadelta", {"smoothing": 0.8, "epsilon": 0.1, "weight_decay": 0.3}, adadelta(0.1, 0.8, 0.1, 0.3)),
    ],
)  # fmt: skip
def test_the_weights_move_as_the_equations_say(name, options, expected):
    assert moved(name, **options) == pytest.approx(expected, rel=1e-12)


OTHER = {
    "learning_rate": 0.2, "beta1": 0.5, "beta2": 0.5, "epsilon": 0.1, "weight_decay": 0.5, "momentum": 0.4,
    "nesterov": True,
    "smoothing": 0.5, "centered": True,
}  # fmt: skip


@pytest.mark.parametrize("name", sorted({*names("optimizers")} - {"muon"}))  # which the laws try on a matrix too
def test_every_option_changes_the_weights(name):
    default = moved(name)
    for option in settings_class("optimizers", name).model_fields.keys() - {"type"}:
        assert moved(name, **{option: OTHER[option]}) != default, option


def test_muon_moves_a_matrix_along_its_singular_vectors_and_a_table_as_adamw():
    torch.manual_seed(0)
    gradient, settings = torch.randn(6, 4), {"learning_rate": 0.1, "weight_decay": 0.0}
    matrix, table, vector = (torch.nn.Parameter(torch.zeros(shape)) for shape in ((6, 4), (6, 4), (6,)))
    optimizer = make("optimizers", "muon", options=settings)
    optimizer.set_apart([table])
    inner = optimizer.make([vector, table, matrix])
    for weight in (matrix, table, vector):
        weight.grad = gradient[:, 0].clone() if weight is vector else gradient.clone()
    inner.step()
    left, sizes, right = torch.linalg.svd(gradient, full_matrices=False)
    turned = left.T @ -matrix.detach() @ right.T / (0.1 * 0.2 * 6**0.5)
    assert (turned.diagonal() - 1).abs().max() < 0.5, "singular values are near 1, as Newton and Schulz have them"
    assert (turned - torch.diag(turned.diagonal())).abs().max() < 0.02, "singular vectors are the gradient's"
    torch.testing.assert_close(table.detach(), -0.1 * gradient.sign())
    torch.testing.assert_close(vector.detach(), -0.1 * gradient[:, 0].sign())


def test_what_a_model_has_a_row_of_for_each_symbol_is_a_table():
    model = torch.nn.Sequential(Table(9, 4), torch.nn.Linear(4, 4), FullSoftmax(4, 9))
    assert {id(weight) for weight in tables_of(model)} == {id(p) for k in (0, 2) for p in model[k].parameters()}


def test_nesterov_without_momentum_is_refused():
    with pytest.raises(ConfigError, match="momentum"):
        make("optimizers", "sgd", options={"momentum": 0.0, "nesterov": True})


@pytest.mark.parametrize("name", names("optimizers"))
def test_its_state_is_of_tensors_and_numbers_only(name):
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = make("optimizers", name).make([weight])
    weight.grad = torch.ones(3)
    optimizer.step()
    assert all(isinstance(value, (torch.Tensor, int, float)) for value in optimizer.state[weight].values())
