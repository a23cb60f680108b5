"""Texts that are read by counting too: solved for before training, pooled on held-out rows, in a run like any other."""

import json
import random
from collections import Counter

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from torch.nn import functional

import ostinato
from ostinato import api
from ostinato.cli.main import group
from ostinato.distributions.categorical import Categorical
from ostinato.errors import ConfigError
from ostinato.heads._scored import OpinionPool
from ostinato.recipe.read import from_arguments
from ostinato.run import solve
from ostinato.run.run import Run

WORDS = {"fruit": ("apple", "plum", "pear"), "metal": ("iron", "tin", "gold"), "river": ("rhine", "oder", "elbe")}
SMALL = {"epochs": 1, "batch_rows": 30}


def rows(count, seed=0):
    drawn = random.Random(seed)
    kinds = [drawn.choice(list(WORDS)) for _ in range(count)]
    return [{"text": f"the {drawn.choice(WORDS[kind])} of {drawn.randint(1, 9)}", "kind": kind} for kind in kinds]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("OSTINATO_CACHE", str(tmp_path / "cache"))


def table(path, count=120, seed=0):
    lines = [f"{row['text']}\t{row['kind']}" for row in rows(count, seed)]
    path.write_text("\n".join(["text\tkind", *lines]) + "\n")
    return path


def trained(tmp_path, inputs, *, name="run", count=120, **more):
    recipe = from_arguments(
        inputs, more.pop("outputs", {"kind": "category"}), data={"train": str(table(tmp_path / "t.tsv", count))}, **more
    )
    return api.fit(recipe, tmp_path / name, device="cpu")


def accuracy(run, count=60):
    asked = rows(count, seed=1)
    answers = api.predict(run, [row["text"] for row in asked])
    return np.mean([answer.best["kind"].value == row["kind"] for answer, row in zip(answers, asked)])


def test_the_solution_is_that_of_scikit_learn():
    random_numbers = np.random.default_rng(0)
    features = csr_matrix(random_numbers.random((80, 6)) * (random_numbers.random((80, 6)) < 0.5), dtype=np.float32)
    labels = (features @ random_numbers.normal(size=(6, 3))).argmax(1)
    truth = torch.from_numpy(labels)

    def loss(scores):
        return functional.cross_entropy(scores, truth, reduction="sum")

    weights, bias, _ = solve.solution(features, loss, 3)
    peer = LogisticRegression(C=1 / solve.PENALTY, max_iter=1000).fit(features, labels)
    ours = features @ weights.numpy() + bias.numpy()
    # What is added to all scores of a row changes nothing.
    theirs = peer.decision_function(features)
    np.testing.assert_allclose(ours - ours.mean(1, keepdims=True), theirs - theirs.mean(1, keepdims=True), atol=0.05)


def test_an_input_that_only_counts_is_solved_for_and_needs_no_updates(tmp_path):
    run = trained(tmp_path, {"text": {"type": "text", "encoder": "ngrams"}})
    settings = run.inputs["text"]
    assert (settings.tokenizer.type, settings.lowercase, settings.encoder.size) == ("char", True, 3)
    assert accuracy(run) == 1.0
    assert not any(weight.requires_grad for weight in run.graph.parameters())
    again = Run.load(tmp_path / "run")
    assert accuracy(again) == 1.0
    assert json.loads((tmp_path / "run/history.jsonl").read_text())["epoch"] == 0
    for before, after in zip(run.graph.state_dict().values(), again.graph.state_dict().values(), strict=True):
        assert torch.equal(before, after)


