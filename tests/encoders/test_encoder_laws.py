"""The laws of encoders, on every member of the room and on its options."""

import pytest
import torch

from ostinato import registry
from ostinato.errors import ConfigError, DataError
from ostinato.modalities.contract import Symbols
from ostinato.steps import Layout, Steps
from ostinato.testing import _modules, encoders, laws
from ostinato.testing._tools import Member

VARIANTS = {
    "recurrent": [
        {"bidirectional": False, "layers": 2, "start": "learnt"},
        {"bidirectional": False, "reversed_source": True, "cell": "gru"},
        {"bidirectional": False, "cell": "rnn", "embedding": "one_hot", "embedding_size": None},
        {"summary": "mean", "layers": 2},
        {"layers": 2, "residual": True, "dropout": 0.5},
    ],
    "feed_forward": [{"hidden_size": [5, 4], "layers": 2, "activation": "tanh"}],
    "windowed": [
        {"window": 3, "layers": 2, "activation": "tanh", "start": "learnt"},
        {"window": 1},
        {"bidirectional": True, "start": "learnt", "activation": "gelu"},
        {"hidden_size": [7, 5], "layers": 2},
        {"embedding": "one_hot", "embedding_size": None},
    ],
    "convolutional": [
        {"layers": 2},
        {"layers": 2, "bidirectional": False, "summary": "last"},
        {"layers": 1, "bidirectional": False, "summary": "mean", "kernel_size": 2, "hidden_size": 5},
        {"layers": 2, "dropout": 0.5},
    ],
    "subsampled": [
        {"encoder": {"hidden_size": 5, "embedding_size": 4}, "layers": 1, "dropout": 0.2},
        {"encoder": {"type": "windowed", "hidden_size": 5}, "dropout": 0.2},
        {"encoder": {"hidden_size": 5, "embedding_size": 4}, "layers": 1, "centered": True},
        {"encoder": {"hidden_size": 5, "embedding_size": 4, "bidirectional": False}, "layers": 1},
        {"encoder": {"hidden_size": 5, "embedding_size": 4, "bidirectional": False, "cell": "gru"}, "layers": 2},
    ],
    "pyramidal": [
        {"bidirectional": False, "layers": 1, "dropout": 0.2},
        {"bidirectional": False, "cell": "gru"},
        {"layers": 1, "cell": "gru"},
    ],
    "cnn": [
        {"layers": 2, "shift": 1, "flip": True, "contrast": 0.5, "summary": "points"},
        {"layers": 2, "turn": 20, "stretch": 0.2, "slant": 0.2, "warp": 1},
        {"layers": 2, "blocks": 2, "column_halvings": 0, "steps": "columns", "summary": "max", "dropout": 0.2},
    ],
    "stacked": [{"over": {"bidirectional": False, "hidden_size": 4, "embedding_size": 4, "layers": 1}}],
    "transformer": [
        {"layers": 2, "bidirectional": False, "window": 3, "kv_heads": 1, "summary": "last"},
        {"layers": 1, "bidirectional": False, "positions": "alibi", "heads": 2, "feed_forward_activation": "swiglu"},
        {"layers": 1, "bidirectional": False, "positions": "learned", "summary": "max", "longest": 14},
        {"layers": 2, "window": 2, "positions": "alibi", "query_key_norm": False},
    ],
    "mlstm": [
        {"layers": 2, "bidirectional": False, "summary": "last", "dropout": 0.2},
        {"layers": 1, "forget": "exponential", "kernel_size": 1, "summary": "max"},
    ],
}
"""Beside each option alone. Beside dropout, and one way, options have an effect that are refused without."""
TRIED = {"cnn": {"column_halvings": [1], "blocks": [2], "layers": [4]}}
"""No more layers are halved than there are, and small pictures are one place before the neighbour of a default."""
SHALLOW = {"mlstm": {"layers": 1}}
"""Finite differences of its default of four layers, which read both ways, took 20 seconds."""
HERE = [name for name in registry.names("encoders") if name != "pretrained"]
"""That one needs a folder, which test_pretrained.py writes."""


@pytest.mark.parametrize(
    ("name", "options"),
    [(name, options) for name in HERE for options in (SHALLOW.get(name, {}), *VARIANTS.get(name, []))],
    ids=str,
)
def test_every_encoder_keeps_the_laws(name, options):
    laws.run("encoders", name, options, TRIED.get(name, {}))


