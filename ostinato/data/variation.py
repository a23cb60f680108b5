"""Augmentation: the examples of a batch as training reads them in one epoch, a function of (seed, epoch, row)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch

from ostinato.data.cache import to_steps
from ostinato.heads.contract import Head
from ostinato.modalities.contract import Modality
from ostinato.model.batch import Batch
from ostinato.steps import Steps


class Demand(NamedTuple):
    """An output whose head cannot learn a target from every source.

    Args:
        output: by its name.
        head: it answers `targets_allowed`.
        source: the input whose steps it labels.
        reduction: steps of the source that its encoder makes one of.
    """

    output: str
    head: type[Head]
    source: str
    reduction: int

    def allows(self, lengths: torch.Tensor, targets: Steps) -> torch.Tensor:
        """(rows,) whether the head can learn these targets from sources of so many steps."""
        return self.head.targets_allowed(-(-lengths // self.reduction), targets)


@dataclass(frozen=True)
class Variation:
    """Each input whose modality varies, as it makes it anew of each row in each epoch.

    A row that would be too short for its target stays as it is.

    Args:
        modalities: those that vary, by the input's name.
        demands: of the outputs.
        seed: a number from 0 up.
    """

    modalities: Mapping[str, Modality]
    demands: Sequence[Demand]
    seed: int

    def __call__(self, batch: Batch, rows: np.ndarray, epoch: int) -> Batch:
        """The batch of these rows of the table."""
        inputs = batch.inputs | {
            name: self._varied(place, name, batch, rows, epoch) for place, name in enumerate(self.modalities)
        }
        return replace(batch, inputs=inputs)

    def _varied(self, place: int, name: str, batch: Batch, rows: np.ndarray, epoch: int) -> Steps:
        modality, steps = self.modalities[name], batch.inputs[name]
        examples = np.split(steps.values.numpy(), steps.layout.offsets[1:-1].numpy())
        varied = [
            modality.varied(example, np.random.default_rng([self.seed, epoch, row, place]))
            for example, row in zip(examples, rows.tolist(), strict=True)
        ]
        lengths = torch.tensor([len(example) for example in varied])
        for demand in self.demands:
            if demand.source == name:
                targets = batch.targets[demand.output]
                given = batch.given.get(demand.output, torch.arange(len(rows)))
                for row in given[~demand.allows(lengths[given], targets)].tolist():
                    varied[row] = examples[row]
        return to_steps(np.concatenate(varied), np.array([len(example) for example in varied], np.int64))