def test_a_text_whose_label_is_predicted_is_counted_beside_the_net(tmp_path):
    run = trained(tmp_path, {"text": "text"}, training=SMALL)
    assert run.outputs["kind"].reads == ["text", "text_ngrams"]
    assert run.inputs["text_ngrams"].column == "text" and run.inputs["text"].encoder.type == "recurrent"
    assert "the net need only add to it" in run.recipe.reasons["inputs.text_ngrams"]
    assert accuracy(run) == 1.0, "one epoch of the net would not do"
    weights = run.graph.heads["kind"].pool.weights
    assert weights[1] > weights[0] >= 0
    answers = [answer.to_json() for answer in api.predict(tmp_path / "run", ["the plum of 3"])]
    assert answers[0]["inputs"] == {"text": "the plum of 3"}
    assert answers[0]["outputs"]["kind"][0]["value"] == "fruit"
    assert api.embed(run, ["the plum of 3"]).vectors.shape == (1, run.graph.encoder("text").summary_size)


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [
        ({"text": {"type": "text", "encoder": "recurrent"}}, {"kind": "category"}),
        ({"text": {"type": "text", "encoder": {"type": "recurrent", "dropout": 0.4}}}, {"kind": "category"}),
        ({"text": "text"}, {"kind": {"type": "category", "reads": ["text"]}}),
        ({"text": "text"}, {"kind": {"type": "category", "join": "concatenate"}}),
        ({"text": "text"}, {"kind": {"type": "text"}}),
    ],
)
def test_who_says_what_is_read_or_how_gets_nothing_beside(tmp_path, inputs, outputs):
    recipe = from_arguments(inputs, outputs, data={"train": str(table(tmp_path / "t.tsv"))}, training=SMALL)
    assert api.check(recipe).parameters.keys() & {"inputs.text_ngrams.encoder"} == set()


@pytest.mark.parametrize("encoder", [{"dropout": 0.4}, {"cell": "gru"}])
def test_one_setting_of_the_net_leaves_the_counting_beside_it(tmp_path, encoder):
    data = {"train": str(table(tmp_path / "t.tsv"))}
    recipe = from_arguments({"text": {"type": "text", "encoder": encoder}}, {"kind": "category"}, data=data)
    assert "inputs.text_ngrams.encoder" in api.check(recipe).parameters


def test_each_output_of_labels_has_a_reading_of_its_own(tmp_path):
    outputs = {"kind": "category", "again": {"type": "category", "column": "kind"}}
    run = trained(tmp_path, {"text": "text"}, outputs=outputs, training=SMALL)
    assert run.outputs["again"].reads == ["text", "text_again_ngrams"]
    answer = next(iter(api.predict(run, ["the tin of 1"]))).best
    assert (answer["kind"].value, answer["again"].value) == ("metal", "metal")


@pytest.mark.parametrize("column", ["text", "number"])
def test_nothing_read_gives_the_shares_of_the_labels(tmp_path, column):
    kinds = ["b"] * 3 + ["a"] * 6 + ["c"]
    data = [{"text": f"row {n}", "number": float(n), "kind": kind} for n, kind in enumerate(kinds * 2)]
    model = ostinato.Model({column: {"type": column, "encoder": "prior"}}, {"kind": "category"})
    model.fit(data[:10], data[10:], folder=tmp_path / "run", device="cpu")
    (answer,) = api.predict(model.run, rows=[data[0]])
    assert answer.best["kind"].probabilities == pytest.approx({"a": 0.6, "b": 0.3, "c": 0.1}, abs=0.01)


def test_an_encoder_that_two_outputs_read_is_a_vector_and_is_trained(tmp_path):
    outputs = {"kind": "category", "again": {"type": "category", "column": "kind"}}
    inputs = {"text": {"type": "text", "encoder": {"type": "ngrams"}}}
    run = trained(tmp_path, inputs, outputs=outputs, training={"epochs": 8, "batch_rows": 10})
    assert run.graph.encoder("text").summary_size == 64 and run.graph.encoder("text").table.requires_grad
    assert accuracy(run) > 0.9
    with pytest.raises(
        ConfigError, match="its weights are solved for the labels of outputs.kind, and kind, again read it"
    ):
        trained(
            tmp_path, {"text": {"type": "text", "encoder": {"type": "ngrams", "size": 3}}}, outputs=outputs, name="no"
        )


