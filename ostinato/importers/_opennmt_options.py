"""The options that a checkpoint of OpenNMT-py was trained with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ostinato.errors import ConfigError, nearest
from ostinato.importers._files import option

SOURCE, TARGET = "src", "tgt"
TABLE = "embeddings.make_embedding.emb_luts.0.weight"
"""The vectors of symbols, of the encoder and of the decoder."""
Allowed = Mapping[str, tuple[Any, ...]]
"""What can be read, of options that change what a model computes; None: a checkpoint may lack the option."""


class Options:
    """
    Args:
        plain: by name.
        path: of the checkpoint, for messages.
    """

    def __init__(self, plain: Mapping[str, Any], path: Path):
        self._plain, self._path = plain, path

    def __getitem__(self, name: str) -> Any:
        return self._plain.get(name)

    def demand(self, allowed: Allowed) -> None:
        """
        Errors:
            ConfigError: an option has another value.
        """
        for name, values in allowed.items():
            if self[name] not in values:
                known = [str(value) for value in values if value is not None] or ["none"]
                raise ConfigError(
                    f"{self._path}: opt.{name}: {self[name]} is not supported{nearest(str(self[name]), known)}; train"
                    " that model with one of these, or keep it in OpenNMT-py"
                )

    def rate(self, name: str) -> float:
        """A rate, or the first of those that change while it trains."""
        value = self[name]
        if isinstance(value, list):
            value = value[0] if value else 0.0
        return option({name: value}, name, float, 0.0, f"{self._path}: opt") or 0.0

    def number(self, name: str) -> int:
        return option(self._plain, name, int, 0, f"{self._path}: opt")
