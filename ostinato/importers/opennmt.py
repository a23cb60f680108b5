"""OpenNMT-py: translators, recurrent and with attention."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ostinato.errors import ConfigError, DataError, nearest
from ostinato.importers._files import SAFE, Weights, mapping, option, saved
from ostinato.importers._recurrent import stacked
from ostinato.importers._translator import UNTIED, tables, words
from ostinato.importers._vocabulary import IMPOSSIBLE, Vocabulary
from ostinato.importers.contract import Imported, Importer

STEP = re.compile(r"(.+)_step_(\d+)\.pt")
SOURCE, TARGET = "src", "tgt"
BEGIN, END, UNKNOWN = "<s>", "</s>", "<unk>"
TABLE = "embeddings.make_embedding.emb_luts.0.weight"
CELLS = {"LSTM": "lstm", "GRU": "gru"}
ATTENTIONS = {"linear_in.weight": "general", "linear_context.weight": "additive", "linear_out.weight": "dot"}
"""The attention that has a tensor of this name, the first that is there."""
ALLOWED: dict[str, tuple[Any, ...]] = {
    "data_task": ("seq2seq", None),
    "model_task": ("seq2seq", None),
    "encoder_type": ("rnn", "brnn"),
    "decoder_type": ("rnn",),
    "rnn_type": tuple(CELLS),
    "global_attention_function": ("softmax", None),
    "context_gate": (None,),
    "copy_attn": (False, None),
    "coverage_attn": (False, None),
    "position_encoding": (False, None),
    "n_src_feats": (0, None),
}
"""What can be read, of options that change what a model computes; None: a checkpoint may lack the option."""
LONGEST = 250
"""Steps of an answer, unless its translator is given another number."""
ADVICE = (
    "Where OpenNMT-py is installed, save it anew: `c = torch.load(FILE, weights_only=False)`, `torch.save({k: c[k] for"
    " k in ('model', 'generator', 'vocab', 'opt')}, FILE)`; one of its version 2 needs its tools/convertv2_v3.py before"
)


class OpenNMT(Importer):
    """Recurrent translators of OpenNMT-py: LSTM or GRU, global attention, with input feeding or without.

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
        self.options: dict[str, Any] = {**vars(options), "data_task": vocabularies.get("data_task")}
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
        for name, allowed in ALLOWED.items():
            if self.options.get(name) not in allowed:
                raise self._refused(name, allowed)
        encoder, width = self._encoder()
        decoder = self._decoder(width)
        head = {
            "type": "autoregressive",
            "decoder": decoder,
            "embedding_size": self.weights.shape(f"decoder.{TABLE}")[1],
            "dropout": self._rate("dropout"),
            "label_smoothing": self._rate("label_smoothing"),
        }
        notes = [f"{SOURCE}, {TARGET}: give the tokens that OpenNMT's transforms make, with blanks between them"]
        self._symbols(head, notes)
        self.weights.drop(r"(en|de)coder\.embeddings\.make_embedding\.pe\.pe")
        self.weights.demand_empty("recurrent models of OpenNMT-py 3 with global attention")
        (source, facts), (target, others) = (words(self.vocabularies[side].pieces) for side in (SOURCE, TARGET))
        said: Any = {"same_as": SOURCE} if head["tied"] == "input" else target
        recipe = {
            "inputs": {SOURCE: {"type": "text", "tokenizer": source, "encoder": encoder}},
            "outputs": {TARGET: {"type": "text", "tokenizer": said, "align": "free", "head": head}},
            "search": {"type": "beam", "width": 5},
        }
        every = {f"inputs.{SOURCE}": facts, f"outputs.{TARGET}": others}
        return Imported(recipe, every, self.tensors, {TARGET: LONGEST}, notes, self.files)

    # Networks.

    def _encoder(self) -> tuple[dict[str, Any], int]:
        """The settings of the encoder, and the width of its steps."""
        cell, layers, hidden = self._sizes("encoder.rnn.")
        directions = 2 if "encoder.rnn.weight_ih_l0_reverse" in self.weights else 1
        width = self.weights.shape(f"encoder.{TABLE}")[1]
        at = f"encoders.{SOURCE}.stack.cells."
        self.tensors |= stacked(self.weights, "encoder.rnn.", at, cell, width, hidden, layers, directions)
        settings = {
            "type": "recurrent",
            "cell": cell,
            "hidden_size": hidden,
            "layers": layers,
            "bidirectional": directions == 2,
            "dropout": self._rate("dropout"),
            "embedding_size": width,
        }
        return settings, directions * hidden

    def _sizes(self, place: str) -> tuple[str, int, int]:
        """The cell, layers and units of a stack."""
        layers = sum(bool(re.fullmatch(rf"{re.escape(place)}weight_hh_l\d+", name)) for name in self.weights.names())
        return CELLS[self.options["rnn_type"]], layers, self.weights.shape(f"{place}weight_hh_l0")[1]

    def _decoder(self, width: int) -> dict[str, Any]:
        feeds = "decoder.rnn.layers.0.weight_ih" in self.weights
        for name in self.weights.names():
            if own := re.fullmatch(r"decoder\.rnn\.layers\.(\d+)\.(\w+)", name):
                self.weights.rename(name, f"decoder.rnn.{own[2]}_l{own[1]}")
        cell, layers, hidden = self._sizes("decoder.rnn.")
        at = f"heads.{TARGET}.decoder."
        below = self.weights.shape(f"decoder.{TABLE}")[1] + hidden * feeds
        self.tensors |= stacked(self.weights, "decoder.rnn.", f"{at}cells.", cell, below, hidden, layers)
        attention = self._attention(at, hidden, width)
        if feeds and attention is None:
            raise ConfigError(
                f"{self.path}: opt.global_attention: none with input_feed 1 feeds back the state itself, which is not"
                " supported; supported: general, dot, mlp; or none with input_feed 0"
            )
        bridge = "copy"
        if "encoder.bridge.0.weight" in self.weights:
            bridge = "relu"
            self._bridge(at, cell, layers, width)
        return {
            "type": "recurrent",
            "cell": cell,
            "hidden_size": hidden,
            "layers": layers,
            "attention": attention,
            "context": "after",
            "input_feeding": feeds,
            "readout": "linear" if attention == "additive" else "tanh",
            "bridge": bridge,
        }

    def _attention(self, at: str, hidden: int, width: int) -> str | None:
        """Which attention there is; its tensors and those of what reads state and context."""
        take = self.weights.take
        kind = next((kind for name, kind in ATTENTIONS.items() if f"decoder.attn.{name}" in self.weights), None)
        if kind is None:
            return None
        if kind == "general":
            # There the query is multiplied, here the memory: e = (W q) . m = q . (W' m).
            self.tensors[f"{at}attentions.0.key.weight"] = take("decoder.attn.linear_in.weight", width, hidden).T
        if kind == "additive":
            self.tensors[f"{at}attentions.0.key.weight"] = take("decoder.attn.linear_context.weight", hidden, width)
            self.tensors[f"{at}attentions.0.energy.weight"] = take("decoder.attn.v.weight", 1, hidden)
            for part, shape in (("weight", (hidden, hidden)), ("bias", (hidden,))):
                self.tensors[f"{at}attentions.0.query.{part}"] = take(f"decoder.attn.linear_query.{part}", *shape)
        context, state = take("decoder.attn.linear_out.weight", hidden, width + hidden).split([width, hidden], 1)
        self.tensors[f"{at}readout.weight"] = torch.cat([state, context], 1)
        bias = "decoder.attn.linear_out.bias"
        self.tensors[f"{at}readout.bias"] = take(bias, hidden) if bias in self.weights else torch.zeros(hidden)
        return kind

    def _bridge(self, at: str, cell: str, layers: int, width: int) -> None:
        """Its bridge has a map for each of h and c, which reads as many numbers as one direction has in all layers; of
        two directions it maps the first half of the layers' states, and then the second, alike."""
        states = 2 if cell == "lstm" else 1
        size = layers * width
        weight, bias = torch.zeros(states, size, states, size), torch.zeros(states, size)
        for k in range(states):
            own = self.weights.take(f"encoder.bridge.{k}.weight")
            times = size // len(own)
            weight[k, :, k] = torch.block_diag(*[own] * times)
            bias[k] = self.weights.take(f"encoder.bridge.{k}.bias", len(own)).repeat(times)
        # Here both states of a cell are beside each other: read by layer and direction, made by layer.
        directions = 2 if self.options["encoder_type"] == "brnn" else 1
        half = width // directions
        read = torch.arange(states * size).view(states, layers * directions, half).transpose(0, 1).reshape(-1)
        made = torch.arange(states * size).view(states, layers, width).transpose(0, 1).reshape(-1)
        whole = weight.view(states * size, states * size)
        self.tensors[f"{at}bridge.weight"] = whole[made][:, read]
        self.tensors[f"{at}bridge.bias"] = bias.view(-1)[made]

    # Symbols.

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
        if self.options.get("share_embeddings") and head["tied"] != "input":
            notes.append(UNTIED.format("embeddings of both sides"))

    # Small readings.

    def _rate(self, name: str) -> float:
        """A rate, or the first of those that change while it trains."""
        value = self.options.get(name)
        if isinstance(value, list):
            value = value[0] if value else 0.0
        return option({name: value}, name, float, 0.0, f"{self.path}: opt") or 0.0

    def _refused(self, name: str, allowed: Sequence[Any]) -> ConfigError:
        given, known = self.options.get(name), [str(value) for value in allowed if value is not None] or ["none"]
        return ConfigError(
            f"{self.path}: opt.{name}: {given} is not supported{nearest(str(given), known)}; train that model with one"
            " of these, or keep it in OpenNMT-py"
        )


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