def test_resuming_gives_the_bits_of_a_run_that_was_not_stopped(tmp_path):
    data = {"train": str(table(tmp_path / "t.tsv"))}

    def fit(name, epochs, resume=False):
        recipe = from_arguments(
            {"text": "text"},
            {"kind": "category"},
            data=data,
            training={**SMALL, "epochs": epochs, "schedule": "constant"},
        )
        return api.fit(recipe, tmp_path / name, device="cpu", resume=resume).graph.state_dict()

    whole = fit("whole", 3)
    fit("parts", 1)
    for name, tensor in fit("parts", 3, resume=True).items():
        assert torch.equal(tensor, whole[name]), name


def test_the_recipe_of_a_run_trains_the_same_run(tmp_path):
    run = trained(tmp_path, {"text": "text"}, training=SMALL)
    result = CliRunner().invoke(
        group, ["train", str(tmp_path / "run/recipe.yaml"), "--out", str(tmp_path / "again"), "--device", "cpu"]
    )
    assert result.exit_code == 0, result.output
    again = Run.load(tmp_path / "again")
    for name, tensor in run.graph.state_dict().items():
        assert torch.equal(tensor, again.graph.state_dict()[name]), name


def test_runs_with_counted_texts_predict_as_an_ensemble(tmp_path):
    runs = [
        trained(tmp_path, {"text": "text"}, name=f"run{seed}", training={**SMALL, "seed": seed}) for seed in (1, 1)[:1]
    ]
    runs.append(trained(tmp_path, {"text": "text"}, name="other", training={**SMALL, "epochs": 2}))
    assert accuracy(runs) == 1.0


def test_long_texts_are_counted_whole_whatever_max_steps_is(tmp_path):
    recipe = from_arguments(
        {"text": {"type": "text", "tokenizer": {"type": "word"}}},
        {"kind": "category"},
        data={"train": str(table(tmp_path / "t.tsv"))},
        training={**SMALL, "max_steps": 6},
    )
    assert not [note for note in api.check(recipe).notes if "left out" in note]


def test_the_pool_gives_no_weight_to_what_knows_nothing_and_calibrates_what_is_alone():
    torch.manual_seed(0)
    truth = torch.randint(3, (500,))
    told = functional.one_hot(torch.where(torch.rand(500) < 0.8, truth, torch.randint(3, (500,))), 3).float()
    good, noise = (Categorical(scores) for scores in (30 * told, 5 * torch.randn(500, 3)))
    for members, useful in (((good, noise), 0), ((noise, good), 1)):
        pool = OpinionPool(2)
        pool.fit(lambda weights: members[0].pooled(members[1:], weights).log_prob(truth).sum())
        assert pool.weights[1 - useful] < 0.02 < pool.weights[useful] < 0.2, "30 is far too sure"
    alone = OpinionPool(1)
    alone.fit(lambda weights: good.pooled([], weights).log_prob(truth).sum())
    share = good.pooled([], alone.weights).probabilities.amax(1).mean().item()
    assert share == pytest.approx((told.argmax(1) == truth).float().mean().item(), abs=0.02)


def test_few_held_out_rows_leave_the_answers_to_what_was_counted():
    pool = OpinionPool(2)
    good, bad = Categorical(torch.tensor([[-0.1, -2.4]])), Categorical(torch.tensor([[-2.4, -0.1]]))
    pool.fit(lambda weights: good.pooled([bad], weights).log_prob(torch.tensor([0])).sum())
    assert pool.weights[0] < 0.2 < 0.5 < pool.weights[1]


