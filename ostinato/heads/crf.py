"""The head of labels of each step, chosen together."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from ostinato.distributions.chain import Chain
from ostinato.distributions.contract import Distribution
from ostinato.encoders.contract import Encoded
from ostinato.heads._features import mapped, steps_read, width_of_steps
from ostinato.heads._losses import wants_labels
from ostinato.heads.contract import Predictor, Sizes
from ostinato.layers import crf
from ostinato.modalities.contract import Labels
from ostinato.registry import Rate
from ostinato.steps import Steps


class CRF(Predictor):
    """Predicts the label of each step, all of a sequence at once: a linear-chain conditional random field.

        x[t] = W h[t] + b
        s(y) = start[y_1] + sum_t x[t, y_t] + sum_{t > 1} follows[y_{t-1}, y_t] + end[y_T]
        p(y) = exp s(y) / sum over all legal y' of exp s(y')

    What `spec.legal` forbids has probability 0. The sum is exact, and so is the best sequence (Viterbi). Labels that
    are MISSING are summed over. The probabilities of a prediction are each step's own, all sequences of labels summed
    up.

    Shapes:
        targets (N,) labels, as many as steps; probabilities (N, V)

    Args:
        dropout: on the steps.

    Errors:
        ConfigError: the output is none of single labels, or not exactly one input with steps is read.
        DataError: the targets are not one for each step; in training, they are not legal; none are legal for so many
            steps.

    Source: Lafferty 2001; over a recurrent encoder: Lample 2016, arXiv:1603.01360, section 2.2; MISSING labels: Tsuboi
    2008, aclanthology.org/C08-1113, equation 3.
    """

    aligns = frozenset({"each"})

    def __init__(self, spec: Labels, sizes: Sequence[Sizes], *, dropout: Rate = 0.0):
        super().__init__()
        spec = wants_labels("crf", spec, multilabel=False)
        self.output = nn.Linear(width_of_steps("crf", sizes), spec.size)
        self.chain = crf.CRF(spec.size, spec.legal)
        self.dropout = dropout

    def predict_distribution(
        self, encoded: Sequence[Encoded], targets: Steps | None = None, training: bool = False
    ) -> Distribution:
        steps = steps_read(encoded, self.dropout if training else 0.0, targets)
        return Chain(steps.with_values(mapped(steps.values, self.output)), self.chain)
