"""Embeddings that start from a file of vectors: what is read for which word, what is refused, and that a run needs the
file but once."""

import gzip
import json
import math
import re

import numpy as np
import pytest
import torch

import ostinato
from ostinato import api
from ostinato.data import word_vectors
from ostinato.errors import ConfigError, DataError
from ostinato.evaluation.validate import validate
from ostinato.recipe import vectors as recipe_vectors
from ostinato.recipe.read import from_arguments, load
from ostinato.run import train as run_train
from ostinato.run.bundle import load_weights
from ostinato.run.run import Run
from ostinato.steps import Layout, Steps
from ostinato.training.checkpoints import model_tensors
from ostinato.training.task import Listeners

GLOVE = "the 1 2\nrome -3 0.5\nRome 3 -0.5\n. . 7 8\nthe 9 9\ncafé 1e-1 -2E0\n"
WORDS = [None, "The", "rome", "Rome", ". .", "absent", "café", "the"]


@pytest.fixture
def read(tmp_path):
    def made(text, words=WORDS, seed=1, name="v.txt"):
        data = text if isinstance(text, bytes) else text.encode()
        (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return word_vectors.read(tmp_path / name, name, words, seed=seed)[:2]

    return made


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (GLOVE, "v.txt"),
        (GLOVE, "v.txt.gz"),
        ("6 2\n" + GLOVE, "v.vec"),
        ("6 2 \r\n" + GLOVE.replace("\n", " \r\n"), "v.txt"),
        (GLOVE.removesuffix("\n").replace("the 1", "the\t1"), "v.txt"),
    ],
)
def test_each_word_has_its_own_vector_or_that_of_its_lower_case(read, text, name):
    table, levels = read(text, name=name)
    assert levels.tolist() == [
        word_vectors.NONE,
        word_vectors.LOWER,
        *[word_vectors.EXACT] * 3,
        word_vectors.NONE,
        *[word_vectors.EXACT] * 2,
    ]
    expected = np.array([[1, 2], [-3, 0.5], [3, -0.5], [7, 8], [0.1, -2], [1, 2]], np.float32)
    assert np.array_equal(table[[1, 2, 3, 4, 6, 7]], expected), "of a word that stands there twice the first counts"


def test_an_exact_word_wins_wherever_it_stands(read):
    for text in ("The 1\nthe 2\n", "the 2\nThe 1\n"):
        assert read(text, ["The", "the", "THE"])[0].ravel().tolist() == [1, 2, 2]


def test_other_words_are_drawn_with_the_mean_and_deviation_of_the_file(read, monkeypatch):
    random = np.random.default_rng(0)
    given = random.normal((5, -1), (0.5, 3), (2000, 2)).astype(np.float32)
    text = "".join(f"w{row} {one:.6g} {other:.6g}\n" for row, (one, other) in enumerate(given))
    words = ["w7", *[None] * 4000]
    table, _ = read(text, words)
    assert np.allclose(table[0], given[7], atol=1e-4)
    assert table[1:].mean(0) == pytest.approx(given.mean(0), abs=0.15)
    assert table[1:].std(0) == pytest.approx(given.std(0), rel=0.05)
    assert np.array_equal(read(text, words)[0], table) and not np.allclose(read(text, words, seed=2)[0][1:], table[1:])
    # In pieces of any size the same: what is kept does not grow with the file.
    monkeypatch.setattr(word_vectors, "BLOCK_BYTES", 100)
    assert np.allclose(read(text, words)[0], table, atol=1e-6)


