"""The Transformer encoder: equal to torch's and to the papers' equations, by whatever groups; what it refuses; that it
learns."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from ostinato import registry
from ostinato.errors import DataError
from ostinato.layers import ragged_attention
from ostinato.layers.transformer import TransformerStack
from ostinato.modalities.contract import Symbols, Values
from ostinato.steps import Layout, Steps
from ostinato.testing._tools import near, trained

LENGTHS = [5, 1, 9, 0, 9, 3]
SIZE, HEADS, INNER = 12, 3, 20


def stack(causal=False, size=SIZE, **options):
    left_to_the_block = "norm norm_first feed_forward_activation feed_forward_size positions query_key_norm"
    left_to_the_block += " norm_epsilon last_norm"
    defaults = dict.fromkeys(f"{left_to_the_block} kv_heads longest window".split())
    defaults |= {"heads": HEADS, "layers": 2, "block": "modern", "dropout": 0.0}
    torch.manual_seed(0)
    made = TransformerStack(
        size, size, causal=causal, scaled=False, attention_dropout=0.0, activation_dropout=0.0, **(defaults | options)
    )
    for parameter in made.parameters():
        nn.init.normal_(parameter, 1.0 if parameter.ndim == 1 else 0.0, 0.3)
    return made.eval()


def drawn(lengths=LENGTHS, size=SIZE):
    torch.manual_seed(1)
    return Steps(torch.randn(sum(lengths), size), Layout(lengths))


def layer_by_layer(made):
    """The parameters of each layer, in the order of torch's `TransformerEncoderLayer`."""
    for layer in made.layers:
        linears = (
            layer.attention.queries_keys_values,
            layer.attention.output,
            layer.feed_forward.first,
            layer.feed_forward.second,
        )
        yield [part for module in (*linears, *layer.norms) for part in (module.weight, module.bias)]


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize(
    ("norm_first", "last_norm", "epsilon"),
    [(False, None, None), (True, None, None), (False, True, 0.1), (True, False, 0.1)],
)
def test_it_is_torchs_encoder(norm_first, last_norm, epsilon, activation, causal):
    options = {"block": "vaswani2017", "positions": "none", "feed_forward_size": INNER}
    options |= {"last_norm": last_norm, "norm_epsilon": epsilon}
    made = stack(causal, norm_first=norm_first, feed_forward_activation=activation, **options)
    has_last, epsilon = norm_first if last_norm is None else last_norm, epsilon or 1e-5
    layer = nn.TransformerEncoderLayer(
        SIZE, HEADS, INNER, 0.0, activation, layer_norm_eps=epsilon, batch_first=True, norm_first=norm_first
    )
    norm = nn.LayerNorm(SIZE, eps=epsilon) if has_last else None
    torchs = nn.TransformerEncoder(layer, 2, norm=norm, enable_nested_tensor=False).eval()
    with torch.no_grad():
        for theirs, ours in zip(torchs.layers, layer_by_layer(made), strict=True):
            for parameter, value in zip(theirs.parameters(), ours, strict=True):
                parameter.copy_(value)
        if norm is not None:
            torchs.norm.load_state_dict(made.norm.state_dict())
    steps = drawn([length for length in LENGTHS if length])
    mask = nn.Transformer.generate_square_subsequent_mask(steps.layout.longest) if causal else None
    padding = torch.zeros(steps.layout.mask.shape).masked_fill(~steps.layout.mask, -math.inf)
    expected = torchs(steps.padded(), mask, padding, is_causal=False)
    near(made(steps)[0].values, Steps.from_padded(expected, steps.layout).values, "steps of torch's encoder")


def rms(x, gain=None, epsilon=1e-6):
    normed = x / (x.square().mean(-1, keepdim=True) + epsilon).sqrt()
    return normed if gain is None else normed * gain


def turned(heads):
    """Su 2021, equation 15, with the pairs of GPT-NeoX: heads (T, A, D) times exp(i p theta)."""
    half = heads.shape[-1] // 2
    theta = 10_000 ** (-torch.arange(half) / half)
    numbers = torch.complex(heads[..., :half], heads[..., half:])
    turned = numbers * torch.polar(torch.ones(len(heads), 1, half), torch.arange(len(heads))[:, None, None] * theta)
    return torch.cat([turned.real, turned.imag], -1)


