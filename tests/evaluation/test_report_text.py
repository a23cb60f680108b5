"""The report as text: which intervals belong to which metrics."""

from ostinato.evaluation.report_text import _of


def test_metrics_of_several_outputs_are_named_once_for_those_that_share_them():
    keys = {"stars": ["f1", "log_loss"], "topic": ["f1", "log_loss"], "size": ["mae"]}
    assert _of(keys, several=True) == "stars, topic: f1, log_loss; size: mae"
    assert _of({"stars": ["f1", "log_loss"]}, several=False) == "f1, log_loss"
