"""Transformers of OpenNMT-py."""

from __future__ import annotations

import re
from typing import Any

from torch import Tensor

from ostinato.importers._files import Weights
from ostinato.importers._opennmt_options import SOURCE, TABLE, TARGET, Allowed, Options
from ostinato.importers._transformer import Layers, Names

ALLOWED: Allowed = {
    "encoder_type": ("transformer",),
    "decoder_type": ("transformer",),
    "position_encoding": (True,),
    "position_encoding_type": ("SinusoidalInterleaved", None),
    "max_relative_positions": (0, None),
    "self_attn_type": ("scaled-dot", "scaled-dot-flash", None),
    "pos_ffn_activation_fn": ("relu", "gelu", None),
    "layer_norm": ("standard", None),
    "parallel_residual": (False, None),
    "num_kv": (0, None),
    "num_experts": (0, None),
    "sliding_window": (0, None),
}
EPSILON = 1e-6
"""Of its norms, where the checkpoint names none."""
NAMES = Names("linear_query", "linear_keys", "linear_values", "final_linear", "w_1", "w_2")


def encoder(weights: Weights, tensors: dict[str, Tensor], options: Options) -> tuple[dict[str, Any], int]:
    """The settings of the encoder, and the width of its steps; its tensors are put beside."""
    settings, layers = _settings(weights, "encoder", "encoder.transformer", options), Layers(weights, tensors, NAMES)
    at, size = f"encoders.{SOURCE}.stack.", settings["hidden_size"]
    for number in range(settings["layers"]):
        norms = ("layer_norm.", "feed_forward.layer_norm.")
        layers.layer(f"encoder.transformer.{number}.", f"{at}layers.{number}.", size, "self_attn.", norms)
    layers.norm("encoder.layer_norm.", f"{at}norm.", size)
    return {**settings, "dropout": options.rate("dropout"), "embedding_size": size}, size


def decoder(weights: Weights, tensors: dict[str, Tensor], options: Options, width: int) -> dict[str, Any]:
    """The settings of the decoder, which attends to steps of a width; its tensors are put beside."""
    place = "decoder.transformer_layers"
    settings, layers = _settings(weights, "decoder", place, options), Layers(weights, tensors, NAMES)
    at, size = f"heads.{TARGET}.decoder.stack.", settings["hidden_size"]
    for number in range(settings["layers"]):
        theirs, ours, cross = f"{place}.{number}.", f"{at}layers.{number}.", ("context_attn.", width)
        norms = ("layer_norm_1.", "layer_norm_2.", "feed_forward.layer_norm.")
        layers.layer(theirs, ours, size, "self_attn.", norms, cross)
    layers.norm("decoder.layer_norm.", f"{at}norm.", size)
    return settings


def _settings(weights: Weights, half: str, place: str, options: Options) -> dict[str, Any]:
    """The settings that encoder and decoder have in common."""
    numbers = {match[1] for name in weights.names() if (match := re.match(rf"{re.escape(place)}\.(\d+)\.", name))}
    return {
        "type": "transformer",
        "block": "vaswani2017",
        "hidden_size": weights.shape(f"{half}.{TABLE}")[1],
        "layers": len(numbers),
        "heads": options.number("heads"),
        "feed_forward_size": weights.shape(f"{place}.0.feed_forward.w_1.weight")[0],
        "feed_forward_activation": options["pos_ffn_activation_fn"] or "relu",
        "norm_first": True,
        "last_norm": True,
        "norm_epsilon": options.rate("norm_eps") or EPSILON,
        "attention_dropout": options.rate("attention_dropout"),
        "activation_dropout": options.rate("dropout"),
    }
