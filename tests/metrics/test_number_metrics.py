"""Metrics of numbers and of predicted distributions, by hand and by closed forms."""

import math
from statistics import NormalDist

import numpy as np
import pytest

from ostinato.data.series import seasonal_error
from ostinato.errors import DataError
from ostinato.evaluation.intervals import measure
from ostinato.metrics.contract import Order, Predictions
from ostinato.registry import make

ALL = ("mae", "mse", "rmse", "r2", "smape", "mase", "pinball_loss", "crps", "interval_coverage")


def value(name: str, judged: Predictions, **options: object) -> float:
    metric = make("metrics", name, options=options)
    return metric.value(np.sum(metric.statistics(judged), axis=0).tolist())


def test_errors_by_hand():
    """scikit-learn's documentation: y = 3, -0.5, 2, 7 and 2.5, 0, 2, 8 have MAE 0.5, MSE 0.375."""
    judged = Predictions([2.5, 0.0, 2, 8], [3, -0.5, 2, 7])
    assert value("mae", judged) == pytest.approx(0.5)
    assert value("rmse", judged) == pytest.approx(math.sqrt(0.375))
    assert value("mse", judged) == pytest.approx(0.375)
    # and r2_score of the same numbers is 0.948...
    assert value("r2", judged) == pytest.approx(0.9486081370449679)


def test_r2_of_numbers_without_spread_is_one_or_zero():
    assert value("r2", Predictions([2.0, 2.0], [2.0, 2.0])) == 1
    assert value("r2", Predictions([2.0, 2.1], [2.0, 2.0])) == 0
    assert value("r2", Predictions([0.0, 4.0], [1.0, 3.0])) == pytest.approx(0)
    assert value("r2", Predictions([1.0, 9.0, 3.0], [1.0, math.nan, 3.0])) == 1
    with pytest.raises(DataError, match=r"r2: these examples hold no true value"):
        value("r2", Predictions([1.0], [math.nan]))


def test_the_interval_of_smape_ends_where_smape_does():
    zeros, order = [0.0] * 6, Order([0, 0, 0, 1, 1, 1], 1, "window", "series", [0, 1, 2] * 2)
    predictions = Predictions([0.0] * 3 + [1.0] * 3, zeros, order=order)
    measured = measure(make("metrics", "smape"), predictions)
    assert measured.value == 100 and 0 <= measured.low <= measured.high <= 200


def test_smape_is_m4s():
    """|1-3| / 4 + |2-2| / 4 + |0-0| / 0 + |-1-1| / 2 = 0.5 + 0 + 0 + 1 over 4 values, times 200."""
    assert value("smape", Predictions([[1, 2, 0, -1]], [[3, 2, 0, 1]])) == pytest.approx(200 * 1.5 / 4)
    assert value("smape", Predictions([5.0], [0.0])) == 200


def test_mase_by_hand():
    """Past 1 2 4 2 4 8: season 3 apart 1, 2, 4: scale 7/3; one step apart 1, 2, 2, 2, 4: scale 11/5."""
    past = [1, 2, 4, 2, 4, 8]
    assert seasonal_error(past, 3) == pytest.approx(7 / 3) and seasonal_error(past, 1) == pytest.approx(11 / 5)
    judged = Predictions([[3, 5], [10.0, 10.0]], [[2, 7], [10.0, 14.0]], scales=[seasonal_error(past, 3), 2.0])
    assert value("mase", judged) == pytest.approx(((1 + 2) / (7 / 3) + (0 + 4) / 2) / 4)


def test_the_seasonal_naive_forecast_of_its_own_past_has_a_mase_of_one():
    series = np.random.default_rng(0).normal(size=(40, 2)).cumsum(0)
    judged = Predictions([series[:-5]], [series[5:]], scales=[seasonal_error(series, 5)])
    assert seasonal_error(series, 5).shape == (2,)
    assert value("mase", judged) == pytest.approx(1)


def test_the_scale_of_a_past_with_gaps_or_too_short():
    assert seasonal_error([1, math.nan, 4, 6], 1) == pytest.approx(2)
    assert np.isnan(seasonal_error([1, 2], 2)) and np.isnan(seasonal_error([], 1))
    both = seasonal_error([[1, math.nan], [3, math.nan]], 1)
    assert both[0] == 2 and np.isnan(both[1])


