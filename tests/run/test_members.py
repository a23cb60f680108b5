"""A run of several members: each reads the rows in its own way, and all answer together by their weights."""

import json
import shutil
from dataclasses import replace

import pytest
import torch

from ostinato import api
from ostinato.errors import BundleError
from ostinato.recipe.read import load
from ostinato.run import bundle as bundles
from ostinato.run.run import Run

RECIPE = """
data: {train: train.tsv, valid: valid.tsv}
inputs: {text: {type: text, tokenizer: word, encoder: {hidden_size: 4, embedding_size: 4}}}
outputs:
  mood: category
  said: {type: text, tokenizer: word, head: {decoder: {hidden_size: 4}, embedding_size: 4}}
training: {epochs: 1, batch_rows: 16}
search: greedy
"""
READ = "inputs: {text: {type: text, tokenizer: word, encoder: {hidden_size: 4, embedding_size: 4}}}"
CHARACTERS = RECIPE.replace(
    READ,
    """inputs:
  text: {type: text, tokenizer: char, encoder: {hidden_size: 4, embedding_size: 4}}
  text_ngrams: {type: text, column: text, tokenizer: char, encoder: ngrams}""",
)
WORDS = {"good": "up", "fine": "up", "bad": "down", "poor": "down"}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A run of words, one of characters and n-grams beside them, and a run of both, of which the first counts twice."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    here = tmp_path_factory.mktemp("members")
    rows = ["text\tmood\tsaid", *(f"{a} {b}\t{WORDS[a]}\t{b} {a}" for a in WORDS for b in WORDS)]
    for split in ("train", "valid"):
        (here / f"{split}.tsv").write_text("\n".join(rows) + "\n")
    (here / "words.yaml").write_text(RECIPE)
    (here / "characters.yaml").write_text(CHARACTERS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OSTINATO_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.chdir(here)
        for name in ("words", "characters"):
            api.train(load(here / f"{name}.yaml"), here / name, device="cpu")
            shutil.copytree(here / name, here / "both" / bundles.MEMBERS / name)
        bundles.describe(here / "both", replace(bundles.load(here / "words"), members={"words": 2, "characters": 1}))
        yield here
    torch.set_num_threads(threads)


def probabilities(run, text):
    (prediction,) = api.predict(run, [text], device="cpu")
    return prediction.to_json()["outputs"]["mood"][0]["probabilities"]


@pytest.mark.parametrize("first", ["words", "characters"])
def test_labels_have_the_weighted_mean_of_the_members_probabilities(folders, first):
    both, counts = folders / "both", {"words": 2, "characters": 1}
    members = {name: counts[name] for name in (first, *counts)}
    bundles.describe(both, replace(bundles.load(folders / first), members=members))
    words, characters = (probabilities(folders / name, "good poor") for name in counts)
    mean = {label: (2 * words[label] + characters[label]) / 3 for label in words}
    assert probabilities(both, "good poor") == pytest.approx(mean, abs=1e-6)
    assert words != pytest.approx(characters, abs=1e-5), "members that agree would prove nothing"


def test_every_verb_takes_it(folders):
    both = folders / "both"
    report = api.evaluate(both, device="cpu")
    assert {"mood", "said"} == set(report.outputs) and report.split == "valid"
    assert json.loads((both / bundles.METRICS).read_text()).keys() == {"valid"}
    assert "characters (33%)" in (both / bundles.CARD).read_text()
    compared = api.compare(both, folders / "words", device="cpu")
    assert compared.outputs["mood"]
    assert len(list(api.predict(both, source=str(folders / "valid.tsv"), device="cpu"))) == 16
    assert api.score(both, source=str(folders / "valid.tsv"), device="cpu")["mood"].log_probability[0] < 0
    assert api.embed(both, ["good"], of="text", device="cpu").vectors.shape[0] == 1


def test_runs_weigh_alike_in_an_ensemble_however_many_members_they_have(folders):
    both, words, characters = (probabilities(folders / name, "bad fine") for name in ("both", "words", "characters"))
    found = probabilities([folders / "both", folders / "characters"], "bad fine")
    assert found == pytest.approx({label: (both[label] + characters[label]) / 2 for label in both}, abs=1e-6)
    assert found != pytest.approx(words, abs=1e-5)


def test_a_member_that_is_gone_is_named(folders, tmp_path):
    shutil.copytree(folders / "both", tmp_path / "both")
    shutil.rmtree(tmp_path / "both" / bundles.MEMBERS / "characters")
    with pytest.raises(BundleError, match=r"members/characters: there is no such folder"):
        Run.load(tmp_path / "both")
