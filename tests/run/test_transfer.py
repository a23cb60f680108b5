"""A run that starts from parts of an earlier one: settings, vocabularies, weights; needing nothing of it later."""

import gzip
import json
import random
import shutil
from functools import partial
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

import ostinato
from ostinato import api
from ostinato.cli.main import group
from ostinato.distributions.contract import LEVELS
from ostinato.errors import ConfigError
from ostinato.evaluation import verdict
from ostinato.evaluation.validate import validate
from ostinato.recipe.read import from_arguments, load
from ostinato.run import bundle as bundles
from ostinato.run import train as run_train
from ostinato.run.run import Run
from ostinato.training.checkpoints import model_tensors
from ostinato.training.task import Listeners
from tests.advice import follow

WORDS = {"fruit": ("apple", "plum", "pear"), "metal": ("iron", "tin", "gold")}
SMALL = {"epochs": 1, "batch_rows": 16, "optimizer": {"type": "adamw", "learning_rate": 0.01}}
RECIPES = Path(__file__).resolve().parents[2] / "recipes"
PART = {"inputs.review.encoder": "inputs.text.encoder"}


def rows(count, seed=0, new="zinc"):
    drawn = random.Random(seed)
    kinds = [drawn.choice(list(WORDS)) for _ in range(count)]
    return [{"review": f"{new} {drawn.choice(WORDS[kind])} {drawn.choice('abcdef')}", "kind": kind} for kind in kinds]


@pytest.fixture(scope="module")
def lm(tmp_path_factory):
    folder = tmp_path_factory.mktemp("earlier")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OSTINATO_CACHE", str(folder / "cache"))
        recipe = from_arguments(
            {"text": {"type": "text", "tokenizer": "word", "encoder": {"hidden_size": 8, "layers": 2}}},
            {"going_on": {"of": "text", "align": "next"}},
            training=SMALL,
        )
        texts = [{"text": row["review"]} for row in rows(40, new="the")]
        api.fit(recipe, folder / "lm", data={"train": texts})
    return folder / "lm"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("OSTINATO_CACHE", str(tmp_path / "cache"))


def classifier(lm, *, parts=PART, inputs=None, outputs=None, **training):
    return from_arguments(
        inputs or {"review": "text"},
        outputs or {"kind": "category"},
        training=SMALL | training,
        refused={"from": {"run": str(lm)} | ({} if parts is None else {"parts": parts})},
    )


def fitted(recipe, folder, seed=0, **more):
    return api.fit(recipe, folder, data={"train": rows(40, seed)}, device="cpu", **more)


def session(recipe, folder, *, resume):
    data = {"train": rows(40)}
    options = {"overwrite": False, "device": "cpu", "roots": (), "validate": validate, "listeners": Listeners()}
    return run_train.begin(recipe, folder, resume=resume, data=data, **options)


def test_a_frozen_encoder_is_the_earlier_one_with_new_words_at_the_mean_and_needs_no_earlier_run(lm, tmp_path):
    moved = shutil.copytree(lm, tmp_path / "moved")
    run = fitted(classifier(moved, freeze=["inputs.review.encoder"]), tmp_path / "run")
    shutil.rmtree(moved)
    before = Run.load(lm)
    old, new = before.modalities["inputs.text"].words(), run.modalities["inputs.review"].words()
    assert new[: len(old)] == old and "zinc" in new[len(old) :] and "zinc" not in old
    theirs, ours = before.graph.encoder("text"), run.graph.encoder("review")
    vectors = ours.embedding.learnt.weight
    assert torch.equal(vectors[: len(old)], theirs.embedding.learnt.weight)
    assert torch.allclose(vectors[len(old) :], theirs.embedding.learnt.weight.mean(0), atol=1e-6)
    assert all(map(torch.equal, ours.stack.parameters(), theirs.stack.parameters()))
    assert run.recipe.at("inputs.review.encoder.hidden_size") == 8 and not run.recipe.at(
        "inputs.review.encoder.bidirectional"
    )
    loaded = Run.load(tmp_path / "run")
    asked = ["the zinc plum"]
    assert next(api.predict(loaded, asked)).best == next(api.predict(run, asked)).best


