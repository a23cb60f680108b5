"""In every form of input the drop-in modules give torch.nn's outputs, final states and gradients."""

import pytest
import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from ostinato import nn
from ostinato.steps import Layout, Steps

WIDE = {"dtype": torch.float64}
TOLERANCE = {torch.float32: 2e-6, torch.float64: 1e-13, torch.bfloat16: 2e-2}
LENGTHS = [4, 7, 1, 7, 3]
KINDS = [
    pytest.param("RNN", {}, id="tanh"),
    pytest.param("RNN", {"nonlinearity": "relu"}, id="relu"),
    pytest.param("GRU", {}, id="gru"),
    pytest.param("LSTM", {}, id="lstm"),
    pytest.param("LSTM", {"proj_size": 2}, id="projected"),
]
SHAPES = [
    pytest.param({}, id="plain"),
    pytest.param({"bidirectional": True}, id="both"),
    pytest.param({"num_layers": 3}, id="deep"),
    pytest.param({"num_layers": 2, "bidirectional": True, "bias": False, "batch_first": True}, id="deep-both-first"),
]

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning")


def pair(kind, options, dtype=torch.float64):
    torch.manual_seed(0)
    theirs = getattr(torch.nn, kind)(3, 5, **options, dtype=dtype)
    ours = getattr(nn, kind)(3, 5, **options, dtype=dtype)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def states(module, rows, dtype=torch.float64):
    """A start state that is not zero."""
    count = module.num_layers * (1 + module.bidirectional)
    sizes = [module.proj_size or 5, 5] if module.mode == "LSTM" else [5]
    drawn = tuple(torch.randn(count, *rows, size, dtype=dtype, requires_grad=True) for size in sizes)
    return drawn if len(drawn) > 1 else drawn[0]


def flat(*results):
    """The tensors of outputs and states, packed sequences opened."""
    found = []
    for one in results:
        if isinstance(one, torch.Tensor):
            found.append(one)
        else:
            found += (
                [one.data]
                if isinstance(one, PackedSequence)
                else [one.values]
                if isinstance(one, Steps)
                else flat(*one)
            )
    return found


def near(ours, theirs):
    assert len(ours) == len(theirs) > 0
    for one, other in zip(ours, theirs):
        assert one.dtype == other.dtype
        largest = other.abs().max().item() if other.numel() else 0.0
        torch.testing.assert_close(one, other, rtol=0, atol=TOLERANCE[other.dtype] * largest)


def backward(results, wanted):
    torch.manual_seed(1)
    loss = sum((one * torch.randn(one.shape, dtype=one.dtype)).sum() for one in flat(*results))
    return torch.autograd.grad(loss, wanted, retain_graph=True)


def equal(ours, theirs, given, hx, sources):
    """Forward and backward of both on the same input; `sources` are the leaves behind it."""
    found, expected = ours(given, hx), theirs(given, hx)
    near(flat(*found), flat(*expected))
    leaves = [*sources, *(flat(hx) if hx is not None else [])]
    near(backward(found, [*leaves, *ours.parameters()]), backward(expected, [*leaves, *theirs.parameters()]))
    return found, expected


