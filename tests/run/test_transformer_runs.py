"""Runs of Transformers from a recipe to answers: a shared vocabulary, a search over kept keys, a saved run."""

import random

import pytest

import ostinato

TEXT = {"type": "text", "tokenizer": "char"}
SMALL = {"type": "transformer", "hidden_size": 16, "layers": 1, "heads": 2}
LEARNING = {
    "epochs": 3,
    "batch_rows": 8,
    "optimizer": {"type": "adamw", "learning_rate": 0.01},
    "schedule": "constant",
    "keep_best": False,
}


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    monkeypatch.setenv("OSTINATO_CACHE", str(tmp_path / "cache"))


def rows(number=48):
    draw = random.Random(0)
    texts = ["".join(draw.choices("abcd", k=draw.randint(1, 6))) for _ in range(number)]
    return [{"de": text, "en": text} for text in texts]


def test_a_translator_answers_the_same_alone_in_company_and_loaded(tmp_path):
    head = {"decoder": SMALL, "tied": "input", "bias": False, "embedding_size": 16}
    model = ostinato.Model(
        inputs={"de": TEXT | {"encoder": SMALL}},
        outputs={"en": TEXT | {"tokenizer": {"same_as": "de"}, "head": head}},
        search={"type": "beam", "width": 3},
        training=LEARNING,
    )
    model.fit(rows(), rows()[:8], folder=tmp_path / "run")
    sources = [{"de": row["de"]} for row in rows()[:12]]
    together = model.predict(sources)
    assert [model.predict([row])[0] for row in sources] == together
    loaded = ostinato.load(tmp_path / "run")
    assert loaded.predict(sources) == together
    embedding = loaded.run.graph.encoder("de").embedding.learnt.weight
    assert loaded.run.graph.heads["en"].output.weight is embedding


@pytest.mark.parametrize("window", [None, 3])
def test_a_language_model_continues_prompts_of_any_length(tmp_path, window):
    model = ostinato.Model(
        inputs={"text": TEXT | {"encoder": SMALL | {"window": window}}},
        outputs={"on": {"of": "text", "align": "next"}},
        search={"type": "beam", "width": 3, "max_length": 12},
        training=LEARNING,
    )
    texts = [{"text": row["de"]} for row in rows()]
    model.fit(texts, texts[:8], folder=tmp_path / "run")
    prompts = [{"text": text} for text in ("a", "abcabc", "", "dd")]
    assert [model.predict([prompt])[0] for prompt in prompts] == model.predict(prompts)
