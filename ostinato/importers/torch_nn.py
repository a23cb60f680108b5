"""Plain PyTorch: an embedding, a stack of torch.nn.RNN, LSTM or GRU, and a linear map."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ostinato.errors import ConfigError, DataError, nearest
from ostinato.files import SAFE, saved
from ostinato.importers._files import Weights, json_file, weights_file
from ostinato.importers._recurrent import stacked
from ostinato.importers._vocabulary import IMPOSSIBLE, Vocabulary
from ostinato.importers.contract import Imported, Importer

DESCRIPTION = "model.json"
FILES = ("*.pt", "*.pth", "*.bin", f"*{SAFE}")
CELLS = {1: "rnn", 3: "gru", 4: "lstm"}
"""The cell that has so many rows of weights for each hidden unit."""
TASKS = ("classify", "tag", "next")
WORDS = {"task", "vocabulary", "labels", "unknown", "begin", "end", "pieces", "pool", "nonlinearity", "names"}
POOLS = ("last", "mean", "max")
PARTS = {"embedding", "rnn", "linear"}
OF_TASK = {"pool": ("classify",), "pieces": ("classify", "next"), "labels": ("classify", "tag")}
"""Words of a description that say something of some tasks alone."""
MARKS = {
    "begin": "the symbol that a text begins with, from which its first one is predicted",
    "end": "the symbol that a text ends with, such as the line break where texts are lines",
}
"""What a language model needs."""
LONGEST = 200
"""Symbols of a continuation; the files name no number."""
SAVE = "Save the weights alone: `torch.save(model.state_dict(), 'model.pt')`"
WRITE = (
    f'write {DESCRIPTION}: {{"task": "classify", "vocabulary": ["<unk>", "good", ...], "unknown": "<unk>",'
    ' "labels": ["no", "yes"]}'
)


class TorchNN(Importer):
    """A state dict of plain PyTorch: an embedding, a stack of torch.nn.RNN, LSTM or GRU, and a linear map.

        classify: softmax(W pool(rnn(E[x])) + b)         pool: the last state of each direction, the mean or the largest
        tag:      softmax(W rnn(E[x])[t] + b)
        next:     p(x[t + 1]) = softmax(W rnn(E[x])[t] + b)

    Reads `model.json` and one file of weights, `*.pt`, `*.pth`, `*.bin` or safetensors. The description has the task,
    the vocabulary in the order of the embedding's rows, and the labels in that of the linear map's. Cell, sizes,
    layers, directions and biases follow from names and shapes, and so does which tensor is what; where two would fit,
    `names` tells: `{"embedding": "emb", "rnn": "encoder", "linear": "out"}`.
    """

    tool = "plain PyTorch"
    looks_for = f"{DESCRIPTION} with a task (classify, tag, next), and model.pt of model.state_dict()"

    def recognise(self, folder: Path) -> bool:
        if not (folder / DESCRIPTION).is_file():
            return False
        try:
            return "task" in json_file(folder / DESCRIPTION)
        except DataError:
            return False

    def read(self, folder: Path) -> Imported:
        if not (folder / DESCRIPTION).is_file():
            raise DataError(f"{folder}: holds no {DESCRIPTION}; {WRITE}")
        return _Reading(folder / DESCRIPTION, weights_file(folder, FILES, SAVE)).imported()


class _Reading:
    """One folder being read."""

    def __init__(self, path: Path, file: Path):
        self.path, self.plain = path, json_file(path)
        strange = sorted(self.plain.keys() - WORDS)
        if strange:
            raise ConfigError(f"{path}: {strange[0]}: no word of a description{nearest(strange[0], WORDS)}")
        self.task = self._word("task", TASKS, None)
        symbols = self._listed("vocabulary")
        numbers = {}
        for name in ("begin", "end", "unknown"):
            symbol = self.plain.get(name)
            if symbol is not None and symbol not in symbols:
                raise DataError(f"{path}: {name}: {symbol!r} is not in the vocabulary; add its row's symbol there")
            numbers[name] = None if symbol is None else symbols.index(symbol)
        self.vocabulary = Vocabulary(symbols, numbers["begin"], numbers["end"], numbers["unknown"], path)
        for name, what in MARKS.items():
            if self.task == "next" and numbers[name] is None:
                raise ConfigError(f"{path}: task next: name in `{name}` {what}")
        for word, task in OF_TASK.items():
            if word in self.plain and self.task not in task:
                raise ConfigError(
                    f"{path}: {word}: is of task {' or '.join(task)}, and this one is {self.task}; leave it out"
                )
        parts = self.plain.get("names", {})
        if not isinstance(parts, dict) or not all(isinstance(name, str) for name in parts.values()):
            raise ConfigError(
                f'{path}: names: a word for each part is needed, as {{"embedding": "emb", "rnn": "encoder"}}'
            )
        strange = sorted(parts.keys() - PARTS)
        if strange:
            raise ConfigError(f"{path}: names.{strange[0]}: no part of the model{nearest(strange[0], PARTS)}")
        self.begin_is_end = numbers["begin"] == numbers["end"]
        self.labels = None if self.task == "next" else self._listed("labels")
        if self.labels and len(set(self.labels)) < len(self.labels):
            twice = next(label for label in self.labels if self.labels.count(label) > 1)
            raise DataError(f"{path}: labels: {twice!r} occurs twice; each label has one row of the linear map")
        state = saved(file, SAVE)
        for word in ("state_dict", "model_state_dict", "model"):
            if isinstance(state, Mapping) and isinstance(state.get(word), Mapping):
                state = state[word]
        self.weights = Weights(state, file)
        self.files = [DESCRIPTION, file.name]

    def imported(self) -> Imported:
        tensors: dict[str, Tensor] = {}
        rnn = self._rnn()
        table = self._embedding(rnn)
        encoder = self._encoder(tensors, rnn)
        size = encoder["hidden_size"] * (2 if encoder["bidirectional"] else 1)
        tensors["encoders.input.embedding.learnt.weight"] = self.vocabulary.rows(table)
        encoder["embedding_size"] = table.shape[1]
        outputs = len(self.labels) if self.labels is not None else self.vocabulary.size
        weight, bias = self._linear(outputs, size)
        self.weights.demand_empty("one embedding, one RNN, LSTM or GRU, one linear map")
        pieces, counts = self.vocabulary.pieces, [0] * len(self.vocabulary.pieces)
        words = self._word("pieces", ("words", "letters"), "words") == "words"
        tokenizer: Any = {"type": "word", "split_punctuation": False} if words else "char"
        facts: dict[str, Any] = {"tokenizer": {"pieces": pieces} | ({"counts": counts} if words else {})}
        column: dict[str, Any] = {"type": "text", "tokenizer": tokenizer}
        notes = ["input: words are what stands between blanks"] if words else []
        if self.task == "tag":
            column, facts = {"type": "tokens"}, {"symbols": pieces, "counts": counts}
            notes = ["input: the words of a row with blanks between them"]
        inputs = {"input": {**column, "encoder": encoder}}
        if self.labels is None:
            # The linear map of a language model is as its embedding: begin, end and unknown first.
            said, scores = self.vocabulary.rows(weight), self.vocabulary.rows(bias, IMPOSSIBLE)
            if self.begin_is_end:
                scores[0] = IMPOSSIBLE
            tied = torch.equal(said, tensors["encoders.input.embedding.learnt.weight"])
            tensors |= {"heads.next.output.bias": scores} | ({} if tied else {"heads.next.output.weight": said})
            output: dict[str, Any] = {"type": "text", "of": "input", "column": "input", "align": "next"}
            output |= {"tokenizer": {"same_as": "input"}, "head": {"type": "next_step", "tied": tied}}
            recipe = {"inputs": inputs, "outputs": {"next": output}}
            return Imported(recipe, {"inputs.input": facts}, tensors, {"next": LONGEST}, notes, self.files)
        tensors |= {"heads.label.labels.output.weight": weight, "heads.label.labels.output.bias": bias}
        if self.task == "tag":
            output = {"type": "tags", "align": "each", "head": {"type": "tagger"}}
        else:
            pool = self._word("pool", POOLS, "last")
            output = {"type": "category", "align": "summary", "head": {"type": "classifier", "pool": pool}}
        every = {"inputs.input": facts, "outputs.label": {"labels": self.labels, "counts": [0] * outputs}}
        recipe = {"inputs": inputs, "outputs": {"label": output}}
        return Imported(recipe, every, tensors, {"label": LONGEST if self.task == "tag" else 1}, notes, self.files)

    # Which tensor is what.

    def _named(self, part: str) -> str | None:
        """What a description says is in front of the names of a part's tensors."""
        name = self.plain.get("names", {}).get(part)
        return None if name is None else f"{name}." * bool(name)

    def _rnn(self) -> str:
        """What is in front of the names of the recurrent module."""
        found = [name.removesuffix("weight_ih_l0") for name in self.weights.names() if name.endswith("weight_ih_l0")]
        named = self._named("rnn")
        if named in found:
            return named
        if len(found) != 1 or named is not None:
            raise ConfigError(
                f"{self.weights.path}: one RNN, LSTM or GRU of torch.nn is needed, and it has"
                f" {', '.join(repr(name.rstrip('.')) for name in found) or 'none'}; name one in names.rnn of"
                f" {DESCRIPTION}, where the others are not the model's"
            )
        return found[0]

    def _embedding(self, rnn: str) -> Tensor:
        wanted = (self.vocabulary.size, self.weights.shape(f"{rnn}weight_ih_l0")[1])
        # Two tables fit where a linear map is as large: that one has a bias, or is tied to the other.
        return self.weights.take(self._matrix("embedding", wanted, rnn, without_bias=True), *wanted)

    def _linear(self, outputs: int, size: int) -> tuple[Tensor, Tensor]:
        name = self._matrix("linear", (outputs, size), "", without_bias=False)
        bias = f"{name.removesuffix('weight')}bias"
        weight = self.weights.take(name, outputs, size)
        return weight, self.weights.take(bias, outputs) if bias in self.weights else torch.zeros(outputs)

    def _matrix(self, part: str, shape: tuple[int, int], rnn: str, *, without_bias: bool) -> str:
        """The name of the matrix of this shape."""
        named = self._named(part)
        if named is not None:
            return f"{named}weight"
        fitting = [
            name
            for name in self.weights.names()
            if name.endswith("weight")
            and self.weights.shape(name) == shape
            and not (rnn and name.startswith(f"{rnn}w"))
        ]
        if without_bias and len(fitting) > 1:
            fitting = [name for name in fitting if f"{name.removesuffix('weight')}bias" not in self.weights]
        if len(fitting) != 1:
            matrices = ", ".join(
                f"{name} {self.weights.shape(name)}"
                for name in self.weights.names()
                if len(self.weights.shape(name)) == 2 and not re.search(r"weight_[ih]h_l\d", name)
            )
            raise ConfigError(
                f"{self.weights.path}: {len(fitting)} tensors can be the {part}, which is {shape} by the vocabulary,"
                f" the labels and the RNN; it has {matrices or 'no matrix'}. Correct {DESCRIPTION}; or name it there in"
                f" names.{part}"
            )
        return fitting[0]

    def _encoder(self, tensors: dict[str, Tensor], rnn: str) -> dict[str, Any]:
        rows, hidden = self.weights.shape(f"{rnn}weight_hh_l0")
        if rows // hidden not in CELLS or rows % hidden or f"{rnn}weight_hr_l0" in self.weights:
            raise ConfigError(
                f"{self.weights.path}: {rnn}weight_hh_l0 is no RNN, LSTM or GRU (proj_size: 0) of torch.nn"
            )
        cell = CELLS[rows // hidden]
        layers = sum(name.startswith(f"{rnn}weight_hh_l") and "_reverse" not in name for name in self.weights.names())
        both, biases = f"{rnn}weight_hh_l0_reverse" in self.weights, f"{rnn}bias_ih_l0" in self.weights
        width = self.weights.shape(f"{rnn}weight_ih_l0")[1]
        target = "encoders.input.stack.cells."
        tensors |= stacked(self.weights, rnn, target, cell, width, hidden, layers, 2 if both else 1, biases)
        settings: dict[str, Any] = {"type": cell}
        if not biases:
            settings |= {"biases": 0} | ({"forget_bias": 0.0} if cell == "lstm" else {})
        if cell != "rnn" and "nonlinearity" in self.plain:
            raise ConfigError(
                f"{self.path}: nonlinearity: is of torch.nn.RNN, and the weights are of {cell}; leave it out"
            )
        if cell == "rnn":
            settings["activation"] = self._word("nonlinearity", ("tanh", "relu"), "tanh")
        return {"type": "recurrent", "cell": settings, "hidden_size": hidden, "layers": layers, "bidirectional": both}

    # The description.

    def _word(self, name: str, allowed: tuple[str, ...], default: str | None) -> str:
        value = self.plain.get(name, default)
        if value not in allowed:
            raise ConfigError(f"{self.path}: {name}: {value!r}{nearest(str(value), allowed)}")
        return value

    def _listed(self, name: str) -> list[str]:
        value = self.plain.get(name)
        if not isinstance(value, list) or not value or not all(isinstance(word, str) for word in value):
            raise DataError(f"{self.path}: {name}: a list of texts is needed, one for each row; {WRITE}")
        return value
