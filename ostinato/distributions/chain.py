"""One label for each step, all of a sequence at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from ostinato.distributions.categorical import Categorical
from ostinato.distributions.contract import Distribution, Loss
from ostinato.errors import DataError
from ostinato.layers.crf import CRF
from ostinato.modalities.contract import MISSING
from ostinato.steps import Steps


class Chain(Distribution):
    """Labels of whole sequences: the linear-chain conditional random field of `layers.crf`.

        mean of several: s(y) = mean over i of s_i(y),  so that  p(y) = product over i of p_i(y)^(1 / n) / Z

    The mean of the probabilities of sequences has no best one that Viterbi's algorithm finds.

    Shapes:
        emissions (N, V); targets (N,), MISSING where a label is summed over

    Args:
        emissions: the scores of each step's labels.
        chain: what labels score beside them.

    Errors:
        DataError: a loss of labels that are not legal; or no labels are legal for so many steps.

    Source: Lafferty 2001; the mean: Smith, Cohn and Osborne 2005, aclanthology.org/P05-1003, equation 3, with equal
    weights.
    """

    joint: ClassVar[bool] = True
    lacks: ClassVar[Mapping[str, str]] = {
        "quantile": "labels have no order",
        "sample": "sequences of labels are not sampled; `mode` gives the best one",
    }

    def __init__(self, emissions: Steps, chain: CRF):
        self.emissions, self.chain, self.layout = emissions, chain, emissions.layout

    @property
    def probabilities(self) -> Tensor:
        """Of each step, all sequences of labels summed up."""
        return self.chain.marginals(self.emissions).to(self.emissions.values.dtype)

    @cached_property
    def _best(self) -> Tensor:
        labels, score = self.chain.best(self.emissions)
        if bool((score == -torch.inf).any()):
            row = int((score == -torch.inf).nonzero()[0])
            raise DataError(
                f"no labels are legal for the {int(self.layout.lengths[row])} steps of example {row + 1} of the batch:"
                " what may begin, follow and end leaves none of this length; use the head tagger, or another scheme of"
                " tags"
            )
        return labels

    def mode(self) -> Tensor:
        return self._best

    def log_prob(self, target: Tensor) -> Tensor:
        """-infinity for labels that are not legal."""
        return self.chain.log_probability(self.emissions, target.long()).to(self.emissions.values.dtype)

    def loss(self, target: Tensor) -> Loss:
        labels = target.long()
        scores = self.chain.score(self.emissions, labels)
        if bool((scores == -torch.inf).any()):
            row = int((scores == -torch.inf).nonzero()[0])
            wrong = self.emissions.with_values(labels).split()[row].tolist()
            shown = f"{wrong[:20]}{' ...' * (len(wrong) > 20)}"
            raise DataError(
                f"the labels of example {row + 1} of the batch are not legal, numbered {shown}:"
                " one begins, ends or follows another where it may not; mend the data, or use the head tagger"
            )
        total = (self.chain.log_partition(self.emissions) - scores).sum()
        return Loss(total.to(self.emissions.values.dtype), int((labels != MISSING).sum()))

    def counts(self, target: Tensor) -> Tensor:
        return self.layout.sums((target != MISSING).long())

    def right(self, target: Tensor) -> Tensor:
        return self.layout.sums((self._best == target).to(self.emissions.values.dtype))

    def pooled(self, others: Sequence[Categorical], weights: Tensor) -> Chain:
        """With labels of each step by itself, s(y) = w_0 s_0(y) + sum over k of w_k log p_k(y): a chain too."""
        emissions = weights[0] * self.emissions.values
        for weight, other in zip(weights[1:], others, strict=True):
            emissions = emissions + weight * other.log_probabilities
        return Chain(self.emissions.with_values(emissions), CRF.of_sum([self.chain], weights[:1]))

    def mean_of(self, others: Sequence[Chain]) -> Chain:
        every = [self, *others]
        if len(every) == 1:
            return self
        emissions = torch.stack([other.emissions.values for other in every]).mean(0)
        shares = emissions.new_full((len(every),), 1 / len(every))
        return Chain(self.emissions.with_values(emissions), CRF.of_sum([other.chain for other in every], shares))
