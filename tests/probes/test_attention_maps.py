"""What heads attend to: weights by hand, means of entropy and distance, and no hook is left."""

import numpy as np
import pytest
import torch

from ostinato.errors import ConfigError
from ostinato.layers.transformer import SelfAttention
from ostinato.probes.kinds.attention_maps import AttentionMaps
from ostinato.testing import laws
from ostinato.testing.probes import TEXTS, subject_of

TRANSFORMER = {
    "type": "transformer",
    "hidden_size": 8,
    "heads": 2,
    "layers": 2,
    "block": "vaswani2017",
}


def test_maps_are_causal_weights_and_means_are_as_defined():
    model = subject_of(TRANSFORMER)
    heads = AttentionMaps().look(model).heads
    assert [(head.layer, head.head) for head in heads] == [(1, 1), (1, 2), (2, 1), (2, 2)]
    for head in heads:
        weights = np.array(head.weights)
        assert (
            head.symbols == ["begin", *TEXTS[0]]
            and weights.shape == (6, 6)
            and np.allclose(weights.sum(1), 1, atol=1e-5)
            and not np.triu(weights, 1).any()
        )
    layers = [module for module in model.graph.modules() if isinstance(module, SelfAttention)]
    for layer in layers:
        assert not layer._forward_pre_hooks
        with torch.no_grad():
            layer.queries_keys_values.weight.zero_()
            layer.queries_keys_values.bias.zero_()
    # Each of t steps has the weight 1 / t.
    seen = np.concatenate([np.arange(1, len(text) + 2) for text in TEXTS])
    for head in AttentionMaps(map_steps=3).look(model).heads:
        assert np.allclose(head.weights, [[1, 0, 0], [1 / 2, 1 / 2, 0], [1 / 3, 1 / 3, 1 / 3]], atol=1e-6)
        assert np.isclose(head.entropy, np.log2(seen).mean()) and np.isclose(head.distance, ((seen - 1) / 2).mean())
        assert np.isclose(head.itself, (1 / seen).mean())


def test_weights_are_those_of_the_softmax_of_queries_and_keys():
    model = subject_of({**TRANSFORMER, "layers": 1}, ["abcde"])
    (layer,) = [module for module in model.graph.modules() if isinstance(module, SelfAttention)]
    read = []
    layer.queries_keys_values.register_forward_hook(lambda module, x, y: read.append(y))
    layer.register_forward_pre_hook(lambda module, arguments: read.append(arguments[0]))
    first, second = AttentionMaps().look(model).heads
    x = next(part for part in read if part.shape[1] == 8)
    query, key, _ = (x @ layer.queries_keys_values.weight.T + layer.queries_keys_values.bias).chunk(3, 1)
    for number, head in enumerate((first, second)):
        own = slice(4 * number, 4 * number + 4)
        scores = (query[:, own] @ key[:, own].T / 2).masked_fill(torch.ones(6, 6).triu(1).bool(), -torch.inf)
        assert np.allclose(head.weights, scores.softmax(1), atol=1e-5)
        assert np.isclose(head.itself, scores.softmax(1).diagonal().mean(), atol=1e-5)


def test_laws_and_a_model_without_attention():
    laws.run("probes", "attention_maps", tried={"map_steps": [2]})
    with pytest.raises(ConfigError, match="no part of this model has self-attention to look at"):
        AttentionMaps().look(subject_of({"cell": "gru", "hidden_size": 4}))
