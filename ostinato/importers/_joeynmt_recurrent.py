"""Recurrent encoders and decoders of JoeyNMT."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ostinato.errors import ConfigError
from ostinato.importers._files import Weights, option
from ostinato.importers._joeynmt_side import Side
from ostinato.importers._recurrent import stacked

CELLS = ("gru", "lstm")
ATTENTIONS = {"bahdanau": "additive", "luong": "general"}


def encoder(weights: Weights, tensors: dict[str, Tensor], own: Side) -> tuple[dict[str, Any], int]:
    """The settings of the encoder, and the width of its steps; its tensors are put beside."""
    cell = own.choice("rnn_type", "gru", CELLS)
    hidden, layers = own.hidden, own.count("num_layers", 1)
    if own.part.get("bidirectional") is False:
        raise ConfigError(f"{own.path}: model.encoder.bidirectional: false; JoeyNMT cannot run such a model itself")
    target = f"encoders.{own.name}.stack.cells."
    tensors |= stacked(weights, "encoder.rnn.", target, cell, own.width, hidden, layers, directions=2)
    settings = {
        "type": "recurrent",
        "cell": cell,
        "hidden_size": hidden,
        "layers": layers,
        "bidirectional": True,
        "dropout": own.dropout(),
        "embedding_size": own.width,
    }
    return settings, 2 * hidden


def decoder(weights: Weights, tensors: dict[str, Tensor], source: Side, own: Side, width: int) -> dict[str, Any]:
    """The settings of the decoder, which attends to steps of a width; its tensors are put beside."""
    cell = own.choice("rnn_type", "gru", CELLS)
    hidden, layers = own.hidden, own.count("num_layers", 1)
    if own.part.get("activation", "tanh") != "tanh":
        raise own.unsupported("activation", own.part["activation"], ("tanh",))
    feeds = option(own.part, "input_feeding", bool, True, "decoder")
    at = f"heads.{own.name}.decoder."
    tensors |= stacked(weights, "decoder.rnn.", f"{at}cells.", cell, own.width + hidden * feeds, hidden, layers)
    kind = own.choice("attention", "bahdanau", tuple(ATTENTIONS))
    tensors[f"{at}attentions.0.key.weight"] = weights.take("decoder.attention.key_layer.weight", hidden, width)
    if kind == "bahdanau":
        query, energy = "decoder.attention.query_layer.weight", "decoder.attention.energy_layer.weight"
        tensors[f"{at}attentions.0.query.weight"] = weights.take(query, hidden, hidden)
        tensors[f"{at}attentions.0.query.bias"] = torch.zeros(hidden)
        tensors[f"{at}attentions.0.energy.weight"] = weights.take(energy, 1, hidden)
    for part, shape in (("weight", (hidden, hidden + width)), ("bias", (hidden,))):
        tensors[f"{at}readout.{part}"] = weights.take(f"decoder.att_vector_layer.{part}", *shape)
    bridge = own.choice("init_hidden", "bridge", ("bridge", "zero", "zeros")) == "bridge"
    if bridge:
        times = layers * (2 if cell == "lstm" else 1)
        weight, bias = _bridge(weights, source, hidden, width)
        tensors[f"{at}bridge.weight"], tensors[f"{at}bridge.bias"] = weight.repeat(times, 1), bias.repeat(times)
    return {
        "type": "recurrent",
        "cell": cell,
        "hidden_size": hidden,
        "layers": layers,
        "attention": ATTENTIONS[kind],
        "context": "after",
        "input_feeding": feeds,
        "bridge": bridge,
    }


def _bridge(weights: Weights, source: Side, hidden: int, width: int) -> tuple[Tensor, Tensor]:
    """What makes one state of the decoder.

    Its bridge reads the last hidden states of the encoder's top layer and gives every state of the decoder the same
    start; ours reads the states of all layers and gives each its own.
    """
    weight = weights.take("decoder.bridge_layer.weight", hidden, width)
    bias = weights.take("decoder.bridge_layer.bias", hidden)
    if source.kind != "recurrent":
        raise ConfigError(f"{source.path}: model.decoder.init_hidden: bridge needs a recurrent encoder")
    states = 2 if source.choice("rnn_type", "gru", CELLS) == "lstm" else 1
    half, below = width // 2, source.count("num_layers", 1) - 1
    read = torch.zeros(hidden, (below + 1) * states * width)
    for direction in range(2):
        start = (2 * below + direction) * states * half
        read[:, start : start + half] = weight[:, direction * half : (direction + 1) * half]
    return read, bias
