"""What a metric or a comparison recommends, followed: the other metric, or the mended examples, are measured."""

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from ostinato.evaluation.draws import resampled
from ostinato.evaluation.intervals import measure, paired
from ostinato.metrics.contract import Order, Predictions
from ostinato.registry import make
from tests.advice import follow


def measured(name, predictions, options=None):
    assert math.isfinite(measure(make("metrics", name, options=options), predictions, draws=9).value)


POINTS = Predictions([1.0, 2.0], [1.0, 3.0])
BANDS = Predictions([1.0, 2.0], [1.0, 3.0], quantiles=[{0.05: 0.0, 0.95: 2.0}, {0.05: 1.0, 0.95: 3.0}])
SCALED = Predictions([[1.0], [5.0]], [[3.0], [7.0]], scales=[1.0, 2.0])
CHANNELS = Predictions([[[1.0, 2.0]]], [[[1.0, 3.0]]], scales=[[1.0, 1.0]])
TEXTS = Predictions(["a b"], ["a c"])
TAGS = Predictions([["B-X"]], [["B-X"]])
SCORED = Predictions(None, ["a", "b"], log_probability=[-1.0, -2.0], num_targets=[1, 2], num_right=[1, 1])

METRICS = [
    (
        ("crps", POINTS),
        "these predictions are points; leave the metric out, or train a head that gives quantiles or a distribution",
        ("mae", POINTS),
        ("crps", BANDS),
    ),
    (
        ("crps", replace(BANDS, quantiles=[{0.05: 0.0, 0.95: 2.0}, {0.5: 1.0}])),
        "the quantile levels of example 2 (0.5) are not those of the first; give all the same",
        ("crps", BANDS),
    ),
    (
        ("crps", replace(BANDS, quantiles=[{5: 0.0}, {5: 1.0}])),
        "level 5 is not between 0 and 1; give 0.05 for the 5 % quantile",
        ("crps", replace(BANDS, quantiles=[{0.05: 0.0}, {0.05: 1.0}])),
    ),
    (
        ("mae", Predictions([math.inf], [1.0])),
        "is not finite: its training diverged; train again with a lower training.optimizer.learning_rate",
        ("mae", Predictions([2.0], [1.0])),
    ),
    (
        ("mae", Predictions([1.0, 1.0], [math.inf, 1.0])),
        "the reference is infinite; mend it, or leave it empty where it is unknown",
        ("mae", Predictions([1.0, 1.0], [2.0, 1.0])),
        ("mae", Predictions([1.0, 1.0], [math.nan, 1.0])),
    ),
    (
        ("mae", Predictions(["a b"], ["a c"])),
        "all of one length; measure labels by accuracy, texts by exact_match",
        ("accuracy", TEXTS),
        ("exact_match", TEXTS),
    ),
    (
        ("token_error_rate", Predictions(["a", "a"], [None, "a"])),
        "was given None (NoneType); leave out what has no reference, or measure it by exact_match",
        ("token_error_rate", Predictions(["a"], ["a"])),
        ("exact_match", Predictions(["a", "a"], [None, "a"])),
    ),
    (
        ("token_error_rate", Predictions(["a"], [""])),
        "to divide by; give a split whose references are not all empty, or another metric",
        ("token_error_rate", Predictions(["a", "b"], ["", "c"])),
        ("exact_match", Predictions(["a"], [""])),
    ),
    (
        ("perplexity", TEXTS),
        "perplexity needs the reference's scores; this model or output gives none: leave the metric out",
        ("exact_match", TEXTS),
        ("perplexity", SCORED),
    ),
    (
        ("perplexity", replace(SCORED, log_probability=[-1.0, -math.inf])),
        "has no finite value; leave the example out, or train again with a lower training.optimizer.learning_rate",
        ("perplexity", SCORED.pick([0])),
        ("perplexity", SCORED),
    ),
    (
        ("perplexity", replace(SCORED, log_probability=[-3000.0, -1.0])),
        "nats a step is too large for a number; train again with a lower training.optimizer.learning_rate",
        ("perplexity", SCORED),
    ),
    (
        ("token_accuracy", TEXTS),
        "token_accuracy needs the reference's scores; this model or output gives none: leave the metric out",
        ("exact_match", TEXTS),
        ("token_accuracy", SCORED),
    ),
    (
        ("kl_divergence", SCORED),
        "kl_divergence needs the reference's codes; this model or output gives none: leave the metric out",
        ("perplexity", SCORED),
        ("kl_divergence", replace(SCORED, distance=[0.5] * len(SCORED.expected))),
    ),
    (
        ("f1", Predictions([[]], [[]]), {"average": "micro"}),
        "f1: these references hold no label to divide by; give a split that has labels",
        ("f1", Predictions([["a"]], [["a"]]), {"average": "micro"}),
    ),
    (
        ("span_f1", Predictions([["O"]], [["O"]])),
        "hold a span to divide by; give a split that has some, or another metric",
        ("span_f1", TAGS),
        ("exact_match", Predictions([["O"]], [["O"]])),
    ),
    (
        ("interval_coverage", BANDS, {"level": 0.8}),
        "but the levels are 0.05, 0.95; have the head predict it, or choose another level",
        ("interval_coverage", replace(BANDS, quantiles=[{0.1: 0.0, 0.9: 2.0}] * 2), {"level": 0.8}),
        ("interval_coverage", BANDS, {"level": 0.9}),
    ),
    (
        ("mase", POINTS),
        "these examples have none; leave the metric out, or use mae",
        ("mae", POINTS),
    ),
    (
        ("mase", replace(CHANNELS, scales=[[1.0, 1.0, 1.0]])),
        "has a scale of shape (3,) for values of shape (1, 2); give one per channel",
        ("mase", CHANNELS),
    ),
    (
        ("mase", replace(SCALED, scales=[1.0, 0.0])),
        "from season to season has 0: leave that series out, or take mae or smape",
        ("mase", replace(SCALED, scales=[1.0, 0.0]).pick([0])),
        ("mae", SCALED),
        ("smape", SCALED),
    ),
    (
        ("exact_match", Predictions([], [])),
        "there is no example to measure; give a split with at least one",
        ("exact_match", TEXTS),
    ),
    (
        ("mae", replace(POINTS, order=Order([0], 1, "window", "series"))),
        "1 examples have a place in time and there are 2; give one for each",
        ("mae", replace(POINTS, order=Order([0, 0], 1, "window", "series"))),
    ),
]
"""What is measured, with its options | what the message recommends | what it is measured by then | another."""