@pytest.mark.parametrize("size", [10, 1 << 20])
def test_the_first_words_of_a_file_are_given_each_once_in_its_order(tmp_path, monkeypatch, size):
    monkeypatch.setattr(word_vectors, "BLOCK_BYTES", size)
    (tmp_path / "v.txt").write_text(GLOVE)
    every = ["the", "rome", "Rome", ". .", "café"]
    for most in (0, 1, 4, 5, 6, math.inf):
        *_, words, vectors = word_vectors.read(tmp_path / "v.txt", "v.txt", WORDS, seed=1, most=most)
        assert words == every[: int(min(most, 9))] and vectors.shape == (len(words), 2)
        expected = [[1, 2], [-3, 0.5], [3, -0.5], [7, 8], [0.1, -2]]
        assert np.array_equal(vectors, np.array(expected, np.float32)[: len(words)])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "the 1 2\nof 3\n",
            "v.txt line 2 has 1 numbers, and the vectors are 2 wide; each line is a word and its vector",
        ),
        ("the 1 2\n\nof 3 4\n", "v.txt line 2 has 0 numbers"),
        ("the 1 2\nof 3 x4\na 5 6\n", "v.txt line 2 has 'x4' where a number is needed"),
        ("2 2\nthe 1 2\nof 3 nan\n", "v.txt line 3 has 'nan' where a number is needed"),
        ("the 1 2\nof inf 3\n", "v.txt line 2 has 'inf'"),
        ("the\nof\n", "v.txt line 1 has no numbers"),
        ("5 2\nthe 1 2\n", "v.txt promises 5 words in line 1, and there are 1; fetch it again"),
        ("0 2\n", "v.txt has no line|v.txt promises 0 words in line 1"),
        ("", "v.txt is empty"),
        (b"the 1 2\n\xff 3 4\n", "v.txt line 2 is not UTF-8"),
    ],
)
def test_a_line_that_is_no_vector_is_told_with_its_number(read, text, says):
    with pytest.raises(DataError, match=says):
        read(text)


def test_a_bad_line_is_found_in_any_piece_of_the_file(read, monkeypatch):
    monkeypatch.setattr(word_vectors, "BLOCK_BYTES", 16)
    with pytest.raises(DataError, match="line 40 has 'b'"):
        read("a 1 2\n" * 39 + "a 1 b\n" + "a 1 2\n" * 9)


def recipe(embedding, **settings):
    return from_arguments({"a": {**settings, "encoder": {"embedding": embedding}}}, {"b": "category"})


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"type": "text"}, "the pieces of bpe are parts of words; set tokenizer: word"),
        ({"type": "text", "tokenizer": "char"}, "the pieces of char are parts of words"),
        ({"type": "number", "encoder": "recurrent"}, "number has none; use them for text or tokens"),
    ],
)
def test_what_has_no_words_is_refused_before_any_data_is_read(settings, says):
    encoder = {"type": "recurrent", "embedding": {"file": "no.txt"}}
    with pytest.raises(ConfigError, match=f"inputs.a.encoder.embedding: no.txt holds vectors of words, and .*{says}"):
        from_arguments({"a": {**settings, "encoder": encoder}}, {"b": "category"})
    assert recipe_vectors.asked(recipe({"file": "no.txt"}, type="tokens").settings)["a"].frozen is False


def test_words_that_stand_in_a_reference_are_looked_up_too():
    shared = {"type": "text", "tokenizer": {"same_as": "b"}, "encoder": {"embedding": {"file": "v.txt"}}}
    with pytest.raises(ConfigError, match="inputs.a.encoder.embedding: .*pieces of bpe"):
        from_arguments({"a": shared, "b": "text"}, {"c": "category"})


def test_another_word_than_the_known_ones_is_refused_with_what_is_allowed():
    for wrong in ("v.txt", "lernt"):
        with pytest.raises(
            ConfigError, match=rf"learnt, one_hot or a mapping \{{file: PATH\}}.*got the text '{wrong}'"
        ):
            recipe(wrong, type="tokens")
    with pytest.raises(ConfigError, match="embedding.frozn: unknown setting; did you mean 'frozen'"):
        recipe({"file": "v.txt", "frozn": True}, type="tokens")


