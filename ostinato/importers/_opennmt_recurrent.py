"""Recurrent encoders and decoders of OpenNMT-py."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor

from ostinato.errors import ConfigError
from ostinato.importers._files import Weights
from ostinato.importers._opennmt_options import SOURCE, TABLE, TARGET, Allowed, Options
from ostinato.importers._recurrent import stacked

CELLS = {"LSTM": "lstm", "GRU": "gru"}
ALLOWED: Allowed = {
    "encoder_type": ("rnn", "brnn"),
    "decoder_type": ("rnn",),
    "rnn_type": tuple(CELLS),
    "global_attention_function": ("softmax", None),
    "context_gate": (None,),
    "position_encoding": (False, None),
}
ATTENTIONS = {"linear_in.weight": "general", "linear_context.weight": "additive", "linear_out.weight": "dot"}
"""The attention that has a tensor of this name, the first that is there."""


def encoder(weights: Weights, tensors: dict[str, Tensor], options: Options) -> tuple[dict[str, Any], int]:
    """The settings of the encoder, and the width of its steps; its tensors are put beside."""
    cell, layers, hidden = _sizes(weights, "encoder.rnn.", options)
    directions = 2 if "encoder.rnn.weight_ih_l0_reverse" in weights else 1
    width = weights.shape(f"encoder.{TABLE}")[1]
    at = f"encoders.{SOURCE}.stack.cells."
    tensors |= stacked(weights, "encoder.rnn.", at, cell, width, hidden, layers, directions)
    settings = {
        "type": "recurrent",
        "cell": cell,
        "hidden_size": hidden,
        "layers": layers,
        "bidirectional": directions == 2,
        "dropout": options.rate("dropout"),
        "embedding_size": width,
    }
    return settings, directions * hidden


def decoder(weights: Weights, tensors: dict[str, Tensor], options: Options, width: int) -> dict[str, Any]:
    """The settings of the decoder, which attends to steps of a width; its tensors are put beside."""
    feeds = "decoder.rnn.layers.0.weight_ih" in weights
    for name in weights.names():
        if own := re.fullmatch(r"decoder\.rnn\.layers\.(\d+)\.(\w+)", name):
            weights.rename(name, f"decoder.rnn.{own[2]}_l{own[1]}")
    cell, layers, hidden = _sizes(weights, "decoder.rnn.", options)
    at = f"heads.{TARGET}.decoder."
    below = weights.shape(f"decoder.{TABLE}")[1] + hidden * feeds
    tensors |= stacked(weights, "decoder.rnn.", f"{at}cells.", cell, below, hidden, layers)
    attention = _attention(weights, tensors, at, hidden, width)
    if feeds and attention is None:
        raise ConfigError(
            f"{weights.path}: opt.global_attention: none with input_feed 1 feeds back the state itself, which is not"
            " supported; supported: general, dot, mlp; or none with input_feed 0"
        )
    bridge = "copy"
    if "encoder.bridge.0.weight" in weights:
        bridge, states, directions = "relu", 2 if cell == "lstm" else 1, 2 if options["encoder_type"] == "brnn" else 1
        tensors[f"{at}bridge.weight"], tensors[f"{at}bridge.bias"] = _bridge(weights, states, layers, directions, width)
    return {
        "type": "recurrent",
        "cell": cell,
        "hidden_size": hidden,
        "layers": layers,
        "attention": attention,
        "context": "after",
        "input_feeding": feeds,
        "readout": "linear" if attention == "additive" else "tanh",
        "bridge": bridge,
    }


def _sizes(weights: Weights, place: str, options: Options) -> tuple[str, int, int]:
    """The cell, layers and units of a stack."""
    layers = sum(bool(re.fullmatch(rf"{re.escape(place)}weight_hh_l\d+", name)) for name in weights.names())
    return CELLS[options["rnn_type"]], layers, weights.shape(f"{place}weight_hh_l0")[1]


def _attention(weights: Weights, tensors: dict[str, Tensor], at: str, hidden: int, width: int) -> str | None:
    """Which attention there is; its tensors and those of what reads state and context are put beside."""
    there, own = "decoder.attn.", f"{at}attentions.0."
    kind = next((kind for name, kind in ATTENTIONS.items() if f"{there}{name}" in weights), None)
    if kind is None:
        return None
    if kind == "general":
        # There the query is multiplied, here the memory: (W q) . m = q . (W' m).
        tensors[f"{own}key.weight"] = weights.take(f"{there}linear_in.weight", width, hidden).T
    if kind == "additive":
        tensors[f"{own}key.weight"] = weights.take(f"{there}linear_context.weight", hidden, width)
        tensors[f"{own}energy.weight"] = weights.take(f"{there}v.weight", 1, hidden)
        for part, shape in (("weight", (hidden, hidden)), ("bias", (hidden,))):
            tensors[f"{own}query.{part}"] = weights.take(f"{there}linear_query.{part}", *shape)
    context, state = weights.take(f"{there}linear_out.weight", hidden, width + hidden).split([width, hidden], 1)
    tensors[f"{at}readout.weight"] = torch.cat([state, context], 1)
    bias = f"{there}linear_out.bias"
    tensors[f"{at}readout.bias"] = weights.take(bias, hidden) if bias in weights else torch.zeros(hidden)
    return kind


def _bridge(weights: Weights, states: int, layers: int, directions: int, width: int) -> tuple[Tensor, Tensor]:
    """What makes the states of the decoder from those of the encoder, and its bias.

    Its bridge has a map for each of h and c, which reads as many numbers as one direction has in all layers; of two
    directions it maps the first half of the layers' states, and then the second, alike.
    """
    size, matrices, biases = layers * width, [], []
    for k in range(states):
        matrix = weights.take(f"encoder.bridge.{k}.weight", size // directions, size // directions)
        matrices += [matrix] * directions
        biases.append(weights.take(f"encoder.bridge.{k}.bias", len(matrix)).repeat(directions))
    # Here both states of a cell are beside each other: read by layer and direction, made by layer.
    every = torch.arange(states * size)
    read = every.view(states, layers * directions, -1).transpose(0, 1).reshape(-1)
    made = every.view(states, layers, -1).transpose(0, 1).reshape(-1)
    return torch.block_diag(*matrices)[made][:, read], torch.cat(biases)[made]
