"""The tokenizer that a pretrained model was trained with."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer as Library

from ostinato.errors import ConfigError
from ostinato.tokenizers.contract import Tokenizer

FILE = "tokenizer.json"
SOURCES = ("vocab*", "*.model", "*.spm")
"""What a tokenizer.json is made of; without any, transformers would make one without pieces."""


class PretrainedTokenizer(Tokenizer):
    """The pieces of a model of Hugging Face, as its folder defines them; nothing is fitted.

    An input whose encoder is pretrained has it by itself. It is copied into the run folder. A special symbol that a
    user types, such as `[SEP]`, is text. Marks around a text, which the model wants, are the encoder's.

    Args:
        model: the folder of the model; where it holds no tokenizer.json, transformers makes one of its other files.

    Errors:
        ConfigError: the folder has no tokenizer that can be read.
    """

    exact = False
    is_fitted = False
    subword = True

    def __init__(self, *, model: str = ""):
        self._folder = model
        self._restored = ""

    def fit(self, texts: Iterable[str]) -> None:
        self.restore({"tokenizer": written(Path(self._folder))})

    @property
    def size(self) -> int:
        return self._library.get_vocab_size()

    def encode(self, text: str) -> list[int | None]:
        return list(self._library.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: list[int | None]) -> str:
        return self._library.decode([number for number in ids if number is not None])

    def pieces(self) -> list[str]:
        known = {number: piece for piece, number in self._library.get_vocab().items()}
        return [known.get(number, "") for number in range(self.size)]

    def facts(self) -> dict[str, Any]:
        return {"tokenizer": self._restored}

    def restore(self, facts: dict[str, Any]) -> None:
        self._restored = facts["tokenizer"]
        self._library = library(self._restored)


def library(text: str) -> Library:
    """The library's tokenizer, which neither cuts nor pads, and reads special symbols that a user types as text."""
    tokenizer = Library.from_str(text)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.encode_special_tokens = True
    return tokenizer


def written(folder: Path) -> str:
    """The tokenizer of a model's folder as the text of a tokenizer.json.

    Errors:
        ConfigError: there is none.
    """
    if (folder / FILE).is_file():
        try:
            Library.from_file(str(folder / FILE))
        except Exception as why:
            if type(why) is not Exception:  # The library raises nothing narrower.
                raise
            raise ConfigError(f"{folder / FILE}: no tokenizer ({why}); copy the model's folder again") from None
        return (folder / FILE).read_text(encoding="utf-8")
    advice = f"give a folder with a {FILE}, which `AutoTokenizer.from_pretrained(...).save_pretrained(FOLDER)` writes"
    if not any(name for pattern in SOURCES for name in folder.glob(pattern)):
        raise ConfigError(f"{folder}: holds no tokenizer; {advice}")
    try:
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False
        ).backend_tokenizer.to_str()
    except ImportError:
        raise ConfigError(f"{folder}: holds no {FILE}; {advice}") from None
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as why:
        reason = str(why).splitlines()[0] if str(why) else type(why).__name__
        raise ConfigError(f"{folder}: holds no tokenizer ({reason}); {advice}") from None