def test_sure_opinions_of_the_net_do_not_flip_what_was_counted_and_is_too_modest():
    """The net errs in 15 of 100 answers and is sure of all; what was counted errs in 3 and gives its answer 60 %."""
    generator = torch.Generator().manual_seed(0)
    truth = torch.randint(10, (400,), generator=generator)
    drawn = torch.rand(2, 400, generator=generator)
    net, counted = (
        Categorical(scale * functional.one_hot((truth + (part < errors)) % 10, 10).float())
        for part, errors, scale in zip(drawn, (0.15, 0.03), (12.0, 2.6))
    )
    pool = OpinionPool(2)
    pool.fit(lambda weights: net.pooled([counted], weights).log_prob(truth).sum())
    answers = net.pooled([counted], pool.weights).probabilities.argmax(1)
    assert torch.equal(answers, counted.probabilities.argmax(1))


@pytest.mark.parametrize("labels", [1, 12])
def test_twelve_rows_are_enough_unless_there_is_nothing_to_tell_apart(tmp_path, labels):
    lines = [f"text number {row}\t{row % labels}x" for row in range(12)]
    (tmp_path / "few.tsv").write_text("\n".join(["text\tkind", *lines]) + "\n")
    recipe = from_arguments(
        {"text": "text"}, {"kind": "category"}, data={"train": str(tmp_path / "few.tsv")}, training={"epochs": 2}
    )
    if labels == 1:
        with pytest.raises(Exception, match="have the label '0x', so there is nothing to tell apart"):
            api.fit(recipe, tmp_path / "run", device="cpu")
        return
    run = api.fit(recipe, tmp_path / "run", device="cpu")
    assert len(run.modalities["outputs.kind"].spec.counts) == 12


TAGS = {"the": "DET", "a": "DET", "plum": "NOUN", "tin": "NOUN", "shines": "VERB", "falls": "VERB"}


def tagged(count, seed=0, spans=False):
    """Sentences whose `can` is a noun after a determiner and a verb elsewhere."""
    drawn, rows = random.Random(seed), []
    for _ in range(count):
        words = [drawn.choice([*TAGS, "can"]) for _ in range(drawn.randint(2, 6))]
        before = ["", *words]
        tags = [TAGS.get(word, "NOUN" if before[at] in ("the", "a") else "VERB") for at, word in enumerate(words)]
        if spans:
            tags = [
                "B-X" if tag == "NOUN" else "I-X" if at and tags[at - 1] == "NOUN" else "O"
                for at, tag in enumerate(tags)
            ]
        rows.append({"words": words, "tags": tags})
    return rows


def trained_on_tags(tmp_path, inputs, *, name="run", count=80, spans=False, **more):
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in tagged(count, spans=spans)))
    outputs = more.pop("outputs", {"tags": "tags"})
    recipe = from_arguments(inputs, outputs, data={"train": str(tmp_path / "t.jsonl")}, **more)
    return api.fit(recipe, tmp_path / name, device="cpu")


def tagging_accuracy(run, spans=False):
    asked = tagged(60, 1, spans)
    answers = api.predict(run, rows=[{"words": row["words"]} for row in asked])
    pairs = zip(answers, asked)
    return np.mean([tag == true for answer, row in pairs for tag, true in zip(answer.best["tags"].value, row["tags"])])


def test_counted_words_alone_give_the_commonest_label_of_each(tmp_path):
    encoder = {"type": "local_features", "window": 0, "affixes": 0}
    run = trained_on_tags(tmp_path, {"words": {"type": "tokens", "encoder": encoder}})
    assert not any(weight.requires_grad for weight in run.graph.parameters())
    assert run.inputs["words"].characters is True and run.inputs["words"].encoder.size == 3
    known = Counter((word, tag) for row in tagged(80) for word, tag in zip(row["words"], row["tags"]))
    commonest = {word: max(("DET", "NOUN", "VERB"), key=lambda tag: known[word, tag]) for word, _ in known}
    for row, answer in zip(tagged(60, 1), api.predict(run, rows=[{"words": row["words"]} for row in tagged(60, 1)])):
        assert answer.best["tags"].value == [commonest[word] for word in row["words"]]
    majority = Counter(tag for row in tagged(80) for tag in row["tags"]).most_common(1)[0][0]
    assert next(iter(api.predict(run, rows=[{"words": ["unheard"]}]))).best["tags"].value == [majority]


