"""State dicts of plain PyTorch: the run gives what the module gives."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from ostinato import api
from ostinato.errors import ConfigError
from ostinato.run.score import scores
from tests.advice import follow
from tests.importers.same import TOLERANCE, imported

SYMBOLS = ["<pad>", "<unk>", "<s>", "</s>", "a", "b", "c", "d"]
LABELS = ["no", "yes", "maybe"]
TEXTS = ["a b c d", "d a", "b", "c c new a"]


class Net(nn.Module):
    def __init__(self, rnn, outputs, pool=None, tied=False, bias=True):
        super().__init__()
        self.embed, self.rnn, self.pool = nn.Embedding(len(SYMBOLS), rnn.input_size), rnn, pool
        self.out = nn.Linear(rnn.hidden_size * (1 + rnn.bidirectional), outputs, bias=bias)
        if tied:
            self.out.weight = self.embed.weight

    def forward(self, numbers):
        steps, last = self.rnn(self.embed(numbers))
        if self.pool == "last":
            last = last[0] if isinstance(last, tuple) else last
            steps = torch.cat(list(last[-1 - self.rnn.bidirectional :]))
        elif self.pool is not None:
            steps = steps.mean(0) if self.pool == "mean" else steps.amax(0)
        return self.out(steps).log_softmax(-1)


def numbers(text):
    return torch.tensor([SYMBOLS.index(word) if word in SYMBOLS else 1 for word in text.split()])


def saved(folder, net, name="model.pt", write=None, **description):
    folder.mkdir()
    (write or torch.save)(net.state_dict(), folder / name)
    plain = {"vocabulary": SYMBOLS, "unknown": "<unk>", **description}
    (folder / "model.json").write_text(json.dumps(plain))
    return folder


def drawn(make):
    torch.manual_seed(3)
    return make().eval()


RNNS = {
    "rnn": lambda: nn.RNN(5, 6),
    "relu": lambda: nn.RNN(5, 6, nonlinearity="relu"),
    "gru": lambda: nn.GRU(5, 6, 2, bidirectional=True),
    "lstm": lambda: nn.LSTM(5, 6, 2),
    "no biases": lambda: nn.LSTM(5, 6, bias=False, bidirectional=True),
}


@torch.no_grad()
@pytest.mark.parametrize("pool", ["last", "mean", "max"])
@pytest.mark.parametrize("kind", RNNS)
def test_a_classifier_gives_the_same_probabilities(kind, pool, tmp_path):
    if pool != "last" and kind in ("rnn", "relu"):
        pytest.skip("pooled likewise")
    net = drawn(lambda: Net(RNNS[kind](), len(LABELS), pool))
    options = {"nonlinearity": "relu"} if kind == "relu" else {}
    folder = saved(tmp_path / "model", net, task="classify", labels=LABELS, pool=pool, **options)
    run = imported(folder, tmp_path / "run")
    for text, prediction in zip(TEXTS, api.predict(run, TEXTS), strict=True):
        expected = net(numbers(text))
        given = scores([run], [{"input": text, "label": label} for label in LABELS])["label"].scored.log_probability
        np.testing.assert_allclose(given, expected, atol=TOLERANCE)
        assert prediction.outputs["label"][0].value == LABELS[int(expected.argmax())]


@torch.no_grad()
def test_a_tagger_gives_the_same_probabilities(tmp_path):
    net = drawn(lambda: Net(RNNS["gru"](), len(LABELS)))
    write = lambda state, path: save_file(state, path)  # noqa: E731
    folder = saved(tmp_path / "model", net, "model.safetensors", write, task="tag", labels=LABELS)
    run = imported(folder, tmp_path / "run")
    for text in TEXTS:
        tags = [LABELS[place % 3] for place in range(len(text.split()))]
        given = scores([run], [{"input": text.split(), "label": tags}])["label"].scored.log_probability.item()
        expected = net(numbers(text))[range(len(tags)), [LABELS.index(tag) for tag in tags]].sum()
        np.testing.assert_allclose(given, expected, atol=TOLERANCE)


@torch.no_grad()
@pytest.mark.parametrize(
    ("options", "description"),
    [
        ({}, {"begin": "<s>", "end": "</s>"}),
        ({"bias": False}, {"begin": "</s>", "end": "</s>"}),
        ({"tied": True}, {"begin": "<s>", "end": "</s>"}),
    ],
)
def test_a_language_model_gives_the_same_probabilities(options, description, tmp_path):
    net = drawn(lambda: Net(nn.LSTM(6, 6, 2), len(SYMBOLS), **options))
    names = {"embedding": "embed", "linear": "out"}
    folder = saved(tmp_path / "model", net, task="next", names=names, **description)
    run = imported(folder, tmp_path / "run")
    assert (run.outputs["next"].head.tied is True) == options.get("tied", False)
    for text in TEXTS:
        given = scores([run], [{"input": text}])["next"].by_step[0][:, 0]
        read = torch.cat([torch.tensor([SYMBOLS.index(description["begin"])]), numbers(text)])
        expected = net(read)[range(len(read)), [*read[1:].tolist(), SYMBOLS.index(description["end"])]]
        np.testing.assert_allclose(given, expected, atol=TOLERANCE)


@torch.no_grad()
def test_what_is_what_follows_from_names_and_shapes(tmp_path):
    net = drawn(lambda: Net(nn.GRU(6, 6), len(SYMBOLS)))
    run = imported(saved(tmp_path / "model", net, task="next", begin="<s>", end="</s>"), tmp_path / "run")
    given = scores([run], [{"input": "a b"}])["next"].by_step[0][:, 0]
    np.testing.assert_allclose(given, net(torch.tensor([2, 4, 5]))[range(3), [4, 5, 3]], atol=TOLERANCE)


NEXT = {"task": "next", "begin": "<s>", "end": "</s>"}


def test_the_advice_on_a_description(tmp_path):
    net = drawn(lambda: Net(nn.GRU(6, 6), len(SYMBOLS)))
    folder = saved(tmp_path / "model", net)

    def described(**changes):
        (folder / "model.json").write_text(json.dumps({"vocabulary": SYMBOLS, "unknown": "<unk>", **NEXT, **changes}))
        api.import_model(folder, tmp_path / "run", format="torch_nn", overwrite=True)

    rows = [
        ({"task": "translate"}, "task: 'translate'; allowed here: classify, next, tag"),
        ({"begin": None}, "task next: name in `begin` the symbol that a text begins with, from which its first"),
        ({"end": None}, "task next: name in `end` the symbol that a text ends with, such as the line break where"),
        ({"pool": "mean"}, "pool: is of task classify, and this one is next; leave it out"),
        ({"nonlinearity": "relu"}, "nonlinearity: is of torch.nn.RNN, and the weights are of gru; leave it out"),
        ({"names": ["embed"]}, 'names: a word for each part is needed, as {"embedding": "emb", "rnn": "encoder"}'),
        ({"names": {"embeding": "embed"}}, "names.embeding: no part of the model; did you mean 'embedding'?"),
        ({"begin": "<begin>"}, "begin: '<begin>' is not in the vocabulary; add its row's symbol there"),
        (
            {"vocabulary": []},
            '; write model.json: {"task": "classify", "vocabulary": ["<unk>", "good", ...], "unknown"',
        ),
        (
            {"vocabulary": SYMBOLS[:-1]},
            "out.weight (8, 6). Correct model.json; or name it there",
        ),
        (
            {"vocabulary": [*SYMBOLS[:-1], "a"]},
            "'a' occurs twice; each symbol has one row of the weights, so restore it",
        ),
        ({"vocabular": []}, "vocabular: no word of a description; did you mean 'vocabulary'?"),
        ({"names": {"rnn": "other"}}, "it has 'rnn'; name one in names.rnn of model.json, where the others are not"),
        ({"names": {"embedding": "other"}}, "holds no tensor other.weight"),
    ]
    for changes, advice in rows:
        follow(lambda changes=changes: described(**changes), advice, described)


def test_the_advice_on_labels_and_weights(tmp_path):
    net = drawn(lambda: Net(nn.GRU(5, 6), 3, "last"))
    folder = saved(tmp_path / "model", net, task="classify", labels=LABELS)
    plain = json.loads((folder / "model.json").read_text())

    def read(labels=LABELS, number=0.0):
        (folder / "model.json").write_text(json.dumps({**plain, "labels": labels}))
        torch.save(net.state_dict() | {"out.bias": torch.full((3,), number)}, folder / "model.pt")
        api.import_model(folder, tmp_path / "run", format="torch_nn", overwrite=True)

    twice = "labels: 'no' occurs twice; each label has one row of the linear map"
    follow(lambda: read(["no", "no", "yes"]), twice, read)
    missing = "out.bias holds numbers that are infinite or missing; give weights that are whole"
    for number in (float("nan"), float("inf")):
        follow(lambda number=number: read(number=number), missing, read)


class Secret:
    def __reduce__(self):
        return (print, ("unpickled",))


def test_the_advice_on_files_beside_a_description(tmp_path, capfd):
    net = drawn(lambda: Net(nn.GRU(6, 6), len(SYMBOLS)))
    folder = saved(tmp_path / "model", net, **NEXT)
    text, weights = (folder / "model.json").read_text(), (folder / "model.pt").read_bytes()

    def read():
        api.import_model(folder, tmp_path / "run", format="torch_nn", overwrite=True)

    (folder / "model.json").unlink()
    advice = 'holds no model.json; write model.json: {"task": "classify", "vocabulary": ["<unk>", "good", ...]'
    follow(read, advice, lambda: (folder / "model.json").write_text(text), read)
    (folder / "other.pth").write_bytes(weights)
    advice = "there are model.pt, other.pth; keep one there. Save the weights alone: `torch.save(model.state_dict(), "
    follow(read, advice, (folder / "other.pth").unlink, read)
    torch.save({"model": net.state_dict(), "secret": Secret()}, folder / "model.pt")
    advice = "nothing is unpickled here. Save the weights alone: `torch.save(model.state_dict(), 'model.pt')`"
    follow(read, advice, lambda: torch.save(net.state_dict(), folder / "model.pt"), read)
    assert "unpickled" not in capfd.readouterr()[0].replace("imported", "")


@pytest.mark.parametrize(
    ("make", "refusal"),
    [
        (lambda: Net(nn.LSTM(6, 6, proj_size=3), len(SYMBOLS)), "no RNN, LSTM or GRU"),
        (lambda: nn.ModuleDict({"net": Net(nn.GRU(6, 6), len(SYMBOLS)), "norm": nn.LayerNorm(6)}), "norm.weight"),
        (lambda: nn.Linear(3, 3), "one RNN, LSTM or GRU of torch.nn is needed, and it has none"),
    ],
)
def test_what_else_a_model_has_is_refused(make, refusal, tmp_path):
    folder = saved(tmp_path / "model", drawn(make), **NEXT)
    with pytest.raises(ConfigError, match=refusal):
        imported(folder, tmp_path / "run")
