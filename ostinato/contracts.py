"""The public door for plug-ins: the contract of every room, and what a member needs beside it.

from ostinato.contracts import Cell, State

A name is loaded when it is asked for, so that importing this module loads nothing heavy.
"""

# ruff: noqa: F401  (`__getattr__` hands on what is imported for type checkers alone)

from __future__ import annotations

import ast
import importlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # The one list of what is public: type checkers read it here, and `__getattr__` reads it from this file.
    from ostinato.attentions.contract import Attention
    from ostinato.cells.contract import Biases, Cell
    from ostinato.decoders.contract import Decoder, Decoding, joined, parted
    from ostinato.distributions.bernoulli import Bernoulli
    from ostinato.distributions.categorical import Categorical
    from ostinato.distributions.contract import (
        LEVELS,
        NO_COSTS,
        Average,
        Costs,
        Distribution,
        Loss,
        Numbers,
        levels_like,
        mean_of_logs,
    )
    from ostinato.distributions.mixture import Mixture
    from ostinato.distributions.normal import Normal
    from ostinato.encoders.contract import Bag, BagEncoder, Encoded, Encoder, OneStep, Sizes, Source
    from ostinato.errors import BundleError, ConfigError, DataError, KernelError
    from ostinato.heads.contract import (
        Adapted,
        BestPath,
        Ended,
        Generator,
        Head,
        NextHead,
        Outlook,
        Pairs,
        PairsByTime,
        Predicted,
        Predictor,
        Scored,
        Span,
        by_step,
        by_step_in_pieces,
        predicted,
        scored,
    )
    from ostinato.importers.contract import Imported, Importer
    from ostinato.joins.contract import Join, Suits
    from ostinato.kernels.contract import Native, Product, State
    from ostinato.kernels.packed import Packed
    from ostinato.kernels.watch import Attended, attention_watched, show_attention
    from ostinato.metrics.contract import (
        Measured,
        Metric,
        Order,
        Predictions,
        Ratio,
        distances,
        key_of,
        ratio,
        reference_scores,
        same,
        without_scores,
    )
    from ostinato.modalities.contract import (
        MISSING,
        Array,
        Choices,
        Features,
        Grammar,
        Labels,
        Modality,
        Pixels,
        Spec,
        Subwords,
        Symbols,
        Tokenized,
        Traits,
        Values,
        Worded,
    )
    from ostinato.probes.kinds.contract import Finding, Probe, Subject
    from ostinato.raw.schemes import Legal
    from ostinato.registry import Count, NonNegative, Positive, Rate, Room, SameAs, Settings, Share, Whole, build, make
    from ostinato.searches.contract import Hypothesis, Search
    from ostinato.steps import Layout, Steps
    from ostinato.tokenizers.contract import Spelt, Tokenizer
    from ostinato.training.optimizers.contract import Optimizer
    from ostinato.training.schedules.contract import Schedule, Updates, course, ramp


def _homes() -> dict[str, str]:
    """Name -> the module that defines it, from the imports above."""
    tree = ast.parse(Path(__file__).read_text(encoding="utf-8"))
    (listed,) = (node for node in tree.body if isinstance(node, ast.If) and isinstance(node.test, ast.Name))
    imports = (node for node in listed.body if isinstance(node, ast.ImportFrom))
    return {alias.name: node.module for node in imports for alias in node.names if node.module is not None}


_HOMES = _homes()
__all__ = [*sorted(_HOMES)]


def __dir__() -> list[str]:
    return __all__


if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"ostinato.contracts has no '{name}'; it has {', '.join(__all__)}")
        return getattr(importlib.import_module(_HOMES[name]), name)