@pytest.mark.parametrize("given_state", [False, True], ids=["zeros", "state"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("kind", "options"), KINDS)
class TestForms:
    def test_padded(self, kind, options, shape, given_state):
        ours, theirs = pair(kind, options | shape)
        x = torch.randn((4, 6, 3) if ours.batch_first else (6, 4, 3), **WIDE, requires_grad=True)
        (output, _), _ = equal(ours, theirs, x, states(ours, (4,)) if given_state else None, [x])
        assert output.is_contiguous(), "callers go on with view"

    def test_one_sequence(self, kind, options, shape, given_state):
        ours, theirs = pair(kind, options | shape)
        x = torch.randn(6, 3, **WIDE, requires_grad=True)
        equal(ours, theirs, x, states(ours, ()) if given_state else None, [x])

    @pytest.mark.parametrize("is_sorted", [False, True], ids=["unsorted", "sorted"])
    def test_packed(self, kind, options, shape, given_state, is_sorted):
        ours, theirs = pair(kind, options | shape)
        lengths = sorted(LENGTHS, reverse=True) if is_sorted else LENGTHS
        x = torch.randn(len(lengths), max(lengths), 3, **WIDE, requires_grad=True)
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=is_sorted)
        assert (packed.sorted_indices is None) == is_sorted
        hx = states(ours, (len(lengths),)) if given_state else None
        (found, _), (expected, _) = equal(ours, theirs, packed, hx, [x])
        assert type(found) is PackedSequence and found.batch_sizes is packed.batch_sizes
        assert found.sorted_indices is packed.sorted_indices and found.unsorted_indices is packed.unsorted_indices
        near([pad_packed_sequence(found)[0]], [pad_packed_sequence(expected)[0]])

    def test_lengths_are_as_good_as_packing(self, kind, options, shape, given_state):
        ours, theirs = pair(kind, options | shape)
        first = ours.batch_first
        x = torch.randn(*((5, 9, 3) if first else (9, 5, 3)), **WIDE, requires_grad=True)
        hx = states(ours, (5,)) if given_state else None
        with torch.no_grad():
            (x if first else x.transpose(0, 1))[torch.arange(9) >= torch.tensor(LENGTHS)[:, None]] = torch.nan
        packed, last = theirs(pack_padded_sequence(x, LENGTHS, batch_first=first, enforce_sorted=False), hx)
        expected = pad_packed_sequence(packed, batch_first=first, total_length=9)[0], last
        leaves = [x, *(flat(hx) if given_state else [])]
        wanted = backward(expected, [*leaves, *theirs.parameters()])
        for lengths in (LENGTHS, tuple(LENGTHS), torch.tensor(LENGTHS), torch.tensor(LENGTHS, dtype=torch.int32)):
            found = ours(x, hx, lengths=lengths)
            near(flat(*found), flat(*expected))
            assert found[0].shape == expected[0].shape and found[0].is_contiguous()
        near(backward(found, [*leaves, *ours.parameters()]), wanted)

    def test_steps_are_as_good_as_packing(self, kind, options, shape, given_state):
        ours, theirs = pair(kind, options | shape)
        steps = Steps(torch.randn(sum(LENGTHS), 3, **WIDE), Layout(LENGTHS))
        hx = states(ours, (5,)) if given_state else None
        found, last = ours(steps, hx)
        expected, other = theirs(
            pack_padded_sequence(steps.padded(), LENGTHS, batch_first=True, enforce_sorted=False), hx
        )
        assert type(found) is Steps and found.layout is steps.layout
        near([found.padded(), *flat(last)], [pad_packed_sequence(expected, batch_first=True)[0], *flat(other)])


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_in_float32(kind, options):
    ours, theirs = pair(kind, options | {"num_layers": 2, "bidirectional": True}, torch.float32)
    x = torch.randn(20, 4, 3, requires_grad=True)
    equal(ours, theirs, x, states(ours, (4,), torch.float32), [x])


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_in_bfloat16(kind, options):
    ours, theirs = pair(kind, options | {"num_layers": 2}, torch.bfloat16)
    x = torch.randn(5, 4, 3, dtype=torch.bfloat16)
    near(flat(*ours(x)), flat(*theirs(x)))


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_under_autocast_states_and_outputs_stay_in_float32(kind):
    ours, theirs = pair(kind, {"num_layers": 2}, torch.float32)
    x = torch.randn(5, 4, 3)
    expected = flat(*theirs(x))
    with torch.autocast("cpu", torch.bfloat16):
        found = flat(*ours(x))
        hx = tuple(one.bfloat16() for one in found[1:])
        again = flat(*ours(x.bfloat16(), hx if kind == "LSTM" else hx[0]))
    assert {one.dtype for one in (*found, *again)} == {torch.float32}
    for one, other in zip(found, expected):
        torch.testing.assert_close(one, other, rtol=0, atol=0.03)


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_a_batch_of_no_sequences_gives_torchs_shapes(kind):
    ours, theirs = pair(kind, {"num_layers": 2, "bidirectional": True})
    x = torch.randn(6, 0, 3, **WIDE)
    for one, other in zip(flat(*ours(x)), flat(*theirs(x)), strict=True):
        assert one.shape == other.shape
    assert ours(x, lengths=[])[0].shape == (6, 0, 10)


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_sequences_without_steps_end_in_their_start_state(kind, first):
    ours, _ = pair(kind, {"bidirectional": True, "batch_first": first})
    lengths, hx = [0, 4, 0], states(ours, (3,))
    x = torch.randn(*((3, 5, 3) if first else (5, 3, 3)), **WIDE)
    output, last = ours(x, hx, lengths=lengths)
    rows = output if first else output.transpose(0, 1)
    assert not rows[0].any() and not rows[1, 4:].any() and rows[1, :4].all()
    for one, other in zip(flat(last), flat(hx)):
        assert torch.equal(one[:, [0, 2]], other[:, [0, 2]]) and not torch.equal(one[:, 1], other[:, 1])
    nothing, same = ours(x, hx, lengths=[0, 0, 0])
    assert not nothing.any() and nothing.shape == output.shape
    assert all(torch.equal(one, other) for one, other in zip(flat(same), flat(hx)))


