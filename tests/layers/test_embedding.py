"""Embeddings and dropout on packed steps."""

import pytest
import torch

from ostinato.errors import ConfigError
from ostinato.layers.dropout import Dropout
from ostinato.layers.embedding import Embedding, Vectors
from ostinato.modalities.contract import MISSING, Labels, Symbols, Values
from ostinato.steps import Layout, Steps

SYMBOLS = Symbols(7, 0, 1, 2)


def test_learnt_symbols_are_rows_of_a_table():
    embedding = Embedding(SYMBOLS, 5)
    steps = Steps(torch.tensor([3, 6, 3]), Layout([2, 1]))
    found = embedding(steps)
    assert found.layout is steps.layout
    assert torch.equal(found.values, embedding.learnt.weight[[3, 6, 3]])


@pytest.mark.parametrize("size", [7, 3000])
def test_rows_and_their_gradient_are_torchs_to_the_bit(size):
    torch.manual_seed(size)
    embedding, numbers = Embedding(Symbols(size, 0, 1, 2), 33), torch.randint(0, size, (4000,))
    found = embedding(Steps(numbers, Layout([4000]))).values
    known = torch.nn.functional.embedding(numbers, embedding.learnt.weight)
    wanted = torch.randn_like(found)
    assert torch.equal(found, known)
    gradients = [torch.autograd.grad(one, embedding.learnt.weight, wanted)[0] for one in (found, known)]
    assert torch.equal(*gradients) and gradients[0].any()


def test_one_hot_symbols_have_no_parameters_and_follow_the_modules_type():
    embedding = Embedding(SYMBOLS, None, kind="one_hot").double()
    assert embedding.size == 7 and not list(embedding.parameters()) and not embedding.state_dict()
    found = embedding(Steps(torch.tensor([3, 6], dtype=torch.int32), Layout([2])))
    assert torch.equal(found.values, torch.eye(7, dtype=torch.float64)[[3, 6]])


def test_values_are_projected_in_the_modules_type():
    embedding = Embedding(Values(3), 5).double()
    x = torch.randn(4, 3)
    found = embedding(Steps(x, Layout([4])))
    torch.testing.assert_close(found.values, x.double() @ embedding.learnt.weight.T + embedding.learnt.bias)


def test_impossible_one_hots_are_refused():
    with pytest.raises(ConfigError, match="real numbers"):
        Embedding(Values(3), None, kind="one_hot")
    with pytest.raises(ConfigError, match="embedding_size: 5 .* as wide as there are symbols .7."):
        Embedding(SYMBOLS, 5, kind="one_hot")


def test_variational_dropout_has_one_mask_per_sequence_and_plain_dropout_one_per_step():
    torch.manual_seed(0)
    steps = Steps(torch.ones(30, 400), Layout([10, 0, 20]))
    for variational, masks in ((True, 2), (False, 30)):
        dropped = Dropout(0.25, variational=variational)(steps).values
        assert len(dropped.unique(dim=0)) == masks
        assert dropped.unique().tolist() == [0.0, pytest.approx(4 / 3)]
        assert (dropped == 0).float().mean() == pytest.approx(0.25, abs=0.05)


def test_dropout_does_nothing_in_evaluation_or_at_rate_zero():
    steps = Steps(torch.ones(3, 4), Layout([3]))
    assert Dropout(0.5).eval()(steps) is steps
    assert Dropout(0.0)(steps) is steps


def test_it_starts_from_vectors_of_its_own_shape_and_is_frozen_where_that_is_said():
    given = torch.randn(7, 5)
    for frozen in (False, True):
        embedding = Embedding(SYMBOLS, 5, kind=Vectors(file="v.txt", frozen=frozen))
        embedding.start_from(given)
        assert torch.equal(embedding.learnt.weight, given) and embedding.learnt.weight.requires_grad is not frozen
    with pytest.raises(ValueError, match="shape .7, 4. do not fit an embedding of shape .7, 5."):
        embedding.start_from(given[:, :4])


def test_vectors_need_symbols_and_their_width():
    with pytest.raises(ConfigError, match="v.txt: the steps of this input are no words; allowed here: learnt"):
        Embedding(Values(3), 5, kind=Vectors(file="v.txt"))
    with pytest.raises(ConfigError, match="v.txt: embedding_size is that of the vectors"):
        Embedding(SYMBOLS, None, kind=Vectors(file="v.txt"))


