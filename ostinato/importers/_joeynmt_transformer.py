"""Transformers of JoeyNMT."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ostinato.errors import DataError
from ostinato.importers._files import Weights
from ostinato.importers._joeynmt_side import Side
from ostinato.importers._transformer import Layers, Names

NORMS = {"pre": True, "post": False}
EPSILON = 1e-6
"""Of its norms."""
NAMES = Names("q_layer", "k_layer", "v_layer", "output_layer", "pwff_layer.0", "pwff_layer.3")


def encoder(weights: Weights, tensors: dict[str, Tensor], own: Side) -> tuple[dict[str, Any], int]:
    """The settings of the encoder, and the width of its steps; its tensors are put beside."""
    settings, layers = _settings(weights, own), Layers(weights, tensors, NAMES)
    at, size = f"encoders.{own.name}.stack.", settings["hidden_size"]
    for number in range(settings["layers"]):
        norms = ("layer_norm.", "feed_forward.layer_norm.")
        layers.layer(f"encoder.layers.{number}.", f"{at}layers.{number}.", size, "src_src_att.", norms)
    if settings["last_norm"]:
        layers.norm("encoder.layer_norm.", f"{at}norm.", size)
    return {**settings, "dropout": own.dropout(), "embedding_size": own.width}, size


def decoder(weights: Weights, tensors: dict[str, Tensor], source: Side, own: Side, width: int) -> dict[str, Any]:
    """The settings of the decoder, which attends to steps of a width; its tensors are put beside."""
    settings, layers = _settings(weights, own), Layers(weights, tensors, NAMES)
    at, size = f"heads.{own.name}.decoder.stack.", settings["hidden_size"]
    for number in range(settings["layers"]):
        theirs, ours, cross = f"decoder.layers.{number}.", f"{at}layers.{number}.", ("src_trg_att.", width)
        norms = ("x_layer_norm.", "dec_layer_norm.", "feed_forward.layer_norm.")
        layers.layer(theirs, ours, size, "trg_trg_att.", norms, cross)
    if settings["last_norm"]:
        layers.norm("decoder.layer_norm.", f"{at}norm.", size)
    return settings


def _settings(weights: Weights, own: Side) -> dict[str, Any]:
    """The settings that encoder and decoder have in common."""
    size, encodes = own.hidden, own.half == "encoder"
    if own.width != size:
        raise DataError(
            f"{own.path}: model.{own.half}: a Transformer whose embedding_dim is {own.width} and hidden_size {size};"
            " JoeyNMT has both alike, so restore the file"
        )
    if float(own.part.get("alpha", 1.0)) != 1.0:
        raise own.unsupported("alpha", own.part["alpha"], ("1.0",))
    # Left out, JoeyNMT's encoder has the norms of its layers first and none at its end.
    place = own.choice("layer_norm", "pre" if encodes else "post", tuple(NORMS))
    return {
        "type": "transformer",
        "block": "vaswani2017",
        "hidden_size": size,
        "layers": own.count("num_layers", 8 if encodes else 4),
        "heads": own.count("num_heads", 4 if encodes else 8),
        "feed_forward_size": own.count("ff_size", 2048),
        "feed_forward_activation": own.choice("activation", "relu", ("relu", "gelu")),
        "norm_first": NORMS[place],
        "last_norm": f"{own.half}.layer_norm.weight" in weights,
        "norm_epsilon": EPSILON,
        "attention_dropout": own.dropout(),
        "activation_dropout": own.dropout(),
    }