def test_resumed_without_the_earlier_run_it_ends_with_the_same_bits(lm, tmp_path):
    moved = shutil.copytree(lm, tmp_path / "moved")
    recipe = classifier(moved, epochs=4, layer_factor=2.6, unfreeze_every=1, schedule="slanted_triangular")
    whole = model_tensors(fitted(recipe, tmp_path / "whole").graph)
    for until in (0, 1, 3):
        begun = session(recipe, tmp_path / "broken", resume=until > 0)
        run_train.trained(begun, until)
        shutil.rmtree(moved, ignore_errors=True)
    begun = session(recipe, tmp_path / "broken", resume=True)
    run_train.trained(begun)
    broken = model_tensors(begun.run.graph)
    assert all(torch.equal(whole[name], broken[name]) for name in whole)


def test_layers_are_unfrozen_from_the_output_down_each_at_its_own_rate(lm, tmp_path):
    recipe = classifier(lm, epochs=4, layer_factor=2.0, unfreeze_every=1, keep_best=False, schedule="constant")
    begun = session(recipe, tmp_path / "run", resume=False)
    graph = begun.run.graph
    # Heads, two layers, the embedding.
    distances = graph.distances()
    assert {distances[f"encoders.review.stack.cells.{cell}.weight_x"] for cell in (0, 1)} == {1, 2}
    assert distances["encoders.review.embedding.learnt.weight"] == 3 and distances["heads.kind.labels.output.bias"] == 0
    moved = []
    for until in range(1, 5):
        before = {name: weight.detach().clone() for name, weight in graph.named_parameters()}
        run_train.trained(begun, until)
        moved.append(
            {distances[name] for name, old in before.items() if not torch.equal(old, graph.get_parameter(name))}
        )
        begun = session(recipe, tmp_path / "run", resume=True)
        begun.run.graph.load_state_dict(graph.state_dict())
        graph = begun.run.graph
    assert moved == [{0}, {0, 1}, {0, 1, 2}, {0, 1, 2, 3}]


def test_a_whole_model_continues_on_other_rows_whose_labels_are_added(lm, tmp_path):
    first = fitted(classifier(lm), tmp_path / "first")
    rows_now = [*rows(40, 1, "lead"), {"review": "the moon", "kind": "other"}, {"review": "a moon", "kind": "other"}]
    notes = []
    second = api.fit(
        classifier(tmp_path / "first", parts=None), tmp_path / "second", data={"train": rows_now}, say=notes.append
    )
    assert any(note.endswith("first: inputs.review.encoder, outputs.kind.head") for note in notes)
    assert second.modalities["outputs.kind"].facts()["labels"] == ["fruit", "metal", "other"]
    assert second.recipe.settings.inputs["review"].encoder == first.recipe.settings.inputs["review"].encoder
    # The first weights are a model: it is validated before it is trained.
    assert '"event": "start"' in (tmp_path / "second" / "history.jsonl").read_text()


