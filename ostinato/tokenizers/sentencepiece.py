"""The pieces of a model of sentencepiece."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from struct import unpack
from typing import Any

from tokenizers import Tokenizer as Library

from ostinato.errors import ConfigError, DataError
from ostinato.tokenizers.contract import Tokenizer

BLANK = "\u2581"
"""How a piece writes a blank."""
UNIGRAM, BPE = 1, 2
"""Kinds of models."""
NORMAL, UNKNOWN, CONTROL, UNUSED, BYTE = 1, 2, 3, 5, 6
"""Kinds of pieces."""
NO_PIECE = "\x00"
"""Stands in the library's vocabulary for what is unknown: sentencepiece cuts no text at it."""


class SentencePiece(Tokenizer):
    """The pieces that sentencepiece found, unigram or BPE, as its model's file says; nothing is fitted.

    The model is copied into the run folder, and the library sentencepiece is not needed. What is unknown is one symbol
    for each run of letters that no piece has. A text comes back with single blanks between words.

    Args:
        model: the file, such as `m.model`; its pieces are numbered as there, without marks and the unknown one.

    Errors:
        ConfigError: no file is named, or it is of a kind that is not supported.
        DataError: the file is missing or damaged.

    Source: Kudo and Richardson 2018, arXiv:1808.06226; the file is its sentencepiece_model.proto.
    """

    exact = False
    is_fitted = False
    subword = True

    def __init__(self, *, model: str = ""):
        self._file = model
        self._written = ""
        self._pieces: list[str] = []

    def fit(self, texts: Iterable[str]) -> None:
        if not self._file:
            raise ConfigError(
                "sentencepiece: name the file of the model, such as {type: sentencepiece, model: m.model}"
            )
        self.restore(facts_of(Path(self._file))[0])

    @property
    def size(self) -> int:
        return len(self._pieces)

    def encode(self, text: str) -> list[int | None]:
        return [self._number.get(piece) for piece in self._library.encode(text, add_special_tokens=False).tokens]

    def decode(self, ids: list[int | None]) -> str:
        text = "".join("\ufffd" if number is None else self._pieces[number] for number in ids)
        return text.replace(BLANK, " ").removeprefix(" ")

    def pieces(self) -> list[str]:
        return list(self._pieces)

    def facts(self) -> dict[str, Any]:
        return {"pieces": list(self._pieces), "tokenizer": self._written}

    def restore(self, facts: dict[str, Any]) -> None:
        self._pieces, self._written = list(facts["pieces"]), facts["tokenizer"]
        self._number = {piece: number for number, piece in enumerate(self._pieces)}
        self._library = Library.from_str(self._written)


def facts_of(file: Path, pieces: Sequence[str] | None = None) -> tuple[dict[str, Any], int]:
    """The facts of a model's file, and how many of its pieces are not among these.

    Args:
        file: of sentencepiece.
        pieces: of the vocabulary, in its order; by default those of the model.

    Errors:
        ConfigError: it is of a kind that is not supported.
        DataError: it is missing or damaged.
    """
    try:
        data = file.read_bytes()
    except OSError as why:
        raise DataError(f"{file}: cannot be read ({why.strerror}); give the file of a model of sentencepiece") from None
    try:
        model = _Model(data)
    except (IndexError, ValueError, KeyError) as why:
        raise DataError(f"{file}: no model of sentencepiece, or damaged; copy it again ({why})") from None
    if model.kind not in (UNIGRAM, BPE) or any(kind not in (NORMAL, UNUSED) for _, _, kind in model.pieces):
        raise ConfigError(
            f"{file}: a model of whole words or letters, or with pieces of bytes or of its user, is not supported;"
            " supported: model_type unigram and bpe, without byte_fallback and user_defined_symbols"
        )
    own = [piece for piece, _, kind in model.pieces if kind == NORMAL]
    pieces = own if pieces is None else list(pieces)
    known = set(pieces)
    # Of pieces that a vocabulary lacks a unigram model cuts at single letters alone; BPE merges over all of them.
    used = [
        (piece, score) for piece, score, _ in model.pieces if piece in known or len(piece) == 1 or model.kind == BPE
    ]
    return {"pieces": pieces, "tokenizer": json.dumps(model.library(used), ensure_ascii=False)}, (
        sum(piece not in known for piece in own) if model.kind == BPE else 0
    )


