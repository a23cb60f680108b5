"""What an optimizer is: its settings, and torch's optimizer made from them."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import nn


class Optimizer(ABC):
    """Settings of one of torch's optimizers.

    Args (keyword-only, in every member):
        learning_rate: the peak rate; a schedule multiplies it.
    """

    learning_rate: float
    variants: ClassVar[Sequence[Mapping[str, Any]]] = ()
    """Settings that are worth a trial in place of the defaults, as `Modality.variants`."""

    def set_apart(self, tables: Collection[nn.Parameter]) -> None:  # noqa: B027 (nothing to do is the default)
        """Called before `make` with the parameters that have a row for each symbol, for one that treats them
        otherwise."""

    @abstractmethod
    def make(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """torch's optimizer over these parameters; its state must be tensors and numbers only."""
