"""Recurrent encoders take the native path."""

import pytest
import torch

from ostinato import registry
from ostinato.encoders.recurrent import Recurrent
from ostinato.kernels import dispatch, reference
from ostinato.kernels.native_library import library
from ostinato.modalities.contract import Values
from ostinato.steps import Layout, Steps

pytestmark = pytest.mark.skipif(library() is None, reason="no native library in this installation")


# Law e: the native path was truly taken.


@pytest.fixture
def calls(monkeypatch):
    """The names of the library's functions as they are called."""
    names = []

    def counted(name, function):
        return lambda *arguments: names.append(name) or function(*arguments)

    for name in ("forward", "backward"):
        monkeypatch.setattr(library(), name, counted(name, getattr(library(), name)))
    return names


ENCODERS = [
    ({"layers": 2, "bidirectional": False}, 2, 2),
    ({"layers": 2, "bidirectional": True}, 2, 4),
    ({"layers": 3, "bidirectional": True, "residual": True, "start": "learnt"}, 3, 6),
    ({"layers": 1, "bidirectional": False, "reversed_source": True}, 1, 1),
    ({"layers": 2, "bidirectional": True, "dropout": 0.3, "variational": True, "recurrent_dropout": 0.2}, 2, 4),
]


@pytest.mark.parametrize(("options", "forwards", "backwards"), ENCODERS, ids=lambda value: str(value))
@pytest.mark.parametrize(
    ("cell", "cell_options"),
    [
        ("rnn", {}),
        ("rnn", {"activation": "leaky_relu"}),
        ("lstm", {}),
        ("lstm", {"coupled": True, "peepholes": True}),
        ("gru", {}),
        ("gru", {"reset": "before"}),
        ("slstm", {}),
        ("slstm", {"forget": "exponential", "biases": 0, "forget_bias": 0.0}),
    ],
)
def test_recurrent_encoders_take_the_native_path(monkeypatch, calls, cell, cell_options, options, forwards, backwards):
    monkeypatch.delenv(dispatch.VARIABLE, raising=False)
    monkeypatch.setattr(reference, "scan", None)
    monkeypatch.setitem(dispatch._SCANS, "reference", None)
    encoder = Recurrent(
        Values(5), cell=registry.settings_class("cells", cell)(**cell_options), hidden_size=6, **options
    ).train()
    encoded = encoder.encode(Steps(torch.randn(9, 5), Layout([4, 0, 5])))
    assert calls == ["forward"] * forwards, "a layer is one call, both of its directions at once"
    (encoded.steps.values.sum() + encoded.summary.sum()).backward()
    assert calls == ["forward"] * forwards + ["backward"] * backwards
    with torch.no_grad():
        encoder.eval().encode(Steps(torch.randn(9, 5), Layout([4, 0, 5])))
    assert calls.count("forward") == 2 * forwards
