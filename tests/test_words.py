"""Labels of words that are read in pieces: one step per word for what labels them, alone and in company, from recipe to
answers."""

import json
import random
import re

import pytest
import torch

import ostinato
from ostinato import api
from ostinato.data.cache import encode_values, to_steps
from ostinato.errors import ConfigError, DataError
from ostinato.preprocessing import sizes as planning
from ostinato.recipe.read import from_arguments, load
from ostinato.steps import Layout, Steps

ENDINGS = {"ing": "verb", "ness": "noun", "ly": "adverb"}


def rows(count, seed=0):
    """Words whose ending says what they are, with the kind of the first one for the whole."""
    drawn = random.Random(seed)
    made = []
    for _ in range(count):
        endings = [drawn.choice(list(ENDINGS)) for _ in range(drawn.choice([1, 2, 4]))]
        words = ["".join(drawn.choices("abcdeou", k=drawn.randint(2, 5))) + ending for ending in endings]
        kinds = [ENDINGS[one] for one in endings]
        made.append({"words": words, "kinds": kinds, "first": kinds[0]})
    return made


@pytest.fixture(autouse=True)
def alone(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("OSTINATO_CACHE", str(tmp_path_factory.mktemp("cache")))


def made(tokenizer="bpe", outputs=("kinds", "first"), **settings):
    encoder = {"type": "recurrent", "hidden_size": 12, "embedding_size": 8, "dropout": 0.0}
    heads = {
        "kinds": {"type": "tags", "head": {"dropout": 0.0}},
        "first": {"type": "category", "head": {"dropout": 0.0, "pool": "max"}},
    }
    return ostinato.Model(
        inputs={"words": {"type": "text", "tokenizer": tokenizer, "encoder": encoder, **settings}},
        outputs={name: heads[name] for name in outputs},
        training={
            "epochs": 6,
            "batch_rows": 16,
            "optimizer": {"type": "adamw", "learning_rate": 0.02},
            "schedule": "constant",
        },
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OSTINATO_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield made().fit(rows(200), rows(40, seed=5), folder=tmp_path_factory.mktemp("runs") / "run", device="cpu")


def test_words_are_labelled_beside_an_answer_for_the_whole(model):
    found = model.evaluate(rows(60, seed=9)).to_json()["outputs"]
    assert found["kinds"]["accuracy(steps)"]["value"] >= 97 and found["first"]["accuracy"]["value"] >= 80
    asked = rows(3, seed=11)
    for row, answer in zip(asked, model.predict(asked)):
        assert len(answer["kinds"]) == len(row["words"])
    assert model.run.recipe.settings.inputs["words"].subword_pooling == "mean"
    assert (
        model.run.bundle.reasons["inputs.words.subword_pooling"]
        == "outputs.kinds has a label for each word, and bpe cuts words to pieces"
    )
    assert model.embed(["baing", "eoly coness"]).shape == (2, 24)


def test_company_order_and_saving_change_no_answer(model, tmp_path):
    asked = rows(20, seed=3)
    asked.insert(4, {"words": []})
    answers = lambda one, listed: [  # noqa: E731
        (each["kinds"][0].value, each["kinds"][0].log_probability) for each in one.predict(listed, n_best=1)
    ]
    together = answers(model, asked)
    same = lambda found: [(kinds, pytest.approx(score, abs=1e-5)) for kinds, score in found]  # noqa: E731
    assert [answers(model, [row])[0] for row in asked] == same(together)
    assert answers(model, asked[::-1])[::-1] == same(together)
    model.save(tmp_path / "run")
    assert answers(ostinato.load(tmp_path / "run"), asked) == same(together)
    assert together[4][0] == []


@pytest.mark.parametrize("pooling", ["first", "last", "mean"])
@pytest.mark.parametrize("tokenizer", ["bpe", "unigram", "char", "byte"])
def test_a_words_step_is_pooled_from_its_own_pieces(tokenizer, pooling):
    """By hand: each row alone through the encoder, each word's pieces picked out by the number that the tokenizer alone
    gives."""
    model = made(tokenizer, ("kinds",), subword_pooling=pooling).fit(rows(30), rows(5, seed=1), device="cpu")
    graph, modality = model.run.graph, model.run.modalities["inputs.words"]
    assert model.run.recipe.settings.inputs["words"].subword_pooling == pooling
    asked = [row["words"] for row in rows(6, seed=2)]
    batch = {"words": to_steps(*encode_values(modality, asked))}
    with torch.no_grad():
        (found,) = graph.read("kinds", batch)
        assert found.steps.layout.lengths.tolist() == list(map(len, asked))
        for words, steps in zip(asked, found.steps.split()):
            ids = torch.from_numpy(modality.encode(words)[:, 0]).long()
            read = graph.encoder("words").encode(Steps(ids, Layout([len(ids)]))).steps.values
            at = 0
            for word, step in zip(words, steps):
                pieces = read[at : at + len(modality.encode([word]))]
                at += len(pieces)
                expected = {"first": pieces[0], "last": pieces[-1], "mean": pieces.sum(0) / len(pieces)}[pooling]
                torch.testing.assert_close(step, expected, rtol=1e-5, atol=1e-6)
            assert at == len(ids)


def test_unequal_numbers_of_words_and_labels_name_the_row(model, tmp_path):
    given = rows(20)
    given[7]["kinds"] = given[7]["kinds"] + ["verb"]
    number = len(given[7]["words"])
    says = f"row 8.*outputs.kinds has {number + 1} labels and inputs.words {number} words.*one label per word"
    with pytest.raises(DataError, match=says):
        made().fit(given, rows(5), device="cpu")
    with pytest.raises(DataError, match=says):
        model.evaluate(given)


def test_characters_have_labels_of_their_own_where_nothing_else_is_said():
    told = [
        {"words": word, "kinds": ["vowel" if one in "aeiou" else "other" for one in word]}
        for word in ("a cat", "dogs", "no idea")
    ]
    model = made("char", ("kinds",)).fit(told, told, device="cpu")
    assert list(map(len, model.predict(["an ox"]))) == [5]


@pytest.mark.parametrize(
    ("settings", "advice"),
    [
        (
            {"tokenizer": "char"},
            "one label per step: .*; where each word has one, set inputs.words.subword_pooling: mean",
        ),
        (
            {"tokenizer": "bpe"},
            "one label per word: .*; where each piece that bpe finds has one, set inputs.words.subword_pooling: none",
        ),
        ({"tokenizer": "word"}, "one label per step: mend or leave out what has another number$"),
    ],
)
def test_labels_of_another_unit_are_told_which_setting_reads_them(settings, advice):
    given = [{"words": "a cat", "kinds": ["x", "y", "x"]}, {"words": "a dog", "kinds": ["x", "y", "y"]}]
    with pytest.raises(DataError, match=advice):
        ostinato.Model(inputs={"words": {"type": "text", **settings}}, outputs={"kinds": "tags"}).fit(
            given, given, device="cpu"
        )


def test_where_an_output_goes_on_from_the_pieces_the_advice_is_one_that_can_be_followed():
    given = [{"words": "a cat", "kinds": ["x", "y"]}, {"words": "some dogs", "kinds": ["x", "y"]}]
    outputs = {"kinds": {"type": "tags", "reads": ["words"]}, "on": {"of": "words"}}
    made = lambda **more: ostinato.Model(  # noqa: E731
        inputs={"words": {"type": "text", **more}}, outputs=outputs, training={"epochs": 1}
    )
    with pytest.raises(
        DataError, match="one label per step: .*; where each word has one, set inputs.words.tokenizer: word$"
    ):
        made().fit(given, given, device="cpu")
    assert list(
        map(len, (one["kinds"] for one in made(tokenizer="word").fit(given, given, device="cpu").predict(["a dog"])))
    ) == [2]


def test_an_encoder_is_shared_with_a_text_that_is_read_whole():
    encoder = {"hidden_size": 6, "embedding_size": 5}
    told = [{**row, "title": " ".join(row["words"][:2])} for row in rows(24)]
    model = ostinato.Model(
        inputs={
            "words": {"type": "text", "encoder": encoder},
            "title": {"type": "text", "encoder": {"same_as": "words"}},
        },
        outputs={
            "kinds": {"type": "tags", "reads": ["words", "title"], "join": "attend"},
            "first": {"type": "category"},
        },
        training={"epochs": 1, "batch_rows": 8},
    ).fit(told, told[:6], device="cpu")
    specs = [model.run.modalities[f"inputs.{name}"].spec.pooling for name in ("words", "title")]
    assert specs == ["mean", "none"]
    assert all(len(one["kinds"]) == len(row["words"]) for one, row in zip(model.predict(told), told))


@pytest.mark.parametrize(
    ("settings", "outputs", "chosen"),
    [
        ({}, {"kinds": "tags"}, "mean"),
        ({"subword_pooling": "none"}, {"kinds": "tags"}, "none"),
        ({"tokenizer": "char"}, {"kinds": "tags"}, "none"),
        ({"tokenizer": "byte"}, {"kinds": "tags"}, "none"),
        ({"tokenizer": "word"}, {"kinds": "tags"}, "none"),
        ({"tokenizer": "word", "subword_pooling": "last"}, {"kinds": "tags"}, "last"),
        ({}, {"first": "category"}, "none"),
        ({}, {"kinds": "tags", "going_on": {"of": "words", "align": "next"}}, "none"),
    ],
)
def test_it_is_chosen_where_words_have_labels_and_a_tokenizer_cuts_them(settings, outputs, chosen):
    recipe = from_arguments({"words": {"type": "text", **settings}}, outputs)
    recipe = recipe.with_chosen(planning.words(recipe))
    assert recipe.settings.inputs["words"].subword_pooling == chosen
    assert recipe.with_chosen(planning.words(recipe)).settings == recipe.settings


@pytest.mark.parametrize(
    ("settings", "outputs", "says"),
    [
        (
            {"subword_pooling": "mean"},
            {"first": "category"},
            "inputs.words.subword_pooling: .*no output labels them; leave it out",
        ),
        (
            {"subword_pooling": "mean"},
            {"kinds": "tags", "going_on": {"of": "words", "align": "next"}},
            "inputs.words.subword_pooling: outputs.going_on continues from pieces",
        ),
        (
            {},
            {"said": {"type": "text", "subword_pooling": "first"}},
            "outputs.said.subword_pooling: belongs to an input",
        ),
        (
            {},
            {"on": {"of": "words", "subword_pooling": "first"}},
            "^[^\\n]*outputs.on.subword_pooling: belongs to an input[^\\n]*$",
        ),
        (
            {},
            {"on": {"of": "words", "characters": True}},
            "^[^\\n]*outputs.on.characters: .*belong to an input[^\\n]*$",
        ),
        ({"subword_pooling": "max"}, {"kinds": "tags"}, "inputs.words.subword_pooling: .*'mean'"),
    ],
)
def test_where_it_cannot_be_it_is_refused(settings, outputs, says):
    with pytest.raises(ConfigError, match=says):
        from_arguments({"words": {"type": "text", **settings}}, outputs)


RECIPE = """\
data: {train: train.jsonl, valid: valid.jsonl}
inputs: {words: {type: text, tokenizer: {type: bpe, size: 280}, encoder: {hidden_size: 6}}}
outputs: {kinds: {type: tags, head: crf}}
training: {epochs: 1, batch_rows: 16}
"""


def test_the_choice_is_kept_when_a_run_goes_on_and_a_run_from_before_keeps_its_pieces(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, count in (("train", 40), ("valid", 8)):
        lines = [json.dumps({"words": " ".join(row["words"]), "kinds": row["kinds"]}) for row in rows(count)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    (tmp_path / "r.yaml").write_text(RECIPE)
    api.train(load("r.yaml"), "run", device="cpu")
    found = api.train(load("r.yaml", ["training.epochs=2"]), "run", resume=True, device="cpu").to_json()
    assert "accuracy(steps)" in found["outputs"]["kinds"]
    bundle = json.loads((tmp_path / "run/bundle.json").read_text())
    assert bundle["recipe"]["inputs"]["words"].pop("subword_pooling") == "mean"
    bundle["reasons"].pop("inputs.words.subword_pooling")
    bundle.pop("checksum")
    (tmp_path / "run/bundle.json").write_text(json.dumps(bundle))
    assert ostinato.load("run").run.modalities["inputs.words"].spec.pooling == "none"


def test_a_table_of_text_gives_words_and_sizes_are_counted_from_lists_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    heard = {}
    for kind in ("field", "list"):
        given = [{**row, "words": " ".join(row["words"]) if kind == "field" else row["words"]} for row in rows(300)]
        said = []
        (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in given))
        (tmp_path / "r.yaml").write_text(
            RECIPE.replace("{type: bpe, size: 280}", "bpe").replace(", valid: valid.jsonl", "")
        )
        report = api.check(load("r.yaml"), say=said.append)
        heard[kind] = (
            re.search(r"'?inputs.words.tokenizer.size'?, (\d+)", str(report.chosen))[1],
            report.parameters,
        )
    assert heard["field"] == heard["list"]
