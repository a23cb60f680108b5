"""The source or the target of a model of JoeyNMT: its texts, its symbols, and the settings of its network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ostinato.errors import ConfigError, DataError, nearest
from ostinato.importers._files import mapping, option, text_of
from ostinato.importers._translator import words
from ostinato.importers._vocabulary import Vocabulary
from ostinato.tokenizers.sentencepiece import facts_of

CONFIG = "config.yaml"
SPECIAL = {"unk": "<unk>", "pad": "<pad>", "bos": "<s>", "eos": "</s>"}
"""Special symbols in the order of their numbers, unless the configuration has others."""


@dataclass
class Side:
    """The source or the target.

    Args:
        name: of the column.
        config: `data.src` or `data.trg`.
        vocabulary: its symbols.
        half: `encoder` or `decoder`.
        part: `model.encoder` or `model.decoder`.
        path: the configuration.
        settings: of the text, as a recipe has them.
        facts: of the text.
    """

    name: str
    config: Mapping[str, Any]
    vocabulary: Vocabulary
    half: str
    part: Mapping[str, Any]
    path: Path
    settings: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        default = "recurrent" if self.half == "encoder" else "transformer"
        return self.choice("type", default, ("recurrent", "transformer"))

    @property
    def embedding(self) -> Mapping[str, Any]:
        return part_of(self.part, "embeddings", self.path)

    @property
    def width(self) -> int:
        return option(self.embedding, "embedding_dim", int, 0, "embeddings")

    @property
    def scale(self) -> float:
        """What looked up vectors are multiplied by, beside what ours are: in a Transformer sqrt(H)."""
        scaled = option(self.embedding, "scale", bool, False, "embeddings")
        own = self.width**0.5 if self.kind == "transformer" else 1.0
        return (self.width**0.5 if scaled else 1.0) / own

    @property
    def hidden(self) -> int:
        size = option(self.part, "hidden_size", int, None, f"model.{self.half}")
        if not size:
            raise DataError(f"{self.path}: model.{self.half} has no hidden_size; restore the file")
        return size

    def count(self, name: str, default: int) -> int:
        return option(self.part, name, int, default, self.half)

    def dropout(self) -> float:
        return option(self.part, "dropout", float, 0.0, str(self.path)) or 0.0

    def choice(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        value = self.part.get(name, default)
        if value not in allowed:
            raise self.unsupported(name, value, allowed)
        return value

    def unsupported(self, name: str, value: Any, allowed: tuple[str, ...]) -> ConfigError:
        return ConfigError(
            f"{self.path}: model.{self.half}.{name}: {value} is not supported{nearest(str(value), allowed)}; train that"
            " model with one of these, or keep it in JoeyNMT"
        )


def part_of(plain: Mapping[str, Any], name: str, path: Path) -> dict[str, Any]:
    return mapping(plain.get(name) or {}, f"{path}: {name}")


class Sides:
    """What the configuration says of both.

    Args:
        folder: the model's.
        plain: the configuration.
        notes: what a person has to know is put there.
    """

    def __init__(self, folder: Path, plain: Mapping[str, Any], notes: list[str]):
        self.folder, self.path, self.notes = folder, folder / CONFIG, notes
        self.data, self.model = (part_of(plain, name, self.path) for name in ("data", "model"))
        self.special = self._special()

    def read(self) -> tuple[Side, Side]:
        """The source and the target."""
        source, target = self._side("src", "encoder", "source"), self._side("trg", "decoder", "target")
        if source.name == target.name:
            source.name, target.name = "source", "target"
        return source, target

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

    def _side(self, side: str, half: str, plain: str) -> Side:
        config = part_of(self.data, side, self.path)
        symbols, path = self._listed(side, config)
        numbers = [self.special[name][1] for name in ("bos", "eos", "unk")]
        vocabulary = Vocabulary(symbols, *numbers, path)
        own = Side(
            config.get("lang") or plain, config, vocabulary, half, part_of(self.model, half, self.path), self.path
        )
        self._text(side, own)
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

    def _text(self, side: str, own: Side) -> None:
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


def _near(folder: Path, name: str) -> Path | None:
    """A file as a configuration names it, or of that name in the folder."""
    paths = [folder / Path(name).name, folder / name, Path(name)]
    return next((path for path in paths if name and path.is_file()), None)
