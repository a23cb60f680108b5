"""What an optimizer is: its settings, and torch's optimizer made from them."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
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

    @abstractmethod
    def make(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """torch's optimizer over these parameters; its state must be tensors and numbers only."""
