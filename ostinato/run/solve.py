"""What is counted and solved for on the training rows before the first update: encoders that count, and scores of
labels that are linear in what they counted."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ostinato.data.examples import Examples
from ostinato.data.split import share_of
from ostinato.encoders.contract import BagEncoder
from ostinato.model.batch import Batch
from ostinato.model.graph import Graph
from ostinato.notes import Detail
from ostinato.steps import Steps

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

PENALTY = 0.1
"""Half the weight of |E|^2 beside the summed loss: C = 10 of scikit-learn, which suits rows of length 1."""
MOST_FEATURES = 5_000_000
"""Different features, about, of the steps that are counted and solved on: ten million characters with n-grams, some
forty million features in all, half a gigabyte."""
BLOCK_STEPS = 1 << 18
MOST_ITERATIONS = 100
STEP_ITERATIONS, STEP_PRODUCTS = 60, 6e9
"""Where steps are counted so many iterations at least, and more while all products stay below that: 20 seconds. Slots
of ATIS (4,478 rows, 120 labels, validation) had 97.7 % after 60 in 20 seconds, 97.8 % after 100 in 37."""
CLOSE = 1e-6
"""Progress of the mean loss at which the search ends."""


def solve(graph: Graph, train: Examples, seed: int, say: Callable[[str], None]) -> None:
    """Counts what encoders count and solves for the scores that heads take from them."""
    rows = {}
    for name, encoder in graph.encoders.items():
        if isinstance(encoder, BagEncoder):
            each = encoder.features_per_step
            rows[name] = _rows(train, f"inputs.{name}", seed, MOST_FEATURES / each if each else math.inf)
            places = [f"inputs.{reader}" for reader in graph.readers(name)]
            encoder.count(block for place in places for block in _blocks(graph, train, place, rows[name]))
    for output, scored in graph.scored.items():
        if scored:
            _solve(graph, output, scored, train, min((rows[name] for name in scored), key=len), say)


def batches_of(examples: Examples, parts: Sequence[np.ndarray], device: str) -> Iterator[Batch]:
    """These parts of a split, a batch each."""
    return (examples.batch(numbers).to(device) for numbers in parts)


def _rows(train: Examples, place: str, seed: int, most: float) -> np.ndarray:
    """All training rows, or so many of them as have this number of steps."""
    rows, steps = np.arange(len(train)), int(train.lengths(place).sum())
    return rows if steps <= most else share_of(rows, most / steps, seed=seed)


def _blocks(graph: Graph, train: Examples, place: str, rows: np.ndarray) -> Iterator[Steps]:
    ends = np.cumsum(train.lengths(place)[rows])
    parts = np.split(rows, np.searchsorted(ends, np.arange(BLOCK_STEPS, ends[-1] if len(ends) else 0, BLOCK_STEPS)))
    for part in parts:
        if len(part):
            yield graph.as_read(place.removeprefix("inputs."), train.steps(place, part).to(graph.device))


@torch.no_grad()
def _solve(
    graph: Graph, output: str, scored: Sequence[str], train: Examples, rows: np.ndarray, say: Callable[[str], None]
) -> None:
    from scipy.sparse import hstack

    place, head = f"outputs.{output}", graph.heads[output]
    rows = rows[train.lengths(place)[rows] > 0]
    encoders = [graph.encoder(name) for name in scored]
    blocks = [
        _matrix(encoder, _blocks(graph, train, f"inputs.{name}", rows)) for name, encoder in zip(scored, encoders)
    ]
    targets = train.steps(place, rows).to(graph.device)

    def loss(scores: Tensor) -> Tensor:
        return head.score_loss(scores.to(graph.device), targets).total

    features = hstack(blocks).tocsc()
    known = np.flatnonzero(np.diff(features.indptr))
    size, iterations = len(encoders[0].bias), MOST_ITERATIONS
    if encoders[0].counts_steps:
        iterations = int(min(iterations, max(STEP_ITERATIONS, STEP_PRODUCTS / max(1, size * features.nnz))))
    solved, bias, evaluations = solution(features[:, known].tocsr(), loss, size, iterations)
    where = f"{len(rows):,} rows, {len(known):,} features, {evaluations} evaluations"
    say(Detail(f"{place}: {' and '.join(scored)} solved for on {where}"))
    table = solved.new_zeros(features.shape[1], size)
    table[torch.from_numpy(known)] = solved
    for encoder, part in zip(encoders, table.split([block.shape[1] for block in blocks])):
        encoder.table.copy_(part)
        encoder.bias.zero_()
    encoders[0].bias.copy_(bias)


def _matrix(encoder: BagEncoder, blocks: Iterable[Steps]) -> csr_matrix:
    """(rows or steps, known features) of what was counted."""
    from scipy.sparse import csr_matrix, vstack

    parts = []
    for steps in blocks:
        rows, numbers, weights = (part.cpu().numpy() for part in encoder.bag(steps))
        shape = (encoder.rows_of(steps.layout), len(encoder.table))
        parts.append(csr_matrix((weights.astype(np.float32), (rows, numbers.astype(np.int32))), shape=shape))
    return vstack(parts).tocsr()


def solution(
    features: csr_matrix, loss: Callable[[Tensor], Tensor], size: int, iterations: int = MOST_ITERATIONS
) -> tuple[Tensor, Tensor, int]:
    """The linear scores of least penalized loss.

        E, b = argmin  loss(X E + b) + PENALTY / 2 |E|^2

    by L-BFGS from zero, on all rows at once.

    Shapes:
        features X (R, F); returns E (F, size), b (size,) and the number of evaluations

    Args:
        features: X.
        loss: of scores (R, size), a sum over rows; convex.
        size: the number of scores.
        iterations: of the search, at most.

    Source: Liu and Nocedal 1989, doi:10.1007/BF01589116, as torch has it.
    """
    rows, number = features.shape
    transposed = features.T.tocsr()
    weights = torch.zeros(number + 1, size, requires_grad=True)
    search = torch.optim.LBFGS(
        [weights], max_iter=iterations, tolerance_change=CLOSE, history_size=10, line_search_fn="strong_wolfe"
    )
    evaluations = 0

    def closure() -> float:
        nonlocal evaluations
        evaluations += 1
        table, bias = weights.detach()[:-1], weights.detach()[-1]
        scores = (torch.from_numpy(features @ table.numpy()) + bias).double().requires_grad_()
        total = loss(scores)
        total.backward()
        slopes = scores.grad.float()
        weights.grad = torch.cat([torch.from_numpy(transposed @ slopes.numpy()), slopes.sum(0, keepdim=True)])
        weights.grad[:-1] += PENALTY * table
        weights.grad /= rows
        return (total.item() + PENALTY / 2 * table.square().sum().item()) / rows

    with torch.enable_grad():
        search.step(closure)
    solved = weights.detach()
    return solved[:-1], solved[-1], evaluations
