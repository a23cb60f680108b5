"""JoeyNMT: translators, recurrent and Transformers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ostinato.errors import ConfigError, DataError, nearest
from ostinato.importers._files import Weights, mapping, option, saved, text_of, yaml_file
from ostinato.importers._recurrent import stacked
from ostinato.importers._translator import UNTIED, tables, words
from ostinato.importers._vocabulary import Vocabulary
from ostinato.importers.contract import Imported, Importer
from ostinato.tokenizers.sentencepiece import facts_of

CONFIG = "config.yaml"
SPECIAL = {"unk": "<unk>", "pad": "<pad>", "bos": "<s>", "eos": "</s>"}
"""Special symbols in the order of their numbers, unless the configuration has others."""
ATTENTIONS = {"bahdanau": "additive", "luong": "general"}
NORMS = {"pre": True, "post": False}
LONGEST = 100
"""Steps of an answer, where the configuration names no longest one."""
EPSILON = 1e-6
"""Of its norms."""
ADVICE = (
    "Where JoeyNMT is installed, save it anew: `torch.save({'model_state': torch.load(CKPT,"
    " weights_only=False)['model_state']}, CKPT)`"
)


class JoeyNMT(Importer):
    """Translators of JoeyNMT: recurrent encoder and decoder with attention, or Transformers.

    Reads `config.yaml`, the best checkpoint (`best.ckpt`, else the newest), `src_vocab.txt` and `trg_vocab.txt`, and
    the files of sentencepiece that the configuration names. Its encoder reads an end symbol after each source, so the
    input has `marks: end`; its padding is a piece that no text has.

    Source: Kreutzer, Bastings and Riezler 2019, arXiv:1907.12484; its versions 2.0 to 2.3.
    """

    tool = "JoeyNMT"
    looks_for = "config.yaml with model.encoder and model.decoder, *.ckpt, src_vocab.txt, trg_vocab.txt"

    def recognise(self, folder: Path) -> bool:
        if not (folder / CONFIG).is_file():
            return False
        try:
            model = yaml_file(folder / CONFIG).get("model")
        except DataError:
            return False
        return isinstance(model, dict) and {"encoder", "decoder"} <= model.keys()

    def read(self, folder: Path) -> Imported:
        if not (folder / CONFIG).is_file():
            raise DataError(f"{folder}: holds no {CONFIG}; give the model_dir of a training of JoeyNMT")
        return _Reading(folder).imported()


@dataclass
class _Side:
    """The source or the target.

    Args:
        name: of the column.
        config: `data.src` or `data.trg`.
        vocabulary: its symbols.
        part: `model.encoder` or `model.decoder`.
        embedding: `embeddings` of that.
    """

    name: str
    config: Mapping[str, Any]
    vocabulary: Vocabulary
    part: Mapping[str, Any]
    embedding: Mapping[str, Any]
    settings: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def width(self) -> int:
        return option(self.embedding, "embedding_dim", int, 0, "embeddings")

    @property
    def scale(self) -> float:
        """What looked up vectors are multiplied by."""
        return self.width**0.5 if option(self.embedding, "scale", bool, False, "embeddings") else 1.0


class _Reading:
    """One folder being read."""

    def __init__(self, folder: Path):
        self.folder, self.path = folder, folder / CONFIG
        plain = yaml_file(self.path)
        self.data, self.model, self.testing, self.training = (
            _part(plain, name, self.path) for name in ("data", "model", "testing", "training")
        )
        self.notes: list[str] = []
        self.checkpoint = _checkpoint(folder)
        state = saved(self.checkpoint, ADVICE)
        self.weights = Weights(state.get("model_state") if isinstance(state, Mapping) else None, self.checkpoint)
        self.special = self._special()
        self.source, self.target = self._side("src", "encoder", "source"), self._side("trg", "decoder", "target")
        if self.source.name == self.target.name:
            self.source.name, self.target.name = "source", "target"
        self.tied = option(self.model, "tied_softmax", bool, False, "model")
        self.shares = option(self.model, "tied_embeddings", bool, False, "model")

    def imported(self) -> Imported:
        encoder, decoder = (
            self._choice(
                part, "type", "recurrent" if part == "encoder" else "transformer", ("recurrent", "transformer")
            )
            for part in ("encoder", "decoder")
        )
        width = self._hidden("encoder") * (2 if encoder == "recurrent" else 1)
        tensors: dict[str, Tensor] = {}
        source = {**self.source.settings, "encoder": getattr(self, f"_{encoder}_encoder")(tensors)}
        head = {
            "type": "autoregressive",
            "decoder": getattr(self, f"_{decoder}_decoder")(tensors, width),
            "embedding_size": self.target.width,
            "bias": False,
            "dropout": self._rate(self.target.part, "dropout"),
            "label_smoothing": self._rate(self.training, "label_smoothing"),
        }
        self._symbols(tensors, head, encoder, decoder)
        self.weights.drop(r"(en|de)coder\.pe\.pe")
        self.weights.demand_empty("recurrent and transformer models of JoeyNMT 2")
        target = dict(self.target.settings)
        if head["tied"] == "input":
            target["tokenizer"] = {"same_as": self.source.name}
        recipe = {
            "inputs": {self.source.name: source},
            "outputs": {self.target.name: {**target, "align": "free", "head": head}},
            "search": self._search(),
        }
        facts = {f"inputs.{self.source.name}": self.source.facts, f"outputs.{self.target.name}": self.target.facts}
        longest = option(self.testing, "max_output_length", int, None, "testing") or -1
        if longest < 1:
            longest = option(self.target.config, "max_length", int, None, "data.trg") or -1
        lengths = {self.target.name: longest if longest > 0 else LONGEST}
        files = [CONFIG, self.checkpoint.name, "src_vocab.txt", "trg_vocab.txt"]
        return Imported(recipe, facts, tensors, lengths, self.notes, files)

    # What texts are made of.

    def _special(self) -> dict[str, tuple[str, int]]:
        """The token and number of each special symbol."""
        given = self.data.get("special_symbols") or {}
        if given.get("sep_token") or given.get("lang_tags"):
            raise ConfigError(
                f"{self.path}: data.special_symbols: a model of several languages (sep_token, lang_tags) puts tags into"
                " its texts, which is not supported; supported: one source and one target language"
            )
        return {
            name: (given.get(f"{name}_token", token), given.get(f"{name}_id", number))
            for number, (name, token) in enumerate(SPECIAL.items())
        }

    def _side(self, side: str, part: str, plain: str) -> _Side:
        config = _part(self.data, side, self.path)
        model = _part(self.model, part, self.path)
        symbols, path = self._listed(side, config)
        numbers = [self.special[name][1] for name in ("bos", "eos", "unk")]
        vocabulary = Vocabulary(symbols, *numbers, path)
        own = _Side(config.get("lang") or plain, config, vocabulary, model, _part(model, "embeddings", self.path))
        self._text(side, own, path)
        return own

    def _listed(self, side: str, config: Mapping[str, Any]) -> tuple[list[str], Path]:
        """The vocabulary of a side, as JoeyNMT reads it: special symbols first, whatever the file has."""
        beside, named = self.folder / f"{side}_vocab.txt", config.get("voc_file")
        path = beside if beside.is_file() or not named else _near(self.folder, str(named))
        if path is None or not path.is_file():
            raise DataError(
                f"{self.folder}: holds no {side}_vocab.txt, which JoeyNMT writes into its model_dir; copy it there, or"
                f" the file that data.{side}.voc_file names"
            )
        lines = [line.rstrip("\n") for line in text_of(path).splitlines()]
        symbols = list(dict.fromkeys([*(token for token, _ in self.special.values()), *lines]))
        for token, number in self.special.values():
            if symbols.index(token) != number:
                raise DataError(
                    f"{path}: {token} is symbol {symbols.index(token)}, and {CONFIG} has it as {number}; give the files"
                    " of one training"
                )
        return symbols, path

    def _text(self, side: str, own: _Side, path: Path) -> None:
        """The settings and facts of a side's text."""
        place, cfg = f"{self.path}: data.{side}", own.config.get("tokenizer_cfg") or {}
        if cfg.get("pretokenizer", "none").lower() != "none":
            raise ConfigError(
                f"{place}.tokenizer_cfg.pretokenizer: {cfg['pretokenizer']} is not supported; set pretokenizer: none"
                " there, and give texts whose words and marks it has set apart already (as `sacremoses tokenize` does)"
            )
        own.settings = {"type": "text", "lowercase": option(own.config, "lowercase", bool, False, place)}
        if own.config.get("normalize"):
            own.settings["normalize"] = "NFKC"
            self.notes.append(f"{own.name}: JoeyNMT also made curly quotes straight; write them straight")
        level = own.config.get("level", "word")
        pieces = own.vocabulary.pieces
        if level == "word":
            own.settings["tokenizer"], own.facts = words(pieces)
            self.notes.append(f"{own.name}: words are what stands between blanks; give texts as they were in training")
        elif level == "char":
            own.settings["tokenizer"] = "char"
            own.facts = {"tokenizer": {"pieces": [" " if piece == "\u2581" else piece for piece in pieces]}}
        elif level == "bpe" and own.config.get("tokenizer_type", own.config.get("bpe_type")) in (None, "sentencepiece"):
            own.settings["tokenizer"] = "sentencepiece"
            name = str(cfg.get("model_file", ""))
            file = _near(self.folder, name)
            if file is None:
                raise DataError(
                    f"{place}.tokenizer_cfg.model_file: {name!r} lies neither there nor beside the checkpoint; copy it"
                    " there"
                )
            facts, unknown = facts_of(file, pieces)
            own.facts = {"tokenizer": facts}
            if unknown:
                self.notes.append(
                    f"{own.name}: {unknown:,} pieces of {name} are in no vocabulary and are read as unknown, where"
                    " JoeyNMT cuts them smaller"
                )
        else:
            kind = own.config.get("tokenizer_type", own.config.get("bpe_type")) if level == "bpe" else level
            raise ConfigError(
                f"{place}: level {level} by {kind} is not supported; supported: word, char, and bpe by sentencepiece."
                " Of texts that subword-nmt has cut already, set level: word there"
            )
        if side == "src":
            own.settings["marks"] = "end"

    # Networks.

    def _recurrent_encoder(self, tensors: dict[str, Tensor]) -> dict[str, Any]:
        own, cell = self.source, self._choice("encoder", "rnn_type", "gru", ("gru", "lstm"))
        hidden, layers = self._hidden("encoder"), option(own.part, "num_layers", int, 1, "encoder")
        if own.part.get("bidirectional") is False:
            raise ConfigError(
                f"{self.path}: model.encoder.bidirectional: false; JoeyNMT cannot run such a model itself"
            )
        target = f"encoders.{own.name}.stack.cells."
        tensors |= stacked(self.weights, "encoder.rnn.", target, cell, own.width, hidden, layers, directions=2)
        return {
            "type": "recurrent",
            "cell": cell,
            "hidden_size": hidden,
            "layers": layers,
            "bidirectional": True,
            "dropout": self._rate(own.part, "dropout"),
            "embedding_size": own.width,
        }

    def _recurrent_decoder(self, tensors: dict[str, Tensor], width: int) -> dict[str, Any]:
        own, cell = self.target, self._choice("decoder", "rnn_type", "gru", ("gru", "lstm"))
        hidden, layers = self._hidden("decoder"), option(own.part, "num_layers", int, 1, "decoder")
        if own.part.get("activation", "tanh") != "tanh":
            raise self._unsupported("decoder.activation", own.part["activation"], ("tanh",))
        feeds = option(own.part, "input_feeding", bool, True, "decoder")
        at = f"heads.{self.target.name}.decoder."
        tensors |= stacked(
            self.weights, "decoder.rnn.", f"{at}cells.", cell, own.width + hidden * feeds, hidden, layers
        )
        kind = self._choice("decoder", "attention", "bahdanau", tuple(ATTENTIONS))
        tensors[f"{at}attentions.0.key.weight"] = self.weights.take("decoder.attention.key_layer.weight", hidden, width)
        if kind == "bahdanau":
            tensors[f"{at}attentions.0.query.weight"] = self.weights.take(
                "decoder.attention.query_layer.weight", hidden, hidden
            )
            tensors[f"{at}attentions.0.query.bias"] = torch.zeros(hidden)
            tensors[f"{at}attentions.0.energy.weight"] = self.weights.take(
                "decoder.attention.energy_layer.weight", 1, hidden
            )
        for part, shape in (("weight", (hidden, hidden + width)), ("bias", (hidden,))):
            tensors[f"{at}readout.{part}"] = self.weights.take(f"decoder.att_vector_layer.{part}", *shape)
        bridge = self._choice("decoder", "init_hidden", "bridge", ("bridge", "zero", "zeros")) == "bridge"
        if bridge:
            self._bridge(tensors, at, cell, hidden, layers, width)
        return {
            "type": "recurrent",
            "cell": cell,
            "hidden_size": hidden,
            "layers": layers,
            "attention": ATTENTIONS[kind],
            "context": "after",
            "input_feeding": feeds,
            "bridge": bridge,
        }

    def _bridge(self, tensors: dict[str, Tensor], at: str, cell: str, hidden: int, layers: int, width: int) -> None:
        """Its bridge reads the last hidden states of the encoder's top layer and gives every state of the decoder the
        same start; ours reads the states of all layers and gives each its own."""
        weight = self.weights.take("decoder.bridge_layer.weight", hidden, width)
        bias = self.weights.take("decoder.bridge_layer.bias", hidden)
        if self._choice("encoder", "type", "recurrent", ("recurrent", "transformer")) == "recurrent":
            states = 2 if self._choice("encoder", "rnn_type", "gru", ("gru", "lstm")) == "lstm" else 1
            half, below = width // 2, option(self.source.part, "num_layers", int, 1, "encoder") - 1
            read = torch.zeros(hidden, (below + 1) * states * width)
            for direction in range(2):
                start = (2 * below + direction) * states * half
                read[:, start : start + half] = weight[:, direction * half : (direction + 1) * half]
            weight = read
        else:
            raise ConfigError(f"{self.path}: model.decoder.init_hidden: bridge needs a recurrent encoder")
        times = layers * (2 if cell == "lstm" else 1)
        tensors[f"{at}bridge.weight"], tensors[f"{at}bridge.bias"] = weight.repeat(times, 1), bias.repeat(times)

    def _transformer_encoder(self, tensors: dict[str, Tensor]) -> dict[str, Any]:
        own = self.source
        at, settings = f"encoders.{own.name}.stack.", self._transformer("encoder", own)
        for layer in range(settings["layers"]):
            theirs, ours = f"encoder.layers.{layer}.", f"{at}layers.{layer}."
            self._self_attention(tensors, f"{theirs}src_src_att.", f"{ours}attention.", settings["hidden_size"])
            self._norm(tensors, f"{theirs}layer_norm.", f"{ours}norms.0.")
            self._feed_forward(tensors, theirs, ours, 1)
        if settings["last_norm"]:
            self._norm(tensors, "encoder.layer_norm.", f"{at}norm.")
        return {**settings, "dropout": self._rate(own.part, "dropout"), "embedding_size": own.width}

    def _transformer_decoder(self, tensors: dict[str, Tensor], width: int) -> dict[str, Any]:
        own = self.target
        at, settings = f"heads.{own.name}.decoder.stack.", self._transformer("decoder", own)
        size = settings["hidden_size"]
        for layer in range(settings["layers"]):
            theirs, ours = f"decoder.layers.{layer}.", f"{at}layers.{layer}."
            self._self_attention(tensors, f"{theirs}trg_trg_att.", f"{ours}attention.", size)
            cross = f"{theirs}src_trg_att."
            for part in ("weight", "bias"):
                key, value = (
                    self.weights.take(f"{cross}{name}_layer.{part}", *((size, width) if part == "weight" else (size,)))
                    for name in "kv"
                )
                tensors[f"{ours}crosses.0.keys_values.{part}"] = torch.cat([key, value])
                tensors[f"{ours}crosses.0.queries.{part}"] = self.weights.take(f"{cross}q_layer.{part}")
                tensors[f"{ours}crosses.0.output.{part}"] = self.weights.take(f"{cross}output_layer.{part}")
            self._norm(tensors, f"{theirs}x_layer_norm.", f"{ours}norms.0.")
            self._norm(tensors, f"{theirs}dec_layer_norm.", f"{ours}norms.1.")
            self._feed_forward(tensors, theirs, ours, 2)
        if settings["last_norm"]:
            self._norm(tensors, "decoder.layer_norm.", f"{at}norm.")
        return settings

    def _transformer(self, part: str, own: _Side) -> dict[str, Any]:
        """The settings that encoder and decoder have in common."""
        size, plain = self._hidden(part), own.part
        if own.width != size:
            raise DataError(
                f"{self.path}: model.{part}: a Transformer whose embedding_dim is {own.width} and hidden_size {size};"
                " JoeyNMT has both alike, so restore the file"
            )
        if float(plain.get("alpha", 1.0)) != 1.0:
            raise self._unsupported(f"{part}.alpha", plain["alpha"], ("1.0",))
        # Left out, JoeyNMT's encoder has the norms of its layers first and none at its end.
        place = self._choice(part, "layer_norm", "pre" if part == "encoder" else "post", tuple(NORMS))
        return {
            "type": "transformer",
            "block": "vaswani2017",
            "hidden_size": size,
            "layers": option(plain, "num_layers", int, 8 if part == "encoder" else 4, part),
            "heads": option(plain, "num_heads", int, 4 if part == "encoder" else 8, part),
            "feed_forward_size": option(plain, "ff_size", int, 2048, part),
            "feed_forward_activation": self._choice(part, "activation", "relu", ("relu", "gelu")),
            "norm_first": NORMS[place],
            "last_norm": f"{part}.layer_norm.weight" in self.weights,
            "norm_epsilon": EPSILON,
            "attention_dropout": self._rate(plain, "dropout"),
            "activation_dropout": self._rate(plain, "dropout"),
        }

    def _self_attention(self, tensors: dict[str, Tensor], theirs: str, ours: str, size: int) -> None:
        for part in ("weight", "bias"):
            shape = (size, size) if part == "weight" else (size,)
            read = [self.weights.take(f"{theirs}{name}_layer.{part}", *shape) for name in "qkv"]
            tensors[f"{ours}queries_keys_values.{part}"] = torch.cat(read)
            tensors[f"{ours}output.{part}"] = self.weights.take(f"{theirs}output_layer.{part}", *shape)

    def _feed_forward(self, tensors: dict[str, Tensor], theirs: str, ours: str, norm: int) -> None:
        for part in ("weight", "bias"):
            for number, name in ((0, "first"), (3, "second")):
                read = self.weights.take(f"{theirs}feed_forward.pwff_layer.{number}.{part}")
                tensors[f"{ours}feed_forward.{name}.{part}"] = read
        self._norm(tensors, f"{theirs}feed_forward.layer_norm.", f"{ours}norms.{norm}.")

    def _norm(self, tensors: dict[str, Tensor], theirs: str, ours: str) -> None:
        for part in ("weight", "bias"):
            tensors[ours + part] = self.weights.take(theirs + part)

    # Symbols.

    def _symbols(self, tensors: dict[str, Tensor], head: dict[str, Any], encoder: str, decoder: str) -> None:
        """The tables of both sides and the softmax, tied where ours can be."""
        source, target, name = self.source, self.target, self.target.name
        read = source.vocabulary.rows(self.weights.take("src_embed.lut.weight", source.vocabulary.size, source.width))
        fed = target.vocabulary.rows(self.weights.take("trg_embed.lut.weight", target.vocabulary.size, target.width))
        said = target.vocabulary.rows(
            self.weights.take("decoder.output_layer.weight", target.vocabulary.size, self._hidden("decoder"))
        )
        # Transformers here multiply vectors by sqrt(H) too, recurrent networks by nothing.
        read = read * _factor(source, encoder)
        given = fed * _factor(target, decoder)
        tied, own = tables(source.name, name, read, given, said, source.facts == target.facts)
        tensors |= own
        head["tied"] = tied
        if (self.tied and not tied) or (self.shares and tied != "input"):
            what = "softmax and embedding" if self.tied and not tied else "embeddings of both sides"
            self.notes.append(UNTIED.format(what))

    # Small readings.

    def _search(self) -> dict[str, Any]:
        width = option(self.testing, "beam_size", int, 1, "testing")
        if width < 2:
            return {"type": "greedy"}
        alpha = option(self.testing, "beam_alpha", float, -1.0, "testing")
        return {"type": "beam", "width": width} | (
            {"normalization": "gnmt", "alpha": alpha} if alpha > 0 else {"normalization": "none", "alpha": 0.0}
        )

    def _hidden(self, part: str) -> int:
        side = self.source if part == "encoder" else self.target
        size = option(side.part, "hidden_size", int, None, f"model.{part}")
        if not size:
            raise DataError(f"{self.path}: model.{part} has no hidden_size; restore the file")
        return size

    def _rate(self, plain: Mapping[str, Any], name: str) -> float:
        return option(plain, name, float, 0.0, str(self.path)) or 0.0

    def _choice(self, part: str, name: str, default: str, allowed: tuple[str, ...]) -> str:
        value = (self.source if part == "encoder" else self.target).part.get(name, default)
        if value not in allowed:
            raise self._unsupported(f"{part}.{name}", value, allowed)
        return value

    def _unsupported(self, place: str, value: Any, allowed: tuple[str, ...]) -> ConfigError:
        return ConfigError(
            f"{self.path}: model.{place}: {value} is not supported{nearest(str(value), allowed)}; train that model with"
            " one of these, or keep it in JoeyNMT"
        )


