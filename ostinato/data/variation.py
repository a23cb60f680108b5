"""Augmentation: the examples of a batch as training reads them in one epoch, a function of (seed, epoch, row)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
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

    A row that would be too short for its target stays as it is. The targets of an output that continues an input are
    the steps of that input, and are varied alike.

    Args:
        modalities: those that vary, by the input's name.
        demands: of the outputs.
        seed: a number from 0 up.
        continued: of each output whose targets are the steps of an input, that input's name.
    """

    modalities: Mapping[str, Modality]
    demands: Sequence[Demand]
    seed: int
    continued: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, batch: Batch, rows: np.ndarray, epoch: int) -> Batch:
        """The batch of these rows of the table."""
        inputs = {name: self._input(name, batch, rows, epoch) for name in self.modalities}
        targets = {
            output: _joined(self._examples(name, batch.targets[output], rows[batch.present(output).numpy()], epoch))
            for output, name in self.continued.items()
            if name in self.modalities
        }
        return replace(batch, inputs=batch.inputs | inputs, targets=batch.targets | targets)

    def _examples(self, name: str, steps: Steps, rows: np.ndarray, epoch: int) -> list[np.ndarray]:
        """Each row's steps as the modality of this input varies them."""
        modality, place = self.modalities[name], [*self.modalities].index(name)
        return [
            modality.varied(example, np.random.default_rng([self.seed, epoch, row, place]))
            for example, row in zip(_split(steps), rows.tolist(), strict=True)
        ]

    def _input(self, name: str, batch: Batch, rows: np.ndarray, epoch: int) -> Steps:
        examples, varied = _split(batch.inputs[name]), self._examples(name, batch.inputs[name], rows, epoch)
        lengths = torch.tensor([len(example) for example in varied])
        for demand in self.demands:
            if demand.source == name:
                targets = batch.targets[demand.output]
                given = batch.present(demand.output)
                for row in given[~demand.allows(lengths[given], targets)].tolist():
                    varied[row] = examples[row]
        return _joined(varied)


def _split(steps: Steps) -> list[np.ndarray]:
    return np.split(steps.values.numpy(), steps.layout.offsets[1:-1].numpy())


def _joined(examples: Sequence[np.ndarray]) -> Steps:
    return to_steps(np.concatenate(examples), np.array([len(example) for example in examples], np.int64))