def test_the_block_of_the_textbook_keeps_the_laws():
    tried = {
        "norm": ["rms"],
        "norm_first": [True],
        "query_key_norm": [True],
        "last_norm": [True],
        "norm_epsilon": [0.1],
        "positions": ["rotary", "learned"],
        "feed_forward_activation": ["gelu"],
    }
    for bidirectional in (True, False):
        laws.run(
            "encoders", "transformer", {"block": "vaswani2017", "bidirectional": bidirectional, "layers": 1}, tried
        )


def small(name, options=None):
    return encoders.small(Member.of("encoders", name, options))


def reading(name, options=None):
    return encoders.Reading(small(name, options), encoders.SPECS["values"])


def broken(monkeypatch, name, change):
    cls = registry.component("encoders", name)
    honest = cls.encode
    monkeypatch.setattr(cls, "encode", lambda self, steps, state=None: change(honest, self, steps, state))


def test_the_laws_see_a_state_that_is_not_taken_up(monkeypatch):
    broken(monkeypatch, "windowed", lambda honest, self, steps, state: honest(self, steps))
    with pytest.raises(AssertionError, match="steps of sequence"):
        _modules.parts_are_the_whole(reading("windowed"))


def test_the_laws_see_a_neighbour_being_read(monkeypatch):
    def joined(honest, self, steps, state):
        read = honest(self, Steps(steps.values, Layout([steps.layout.total])), None)
        return read._replace(
            steps=Steps(read.steps.values, steps.layout), summary=read.summary.expand(len(steps.layout), -1)
        )

    broken(monkeypatch, "convolutional", joined)
    with pytest.raises(AssertionError, match="of rows"):
        _modules.company_changes_nothing(reading("convolutional"))


def test_the_laws_see_the_future_being_read(monkeypatch):
    make = small("windowed", {"bidirectional": True})

    def pretends(spec):
        encoder = make(spec)
        encoder.look_ahead = 1
        return encoder

    with pytest.raises(AssertionError, match="more than 1 before"):
        _modules.what_comes_later_changes_nothing(encoders.Reading(pretends, encoders.SPECS["values"]))


def test_the_laws_see_a_gradient_cut_off(monkeypatch):
    def cut_off(honest, self, steps, state):
        return honest(self, steps, state and tuple(one.detach() for one in state))

    broken(monkeypatch, "windowed", cut_off)
    with pytest.raises(Exception, match="Jacobian|jacobian"):
        _modules.gradients_are_right(reading("windowed"))


def test_a_feed_forward_net_refuses_a_sequence_and_says_what_to_choose():
    encoder = small("feed_forward")(Symbols(9, 0, 1, 2))
    for lengths, number in (([1, 3], 3), ([0, 1], 0)):
        steps = encoders.batch(encoders.SPECS["symbols"], lengths)
        with pytest.raises(
            DataError, match=f"one step per row, and a row has {number}; .* recurrent, convolutional or windowed"
        ):
            encoder.encode(steps)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("feed_forward", {"hidden_size": [4, 4]}, "lists 2 sizes and layers is 1; set layers: 2"),
        ("windowed", {"hidden_size": [4, 4]}, "lists 2 sizes and layers is 1; set layers: 2"),
        ("windowed", {"window": 4, "bidirectional": True}, "has no middle; set window: 5"),
        ("windowed", {"window": 1, "start": "learnt"}, "start: learnt has no effect with window: 1"),
        ("windowed", {"window": 1, "bidirectional": True}, "bidirectional: true has no effect with window: 1"),
        (
            "recurrent",
            {"bidirectional": False, "summary": "max"},
            "may have more to come; set bidirectional: true, or let the output pool",
        ),
        ("convolutional", {"kernel_size": 4}, "has no middle; set kernel_size: 5"),
        ("convolutional", {"kernel_size": 1}, "never sees a second step"),
        ("convolutional", {"variational": True}, "no effect with dropout: 0"),
        ("convolutional", {"embedding": "one_hot"}, "as wide as there are symbols"),
        ("transformer", {"heads": 4}, "heads: 4 cannot cut hidden_size: 6 into equally wide heads; nearest .*: 1, 3$"),
        ("mlstm", {"heads": 4}, "heads: 4 cannot cut hidden_size: 6 into equally wide heads; nearest .*: 2, 3, 6$"),
        ("transformer", {"heads": 6}, "heads of an even width, as rotary positions need; nearest .*: 1, 3$"),
        ("transformer", {"hidden_size": 7, "heads": 1}, "hidden_size: 7 is odd, .*; set hidden_size: 8, or other"),
        ("transformer", {"kv_heads": 2}, "kv_heads: 2 does not divide the 3 heads that share them; allowed here: 1, 3"),
        ("transformer", {"window": 1}, "window: 1 lets each step see itself alone"),
        ("transformer", {"longest": 9}, "longest: 9 is the end of learned positions, and rotary ones have none"),
        ("transformer", {"window": 0}, "greater than or equal to 1"),
    ],
)
def test_what_cannot_be_is_refused(name, options, message):
    with pytest.raises(ConfigError, match=message):
        small(name, options)(encoders.SPECS["symbols"])


