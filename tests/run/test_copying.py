"""Runs whose outputs copy words that the vocabulary lacks: searches, scores, ensembles, the cache and the commands."""

import json
import math
import random

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import ostinato
from ostinato import api
from ostinato.cli.main import group
from ostinato.data.cache import encode
from ostinato.data.read import open_table
from ostinato.errors import ConfigError
from ostinato.run import predict
from ostinato.run.run import Run
from ostinato.run.score import scores


def names(count, seed):
    """Names of two syllables and two letters, hardly one of which comes twice."""
    drawn, syllables = random.Random(seed), [f"{a}{b}" for a in "bdfgklmnprstvz" for b in "aeiou"]
    return [f"{drawn.choice(syllables)}{drawn.choice(syllables)}{drawn.choice('lmnrst')}{seed}" for _ in range(count)]


def questions(count, seed):
    drawn, towns = random.Random(seed), ["bonn", "kiel", "ulm", "jena"]
    rows = []
    for name in names(count, seed):
        town = drawn.choice(towns)
        rows.append({"message": f"wo in {town} wohnt {name} ?", "reply": f"{name} wohnt hier in {town} ."})
    return rows


def model(**head):
    """Of words that training has twice: no name is one."""
    words = {"type": "word", "min_count": 2}
    encoder = {"hidden_size": 16, "embedding_size": 16}
    own = {"embedding_size": 16, "decoder": {"hidden_size": 16}, **head}
    return ostinato.Model(
        {"message": {"type": "text", "tokenizer": words, "encoder": encoder}},
        {"reply": {"type": "text", "tokenizer": {"same_as": "message"}, "head": own}},
        training={"epochs": 1, "batch_rows": 20},
    )


@pytest.fixture(scope="module")
def copier():
    """A model that says nothing but words of its source: its pointer is always chosen, and of places the first."""
    trained = model(copy=True).fit(questions(40, 0), questions(8, 1), device="cpu")
    pointer = trained.run.graph.heads["reply"].pointer
    with torch.no_grad():
        pointer.gate.weight.zero_()
        pointer.gate.bias.fill_(-40.0)
        pointer.query.weight.zero_()
    return trained


SEARCHES = {
    "greedy": ["search=greedy"],
    "beam": ["search={type: beam, width: 3}"],
    "sample": ["search=sample"],
}


@pytest.mark.parametrize("name", SEARCHES)
def test_every_search_says_words_that_training_lacks(copier, name):
    asked = ["Zork", "wo wohnt Zork", "Quix met Zork , Quix"]
    sets = [*SEARCHES[name], "search.max_length=3"]
    answers = copier.predict(asked, sets=sets)
    assert answers[0] == "Zork Zork Zork"
    assert all(set(answer.split()) <= set(text.split()) for answer, text in zip(answers, asked))
    assert [copier.predict([text], sets=sets)[0] for text in asked] == answers, "company changed an answer"


def test_the_best_answers_a_stream_and_a_stop_spell_them_too(copier):
    every = copier.predict(["Zork Quix"], n_best=4, sets=["search.max_length=2"])[0]
    assert {answer.text for answer in every} <= {f"{a} {b}" for a in ("Zork", "Quix") for b in ("Zork", "Quix")}
    pieces = []
    said = copier.stream("Zork", pieces.append, sets=["search=greedy", "search.max_length=2"])
    assert said == "".join(pieces) == "Zork Zork"
    ((stopped,),) = copier.predict(["Zork"], n_best=1, stop=["Zork Zork"], sets=["search.max_length=9"])
    assert stopped.text == "" and stopped.log_probability > -1, "a stop of such a word was not seen"


def test_a_picture_of_attention_names_them(copier):
    (answered,) = predict.answers([copier.run], [{"message": "Zork wohnt Quix"}], attention=True)
    (best,) = answered["reply"]
    assert best.source == ["Zork", "wohnt", "Quix"] and set(best.generated) <= {"Zork", "wohnt", "Quix", "end"}


def test_a_picture_of_attention_lies_where_it_is_said_to(copier, tmp_path):
    heard = []
    list(api.predict(copier.run, ["Zork wohnt"], attention=tmp_path / "seen", say=heard.append))
    assert heard == [f"attention: {tmp_path / 'seen'}"] and (tmp_path / "seen").read_bytes()[1:4] == b"PNG"


def test_an_unknown_symbol_is_no_credit_for_an_unknown_word(copier):
    """Of a word of the source its own probability counts; one that the source lacks is the unknown symbol, which the
    source's unknown words do not say."""
    rows = [
        {"message": "Zork", "reply": "Zork"},
        {"message": "Zork", "reply": "Quix"},
        {"message": "Zork Quix Zork ?", "reply": "Zork"},
        {"message": "", "reply": "Zork"},
    ]
    (given,) = scores([copier.run], rows).values()
    first = [float(steps[0, 0]) for steps in given.by_step]
    right = [float(steps[0, 1]) for steps in given.by_step]
    assert first[0] == pytest.approx(0, abs=1e-5) and first[1] < -35 and first[2] == pytest.approx(math.log(0.5))
    assert right[:3] == [1, 0, 1]
    assert first[3] > -35, "a source without symbols leaves the vocabulary alone"
    together = given.scored.log_probability.tolist()
    alone = [float(scores([copier.run], [row])["reply"].scored.log_probability) for row in rows]
    assert together == pytest.approx(alone, rel=1e-6)


