"""The head that says what follows each step: its regularisers by hand, and its options."""

import pytest
import torch

from ostinato import registry
from ostinato.encoders.contract import Encoded
from ostinato.errors import ConfigError
from ostinato.heads.contract import Sizes
from ostinato.modalities.contract import Symbols, Values
from ostinato.steps import Layout, Steps

SPEC = Symbols(size=7, begin=0, end=1, unknown=2)
LENGTHS = (3, 1, 0, 4)
H = 5


def made(**options):
    torch.manual_seed(0)
    return registry.make("heads", "next_step", (SPEC, [Sizes(H, H)]), options)


def read(seed=1):
    random = torch.Generator().manual_seed(seed)
    layout = Layout([one + 1 for one in LENGTHS])
    targets = Steps(torch.randint(3, 7, (sum(LENGTHS),), generator=random), Layout(list(LENGTHS)))
    values = torch.randn(layout.total, H, generator=random)
    return [Encoded(Steps(values, layout), torch.randn(4, H, generator=random), None)], targets


def loss(encoded, targets, **options):
    torch.manual_seed(2)
    return made(**options).train().loss(encoded, targets)


def test_activation_regularization_is_alpha_times_the_mean_square_of_what_the_softmax_reads():
    encoded, targets = read()
    plain, held = loss(encoded, targets), loss(encoded, targets, activation_regularization=2.0)
    expected = 2.0 * encoded[0].steps.values.square().mean()
    assert held.count == plain.count == sum(LENGTHS) + 4
    torch.testing.assert_close((held.total - plain.total) / held.count, expected, rtol=1e-5, atol=1e-6)


def test_activation_regularization_sees_what_dropout_left():
    encoded, targets = read()
    ones = [encoded[0]._replace(steps=encoded[0].steps.with_values(torch.ones(encoded[0].steps.layout.total, H)))]
    plain, held = (loss(ones, targets, dropout=0.5, activation_regularization=alpha) for alpha in (0.0, 1.0))
    kept = (held.total - plain.total).item() * H / 4
    assert 0 < kept < held.count * H and kept == pytest.approx(round(kept), abs=1e-3), (
        "each kept value is 2, and its square 4"
    )


def test_temporal_activation_regularization_compares_steps_of_one_sequence_alone():
    encoded, targets = read()
    plain, held = loss(encoded, targets), loss(encoded, targets, temporal_activation_regularization=3.0)
    changes = [(one[1:] - one[:-1]).square().mean(1).sum() for one in encoded[0].steps.split()]
    torch.testing.assert_close(held.total - plain.total, 3.0 * sum(changes), rtol=1e-5, atol=1e-5)


def test_regularisers_have_the_gradient_that_torch_gives_them():
    encoded, targets = read()
    values = encoded[0].steps.values.requires_grad_()
    options = {"activation_regularization": 2.0, "temporal_activation_regularization": 1.0}
    (loss(encoded, targets, **options).total - loss(encoded, targets).total).backward()
    found, values.grad = values.grad, None
    split = values.split([one + 1 for one in LENGTHS])
    (2.0 * values.square().mean(1).sum() + sum((one[1:] - one[:-1]).square().mean(1).sum() for one in split)).backward()
    torch.testing.assert_close(found, values.grad, rtol=1e-4, atol=1e-6)


@torch.no_grad()
def test_regularisers_are_of_training_alone():
    encoded, targets = read()
    options = {
        "activation_regularization": 2.0,
        "temporal_activation_regularization": 1.0,
        "dropout": 0.5,
        "label_smoothing": 0.1,
    }
    plain, held = made().eval(), made(**options).eval()
    assert torch.equal(held.loss(encoded, targets).total, plain.loss(encoded, targets).total)


OTHER = {
    "dropout": 0.5,
    "label_smoothing": 0.1,
    "softmax": "adaptive",
    "activation_regularization": 2.0,
    "temporal_activation_regularization": 1.0,
}


@torch.no_grad()
@pytest.mark.parametrize("option", OTHER)
def test_every_option_changes_the_loss(option):
    encoded, targets = read()
    assert loss(encoded, targets, **{option: OTHER[option]}).total != loss(encoded, targets).total


def test_every_option_is_tried_here_or_in_test_continuation():
    assert set(registry.settings_class("heads", "next_step").model_fields) - {"type"} == {*OTHER, "tied", "cutoffs"}


@torch.no_grad()
def test_cutoffs_change_the_loss():
    encoded, targets = read()
    assert (
        len({loss(encoded, targets, softmax="adaptive", cutoffs=cutoffs).total.item() for cutoffs in ((), [3], [3, 4])})
        == 3
    )


@pytest.mark.parametrize("options", [{"tied": True}, {"label_smoothing": 0.1}])
def test_what_an_adaptive_softmax_cannot_do_is_refused(options):
    with pytest.raises(ConfigError, match="softmax: full"):
        made(softmax="adaptive", **options)


def test_gradients_of_an_adaptive_softmax_agree_with_finite_differences():
    encoded, targets = read()
    head = made(softmax="adaptive", cutoffs=[3, 5]).double()
    values = encoded[0].steps.values.double().requires_grad_()
    again = [encoded[0]._replace(steps=encoded[0].steps.with_values(values))]
    assert torch.autograd.gradcheck(
        lambda *_: head.loss(again, targets).total, (values, *head.parameters()), fast_mode=True
    )


@torch.no_grad()
@pytest.mark.parametrize("softmax", ["full", "adaptive"])
def test_parts_of_sequences_have_the_losses_of_the_whole(softmax):
    encoded, targets = read()
    head, whole, parts = made(softmax=softmax).eval(), 0.0, 0.0
    whole = head.loss(encoded, targets)
    for cut, ends in ((slice(0, 2), [False, True, True, False]), (slice(2, 9), [True, False, False, True])):
        steps = [one[cut] for one in encoded[0].steps.split()]
        given = [one[cut] for one in targets.split()]
        piece = head.piece_loss([Encoded(Steps.of(steps), None, None)], Steps.of(given), torch.tensor(ends))
        parts += piece.total
        whole = whole._replace(count=whole.count - piece.count)
    assert whole.count == 0
    torch.testing.assert_close(parts, whole.total)


def test_what_is_no_symbol_is_refused():
    with pytest.raises(
        ConfigError, match=r"next_step predicts symbols, and a step of this output is 3 real number\(s\)"
    ):
        registry.make("heads", "next_step", (Values(3), [Sizes(H, H)]))
