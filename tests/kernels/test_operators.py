"""torch.compile, torch.export, autocast and fake tensors meet one operator per layer and direction, equal to the eager
call."""

import warnings

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

from ostinato import nn
from ostinato.cells.gru import GRU
from ostinato.cells.lstm import LSTM
from ostinato.cells.rnn import RNN
from ostinato.cells.slstm import SLSTM
from ostinato.errors import KernelError
from ostinato.kernels import dispatch, native, operators
from ostinato.kernels.native_library import library
from ostinato.steps import Layout, Steps

pytestmark = pytest.mark.skipif(library() is None, reason="no native library in this installation")

LENGTHS = [3, 0, 5]
CELLS = {
    "rnn_tanh": lambda: RNN(4, 6),
    "lstm": lambda: LSTM(4, 6),
    "lstm_coupled": lambda: LSTM(4, 6, peepholes=True, coupled=True),
    "gru_after": lambda: GRU(4, 6),
    "gru_before": lambda: GRU(4, 6, reset="before"),
    "slstm": lambda: SLSTM(4, 6),
}
MODULES = (nn.RNN, nn.LSTM, nn.GRU)
A_SECOND_ONE = "no second derivative|does not currently support double backward"


@pytest.fixture(autouse=True)
def fresh():
    torch.manual_seed(0)
    torch._dynamo.reset()


def arguments(name, keep=True, dtype=torch.float32, mask=True):
    """What the operator takes, for a ragged batch."""
    cell = CELLS[name]().to(dtype)
    layout = Layout(LENGTHS)
    x = torch.randn(layout.total, 4, dtype=dtype, requires_grad=True)
    state = [torch.randn(len(LENGTHS), 6, dtype=dtype, requires_grad=True) for _ in range(cell.num_states)]
    kept = torch.rand(len(LENGTHS), 6, dtype=dtype) if mask else None
    weights = (cell.weight_x, cell.weight_h, cell.bias_x, cell.bias_h, cell.native().peepholes)
    return x, layout.lengths, state[0], leaf(native.c_of(state)), *weights, kept, name, True, keep


def leaf(tensor):
    return None if tensor is None else tensor.detach().requires_grad_()


def gradients(out, tensors):
    return torch.autograd.grad(sum(one.sin().sum() for one in out), tensors)


def differentiable(given):
    return [one for one in given if isinstance(one, torch.Tensor) and one.requires_grad]


def assert_same(one, other):
    assert len(one) == len(other)
    assert all(torch.equal(a, b) for a, b in zip(one, other))


def flat(out):
    output, state = out
    return (output, *(state if isinstance(state, tuple) else (state,)))


def nodes(graph):
    # The graphs of torch.compile name the operator, those of export its overload.
    return [node for node in graph.nodes if node.target in (torch.ops.ostinato.scan, torch.ops.ostinato.scan.default)]


@pytest.mark.parametrize("name", CELLS)
def test_the_operator_is_what_torch_asks_of_one(name):
    torch.library.opcheck(torch.ops.ostinato.scan.default, arguments(name))


