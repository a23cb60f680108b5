"""A ResNet's weights in one file, named as torchvision and timm name them, as a model of transformers."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ostinato.errors import ConfigError

SAFE = ".safetensors"
NAMES = (
    (r"conv1", "embedder.embedder.convolution"),
    (r"bn1", "embedder.embedder.normalization"),
    (r"layer(\d)\.(\d+)\.conv(\d)", "encoder.stages.{0}.layers.{1}.layer.{2}.convolution"),
    (r"layer(\d)\.(\d+)\.bn(\d)", "encoder.stages.{0}.layers.{1}.layer.{2}.normalization"),
    (r"layer(\d)\.(\d+)\.downsample\.0", "encoder.stages.{0}.layers.{1}.shortcut.convolution"),
    (r"layer(\d)\.(\d+)\.downsample\.1", "encoder.stages.{0}.layers.{1}.shortcut.normalization"),
)
"""Names there and here; there layers and convolutions are counted from 1, here from 0, the blocks of a layer from 0."""


def weights_in(file: Path) -> dict[str, Tensor]:
    """The tensors of a file, by their names there.

    Errors:
        ConfigError: it holds none, or reading it would execute code.
    """
    try:
        held = load_file(file) if file.suffix == SAFE else torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise ConfigError(
            f"model: {file} is no file of weights, or a pickle that would execute code, which is never done; write them"
            " by torch.save(model.state_dict(), FILE), or give the folder of a model"
        ) from None
    except (OSError, RuntimeError, ValueError, EOFError, SafetensorError) as why:
        reason = " ".join(str(why).split())[:200]
        raise ConfigError(f"model: {file} cannot be read ({reason}); write the file of weights again") from None
    weights = held.get("state_dict", held) if isinstance(held, Mapping) else {}
    return {name: tensor for name, tensor in weights.items() if isinstance(tensor, Tensor)}


def described(weights: Mapping[str, Tensor], file: Path) -> dict[str, Any]:
    """The configuration of the ResNet that these weights belong to, as JSON values.

    Errors:
        ConfigError: they belong to another net.
    """
    kept = renamed(weights)
    blocks = sorted(found.groups() for found in map(_block, kept) if found)
    numbers = sorted({int(stage) for stage, *_ in blocks})
    first = kept.get("embedder.embedder.convolution.weight")
    if first is None or numbers != list(range(len(numbers))) or not numbers:
        raise ConfigError(
            f"model: {file} holds no weights of a ResNet by torchvision's names (conv1.weight, layer1.0.conv1.weight);"
            " give the folder of a model, which `save_pretrained` writes"
        )
    last = str(max(int(convolution) for _, _, convolution in blocks))
    from transformers import ResNetConfig

    return ResNetConfig(
        num_channels=first.shape[1],
        embedding_size=first.shape[0],
        hidden_sizes=[len(kept[f"encoder.stages.{n}.layers.0.layer.{last}.convolution.weight"]) for n in numbers],
        depths=[len({layer for stage, layer, _ in blocks if int(stage) == number}) for number in numbers],
        layer_type="bottleneck" if last == "2" else "basic",
    ).to_dict()


def renamed(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those of the net below its head, by transformers' names."""
    kept = {}
    for name, tensor in weights.items():
        place, _, kind = name.rpartition(".")
        for pattern, there in NAMES:
            found = re.fullmatch(pattern, place)
            if found:
                stage, block, *rest = [int(number) for number in found.groups()] or [1, 0]
                kept[f"{there.format(stage - 1, block, *(number - 1 for number in rest))}.{kind}"] = tensor.float()
    return kept


def _block(name: str) -> re.Match[str] | None:
    return re.fullmatch(r"encoder\.stages\.(\d+)\.layers\.(\d+)\.layer\.(\d+)\.convolution\.weight", name)