@pytest.mark.parametrize("spans", [False, True])
def test_words_whose_labels_are_predicted_are_counted_beside_the_net(tmp_path, spans):
    run = trained_on_tags(tmp_path, {"words": "tokens"}, spans=spans, training={"epochs": 1, "batch_rows": 40})
    assert run.outputs["tags"].reads == ["words", "words_features"]
    assert run.outputs["tags"].head.type == ("crf" if spans else "tagger")
    assert tagging_accuracy(run, spans) > 0.95, "one epoch of the net would not do"
    weights = run.graph.heads["tags"].pool.weights
    assert weights[1] > weights[0] >= 0
    assert tagging_accuracy(Run.load(tmp_path / "run"), spans) == tagging_accuracy(run, spans)
    assert tagging_accuracy([run, run], spans) == tagging_accuracy(run, spans)


def test_spans_of_counted_words_alone_learn_what_follows_what(tmp_path):
    run = trained_on_tags(
        tmp_path, {"words": {"type": "tokens", "encoder": "local_features"}}, spans=True, training={"epochs": 2}
    )
    assert run.graph.heads["tags"].chain.follows.any() and not run.graph.encoder("words").table.requires_grad
    assert tagging_accuracy(run, spans=True) > 0.95


def test_labels_of_rows_and_of_steps_each_have_their_reading(tmp_path):
    rows = [{**row, "kind": row["words"][0]} for row in tagged(80)]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = from_arguments(
        {"words": "tokens"}, {"tags": "tags", "kind": "category"}, data={"train": str(tmp_path / "t.jsonl")}
    )
    chosen = {path: value for path, value, _ in api.check(recipe).chosen}
    assert chosen["outputs.tags.reads"] == ["words", "words_features"]
    assert chosen["outputs.kind.reads"] == ["words", "words_ngrams"]


def test_inputs_that_are_counted_are_no_other_inputs_of_a_tagger(tmp_path):
    inputs = {name: {"type": "tokens", "column": "words"} for name in ("words", "others")}
    with pytest.raises(ConfigError, match="labels the steps of one input; name it in `reads`"):
        trained_on_tags(tmp_path, inputs)
    inputs["others"]["encoder"] = "local_features"
    assert tagging_accuracy(trained_on_tags(tmp_path, inputs, training={"epochs": 1})) == 1.0


def test_only_features_that_occur_are_solved_for(tmp_path):
    run = trained_on_tags(tmp_path, {"words": {"type": "tokens", "encoder": "local_features"}})
    encoder = run.graph.encoder("words")
    known = int((encoder.keys < torch.iinfo(torch.int64).max).sum())
    assert known < len(encoder.table) and not encoder.table[known:].any() and encoder.table[:known].any()


def test_a_text_given_as_words_is_counted_as_the_text_that_they_make():
    data = [{"words": row["text"].split(), "kind": row["kind"], "tags": ["x"] * 4} for row in rows(60)]
    data = [{**row, "tags": row["tags"][: len(row["words"])]} for row in data]
    encoder = {"hidden_size": 4, "embedding_size": 4}
    model = ostinato.Model(
        {"words": {"type": "text", "encoder": encoder}}, {"kind": "category", "tags": "tags"}, training={"epochs": 1}
    ).fit(data, data[:20], device="cpu")
    assert {"words", "words_ngrams"} <= model.run.inputs.keys()
    asked = [data[0], {"words": " ".join(data[0]["words"])}]
    first, second = model.predict(asked)
    assert first == second and first["kind"] == data[0]["kind"]
