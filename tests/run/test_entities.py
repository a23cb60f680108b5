"""Entities of taggers: where they stand in the text, how sure each is, also in a text that nobody split."""

import itertools
import json
import math

import polars
import pytest
import torch

import ostinato
from ostinato import api
from ostinato.model.reading import Reading
from ostinato.raw.words import Words, split_like
from ostinato.run.answer_files import write_predictions
from ostinato.run.predict import gathered

SENTENCES = [
    (["Anna", "Meyer", "met", "Bo", "."], ["B-PER", "I-PER", "O", "B-PER", "O"]),
    (["Bo", "'s", "Rome", ",", "Rome", "!"], ["B-PER", "O", "B-LOC", "O", "B-LOC", "O"]),
    (["(", "Rome", ")"], ["O", "B-LOC", "O"]),
]


@pytest.fixture(scope="module", params=["crf", "tagger"])
def run(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    model = ostinato.Model(
        {"words": {"type": "tokens", "encoder": {"hidden_size": 8, "dropout": 0.0}}},
        {"tags": {"type": "tags", "scheme": "bioes", "head": request.param}},
        training={"epochs": 30, "batch_rows": 3, "optimizer": {"type": "adamw", "learning_rate": 0.03}},
    )
    rows = [{"words": words, "tags": tags} for words, tags in SENTENCES] * 4
    return model.fit(rows, rows[:3], folder=folder / "run", device="cpu").run


def entities(run, text):
    (prediction,) = api.predict(run, [text], device="cpu")
    return prediction.best["tags"]


def test_an_entity_has_its_text_place_label_and_score_in_raw_text(run):
    text = "Anna  Meyer met Bo, (Rome)!"
    answer = entities(run, text)
    assert answer.words == ["Anna", "Meyer", "met", "Bo", ",", "(", "Rome", ")", "!"]
    assert [text[start:end] for start, end in answer.offsets] == answer.words
    assert len(answer.value) == len(answer.words) == len(answer.step_probabilities)
    assert [(entity.text, entity.label) for entity in answer.entities] == [
        ("Anna  Meyer", "PER"),
        ("Bo", "PER"),
        ("Rome", "LOC"),
    ]
    for entity in answer.entities:
        assert text[entity.start : entity.end] == entity.text
    first = answer.entities[0]
    assert first.score == min(answer.step_probabilities[:2]) and 0.5 < first.score < 1


def test_a_list_of_words_is_read_as_it_is(run):
    (prediction,) = api.predict(run, rows=[{"words": ["Bo,", "Rome"]}], device="cpu")
    answer = prediction.best["tags"]
    assert answer.words == ["Bo,", "Rome"] and len(answer.value) == 2
    for entity in answer.entities:
        assert "Bo, Rome"[entity.start : entity.end] == entity.text


def test_the_scores_of_a_chain_are_its_marginals_by_brute_force(run):
    words = ["Bo", "met", "Anna"]
    answer = entities(run, " ".join(words))
    with torch.inference_mode():
        rows = {name: run.encoded([{"words": words}], f"inputs.{name}", str) for name in run.inputs}
        inputs = {name: gathered(column, [0], run.device) for name, column in rows.items()}
        distribution = Reading(run.graph, inputs).predict_distribution("tags")
        size, best = run.modalities["outputs.tags"].spec.size, distribution.mode().tolist()
        logs = {
            labels: float(distribution.log_prob(torch.tensor(labels)).sum())
            for labels in itertools.product(range(size), repeat=3)
        }
    assert sum(map(math.exp, logs.values())) == pytest.approx(1, abs=1e-4)
    for at, label in enumerate(best):
        share = sum(math.exp(log) for labels, log in logs.items() if labels[at] == label)
        assert answer.step_probabilities[at] == pytest.approx(share, abs=1e-4)


def test_json_and_tables_hold_entities(run, tmp_path):
    text = "Anna Meyer met Bo."
    (prediction,) = api.predict(run, [text], device="cpu")
    plain = prediction.to_json()
    (answer,) = plain["outputs"]["tags"]
    assert plain["inputs"] == {"words": text} and answer["words"][-1] == "."
    assert answer["entities"][0].keys() == {"text", "start", "end", "label", "score"}
    for form in ("jsonl", "csv", "parquet"):
        write_predictions(run, api.predict(run, [text], device="cpu"), tmp_path / f"a.{form}")
    (row,) = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert (row["tags_predicted"], row["tags_entities"]) == (answer["value"], answer["entities"])
    assert polars.read_parquet(tmp_path / "a.parquet").to_dicts() == [row]
    flat = polars.read_csv(tmp_path / "a.csv").to_dicts()[0]
    assert (
        flat["tags_predicted"] == " ".join(answer["value"]) and json.loads(flat["tags_entities"]) == answer["entities"]
    )


def test_words_of_a_table_are_split_as_those_of_a_text(run, tmp_path):
    (tmp_path / "raw.csv").write_text('words\n"Bo, (Rome)"\n')
    (prediction,) = api.predict(run, source=str(tmp_path / "raw.csv"), device="cpu")
    assert prediction.best["tags"].words == ["Bo", ",", "(", "Rome", ")"]
    (tmp_path / "known.csv").write_text("words,tags\nBo .,B-PER O\n")
    assert api.score(run, str(tmp_path / "known.csv"))["tags"].num_targets == [2]


@pytest.mark.parametrize(
    "text, words",
    [
        ("Paris's, U.S. (ok)...", ["Paris", "'s", ",", "U.S.", "(", "ok", ")", "..."]),
        ("wait..., no", ["wait", "...", ",", "no"]),
        ("«Paris»", ["«Paris»"]),
        ("!!", ["!", "!"]),
        ("1\u00a0000, x", ["1\u00a0000", ",", "x"]),
        ("don't", ["don't"]),
        ("Paris’s\nx", ["Paris", "’s", "x"]),
        ("", []),
    ],
)
def test_a_text_is_split_as_the_vocabulary_has_its_words(text, words):
    known = {"Paris", "'s", "’s", ",", "U.S.", "(", ")", "...", "!"}
    assert split_like(text, known.__contains__) == words
    placed = Words.of(text, words)
    assert [text[start:end] for start, end in placed.places] == words


def test_plain_labels_mark_no_entities():
    rows = [{"words": ["a", "b"], "tags": ["X", "Y"]}] * 4
    model = ostinato.Model({"words": "tokens"}, {"tags": "tags"}, training={"epochs": 1}).fit(rows, rows, device="cpu")
    (prediction,) = api.predict(model.run, ["a b"])
    answer = prediction.best["tags"]
    assert answer.entities is None and answer.words == ["a", "b"] and len(answer.step_probabilities) == 2
