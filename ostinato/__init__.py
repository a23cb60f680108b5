"""Sequence models from one recipe: name the inputs and outputs, get a model that is trained, measured and explained."""

import importlib
from typing import Any

__all__ = ["Model", "OstinatoError", "load", "nn", "settings"]


def __getattr__(name: str) -> Any:
    # Torch is imported when a model or a module is asked for, not before.
    if name in ("Model", "load"):
        from ostinato import estimator

        return getattr(estimator, name)
    if name == "OstinatoError":
        return importlib.import_module("ostinato.errors").OstinatoError
    if name in ("nn", "settings"):
        return importlib.import_module(f"ostinato.{name}")
    raise AttributeError(f"module 'ostinato' has no attribute '{name}'")


def __dir__() -> list[str]:
    return list(__all__)
