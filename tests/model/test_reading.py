"""Several outputs read one batch: what they read is encoded once, and each answer is that of the output alone."""

from collections import Counter

import pytest
import torch

import ostinato
from ostinato.evaluation import validate as validation
from ostinato.preprocessing.prepare import prepare
from ostinato.run.predict import answers
from ostinato.run.score import scores

SMALL = {"hidden_size": 8, "embedding_size": 4}
TEXTS = ["ab ba", "ba ab ab", "ab", "ba ba ba ab", "ab ab", "ba"]


def rows(number=36):
    texts = [TEXTS[at % len(TEXTS)] + " " + TEXTS[at // len(TEXTS) % len(TEXTS)] for at in range(number)]
    return [
        {
            "x": text,
            "z": text[:2],
            "kind": text[:2],
            "size": len(text) if at % 3 else None,
            "back": text[::-1],
            "more": text,
        }
        for at, text in enumerate(texts)
    ]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OSTINATO_CACHE", str(tmp_path_factory.mktemp("cache")))
        text = {"type": "text", "tokenizer": "char"}
        made = ostinato.Model(
            inputs={name: {**text, "encoder": {**SMALL, "bidirectional": False}} for name in "xz"},
            outputs={
                "kind": {"type": "category", "reads": ["x", "z"]},
                "size": {"type": "number", "reads": ["x"]},
                "back": {**text, "head": {"decoder": {"hidden_size": 8}, "embedding_size": 4}},
                "more": {**text, "of": "z", "align": "next", "reads": ["z", "x"]},
            },
            training={"epochs": 1, "batch_rows": 9, "schedule": "constant"},
        )
        yield made.fit(rows(), rows(18), device="cpu", verbose=0)


@pytest.fixture
def encoded(model, monkeypatch):
    """How often each input was encoded."""
    counts = Counter()
    for name, encoder in model.run.graph.encoders.items():
        encode = type(encoder).encode

        def counted(steps, *state, name=name, encode=encode, encoder=encoder):
            counts[name] += 1
            return encode(encoder, steps, *state)

        monkeypatch.setattr(encoder, "encode", counted)
    return counts


def test_answers_of_several_outputs_encode_a_batch_once(model, encoded):
    asked = ["kind", "size", "back"]
    together = answers([model.run], rows(20), batch_rows=5, outputs=asked)
    assert encoded == {"x": 4, "z": 4}
    for output in asked:
        for alone, all_of_them in zip(answers([model.run], rows(20), batch_rows=5, outputs=[output]), together):
            assert [vars(answer) for answer in alone[output]] == [vars(answer) for answer in all_of_them[output]]


def test_an_output_that_continues_an_input_reads_it_by_itself_and_shares_the_others(model, encoded):
    whole = answers([model.run], rows(20), batch_rows=5)
    assert encoded["x"] == 4
    alone = answers([model.run], rows(20), batch_rows=5, outputs=["more"])
    assert [answer["more"][0].text for answer in alone] == [answer["more"][0].text for answer in whole]


def test_only_what_an_output_reads_is_encoded(model, encoded):
    answers([model.run], rows(20), batch_rows=5, outputs=["size"])
    assert encoded == {"x": 4}


def test_scores_of_several_outputs_encode_a_batch_once(model, encoded):
    given = rows(20)
    asked = ["kind", "size", "back"]
    together = scores([model.run], given, batch_rows=5, outputs=asked)
    assert encoded == {"x": 4, "z": 4}
    assert together["size"].rows == [row for row, cells in enumerate(given) if cells["size"] is not None]
    for output in asked:
        alone = scores([model.run], given, batch_rows=5, outputs=[output])[output]
        assert alone.rows == together[output].rows
        ours, its = together[output].scored.log_probability, alone.scored.log_probability
        torch.testing.assert_close(ours, its, rtol=1e-5, atol=1e-5)


def test_runs_together_score_rows_that_lack_an_output_as_they_score_them_alone(model):
    runs, given = [model.run, ostinato.load(model.run.folder, device="cpu").run], rows(9)
    for output, known in scores(runs, given).items():
        alone = scores([model.run], given)[output]
        assert known.rows == alone.rows
        torch.testing.assert_close(known.scored.log_probability, alone.scored.log_probability, rtol=1e-4, atol=1e-4)


def test_validation_encodes_each_batch_once(model, encoded, monkeypatch, tmp_path):
    prepared = prepare(model.recipe, data={"train": rows(), "valid": rows(18)}, folder=tmp_path)
    monkeypatch.setattr(validation, "_of_predictions", lambda *_: {})
    validation.validate(model.run, prepared, "cpu")
    batches = len(list(prepared.splits["valid"].evaluation_batches(model.run.recipe.settings.training)))
    assert encoded["x"] == batches > 1