def test_a_head_of_an_earlier_version_answers_as_it_did(tmp_path):
    """Weights by which each level of a forecast was an answer alone, as `Head.of_earlier` knows them."""
    series = {"x": {"type": "series", "encoder": {"hidden_size": 4}}}
    outputs = {"f": {"of": "x", "align": "ahead", "horizon": 3, "lookback": 6}}
    data = {"train": [{"x": [float(step % 7 + row) for step in range(30)]} for row in range(4)]}
    before = api.fit(from_arguments(series, outputs, training=SMALL), tmp_path / "before", data=data, device="cpu")
    today, earlier = model_tensors(before.graph), {}
    for name, tensor in today.items():
        if name.startswith("heads.f.") and name.endswith(
            ("straight.weight", "straight.bias", "output.weight", "output.bias")
        ):
            by_level = tensor.clone().view(-1, len(LEVELS), *tensor.shape[1:])
            median = by_level[:, len(LEVELS) // 2, None].clone()
            by_level += median
            by_level[:, len(LEVELS) // 2] = median[:, 0]
            earlier[name] = by_level.view(tensor.shape)
        elif not name.endswith("from_median"):
            earlier[name] = tensor
    assert len(earlier) == len(today) - 1 and not torch.equal(
        earlier["heads.f.straight.bias"], today["heads.f.straight.bias"]
    )
    bundles.save_weights(tmp_path / "before", earlier)
    recipe = from_arguments(series, outputs, training=SMALL, refused={"from": {"run": str(tmp_path / "before")}})
    options = {"overwrite": False, "device": "cpu", "roots": (), "validate": validate, "listeners": Listeners()}
    after = run_train.begin(recipe, tmp_path / "after", resume=False, data=data, **options).run.graph
    for name, tensor in model_tensors(after).items():
        torch.testing.assert_close(tensor, today[name], rtol=1e-6, atol=1e-6)


def test_what_is_counted_beside_a_text_is_counted_again_at_another_learning_rate(tmp_path):
    small = {"type": "text", "tokenizer": "word", "encoder": {"hidden_size": 8}}
    earlier = from_arguments({"review": small}, {"kind": "category"}, training=SMALL)
    first = fitted(earlier, tmp_path / "first")
    again = {
        "training": SMALL | {"optimizer": {"learning_rate": 1e-4}},
        "refused": {"from": {"run": str(first.folder)}},
    }
    second = fitted(from_arguments({"review": "text"}, {"kind": "category"}, **again), tmp_path / "second", seed=1)
    assert set(second.graph.state_dict()) == set(first.graph.state_dict())
    assert (
        "inputs.review_ngrams" in second.recipe.reasons
        and second.recipe.settings.inputs["review"].tokenizer.type == "word"
    )


def test_the_command_line_starts_from_a_run(lm, tmp_path, monkeypatch):
    table = tmp_path / "table.tsv"
    table.write_text("review\tkind\n" + "".join(f"{row['review']}\t{row['kind']}\n" for row in rows(40)))
    monkeypatch.chdir(lm.parent)
    result = CliRunner().invoke(group, ["train", str(table), "--in", "review", "--from", "lm", "--run", "new"])
    assert f"nothing of {lm} fits this recipe: inputs.review.encoder is not in {lm}" in str(result.exception)


BAD = {
    "no run": ({"lm": "nowhere"}, {}, "nowhere is no run folder"),
    "unknown part": ({"parts": ["inputs.reviews.encoder"]}, {}, "no part 'inputs.reviews.encoder' here; did you mean"),
    "unknown source": ({"parts": {"inputs.review.encoder": "inputs.txt.encoder"}}, {}, "did you mean 'inputs.text.enc"),
    "inside": ({"parts": {"inputs.review.encoder.stak": "inputs.text.encoder.stak"}}, {}, "did you mean .*stack"),
    "other type": ({"inputs": {"review": "tokens"}}, {}, "is tokens and recurrent here, text and recurrent there"),
    "other encoder": ({"inputs": {"review": {"type": "text", "encoder": "convolutional"}}}, {}, "convolutional here"),
    "other size": ({"inputs": {"review": {"type": "text", "encoder": {"hidden_size": 9}}}}, {}, "shape .* here and"),
    "other layers": ({"inputs": {"review": {"type": "text", "encoder": {"layers": 1}}}}, {}, "differ in .*cells.1"),
    "nothing": ({"parts": None}, {}, "nothing of .* fits this recipe"),
    "all frozen": ({"freeze": ["inputs.review", "outputs.*.head"]}, {}, "freezes the last of the weights"),
    "none frozen": ({"freeze": ["inputs.rewiew.encoder"]}, {}, "training.freeze: there is no part.*did you mean"),
    "effort": ({}, {"effort": 2}, "--effort tries models of other forms"),
    "one layer": ({"freeze": ["inputs.*.encoder"], "layer_factor": 2.6}, {}, "all weights .* belong to one layer"),
}


def vectors(folder):
    """A file of vectors, and the word that the test looks at."""
    lines = (f"{word} {' '.join(str(at + place) for place in range(8))}" for at, word in enumerate(("apple", "iron")))
    (folder / "vectors.txt").write_text("\n".join(lines))
    return {"file": str(folder / "vectors.txt"), "frozen": True}


STACK = {f"{part}.stack": f"{source}.stack" for part, source in PART.items()}


def test_vectors_of_a_file_start_the_embedding_where_the_layers_alone_are_taken_over(lm, tmp_path):
    given = {"review": {"type": "text", "encoder": {"embedding": vectors(tmp_path)}}}
    run = fitted(classifier(lm, parts=STACK, inputs=given), tmp_path / "run")
    words = run.modalities["inputs.review"].words()
    table = dict(model_tensors(run.graph))["encoders.review.embedding.learnt.weight"]
    assert table[words.index("iron")].tolist() == [float(1 + place) for place in range(8)]


def test_the_advice_on_vectors_for_an_embedding_that_is_taken_over(lm, tmp_path):
    given = {"review": {"type": "text", "encoder": {"embedding": vectors(tmp_path)}}}

    def take(parts, inputs):
        fitted(classifier(lm, parts=parts, inputs=inputs), tmp_path / "run", overwrite=True)

    advice = (
        f"inputs.review.encoder.embedding.file: this embedding is taken over from {lm}; leave the file out, or name a"
        " part without it in from.parts, such as inputs.review.encoder.stack"
    )
    follow(partial(take, PART, given), advice, partial(take, PART, {"review": "text"}), partial(take, STACK, given))


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_taken_over_is_refused_with_its_place(lm, tmp_path, name):
    changes, options, message = BAD[name]
    with pytest.raises(ConfigError, match=message):
        fitted(classifier(**{"lm": lm, **changes}), tmp_path / "run", **options)
    assert not bundles.exists(tmp_path / "run")


def test_a_width_that_is_taken_over_is_not_advised(lm):
    settings = classifier(lm).settings
    assert verdict._wider(settings) == [] and verdict._wider(classifier(lm, parts=None).settings) == []
    assert verdict._narrower(settings)[0].startswith("inputs.review.encoder.dropout=")


WIDE, SHALLOW = ({"review": {"type": "text", "encoder": option}} for option in ({"hidden_size": 9}, {"layers": 1}))
EMBEDDING = {f"{part}.embedding": f"{source}.embedding" for part, source in PART.items()}


@pytest.mark.parametrize(
    ("changes", "advice", "ways"),
    [
        ({"lm": "nowhere"}, "nowhere is no run folder; give the folder that `ostinato train` prints at its end", [{}]),
        ({"inputs": {"review": "tokens"}}, "text and recurrent there; the types must agree, name another part", [{}]),
        (
            {"inputs": WIDE},
            "has the shape (36, 8) here and (32, 8) in RUN; leave out the settings that differ, or name the parts that",
            [{}],
        ),
        (
            {"inputs": SHALLOW},
            "RUN and this recipe differ in inputs.text.encoder.stack.cells.1.bias_h, inputs.text.encoder.stack.cells.1."
            "bias_x, inputs.text.encoder.stack.cells.1.weight_h; leave out the settings that differ, or name the parts",
            [{}, {"inputs": SHALLOW, "parts": EMBEDDING}],
        ),
        (
            {"parts": None},
            "is not in RUN; name its parts in from.parts, or give columns the names and types that they have there",
            [{}, {"inputs": {"text": {"type": "text", "column": "review"}}, "parts": None}],
        ),
        ({"effort": 2}, "which cannot start from an earlier run; leave one out", [{}]),
        (
            {"freeze": ["inputs.*.encoder"], "layer_factor": 2.6},
            "all weights that are trained belong to one layer, so it would do nothing; leave it out",
            [{"freeze": ["inputs.*.encoder"]}],
        ),
    ],
)
def test_the_advice_on_what_cannot_be_taken_over(lm, tmp_path, changes, advice, ways):
    def take(lm=lm, effort=1, **changes):
        fitted(classifier(lm, **changes), tmp_path / "run", overwrite=True, effort=effort)

    follow(partial(take, **changes), advice.replace("RUN", str(lm)), *(partial(take, **way) for way in ways))


def test_the_advice_on_two_vocabularies_for_one(tmp_path):
    data = [{"review": "a b", "kind": "c d"}, {"review": "b a", "kind": "d c"}] * 4
    encoder, parts = {"hidden_size": 4, "embedding_size": 4}, ["inputs.review.encoder", "inputs.kind.encoder"]
    inputs = {name: {"type": "text", "tokenizer": "word", "encoder": encoder} for name in ("review", "kind")}
    label = {"same": {"type": "category", "column": "review"}}
    api.fit(from_arguments(inputs, label, training=SMALL), tmp_path / "two", data={"train": data}, device="cpu")
    inputs["kind"] |= {"tokenizer": {"same_as": "review"}}

    def take(parts):
        recipe = classifier(tmp_path / "two", inputs=inputs, outputs=label, parts=parts)
        api.fit(recipe, tmp_path / "run", data={"train": data}, device="cpu", overwrite=True)

    advice = f"in {tmp_path / 'two'} they have two; take over one of them"
    follow(partial(take, parts), advice, partial(take, parts[:1]))


def test_an_encoder_that_the_recipe_leaves_open_is_of_the_earlier_type(tmp_path):
    encoder = {"type": "transformer", "hidden_size": 8, "layers": 1, "heads": 2, "bidirectional": False}
    text = {"text": {"type": "text", "column": "review", "tokenizer": "word", "encoder": encoder}}
    first = fitted(from_arguments(text, {"after": {"of": "text", "align": "next"}}, training=SMALL), tmp_path / "first")
    run = fitted(classifier(first.folder, freeze=["inputs.review.encoder"]), tmp_path / "run")
    before, after = first.graph.encoder("text"), run.graph.encoder("review")
    assert run.recipe.at("inputs.review.encoder.type") == "transformer"
    assert all(map(torch.equal, before.stack.parameters(), after.stack.parameters()))
    wide = {"review": {"type": "text", "encoder": {"hidden_size": 12}}}
    with pytest.raises(ConfigError, match="and this recipe differ in inputs.text.encoder.stack.project.weight"):
        fitted(classifier(first.folder, inputs=wide), tmp_path / "wide")


def test_how_many_symbols_are_new_is_told(lm, tmp_path):
    heard = []
    run = fitted(classifier(lm), tmp_path / "run", say=heard.append)
    old, new = (len(it.words()) for it in (Run.load(lm).modalities["inputs.text"], run.modalities["inputs.review"]))
    assert f"note: inputs.review: {new - old} symbols beside the {old} of {lm} are new" in heard and new > old


def test_python_names_the_earlier_run_too(lm):
    model = ostinato.Model({"review": "tokens"}, {"kind": "category"}, from_={"run": str(lm), "parts": PART})
    with pytest.raises(ConfigError, match="is tokens and recurrent here"):
        model.fit(rows(20))


def test_the_advice_on_other_weights_than_a_run_began_with(lm, tmp_path):
    moved = shutil.copytree(lm, tmp_path / "moved")
    recipe = classifier(moved)
    session(recipe, tmp_path / "run", resume=False)
    bundles.save_weights(moved, {name: tensor + 1 for name, tensor in bundles.load_weights(moved).items()})
    follow(
        lambda: session(recipe, tmp_path / "run", resume=True),
        f"from.run: the weights of {moved} have changed since; start anew with --overwrite",
        lambda: fitted(recipe, tmp_path / "run", overwrite=True),
    )


def test_the_three_steps_of_ulmfit_run_as_their_recipes_say(tmp_path, monkeypatch):
    """The recipes as they are, on two dozen generated reviews and with small layers."""
    drawn = random.Random(0)
    (tmp_path / "imdb-reviews").mkdir()
    for name, noun in (("unlabelled", "film"), ("train", "movie"), ("test", "movie")):
        reviews = [
            {"text": f"this {noun} is {drawn.choice(WORDS[kind])} and {drawn.choice(WORDS[kind])}", "sentiment": kind}
            for kind in [*WORDS] * 20
        ]
        with gzip.open(tmp_path / "imdb-reviews" / f"{name}.jsonl.gz", "wt") as file:
            file.writelines(json.dumps(review) + "\n" for review in reviews)
    monkeypatch.chdir(tmp_path)
    small = ["training.epochs=1", "training.batch_rows=8"]
    sizes = ["inputs.text.encoder.hidden_size=8", "inputs.text.encoder.embedding_size=8"]
    runs = {}
    for name, sets in (
        ("ulmfit-general", ["inputs.text.tokenizer.min_count=1", *sizes, *small]),
        ("ulmfit-adapted", small),
        ("ulmfit", ["training.epochs=4", "training.batch_rows=8"]),
    ):
        recipe = load(RECIPES / f"{name}.yaml", sets)
        runs[name] = api.fit(recipe, tmp_path / "runs" / name, roots=[tmp_path])
    general, adapted, classified = runs.values()
    assert "movie" in adapted.modalities["inputs.text"].words()[len(general.modalities["inputs.text"].words()) :]
    assert classified.modalities["inputs.text"].words() == adapted.modalities["inputs.text"].words()
    # The last state, the largest and the mean of 8 numbers each.
    assert classified.graph.get_parameter("heads.sentiment.features.layer.weight").shape == (50, 24)
