"""The decoder's native loop equals the loop in Python, loss and every gradient; what it lacks is named and leaves
it."""

import contextlib

import pytest
import torch

from ostinato.decoders.recurrent import RecurrentDecoder
from ostinato.encoders.contract import Encoded
from ostinato.heads.autoregressive import Autoregressive
from ostinato.heads.contract import Sizes
from ostinato.kernels import decoder, dispatch
from ostinato.kernels.half import HalfProducts, has_half
from ostinato.kernels.native_library import library
from ostinato.modalities.contract import Symbols
from ostinato.registry import settings_class
from ostinato.steps import Layout, Steps

pytestmark = pytest.mark.skipif(library() is None, reason="no native library in this installation")

SPEC = Symbols(size=11, begin=1, end=2, unknown=0)
CELLS = [
    ("lstm", {}),
    ("gru", {}),
    ("rnn", {}),
    ("lstm", {"peepholes": True}),
    ("lstm", {"coupled": True}),
    ("gru", {"biases": 1}),
    ("slstm", {}),
    ("slstm", {"forget": "exponential", "forget_bias": 0.0}),
]
# relative to the largest number of a tensor; sums of a few hundred products
TOLERANCE = {torch.float32: 2e-5, torch.float64: 1e-11}


def named(room, name, **settings):
    return settings_class(room, name)(type=name, **settings)


