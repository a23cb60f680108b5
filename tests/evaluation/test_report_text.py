"""The report as text: which intervals belong to which metrics."""

from ostinato.evaluation.report import Report
from ostinato.evaluation.report_text import _of


def test_metrics_of_several_outputs_are_named_once_for_those_that_share_them():
    keys = {"stars": ["f1", "log_loss"], "topic": ["f1", "log_loss"], "size": ["mae"]}
    assert _of(keys, several=True) == "stars, topic: f1, log_loss; size: mae"
    assert _of({"stars": ["f1", "log_loss"]}, several=False) == "f1, log_loss"


def test_one_example_is_one():
    assert Report("valid", 1, {}).counted() == "1 example of valid"
    assert Report("test", 1500, {}).counted() == "1,500 examples of test"