def test_an_evaluation_names_the_words_that_no_answer_can_copy(copier):
    rows, notes = questions(4, 7), []
    for data in (rows, [*rows, {**rows[0], "reply": "Quix"}]):
        api.evaluate(copier.run, data=data, say=notes.append, device="cpu")
    (note,) = [note for note in notes if "no answer has" in note]
    assert note.startswith("1 rows have a symbol of outputs.reply that training lacks, which no answer has: 'Quix'")


def test_two_runs_answer_together_and_one_that_copies_nothing_is_refused(copier, tmp_path):
    copier.save(tmp_path / "one")
    runs = [tmp_path / "one", tmp_path / "two"]
    other = model(copy=True, coverage=True).fit(questions(40, 0), questions(8, 1), device="cpu")
    other.save(runs[1])
    (answer,) = api.predict(runs, ["Zork wohnt"], sets=["search.max_length=2"], device="cpu")
    assert set(answer.best["reply"].text.split()) <= {"Zork", "wohnt"}, "one of the two can say nothing else"
    loaded = [Run.load(folder) for folder in runs]
    row = {"message": "Zork", "reply": "Zork"}
    own = [float(scores([run], [row])["reply"].scored.log_probability) for run in loaded]
    both = float(scores(loaded, [row])["reply"].scored.log_probability)
    assert math.isfinite(both) and both >= sum(own) / 2 - 1e-4, "the mean of logarithms is divided by a Z below 1"
    model().fit(questions(40, 0), questions(8, 1), device="cpu").save(tmp_path / "plain")
    said = "outputs.reply differs from .*its head copies nothing, and there it copies from inputs.message"
    with pytest.raises(ConfigError, match=said):
        list(api.predict([runs[0], tmp_path / "plain"], ["Zork"], device="cpu"))


def test_a_language_model_judges_them_as_its_unknown_word(copier, tmp_path):
    options = {"type": "text", "tokenizer": "word", "column": "line"}
    reader = {"hidden_size": 4, "embedding_size": 4, "bidirectional": False}
    language = ostinato.Model(
        {"line": {**options, "encoder": reader}},
        {"rest": {**options, "tokenizer": {"same_as": "line"}, "of": "line", "align": "next"}},
        training={"epochs": 1},
    ).fit([{"line": "hier wohnt wer"}] * 20, device="cpu", folder=tmp_path / "lm")
    sets = ["search=greedy", "search.max_length=3"]
    beside = {"sets": sets, "language_model": language.run, "language_weight": 0.1, "device": "cpu"}
    (answer,) = api.predict(copier.run, ["Zork"], **beside)
    assert answer.best["reply"].text == "Zork Zork Zork"


def test_the_rows_of_training_are_numbered_as_those_of_a_prediction(copier, tmp_path):
    """Whatever else a row's columns hold, the cache has what `Run.encoded` gives; a recipe that copies nothing has the
    entries of before."""
    rows = questions(12, 5)
    table = open_table(rows, columns=["message", "reply"], base=tmp_path, data_root=None, where="data.train")
    places = {"inputs.message": "message", "outputs.reply": "reply"}
    numbered = dict.fromkeys(places, "inputs.message")
    parts = [
        encode(table, copier.run.modalities, places, tmp_path, settings=dict.fromkeys(places), numbered=own)
        for own in (numbered, {})
    ]
    for place, column in places.items():
        encoded = copier.run.encoded(rows, place, str)
        assert parts[0].steps(place, range(12)).values.tolist() == np.concatenate(encoded).tolist()
        plain = np.concatenate([copier.run.modalities[place].encode(row[column]) for row in rows])
        assert parts[1].steps(place, range(12)).values.tolist() == plain.tolist()
    size = copier.run.modalities["outputs.reply"].spec.size
    assert (
        size == parts[0].steps("outputs.reply", [3]).values.max() == parts[0].steps("inputs.message", [3]).values.max()
    )
    assert len({part.folder for part in parts}) == 2


def commanded(*words):
    result = CliRunner(catch_exceptions=False).invoke(group, [*map(str, words)])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.slow
@pytest.mark.parametrize("decoder", ["recurrent", "transformer"])
def test_names_that_training_lacks_are_said(decoder, tmp_path):
    """wo in TOWN wohnt NAME ? -> NAME wohnt hier in TOWN ., by the commands, with names that were never seen."""
    for split, rows in {"train": questions(600, 0), "valid": questions(60, 1), "test": questions(100, 2)}.items():
        lines = ["message\treply", *(f"{row['message']}\t{row['reply']}" for row in rows)]
        (tmp_path / f"{split}.tsv").write_text("\n".join(lines) + "\n")
    (tmp_path / "recipe.yaml").write_text(
        f"""
data: {{train: train.tsv, valid: valid.tsv, test: test.tsv}}
inputs:
  message: {{type: text, tokenizer: {{type: word, min_count: 3}}, encoder: {{hidden_size: 32, embedding_size: 16}}}}
outputs:
  reply:
    type: text
    tokenizer: {{same_as: message}}
    head: {{embedding_size: 16, decoder: {{type: {decoder}, hidden_size: 32, layers: 1}}, copy: true, coverage: true}}
training: {{epochs: 12, batch_rows: 20, optimizer: {{type: adam, learning_rate: 0.01}}}}
"""
    )
    run = tmp_path / "run"
    commanded("train", tmp_path / "recipe.yaml", "--run", run, "--device", "cpu")
    known = json.loads(commanded("evaluate", run, "--all", "--json"))["outputs"]["reply"]
    assert known["exact_match"]["value"] >= 90, known
    assert known["perplexity"]["value"] < 1.3
    (answer, *_) = commanded("predict", run, "wo in ulm wohnt Xantippe ?").splitlines()
    assert "Xantippe" in answer and "\ufffd" not in answer