def drawn(case, *, feeding=None, attention=None, inputs=1, dropout=0.0, **options):
    """A head, what it reads and its targets, all sizes drawn: sequences and memories without steps are among them."""
    torch.manual_seed(case)
    number = lambda low, high: int(torch.randint(low, high + 1, (1,)))  # noqa: E731
    attention = attention or ["additive", "concat", "dot", "general", "scaled_dot"][case % 5]
    cell, settings = CELLS[case // 5 % len(CELLS)]
    rows, size = number(1, 9), number(1, 70)
    width = size if attention == "dot" else number(1, 40)
    feeding = case % 3 != 0 if feeding is None else feeding
    dtype = torch.float64 if case % 2 else torch.float32
    given = {
        "cell": named("cells", cell, **settings), "hidden_size": size, "layers": 1 + case % 4 // 3,
        "embedding_size": number(1, 20),
        "attention": named("attentions", attention), "context": "after" if feeding else "before",
        "input_feeding": feeding and case % 6 != 5,
    }  # fmt: skip
    size = given.pop("embedding_size")
    decoder = settings_class("decoders", "recurrent")(**(given | options))
    sizes = [Sizes(width, width, (width,))] * inputs
    head = Autoregressive(SPEC, sizes, decoder=decoder, embedding_size=size, dropout=dropout).to(dtype)
    encoded = []
    for _ in range(inputs):
        layout = Layout([number(0 if case % 4 == 0 else 1, 7) for _ in range(rows)])
        steps = Steps(torch.randn(layout.total, width, dtype=dtype, requires_grad=True), layout)
        state = torch.randn(rows, width, dtype=dtype, requires_grad=True)
        encoded.append(Encoded(steps, state, (state,)))
    layout = Layout([number(0, 6) for _ in range(rows)])
    return head, encoded, Steps(torch.randint(3, 11, (layout.total,)), layout)


def results(head, encoded, targets, *, kernel=None):
    leaves = [one.steps.values for one in encoded] + [one.summary for one in encoded] + list(head.parameters())
    for one in leaves:
        one.grad = None
    with dispatch.forced(kernel) if kernel else contextlib.nullcontext():
        loss = head.loss(encoded, targets).total
        loss.backward()
        said = head.score(encoded, targets).log_probability
    return [loss.detach(), said.detach(), *(torch.zeros_like(one) if one.grad is None else one.grad for one in leaves)]


def near(found, expected, tolerance):
    for one, other in zip(found, expected, strict=True):
        size = max(1e-3, float(other.abs().max())) if other.numel() else 1.0
        assert one.shape == other.shape
        assert not one.numel() or float((one - other).abs().max()) <= tolerance * size


def doubled(encoded):
    values, state = (one.detach().double().requires_grad_() for one in (encoded.steps.values, encoded.summary))
    return Encoded(Steps(values, encoded.steps.layout), state, (state,))


@pytest.mark.parametrize("case", range(60))
def test_native_and_python_loops_agree_in_loss_score_and_every_gradient(case):
    head, encoded, targets = drawn(case)
    assert head.obstacle() is None
    near(
        results(head, encoded, targets),
        results(head, encoded, targets, kernel="reference"),
        TOLERANCE[head.output.weight.dtype],
    )


@pytest.mark.parametrize("case", range(40))
def test_a_window_that_moves_is_the_same_in_both_loops(case):
    """Its middle's gradient reaches back over all steps: targets are long, and windows pass the end of a memory."""
    head, encoded, _ = drawn(case, attention="gaussian")
    assert head.obstacle() is None
    rows = len(encoded[0].steps.layout)
    layout = Layout([(7 * row + case) % 40 for row in range(rows)])
    targets = Steps(torch.randint(3, 11, (layout.total,)), layout)
    with torch.no_grad():
        head.decoder.attentions[0].advance.bias.add_(2 * (case % 3))
    said = results(head, encoded, targets)
    head, encoded = head.double(), [doubled(one) for one in encoded]
    found = results(head, encoded, targets)
    near(found, results(head, encoded, targets, kernel="reference"), 1e-10)
    # in float32 either loop is up to 2e-3 from this where a window is far from what it reads
    near([one.double() for one in said], found, 5e-3)
    moved = dict(zip((name for name, _ in head.named_parameters()), found[-len(list(head.parameters())) :]))
    looked = any(encoded[0].steps.layout.lengths[row] > 1 and layout.lengths[row] > 1 for row in range(rows))
    assert not looked or bool(moved["decoder.attentions.0.advance.weight"].any())


@pytest.mark.parametrize("attention", ["additive", "gaussian"])
@pytest.mark.parametrize("feeding", [True, False])
def test_a_rows_bits_depend_neither_on_its_company_nor_on_threads(attention, feeding):
    head, encoded, targets = drawn(40, attention=attention, feeding=feeding)
    threads = torch.get_num_threads()

    def features(rows):
        index = torch.tensor(rows)
        one = Encoded(encoded[0].steps.select(index), None, (encoded[0].summary[index],))
        read = targets.select(index)
        return Steps(head.decoder.run([one], read), read.layout).split()

    with torch.no_grad():
        everyone = list(range(len(targets.layout)))
        together = features(everyone)
        try:
            torch.set_num_threads(3)
            again = features(everyone)
        finally:
            torch.set_num_threads(threads)
        assert len(everyone) > 2 and all(map(torch.equal, again, together))
        for row in everyone:
            assert torch.equal(features([row])[0], together[row])
            beside = features([row, (row + 1) % len(everyone), row])
            assert torch.equal(beside[0], together[row]) and torch.equal(beside[2], together[row])


@pytest.mark.parametrize("feeding", [True, False])
def test_the_native_loop_is_taken_and_no_step_is_made_in_python(monkeypatch, feeding):
    head, encoded, targets = drawn(5, feeding=feeding)
    taken = []
    real = decoder.decode
    monkeypatch.setattr(decoder, "decode", lambda *arguments: (taken.append(True), real(*arguments))[1])
    monkeypatch.setattr(RecurrentDecoder, "_step_by_step", None)
    head.loss(encoded, targets)
    head.score(encoded, targets)
    assert taken == [True, True]


@pytest.mark.parametrize("feeding", [True, False])
def test_dropout_between_layers_reaches_both_loops_alike(monkeypatch, feeding):
    head, encoded, targets = drawn(7, feeding=feeding, layers=3, dropout=0.4)

    # one mask for all, by place, so that both loops drop the same values
    def every_third(self, values):
        return values * (torch.arange(values.shape[1]) % 3 > 0).to(values.dtype) * 1.5

    monkeypatch.setattr(RecurrentDecoder, "_dropped", every_third)
    monkeypatch.setattr(Autoregressive, "_dropped", every_third)
    near(results(head, encoded, targets), results(head, encoded, targets, kernel="reference"), 1e-11)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"attention": "location"}, "Location attention has no native step"),
        ({"inputs": 2}, "attends to one input, not to 2"),
        ({"scheduled_sampling": 0.5}, "scheduled_sampling"),
        ({"cell": named("cells", "gru", reset="before")}, "a GRU whose reset comes before its product"),
        ({"cell": named("cells", "lstm", layer_norm=True)}, "its cells are not computed natively"),
    ],
)
def test_what_the_native_loop_lacks_is_named_and_computed_in_python(options, why):
    head, encoded, targets = drawn(1, feeding=True, **options)
    assert why in head.obstacle()
    assert bool(head.loss(encoded, targets).total.isfinite())


