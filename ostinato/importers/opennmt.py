"""OpenNMT-py: translators, recurrent and Transformers."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ostinato.errors import DataError
from ostinato.files import SAFE, saved
from ostinato.importers import _opennmt_recurrent, _opennmt_transformer
from ostinato.importers._files import Weights, mapping
from ostinato.importers._opennmt_options import SOURCE, TABLE, TARGET, Allowed, Options
from ostinato.importers._translator import UNTIED, tables, words
from ostinato.importers._vocabulary import IMPOSSIBLE, Vocabulary
from ostinato.importers.contract import Imported, Importer

STEP = re.compile(r"(.+)_step_(\d+)\.pt")
BEGIN, END, UNKNOWN = "<s>", "</s>", "<unk>"
NETWORKS = {"rnn": _opennmt_recurrent, "transformer": _opennmt_transformer}
"""By its option decoder_type."""
ALLOWED: Allowed = {
    "data_task": ("seq2seq", None),
    "model_task": ("seq2seq", None),
    "decoder_type": tuple(NETWORKS),
    "copy_attn": (False, None),
    "coverage_attn": (False, None),
    "n_src_feats": (0, None),
}
LONGEST = 250
"""Steps of an answer, unless its translator is given another number."""
ADVICE = (
    "Where OpenNMT-py is installed, save it anew: `c = torch.load(FILE, weights_only=False)`, `torch.save({k: c[k] for"
    " k in ('model', 'generator', 'vocab', 'opt')}, FILE)`; one of its version 2 needs its tools/convertv2_v3.py before"
)


class OpenNMT(Importer):
    """Translators of OpenNMT-py: LSTM or GRU with global attention, with input feeding or without, or Transformers.

        general, dot:  a = tanh(W [s; c])
        mlp:           a = W [s; c] + b               attention: additive, readout: linear
        s[0]         = the encoder's last states      bridge: copy; with its option `bridge` relu of a linear map

    Reads the newest `NAME_step_NUMBER.pt`, or that and the safetensors beside it. A text is the tokens that its
    transforms gave, with blanks between them; nothing marks the end of a source.

    Source: Klein et al. 2017, arXiv:1701.02810; its version 3.
    """

    tool = "OpenNMT-py"
    looks_for = "a checkpoint NAME_step_NUMBER.pt"

    def recognise(self, folder: Path) -> bool:
        return any(STEP.fullmatch(path.name) for path in folder.glob("*.pt"))

    def read(self, folder: Path) -> Imported:
        return _Reading(_checkpoint(folder)).imported()


class _Reading:
    """One checkpoint being read."""

    def __init__(self, path: Path):
        self.path = path
        state = mapping(saved(path, ADVICE, (argparse.Namespace,)), str(path))
        options, vocabularies = state.get("opt"), state.get("vocab")
        if not isinstance(options, argparse.Namespace) or not isinstance(vocabularies, dict):
            raise DataError(f"{path}: holds no opt and vocab, as a checkpoint of OpenNMT-py's version 3 does. {ADVICE}")
        self.options = Options({**vars(options), "data_task": vocabularies.get("data_task")}, path)
        self.files = [path.name]
        self.weights = Weights(self._tensors(state), path)
        begin = vocabularies.get("decoder_start_token") or BEGIN
        self.symbols = {side: _listed(vocabularies, side, path) for side in (SOURCE, TARGET)}
        for symbol in (begin, END):
            if symbol not in self.symbols[TARGET]:
                raise DataError(f"{path}: vocab.{TARGET} lacks {symbol}, which every target has; restore the file")
        self.vocabularies = {side: _vocabulary(symbols, begin, path) for side, symbols in self.symbols.items()}
        self.tensors: dict[str, Tensor] = {}

    def _tensors(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """Those of the network and its softmax, which the checkpoint holds, or a safetensors beside it."""
        if "model" not in state:
            parts = sorted({*self.path.parent.glob(f"{self.path.stem}.safetensors"), *self._shards()})
            if not parts:
                raise DataError(
                    f"{self.path}: its tensors are in {self.path.stem}{SAFE}, which is not beside it; copy it there"
                )
            self.files += [part.name for part in parts]
            return {name: tensor for part in parts for name, tensor in saved(part, ADVICE).items()}
        generator = mapping(state.get("generator") or {}, f"{self.path}: generator")
        # Older ones wrote the linear map as the first of a list.
        said = {f"generator.{name.removeprefix('0.')}": tensor for name, tensor in generator.items()}
        return {**mapping(state["model"], f"{self.path}: model"), **said}

    def _shards(self) -> list[Path]:
        return list(self.path.parent.glob(f"{self.path.stem}.*{SAFE}"))

    def imported(self) -> Imported:
        self.options.demand(ALLOWED)
        network = NETWORKS[self.options["decoder_type"]]
        self.options.demand(network.ALLOWED)
        encoder, width = network.encoder(self.weights, self.tensors, self.options)
        decoder = network.decoder(self.weights, self.tensors, self.options, width)
        head = {
            "type": "autoregressive",
            "decoder": decoder,
            "embedding_size": self.weights.shape(f"decoder.{TABLE}")[1],
            "dropout": self.options.rate("dropout"),
            "label_smoothing": self.options.rate("label_smoothing"),
        }
        notes = [f"{SOURCE}, {TARGET}: give the tokens that OpenNMT's transforms make, with blanks between them"]
        self._symbols(head, notes)
        self.weights.drop(r"(en|de)coder\.embeddings\.make_embedding\.pe\.pe")
        self.weights.demand_empty("recurrent models of OpenNMT-py 3 with global attention, and its Transformers")
        (source, facts), (target, others) = (words(self.vocabularies[side].pieces) for side in (SOURCE, TARGET))
        said: Any = {"same_as": SOURCE} if head["tied"] == "input" else target
        recipe = {
            "inputs": {SOURCE: {"type": "text", "tokenizer": source, "encoder": encoder}},
            "outputs": {TARGET: {"type": "text", "tokenizer": said, "align": "free", "head": head}},
            "search": {"type": "beam", "width": 5},
        }
        every = {f"inputs.{SOURCE}": facts, f"outputs.{TARGET}": others}
        return Imported(recipe, every, self.tensors, {TARGET: LONGEST}, notes, self.files)

    def _symbols(self, head: dict[str, Any], notes: list[str]) -> None:
        source, target = (self.vocabularies[side] for side in (SOURCE, TARGET))
        read, given, said = (
            vocabulary.rows(self.weights.take(name, vocabulary.size, self.weights.shape(name)[1]))
            for name, vocabulary in (
                (f"encoder.{TABLE}", source),
                (f"decoder.{TABLE}", target),
                ("generator.weight", target),
            )
        )
        bias = target.rows(self.weights.take("generator.bias", target.size))
        if target.special[0] == target.special[1]:
            # One symbol both begins and ends; here it is said as the end alone.
            bias[0] = IMPOSSIBLE
        same = self.symbols[SOURCE] == self.symbols[TARGET]
        head["tied"], tensors = tables(SOURCE, TARGET, read, given, said, same)
        self.tensors |= {**tensors, f"heads.{TARGET}.output.bias": bias}
        if self.options["share_embeddings"] and head["tied"] != "input":
            notes.append(UNTIED.format("embeddings of both sides"))


def _listed(vocabularies: Mapping[str, Any], side: str, path: Path) -> list[str]:
    symbols = vocabularies.get(side)
    if not isinstance(symbols, list) or not symbols or not all(isinstance(symbol, str) for symbol in symbols):
        raise DataError(f"{path}: vocab.{side} is no list of symbols, as version 3 writes it. {ADVICE}")
    return symbols


def _vocabulary(symbols: list[str], begin: str, path: Path) -> Vocabulary:
    numbers = [symbols.index(symbol) if symbol in symbols else None for symbol in (begin, END, UNKNOWN)]
    return Vocabulary(symbols, *numbers, path)


def _checkpoint(folder: Path) -> Path:
    """The newest checkpoint of one training.

    Errors:
        DataError: there is none, or of several trainings.
    """
    named = {path: own for path in folder.glob("*.pt") if (own := STEP.fullmatch(path.name))}
    trainings = sorted({own[1] for own in named.values()})
    if len(trainings) > 1:
        raise DataError(
            f"{folder}: checkpoints of {' and '.join(trainings)}; move those of one into a folder of their own"
        )
    if not named:
        every = sorted(folder.glob("*.pt"))
        if len(every) != 1:
            raise DataError(f"{folder}: holds no checkpoint NAME_step_NUMBER.pt of OpenNMT-py; copy one there")
        return every[0]
    return max(named, key=lambda path: int(named[path][2]))
