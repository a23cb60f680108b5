"""One step through a Transformer's layers by the native library is what torch computes."""

import pytest
import torch

from ostinato.decoders.transformer import TransformerDecoder
from ostinato.encoders.contract import Encoded, Sizes
from ostinato.kernels.dispatch import available, forced
from ostinato.layers.growing import Stepper
from ostinato.layers.transformer import TransformerStack
from ostinato.registry import settings_class
from ostinato.steps import Layout, Steps

pytestmark = pytest.mark.skipif("native" not in available(), reason="no native library")

STACKS = {
    "modern": {},
    "vaswani2017": {"block": "vaswani2017"},
    "shared keys": {"heads": 4, "kv_heads": 2, "feed_forward_activation": "swiglu"},
    "learned": {"positions": "learned", "norm": "layer", "query_key_norm": False},
    "odd": {"hidden_size": 36, "heads": 3, "feed_forward_size": 50, "last_norm": False},
}


def drawn(module, seed=1):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in module.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator) * 0.3)
    return module.eval()


def decoder_of(sources=(), **given):
    settings = settings_class("decoders", "transformer")(
        type="transformer", **{"hidden_size": 32, "layers": 2, **given}
    )
    own = {name: getattr(settings, name) for name in type(settings).model_fields if name != "type"}
    size = own["hidden_size"]
    sizes = [Sizes(steps=width, summary=None) for width in sources]
    return drawn(TransformerDecoder(sizes, lambda: torch.nn.Embedding(11, size), size, None, 0.0, **own))


def inputs_of(lengths, dtype, seed=2):
    generator = torch.Generator().manual_seed(seed)
    found = []
    for own in lengths:
        values = torch.randn(sum(own), 8, generator=generator).to(dtype)
        found.append(Encoded(Steps(values, Layout(own)), None, None))
    return found


def generated(decoder, encoded, dtype, kernel, rows=None):
    """Features and attention of six steps, with other beginnings chosen on the way, as a beam chooses them."""
    with forced(kernel), torch.inference_mode():
        state = decoder.start(encoded)
        order = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 2]) if rows is None else torch.tensor(rows)
        state, found = state.reorder(order), []
        symbols = torch.arange(len(order)) % 11
        for step in range(6):
            features, state = decoder.step((symbols + step) % 11, state)
            found += [features, *state.attention]
            if step == 2 and rows is None:
                state = state.reorder(torch.tensor([1, 0, 0, 3, 3, 5, 8, 6, 8]))
            if step == 4 and rows is None:
                state = state.reorder(torch.tensor([0, 1, 2, 6, 7, 8]), forget=True)
                symbols = symbols[:6]
        return found, state


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", STACKS)
def test_steps_are_those_of_torch(kind, dtype):
    decoder = decoder_of((8, 8), **STACKS[kind]).to(dtype)
    encoded = inputs_of(([3, 5, 1], [2, 0, 4]), dtype)
    mine, state = generated(decoder, encoded, dtype, "native")
    theirs, _ = generated(decoder, encoded, dtype, "reference")
    assert state.packed["layers"].native.room is not None, "the library has computed nothing"
    for one, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(
            one, other, rtol=0, atol=(2e-5 if dtype == torch.float32 else 1e-12) * other.abs().max()
        )


def test_a_row_has_the_same_bits_in_any_company():
    decoder, encoded = decoder_of((8,)), inputs_of(([3, 5, 1],), torch.float32)
    together, _ = generated(decoder, encoded, torch.float32, "native", [1, 0, 2, 1])
    alone, _ = generated(decoder, encoded, torch.float32, "native", [1])
    assert all(torch.equal(one[0], other[0]) for one, other in zip(alone, together, strict=True))


@pytest.mark.parametrize("given", [{"feed_forward_activation": "gelu"}, {"positions": "alibi"}, {"window": 3}])
def test_what_the_library_lacks_is_left_to_torch(given):
    decoder, encoded = decoder_of((8,), **given), inputs_of(([3, 5, 1],), torch.float32)
    mine, state = generated(decoder, encoded, torch.float32, "native")
    theirs, _ = generated(decoder, encoded, torch.float32, "reference")
    assert not state.packed["layers"].native.fits or state.packed["layers"].native.room is None
    assert all(torch.equal(one, other) for one, other in zip(mine, theirs, strict=True))


def test_norms_that_differ_are_left_to_torch():
    stack = decoder_of().stack
    assert Stepper(stack).native is not None
    stack.layers[1].norms[0].eps *= 2
    assert Stepper(stack).native is None


def test_weights_that_are_no_rows_are_left_to_torch():
    stack = decoder_of().stack
    weight = stack.layers[0].feed_forward.first.weight
    weight.data = weight.data.t().contiguous().t()
    assert isinstance(stack, TransformerStack) and not Stepper(stack).native.fits
