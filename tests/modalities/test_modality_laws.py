"""The laws of modalities, on every member of the room with every option."""

import pytest

from ostinato import registry
from ostinato.testing import laws

VARIANTS = {
    "text": [
        {"tokenizer": "word", "characters": True},
        {"tokenizer": "bpe", "marks": "both"},
        {"subword_pooling": "mean", "lowercase": True},
        {"tokenizer": "word", "stop_words": ["cat"], "normalize": "NFKC"},
    ],
    "tags": [{"scheme": "bioes", "data_scheme": "iob2"}, {"separator": "", "missing": "_"}],
    "category": [{"multilabel": True, "separator": ";"}],
}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        (name, options)
        for name in registry.names("modalities")
        for options in (*laws.variants("modalities", name), *VARIANTS.get(name, []))
        if not {"size", "ordinal"} & set(options)  # few symbols, and labels that a column does not have
    ],
    ids=str,
)
def test_every_modality_keeps_the_laws(name, options):
    laws.run("modalities", name, options)


def test_the_laws_see_a_fact_that_is_not_kept(monkeypatch):
    cls = registry.component("modalities", "tokens")
    honest = cls.facts
    monkeypatch.setattr(cls, "facts", lambda self: {**honest(self), "symbols": honest(self)["symbols"][1:]})
    with pytest.raises(AssertionError, match="facts_are_all, .*after restoring"):
        laws.run("modalities", "tokens")


def test_the_laws_see_a_value_that_is_read_otherwise(monkeypatch):
    cls = registry.component("modalities", "number")
    honest = cls.write
    monkeypatch.setattr(cls, "write", lambda self, raw: honest(self, raw + 1))
    with pytest.raises(AssertionError, match="values_come_back, .*numbers.* is written as"):
        laws.run("modalities", "number")
