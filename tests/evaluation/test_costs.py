"""What a validation takes is told from a few rows of it."""

import pytest

from ostinato.evaluation import costs
from ostinato.registry import build, settings_class


@pytest.mark.parametrize(
    ("once", "each", "rows"),
    [(0.9, 0.01, 2000), (0.0, 0.002, 5000), (1.8, 0.001, 300), (0.5, 0.003, 60), (3.0, 0.0, 100)],
)
def test_what_is_done_once_is_not_counted_for_each_row(monkeypatch, once, each, rows):
    monkeypatch.setattr(costs, "_seconds", lambda measured, number: once + each * number)
    told = costs._extrapolated(lambda number: None, rows)
    assert told == pytest.approx(once + each * rows, rel=0.3)


def test_slow_rows_are_measured_once(monkeypatch):
    asked = []
    monkeypatch.setattr(costs, "_seconds", lambda measured, number: asked.append(number) or 0.05 * number)
    assert costs._extrapolated(lambda number: None, 1000) == pytest.approx(50) and asked == [100]


@pytest.mark.parametrize(
    ("settings", "limit"),
    [({"min_length": 9}, 9), ({"path": True}, None), ({"stop": ["."]}, 7), ({"max_length": 99}, 7)],
)
def test_answers_are_limited_where_the_search_takes_a_limit(settings, limit):
    search = settings_class("searches", "greedy").model_validate({"type": "greedy", **settings})
    limited = costs._limited(search, 7)
    assert limited.max_length == limit and build(limited, "searches").max_length == limit