def test_a_series_whose_scale_is_not_known_is_left_out_and_one_of_zero_refused():
    assert value("mase", Predictions([[1.0], [5.0]], [[3.0], [50.0]], scales=[1.0, math.nan])) == 2
    with pytest.raises(DataError, match="mase: the scale of example 2 is 0"):
        value("mase", Predictions([[1.0], [5.0]], [[3.0], [50.0]], scales=[1.0, 0.0]))
    with pytest.raises(DataError, match=r"mase: example 1 has a scale of shape \(3,\) for values of shape \(1, 2\)"):
        value("mase", Predictions([[[1.0, 2.0]]], [[[1.0, 2.0]]], scales=[[1.0, 1.0, 1.0]]))
    with pytest.raises(DataError, match="mase needs the past of each series"):
        value("mase", Predictions([1.0], [1.0]))


def test_pinball_loss_by_hand():
    """True 10. At 0.1: q = 6, 0.4; at 0.5: q = 12, 1; at 0.9: q = 15, 0.5."""
    judged = Predictions([12.0], [10.0], quantiles=[{0.9: 15.0, 0.1: 6.0, 0.5: 12.0}])
    assert value("pinball_loss", judged) == pytest.approx((0.4 + 1 + 0.5) / 3)


def test_the_true_quantile_has_the_least_pinball_loss():
    drawn = np.random.default_rng(0).exponential(size=20000)
    losses = {
        q: value("pinball_loss", Predictions([drawn], [drawn], quantiles=[{0.8: np.full(20000, q)}]))
        for q in (1.2, -math.log(0.2), 2.0)
    }
    assert min(losses, key=losses.get) == -math.log(0.2)


def closed_form(y: float) -> float:
    """CRPS of the standard normal distribution (Gneiting and Raftery 2007, equation 5)."""
    normal = NormalDist()
    return y * (2 * normal.cdf(y) - 1) + 2 * normal.pdf(y) - 1 / math.sqrt(math.pi)


@pytest.mark.parametrize("y", [0.0, 0.7, -2.0])
def test_crps_of_many_quantiles_is_the_normal_distributions_closed_form(y: float):
    levels = [(k - 0.5) / 400 for k in range(1, 401)]
    quantiles = {level: NormalDist().inv_cdf(level) for level in levels}
    assert value("crps", Predictions([0.0], [y], quantiles=[quantiles])) == pytest.approx(closed_form(y), abs=2e-4)


def test_crps_of_a_sample_is_exact():
    """Oracle: E|X - y| - E|X - X'| / 2 over the sample (Gneiting and Raftery 2007, equation 21)."""
    sample = np.sort(np.random.default_rng(1).normal(size=7))
    truth = 0.3
    oracle = abs(sample - truth).mean() - abs(sample[:, None] - sample).mean() / 2
    quantiles = {(k + 0.5) / 7: one for k, one in enumerate(sample)}
    assert value("crps", Predictions([0.0], [truth], quantiles=[quantiles])) == pytest.approx(oracle)


def test_crps_weighs_unequal_levels_by_their_width():
    """Levels 0.1 and 0.5: widths 0.3 and 0.7; losses 0.1 * 2 and 0.5 * 1."""
    judged = Predictions([1.0], [3.0], quantiles=[{0.1: 1.0, 0.5: 2.0}])
    assert value("crps", judged) == pytest.approx(2 * (0.3 * 0.2 + 0.7 * 0.5))
    assert value("crps", Predictions([1.0], [3.0], quantiles=[{0.5: 1.0}])) == pytest.approx(2), (
        "of a point it is the absolute error"
    )


def test_coverage_counts_the_ends_and_nothing_missing():
    quantiles = [{0.05: [0.0] * 5, 0.25: [1.0] * 5, 0.75: [2.0] * 5, 0.95: [3.0] * 5}]
    judged = Predictions([[1.0] * 5], [[0.0, 3.0, 3.1, 1.5, None]], quantiles=quantiles)
    assert value("interval_coverage", judged) == 75
    assert value("interval_coverage", judged, level=0.5) == 25
    with pytest.raises(
        DataError, match="interval of 0.8 needs the quantile 0.1, but the levels are 0.05, 0.25, 0.75, 0.95"
    ):
        value("interval_coverage", judged, level=0.8)


