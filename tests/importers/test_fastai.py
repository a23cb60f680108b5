"""Language models and classifiers of fastai: the run gives the log-probabilities that fastai gave."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from ostinato import api
from tests.advice import follow
from tests.importers import made_by_fastai as made
from tests.importers.same import check_same

OUTPUTS = {"fastai-language-model": "next", "fastai-classifier": "label"}


@pytest.mark.parametrize("name", OUTPUTS)
def test_what_fastai_computed_comes_out(name, tmp_path):
    run, expected = check_same(made.KEPT / name, tmp_path / "run", OUTPUTS[name])
    assert len(list(api.predict(run, [row["text"] for row in expected["rows"]]))) == len(expected["rows"])


@pytest.mark.parametrize("name", made.CASES)
def test_every_kind_of_model_is_the_librarys(name, tmp_path):
    pytest.importorskip("fastai.text.models.core")
    made.write(tmp_path / "model", made.CASES[name])
    check_same(tmp_path / "model", tmp_path / "run", "label" if "labels" in made.CASES[name] else "next")


class Secret:
    def __reduce__(self):
        return (print, ("unpickled",))


@pytest.fixture
def folder(tmp_path):
    return Path(shutil.copytree(made.KEPT / "fastai-classifier", tmp_path / "model"))


def test_the_advice_on_what_fastai_pickles(folder, tmp_path):
    """`learn.save`, `learn.export` and a pickled vocabulary: what the message says to save is read."""
    state = torch.load(folder / "model.pth", weights_only=True)
    words, labels = (json.loads((folder / "vocab.json").read_text())[name] for name in ("vocab", "labels"))

    def read():
        api.import_model(folder, tmp_path / "run", overwrite=True)

    torch.save({"model": state, "opt": Secret()}, folder / "model.pth")
    advice = (
        "nothing is unpickled here. Where fastai is installed: `torch.save(learn.model.state_dict(), 'model.pth')`, and"
        " the vocabulary as JSON: `json.dump({'vocab': list(dls.vocab)}, open('vocab.json', 'w'))`, of a classifier"
        " `json.dump({'vocab': list(dls.vocab[0]), 'labels': list(dls.vocab[1])}, open('vocab.json', 'w'))`"
    )
    follow(read, advice, lambda: torch.save(state, folder / "model.pth"), read)
    (folder / "vocab.json").rename(folder / "vocab.pkl")
    advice = "holds no vocab.json; vocab.pkl is pickled, and nothing is unpickled here. Where fastai is installed: "

    def write(**plain):
        (folder / "vocab.json").write_text(json.dumps({"vocab": list(words), **plain}))

    follow(read, advice, lambda: write(labels=list(labels)), read)
    write()
    follow(read, "names no labels of the classifier. Where fastai is", lambda: write(labels=list(labels)), read)
    write(labels=3)
    follow(read, "labels is no list of texts. Where fastai is installed", lambda: write(labels=list(labels)), read)
    write(vocab=words[3:], labels=labels)
    follow(read, "has no xxbos, which every vocabulary of fastai has", lambda: write(labels=list(labels)), read)


def test_the_advice_on_weights_of_fastai(folder, tmp_path):
    state = torch.load(folder / "model.pth", weights_only=True)
    whole = torch.load(made.KEPT / "fastai-language-model" / "model.pth", weights_only=True)

    def read():
        return api.import_model(folder, tmp_path / "run", overwrite=True)

    def write(tensors):
        torch.save(tensors, folder / "model.pth")

    torch.save(state, folder / "other.pt")
    follow(
        read,
        "*.pth or *.pt or *.safetensors, and there are model.pth, other.pt; keep one there",
        (folder / "other.pt").unlink,
        read,
    )
    write({name.removeprefix("0."): tensor for name, tensor in whole.items() if name.startswith("0.")})
    follow(read, "an encoder alone, which says nothing of what follows; save the whole", lambda: write(whole), read)
    write(state | {"0.module.rnns.0.module.weight_ih_l0_reverse": torch.zeros(1)})
    follow(read, "an AWD_LSTM with bidir: true is not supported", lambda: write(state), read)
    write({"layers.0.weight": torch.zeros(1)})
    follow(read, "language_model_learner and text_classifier_learner with AWD_LSTM", lambda: write(state))
    note = "text: give fastai's tokens with blanks between them, without xxbos: ' '.join(tokens[1:])"
    assert note in read().bundle.data["notes"]
