"""What heads attend to: weights by hand, means by their definition, every kind of attention, and those of answers."""

import numpy as np
import pytest
import torch

import ostinato
from ostinato import api
from ostinato.errors import ConfigError
from ostinato.layers.transformer import SelfAttention
from ostinato.probes.kinds.attention_maps import AttentionMaps
from ostinato.probes.probe import subject_of as subject_of_run
from ostinato.run import rows as row_sources
from ostinato.run.predict import answers
from ostinato.testing import laws
from ostinato.testing.probes import TEXTS, subject_of

TRANSFORMER = {
    "type": "transformer",
    "hidden_size": 8,
    "heads": 2,
    "layers": 2,
    "block": "vaswani2017",
}
RECURRENT = {"hidden_size": 6, "layers": 1}
READ, ALSO = {"type": "text", "tokenizer": "char"}, {"type": "tokens"}
ROWS = [{"a": text, "b": [*text, "x"], "y": text[::-1], "long": "yes" if len(text) > 4 else "no"} for text in TEXTS]


def test_maps_are_causal_weights_and_means_are_as_defined():
    model = subject_of(TRANSFORMER)
    heads = AttentionMaps().look(model).heads
    assert [(head.layer, head.head) for head in heads] == [(1, 1), (1, 2), (2, 1), (2, 2)]
    for head in heads:
        weights = np.array(head.weights)
        assert (
            head.queries == head.keys == ["begin", *TEXTS[0]]
            and weights.shape == (6, 6)
            and np.allclose(weights.sum(1), 1, atol=1e-5)
            and not np.triu(weights, 1).any()
        )
    layers = [module for module in model.graph.modules() if isinstance(module, SelfAttention)]
    for layer in layers:
        with torch.no_grad():
            layer.queries_keys_values.weight.zero_()
            layer.queries_keys_values.bias.zero_()
    # Each of t steps has the weight 1 / t.
    seen = np.concatenate([np.arange(1, len(text) + 2) for text in TEXTS])
    for head in AttentionMaps(map_steps=3).look(model).heads:
        assert np.allclose(head.weights, [[1, 0, 0], [1 / 2, 1 / 2, 0], [1 / 3, 1 / 3, 1 / 3]], atol=1e-6)
        assert np.isclose(head.entropy, np.log2(seen).mean()) and np.isclose(head.distance, ((seen - 1) / 2).mean())
        assert np.isclose(head.itself, (1 / seen).mean()) and np.isclose(head.focus, head.itself)
        assert np.isclose(head.normalized_entropy, 1)


def test_weights_are_those_of_the_softmax_of_queries_and_keys():
    model = subject_of({**TRANSFORMER, "layers": 1}, ["abcde"])
    (layer,) = [module for module in model.graph.modules() if isinstance(module, SelfAttention)]
    read = []
    layer.register_forward_pre_hook(lambda module, arguments: read.append(arguments[0]))
    first, second = AttentionMaps().look(model).heads
    query, key, _ = (read[0] @ layer.queries_keys_values.weight.T + layer.queries_keys_values.bias).chunk(3, 1)
    for number, head in enumerate((first, second)):
        own = slice(4 * number, 4 * number + 4)
        scores = (query[:, own] @ key[:, own].T / 2).masked_fill(torch.ones(6, 6).triu(1).bool(), -torch.inf)
        assert np.allclose(head.weights, scores.softmax(1), atol=1e-5)
        assert np.isclose(head.itself, scores.softmax(1).diagonal().mean(), atol=1e-5)


def trained(inputs, outputs, **settings):
    model = ostinato.Model(inputs=inputs, outputs=outputs, training={"epochs": 1, "batch_rows": 4}, **settings)
    model.fit(ROWS, ROWS, verbose=0)
    return model.run


def finding_of(run):
    return api.probe(run, "attention_maps", data=ROWS)


def shares(heads):
    """Maps whose rows sum to 1 and have a name for each step."""
    for head in heads:
        weights = np.array(head.weights)
        assert np.allclose(weights.sum(1), 1, atol=1e-5) and (weights >= 0).all(), head
        assert weights.shape == (len(head.queries), len(head.keys)), head
    return [(head.place, head.kind, head.to, head.layer) for head in heads if head.head == 1]


