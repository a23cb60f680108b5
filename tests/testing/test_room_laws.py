"""Each law of a room catches the fault that it is there for: an honest member keeps it, and one that is broken does
not."""

from dataclasses import replace

import pytest
import torch

from ostinato import registry
from ostinato.distributions.categorical import Categorical
from ostinato.distributions.contract import Numbers
from ostinato.distributions.quantile_levels import QuantileLevels
from ostinato.heads import regressor
from ostinato.kernels import dispatch
from ostinato.layers import attend
from ostinato.modalities.contract import Labels, Values
from ostinato.modalities.number import Number
from ostinato.testing import _heads, attentions, cells, decoders, heads, modalities, predictors, windows
from ostinato.testing._tools import Member

GRU = registry.component("cells", "gru")
GENERAL = registry.component("attentions", "general")
CLASSIFIER = registry.component("heads", "classifier")
AUTOREGRESSIVE = registry.component("heads", "autoregressive")
RECURRENT = registry.component("decoders", "recurrent")

CELL = cells.Reading(Member(GRU))
LOOK = attentions.Look(Member(GENERAL))
LABEL = predictors.Predicting(Member(CLASSIFIER, {"dropout": 0.5}), Labels(3))
NUMBER = predictors.Predicting(Member(regressor.Regressor), Values(3))
SYMBOLS = heads.cases(Member(AUTOREGRESSIVE))[0]
DECODER = decoders.cases(Member(RECURRENT))[0]
WINDOW = windows.cases(Member.of("heads", "linear_forecast", {"steps": 3}))[0]


def blind_to_direction(honest):
    return lambda cell, x, state, layout, reverse=False, **more: honest(cell, x, state, layout, **more)


def by_padding(honest):
    def scores(self, query, keys, previous):
        places = torch.arange(keys.shape[1]).to(keys)
        return honest(self, query, keys, previous) + keys.sum((1, 2))[:, None, None] * places

    return scores


def less_by_the_reference(honest):
    def step(self, symbols, state):
        features, after = honest(self, symbols, state)
        return (features * 0.9 if dispatch._asked() == "reference" else features), after

    return step


BROKEN = [
    (cells.stepwise_equals_whole, CELL, GRU, "forward",
     lambda honest: lambda self, x, state: (honest(self, x, state)[0] * 0.9,)),
    (cells.both_directions_mirror, CELL, cells, "scan", blind_to_direction),
    (attentions.weights_are_shares, LOOK, attend, "_piece",
     lambda honest: lambda *arguments: tuple(part * 1.1 for part in honest(*arguments))),
    (attentions.padding_changes_nothing, LOOK, GENERAL, "scores", by_padding),
    (attentions.queries_look_alone, LOOK, GENERAL, "scores",
     lambda honest: lambda self, query, *rest: honest(self, query, *rest) * (1 + query.mean())),
    (_heads.loss_is_minus_score, LABEL, Categorical, "loss",
     lambda honest: lambda self, target: honest(self, target)._replace(total=2 * honest(self, target).total)),
    (_heads.small_batches_are_one_large, LABEL, Categorical, "loss",
     lambda honest: lambda self, target: honest(self, target)._replace(total=honest(self, target).total / len(target))),
    (predictors.scoring_is_out_of_training, LABEL, CLASSIFIER, "predict_distribution",
     lambda honest: lambda self, encoded, targets=None, training=False: honest(self, encoded, targets, self.training)),
    (predictors.what_is_missing_counts_nothing, LABEL, Categorical, "counts",
     lambda honest: lambda self, target: torch.ones_like(honest(self, target))),
    (predictors.probabilities_are_shares_of_all_answers, LABEL, Categorical, "probabilities",
     lambda honest: property(lambda self: honest.__get__(self, Categorical) * 0.9)),
    (predictors.beside_itself_it_is_the_same, LABEL, Categorical, "mean_of",
     lambda honest: lambda self, others: Categorical(self.scores * (1 + len(others)), self.layout)),
    (predictors.products_of_half_precision_make_whole_losses, NUMBER, regressor, "mapped",
     lambda honest: lambda x, layer: torch.nn.functional.linear(x, layer.weight, layer.bias)),
    (heads.scores_are_sums_over_steps, SYMBOLS, AUTOREGRESSIVE, "score",
     lambda honest: lambda self, *read: replace(honest(self, *read), num_right=honest(self, *read).num_right + 1)),
    (decoders.features_are_as_announced, DECODER, RECURRENT, "extend",
     lambda honest: lambda self, *read: (honest(self, *read)[0] * 0.9, honest(self, *read)[1])),
    (decoders.the_reference_agrees, DECODER, RECURRENT, "step", less_by_the_reference),
    (windows.quantiles_rise, WINDOW, QuantileLevels, "quantile",
     lambda honest: lambda self, levels: honest(self, levels).flip(0)),
    (windows.what_is_missing_counts_nothing, WINDOW, Numbers, "counts",
     lambda honest: lambda self, target: honest(self, target) + 1),
]  # fmt: skip


@pytest.mark.parametrize(("law", "case", "owner", "name", "wrong"), BROKEN, ids=[row[0].__name__ for row in BROKEN])
def test_a_law_sees_what_breaks_it(monkeypatch, law, case, owner, name, wrong):
    law(case)
    monkeypatch.setattr(owner, name, wrong(vars(owner)[name] if name in vars(owner) else getattr(owner, name)))
    with pytest.raises(AssertionError):
        law(case)


def test_the_advice_on_a_modality_whose_columns_are_not_among_ours(monkeypatch):
    member = Member.of("modalities", "number")
    monkeypatch.setattr(modalities, "COLUMNS", {"words": ["a b", "c"]})
    with pytest.raises(AssertionError, match="takes none of the columns words; give it `examples`"):
        modalities.checks(member)
    monkeypatch.setattr(Number, "examples", (1.0, 2.5, 4.0))
    assert len(modalities.checks(member)) > len(modalities.LAWS) - 1