def test_coverage_of_a_right_distribution_is_its_level():
    drawn = np.random.default_rng(2).normal(size=(50, 40))
    ends = {level: np.full(40, NormalDist().inv_cdf(level)) for level in (0.05, 0.95)}
    found = measure(make("metrics", "interval_coverage"), Predictions(drawn, drawn, quantiles=[ends] * 50), draws=200)
    assert found.low < 90 < found.high and 1 < found.high - found.low < 5


def whole(predicted, expected):
    """With all that any metric asks for."""
    quantiles = [dict.fromkeys((0.05, 0.95), said) for said in predicted]
    return Predictions(predicted, expected, quantiles=quantiles, scales=[2.0] * len(predicted))


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("missing", [None, math.nan])
def test_a_missing_reference_is_left_out(name: str, missing: float | None):
    with_gap = whole([[1.0, 9.0, 4.0], [7.0, 7.0, 7.0]], [[2.0, missing, 4.0], [missing] * 3])
    assert value(name, with_gap) == pytest.approx(value(name, whole([[1.0, 4.0]], [[2.0, 4.0]])))
    with pytest.raises(DataError, match=f"{name}: these examples hold no true value"):
        value(name, whole([[1.0]], [[missing]]))


@pytest.mark.parametrize("name", ALL)
def test_channels_are_values_like_any_other(name: str):
    channels = whole([[[1.0, 2.0], [3.0, 4.0]]], [[[2.0, 2.0], [5.0, 8.0]]])
    assert value(name, channels) == pytest.approx(value(name, whole([[1.0, 2.0, 3.0, 4.0]], [[2.0, 2.0, 5.0, 8.0]])))


@pytest.mark.parametrize("name", ALL)
def test_what_cannot_be_judged_is_named(name: str):
    with pytest.raises(DataError, match=r"example 2: the .* has shape \(1,\), the reference \(2,\)"):
        value(name, whole([[1.0, 1.0], [1.0]], [[1.0, 1.0], [1.0, 1.0]]))
    with pytest.raises(DataError, match="example 1: the .* is not finite"):
        value(name, whole([[math.nan]], [[1.0]]))
    with pytest.raises(DataError, match="example 1: the reference is infinite"):
        value(name, whole([[1.0]], [[math.inf]]))
    with pytest.raises(DataError, match="example 1: the reference is 'cat', and this metric reads real numbers"):
        value(name, whole([1.0], ["cat"]))


@pytest.mark.parametrize("name", ["pinball_loss", "crps", "interval_coverage"])
def test_a_distribution_is_needed_and_the_same_levels(name: str):
    assert make("metrics", name).needs == ("quantiles", "expected")
    with pytest.raises(DataError, match=f"{name} needs a predictive distribution"):
        value(name, Predictions([1.0], [1.0]))
    with pytest.raises(DataError, match=r"quantile levels of example 2 \(0.05, 0.9\) are not those of the first"):
        value(name, Predictions([1.0] * 2, [1.0] * 2, quantiles=[{0.05: 0.0, 0.95: 1.0}, {0.9: 1.0, 0.05: 0.0}]))
    with pytest.raises(DataError, match=f"{name}: level 95 is not between 0 and 1"):
        value(name, Predictions([1.0], [1.0], quantiles=[{0.05: 0.0, 95: 1.0}]))


def test_the_order_in_which_levels_are_given_changes_nothing():
    one, other = {0.05: 0.0, 0.5: 1.0, 0.95: 4.0}, {0.95: 4.0, 0.05: 0.0, 0.5: 1.0}
    for name in ("pinball_loss", "crps", "interval_coverage"):
        assert value(name, Predictions([1.0], [2.0], quantiles=[one])) == value(
            name, Predictions([1.0], [2.0], quantiles=[other])
        )


def test_no_interval_of_a_coverage_is_above_all():
    metric, few = make("metrics", "interval_coverage"), Order([0] * 12, 4, "window", "series")
    quantiles = [{0.05: np.zeros(4), 0.95: np.full(4, 2.0)}] * 12
    judged = Predictions([[1.0] * 4] * 12, [[1.0] * 4] * 9 + [[1.0, 1.0, 3.0, 3.0]] * 3, quantiles=quantiles, order=few)
    found = measure(metric, judged)
    assert found.value == 87.5 and found.low < 80 and found.high == 100, found
