"""The laws of decoders, run on every member of the room with every option."""

import pytest

from ostinato import registry
from ostinato.testing import _stepwise, decoders, laws
from ostinato.testing._tools import Member

TOGETHER = [
    {"input_feeding": True, "layers": 2},
    {"input_feeding": True, "attention": "location", "cell": "gru"},
    {"context": "before", "attention": "dot", "layers": 3},
    {"attention": "none", "layers": 2},
    {"bridge": False, "context": "before"},
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
