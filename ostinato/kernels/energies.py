"""The energies of an additive attention, natively without the vector that each pair of query and step has."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ostinato.kernels.deferred import refuse_second_derivative
from ostinato.kernels.dispatch import native_is_allowed
from ostinato.kernels.native import DTYPES, wants_gradient
from ostinato.kernels.native_library import library
from ostinato.kernels.structures import Energies


def energies(query: Tensor, keys: Tensor, energy: Tensor) -> Tensor:
    """e[b, k, s] = energy . tanh(query[b, k] + keys[b, s]).

    Natively a pair's tangents are summed as they are made and made again for the gradient, so nothing of size
    B K S A is in memory; a score does not depend on what is beside it or on the number of threads.

    Shapes:
        query (B, K, A); keys (B, S, A); energy (A,); returns (B, K, S)

    Errors:
        RuntimeError: natively, the gradient of a gradient is asked for (create_graph).
    """
    if not is_native(query, keys, energy):
        # tanh_ writes over the sum, which no gradient needs: half the memory of the largest tensor here
        hidden = torch.tanh_(query.unsqueeze(2) + keys.unsqueeze(1))
        return functional.linear(hidden, energy.unsqueeze(0)).squeeze(-1)
    tensors = (query.contiguous(), keys.contiguous(), energy.contiguous())
    return _Energies.apply(*tensors) if wants_gradient(tensors) else _forward(*tensors)


def is_native(query: Tensor, keys: Tensor, energy: Tensor) -> bool:
    """Whether the native library computes them."""
    return native_is_allowed((query, keys, energy))


def _structure(query: Tensor, keys: Tensor, energy: Tensor) -> Energies:
    return Energies(
        is_double=DTYPES[query.dtype],
        B=len(query),
        K=query.shape[1],
        S=keys.shape[1],
        A=len(energy),
        query=query.data_ptr(),
        keys=keys.data_ptr(),
        energy=energy.data_ptr(),
    )


def _forward(query: Tensor, keys: Tensor, energy: Tensor) -> Tensor:
    scores = query.new_empty(len(query), query.shape[1], keys.shape[1])
    given = _structure(query, keys, energy)
    given.scores = scores.data_ptr()
    library().energies_forward(given)
    return scores


class _Energies(torch.autograd.Function):
    @staticmethod
    def forward(ctx, query: Tensor, keys: Tensor, energy: Tensor) -> Tensor:
        ctx.save_for_backward(query, keys, energy)
        return _forward(query, keys, energy)

    @staticmethod
    def backward(ctx, d_scores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        refuse_second_derivative()
        query, keys, energy = ctx.saved_tensors
        d_query, d_keys = torch.empty_like(query), torch.empty_like(keys)
        d_energy, d_scores = query.new_empty(len(query), len(energy)), d_scores.contiguous()
        given = _structure(query, keys, energy)
        given.d_scores, given.d_query = d_scores.data_ptr(), d_query.data_ptr()
        given.d_keys, given.d_energy = d_keys.data_ptr(), d_energy.data_ptr()
        library().energies_backward(given)
        return d_query, d_keys, d_energy.sum(0)
