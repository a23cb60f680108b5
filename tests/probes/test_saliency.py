"""Which steps an answer rests on: completeness, closed forms, occlusion by hand, and what probing leaves alone."""

import json

import numpy as np
import pytest
import torch

import ostinato
from ostinato import api
from ostinato.errors import ConfigError
from ostinato.kernels.watch import watched
from ostinato.probes.kinds._losses import losses_of
from ostinato.probes.kinds.saliency import Answered, Attribution, Panel, Saliency, SaliencyFinding, _Inputs
from ostinato.testing import laws
from ostinato.testing.probes import TEXTS, subject_of

SMALL = {"type": "transformer", "hidden_size": 8, "heads": 2, "layers": 1, "feed_forward_size": 8}
ENCODERS = {
    **{cell: {"cell": cell, "hidden_size": 6, "embedding_size": 4} for cell in ("rnn", "lstm", "gru")},
    "transformer": SMALL,
    "transformer of 2017": {**SMALL, "block": "vaswani2017"},
    "convolutional": {"type": "convolutional", "hidden_size": 6, "layers": 1},
}


@pytest.mark.parametrize("encoder", ENCODERS.values(), ids=ENCODERS)
@pytest.mark.parametrize("labels", [False, True], ids=["each step", "a label"])
def test_attributions_add_up_to_the_difference_of_the_outputs(encoder, labels):
    """Of a Transformer with RMSNorm 256 points of the whole path missed it by 0.2 to 1.2 nats."""
    texts = TEXTS[:2]
    model = subject_of(encoder, texts, labels=labels)
    with torch.no_grad():
        for weight in model.graph.parameters():
            weight.add_(torch.randn_like(weight) / 2)
    finding = Saliency().look(model)
    read = model.graph.read("follows", model.batch.inputs)
    losses, layout, _ = losses_of(model.graph.heads["follows"], read, model.batch.targets["follows"])
    assert len(finding.examples) == len(texts)
    for example, own in zip(finding.examples, (-(losses if layout is None else layout.sums(losses))).tolist()):
        (part,) = example.inputs
        assert example.log_probability == pytest.approx(own, abs=1e-4)
        assert abs(sum(part.gradients) - (example.log_probability - example.without)) <= 1e-3
        assert example.error <= 1e-3
    assert [part.symbols for part in finding.examples[0].inputs] == [["begin"] * (not labels) + [*"abcde"]]


def test_a_tolerance_that_is_missed_takes_more_points_and_occlusion_is_by_hand():
    model = subject_of({"cell": "gru", "hidden_size": 6, "embedding_size": 4}, ["abca", "cb"])
    with torch.no_grad():
        for weight in model.graph.parameters():
            weight.mul_(4)
    coarse, fine = Saliency(points=1, tolerance=0.9).look(model), Saliency(points=1, tolerance=1e-3).look(model)
    assert max(example.points for example in coarse.examples) < max(example.points for example in fine.examples)
    (part,) = fine.examples[0].inputs

    def without(step):
        def changed(by, values, layout):
            kept = values.clone()
            kept[step] = by.learnt.weight.mean(0)
            return kept

        with watched(changed), torch.no_grad():
            read = model.graph.read("follows", model.batch.inputs)
        loss, layout, _ = losses_of(model.graph.heads["follows"], read, model.batch.targets["follows"])
        return -layout.sums(loss)[0].item()

    lost = [fine.examples[0].log_probability - without(step) for step in range(len(part.symbols))]
    assert np.allclose(part.occlusion, lost, atol=1e-5)


