"""What a layer's message recommends to whoever calls it, followed."""

import pytest
import torch

from ostinato.encoders.contract import Encoded
from ostinato.errors import ConfigError
from ostinato.layers.embedding import Embedding, Vectors
from ostinato.layers.pooling import Pooling
from ostinato.modalities.contract import Symbols
from ostinato.steps import Layout, Steps


def test_a_pooling_that_the_advice_names_is_computed():
    steps, summary = Steps(torch.ones(3, 4), Layout([1, 2])), torch.ones(2, 4)
    with pytest.raises(ValueError, match="this input gives no summary; choose mean, max or attention"):
        Pooling("last", 4)(Encoded(steps, None, None))
    for kind in ("mean", "max", "attention"):
        assert Pooling(kind, 4)(Encoded(steps, None, None)).shape == (2, 4)
    with pytest.raises(ValueError, match="this input gives no steps; choose last"):
        Pooling("mean", 4)(Encoded(None, summary, None))
    assert Pooling("last", 4)(Encoded(None, summary, None)).shape == (2, 4)


def test_an_embedding_of_vectors_has_the_size_that_the_advice_asks_for():
    spec, vectors = Symbols(9, 0, 1, 2), Vectors(file="v.txt")
    with pytest.raises(ConfigError, match="embedding_size is that of the vectors, which .* the file; give it here"):
        Embedding(spec, None, kind=vectors)
    assert Embedding(spec, 5, kind=vectors).size == 5
