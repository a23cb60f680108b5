"""A tiny translator trained once, and the command line called in this process as the `ostinato` script calls it."""

import json
import random
import sys
from typing import NamedTuple

import pytest

WORDS = dict(zip("ein zwei drei vier sechs acht neun".split(), "one two three four six eight nine".split()))
RECIPE = """\
data: {train: train.tsv, valid: valid.tsv, test: test.tsv}
inputs:
  de:
    type: text
    tokenizer: word
    encoder: {cell: gru, hidden_size: 8, embedding_size: 8, dropout: 0.2}
outputs:
  en:
    type: text
    tokenizer: word
    head: {decoder: {cell: gru, hidden_size: 8, attention: general}, embedding_size: 8, dropout: 0.2}
search: {type: beam, width: 2}
training: {epochs: 2, batch_rows: 10, max_steps: 40, optimizer: {type: adamw, learning_rate: 0.05}}
"""


class Said(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture
def cli(capfd, monkeypatch):
    """Runs a command: its exit status, standard output and standard error; errors of the user's leave no traceback."""
    from ostinato.cli.main import main

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["ostinato", *map(str, words)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        said = Said(left.value.code or 0, *capfd.readouterr())
        assert "Traceback" not in said.err
        return said

    return run


@pytest.fixture
def refused(cli):
    """Runs a command that the user must mend: exit 2, nothing on standard output, each of these parts in the
    message."""

    def run(*words, says):
        said = cli(*words)
        assert (said.code, said.out) == (2, ""), said
        for part in says:
            assert part in said.err, said.err
        return said.err

    return run


def write_data(folder):
    draw = random.Random(1)
    for split, rows in (("train", 40), ("valid", 8), ("test", 10)):
        texts = [draw.choices(list(WORDS), k=draw.randint(1, 4)) for _ in range(rows)]
        lines = ["de\ten", *(f"{' '.join(text)}\t{' '.join(WORDS[word] for word in text)}" for text in texts)]
        (folder / f"{split}.tsv").write_text("\n".join(lines) + "\n")
    (folder / "tiny.yaml").write_text(RECIPE)


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """No test touches the user's cache; one thread each, since models so small gain nothing from more and test
    processes share cores."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OSTINATO_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("OSTINATO_DATA", raising=False)
        yield
    torch.set_num_threads(threads)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working folder with the tiny data set and its recipe."""
    write_data(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def trained(tmp_path_factory, cache):
    """A run of the tiny recipe: tests read it and leave it as it is."""
    from ostinato import api
    from ostinato.recipe.read import load

    folder = tmp_path_factory.mktemp("trained")
    write_data(folder)
    api.train(load(folder / "tiny.yaml"), folder / "run", device="cpu")
    return folder / "run"
