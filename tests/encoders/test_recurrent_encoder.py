"""The recurrent encoder: its settings, what it promises about causality and company, and what it refuses."""

import pytest
import torch
from pydantic import ValidationError

from ostinato import registry
from ostinato.errors import ConfigError
from ostinato.kernels.dispatch import backend, forced
from ostinato.layers import recurrent as recurrent_layer
from ostinato.modalities.contract import Symbols, Values
from ostinato.steps import Layout, Steps

SYMBOLS = Symbols(20, 0, 1, 2)
WORDS = Symbols(20, 0, 1, 2, characters=6, longest=4, counts=(0, 0, 0, *[1] * 17))
SMALL = {"hidden_size": 6, "embedding_size": 5}
LENGTHS = (3, 0, 7, 1, 7)


def make(spec=SYMBOLS, **options):
    torch.manual_seed(0)
    return registry.make("encoders", "recurrent", (spec,), SMALL | options)


def batch(lengths=LENGTHS, spec=SYMBOLS):
    torch.manual_seed(1)
    layout = Layout(list(lengths))
    if spec.characters:
        return Steps(torch.randint(1, spec.characters, (layout.total, 1 + spec.longest)), layout)
    return Steps(torch.randint(20, (layout.total,)), layout)


VARIANTS = [
    {},
    {"bidirectional": False},
    {"bidirectional": False, "reversed_source": True},
    {
        "cell": {"type": "gru", "reset": "before"},
        "hidden_size": [5, 5, 3],
        "layers": 3,
        "residual": True,
        "start": "learnt",
    },
    {"embedding": "one_hot", "embedding_size": None},
]


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_sizes_are_what_it_says(options):
    encoder = make(**options)
    encoded = encoder.encode(batch())
    assert encoded.steps.values.shape == (18, encoder.steps_size)
    assert encoded.summary.shape == (5, encoder.summary_size)
    assert tuple(one.shape for one in encoded.state) == tuple((5, size) for size in encoder.state_sizes)
    assert encoder.steps_size == (1 if options.get("bidirectional") is False else 2) * (3 if "layers" in options else 6)


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_company_and_order_change_nothing(options):
    encoder = make(**options)
    steps = batch()
    whole, parts = encoder.encode(steps), steps.split()
    for chosen in [[0], [1], [4, 2, 1, 0, 3]]:
        some = encoder.encode(Steps.of([parts[row] for row in chosen]))
        torch.testing.assert_close(some.summary, whole.summary[chosen], rtol=1e-5, atol=1e-6)
        expected = torch.cat([whole.steps.split()[row] for row in chosen])
        torch.testing.assert_close(some.steps.values, expected, rtol=1e-5, atol=1e-6)


def test_the_summary_is_the_state_after_the_last_step_forward_and_after_the_first_backward():
    encoder, steps = make(), batch((3, 7))
    encoded = encoder.encode(steps)
    first, last = steps.layout.offsets[:-1], steps.layout.offsets[1:] - 1
    values = encoded.steps.values
    assert torch.equal(encoded.summary, torch.cat([values[last, :6], values[first, 6:]], 1))


def test_a_causal_encoder_goes_on_and_sees_nothing_later():
    encoder = make(bidirectional=False, layers=2)
    assert encoder.causal and encoder.look_ahead == 0
    steps = batch((6, 6))
    whole = encoder.encode(steps)
    halves = [Steps.of([one[part] for one in steps.split()]) for part in (slice(0, 2), slice(2, 6))]
    first = encoder.encode(halves[0])
    second = encoder.encode(halves[1], first.state)
    torch.testing.assert_close(second.summary, whole.summary)
    changed = encoder.encode(
        steps.with_values(torch.where(steps.layout.positions >= 2, 19 - steps.values, steps.values))
    )
    early = steps.layout.positions < 2
    assert torch.equal(changed.steps.values[early], whole.steps.values[early])
    assert not torch.equal(changed.steps.values[~early], whole.steps.values[~early])


@pytest.mark.parametrize("options", [{}, {"bidirectional": False, "reversed_source": True}])
def test_one_that_is_not_causal_says_so_and_refuses_a_state(options):
    encoder = make(**options)
    assert not encoder.causal and encoder.look_ahead is None
    encoded = encoder.encode(batch())
    with pytest.raises(ValueError, match="cannot resume from a state"):
        encoder.encode(batch(), encoded.state)


def test_a_reversed_source_keeps_the_order_of_its_steps():
    plain, turned = make(bidirectional=False), make(bidirectional=False, reversed_source=True)
    turned.load_state_dict(plain.state_dict())
    steps = batch()
    expected, found = plain.encode(steps.reversed()), turned.encode(steps)
    torch.testing.assert_close(found.steps.values, expected.steps.reversed().values)
    torch.testing.assert_close(found.summary, expected.summary)


def test_an_empty_example_is_summed_up_by_the_start_state():
    for start in ("zero", "learnt"):
        encoder = make(start=start)
        if start == "learnt":
            with torch.no_grad():
                for one in encoder.stack.start:
                    one.fill_(0.5)
        assert torch.equal(encoder.encode(batch()).summary[1], torch.full((12,), 0.5 if start == "learnt" else 0.0))


def test_real_numbers_are_read():
    encoder = make(Values(3))
    assert encoder.encode(Steps(torch.randn(4, 3), Layout([3, 1]))).summary.shape == (2, 12)


def test_every_parameter_gets_a_gradient():
    encoder = make(start="learnt", layers=2, dropout=0.2, variational=True, recurrent_dropout=0.2)
    encoded = encoder.encode(batch())
    (encoded.steps.values.sum() + encoded.summary.sum()).backward()
    assert all(one.grad is not None and one.grad.any() for one in encoder.parameters())


