"""The widths of an encoder's layers, from one number or a list."""

from __future__ import annotations

from ostinato.errors import ConfigError


def sizes_of(encoder: str, hidden_size: int | list[int], layers: int) -> list[int]:
    """The width of each layer, from the lowest up.

    Errors:
        ConfigError: a list of another length than `layers`.
    """
    sizes = [hidden_size] * layers if isinstance(hidden_size, int) else list(hidden_size)
    if len(sizes) != layers:
        raise ConfigError(
            f"{encoder}: hidden_size lists {len(sizes)} sizes and layers is {layers}; "
            f"set layers: {len(sizes)}, or give one hidden_size for all layers"
        )
    return sizes
