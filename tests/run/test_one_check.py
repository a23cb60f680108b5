"""One `train` checks its recipe once, when all sizes are chosen, and builds each modality once, but for one whose own
settings are chosen from a look at its values."""

import functools
from collections import Counter

import pytest

from ostinato import api
from ostinato.recipe import read as recipe_read
from ostinato.registry import component

SMALL = {"type": "recurrent", "hidden_size": 4}


def counting(constructor, counts):
    @functools.wraps(constructor)
    def built(self, **options):
        counts["builds"] += 1
        constructor(self, **options)

    return built


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [
        (
            {"x": {"type": "text", "tokenizer": "bpe", "encoder": SMALL}},
            {"y": {"type": "category", "unknown": "error"}},
        ),
        ({"x": {"type": "text", "tokenizer": "char", "encoder": SMALL}}, {"on": {"of": "x"}}),
    ],
)
def test_a_recipe_is_checked_once_and_each_modality_built_once(tmp_path, monkeypatch, inputs, outputs):
    monkeypatch.setenv("OSTINATO_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "rows.csv"
    path.write_text("x,y\n" + "".join(f"some words {row % 7},{'ab'[row % 2]}\n" for row in range(40)))
    recipe = recipe_read.from_arguments(inputs, outputs, data={"train": str(path)}, training={"epochs": 1})
    counts: Counter[str] = Counter()
    check = recipe_read.check

    def counted(*arguments, **options):
        counts["checks"] += 1
        return check(*arguments, **options)

    monkeypatch.setattr(recipe_read, "check", counted)
    for kind in ("text", "category"):
        cls = component("modalities", kind)
        monkeypatch.setattr(cls, "__init__", counting(cls.__init__, counts))
    api.train(recipe, tmp_path / "run")
    assert counts == {"checks": 1, "builds": 2}