# Law g: other words for each option, and what must be set beside it for it to be legal.
OTHER = [
    ({"cell": "gru"}, {}),
    ({"hidden_size": 7}, {}),
    ({"layers": 2}, {}),
    ({"bidirectional": False}, {}),
    ({"residual": True}, {"layers": 2}),
    ({"dropout": 0.5}, {}),
    ({"variational": True}, {"dropout": 0.5}),
    ({"recurrent_dropout": 0.5}, {}),
    ({"weight_drop": 0.5}, {}),
    ({"word_dropout": 0.5}, {}),
    ({"rare_word_dropout": 0.5}, {"spec": WORDS}),
    ({"embedding_init": "uniform"}, {}),
    ({"character_size": 7}, {"spec": WORDS}),
    ({"character_width": 5}, {"spec": WORDS}),
    ({"reversed_source": True}, {"bidirectional": False}),
    ({"start": "learnt"}, {}),
    ({"summary": "max"}, {}),
    ({"embedding": "one_hot"}, {"embedding_size": None}),
    ({"embedding_size": 7}, {}),
]


@pytest.mark.parametrize(("option", "beside"), OTHER, ids=lambda one: str(one))
def test_every_option_matters(option, beside):
    found = []
    for options in (beside, beside | option):
        encoder = make(**options)
        torch.manual_seed(2)
        read = encoder.encode(batch(spec=beside.get("spec", SYMBOLS)))
        found.append([read.steps.values, read.summary, *encoder.parameters()])
    assert len(found[0]) != len(found[1]) or any(a.shape != b.shape or not torch.equal(a, b) for a, b in zip(*found))


def test_the_law_of_options_covers_every_option():
    covered = {name for option, _ in OTHER for name in option}
    assert covered == set(registry.settings_class("encoders", "recurrent").model_fields) - {"type"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden_size": [4, 4]}, "lists 2 sizes and layers is 1; set layers: 2"),
        ({"variational": True}, "variational: true has no effect with dropout: 0"),
        ({"reversed_source": True}, "set bidirectional: false"),
        ({"residual": True}, "no layer is as wide as its input, widths from the embedding up: 5, 12"),
        ({"embedding": "one_hot"}, "as wide as there are symbols .20."),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        make(**options)


@pytest.mark.parametrize(
    "options",
    [
        {"hidden_size": 0},
        {"hidden_size": []},
        {"hidden_size": [4, 0]},
        {"dropout": 1.0},
        {"layers": "2"},
        {"cell": "lstn"},
    ],
)
def test_values_out_of_range_are_refused_by_the_settings(options):
    with pytest.raises((ValidationError, ConfigError)):
        make(**options)


@pytest.mark.parametrize("cell", ["lstm", "gru", {"type": "gru", "reset": "before"}, "rnn"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kernel", ["native", "reference"])
def test_weight_drop_computes_with_masked_weights_and_their_gradient_is_masked(
    cell, bidirectional, kernel, monkeypatch
):
    dropping, plain = (
        make(cell=cell, bidirectional=bidirectional, weight_drop=0.5),
        make(cell=cell, bidirectional=bidirectional),
    )
    seen = []
    real = recurrent_layer.dropped
    monkeypatch.setattr(recurrent_layer, "dropped", lambda values, rate: seen.append(real(values, rate)) or seen[-1])
    with forced(kernel):
        found = dropping.train().encode(batch())
        with torch.no_grad():
            for one, masked in zip(plain.stack.cells, seen, strict=True):
                one.weight_h.copy_(masked)
        expected = plain.encode(batch())
        torch.testing.assert_close(found.steps.values, expected.steps.values)
        found.summary.sum().backward()
        expected.summary.sum().backward()
    for one, other, masked in zip(dropping.stack.cells, plain.stack.cells, seen):
        assert 0 < (masked == 0).sum() < masked.numel()
        torch.testing.assert_close(one.weight_h.grad, other.weight_h.grad * (masked != 0) * 2)
        torch.testing.assert_close(one.weight_x.grad, other.weight_x.grad)


def test_weight_drop_keeps_the_native_kernel_and_is_of_training_alone():
    encoder, plain = make(weight_drop=0.5), make()
    assert torch.equal(encoder.eval().encode(batch()).steps.values, plain.eval().encode(batch()).steps.values)
    assert all(
        backend(encoder.stack._with_dropped_weights(cell, batch())) == "native" for cell in encoder.train().stack.cells
    )
    assert not encoder.stack._with_dropped_weights(encoder.stack.cells[0], batch()).weight_h.is_leaf
    assert encoder.stack.cells[0].weight_h.is_leaf, "the cell itself keeps its weights"


def test_word_dropout_takes_a_symbol_away_wherever_it_stands():
    encoder = make(word_dropout=0.5).train()
    steps = Steps(torch.arange(20).repeat(3), Layout([20, 40]))
    torch.manual_seed(4)
    found = encoder._without_words(steps.values, encoder.embedding(steps)).values.view(3, 20, -1)
    whole = encoder.embedding.learnt.weight
    gone = (found[0] == 0).all(1)
    assert 0 < gone.sum() < 20 and torch.equal(found[0], found[1]) and torch.equal(found[0], found[2])
    torch.testing.assert_close(found[0][~gone], 2 * whole[~gone])


def test_word_dropout_is_refused_where_there_are_no_words():
    with pytest.raises(ConfigError, match="word_dropout: .* no symbol; use dropout"):
        make(Values(3), word_dropout=0.5)
