"""Sequence models from one recipe: name the inputs and outputs, get a model that is trained, measured and explained."""

import importlib
from typing import Any

__all__ = ["Model", "load", "nn", "settings"]


def __getattr__(name: str) -> Any:
    # Torch is imported when a model or a module is asked for, not before.
    if name in ("Model", "load"):
        from ostinato import estimator

        return getattr(estimator, name)
    if name == "nn":
        return importlib.import_module("ostinato.nn")
    raise AttributeError(f"module 'ostinato' has no attribute '{name}'")
