"""Translators of JoeyNMT: the run gives the log-probabilities and the answers that JoeyNMT gave."""

import pytest

from ostinato import api
from tests.importers import made_by_joeynmt as made
from tests.importers.same import check_same

KEPT = ["joeynmt-recurrent", "joeynmt-transformer"]


@pytest.mark.parametrize("name", KEPT)
def test_what_joeynmt_computed_comes_out(name, tmp_path):
    run, expected = check_same(made.KEPT / name, tmp_path / "run", "en")
    search = {"sets": ["search=greedy", f"search.max_length={made.STEPS}"]}
    sources = [row["de"] for row in expected["rows"]]
    answers = [prediction.outputs["en"][0].value for prediction in api.predict(run, sources, **search)]
    assert [answer.replace("\ufffd", "<unk>").split() for answer in answers] == expected["answers"]


@pytest.mark.parametrize("name", made.CASES)
def test_every_kind_of_model_is_the_librarys(name, tmp_path):
    pytest.importorskip("joeynmt")
    made.write(tmp_path / "model", made.CASES[name])
    check_same(tmp_path / "model", tmp_path / "run", "en")
