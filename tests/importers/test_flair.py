"""Taggers of Flair: the run gives the log-probabilities and the tags that Flair gave."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from ostinato import api
from ostinato.errors import ConfigError
from tests.advice import follow
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


@pytest.fixture
def folder(tmp_path):
    return Path(shutil.copytree(made.KEPT / "flair-tagger", tmp_path / "model"))


def test_the_advice_on_what_flair_saves_and_on_files_that_do_not_fit(folder, tmp_path):
    plain = json.loads((folder / "flair.json").read_text())
    state = torch.load(folder / "model.pt", weights_only=True)

    def read():
        return api.import_model(folder, tmp_path / "run", overwrite=True)

    def write(**changes):
        (folder / "flair.json").write_text(json.dumps({**plain, **changes}))
        torch.save(state, folder / "model.pt")

    (folder / "flair.json").rename(folder / "final-model.pt")
    follow(
        read, "holds no flair.json, and final-model.pt is pickled whole. Where Flair is installed: `tagger", write, read
    )
    write(tags=3)
    follow(read, "tags and vocabulary are lists of texts. Where Flair is installed", write, read)
    write(tags=[tag for tag in plain["tags"] if not tag.startswith("<")][:3] + ["A", "B"])
    follow(read, "a CRF, and tags lack <START> and <STOP>. Where Flair is installed", write, read)
    write(vocabulary=plain["vocabulary"][1:])
    follow(read, "5 words and the unknown one; save both from one tagger", write, read)
    (folder / "model.pt").unlink()
    follow(read, "needed, model.pt or model.safetensors, and there are none; keep one there. Where Flair", write, read)


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        (lambda state: state.update({"embeddings.chars.weight": torch.zeros(2)}), "supported: one WordEmbeddings"),
        (lambda state: state.pop("rnn.weight_hh_l0"), "a tagger without its RNN is not supported"),
    ],
)
def test_what_is_not_supported_is_refused_by_its_name(folder, tmp_path, change, refusal):
    state = torch.load(folder / "model.pt", weights_only=True)
    change(state)
    torch.save(state, folder / "model.pt")
    with pytest.raises(ConfigError, match=refusal):
        api.import_model(folder, tmp_path / "run")


def test_a_word_is_read_in_lower_case_where_the_vectors_are_so_and_one_that_they_lack_is_zeros(folder, tmp_path):
    run = api.import_model(folder, tmp_path / "run")
    upper, lower, unseen, other = (
        next(iter(api.predict(run, rows=[{"words": [word]}]))).outputs["tags"][0] for word in ("Dog", "dog", "x1", "y2")
    )
    assert (upper.value, upper.log_probability) == (lower.value, lower.log_probability)
    assert (unseen.value, unseen.log_probability) == (other.value, other.log_probability)
