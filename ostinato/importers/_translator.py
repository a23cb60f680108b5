"""What the translators of all tools have: words between blanks, a table of symbols on each side, and a softmax."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

UNTIED = "{} were tied; here each has weights of its own, equal until they are trained"


def words(pieces: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The settings and facts of a tokenizer whose pieces are what is between blanks."""
    settings = {"type": "word", "split_punctuation": False, "size": max(len(pieces), 1)}
    return settings, {"tokenizer": {"pieces": list(pieces), "counts": [0] * len(pieces)}}


def tables(
    source: str, target: str, read: Tensor, given: Tensor, said: Tensor, same_symbols: bool
) -> tuple[bool | Literal["input"], dict[str, Tensor]]:
    """How much of the tables of both sides and the softmax is tied here, and their tensors.

    Args:
        source, target: the input and the output.
        read: the vectors of the source's symbols.
        given: those of the target's, as the decoder reads them.
        said: the rows of the softmax.
        same_symbols: whether both sides have the same symbols, so that one table can serve both.
    """
    tied = torch.equal(given, said)
    shares = tied and same_symbols and torch.equal(read, given)
    tensors = {f"encoders.{source}.embedding.learnt.weight": read}
    if not shares:
        tensors[f"heads.{target}.decoder.embedding.weight"] = given
    if not tied:
        tensors[f"heads.{target}.output.weight"] = said
    return "input" if shares else tied, tensors
