"""The head of labels of each step, chosen together."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from ostinato.distributions.categorical import Categorical
from ostinato.distributions.chain import Chain
from ostinato.encoders.contract import Encoded
from ostinato.heads._features import mapped, steps_read, sum_of_steps, width_of_steps
from ostinato.heads._losses import wants_labels
from ostinato.heads._scored import ScoredLabels
from ostinato.heads.contract import Sizes
from ostinato.layers import crf
from ostinato.modalities.contract import Labels
from ostinato.registry import Rate
from ostinato.steps import Layout, Steps


class CRF(ScoredLabels):
    """Predicts the label of each step, all of a sequence at once: a linear-chain conditional random field.

        x[t] = W h[t] + b
        s(y) = start[y_1] + sum_t x[t, y_t] + sum_{t > 1} follows[y_{t-1}, y_t] + end[y_T]
        p(y) = exp s(y) / sum over all legal y' of exp s(y')

    What `spec.legal` forbids has probability 0. The sum is exact, and so is the best sequence (Viterbi). Labels that
    are MISSING are summed over. The probabilities of a prediction are each step's own, all sequences of labels summed
    up.

    An input whose encoder counts each step (`local_features`) and gives a number for each label gives their scores:

        s = sum of the scores of all such inputs, solved for on the training rows before training, and held
        q[t] = softmax(s[t])
        p(y) ~ p(y)^w[1] (product over t of q[t, y_t])^w[2]      where another input is read too

    Each part is fitted alone, and before each validation w is fitted on the validation split: on the training rows
    the part that memorized them would get all the weight. So the net beside what is counted can only add.

    Where no other input is read x[t] = log q[t], and what follows what is learnt beside it.

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
        spec = wants_labels("crf", spec, multilabel=False)
        super().__init__(spec, sizes, [size.steps for size in sizes])
        self.settling_cost = spec.size**2
        self.output = None
        if self.learns:
            self.output = nn.Linear(width_of_steps("crf", [sizes[at] for at in self.others]), spec.size)
        else:
            self.pool = None
        self.chain = crf.CRF(spec.size, spec.legal)
        self.dropout = dropout

    def learnt(self, encoded: Sequence[Encoded], targets: Steps | None, training: bool) -> Chain:
        if self.output is None:
            steps = self.scores(encoded, targets)
            return Chain(steps.with_values(steps.values.log_softmax(1)), self.chain)
        steps = steps_read([encoded[at] for at in self.others], self.dropout if training else 0.0, targets)
        return Chain(steps.with_values(mapped(steps.values, self.output)), self.chain)

    def scores(self, encoded: Sequence[Encoded], targets: Steps | None) -> Steps:
        return sum_of_steps([encoded[at] for at in self.scored], targets)

    def of_scores(self, scores: Tensor, layout: Layout, training: bool = False) -> Categorical:
        return Categorical(scores, layout)
