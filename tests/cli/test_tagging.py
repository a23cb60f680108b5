"""Labels of words with nothing said but two columns: fields of words, lists in JSON, CoNLL and CoNLL-U are trained on
alike, and answered in their own form."""

import json
import random

import pytest

ENDINGS = {"ung": "NOUN", "ig": "ADJ", "en": "VERB"}
TRAINING = ("--set", "training.epochs=12", "--set", "training.batch_rows=8", "--device", "cpu")


def sentences(number):
    draw = random.Random(2)
    stems = [f"{one}{other}{last}" for one in "bdfgkl" for other in "aeiou" for last in "mnprst"]
    for _ in range(number):
        endings = draw.choices(list(ENDINGS), k=draw.randint(2, 5))
        yield [draw.choice(stems) + ending for ending in endings], [ENDINGS[ending] for ending in endings]


def rows_of(form, pairs):
    if form == "tsv":
        return "form\tupos\n" + "".join(f"{' '.join(words)}\t{' '.join(tags)}\n" for words, tags in pairs)
    if form == "jsonl":
        return "".join(json.dumps({"form": words, "upos": tags}) + "\n" for words, tags in pairs)
    if form == "conll":
        head = "# global.columns = form upos\n"
        return head + "\n".join("".join(f"{word}\t{tag}\n" for word, tag in zip(*pair)) for pair in pairs)
    line = "{}\t{}\t_\t{}\t_\t_\t_\t_\t_\t_\n"
    return "\n".join(
        "# text = ...\n" + "".join(line.format(at, *step) for at, step in enumerate(zip(*pair), 1)) for pair in pairs
    )


@pytest.mark.parametrize("form", ["tsv", "jsonl", "conll", "conllu"])
def test_two_columns_are_enough_for_words_that_training_lacks(here, cli, form):
    (here / f"train.{form}").write_text(rows_of(form, sentences(150)) + "\n")
    done = cli("train", f"train.{form}", "--in", "form", "--out", "upos", "--run", "run", "--verbose", *TRAINING)
    assert done.code == 0, done.err
    assert "chosen: inputs.form.characters = True" in done.err
    assert "chosen: inputs.form.encoder.rare_word_dropout = 0.25" in done.err
    new = (["bamzung", "quoxig", "1 000en"], ["NOUN", "ADJ", "VERB"])
    new = (new[0][:2], new[1][:2]) if form == "tsv" else new
    (here / f"ask.{form}").write_text(rows_of(form, [new]) + "\n")
    asked = cli("predict", "run", "--input", f"ask.{form}", "--json")
    assert asked.code == 0, asked.err
    assert json.loads(asked.out.splitlines()[0])["outputs"]["upos"][0]["value"] == new[1], asked.out


def test_a_word_of_a_list_may_hold_a_space_in_training_too(here, cli):
    pairs = [*sentences(40), (["1 000", "baming"], ["NUM", "NOUN"]), (["1 000"], ["NUM"])]
    (here / "train.conllu").write_text(rows_of("conllu", pairs * 2) + "\n")
    given = ("--in", "form", "--out", "upos", "--run", "run", "--set", "training.epochs=1", "--device", "cpu")
    done = cli("train", "train.conllu", *given)
    assert done.code == 0, done.err


def test_a_raw_text_is_split_alike_for_every_input_of_its_column(here, cli):
    pairs = [([*words, "."], [*tags, "PUNCT"]) for words, tags in sentences(40)]
    (here / "train.jsonl").write_text(rows_of("jsonl", pairs))
    done = cli(
        *("train", "train.jsonl", "--in", "form", "--out", "upos", "--run", "run", *TRAINING[:1]),
        *("training.epochs=1", "--verbose"),
    )
    assert done.code == 0 and "inputs.form_features" in done.err
    asked = cli("predict", "run", f"{' '.join(pairs[0][0][:-1])}.", "--json")
    assert asked.code == 0, asked.err
    assert json.loads(asked.out)["outputs"]["upos"][0]["words"] == pairs[0][0]
