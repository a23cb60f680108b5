"""The tokenizers that learn their pieces from texts; the others bring them."""

from ostinato.registry import component, names

FITTED = [name for name in names("tokenizers") if component("tokenizers", name).is_fitted]
