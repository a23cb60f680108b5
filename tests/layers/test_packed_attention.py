"""Attention of packed sequences by torch's kernels: what they are asked for, and why they are not. On a GPU:
tests/test_gpu.py."""

import pytest
import torch
from torch.nn import functional

from ostinato.layers import packed_attention
from ostinato.layers.ragged_attention import Groups, Sight
from ostinato.steps import Layout

LENGTHS = [3, 1, 6, 4]
SIGHTS = [Sight(), Sight(True), Sight(True, 3), Sight(False, 2)]


def by_definition(query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, *, window_size=(-1, -1)):
    """As torch.nn.attention.varlen.varlen_attn is documented, a sequence at a time."""
    assert (max_q, max_k) == (max(LENGTHS), max(LENGTHS)) and cu_seq_q.dtype == cu_seq_k.dtype == torch.int32
    contexts = []
    for begin, end in zip(cu_seq_q.tolist(), cu_seq_q.tolist()[1:]):
        parts = [part[begin:end].transpose(0, 1) for part in (query, key, value)]
        apart = torch.arange(end - begin)[:, None] - torch.arange(end - begin)
        left, right = (max_q if width < 0 else width for width in window_size)
        mask = (apart <= left) & (-apart <= right)
        contexts.append(functional.scaled_dot_product_attention(*parts, attn_mask=mask).transpose(0, 1))
    return torch.cat(contexts)


@pytest.mark.parametrize("kv_heads", [4, 2])
@pytest.mark.parametrize("sight", SIGHTS, ids=str)
def test_torchs_function_is_asked_for_what_groups_compute(monkeypatch, sight, kv_heads):
    torch.manual_seed(0)
    layout = Layout(LENGTHS)
    query, key, value = torch.randn(layout.total, 4 + 2 * kv_heads, 8).split((4, kv_heads, kv_heads), 1)
    groups = Groups(layout, layout, sight, 32)
    expected = groups.attend(query, key, value)
    monkeypatch.setattr(packed_attention, "obstacle", lambda *_, **__: None)
    monkeypatch.setattr(packed_attention, "_function", lambda: by_definition)
    monkeypatch.setattr(packed_attention, "_has_windows", lambda: True)
    torch.testing.assert_close(groups.attend(query, key, value), expected)


def test_an_obstacle_is_named(monkeypatch):
    layout, options = Layout(LENGTHS), {"causal": False, "window": None, "slopes": False, "dropout": 0.0}
    query = torch.zeros(layout.total, 2, 8)
    assert packed_attention.obstacle(query, layout, layout, **options) == "the kernels run on CUDA, this is on cpu"


def test_a_gradient_is_strictly_repeatable_where_torch_only_warns():
    modes = []

    class Watched(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x.sin()

        @staticmethod
        def backward(ctx, gradient):
            modes.append(torch.get_deterministic_debug_mode())
            return gradient * ctx.saved_tensors[0].cos()

    leaf = torch.arange(3.0, requires_grad=True)
    for mode in (0, 1):
        torch.set_deterministic_debug_mode(mode)
        try:
            packed_attention.repeatable(lambda x, y: Watched.apply(x) * y, leaf, torch.ones(3)).sum().backward()
            assert torch.get_deterministic_debug_mode() == mode
        finally:
            torch.set_deterministic_debug_mode(0)
    assert modes == [0, 2]
    torch.testing.assert_close(leaf.grad, 2 * leaf.detach().cos())
