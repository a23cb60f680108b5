"""Attention over a batch: pieces, empty memories, and the memory itself."""

import pytest
import torch
from torch.utils import _pytree

from ostinato.attentions.additive import Additive
from ostinato.attentions.location import Location
from ostinato.layers import attend as module
from ostinato.layers.attend import Memory, attend
from ostinato.steps import Layout, Steps
from ostinato.testing.attentions import batch


@pytest.fixture
def small_pieces(monkeypatch):
    monkeypatch.setitem(module._PIECE, "cpu", 5 * 5 * 6 * 2)


@pytest.mark.parametrize("kind", [Additive, Location])
def test_pieces_change_neither_numbers_nor_gradients(kind, monkeypatch):
    attention = kind(6, 4).double()
    results = []
    for limit in (10**9, 5 * 5 * 6 * 2, 1):
        monkeypatch.setitem(module._PIECE, "cpu", limit)
        query, memory, previous = batch((6, 4), 5, seed=0, dtype=torch.float64)
        query.requires_grad_()
        values = memory.values.clone().requires_grad_()
        context, weights = Memory.of(attention, Steps(values, memory.layout)).attend(attention, query, previous)
        attention.zero_grad()
        (context.square().sum() + (weights * torch.arange(5)).sum()).backward()
        results.append(
            [context, weights, query.grad, values.grad, *(one.grad.clone() for one in attention.parameters())]
        )
    for others in results[1:]:
        for one, other in zip(results[0], others):
            torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_while_training_no_piece_is_kept_for_its_gradient(small_pieces):
    attention = Additive(6, 4)
    query, memory, _ = batch((6, 4), 8, seed=0)
    kept = Memory.of(attention, memory)
    largest = []

    def note(tensor):
        largest.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        kept.attend(attention, query.requires_grad_())
    assert max(largest) < 5 * 5 * 6 * 2


@pytest.mark.filterwarnings("ignore:Anomaly Detection")
def test_examples_without_steps_have_no_weights_no_context_and_finite_gradients():
    attention = Additive(3, 2)
    layout = Layout([0, 2, 0])
    values, query = torch.randn(2, 2, requires_grad=True), torch.randn(3, 4, 3, requires_grad=True)
    with torch.autograd.detect_anomaly():
        context, weights = Memory.of(attention, Steps(values, layout)).attend(attention, query)
        assert not context[0].any() and not weights[0].any() and context[1].any()
        (context.sum() + (weights * torch.arange(2)).sum()).backward()
    for tensor in (query, values, *attention.parameters()):
        assert tensor.grad.isfinite().all()
    assert not query.grad[0].any() and query.grad[1].any()


@pytest.mark.parametrize("kind", [Additive, Location])
def test_a_batch_without_any_step_has_empty_weights_and_no_context(kind):
    attention = kind(3, 2)
    memory = Memory.of(attention, Steps(torch.randn(0, 2), Layout([0, 0])))
    context, weights = memory.attend(attention, torch.randn(2, 4, 3), torch.zeros(2, 4, 0))
    assert context.shape == (2, 4, 2) and weights.shape == (2, 4, 0) and not context.any()
    context, weights = memory.attend_rows(attention, torch.randn(4, 3), torch.tensor([0, 0, 1, 1]))
    assert context.shape == (4, 2) and weights.shape == (4, 0)


def test_weights_of_examples_without_steps_pass_no_gradient_to_padding():
    attention = Additive(3, 2)
    padded = torch.randn(2, 4, 2, requires_grad=True)
    query = torch.randn(2, 1, 3)
    context, weights = attend(attention, query, attention.prepare(padded), padded, Layout([0, 3]))
    (context.sum() + (weights * torch.arange(4)).sum()).backward()
    assert not padded.grad[0].any() and not padded.grad[1, 3].any() and padded.grad[1, :3].any()


def test_a_memory_is_taken_apart_by_rows_and_keeps_its_width():
    attention = Additive(3, 2)
    memory = Memory.of(attention, Steps(torch.randn(6, 2), Layout([1, 3, 2])))
    taken = memory.take(torch.tensor([2, 0]))
    assert taken.values.shape == (2, 3, 2) and taken.layout == Layout([2, 1])
    query = torch.randn(3, 1, 3)
    whole, weights = memory.attend(attention, query)
    for part, rows in ((taken, [2, 0]), (memory.first(2), [0, 1])):
        context, looks = part.attend(attention, query[rows])
        torch.testing.assert_close(context, whole[rows])
        torch.testing.assert_close(looks, weights[rows])
    assert memory.first(2).values.data_ptr() == memory.values.data_ptr()


def test_a_beam_reads_the_memory_in_place_and_some_examples_are_copied_once():
    memory = Memory(torch.randn(3, 2, 4), torch.randn(3, 2, 4), Layout([2, 2, 1]))
    assert memory.grouped(torch.tensor([0, 0, 1, 1, 2, 2])) == (memory, 2)
    assert memory.grouped(torch.arange(3)) == (memory, 1)
    part, width = memory.grouped(torch.tensor([1, 1, 1, 2, 2, 2]))
    assert width == 3 and torch.equal(part.values, memory.values[1:])
    part, width = memory.grouped(torch.tensor([1, 1, 2]))
    assert width == 1 and torch.equal(part.values, memory.values[[1, 1, 2]])


def test_a_memory_passes_through_a_pytree():
    memory = Memory(torch.randn(3, 2, 4), torch.randn(3, 2, 5), Layout([2, 2, 1]))
    leaves, spec = _pytree.tree_flatten(memory)
    again = _pytree.tree_unflatten(leaves, spec)
    assert len(leaves) == 3 and torch.equal(again.keys, memory.keys) and again.layout == memory.layout


def test_half_precision_memories_give_half_precision_contexts():
    attention = Additive(3, 2).bfloat16()
    memory = Memory.of(attention, Steps(torch.randn(6, 2).bfloat16(), Layout([1, 3, 2])))
    context, weights = memory.attend(attention, torch.randn(3, 2, 3).bfloat16())
    assert context.dtype == torch.bfloat16 and weights.isfinite().all()
