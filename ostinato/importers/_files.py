"""Files of other tools as plain values and tensors; nothing of them is run."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from ostinato.errors import ConfigError, DataError, nearest


def weights_file(folder: Path, patterns: Sequence[str], advice: str) -> Path:
    """The one file of weights of a folder.

    Args:
        folder: the model's.
        patterns: what such a file is called.
        advice: how it is saved.

    Errors:
        DataError: there is none, or several.
    """
    files = sorted({path for pattern in patterns for path in folder.glob(pattern)})
    if len(files) != 1:
        names = ", ".join(path.name for path in files) or "none"
        raise DataError(
            f"{folder}: one file of weights is needed, {' or '.join(patterns)}, and there are {names}; keep one there."
            f" {advice}"
        )
    return files[0]


def yaml_file(path: Path) -> dict[str, Any]:
    """A mapping from a file of YAML; tags that make objects are refused.

    Errors:
        DataError: it is none.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        plain = YAML(typ="safe", pure=True).load(text_of(path))
    except (YAMLError, ValueError) as why:
        raise DataError(f"{path}: no YAML; restore the file ({str(why).splitlines()[0]})") from None
    return mapping(plain, str(path))


def json_file(path: Path) -> dict[str, Any]:
    """A mapping from a file of JSON.

    Errors:
        DataError: it is none.
    """
    try:
        return mapping(json.loads(text_of(path)), str(path))
    except (ValueError, RecursionError) as why:
        raise DataError(f"{path}: no JSON ({why}); save it again") from None


def text_of(path: Path) -> str:
    """A file of UTF-8.

    Errors:
        DataError: it is missing or no text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as why:
        raise DataError(f"{path}: cannot be read as text; restore the file ({why})") from None


def mapping(plain: Any, place: str) -> dict[str, Any]:
    """A mapping, which a value of a file has to be.

    Errors:
        DataError: it is none.
    """
    if not isinstance(plain, dict):
        raise DataError(f"{place}: holds {type(plain).__name__}, and a mapping is needed; restore the file")
    return plain


class Weights:
    """Tensors by name, each taken once; what is left at the end belongs to something that nobody knows.

    Args:
        tensors: by name.
        path: their file, for messages.
    """

    def __init__(self, tensors: Any, path: Path):
        wrong = not isinstance(tensors, Mapping) or [
            name for name, tensor in tensors.items() if not (isinstance(name, str) and isinstance(tensor, Tensor))
        ]
        if wrong or not tensors:
            what = "no tensors by name" if not isinstance(wrong, list) else f"{wrong[0]!r}, which is no tensor"
            raise DataError(f"{path}: holds {what}; save `model.state_dict()`")
        self.path = path
        self._left: dict[str, Tensor] = {
            name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()
        }

    def __contains__(self, name: str) -> bool:
        return name in self._left

    def names(self) -> list[str]:
        return list(self._left)

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._find(name).shape)

    def take(self, name: str, *shape: int) -> Tensor:
        """The tensor of a name, of this shape if one is given.

        Errors:
            DataError: there is none, it has another shape, or numbers that are not finite.
        """
        tensor = self._find(name)
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise DataError(
                f"{self.path}: {name} holds numbers that are infinite or missing; give weights that are whole"
            )
        if shape and tuple(tensor.shape) != shape:
            raise DataError(
                f"{self.path}: {name} is a tensor of {tuple(tensor.shape)}, and {shape} is needed by the sizes and"
                " vocabularies beside it; give the files of one training"
            )
        return self._left.pop(name)

    def rename(self, old: str, new: str) -> None:
        self._left[new] = self._left.pop(old)

    def drop(self, pattern: str) -> None:
        """Leaves out names that match, which say nothing more."""
        self._left = {name: tensor for name, tensor in self._left.items() if not re.fullmatch(pattern, name)}

    def _find(self, name: str) -> Tensor:
        if name not in self._left:
            raise DataError(
                f"{self.path}: holds no tensor {name}{nearest(name, list(self._left)[:20])}; give the weights that"
                " belong to the files beside them"
            )
        return self._left[name]

    def demand_empty(self, supported: str) -> None:
        """Refuses a model that has weights of something else.

        Errors:
            ConfigError: some are left.
        """
        if self._left:
            names = ", ".join(list(self._left)[:4])
            more = f" and {len(self._left) - 4} more" if len(self._left) > 4 else ""
            raise ConfigError(
                f"{self.path}: has weights that are not known here: {names}{more}; supported: {supported}"
            )


KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}


def option(plain: Mapping[str, Any], name: str, kind: type, default: Any, place: str) -> Any:
    """A value of a file's settings.

    Errors:
        DataError: it is of another kind.
    """
    value = plain.get(name, default)
    if kind is float and type(value) is int:
        value = float(value)
    if value is not None and type(value) is not kind:
        raise DataError(f"{place}.{name}: {value!r}, and {KINDS[kind]} belongs there; restore the file")
    return value