def test_rare_symbols_are_read_as_unknown_in_training_by_their_counts():
    torch.manual_seed(0)
    spec = Symbols(6, 0, 1, 2, counts=(0, 0, 0, 99, 3, 1))
    embedding = Embedding(spec, 4, rare_word_dropout=1.0)
    numbers = torch.tensor([3, 4, 5]).repeat(4000)
    found = embedding(Steps(numbers, Layout([len(numbers)]))).values
    unknown = (found == embedding.learnt.weight[2]).all(1)
    assert torch.equal(found[~unknown], embedding.learnt.weight[numbers[~unknown]])
    for number, share in ((3, 0.01), (4, 0.25), (5, 0.5)):
        assert abs(float(unknown[numbers == number].float().mean()) - share) < 0.03
    read = embedding.eval()(Steps(numbers, Layout([len(numbers)]))).values
    assert torch.equal(read, embedding.learnt.weight[numbers]) and "read_as_unknown" not in embedding.state_dict()


def test_a_rare_symbol_read_as_unknown_keeps_its_characters():
    torch.manual_seed(0)
    spec = Symbols(4, 0, 1, 2, characters=4, longest=2, counts=(0, 0, 0, 1))
    embedding = Embedding(spec, 3, rare_word_dropout=1e9)
    steps = Steps(torch.tensor([[3, 2, 3]]), Layout([1]))
    known = Embedding.forward(embedding.eval(), steps).values
    found = embedding.train()(steps).values
    assert torch.equal(found[:, :3], embedding.learnt.weight[[2]]) and torch.equal(found[:, 3:], known[:, 3:])


@pytest.mark.parametrize("spec", [SYMBOLS, Values(3), Symbols(4, 0, 1, 2, counts=(0, 0, 0, 0))])
def test_symbols_that_nobody_counted_are_not_dropped_by_their_counts(spec):
    with pytest.raises(ConfigError, match="rare_word_dropout: needs the counts"):
        Embedding(spec, 4, rare_word_dropout=0.25)


def test_filters_over_characters_have_a_number_and_a_width():
    spec = Symbols(4, 0, 1, 2, characters=5, longest=3)
    embedding = Embedding(spec, 3, character_size=7, character_width=5)
    assert embedding.size == 10 and embedding.characters.filters.weight.shape == (7, 30, 5)
    with pytest.raises(ConfigError, match="character_width: 4: a filter of an even width has no middle; set 5, or 3"):
        Embedding(spec, 3, character_width=4)
    with pytest.raises(ConfigError, match="character_size: the steps of this input come without characters"):
        Embedding(SYMBOLS, 3, character_size=7)


def test_a_uniform_table_has_the_variance_of_its_width():
    torch.manual_seed(0)
    table = Embedding(Symbols(400, 0, 1, 2), 75, init="uniform").learnt.weight.detach()
    assert table.abs().max() <= 0.2 and abs(float(table.var()) - 1 / 75) < 1e-3
    for spec, kind in ((SYMBOLS, "one_hot"), (Values(3), "learnt")):
        with pytest.raises(ConfigError, match="embedding_init: uniform: the steps of this input have"):
            Embedding(spec, None, kind=kind, init="uniform")


def test_rare_labels_are_read_as_unknown_in_training_now_and_then():
    embedding = Embedding(Labels(2, counts=(1, 300)), 3, rare_word_dropout=1.0)
    steps = Steps(torch.tensor([0, 1] * 200), Layout([1] * 400))
    unknown = (embedding(steps).values == 0).all(1).view(200, 2).double().mean(0)
    assert 0.4 < unknown[0] < 0.6 and unknown[1] < 0.05
    assert (embedding.eval()(steps).values != 0).all()
    nobody = embedding(steps.with_values(torch.full((400,), MISSING))).values
    assert not nobody.any(), "an unknown label is zeros, as one that was dropped"


def test_added_words_have_the_vectors_of_the_file_and_no_update_moves_them():
    torch.manual_seed(0)
    spec = Symbols(6, 0, 1, 2, counts=(0, 0, 0, 99), added=2)
    embedding = Embedding(spec, 3, kind=Vectors(file="v.txt", extend=True), rare_word_dropout=1.0)
    given, added = torch.randn(4, 3), torch.randn(2, 3)
    embedding.start_from(given, added)
    assert [weight.shape for weight in embedding.parameters()] == [(4, 3)] and "added" in embedding.state_dict()
    numbers = torch.tensor([4, 2, 5, 3])
    found = embedding(Steps(numbers, Layout([4]))).values
    assert torch.equal(found[[0, 2]], added), "an added word is never read as unknown"
    found.sum().backward()
    assert torch.equal(embedding.learnt.weight.grad[:2], torch.zeros(2, 3))
    assert float(embedding.learnt.weight.grad.sum()) == 6, "an added word gives no symbol of training a gradient"
    embedding.start_as_added({3: 1})
    assert torch.equal(embedding.learnt.weight[3], added[1])
    for wrong in (None, added[:1]):
        with pytest.raises(ValueError, match="shape .* do not fit an embedding of shape .2, 3."):
            embedding.start_from(given, wrong)
