"""Sequence models from one recipe: name the inputs and outputs, get a model that is trained, measured and explained."""

from typing import Any

__all__ = ["Model", "load", "settings"]


def __getattr__(name: str) -> Any:
    # Torch is imported when a model is asked for, not before.
    if name in ("Model", "load"):
        from ostinato import api

        return getattr(api, name)
    raise AttributeError(f"module 'ostinato' has no attribute '{name}'")
