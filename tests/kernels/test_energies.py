"""Native energies of an additive attention equal torch's, forward and backward, and do not depend on their company."""

import pytest
import torch

from ostinato.attentions.additive import Additive
from ostinato.kernels.dispatch import forced
from ostinato.kernels.energies import energies, is_native
from ostinato.kernels.native_library import library
from ostinato.layers.attend import attend
from ostinato.steps import Layout

pytestmark = pytest.mark.skipif(library() is None, reason="no native library in this installation")

SIZES = [(1, 1, 1, 1), (2, 3, 5, 7), (4, 9, 31, 33), (1, 50, 60, 130), (2, 0, 3, 4), (2, 3, 0, 4), (0, 1, 1, 3)]


def tensors(B, K, S, A, dtype=torch.float32, seed=0):
    random = torch.Generator().manual_seed(seed)
    return [
        torch.randn(shape, generator=random, dtype=dtype).requires_grad_() for shape in ((B, K, A), (B, S, A), (A,))
    ]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", SIZES)
def test_they_equal_torch_forward_and_backward(size, dtype):
    given = tensors(*size, dtype)
    d_scores = torch.randn(size[:3], dtype=dtype, generator=torch.Generator().manual_seed(1))
    results = []
    for kernel in ("native", "reference"):
        with forced(kernel):
            scores = energies(*given)
            results.append([scores, *torch.autograd.grad(scores, given, d_scores)])
    bound = {torch.float32: 3e-6, torch.float64: 1e-14}[dtype]
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=bound, atol=bound * (1 + other.detach().abs().sum() ** 0.5).item())


def test_a_row_has_the_same_bits_alone_in_company_and_on_any_number_of_threads():
    query, keys, energy = tensors(5, 40, 30, 70)
    d_scores = torch.randn(5, 40, 30, generator=torch.Generator().manual_seed(1))

    def computed(query, keys, d_scores):
        scores = energies(query, keys, energy)
        return [part.detach() for part in (scores, *torch.autograd.grad(scores, (query, keys), d_scores))]

    together = computed(query, keys, d_scores)
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            assert all(map(torch.equal, computed(query, keys, d_scores), together))
    finally:
        torch.set_num_threads(before)
    for b in range(5):
        alone = computed(query[b : b + 1], keys[b : b + 1], d_scores[b : b + 1])
        assert all(torch.equal(one[0], many[b]) for one, many in zip(alone, together))


def test_views_and_what_is_not_a_number_are_taken():
    query, keys, energy = (part.detach() for part in tensors(3, 4, 5, 6))
    expected = energies(query, keys, energy)
    turned = query.transpose(1, 2).contiguous().transpose(1, 2), keys.repeat(1, 1, 2)[..., :6], energy.repeat(2)[:6]
    assert torch.equal(energies(*turned), expected)
    keys[1, 2, 3] = float("nan")
    found = energies(query, keys, energy)
    assert found[1, :, 2].isnan().all() and found.isnan().sum() == 4


def test_they_leave_it_to_torch_where_they_must():
    query, keys, energy = tensors(2, 3, 4, 5)
    assert is_native(query, keys, energy)
    with forced("reference"):
        assert not is_native(query, keys, energy)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert energies(query, keys, energy).dtype == torch.bfloat16
    assert not is_native(query.bfloat16(), keys, energy)
    exported = torch.export.export(Scored(), (query.detach(), keys.detach(), energy.detach())).module()
    assert torch.allclose(exported(query, keys, energy), energies(query, keys, energy), atol=1e-6)


class Scored(torch.nn.Module):
    def forward(self, query, keys, energy):
        return energies(query, keys, energy)


def test_a_gradient_of_a_gradient_is_refused():
    given = tensors(2, 3, 4, 5)
    with pytest.raises(RuntimeError, match="no second derivative"):
        torch.autograd.grad(energies(*given).sum(), given, create_graph=True)


def test_many_queries_are_attended_to_at_once_as_torch_does_in_pieces(monkeypatch):
    torch.manual_seed(0)
    attention, layout = Additive(6, 4), Layout([9, 3, 0])
    query, memory = torch.randn(3, 50, 6, requires_grad=True), torch.randn(3, 9, 4)
    keys = attention.prepare(memory)
    pieces, score = [], Additive.scores

    def counted(self, *arguments):
        pieces.append(arguments[0].shape[1])
        return score(self, *arguments)

    monkeypatch.setattr(Additive, "scores", counted)
    monkeypatch.setattr("ostinato.layers.attend._PIECE", {"cpu": 3 * 9 * 6 * 20})
    results = []
    for kernel in ("native", "reference"):
        with forced(kernel):
            results.append(attend(attention, query, keys, memory, layout))
    assert pieces == [50, 20, 20, 10]
    for one, other in zip(*results):
        assert torch.allclose(one, other, atol=1e-6)
