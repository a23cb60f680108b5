"""The laws of decoders, run on every member of the room with every option."""

import pytest
import torch

from ostinato import registry
from ostinato.testing import _inputs, _stepwise, decoders, laws
from ostinato.testing._tools import Member

TOGETHER = [
    {"input_feeding": True, "layers": 2},
    {"input_feeding": True, "attention": "location", "cell": "gru"},
    {"context": "before", "attention": "dot", "layers": 3},
    {"attention": "none", "layers": 2},
    {"bridge": False, "context": "before"},
    {"bridge": "relu", "cell": "gru"},
    {"readout": "linear", "input_feeding": True},
    {"readout": "linear", "layers": 2},
]
TRANSFORMERS = [
    {"layers": 2, "window": 3, "kv_heads": 1},
    {"layers": 1, "positions": "alibi", "feed_forward_activation": "swiglu"},
]
TEXTBOOK = {
    "norm": ["rms"],
    "norm_first": [True],
    "query_key_norm": [True],
    "last_norm": [True],
    "norm_epsilon": [0.1],
    "positions": ["rotary", "learned"],
    "feed_forward_activation": ["gelu"],
}
"""What the block of the textbook has not."""


@pytest.mark.parametrize("name", registry.names("decoders"))
def test_law(name):
    laws.run("decoders", name)


@pytest.mark.parametrize("options", TOGETHER, ids=str)
def test_laws_of_options_together(options):
    laws.run("decoders", "recurrent", options)


@pytest.mark.parametrize(
    ("options", "state"),
    [
        ({"bridge": "copy"}, (3, 3, 3, 3)),
        ({"bridge": "copy", "cell": "gru", "layers": 2}, (2, 4, 2, 4)),
        ({"bridge": "copy", "attention": "none"}, (6, 6)),
    ],
    ids=str,
)
def test_laws_of_a_start_from_the_encoders_state(options, state, monkeypatch):
    monkeypatch.setitem(_inputs.INPUTS, "one", (_inputs.FIRST._replace(state=state),))
    laws.run("decoders", "recurrent", options)
    (case,) = decoders.cases(Member.of("decoders", "recurrent", options))
    decoder, (encoded, _) = case.made()
    start, given = decoder.start(encoded).values, encoded[0].state
    if options.get("attention") == "none":
        assert torch.equal(start["0.0"], given[0]) and torch.equal(start["0.1"], given[1])
    elif "cell" in options:
        assert torch.equal(start["0.0"], torch.cat(given[:2], 1)) and torch.equal(start["1.0"], torch.cat(given[2:], 1))
    else:
        assert torch.equal(start["0.0"], torch.cat(given[0::2], 1))
        assert torch.equal(start["0.1"], torch.cat(given[1::2], 1))


@pytest.mark.parametrize("options", TRANSFORMERS, ids=str)
def test_laws_of_options_of_a_transformer_together(options):
    laws.run("decoders", "transformer", options)


def test_the_block_of_the_textbook_keeps_the_laws():
    laws.run("decoders", "transformer", {"block": "vaswani2017", "layers": 1}, TEXTBOOK)


def test_the_laws_see_a_decoder_that_breaks_them(monkeypatch):
    decoder = registry.component("decoders", "recurrent")
    honest = decoder.step

    def forgetful(self, steps, state):
        return honest(self, steps, state)[0], state

    monkeypatch.setattr(decoder, "step", forgetful)
    with pytest.raises(AssertionError, match="step 1 of hypotheses"):
        _stepwise.steps_are_the_whole(decoders.cases(Member.of("decoders", "recurrent"))[0])
