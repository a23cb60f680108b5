"""What an attention is: a score between a query and each step of a memory; softmax and weighted sum are generic."""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor, nn

from ostinato.kernels.decoder import Scores


class Attention(nn.Module, ABC):
    """Scores e[k, s] between queries and the steps of a memory.

        keys     = prepare(memory)                  once per batch
        previous = move(query, previous)            what the step before left, brought to this step
        e        = scores(query, keys, previous)
        weights  = softmax over the real steps of e; context = sum_s weights[s] * memory[s]    (layers/attend.py)

    Shapes:
        memory (B, S, M) padded with finite numbers; query (B, K, Q): K queries of each example; scores (B, K, S);
        previous (B, K, S): the weights of the step before, of each query, or (B, K, carried_size): what `move` gave
        that step; None (at the first step) means zeros

    Args:
        query_size: Q, by position.
        memory_size: M, by position.
    """

    needs_previous: ClassVar[bool]
    """Whether the score reads what the step before left, so that steps cannot be computed all at once."""
    carried_size: ClassVar[int | None] = None
    """Numbers of each query that a step leaves to the next, which `move` gave it; None: it leaves its weights, as many
    as there are steps."""
    pair_size: int
    """Numbers held for each pair of query and step while scoring: 1 for a product of vectors, A where a vector is made
    of each pair."""

    def __init__(self, query_size: int, memory_size: int):
        super().__init__()
        self.query_size = query_size
        self.memory_size = memory_size

    def held(self, query: Tensor, keys: Tensor) -> int:
        """The numbers that `scores` holds for each pair: `pair_size`, or fewer where it makes none of them.

        layers/attend.py cuts its work into pieces by it.
        """
        return self.pair_size

    @abstractmethod
    def prepare(self, memory: Tensor) -> Tensor:
        """What depends on the memory alone, (B, S, A)."""

    def native(self) -> Scores | str:
        """What the native decoder (`kernels/decoder.py`) computes in its place, or why it cannot."""
        return f"{type(self).__name__} attention has no native step"

    def move(self, query: Tensor, previous: Tensor | None) -> Tensor | None:
        """What the scores of this step read, made of what the step before left: where `carried_size` is None, that
        itself. Queries may have any axes before their last."""
        return previous

    @abstractmethod
    def scores(self, query: Tensor, keys: Tensor, previous: Tensor | None) -> Tensor:
        """(B, K, S), before the softmax; what lies on padding is left out by the caller."""