@pytest.mark.parametrize("first", [False, True])
def test_lengths_that_are_all_full_change_nothing(first):
    ours, _ = pair("GRU", {"batch_first": first})
    x = torch.randn(4, 4, 3, **WIDE)
    for one, other in zip(flat(*ours(x, lengths=[4] * 4)), flat(*ours(x))):
        assert torch.equal(one, other)


def test_full_batch_first_input_reaches_the_kernel_as_it_lies_in_memory(monkeypatch):
    seen = []

    def scan(cell, x, state, layout, *, reverse=False):
        seen.append(x.data_ptr())
        return x.new_zeros(len(x), 5), state

    monkeypatch.setattr("ostinato.kernels.dispatch.scan", scan)
    ours, _ = pair("GRU", {"batch_first": True})
    x = torch.randn(4, 6, 3, **WIDE)
    ours(x)
    ours(x[0])
    nn.GRU(3, 5, **WIDE)(x[:1].transpose(0, 1))
    assert seen == [x.data_ptr()] * 3


def test_a_stream_read_in_parts_is_the_stream():
    ours, _ = pair("LSTM", {"num_layers": 2})
    x = torch.randn(6, 2, 3, **WIDE)
    whole, last = ours(x)
    state, read = None, []
    for step in x.split(1):
        output, state = ours(step, state)
        read.append(output)
    near([torch.cat(read), *state], [whole, *last])


def test_dropout_falls_between_layers_in_training_alone():
    x = torch.ones(50, 8, 3, **WIDE)
    ours, _ = pair("GRU", {"num_layers": 2, "dropout": 0.5})
    assert not torch.equal(ours(x)[0], ours(x)[0])
    assert torch.equal(ours(x)[1][0], ours(x)[1][0]), "the first layer reads the input whole"
    ours.eval()
    assert torch.equal(ours(x)[0], ours(x)[0])
    ours, theirs = pair("GRU", {"num_layers": 2, "dropout": 1.0})
    near(flat(*ours(x)), flat(*theirs(x)))


def test_second_derivatives_are_refused():
    ours, _ = pair("GRU", {})
    x = torch.randn(3, 2, 3, **WIDE, requires_grad=True)
    with pytest.raises(RuntimeError, match="no second derivative"):
        torch.autograd.grad(ours(x)[0].sum(), x, create_graph=True)


@pytest.mark.gpu
@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_on_a_gpu_every_form_gives_what_it_gives_on_the_cpu(kind, options):
    module, _ = pair(kind, options | {"num_layers": 2, "bidirectional": True})
    x, hx = torch.randn(9, 5, 3, **WIDE), states(module, (5,))
    packed = pack_padded_sequence(x, LENGTHS, enforce_sorted=False)
    steps = Steps.from_padded(x.transpose(0, 1), Layout(LENGTHS))
    expected = [
        flat(*one) for one in (module(x, hx), module(x, hx, lengths=LENGTHS), module(packed, hx), module(steps, hx))
    ]
    module, x, packed, steps = (one.to("cuda") for one in (module, x, packed, steps))
    hx = tuple(one.cuda() for one in hx) if kind == "LSTM" else hx.cuda()
    found = [module(x, hx), module(x, hx, lengths=torch.tensor(LENGTHS).cuda()), module(packed, hx), module(steps, hx)]
    for one, other in zip(found, expected):
        near([tensor.cpu() for tensor in flat(*one)], other)
