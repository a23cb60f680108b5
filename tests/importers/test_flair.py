"""Taggers of Flair: the run gives the log-probabilities and the tags that Flair gave."""

import pytest

from ostinato import api
from tests.importers import made_by_flair as made
from tests.importers.same import check_same


def same(folder, out):
    run, expected = check_same(folder, out, "tags")
    rows = [{"words": row["words"]} for row in expected["rows"]]
    answers = [prediction.outputs["tags"][0].value for prediction in api.predict(run, rows=rows)]
    assert answers == expected["answers"]


def test_what_flair_computed_comes_out(tmp_path):
    same(made.KEPT / "flair-tagger", tmp_path / "run")


@pytest.mark.parametrize("name", made.CASES)
def test_every_kind_of_model_is_the_librarys(name, tmp_path):
    pytest.importorskip("flair.models")
    made.write(tmp_path / "model", made.CASES[name])
    same(tmp_path / "model", tmp_path / "run")
