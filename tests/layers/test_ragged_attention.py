"""Attention within windows: blocks of queries see what whole sequences see."""

import pytest
import torch

from ostinato.layers import ragged_attention as module
from ostinato.layers.ragged_attention import Groups, Sight
from ostinato.steps import Layout

WINDOW, HEADS, WIDTH = 6, 4, 8


def contexts_and_gradients(lengths, sight):
    torch.manual_seed(0)
    layout = Layout(lengths)
    parts = [torch.randn(layout.total, heads, WIDTH, dtype=torch.float64) for heads in (HEADS, 2, 2)]
    given = torch.randn(layout.total, HEADS, WIDTH, dtype=torch.float64)
    groups = Groups(layout, layout, sight, HEADS * WIDTH)
    contexts = groups.attend(*(part.requires_grad_() for part in parts))
    return groups, [contexts, *torch.autograd.grad(contexts, parts, given)]


@pytest.mark.parametrize("slopes", [None, torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)])
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("lengths", [[37, 5, 0, 64, 12, 24], [40, 40], [100], [13, 1]])
def test_blocks_see_what_whole_sequences_see(lengths, causal, slopes, monkeypatch):
    sight = Sight(causal, WINDOW, slopes)
    monkeypatch.setattr(module, "FEWER", 1e9)
    whole, expected = contexts_and_gradients(lengths, sight)
    monkeypatch.setattr(module, "FEWER", 0.1)
    blocks, found = contexts_and_gradients(lengths, sight)
    assert blocks.blocks and not whole.blocks
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_blocks_are_cut_where_the_window_is_short_and_steps_attend_to_their_own_sequence():
    long, short = Layout([8 * WINDOW, 3]), Layout([WINDOW, 3])
    sight = Sight(True, WINDOW)
    assert Groups(long, long, sight, 8).blocks and not Groups(short, short, sight, 8).blocks
    assert not Groups(long, long, Sight(True), 8).blocks
    assert not Groups(long, Layout([48, 4]), sight, 8).blocks


def test_weights_are_shown_of_blocks_too(monkeypatch):
    layout, sight = Layout([30, 7]), Sight(True, WINDOW)
    query, key = torch.randn(37, HEADS, WIDTH), torch.randn(37, HEADS, WIDTH)
    shown = []
    for fewer in (1e9, 0.1):
        monkeypatch.setattr(module, "FEWER", fewer)
        shown.append(Groups(layout, layout, sight, 32)._shown(query, key, torch.nn.Identity(), None).weights)
    torch.testing.assert_close(*shown)
    assert torch.equal(shown[1][29, 0].nonzero().flatten(), torch.arange(24, 30))