def test_gradients_are_those_of_captum():
    """Of a function of one input, on the same path."""
    captum = pytest.importorskip("captum.attr")
    model = subject_of({"cell": "gru", "hidden_size": 6, "embedding_size": 4}, ["abca"])
    inputs = _Inputs(model, "follows")
    seen = []
    inputs.log_probability(model.batch, lambda _, embedded, blank, __: seen.extend((embedded, blank)) or embedded)

    def score(embedded):
        return torch.stack([inputs.log_probability(model.batch, lambda *_, row=row: row)[0] for row in embedded])

    theirs = captum.IntegratedGradients(score).attribute(
        seen[0][None], seen[1][None], n_steps=32, method="gausslegendre"
    )
    ours = inputs.halves(0, [Panel(0.0, 2.0, 0.0, 0.0)], 32)[0].parts["text"].float()
    assert torch.allclose(theirs[0].sum(1), ours, atol=1e-4)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Reads a series and a label, labels the steps of words and the whole."""
    folder = tmp_path_factory.mktemp("saliency")
    rows = [
        {"s": [float(at % 3), 1.0, 2.0], "k": "ab"[at % 2], "w": ["x", "y"], "t": ["P", "Q"], "y": "np"[at % 2]}
        for at in range(12)
    ]
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    encoder = {"hidden_size": 4}
    built = ostinato.Model(
        {"s": {"type": "series", "encoder": encoder}, "k": "category", "w": {"type": "tokens", "encoder": encoder}},
        {"y": {"type": "category", "reads": ["s", "k"]}, "t": {"type": "tags", "reads": ["w"], "head": "crf"}},
        data={"train": str(folder / "train.jsonl")},
        training={"epochs": 1},
    )
    return built.fit(folder=folder / "run", device="cpu")


def test_series_labels_and_tags_are_explained(model, tmp_path):
    finding = api.probe(model.run, "saliency", picture=tmp_path / "picture.svg", rows=1)
    whole, tags = finding.examples
    assert [(part.output, part.input, len(part.symbols)) for part in whole.inputs] == [("y", "s", 3), ("y", "k", 1)]
    assert [(part.output, part.symbols) for part in tags.inputs] == [("t", ["x", "y"])]
    for example in finding.examples:
        change = example.log_probability - example.without
        assert sum(sum(part.gradients) for part in example.inputs) == pytest.approx(change, abs=1e-3)
    assert "rests most on" in (tmp_path / "picture.svg").read_text()


def test_its_laws_hold_and_what_reads_no_steps_is_refused():
    laws.run("probes", "saliency", tried={"tolerance": [1e-7], "points": [3]})
    plain = {"type": "text", "tokenizer": "char", "encoder": {"type": "prior"}}
    built = ostinato.Model({"x": plain}, {"y": "category"}, training={"epochs": 1})
    built.fit([{"x": "ab" * (1 + at % 2), "y": "uv"[at % 2]} for at in range(12)], device="cpu")
    with pytest.raises(ConfigError, match="give it text, tokens or a series, read by a recurrent"):
        api.probe(built.run, "saliency", split="valid", data=[{"x": "ab", "y": "u"}])


WORDS = "alpha beta gamma delta house tree".split()


@pytest.fixture(scope="module")
def decided():
    """Reads words by a small net, by its n-grams, and by n-grams of letters beside it."""
    draw = np.random.default_rng(1)
    rows = []
    for at in range(48):
        words = list(draw.choice(WORDS, 5))
        words[draw.integers(5)] = ("stock", "goal")[at % 2]
        rows.append({"text": " ".join(words), "topic": "ms"[at % 2]})
    net = {"type": "text", "tokenizer": "word", "encoder": {"hidden_size": 2}}
    grams = {"type": "text", "column": "text", "tokenizer": "char", "encoder": {"type": "ngrams"}}
    built = ostinato.Model({"text": net, "grams": grams}, {"topic": "category"}, training={"epochs": 1})
    return built.fit(rows, device="cpu"), rows


def test_the_word_that_decides_by_its_n_grams_ranks_first(decided):
    model, rows = decided
    finding = api.probe(model.run, "saliency", data=rows[:4], split="valid")
    for example, row in zip(finding.examples, rows):
        parts = {part.input: part for part in example.inputs}
        assert set(parts) == {"text", "grams", "text_ngrams"}
        assert "".join(parts["grams"].symbols).replace("\u2581", " ") == row["text"]
        for part in (parts["grams"], parts["text_ngrams"]):
            for values in (part.gradients, part.occlusion):
                assert part.symbols[int(np.argmax(values))] == {"m": "stock", "s": "goal"}[row["topic"]]
        change = example.log_probability - example.without
        assert sum(sum(part.gradients) for part in example.inputs) == pytest.approx(change, abs=1e-3)
        shares = dict(zip(model.classes_, model.predict_proba([row])[0]))
        assert example.log_probability == pytest.approx(np.log(shares[row["topic"]]), abs=1e-4)
    assert "rests most on grams: 'stock'" in finding.title and "Not explained" not in finding.lines()[-1]


def test_what_a_model_counts_beside_them_is_named():
    part = Attribution("t", "w", ["a", "b"], [1.0, 0.5], [1.0, 0.5], None)
    finding = SaliencyFinding([Answered("np", -1.0, -2.5, 0.0, [part], 9, 1e-3, ["w_features"])])
    assert finding.title.endswith("'a' +1, 'b' +0.5 (nats); not explained: w_features")
    assert finding.lines()[-1] == "Not explained, since no steps share it: what the model reads in w_features of t."


def test_attributions_that_do_not_add_up_are_named():
    part = Attribution("y", "s", ["a", "b"], [60.0, -58.0], [0.1, 0.2], None)
    exact, wrong = (SaliencyFinding([Answered("np", -1.0, -3.0, error, [part], 9, 1e-3)]) for error in (1e-3, 0.19))
    assert not exact.misses and "not to be trusted" not in exact.title
    assert wrong.title.endswith("; not to be trusted: their sum misses the difference of log p by 0.19")
    long = SaliencyFinding([Answered("O " * 30, -1.0, -3.0, 0.0, [part], 9, 1e-3)])
    assert exact.title.startswith("'np' rests most on") and long.title.startswith("y of 'ab' rests most on")


def test_steps_of_the_same_symbol_are_told_apart_and_the_input_is_named():
    def part(name, symbols, gradients):
        return Attribution("y", name, symbols, gradients, gradients, None)

    inputs = [part("promo", ["0", "1", "1", "2"], [0.0, 0.3, 0.1, 0.2]), part("sales", ["5"], [0.01])]
    assert inputs[0].top() == "'1' (step 2) +0.3, '2' +0.2, '1' (step 3) +0.1"
    answered = Answered("7", -1.0, -2.0, 0.0, inputs, 8, 1e-3)
    assert SaliencyFinding([answered]).title.startswith("'7' rests most on promo: '1' (step 2)")