DECODERS = (
    {"type": "transformer", "hidden_size": 8, "heads": 2, "layers": 2},
    {**RECURRENT, "attention": "additive"},
    {**RECURRENT, "attention": "location", "cell": "gru", "input_feeding": True},
    {**RECURRENT, "attention": "general", "context": "before"},
    {**RECURRENT, "attention": "gaussian", "context": "before"},
)


@pytest.mark.parametrize("decoder", DECODERS, ids=lambda decoder: decoder.get("attention", "transformer"))
def test_a_decoder_attends_to_its_source_as_its_answers_do(decoder):
    encoder = {**RECURRENT, "embedding_size": 4}
    run = trained({"a": {**READ, "encoder": encoder}}, {"y": {**READ, "head": {"decoder": decoder}}}, search="greedy")
    heads = [head for head in finding_of(run).heads if head.kind == "cross-attention"]
    layers = decoder["layers"]
    assert shares(heads) == [("outputs.y.head", "cross-attention", "inputs.a", layer + 1) for layer in range(layers)]
    assert heads[0].queries == [*TEXTS[0][::-1], "end"] and heads[0].keys == [*TEXTS[0]]
    # Where the target is the answer, the maps are those of the answer: the mean over the heads of the top layer.
    answer = answers([run], [{"inputs.a": "abcde"}], attention=True)[0]["y"][0]
    read = row_sources.of_split(run, "data", [{"a": "abcde", "y": answer.value}], ())
    heads = AttentionMaps().look(subject_of_run(run, read, rows=1, steps=256)).heads
    top = [head.weights for head in heads if head.kind == "cross-attention" and head.layer == layers]
    own = np.asarray(answer.attention)
    assert len(own) and np.allclose(np.mean(top, 0)[: len(own)], own, atol=1e-5)


def test_every_part_that_attends_is_shown():
    encoder = {**RECURRENT, "embedding_size": 4}
    inputs = {"a": {**READ, "encoder": encoder}, "b": {**ALSO, "encoder": encoder}}
    join = {"type": "attend", "hops": 2}
    run = trained(inputs, {"long": {"type": "category", "reads": ["a", "b"], "join": join}})
    finding = finding_of(run)
    assert shares(finding.heads) == [
        ("outputs.long.join", "cross-attention", "inputs.b", 1),
        ("outputs.long.join", "cross-attention", "inputs.b", 2),
    ]
    first = finding.heads[0]
    assert first.queries == ["summary", *TEXTS[0]] and first.keys == [*TEXTS[0], "x"] and first.distance is None
    run = trained(inputs, {"long": {"type": "category", "head": {"pool": "attention"}}})
    finding = finding_of(run)
    assert shares(finding.heads) == [("outputs.long.head", "pooling", f"inputs.{name}", 1) for name in "ab"]
    assert finding.heads[0].queries == ["summary"] and "looks farthest" not in finding.title
    copying = {"decoder": {**RECURRENT, "attention": "none"}, "copy": True}
    target = {"type": "text", "tokenizer": {"same_as": "a"}, "head": copying}
    finding = finding_of(trained({"a": inputs["a"]}, {"y": target}))
    assert shares(finding.heads) == [("outputs.y.head", "copying", "inputs.a", 1)]
    assert finding.title.startswith("outputs.y.head attends to inputs.a with an entropy of")
    both = {"decoder": {**RECURRENT, "attention": "general"}}
    finding = finding_of(trained(inputs, {"y": {**READ, "head": both}}))
    assert shares(finding.heads) == [("outputs.y.head", "cross-attention", f"inputs.{name}", 1) for name in "ab"]
    assert finding.title.startswith("In cross-attention, head 1 of layer 1 on inputs.")


def test_laws_and_a_model_without_attention():
    laws.run("probes", "attention_maps", tried={"map_steps": [2]})
    with pytest.raises(ConfigError, match="no part of this model shows what it attends to"):
        AttentionMaps().look(subject_of({"cell": "gru", "hidden_size": 4}))