RECIPE = """\
data: {train: train.tsv}
inputs: {said: {type: %s, encoder: {hidden_size: 4, embedding: {file: v.txt, frozen: %s}}}}
outputs: {mood: category}
training: {epochs: 2, batch_rows: 8, optimizer: {type: adamw, learning_rate: 0.05}}
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.setenv("OSTINATO_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    rows = [
        (f"{one} {word} .", mood)
        for word, mood in (("fine", "up"), ("grim", "down"))
        for one in "the a one".split()
        for _ in range(6)
    ]
    (tmp_path / "train.tsv").write_text("said\tmood\n" + "".join(f"{said}\t{mood}\n" for said, mood in rows))
    (tmp_path / "v.txt").write_text("fine 1 0 0\ngrim -1 0 0\nthe 0 1 0\n. 0 0 1\n")
    return tmp_path


def trained(here, kind="{type: text, tokenizer: word}", frozen="true", **options):
    kind, _, more = kind.strip("{}").removeprefix("type: ").partition(", ")
    text = RECIPE % (kind + (f", {more}" if more else ""), frozen)
    (here / "r.yaml").write_text(text)
    heard = []
    api.train(load(here / "r.yaml"), here / "run", device="cpu", say=heard.append, **options)
    weights = load_weights(here / "run")
    (table,) = (weights[name] for name in weights if "embedding.learnt" in name)
    words = json.loads((here / "run/bundle.json").read_text())["modalities"]["inputs.said"]
    symbols = words["symbols"] if "symbols" in words else words["tokenizer"]["pieces"]
    return table, symbols, heard


@pytest.mark.parametrize("kind", ["{type: text, tokenizer: word}", "tokens", "{type: tokens, characters: true}"])
def test_a_frozen_embedding_is_the_file_and_its_width_is_the_files(here, kind):
    table, symbols, heard = trained(here, kind)
    assert table.shape == (3 + len(symbols), 3)
    for word, vector in {"fine": [1, 0, 0], "grim": [-1, 0, 0], "the": [0, 1, 0]}.items():
        assert table[3 + symbols.index(word)].tolist() == vector
    assert any("inputs.said: 4 of 6 words have a vector in v.txt; the others are drawn" in line for line in heard)
    assert any("embedding_size = 3 (the width of its vectors)" in line for line in heard)
    assert "4 of 6 words have a vector" in (here / "run/README.md").read_text()


def test_an_embedding_that_is_not_frozen_learns_from_there(here):
    table, symbols, _ = trained(here, frozen="false")
    moved = table[3 + symbols.index("fine")] - torch.tensor([1.0, 0, 0])
    assert 0 < moved.norm() < 0.9


def test_a_run_answers_and_goes_on_without_the_file(here):
    trained(here)
    asked = ["one fine .", "the grim ."]
    before = [one.score for listed in ostinato.load(here / "run").predict(asked, n_best=1) for one in listed]
    (here / "v.txt").unlink()
    assert [one.score for listed in ostinato.load(here / "run").predict(asked, n_best=1) for one in listed] == before
    longer = load(here / "r.yaml", ["training.epochs=3"])
    assert api.train(longer, here / "run", resume=True, device="cpu").to_json()["examples"]
    with pytest.raises(DataError, match="no file v.txt; looked at .*--data-root"):
        api.train(load(here / "r.yaml"), here / "other", device="cpu")


def test_the_advice_on_another_file_than_a_run_killed_before_its_first_checkpoint_had(here, monkeypatch):
    from ostinato.training.loop import Training

    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Training, "run", killed)
        with pytest.raises(KeyboardInterrupt):
            trained(here)
    before = (here / "v.txt").read_text()
    (here / "v.txt").write_text(before.replace("fine 1", "fine 2"))
    with pytest.raises(
        DataError, match="inputs.said.encoder.embedding: the vectors are not those that .*run"
    ) as refusal:
        trained(here, resume=True)
    assert "(the file's content changed); bring the old file back, or start anew with --overwrite" in str(refusal.value)
    (here / "v.txt").write_text(before)
    resumed = trained(here, resume=True)[0]
    (here / "run").rename(here / "first")
    assert torch.equal(resumed, trained(here)[0])


def test_a_width_that_contradicts_the_file_and_a_file_of_other_words_are_refused(here):
    (here / "r.yaml").write_text(RECIPE % ("tokens", "false"))
    with pytest.raises(
        ConfigError, match=re.escape("embedding_size: 7, and the vectors of v.txt are 3 wide; leave embedding_size out")
    ):
        api.check(load(here / "r.yaml", ["inputs.said.encoder.embedding_size=7"]))
    assert api.check(load(here / "r.yaml", ["inputs.said.encoder.embedding_size=3"])).parameters
    (here / "v.txt").write_text("fein 1 0 0\n")
    with pytest.raises(DataError, match="has a vector for none of the 6 words"):
        api.check(load(here / "r.yaml"))


KINDS = ("{type: text, tokenizer: word}", "tokens", "{type: tokens, characters: true}")
EXTENDED = "fine 1 0 0\ngrim -1 0 0\nthe 0 1 0\n. 0 0 1\nawful -1 0.5 0\nlovely 1 0.5 0\nParis 0 2 2\n"


def extended(here, kind="tokens", frozen="false", extend="true", **options):
    (here / "v.txt").write_text(EXTENDED)
    table, symbols, heard = trained(here, kind, f"{frozen}, extend: {extend}", **options)
    return Run.load(here / "run"), table, heard


def vector(run, word):
    """What the embedding makes of one word, its characters left out."""
    encoded = run.modalities["inputs.said"].encode(word)
    read = run.graph.embedding("said").eval()(Steps(torch.from_numpy(encoded).long(), Layout([len(encoded)])))
    (own,) = read.values
    return own[:3].tolist()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("frozen", ["true", "false"])
def test_a_word_that_training_lacks_has_the_files_vector_and_what_the_file_lacks_is_unknown(here, kind, frozen):
    run, table, heard = extended(here, kind, frozen)
    for word, own in {"awful": [-1, 0.5, 0], "Awful": [-1, 0.5, 0], "Paris": [0, 2, 2], "Fine": [1, 0, 0]}.items():
        assert vector(run, word) == own, word
    unknown = table[run.modalities["inputs.said"].spec.unknown].tolist()
    assert vector(run, "paris") == vector(run, "horrid") == unknown, "lower case is looked up, capitals are not"
    assert (vector(run, "fine") == [1, 0, 0]) is (frozen == "true"), "the words of training learn where none is frozen"
    assert any(
        "; 7 words of the file are known beside, by vectors that stay as they are there" in line for line in heard
    )
    assert run.modalities["inputs.said"].unseen("awful horrid") == ["horrid"]
    assert len(table) == 3 + 6, "the table that learns has the symbols of training"


@pytest.mark.parametrize(("extend", "words"), [(5, "awful"), (6, "awful lovely"), ("true", "awful lovely Paris")])
def test_as_many_words_are_known_as_the_recipe_says(here, extend, words):
    run, *_ = extended(here, extend=extend)
    known = [word for word in "awful lovely Paris".split() if not run.modalities["inputs.said"].unseen(word)]
    assert known == words.split()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("frozen", ["true", "false"])
def test_on_known_words_it_is_the_model_without_to_the_bit(here, kind, frozen):
    run, table, _ = extended(here, kind, frozen)
    (here / "run").rename(here / "extended")
    plain, *_ = trained(here, kind, frozen)
    assert torch.equal(plain, table), "it learns the same from texts of known words"
    asked = ["one fine .", "the grim ."]
    scores = [
        [best.score for listed in ostinato.load(here / folder).predict(asked, n_best=1) for best in listed]
        for folder in ("run", "extended")
    ]
    assert scores[0] == scores[1]


def test_words_that_are_too_rare_to_learn_have_their_vector_in_training_too(here):
    rows = (here / "train.tsv").read_text()
    (here / "train.tsv").write_text(rows + "a lovely .\tup\n")
    run, *_ = extended(here, "{type: tokens, min_count: 2}")
    assert vector(run, "lovely") == [1, 0.5, 0]


def test_an_extended_run_answers_without_the_file_and_is_killed_and_resumed_to_the_same_bits(here):
    run, *_ = extended(here)
    assert len(run.modalities["inputs.said"].words()) == len(run.graph.embedding("said").learnt.weight) + 7
    before = model_tensors(run.graph)
    (here / "run").rename(here / "whole")
    options = {"overwrite": False, "device": "cpu", "roots": (), "validate": validate, "listeners": Listeners()}
    begun = run_train.begin(load(here / "r.yaml"), here / "run", resume=False, data=None, **options)
    run_train.trained(begun, 1)
    (here / "v.txt").unlink()
    api.train(load(here / "r.yaml"), here / "run", resume=True, device="cpu")
    resumed = Run.load(here / "run")
    after = model_tensors(resumed.graph)
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)
    assert vector(resumed, "awful") == [-1, 0.5, 0]


def test_the_words_of_two_inputs_with_one_encoder_are_extended_for_both(here):
    (here / "v.txt").write_text(EXTENDED)
    said = {"type": "tokens", "encoder": {"hidden_size": 4, "embedding": {"file": "v.txt", "extend": True}}}
    again = {"type": "tokens", "column": "said", "encoder": {"same_as": "said"}}
    recipe = from_arguments({"said": said, "again": again}, {"mood": "category"}, training={"epochs": 1})
    run = api.fit(recipe, here / "run", data={"train": here / "train.tsv"}, roots=[here])
    for place in ("inputs.said", "inputs.again"):
        assert run.modalities[place].words()[-1] == "Paris" and not run.modalities[place].unseen("awful")


def test_the_advice_on_a_vocabulary_that_others_share(here):
    said = {"type": "text", "tokenizer": "word", "encoder": {"embedding": {"file": "v.txt", "extend": True}}}
    for others, where in (
        (({"again": {"type": "text", "tokenizer": {"same_as": "said"}}}, {"mood": "category"}), "inputs.again"),
        (({}, {"answer": {"type": "text", "tokenizer": {"same_as": "said"}}}), "outputs.answer"),
        (({}, {"answer": {"type": "text", "of": "said", "align": "next"}}), "outputs.answer"),
    ):
        with pytest.raises(
            ConfigError,
            match=f"said.encoder.embedding.extend: the vocabulary of {where} is that of inputs.said, whose encoder"
            f" alone has vectors for added words; leave extend out, or give {where} an own vocabulary",
        ):
            from_arguments({"said": said, **others[0]}, others[1])
    own = {"type": "text", "tokenizer": "word"}
    assert from_arguments({"said": said, "again": own}, {"answer": own})


def test_a_number_of_words_is_one_or_more(here):
    for wrong in (0, -5, "some"):
        with pytest.raises(ConfigError, match="embedding.*extend"):
            recipe({"file": "v.txt", "extend": wrong}, type="tokens")


def test_the_advice_on_vocabularies_of_earlier_runs(here):
    run, *_ = extended(here, frozen="true")
    rows = (here / "train.tsv").read_text()
    (here / "train.tsv").write_text(rows + "a lovely .\tup\nan odd .\tup\n" * 2)
    start = {"run": str(here / "run")}
    later = load(here / "r.yaml", [f"from.run={start['run']}"])
    second = api.fit(later, here / "second", device="cpu")
    words = second.modalities["inputs.said"].words()
    assert words.index("lovely") < words.index("odd") < len(words) - 7, "what training has is learnt from now on"
    assert vector(second, "lovely") == [1, 0.5, 0] and vector(second, "awful") == [-1, 0.5, 0]
    mean = run.graph.embedding("said").learnt.weight.mean(0)
    assert vector(second, "odd") == pytest.approx(mean.tolist(), abs=1e-6)
    part = "inputs.said.encoder.stack"
    with pytest.raises(
        ConfigError, match="inputs.said has words that were added to .*, and their vectors are in its embedding; name"
    ) as refusal:
        api.fit(load(here / "r.yaml", [f"from={{run: {start['run']}, parts: [{part}]}}"]), here / "third", device="cpu")
    named = re.search("name (\\S+) too", str(refusal.value))[1]
    parts = f"[{part}, {named}]"
    assert api.fit(
        load(here / "r.yaml", [f"from={{run: {start['run']}, parts: {parts}}}"]), here / "third", device="cpu"
    )


def test_the_advice_on_words_that_an_earlier_run_was_not_given(here):
    trained(here)
    later = [f"from.run={here / 'run'}", "inputs.said.encoder.embedding={file: v.txt, extend: true}"]
    with pytest.raises(
        ConfigError,
        match="embedding.extend: its vocabulary is that of the run that `from` names, to which no words were added;"
        " leave extend out, or train that run with it",
    ):
        api.fit(load(here / "r.yaml", later), here / "second", device="cpu")
    later[1] = later[1].replace(", extend: true", "")
    assert api.fit(load(here / "r.yaml", later), here / "second", device="cpu")
    extended(here, overwrite=True)
    later[1] = later[1].replace("v.txt", "v.txt, extend: true")
    assert api.fit(load(here / "r.yaml", later), here / "third", device="cpu").modalities["inputs.said"].spec.added == 7