def _factor(side: _Side, kind: str) -> float:
    """What a table is multiplied by, so that ours gives the vectors that theirs does."""
    return side.scale / (side.width**0.5 if kind == "transformer" else 1.0)


def _part(plain: Mapping[str, Any], name: str, path: Path) -> dict[str, Any]:
    return mapping(plain.get(name) or {}, f"{path}: {name}")


def _near(folder: Path, name: str) -> Path | None:
    """A file as a configuration names it, or of that name in the folder."""
    paths = [folder / Path(name).name, folder / name, Path(name)]
    return next((path for path in paths if name and path.is_file()), None)


def _checkpoint(folder: Path) -> Path:
    """The best checkpoint, else the newest.

    Errors:
        DataError: there is none.
    """
    best = folder / "best.ckpt"
    if best.is_file():
        return best
    numbered = {int(path.stem): path for path in folder.glob("*.ckpt") if re.fullmatch(r"\d+", path.stem)}
    if numbered:
        return numbered[max(numbered)]
    others = sorted(folder.glob("*.ckpt"))
    if len(others) != 1:
        names = ", ".join(path.name for path in others) or "none"
        raise DataError(
            f"{folder}: a checkpoint is needed, best.ckpt or one with the number of its step ({names} found); copy it"
            " there"
        )
    return others[0]