def by_windows(encoder, x, reach_back, reach_ahead):
    """One window after the other, as the equations of the windowed encoder say."""
    embedded = encoder.embedding(x).values
    blank = torch.zeros(embedded.shape[1]) if encoder.outside is None else encoder.outside
    rows = []
    for t in range(len(embedded)):
        places = range(t - reach_back, t + reach_ahead + 1)
        h = torch.cat([embedded[k] if 0 <= k < len(embedded) else blank for k in places])
        h = torch.tanh(encoder.first.map.weight @ h + encoder.first.map.bias)
        for layer in encoder.net.layers:
            h = torch.tanh(layer.weight @ h + layer.bias)
        rows.append(h)
    return torch.stack(rows)


@pytest.mark.parametrize(("bidirectional", "reach"), [(False, (4, 0)), (True, (2, 2))])
@pytest.mark.parametrize("start", ["zero", "learnt"])
def test_the_windowed_net_computes_its_equations(bidirectional, reach, start):
    torch.manual_seed(0)
    options = {"bidirectional": bidirectional, "activation": "tanh", "layers": 2, "start": start}
    encoder = small("windowed", options)(encoders.SPECS["values"])
    if start == "learnt":
        torch.nn.init.normal_(encoder.outside)
    steps = encoders.batch(encoders.SPECS["values"])
    for found, one in zip(encoder.encode(steps).steps.split(), steps.split()):
        if len(one):
            torch.testing.assert_close(found, by_windows(encoder, Steps(one, Layout([len(one)])), *reach))


@pytest.mark.parametrize(
    ("bidirectional", "layers", "kernel_size"), [(False, 2, 3), (False, 3, 2), (True, 2, 3), (True, 1, 5)]
)
def test_a_convolutional_step_sees_its_receptive_field_and_no_more(bidirectional, layers, kernel_size):
    torch.manual_seed(0)
    options = {"bidirectional": bidirectional, "layers": layers, "kernel_size": kernel_size}
    encoder = small("convolutional", options)(encoders.SPECS["values"]).double()
    field = 1 + 2 * (kernel_size - 1) * (2**layers - 1)
    assert encoder.receptive_field == field and encoder.look_ahead == (field // 2 if bidirectional else 0)
    values = torch.randn(3 * field, 3, dtype=torch.float64, requires_grad=True)
    middle = 3 * field // 2
    # Many draws of the weights: a relu may shut one way by chance.
    seen = torch.zeros(3 * field, dtype=torch.bool)
    for _ in range(20):
        for parameter in encoder.parameters():
            torch.nn.init.normal_(parameter)
        (gradient,) = torch.autograd.grad(
            encoder.encode(Steps(values, Layout([3 * field]))).steps.values[middle].sum(), values
        )
        seen |= gradient.any(1)
    first = middle - (field // 2 if bidirectional else field - 1)
    assert seen.nonzero().flatten().tolist() == list(range(first, first + field))


def test_a_longer_sequence_is_summed_up_as_the_setting_says():
    steps = encoders.batch(encoders.SPECS["values"])
    for summary, by_hand in (("last", lambda h: h[-1]), ("mean", lambda h: h.mean(0)), ("max", lambda h: h.amax(0))):
        torch.manual_seed(0)
        encoded = small("convolutional", {"summary": summary, "layers": 1})(encoders.SPECS["values"]).encode(steps)
        for row, h in enumerate(encoded.steps.split()):
            torch.testing.assert_close(encoded.summary[row], by_hand(h) if len(h) else torch.zeros(6))
