"""Encoders that others have trained."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ostinato.encoders._feature_store import FeatureStore
from ostinato.encoders._hugging_face import (
    INSTALL,
    built,
    configuration,
    demand_memory,
    folder_of,
    transformers,
    weights_of,
)
from ostinato.encoders._picture_reader import PictureReader
from ostinato.encoders._reader import Reader
from ostinato.encoders._text_reader import TextReader
from ostinato.encoders.contract import Encoded, Encoder
from ostinato.errors import ConfigError
from ostinato.layers.pooling import sum_up
from ostinato.modalities.contract import Choices, Pixels, Symbols
from ostinato.registry import Count, Settings, names, settings_class
from ostinato.steps import Layout, Steps

COPIES = {"none": 1, "all": 4, "lora": 1}
"""Copies of each weight in memory: trained ones have a gradient and two moments."""
CACHED = 2**30
"""Bytes of features that are kept in memory between epochs."""
READERS: dict[str, type[Reader]] = {"input_ids": TextReader, "pixel_values": PictureReader}
"""How models read, by what they call their input."""


class Pretrained(Encoder):
    """A model of Hugging Face, frozen or trained further.

    It reads texts (BERT, GPT-2, the encoder of T5 or Marian, ...) or pictures (ResNet, ViT, Swin, ...).

        h       = model(x)         of a text model([prefix; x; suffix]), in parts where x is longer than the model reads
        steps   = h without prefix and suffix; of a picture its grid of places, column after column
        summary = the mean of h, the largest, its first or its last step

    The input has what the model was trained with: a text its tokenizer, a picture its size, channels, mean and
    deviation. Words that have labels are read in pieces: `subword_pooling: first` represents each by its first. A
    picture is brought to the model's size as a whole, nothing is cut off. The run folder holds tokenizer, configuration
    and weights and needs nothing else.

    Frozen, the model reads each text or picture alone and once: its features are kept, so that later epochs cost what
    the head costs. A run that trains keeps them on the disk too (`features` in the folder of encoded rows, up to 4 GiB
    a model), so that later runs with the same rows need not read them again. Trained further, the norms of a
    convolutional net keep their statistics, so that a picture's company changes nothing.

    Shapes:
        steps (N,) pieces, or (N, height * channels) columns of pixels, which become a grid of places, height and width
        divided by the model's stride; steps_size = summary_size = the model's hidden_size

    Args:
        model: a folder with config.json, model.safetensors and a tokenizer, or of a picture's preprocessor_config.json;
            a file of weights (.pth or .safetensors) of a ResNet by torchvision's names, or of an EfficientNet-Lite; or
            a name on Hugging Face, which is fetched only with --allow-download.
        tune: what is trained: none of the model, all of it, or by lora two small matrices beside each linear map.
        rank: of lora: the width of these matrices.
        summary: what represents the whole text or picture; first by default where a model of pictures begins with a
            symbol for the whole.
        config: the model's configuration; from its folder by default.
        prefix: pieces that the model wants before a text; from its tokenizer by default.
        suffix: pieces that it wants after a text; likewise.

    Errors:
        ConfigError: transformers (of lora peft) is not installed; there is no such folder; it has no weights, an
            unknown architecture, code of its own, or a tokenizer with more pieces than the model; the model reads
            another kind of input, or gives no grid of a picture; it is too large, or has nothing that lora could adapt.

    Source: LoRA: Hu 2022, arXiv:2106.09685, equation 3; the library is peft, its scale alpha / r is 2.
    """

    takes = (Symbols, Pixels)
    causal = False
    look_ahead = None

    def __init__(
        self,
        spec: Symbols | Pixels,
        *,
        model: str = "",
        tune: Literal["none", "all", "lora"] = "none",
        rank: Count = 8,
        summary: Literal["mean", "max", "first", "last"] = "mean",
        config: dict[str, Any] | None = None,
        prefix: list[int] | None = None,
        suffix: list[int] | None = None,
    ):
        super().__init__()
        if config is None:
            raise ConfigError("pretrained: name the folder of a model, such as {type: pretrained, model: FOLDER}")
        if tune != "lora" and rank != 8:
            raise ConfigError(f"pretrained: rank: {rank} belongs to tune: lora; leave it out")
        self.name, self.tune, self.kind = model, tune, summary
        self.model = built(config)
        self.reader = _reader_of(self.model)(self.model, spec, prefix or [], suffix or [])
        if summary not in self.reader.summaries:
            allowed = ", ".join(self.reader.summaries)
            raise ConfigError(
                f"pretrained: summary: {summary} represents nothing in this model; allowed here: {allowed}"
            )
        self.steps_size = self.summary_size = self.reader.size
        self.grid_height, self.reduction = self.reader.grid_height, self.reader.reduction
        self.kept: dict[bytes, Tensor] = {}
        self.room = CACHED
        self.store: FeatureStore | None = None
        self.drawn = _print_of(self.model)
        if tune != "all":
            self.model.requires_grad_(False)
        if tune == "lora":
            _add_lora(self.model, rank)

    @staticmethod
    def settled(settings: Settings, column: Settings, find: Callable[[str], Path | None]) -> Choices:
        if settings.config is not None or not settings.model:
            return {}
        source = folder_of(settings.model, find(settings.model))
        config = configuration(source)
        model = built(config, empty=True)
        demand_memory(model, COPIES[settings.tune])
        reader = _reader_of(model)
        _demand_kind(reader, settings.model, column)
        own = {"encoder.config": config, **reader.settled(model, config, source, column)}
        return {path: (value, f"of {settings.model}") for path, value in own.items()}

    def start(self, find: Callable[[str], Path | None]) -> None:
        own = self.model.state_dict()
        for name, tensor in weights_of(folder_of(self.name, find(self.name))).items():
            # Beside a map that lora adds to, its own weights have a name of their own.
            inner = ".base_layer.".join(name.rsplit(".", 1))
            own[inner if inner in own else name].copy_(tensor)

    def layers(self) -> list[list[nn.Module]]:
        own = self.model.config
        depth = getattr(own, "num_hidden_layers", None) or len(getattr(own, "depths", ()))
        lists = [module for module in self.model.modules() if isinstance(module, nn.ModuleList)]
        return [[layer] for layer in next((layers for layers in lists if len(layers) == depth), ())]

    def encode(self, steps: Steps, state: tuple[Tensor, ...] | None = None) -> Encoded:
        if state is not None:
            raise ValueError("this encoder reads whole inputs, so it cannot resume from a state: give none")
        parts, counts = self.reader.parts(steps)
        read = self._frozen(parts) if self.tune == "none" else self.reader.read(parts)
        inside = [self.reader.inside(part) for part in read]
        device = steps.values.device
        whole, places = (
            Steps(torch.cat(rows), Layout([sum(map(len, own)) for own in _grouped(rows, counts)], device))
            for rows in (read, inside)
        )
        kind = "last" if self.kind == "first" else self.kind
        summary = sum_up(kind, self._firsts(whole) if self.kind == "first" else whole, None)[0]
        return Encoded(places, summary, None)

    def _firsts(self, whole: Steps) -> Steps:
        """The first step of each text alone."""
        keep = whole.layout.positions == 0
        return Steps(whole.values[keep], Layout((whole.layout.lengths > 0).long(), whole.values.device))

    def _frozen(self, rows: list[Tensor]) -> list[Tensor]:
        """The features of each part, read alone, so that they depend on no company; kept where there is room."""
        # Of weights that are drawn and not read, as where a cost is counted, nothing is kept on the disk.
        if self.training and self.store is None and not torch.equal(self.drawn, _print_of(self.model)):
            facts = transformers().__version__, self.model.config.to_dict(), *self.reader.facts
            self.store = FeatureStore.of(self.model.state_dict(), self.steps_size, *facts)
        self.model.eval()
        device = rows[0].device if rows else None
        keys = [hashlib.sha256(row.cpu().numpy()).digest() for row in rows]
        unread = {key: row for key, row in zip(keys, rows) if key not in self.kept}
        # Of the disk only what is computed in float32, whose bits depend on the device.
        is_plain = device is not None and not torch.is_autocast_enabled(device.type)
        store = self.store if is_plain and unread else None
        marks = {key: f"{device} ".encode() + key for key in unread}
        stored = store.read([*marks.values()]) if store is not None else {}
        known = {key: stored[mark].to(device) for key, mark in marks.items() if mark in stored}
        fresh = {}
        for key, row in unread.items():
            if key not in known:
                with torch.no_grad():
                    (fresh[key],) = self.reader.read([row])
        if store is not None:
            store.write({marks[key]: values for key, values in fresh.items()})
        known |= fresh
        for key, values in known.items():
            if values.nbytes <= self.room:
                self.kept[key], self.room = values, self.room - values.nbytes
        return [known[key] if key in known else self.kept[key] for key in keys]


def _print_of(model: nn.Module) -> Tensor:
    """The first number of each weight, which tells weights that were read from those that were drawn."""
    return torch.stack([weight.detach().flatten()[0].float().cpu() for weight in model.parameters()])


def _reader_of(model: Any) -> type[Reader]:
    """How a model reads, by what it calls its input.

    Errors:
        ConfigError: it reads neither texts nor pictures.
    """
    if model.main_input_name not in READERS:
        raise ConfigError(
            f"model: {model.config.model_type} reads {model.main_input_name}, and only models of texts or of pictures"
            " are read here; give another model"
        )
    return READERS[model.main_input_name]


def _demand_kind(reader: type[Reader], model: str, column: Settings) -> None:
    """That an input is of the kind that a model reads: it then has the settings that follow from the model."""
    if not set(reader.needs) <= set(type(column).model_fields):
        others = " or ".join(sorted({other.what for other in READERS.values()} - {reader.what}))
        fields = {name: settings_class("modalities", name).model_fields for name in names("modalities")}
        fitting = " or ".join(name for name, own in fields.items() if set(reader.needs) <= set(own))
        raise ConfigError(
            f"model: {model} reads {reader.what}, and this input of type {column.type} holds none; set its type to"
            f" {fitting}, or give the folder of a model of {others}"
        )


def _grouped(read: list[Tensor], counts: list[int]) -> list[list[Tensor]]:
    rest = iter(read)
    return [[next(rest) for _ in range(count)] for count in counts]


def _add_lora(model: nn.Module, rank: int) -> None:
    try:
        import peft
    except ImportError:
        raise ConfigError(f"pretrained: tune: lora needs the package peft, which is not here: {INSTALL}") from None
    config = peft.LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of maps that are kept the other way round, as GPT-2's are
        try:
            peft.inject_adapter_in_model(config, model)
        except ValueError:
            raise ConfigError(
                "pretrained: tune: lora finds no linear map in this model, as in a convolutional net; set tune: all"
            ) from None
