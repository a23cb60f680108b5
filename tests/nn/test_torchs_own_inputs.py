"""PyTorch's own module inputs, reference functions and error inputs (`module_db`), run against ours beside torch's."""

import re

import pytest
import torch
from torch.nn.utils.rnn import PackedSequence
from torch.testing._internal.common_modules import ModuleErrorEnum, module_db
from torch.utils import _pytree

from ostinato import nn

INFOS = {info.module_cls: info for info in module_db if info.module_cls in (torch.nn.RNN, torch.nn.LSTM, torch.nn.GRU)}
PAIRS = [pytest.param(info, getattr(nn, cls.__name__), id=cls.__name__) for cls, info in INFOS.items()]
COUNTS = {"RNN": 64, "LSTM": 32, "GRU": 32}
"""How many inputs there were in torch 2.13: fewer would make this test say less than it seems to."""
TOLERANCE = {torch.float32: 2e-5, torch.float64: 1e-13}
"""Of the largest value; inputs up to 9 saturate the gates, and a gradient that is a difference of large numbers is
rough."""

# torch's own LSTM says so once; ours has no oneDNN.
pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning")


def tensors(tree):
    """What carries numbers in arguments or results, packed sequences opened."""
    found = []
    for leaf in _pytree.tree_leaves(tree, is_leaf=lambda one: isinstance(one, PackedSequence)):
        leaf = leaf.data if isinstance(leaf, PackedSequence) else leaf
        if isinstance(leaf, torch.Tensor):
            found.append(leaf)
    return found


def near(ours, theirs):
    assert len(ours) == len(theirs) > 0
    for one, other in zip(ours, theirs):
        largest = other.abs().max().item()
        torch.testing.assert_close(one, other, rtol=0, atol=TOLERANCE[other.dtype] * largest)


def gradients(results, arguments, parameters):
    """Of every parameter and every argument that wants one, for a loss that weighs each number differently."""
    loss = sum((one * torch.arange(1, one.numel() + 1).to(one).view_as(one).sin()).sum() for one in tensors(results))
    wanted = [*parameters, *(one for one in tensors(arguments) if one.requires_grad)]
    return torch.autograd.grad(loss, wanted)


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("requires_grad", [True, False], ids=["gradients", "values"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["f32", "f64"])
@pytest.mark.parametrize(("info", "kind"), PAIRS)
def test_every_input_gives_torchs_output_its_references_and_its_gradients(info, kind, dtype, requires_grad, training):
    torch.manual_seed(0)
    more = {} if kind is nn.LSTM else {"with_packed_sequence": True}
    inputs = info.module_inputs_func(
        info, device="cpu", dtype=dtype, requires_grad=requires_grad, training=training, **more
    )
    assert len(inputs) >= COUNTS[kind.__name__]
    for given in inputs:
        made = given.constructor_input
        theirs = info.module_cls(*made.args, **made.kwargs, dtype=dtype).train(training)
        ours = kind(*made.args, **made.kwargs, dtype=dtype).train(training)
        ours.load_state_dict(theirs.state_dict())
        arguments, options = given.forward_input.args, given.forward_input.kwargs
        found, expected = ours(*arguments, **options), theirs(*arguments, **options)
        near(tensors(found), tensors(expected))
        assert [type(one) for one in found] == [type(one) for one in expected]
        assert dict(ours.named_parameters()).keys() == dict(theirs.named_parameters()).keys()
        near(gradients(found, arguments, ours.parameters()), gradients(expected, arguments, theirs.parameters()))
        if not isinstance(arguments[0], PackedSequence):
            reference = given.reference_fn(ours, *arguments, **options)
            near(tensors(found), tensors(reference))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["f32", "f64"])
@pytest.mark.parametrize(("info", "kind"), PAIRS)
def test_every_error_input_raises_torchs_error(info, kind, dtype):
    cases = info.module_error_inputs_func(info, device="cpu", dtype=dtype, requires_grad=False, training=False)
    assert len(cases) >= 14
    for case in cases:
        given = case.module_error_input
        made = given.constructor_input

        def run(given=given, made=made, case=case):
            module = kind(*made.args, **made.kwargs)
            assert case.error_on is ModuleErrorEnum.FORWARD_ERROR
            module(*given.forward_input.args, **given.forward_input.kwargs)

        with pytest.raises(case.error_type) as error:
            run()
        assert re.search(case.error_regex, str(error.value)), error.value
