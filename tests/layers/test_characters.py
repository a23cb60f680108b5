"""The vector of a word's spelling, and the embedding that has it beside the word's own."""

import pytest
import torch
from torch.nn import functional

from ostinato.errors import ConfigError
from ostinato.layers.characters import Characters
from ostinato.layers.embedding import Embedding
from ostinato.modalities.contract import MISSING, Labels, Symbols
from ostinato.steps import Layout, Steps

WORDS = torch.tensor([[3, 1, 4, 0, 0, 0], [5, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0], [2, 2, 5, 1, 3, 4]])


def made(num_characters=6, **options):
    torch.manual_seed(0)
    return Characters(num_characters, **options).double()


def by_hand(characters, word):
    spelling = [int(one) for one in word if one]
    weight, bias = characters.filters.weight, characters.filters.bias
    size, _, width = weight.shape
    if not spelling:
        return torch.zeros(size, dtype=torch.float64)
    blanks = [torch.zeros(30, dtype=torch.float64)] * (width // 2)
    e = [*blanks, *(characters.embedding.weight[one] for one in spelling), *blanks]
    scores = [sum(weight[:, :, j] @ e[k + j] for j in range(width)) + bias for k in range(len(spelling))]
    return torch.stack(scores).amax(0).tanh()


@pytest.mark.parametrize("options", [{}, {"size": 8, "width": 5}, {"width": 1}])
def test_it_computes_its_equations(options):
    characters = made(**options)
    torch.testing.assert_close(characters(WORDS), torch.stack([by_hand(characters, word) for word in WORDS]))


def test_how_far_words_are_padded_changes_nothing():
    characters = made()
    torch.nn.init.constant_(characters.filters.bias, -3.0)
    found = characters(WORDS)
    assert (found[:2] < 0).any(), "with the bias far below zero, zeros of padding would win"
    torch.testing.assert_close(characters(functional.pad(WORDS, (0, 5))), found)
    torch.testing.assert_close(characters(WORDS[:1, :3]), found[:1])


def test_the_vector_of_no_character_is_never_read():
    characters = made()
    found = characters(WORDS)
    with torch.no_grad():
        characters.embedding.weight[0] = 9.0
    assert torch.equal(characters(WORDS), found)


def test_gradients_are_right():
    characters = made(4)
    words = torch.tensor([[1, 3, 2, 0], [0, 0, 0, 0], [2, 0, 0, 0]])
    assert torch.autograd.gradcheck(lambda *_: characters(words), tuple(characters.parameters()), fast_mode=True)


def test_no_words_and_words_without_characters_are_read():
    assert made()(WORDS[:0]).shape == (0, 30)
    assert torch.equal(made()(torch.zeros_like(WORDS)), torch.zeros(4, 30, dtype=torch.float64))
    assert made()(WORDS[:, :1]).shape == (4, 30)


def test_the_embedding_has_the_spelling_beside_the_word():
    spec = Symbols(9, 0, 1, 2, characters=6, longest=6)
    steps = Steps(torch.cat([torch.tensor([[3], [4], [2], [3]]), WORDS], 1).int(), Layout([3, 1]))
    for kind, size, width in (("learnt", 5, 5), ("one_hot", None, 9)):
        embedding = Embedding(spec, size, kind=kind)
        found = embedding(steps).values
        assert found.shape == (4, embedding.size) and embedding.size == width + 30
        assert torch.equal(found[:, width:], embedding.characters(WORDS))
        table = embedding.learnt.weight if kind == "learnt" else torch.eye(9)
        assert torch.equal(found[:, :width], table[[3, 4, 2, 3]])
    with pytest.raises(ConfigError, match="as wide as there are symbols .9."):
        Embedding(spec, 39, kind="one_hot")


def test_two_words_that_nobody_knows_are_told_apart_by_their_spelling():
    spec = Symbols(9, 0, 1, 2, characters=6, longest=2)
    found = Embedding(spec, 5)(Steps(torch.tensor([[2, 3, 4], [2, 5, 0]]), Layout([2]))).values
    assert torch.equal(found[0, :5], found[1, :5]) and not torch.equal(found[0, 5:], found[1, 5:])


def test_labels_that_nobody_gave_are_zeros():
    for kind in ("learnt", "one_hot"):
        embedding = Embedding(Labels(4), None, kind=kind)
        found = embedding(Steps(torch.tensor([2, MISSING]), Layout([2]))).values
        assert found[0].any() and not found[1].any()
    several = Embedding(Labels(3, multilabel=True), 5)
    found = several(Steps(torch.tensor([[0.0, 1.0, 1.0], [float("nan")] * 3]), Layout([2]))).values
    torch.testing.assert_close(found[1], several.learnt.bias)