def by_hand(made, x, *, causal, window=None, alibi=False, rotary=False, gated=None, query_key_norm=False):
    """One sequence through a pre-norm stack with RMSNorm, head by head, as the papers have it."""
    for layer in made.layers:
        attention, net = layer.attention, layer.feed_forward
        heads, kv_heads = attention.heads, attention.kv_heads
        both = (rms(x, layer.norms[0].weight) @ attention.queries_keys_values.weight.T).unflatten(
            1, (-1, SIZE // heads)
        )
        q, k, v = both.split([heads, kv_heads, kv_heads], 1)
        if query_key_norm:
            q, k = rms(q) * attention.gain[:heads], rms(k) * attention.gain[heads:]
        if rotary:
            q, k = turned(q), turned(k)
        distance = torch.arange(len(x))[:, None] - torch.arange(len(x))
        hidden = torch.zeros(len(x), len(x), dtype=torch.bool)
        hidden |= (distance < 0) if causal else hidden
        hidden |= (distance.abs() >= window) if window else hidden
        contexts = []
        for head in range(heads):
            own = head // (heads // kv_heads)
            scores = q[:, head] @ k[:, own].T / math.sqrt(SIZE // heads)
            if alibi:
                scores = scores - distance.abs() * 2 ** (-8 * (head + 1) / heads)
            contexts.append(scores.masked_fill(hidden, -math.inf).softmax(1) @ v[:, own])
        x = x + torch.cat(contexts, 1) @ attention.output.weight.T
        inner = rms(x, layer.norms[1].weight) @ net.first.weight.T
        if gated:
            gate, value = inner.chunk(2, 1)
            inner = functional.silu(gate) * value
        else:
            inner = inner.relu() ** 2
        x = x + inner @ net.second.weight.T
    return rms(x, made.norm.weight)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(
    ("options", "equations"),
    [
        # A layer of Llama 2: RMSNorm, rotary positions, grouped heads, a gated net, no biases.
        (
            {"kv_heads": 1, "feed_forward_activation": "swiglu", "query_key_norm": False},
            {"rotary": True, "gated": True},
        ),
        ({}, {"rotary": True, "query_key_norm": True}),
        ({"positions": "alibi", "query_key_norm": False}, {"alibi": True}),
        ({"positions": "none", "window": 3}, {"window": 3, "query_key_norm": True}),
        (
            {"positions": "alibi", "window": 2, "heads": 6, "kv_heads": 2, "query_key_norm": False},
            {"alibi": True, "window": 2},
        ),
    ],
)
def test_it_computes_the_equations(options, equations, causal):
    made, steps = stack(causal, **options), drawn()
    for actual, x in zip(made(steps)[0].split(), steps.split(), strict=True):
        if len(x):
            near(actual, by_hand(made, x, causal=causal, **equations), "steps")


def test_sinusoids_are_those_of_the_paper():
    made = stack(block="vaswani2017", layers=1, size=6, heads=1)
    places = torch.arange(4)
    added = made._placed(torch.zeros(4, 6), places)
    for place in range(4):
        for pair in range(3):
            turn = place / 10_000 ** (2 * pair / 6)
            assert added[place, 2 * pair].item() == pytest.approx(math.sin(turn), abs=1e-6)
            assert added[place, 2 * pair + 1].item() == pytest.approx(math.cos(turn), abs=1e-6)


@pytest.mark.parametrize("options", [{}, {"window": 3}, {"positions": "alibi"}], ids=str)
@pytest.mark.parametrize("causal", [False, True])
def test_groups_of_any_size_give_the_same(monkeypatch, causal, options):
    made, steps, results = stack(causal, **options), drawn(), []
    for waste in (0, 12 * SIZE, 1 << 40):
        monkeypatch.setattr(ragged_attention, "WASTE", waste)
        leaf = steps.values.clone().requires_grad_()
        read = made(steps.with_values(leaf))[0].values
        (gradient,) = torch.autograd.grad(read.square().sum(), leaf)
        results.append((read, gradient))
    for read, gradient in results[1:]:
        near(read, results[0][0], "steps")
        near(gradient, results[0][1], "gradient")


def test_groups_hold_sequences_of_like_length(monkeypatch):
    def shapes(waste, lengths=LENGTHS):
        monkeypatch.setattr(ragged_attention, "WASTE", waste)
        layout = Layout(lengths)
        groups = ragged_attention.Groups(layout, layout, ragged_attention.Sight(), 1)
        return [group.shape for group in groups._plan[0]]

    assert shapes(0) == [(2, 9, 9), (1, 5, 5), (1, 3, 3), (1, 1, 1)]
    assert shapes(25) == [(2, 9, 9), (2, 5, 5), (1, 1, 1)]
    assert shapes(10_000) == [(5, 9, 9)]


def test_a_window_keeps_no_more_than_it_sees():
    made = stack(True, window=4)
    state = None
    for _ in range(3):
        _, state = made(drawn([5, 2, 5, 1, 5, 5]), state)
    assert state[0].shape == (6, 3, 2 * 2 * SIZE) and state[1].flatten().tolist() == [15, 6, 15, 3, 15, 15]


def test_what_learned_positions_do_not_hold_is_refused():
    encoder = registry.make(
        "encoders", "transformer", (Values(3),), {"positions": "learned", "longest": 4, "bidirectional": False}
    )
    part = Steps(torch.zeros(3, 3), Layout([3]))
    state = encoder.encode(part).state
    message = "a sequence of 6 steps, and learned positions end after 4; set longest: 6 and train anew"
    with pytest.raises(DataError, match=message):
        encoder.encode(part, state)
    with pytest.raises(DataError, match="a sequence of 9 steps"):
        encoder.encode(Steps(torch.zeros(9, 3), Layout([9])))


def test_it_learns_to_find_a_symbol_and_what_followed_it():
    """The second half of a sequence is the first once more, in which no symbol comes twice."""
    torch.manual_seed(0)
    options = {"hidden_size": 32, "layers": 2, "heads": 2, "bidirectional": False}
    encoder = registry.make("encoders", "transformer", (Symbols(23, 0, 1, 2),), options)
    head, random = nn.Linear(32, 23), torch.Generator().manual_seed(0)

    def outcome():
        lengths = torch.randint(4, 9, (32,), generator=random)
        halves = [3 + torch.randperm(20, generator=random)[: int(length)].int() for length in lengths]
        steps = Steps.of([half.repeat(2) for half in halves])
        after = steps.without_first()
        known = after.layout.positions >= lengths[after.layout.rows]
        return head(encoder.encode(steps.without_last()).steps.values)[known], after.values[known].long()

    trained(nn.ModuleList([encoder, head]), lambda: functional.cross_entropy(*outcome()), 150)
    with torch.no_grad():
        logits, truth = outcome()
    assert (logits.argmax(1) == truth).float().mean() > 0.9
