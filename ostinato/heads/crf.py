"""The head of labels of each step, chosen together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ostinato.encoders.contract import Encoded
from ostinato.errors import DataError
from ostinato.heads._features import mapped, steps_read, width_of_steps
from ostinato.heads._losses import sums, wants_labels
from ostinato.heads.contract import Belief, Head, Loss, Predicted, Predictor, Scored, Sizes
from ostinato.layers.crf import CRF as Chain
from ostinato.modalities.contract import MISSING, Labels
from ostinato.registry import Rate
from ostinato.steps import Steps


class CRF(Head, Predictor):
    """Says which label each step has, all of a sequence at once: a linear-chain conditional random field.

        x[t] = W h[t] + b
        s(y) = start[y_1] + sum_t x[t, y_t] + sum_{t > 1} follows[y_{t-1}, y_t] + end[y_T]
        p(y) = exp s(y) / sum over all legal y' of exp s(y')

    What `spec.legal` forbids has probability 0. The sum is exact, and so is the best sequence (Viterbi). Labels that are
    MISSING are summed over. The probabilities of a prediction are each step's own, all sequences of labels summed up.

    Shapes:
        targets (N,) labels, as many as steps; probabilities (N, V)

    Args:
        dropout: on the steps.

    Errors:
        ConfigError: the output is none of single labels, or not exactly one input with steps is read.
        DataError: the targets are not one for each step; in training, they are not legal; none are legal for so many steps.

    Source: Lafferty 2001; over a recurrent encoder: Lample 2016, arXiv:1603.01360, section 2.2; MISSING labels: Tsuboi 2008,
    aclanthology.org/C08-1113, equation 3.
    """

    aligns = frozenset({"each"})
    generates = False

    def __init__(self, spec: Labels, sizes: Sequence[Sizes], *, dropout: Rate = 0.0):
        super().__init__()
        spec = wants_labels("crf", spec, multilabel=False)
        self.output = nn.Linear(width_of_steps("crf", sizes), spec.size)
        self.chain = Chain(spec.size, spec.legal)
        self.dropout = dropout

    def loss(self, encoded: Sequence[Encoded], targets: Steps) -> Loss:
        emissions = self._emissions(steps_read(encoded, self.dropout if self.training else 0.0, targets))
        labels = targets.values.long()
        scores = self.chain.score(emissions, labels)
        self._refuse(scores, targets)
        total = (self.chain.log_partition(emissions) - scores).sum()
        return Loss(total.to(emissions.values.dtype), int((labels != MISSING).sum()))

    def score(self, encoded: Sequence[Encoded], targets: Steps) -> Scored:
        """Labels that are not legal score -infinity; right is each step on which the best sequence agrees."""
        return self.believe(encoded, targets).score(targets)

    def believe(self, encoded: Sequence[Encoded], targets: Steps | None = None) -> ChainBelief:
        return ChainBelief(self._emissions(steps_read(encoded, 0.0, targets)), self.chain)

    def _emissions(self, steps: Steps) -> Steps:
        return steps.with_values(mapped(steps.values, self.output))

    def _refuse(self, scores: Tensor, targets: Steps) -> None:
        """Raises where labels that are given cannot be: their loss would be infinite."""
        if bool((scores == -torch.inf).any()):
            row = int((scores == -torch.inf).nonzero()[0])
            labels = targets.split()[row].tolist()
            shown = f"{labels[:20]}{' ...' * (len(labels) > 20)}"
            raise DataError(
                f"the labels of example {row + 1} of the batch are not legal, numbered {shown}:"
                " one begins, ends or follows another where it may not; mend the data, or use the head tagger"
            )


@dataclass(frozen=True)
class ChainBelief(Belief):
    """The scores of all sequences of labels; of several heads the mean of theirs, emission by emission and move by move.

        s(y) = mean over heads i of s_i(y),  so that  p(y) = product over heads of p_i(y)^(1 / heads) / Z

    The mean of the probabilities of sequences has no best one that Viterbi's algorithm finds.

    Source: Smith, Cohn and Osborne 2005, aclanthology.org/P05-1003, equation 3, with equal weights.
    """

    emissions: Steps
    chain: Chain

    def mean(self, others: Sequence[ChainBelief]) -> ChainBelief:
        every = [self, *others]
        if len(every) == 1:
            return self
        emissions = torch.stack([one.emissions.values for one in every]).mean(0)
        return ChainBelief(self.emissions.with_values(emissions), Chain.mean([one.chain for one in every]))

    def answer(self) -> Predicted:
        dtype = self.emissions.values.dtype
        labels, score = self._best()
        log_probability = (score - self.chain.log_partition(self.emissions)).to(dtype)
        marginals = self.chain.marginals(self.emissions).to(dtype)
        return Predicted(Steps(labels, self.emissions.layout), log_probability, marginals)

    def score(self, targets: Steps) -> Scored:
        labels, layout = targets.values.long(), targets.layout
        best, _ = self._best()
        dtype = self.emissions.values.dtype
        return Scored(
            self.chain.log_probability(self.emissions, labels).to(dtype),
            sums((labels != MISSING).long(), layout),
            sums((best == labels).to(dtype), layout),
        )

    def _best(self) -> tuple[Tensor, Tensor]:
        labels, score = self.chain.best(self.emissions)
        if bool((score == -torch.inf).any()):
            row = int((score == -torch.inf).nonzero()[0])
            raise DataError(
                f"no labels are legal for the {int(self.emissions.layout.lengths[row])} steps of example {row + 1} of the batch:"
                " what may begin, follow and end leaves none of this length; use the head tagger, or another scheme of tags"
            )
        return labels, score