@pytest.mark.parametrize("row", METRICS, ids=lambda row: row[1])
def test_a_measurement_that_follows_the_advice_is_made(row):
    refused, advice, *ways = row
    follow(partial(measured, *refused), advice, *(partial(measured, *way) for way in ways))


PAIRS = [
    (
        "mae",
        replace(POINTS, predicted=[1.0], expected=[1.0]),
        "2 examples, the second on 1; evaluate both on the same split",
    ),
    ("mae", replace(POINTS, alternatives=[[], []]), "was measured with alternatives; evaluate both on the same data"),
    (
        "mae",
        replace(POINTS, expected=[3.0, 1.0]),
        "3.0 for the second; evaluate both on the same split, in the same order",
    ),
]


@pytest.mark.parametrize(("metric", "other", "advice"), PAIRS)
def test_a_comparison_that_follows_the_advice_is_made(metric, other, advice):
    metric = make("metrics", metric)
    follow(lambda: paired(metric, POINTS, other), advice, lambda: paired(metric, POINTS, POINTS, draws=9))


def test_a_comparison_by_steps_follows_the_advice():
    other, metric = replace(SCORED, num_targets=[1, 3]), make("metrics", "perplexity")
    answers = [replace(predictions, predicted=["a", "a"]) for predictions in (SCORED, other)]
    follow(
        lambda: paired(metric, SCORED, other),
        "numbers per step compare only under one tokenizer: compare by the other metrics",
        lambda: paired(make("metrics", "exact_match"), *answers, draws=9),
    )


def test_draws_follow_the_advice():
    metric = make("metrics", "f1", options={"average": "micro"})
    follow(
        lambda: resampled(metric, [np.array([[0.0, 0.0]])], 3, 0),
        "none of 3 draws of these examples can be measured; give a split with more references",
        lambda: resampled(metric, [np.array([[1.0, 1.0]])], 3, 0),
    )
