"""How a model that others have trained reads a text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ostinato.encoders._reader import Reader
from ostinato.errors import ConfigError
from ostinato.modalities.contract import Spec, Symbols
from ostinato.registry import Settings
from ostinato.steps import Layout, Steps
from ostinato.tokenizers.pretrained import library, written

UNLIMITED = 512
"""Pieces read at once by a model that names no greatest number."""

SAME = 1e-3
"""So near numbers are equal but for rounding."""


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
        places = getattr(model.config, "max_position_embeddings", None) or UNLIMITED
        places = (places if places > 0 else UNLIMITED) - _before_positions(model)
        self.longest = places - len(prefix) - len(suffix)
        self.size = model.config.hidden_size
        self.pads: bool | None = None

    @staticmethod
    def settled(model: Any, config: Mapping[str, Any], source: Path, column: Settings) -> dict[str, Any]:
        marks = library(written(source))
        pieces, known = marks.get_vocab_size(), model.get_input_embeddings().num_embeddings
        if pieces < known / 2:
            raise ConfigError(
                f"model: {source}: the tokenizer has {pieces:,} pieces and the model {known:,}, more than twice as"
                " many; they do not belong together; copy the model's own tokenizer into the folder"
            )
        piece, number = max(marks.get_vocab().items(), key=lambda item: item[1], default=("", -1))
        if pieces <= known <= number:
            raise ConfigError(
                f"model: {source}: the piece {piece!r} of the tokenizer has the number {number:,}, and the model knows"
                f" those below {known:,}; they do not belong together; copy the model's own tokenizer into the folder"
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
        """Nothing for a part without any piece or mark. Where company changes what is read, as in FNet, parts of one
        length are read at once."""
        filled = sorted((part for part in parts if len(part) + self.leading + self.trailing), key=len)
        if not filled or len(filled[0]) == len(filled[-1]) or self._may_pad(filled[0], filled[-1]):
            return self._together(parts)
        by_length: dict[int, list[int]] = {}
        for place, part in enumerate(parts):
            by_length.setdefault(len(part), []).append(place)
        read: dict[int, Tensor] = {}
        for places in by_length.values():
            read |= zip(places, self._together([parts[place] for place in places]))
        return [read[place] for place in range(len(parts))]

    def _may_pad(self, short: Tensor, long: Tensor) -> bool:
        """Whether the short part is read beside the long one as it is alone; tried once."""
        if self.pads is None:
            training = self.model.training
            self.model.eval()
            with torch.no_grad(), torch.autocast(short.device.type, enabled=False):
                (alone,), (beside, _) = self._together([short]), self._together([short, long])
            self.model.train(training)
            self.pads = torch.allclose(alone, beside, rtol=SAME, atol=SAME)
        return self.pads

    def _together(self, parts: list[Tensor]) -> list[Tensor]:
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


def _before_positions(model: nn.Module) -> int:
    """Positions that no piece has: RoBERTa, MPNet and others count from behind their padding symbol."""
    tables = [
        module for name, module in model.named_modules() if "position" in name and isinstance(module, nn.Embedding)
    ]
    return max((table.padding_idx + 1 for table in tables if table.padding_idx is not None), default=0)


def _parts(row: Tensor, longest: int) -> tuple[Tensor, ...]:
    return row.split(longest) if len(row) else (row,)
