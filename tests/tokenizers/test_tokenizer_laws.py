"""The laws of tokenizers, on every member of the room with every option."""

import pytest

from ostinato import registry
from ostinato.testing import laws
from tests.tokenizers.fitted import FITTED


@pytest.mark.parametrize(
    ("name", "options"),
    [
        (name, options)
        for name in FITTED
        for options in laws.variants("tokenizers", name)
        if "size" not in options  # beside few pieces no other option matters
    ],
    ids=str,
)
def test_every_tokenizer_keeps_the_laws(name, options):
    laws.run("tokenizers", name, options)


def test_the_laws_see_a_text_that_does_not_come_back(monkeypatch):
    cls = registry.component("tokenizers", "byte")
    monkeypatch.setattr(cls, "decode", lambda self, ids: bytes(one or 0 for one in ids[:-1]).decode("utf-8", "replace"))
    with pytest.raises(AssertionError, match="comes back as"):
        laws.run("tokenizers", "byte")


def test_the_laws_see_an_option_without_an_effect(monkeypatch):
    cls = registry.component("tokenizers", "word")
    monkeypatch.setattr(cls, "_split", lambda self, text: text.split())
    with pytest.raises(AssertionError, match="split_punctuation: False.*changes nothing"):
        laws.run("tokenizers", "word")
