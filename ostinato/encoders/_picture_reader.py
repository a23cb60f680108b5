"""How a model that others have trained reads a picture."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ostinato.encoders._reader import Reader
from ostinato.encoders._weight_files import SCALES
from ostinato.errors import ConfigError
from ostinato.modalities.contract import Pixels, Spec
from ostinato.registry import Settings
from ostinato.steps import Steps

PREPROCESSING = "preprocessor_config.json"
HALVINGS = 8
"""How often a net may halve its sides."""


class PictureReader(Reader):
    """Reads the columns of a picture as a plane; gives a step for each place of its grid, column after column.

        pixels (W, H, C) -> places (w, h), w = W / stride, h = H / stride; before them the steps of the whole picture,
        such as the class symbol of a ViT

    A picture is read as if it were alone: norms over a batch keep the statistics that they were trained with.

    Args:
        model: that reads `pixel_values`.
        spec: of the columns.
        prefix: none.
        suffix: none.

    Errors:
        ConfigError: the input holds no pictures, or several in time, of other channels, or too small ones; or the
            model gives no grid of places.
    """

    what = "pictures"
    needs = ("height", "width", "channels", "mean", "deviation")

    def __init__(self, model: Any, spec: Spec, prefix: list[int], suffix: list[int]):
        if prefix or suffix:
            raise ConfigError("pretrained: prefix and suffix are pieces of a text; leave them out")
        if not isinstance(spec, Pixels):
            raise ConfigError("pretrained: this model reads pictures; give it an input of type image")
        if spec.width > 1:
            raise ConfigError(
                "pretrained: this model reads a picture, and here it gets several in time; set encoder:"
                " {type: stacked, each: {type: pretrained, model: FOLDER}}"
            )
        colors = model.config.num_channels
        if spec.colors != colors:
            raise ConfigError(
                f"pretrained: the model reads {colors} channels, and the input has {spec.colors}; leave the input's"
                " channels out"
            )
        self.model, self.spec, self.facts = model, spec, (spec.height, spec.colors)
        grid = grid_of(model, spec.height, spec.height)
        self.size, self.leading, self.grid_height, self.reduction = grid
        self.summaries = ("mean", "max", "first") if grid.leading else ("mean", "max")
        self.options = _options(model)

    @staticmethod
    def settled(model: Any, config: Mapping[str, Any], source: Path, column: Settings) -> dict[str, Any]:
        facts = SCALES[model.config.model_type] if source.is_file() else _preprocessing(source)
        if facts is None and column.mean is None:
            raise ConfigError(
                f"model: {source} holds no {PREPROCESSING}, which has the scale of its pixels; copy that file too, or"
                " set mean and deviation of the input"
            )
        settled: dict[str, Any] = {"channels": model.config.num_channels}
        own = _size(facts or {}) or _sides(config.get("image_size"))
        if own is not None:
            # One side that a recipe gives leads to the other.
            height = column.height or (round(own[0] * column.width / own[1]) if column.width else own[0])
            settled |= {"height": height, "width": column.width or round(own[1] * height / own[0])}
            settled |= {"encoder.summary": "first"} if grid_of(model, height, height).leading else {}
        if facts is not None:
            settled |= _scale(facts, model.config.num_channels)
        return settled

    def parts(self, steps: Steps) -> tuple[list[Tensor], list[int]]:
        lengths = steps.layout.lengths.tolist()
        return list(steps.values.nan_to_num().split(lengths)), [1] * len(lengths)

    def read(self, parts: list[Tensor]) -> list[Tensor]:
        for module in self.model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        empty = next(self.model.parameters()).new_zeros(0, self.size)
        given = [empty] * len(parts)
        by_width: dict[int, list[int]] = {}
        for place, part in enumerate(parts):
            by_width.setdefault(len(part), []).append(place)
        for width, places in by_width.items():
            if width:
                for place, read in zip(places, self._planes(torch.stack([parts[place] for place in places]))):
                    given[place] = read
        return given

    def _planes(self, columns: Tensor) -> Tensor:
        """(B, leading + places, size) of pictures (B, W, H * C) of one width."""
        narrow = max(0, self.reduction - columns.shape[1])
        plane = nn.functional.pad(columns, (0, 0, 0, narrow)).unflatten(2, (self.spec.height, self.spec.colors))
        hidden = self.model(pixel_values=plane.permute(0, 3, 2, 1), **self.options).last_hidden_state
        if hidden.dim() == 4:
            return hidden.permute(0, 3, 2, 1).flatten(1, 2)
        whole, places = hidden[:, : self.leading], hidden[:, self.leading :]
        grid = places.unflatten(1, (self.grid_height, -1)).transpose(1, 2)
        return torch.cat([whole, grid.flatten(1, 2)], 1)


class Grid(NamedTuple):
    """What a model gives of a picture.

    Args:
        size: numbers of a step.
        leading: steps of the whole picture before those of places.
        rows: places from top to bottom.
        stride: pixels of each side that become one place.
    """

    size: int
    leading: int
    rows: int
    stride: int


def grid_of(model: Any, height: int, width: int) -> Grid:
    """What a model gives of a picture of so many pixels, without computing it.

    Errors:
        ConfigError: it reads none so small, or gives no grid of places.
    """
    weights = chain(model.named_parameters(), model.named_buffers())
    pixels = torch.empty(1, model.config.num_channels, height, width, device="meta")
    was_training = model.training
    model.eval()
    try:
        given = functional_call(
            model,
            {name: tensor.to("meta") for name, tensor in weights},
            kwargs={"pixel_values": pixels, **_options(model)},
        )
        shape = given.last_hidden_state.shape
    except (RuntimeError, ValueError) as why:
        reason = " ".join(str(why).split())[:200]
        raise ConfigError(
            f"pretrained: {model.config.model_type} cannot read pictures of {width} x {height} pixels ({reason}); set"
            " another height and width of the input, or leave both out"
        ) from None
    finally:
        model.train(was_training)
    patch = model.config.to_dict().get("patch_size")
    patch = patch if isinstance(patch, int) else 1
    strides = [patch << halving for halving in range(HALVINGS)]
    if len(shape) == 4:
        rows = shape[2]
        fitting = (stride for stride in strides if rows in (height // stride, -(-height // stride)))
        stride = next(fitting, -(-height // rows))
        return Grid(shape[1], 0, rows, stride)
    places, rows = shape[1], height // patch
    leading = places - rows * (width // patch)
    if patch > 1 and rows and 0 <= leading < rows * (width // patch):
        return Grid(shape[2], leading, rows, patch)
    for stride in strides:
        if -(-height // stride) * -(-width // stride) == places:
            return Grid(shape[2], 0, -(-height // stride), stride)
    raise ConfigError(
        f"pretrained: {model.config.model_type} gives {places} steps of a picture of {width} x {height} pixels, which"
        " are no grid over it; give another model, such as a ResNet or a ViT"
    )


def _options(model: nn.Module) -> dict[str, bool]:
    """What lets a model read pictures of another size than those that it was trained with."""
    name = "interpolate_pos_encoding"
    return {name: True} if name in inspect.signature(model.forward).parameters else {}


def _preprocessing(source: Path) -> dict[str, Any] | None:
    """How the pictures of a model were made; None: nothing says."""
    file = source / PREPROCESSING
    if not file.is_file():
        return None
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as why:
        raise ConfigError(f"model: {file} is no JSON ({why}); copy the folder again") from None
    facts = facts if isinstance(facts, dict) else {}
    if facts.get("do_flip_channel_order"):
        raise ConfigError(f"model: {source} reads blue before red, which no input here has; give another model")
    return facts


def _size(facts: Mapping[str, Any]) -> tuple[int, int] | None:
    """Height and width, of the part that is cut out where one is."""
    cut = facts.get("crop_size") if facts.get("do_center_crop", "crop_size" in facts) else None
    return _sides(cut) or _sides(facts.get("size"))


def _sides(size: Any) -> tuple[int, int] | None:
    """Height and width of what configurations call a size: a number, two, or a mapping."""
    if isinstance(size, Mapping):
        size = size.get("shortest_edge") or [size.get("height"), size.get("width")]
    sides = [size, size] if isinstance(size, int) else size
    if not isinstance(sides, list | tuple) or len(sides) != 2 or not all(isinstance(side, int) for side in sides):
        return None
    return sides[0], sides[1]


def _scale(facts: Mapping[str, Any], channels: int) -> dict[str, list[float]]:
    """Mean and deviation of pixels from 0 to 1.

    (255 f x - o - m) / s = (x - (m + o) / 255 f) / (s / 255 f)         f: rescale_factor, o: 1 with an offset
    """
    factor = 255 * facts.get("rescale_factor", 1 / 255) if facts.get("do_rescale", True) else 255.0
    offset = 1.0 if facts.get("rescale_offset") else 0.0

    def numbers(name: str, plain: float) -> list[float]:
        given = facts.get(name) if facts.get("do_normalize", True) else None
        return given if isinstance(given, list) else [plain if given is None else given] * channels

    mean = [(number + offset) / factor for number in numbers("image_mean", 0.0)]
    return {"mean": mean, "deviation": [number / factor for number in numbers("image_std", 1.0)]}
