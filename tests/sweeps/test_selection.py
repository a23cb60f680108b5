"""Greedy selection of members: the least loss of those that are in no metric worse than the default."""

from types import SimpleNamespace

import numpy as np
import pytest

from ostinato.errors import ConfigError
from ostinato.recipe.read import from_arguments
from ostinato.sweeps.selection import LIBRARY, select

SETTINGS = from_arguments({"x": "number"}, {"y": "category"}).settings


class Known:
    """Runs whose loss together is the mean over rows of the distance of the mean of their values from 0, and whose
    accuracy is given."""

    generated = frozenset()

    def __init__(self, values, accuracy=lambda members: 50.0, rows=400, block=1):
        self.values = {name: np.broadcast_to(value, rows) for name, value in values.items()}
        self.runs, self.accuracy, self.tried = dict.fromkeys(values), accuracy, []
        self.rows, self.block = range(rows), block
        self.lead = SimpleNamespace(recipe=SimpleNamespace(settings=SETTINGS))

    def loss(self, members, weights=None):
        self.tried.append(members)
        if "apart" in members and len({*members}) > 1:
            raise ConfigError("no average")
        return float(np.average(np.abs(np.mean([self.values[name] for name in members], 0)), weights=weights))

    def figures(self, members):
        loss = self.loss(members)
        return {"loss": loss, "y.loss": loss, "y.accuracy": self.accuracy(members)}


def test_a_member_counts_as_often_as_it_helps():
    found = select(Known({"default": 3.0, "other": -1.0}), "loss")
    assert found.counts == {"other": 3, "default": 1} and found.figures["loss"] == 0
    assert found.default == {"loss": 3.0, "y.loss": 3.0, "y.accuracy": 50.0}


def test_the_best_alone_is_kept_where_no_ensemble_is_better():
    assert select(Known({"default": 3.0, "worse": 4.0, "best": 1.0}), "loss").counts == {"best": 1}
    assert select(Known({"default": 1.0, "worse": 4.0}), "loss").counts == {"default": 1}


def test_nothing_is_kept_whose_metric_is_worse_than_the_defaults():
    found = select(Known({"default": 3.0, "other": -1.0}, lambda members: 40.0 if "other" in members else 50.0), "loss")
    assert found.counts == {"default": 1}
    alone = {"default": 50.0, "other": 60.0}
    known = Known({"default": 3.0, "other": -1.0}, lambda members: alone[members[0]] if len(members) == 1 else 40.0)
    assert select(known, "loss").counts == {"other": 1}


def test_an_ensemble_whose_metric_is_worse_is_averaged_with_the_default():
    def accuracy(members):
        return 50.0 if members.count("default") * 2 >= len(members) else 49.0

    selection = select(Known({"default": 3.0, "other": -1.0, "third": 9.0}, accuracy), "loss")
    assert selection.counts == {"default": 5, "other": 3} and selection.figures["loss"] < selection.default["loss"]


def test_the_runs_of_the_least_loss_are_tried_as_members():
    many = {"default": 3.0, **{f"bad{number}": 99.0 for number in range(20)}, "other": -1.0}
    known = Known(many)
    assert select(known, "loss").counts == {"other": 3, "default": 1}
    tried = {name for members in known.tried if len(members) > 1 for name in members}
    assert len(tried) == LIBRARY and {"default", "other"} <= tried


def test_nothing_is_kept_that_is_worse_in_what_training_monitors():
    alone = {"default": 50.0, "other": 70.0, "third": 40.0}
    known = Known({"default": 1.0, "other": 5.0, "third": 0.5}, lambda members: alone[members[0]])
    assert select(known, "loss").counts == {"default": 1}
    assert select(known, "y.accuracy").counts == {"other": 1}


def test_few_rows_that_disagree_spread_the_weights():
    draw = np.random.default_rng(1)
    errors = 1 + 0.5 * draw.normal(size=(3, 200)).clip(-1, 1)
    values = {"default": errors[0] + 1, "second": errors[1], "third": errors[2]}
    assert len(select(Known(values, rows=200), "loss").counts) > 1, "bags of the same rows would all choose the same"


@pytest.mark.parametrize(("rows", "block"), [(2, 1), (400, 200)])
def test_what_few_rows_or_blocks_of_them_choose_is_drawn_to_equal_shares(rows, block):
    values = {"default": 3.0, "best": 1.0, "other": 1.5}
    assert select(Known(values), "loss").counts == {"best": 1}
    counts = select(Known(values, rows=rows, block=block), "loss").counts
    assert counts.keys() == values.keys() and counts["best"] > counts["other"] == counts["default"]


@pytest.mark.parametrize("apart", [0.5, 4.0])
def test_what_has_no_average_can_only_be_kept_alone(apart):
    found = select(Known({"default": 3.0, "apart": apart, "other": 2.0}), "loss")
    assert found.counts == ({"apart": 1} if apart == 0.5 else {"other": 1})


def test_a_loss_that_is_not_finite_is_never_the_best():
    assert select(Known({"default": 3.0, "broken": float("nan")}), "loss").counts == {"default": 1}