def test_a_graph_can_be_walked_twice_and_repeats_bit_for_bit():
    head, encoded, targets = drawn(2)
    loss = head.loss(encoded, targets).total
    weights = list(head.parameters())
    once = torch.autograd.grad(loss, weights, retain_graph=True, allow_unused=True)
    again = torch.autograd.grad(loss, weights, allow_unused=True)
    assert all(one is None or torch.equal(one, other) for one, other in zip(once, again, strict=True))


def test_a_second_derivative_is_refused():
    head, encoded, targets = drawn(1)
    with pytest.raises(RuntimeError, match="no second derivative"):
        torch.autograd.grad(head.loss(encoded, targets).total, encoded[0].steps.values, create_graph=True)


@pytest.mark.parametrize("attention", ["additive", "gaussian"])
@pytest.mark.parametrize("feeding", [True, False])
def test_gradients_by_finite_differences(feeding, attention):
    head, encoded, targets = drawn(1, feeding=feeding, attention=attention, hidden_size=5)
    values, member = encoded[0].steps.values, head.decoder.attentions[0]

    def loss(given, *_):
        one = Encoded(Steps(given, encoded[0].steps.layout), encoded[0].summary, encoded[0].state)
        return head.loss([one], targets).total

    assert torch.autograd.gradcheck(loss, (values, *member.parameters()))


def steps_of(head, encoded, symbols):
    with torch.no_grad():
        state, said = head.start(encoded), []
        for symbol in symbols:
            logits, state = head.step(torch.full((len(state.rows),), symbol), state)
            said.append(logits.scores)
    return torch.stack(said), state


@pytest.mark.parametrize("case", range(30))
def test_a_native_step_equals_the_step_in_python(case):
    more = {} if case % 2 else {"context": "after", "input_feeding": False}
    head, encoded, _ = drawn(case, attention="gaussian" if case % 5 == 4 else None, **more)
    found, native = steps_of(head.eval(), encoded, [1, 4, 5])
    with dispatch.forced("reference"):
        expected, python = steps_of(head, encoded, [1, 4, 5])
    near(
        [found, *native.values.values(), *native.attention],
        [expected, *python.values.values(), *python.attention],
        2e-5,
    )


@pytest.mark.parametrize("attention", ["dot", "gaussian"])
def test_a_native_step_reads_the_memory_of_its_row(attention):
    head, encoded, _ = drawn(2, attention=attention)
    with torch.no_grad():
        state = head.eval().start(encoded)
        for symbol in (4, 3):  # so that each row has a place of its own
            _, state = head.step(torch.arange(len(state.rows)) % 5 + symbol, state)
        rows = torch.tensor([len(state.rows) - 1, 0, 0])
        symbols = torch.tensor([3, 4, 5])
        logits, _ = head.step(symbols, state.reorder(rows))
        with dispatch.forced("reference"):
            expected, _ = head.step(symbols, state.reorder(rows))
    near([logits.scores], [expected.scores], 2e-5)


@pytest.mark.parametrize("write", ["fused optimizer", "through .data", "in place"])
def test_each_generation_packs_the_weights_that_there_are_then(write):
    head, encoded, targets = drawn(2)
    head.eval()
    for _ in range(2):
        if write == "fused optimizer":
            # torch does not count these changes: no version of a weight can tell them
            head.loss(encoded, targets).total.backward()
            torch.optim.SGD(head.parameters(), lr=0.1, fused=True).step()
            head.zero_grad()
        for one in head.parameters():
            if write == "through .data":
                one.data.mul_(1.5)
            elif write == "in place":
                with torch.no_grad():
                    one.mul_(1.5)
        found, _ = steps_of(head, encoded, [1, 4])
        with dispatch.forced("reference"):
            expected, _ = steps_of(head, encoded, [1, 4])
        near([found], [expected], 2e-5)


@pytest.mark.skipif(not has_half(), reason="no native products of bfloat16 on this machine")
@pytest.mark.parametrize("case", range(0, 24, 2))
def test_products_in_bfloat16_are_near_in_loss_and_every_gradient(case):
    head, encoded, targets = drawn(case)
    exact = results(head, encoded, targets)
    with HalfProducts():
        found = results(head, encoded, targets)
    for one, other in zip(found, exact, strict=True):
        assert (one - other).norm() <= 0.05 * other.norm() + 1e-5
    assert not all(torch.equal(one, other) for one, other in zip(found, exact))