class _Model:
    """What the file of a model says.

    Args:
        data: its bytes.

    Errors:
        IndexError, ValueError, KeyError: they are no such file.
    """

    def __init__(self, data: bytes):
        fields = list(_fields(data))
        if not all(number in range(1, 6) for number, _ in fields) or not fields:
            raise ValueError("its fields are others")
        every = [dict(_fields(value)) for number, value in fields if number == 1]
        self.pieces = [
            (str(piece[1], "utf-8"), unpack("<f", piece.get(2, bytes(4)))[0], piece.get(3, NORMAL)) for piece in every
        ]
        self.pieces = [piece for piece in self.pieces if piece[2] not in (UNKNOWN, CONTROL)]
        trainer, normalizer = (
            dict(_fields(next((value for number, value in fields if number == part), b""))) for part in (2, 3)
        )
        self.kind = trainer.get(3, UNIGRAM)
        self.charsmap: bytes = normalizer.get(2, b"")
        self.adds_blank, self.strips = bool(normalizer.get(3, 1)), bool(normalizer.get(4, 1))

    def library(self, used: Sequence[tuple[str, float]]) -> dict[str, Any]:
        """A tokenizer of the library `tokenizers` that does the same, as its JSON."""
        normalizers: list[dict[str, Any]] = []
        if self.charsmap:
            written = base64.b64encode(self.charsmap).decode()
            normalizers.append({"type": "Precompiled", "precompiled_charsmap": written})
        if self.strips:
            normalizers.append({"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "})
            normalizers.append({"type": "Strip", "strip_left": True, "strip_right": True})
        crosses = any(BLANK in piece[1:] for piece, _ in used)
        return {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": [],
            "normalizer": {"type": "Sequence", "normalizers": normalizers} if normalizers else None,
            "pre_tokenizer": {
                "type": "Metaspace",
                "replacement": BLANK,
                "prepend_scheme": "always" if self.adds_blank else "never",
                "split": not crosses,
            },
            "post_processor": None,
            "decoder": None,
            "model": self._unigram(used) if self.kind == UNIGRAM else self._bpe(used),
        }

    def _unigram(self, used: Sequence[tuple[str, float]]) -> dict[str, Any]:
        vocabulary = [[NO_PIECE, 0.0], *([piece, score] for piece, score in used)]
        return {"type": "Unigram", "unk_id": 0, "vocab": vocabulary, "byte_fallback": False}

    def _bpe(self, used: Sequence[tuple[str, float]]) -> dict[str, Any]:
        """The merges of two pieces to a third, by the score of the third: sentencepiece merges those pairs first whose
        sum scores best."""
        number = {NO_PIECE: 0} | {piece: at for at, (piece, _) in enumerate(used, 1)}
        merges = []
        for piece, score in used:
            cuts = ((piece[:at], piece[at:]) for at in range(1, len(piece)))
            pairs = [pair for pair in cuts if pair[0] in number and pair[1] in number]
            pairs.sort(key=lambda pair: (number[pair[0]], number[pair[1]]))
            merges += [(score, pair) for pair in pairs]
        merges.sort(key=lambda merge: -merge[0])
        return {
            "type": "BPE",
            "dropout": None,
            "unk_token": NO_PIECE,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": False,
            "vocab": number,
            "merges": [list(pair) for _, pair in merges],
        }


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """The fields of a message of protocol buffers: whole numbers, four bytes, or the bytes of a text or a message.

    Errors:
        IndexError, ValueError: the bytes are none.
    """
    at = 0

    def number() -> int:
        nonlocal at
        value, shift = 0, 0
        while True:
            byte = data[at]
            at, value, shift = at + 1, value | (byte & 127) << shift, shift + 7
            if byte < 128:
                return value

    while at < len(data):
        key = number()
        if key & 7 == 0:
            yield key >> 3, number()
            continue
        if key & 7 not in (1, 2, 5):
            raise ValueError("no message")
        length = number() if key & 7 == 2 else 8 if key & 7 == 1 else 4
        if at + length > len(data):
            raise ValueError("it ends too early")
        yield key >> 3, data[at : at + length]
        at += length