@pytest.mark.parametrize("name", ["rnn_tanh", "lstm", "gru_after"])
def test_the_operator_without_a_gradient_is_what_torch_asks_of_one(name):
    given = [one.detach() if isinstance(one, torch.Tensor) else one for one in arguments(name, keep=False, mask=False)]
    torch.library.opcheck(torch.ops.ostinato.scan.default, tuple(given))
    assert [one.numel() for one in torch.ops.ostinato.scan(*given)[3:]] == [0, 0]


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("wanted", [True, False])
def test_the_gradients_operator_is_what_torch_asks_of_one(name, wanted):
    given = arguments(name)
    own = [one.detach() if isinstance(one, torch.Tensor) else one for one in given[: operators._NUM_OWN]]
    hidden, last_h, last_c, gates, extra = (one.detach() for one in torch.ops.ostinato.scan(*given))
    d_out = (hidden.cos(), last_h.cos(), last_c.cos() if own[3] is not None else None)
    wants = [one is not None and (wanted or number == 0) for number, one in enumerate((own[0], *own[2:9]))]
    torch.library.opcheck(
        torch.ops.ostinato.scan_backward.default, (*d_out, *own, hidden, gates, extra, name, True, wants)
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", CELLS)
def test_the_operator_gives_the_bits_of_the_eager_call(name, dtype):
    given = arguments(name, dtype=dtype)
    x, lengths, h, c, weight_x, weight_h, bias_x, bias_h, peepholes, mask, kind, reverse, keep = given
    cell = CELLS[name]().to(dtype)
    cell.weight_x, cell.weight_h, cell.bias_x, cell.bias_h = weight_x, weight_h, bias_x, bias_h
    if peepholes is not None:
        cell.peepholes = peepholes
    hidden, last = native.scan(cell, x, native.states_of(h, c), Layout(lengths), reverse=reverse, state_mask=mask)
    hidden_of_operator, last_h, last_c = torch.ops.ostinato.scan(*given)[:3]
    out = (hidden_of_operator, *native.states_of(last_h, None if c is None else last_c))
    assert_same(out, (hidden, *last))
    assert_same(gradients(out, differentiable(given)), gradients((hidden, *last), differentiable(given)))


def test_the_operators_backward_can_be_called_twice():
    given = arguments("gru_after")
    out = torch.ops.ostinato.scan(*given)[0].sum()
    assert_same(
        *(torch.autograd.grad(out, differentiable(given), retain_graph=True, allow_unused=True)[:1] for _ in range(2))
    )


@pytest.mark.parametrize("name", CELLS)
def test_a_second_derivative_is_refused_and_never_wrong(name):
    given = arguments(name)
    (first,) = torch.autograd.grad(torch.ops.ostinato.scan(*given)[0].sin().sum(), given[0], create_graph=True)
    with pytest.raises(RuntimeError, match="no second derivative"):
        first.sum().backward()


def test_a_gradient_of_what_was_computed_without_one_in_mind_is_refused():
    given = arguments("lstm", keep=False)
    with pytest.raises(RuntimeError, match="keep=False.*grad mode on"):
        torch.ops.ostinato.scan(*given)[0].sum().backward()


def test_gates_and_extra_have_no_gradient():
    assert [one.requires_grad for one in torch.ops.ostinato.scan(*arguments("lstm"))] == [
        True,
        True,
        True,
        False,
        False,
    ]


def test_wrong_shapes_are_refused_before_an_address_is_handed_on():
    given = list(arguments("lstm"))
    with pytest.raises(ValueError, match="weight_x has shape.*weight_h of shape"):
        torch.ops.ostinato.scan(*given[:5], torch.zeros(24, 5), *given[6:])
    with pytest.raises(ValueError, match="x has shape"):
        torch.ops.ostinato.scan(given[0], torch.tensor([3, 0, 6]), *given[2:])
    own, out = given[:10], torch.ops.ostinato.scan(*given)
    gates, extra = out[3], out[4]
    for kept in ((out[0][:-1], gates, extra), (out[0], gates[:, 1:], extra), (out[0], gates, extra.double())):
        with pytest.raises(ValueError, match="scan_backward: .* needed is"):
            torch.ops.ostinato.scan_backward(out[0], None, None, *own, *kept, "lstm", True, [True] * 8)


def test_a_cell_or_a_library_that_is_not_there_is_named(monkeypatch):
    given = arguments("lstm")
    with pytest.raises(KernelError, match="no cell has the name 'lstn'.*did you mean 'lstm'"):
        torch.ops.ostinato.scan(*given[:10], "lstn", True, False)
    monkeypatch.setattr(operators, "library", lambda: None)
    with pytest.raises(KernelError, match="needs the native library"):
        torch.ops.ostinato.scan(*given)


@pytest.mark.parametrize("name", ["rnn_tanh", "lstm", "gru_after"])
def test_under_autocast_the_operator_computes_in_float32(name):
    given = list(arguments(name))
    out = torch.ops.ostinato.scan(*given)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        given[0] = given[0].detach().bfloat16().requires_grad_()
        cast = torch.ops.ostinato.scan(*given)
    assert {one.dtype for one in cast} == {torch.float32}
    torch.testing.assert_close(cast[0], out[0], rtol=0, atol=0.02)
    cast[0].sum().backward()
    assert given[0].grad.dtype == torch.bfloat16


def module_of(kind, **options):
    return kind(4, 6, num_layers=2, bidirectional=True, **options)


def assert_trains_alike(module, compiled, x, *hx):
    tensors = [x, *module.parameters()]
    eager, other = flat(module(x, *hx)), flat(compiled(x, *hx))
    assert_same(eager, other)
    assert_same(gradients(eager, tensors), gradients(other, tensors))


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("kind", MODULES)
def test_a_compiled_module_has_one_graph_and_equals_eager(kind, batch_first):
    module = module_of(kind, batch_first=batch_first)
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    assert_trains_alike(module, compiled, torch.randn(3, 5, 4, requires_grad=True))


@pytest.mark.parametrize("options", [{"peepholes": True}, {"coupled": True}, {"bias": False}], ids=str)
def test_a_compiled_lstm_keeps_its_options(options):
    module = module_of(nn.LSTM, **options)
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    state = torch.randn(2, 4, 3, 6)
    assert_trains_alike(module, compiled, torch.randn(5, 3, 4, requires_grad=True), tuple(state))


def test_a_compiled_scan_of_several_states_equals_eager():
    cell, layout = SLSTM(4, 6), Layout(LENGTHS)
    x = torch.randn(layout.total, 4, requires_grad=True)
    run = lambda x: dispatch.scan(cell, x, cell.start_state(len(LENGTHS)), layout)  # noqa: E731
    eager, other = flat(run(x)), flat(torch.compile(run, fullgraph=True, backend="aot_eager")(x))
    assert len(eager) == 5
    assert_same(eager, other)
    assert_same(*(gradients(out, [x, *cell.parameters()]) for out in (eager, other)))


def test_a_compiled_module_reads_one_sequence():
    module = nn.GRU(4, 6)
    assert_trains_alike(
        module, torch.compile(module, fullgraph=True, backend="aot_eager"), torch.randn(5, 4, requires_grad=True)
    )


def test_a_compiled_module_takes_any_number_of_rows_and_steps_in_one_graph():
    module = module_of(nn.LSTM, batch_first=True)
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager", dynamic=True)
    assert_trains_alike(module, compiled, torch.randn(3, 5, 4, requires_grad=True))
    with torch.compiler.set_stance("fail_on_recompile"):
        assert_trains_alike(module, compiled, torch.randn(7, 9, 4, requires_grad=True))


def test_compiled_steps_of_unequal_lengths_are_one_graph():
    module = module_of(nn.GRU)
    layout = Layout(LENGTHS)
    values = torch.randn(layout.total, 4, requires_grad=True)
    run = lambda values: (lambda out: (out[0].values, out[1]))(module(Steps(values, layout)))  # noqa: E731
    compiled = torch.compile(run, fullgraph=True, backend="aot_eager")
    eager, other = flat(run(values)), flat(compiled(values))
    assert_same(eager, other)
    assert_same(gradients(eager, [values]), gradients(other, [values]))


@pytest.mark.parametrize("as_tensor", [True, False])
def test_compiled_with_lengths_leaves_the_graph_and_stays_right(as_tensor):
    module = module_of(nn.LSTM, batch_first=True)
    x = torch.randn(3, 5, 4, requires_grad=True)
    lengths = torch.tensor(LENGTHS) if as_tensor else LENGTHS
    eager = flat(module(x, lengths=lengths))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own words on what it cannot trace
        other = flat(torch.compile(module, backend="aot_eager")(x, lengths=lengths))
    assert_same(eager, other)
    assert_same(gradients(eager, [x]), gradients(other, [x]))


def test_a_second_derivative_of_a_compiled_module_is_refused():
    module = nn.LSTM(4, 6)
    x = torch.randn(5, 3, 4, requires_grad=True)
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    with pytest.raises(RuntimeError, match=A_SECOND_ONE):
        (first,) = torch.autograd.grad(compiled(x)[0].sin().sum(), x, create_graph=True)
        first.sum().backward()


@pytest.mark.parametrize("kind", MODULES)
def test_compiled_under_autocast_the_operator_stays(kind):
    module = kind(4, 6)
    x = torch.randn(5, 3, 4)
    graphs = []

    def keep(graph, _):
        graphs.append(graph.graph)
        return graph.forward

    compiled = torch.compile(module, fullgraph=True, backend=keep)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = compiled(x)[0]
    assert len(nodes(graphs[0])) == 1 and out.dtype == torch.float32
    assert torch.equal(out, module(x)[0])


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("kind", MODULES)
def test_an_exported_module_has_one_node_per_layer_and_direction(kind, strict):
    module = module_of(kind, batch_first=True).eval()
    x = torch.randn(3, 5, 4)
    rows, steps = torch.export.Dim("rows"), torch.export.Dim("steps")
    exported = torch.export.export(module, (x,), dynamic_shapes=({0: rows, 1: steps},), strict=strict)
    assert len(nodes(exported.graph)) == 4
    for shape in ((3, 5, 4), (7, 2, 4)):
        x = torch.randn(shape)
        assert_same(flat(exported.module()(x)), flat(module(x)))


def test_exported_without_grad_nothing_is_kept_for_a_gradient():
    with torch.no_grad():
        exported = torch.export.export(nn.LSTM(4, 6).eval(), (torch.randn(5, 3, 4),))
    assert [node.args[-1] for node in nodes(exported.graph)] == [False]


def test_fake_tensors_pass_and_leave_no_trace():
    module = module_of(nn.LSTM)
    x = torch.randn(11, 13, 4)  # a size that no other test has: layouts of full batches are kept
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        output, (h, _) = module(mode.from_tensor(x))
        assert (output.shape, h.shape) == ((11, 13, 12), (4, 13, 6))
    assert torch.isfinite(module(x)[0]).all()


def test_make_fx_sees_the_operator():
    module = nn.GRU(4, 6)
    x = torch.randn(5, 3, 4)
    traced = make_fx(lambda x: module(x)[0])(x)
    assert len(nodes(traced.graph)) == 1
    assert torch.equal(traced(x), module(x)[0])


@pytest.mark.parametrize("way", ["compile", "export", "make_fx"])
@pytest.mark.parametrize("kind", MODULES)
def test_a_step_of_a_stream_is_traced_as_the_operator(kind, way):
    module = kind(4, 6).eval()
    x, h = torch.randn(1, 1, 4), torch.randn(1, 1, 6)
    state = (h, h) if kind is nn.LSTM else h
    with torch.no_grad():
        module(x, state)  # prepares the eager step, which a trace must not take
        if way == "make_fx":
            traced = make_fx(lambda x: flat(module(x, state)))(x)
            assert len(nodes(traced.graph)) == 1
            out = traced(x)
        elif way == "export":
            exported = torch.export.export(module, (x, state))
            assert len(nodes(exported.graph)) == 1
            out = flat(exported.module()(x, state))
        else:
            out = flat(torch.compile(module, fullgraph=True, backend="aot_eager")(x, state))
        for one, other in zip(out, flat(module(x, state)), strict=True):
            torch.testing.assert_close(one, other)


def test_eager_calls_do_not_go_through_the_operator(monkeypatch):
    monkeypatch.setattr(
        operators, "scan", lambda *_, **__: pytest.fail("the operator costs three times the direct call")
    )
    module_of(nn.LSTM)(torch.randn(5, 3, 4))[0].sum().backward()


def test_a_forced_reference_is_traced_as_it_is(monkeypatch):
    monkeypatch.setenv("OSTINATO_KERNEL", "reference")
    monkeypatch.setattr(operators, "scan", lambda *_, **__: pytest.fail("the reference was asked for"))
    layout, cell = Layout([2]), GRU(3, 4)
    traced = make_fx(lambda x: dispatch.scan(cell, x, cell.start_state(1), layout)[0])(torch.zeros(2, 3))
    assert not nodes(traced.graph)


@pytest.mark.slow
@pytest.mark.parametrize("kind", MODULES)
def test_inductor_equals_eager(kind):
    module = module_of(kind, batch_first=True)
    x = torch.randn(3, 5, 4, requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiled = torch.compile(module, fullgraph=True)
        eager, other = flat(module(x)), flat(compiled(x))
        torch.testing.assert_close(other, eager)
        tensors = [x, *module.parameters()]
        torch.testing.assert_close(gradients(other, tensors), gradients(eager, tensors))
