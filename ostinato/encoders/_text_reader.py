"""How a model that others have trained reads a text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ostinato.encoders._reader import Reader
from ostinato.errors import ConfigError
from ostinato.modalities.contract import Spec, Symbols
from ostinato.registry import Settings
from ostinato.steps import Layout, Steps
from ostinato.tokenizers.pretrained import library, written


class TextReader(Reader):
    """Reads the pieces of its own tokenizer, with the marks that it wants around them; a longer text in parts.

    Args:
        model: that reads `input_ids`.
        spec: of the pieces.
        prefix: pieces before each part.
        suffix: pieces after it.

    Errors:
        ConfigError: the input holds no pieces, or more than the model knows.
    """

    what = "texts"
    needs = ("tokenizer",)
    summaries = ("mean", "max", "first", "last")

    def __init__(self, model: Any, spec: Spec, prefix: list[int], suffix: list[int]):
        if not isinstance(spec, Symbols) or spec.characters:
            raise ConfigError("pretrained: reads the pieces of a text; give it a text without characters")
        self.model, self.prefix, self.suffix, self.facts = model, prefix, suffix, (prefix, suffix)
        self.leading, self.trailing = len(prefix), len(suffix)
        self.first = 1 + max(spec.begin, spec.end, spec.unknown)
        size = model.get_input_embeddings().num_embeddings
        if spec.size - self.first > size:
            raise ConfigError(
                f"pretrained: the tokenizer has {spec.size - self.first:,} pieces and the model {size:,}; they do not"
                " belong together; leave the input's tokenizer out, or give another model"
            )
        own = model.config
        places = getattr(own, "max_position_embeddings", None) or 512
        # RoBERTa counts positions from behind its padding symbol.
        offset = own.pad_token_id + 1 if "roberta" in own.model_type and own.pad_token_id else 0
        self.longest = places - offset - len(prefix) - len(suffix)
        self.size = own.hidden_size

    @staticmethod
    def settled(model: Any, config: Mapping[str, Any], source: Path, column: Settings) -> dict[str, Any]:
        marks = library(written(source))
        pieces, known = marks.get_vocab_size(), model.get_input_embeddings().num_embeddings
        if pieces < known / 2:
            raise ConfigError(
                f"model: {source}: the tokenizer has {pieces:,} pieces and the model {known:,}, more than twice as"
                " many; they do not belong together; copy the model's own tokenizer into the folder"
            )
        around = marks.encode("a")
        inside = [at for at, mark in enumerate(around.special_tokens_mask) if not mark] or [0]
        return {
            "tokenizer": {"type": "pretrained", "model": str(source)},
            "encoder.prefix": around.ids[: inside[0]],
            "encoder.suffix": around.ids[inside[-1] + 1 :],
        }

    def parts(self, steps: Steps) -> tuple[list[Tensor], list[int]]:
        lengths = steps.layout.lengths.tolist()
        pieces = (steps.values.long() - self.first).clamp(min=0)
        counts = [max(1, -(-length // self.longest)) for length in lengths]
        return [part for row in pieces.split(lengths) for part in _parts(row, self.longest)], counts

    def read(self, parts: list[Tensor]) -> list[Tensor]:
        """Nothing for a part without any piece or mark."""
        around = len(self.prefix) + len(self.suffix)
        layout = Layout([len(row) + around for row in parts], parts[0].device if parts else None)
        if not layout.total:
            empty = self.model.get_input_embeddings().weight.new_zeros(0, self.size)
            return [empty for _ in parts]
        marked = Steps(torch.cat(list(map(self._marked, parts))), layout)
        padded = marked.padded()
        there = torch.arange(padded.shape[1], device=padded.device) < layout.lengths.to(padded.device).unsqueeze(1)
        hidden = self.model(input_ids=padded, attention_mask=there.long()).last_hidden_state
        return [row[:length] for row, length in zip(hidden, layout.lengths.tolist())]

    def _marked(self, row: Tensor) -> Tensor:
        return torch.cat([row.new_tensor(self.prefix), row, row.new_tensor(self.suffix)])


def _parts(row: Tensor, longest: int) -> tuple[Tensor, ...]:
    return row.split(longest) if len(row) else (row,)
