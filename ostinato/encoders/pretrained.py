"""Encoders of text that others have trained."""

from __future__ import annotations

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
from ostinato.encoders.contract import Encoded, Encoder
from ostinato.errors import ConfigError
from ostinato.layers.pooling import sum_up
from ostinato.modalities.contract import Choices, Symbols
from ostinato.registry import Count, Settings
from ostinato.steps import Layout, Steps
from ostinato.tokenizers.pretrained import library, written

COPIES = {"none": 1, "all": 4, "lora": 1}
"""Copies of each weight in memory: trained ones have a gradient and two moments."""
CACHED = 2**30
"""Bytes of features that are kept in memory between epochs."""


class Pretrained(Encoder):
    """A text encoder of Hugging Face (BERT, GPT-2, the encoder of T5 or Marian, ...), frozen or trained further.

        h       = model([prefix; x; suffix])            read in parts where x is longer than the model reads
        steps   = h without prefix and suffix
        summary = the mean of h, the largest, its first or its last step

    The input has the model's own tokenizer. Words that have labels are read in pieces: `subword_pooling: first`
    represents each by its first. The run folder holds tokenizer, configuration and weights and needs nothing else.
    Frozen, the model reads each text alone and once: its features are kept, so that later epochs cost what the head
    costs. A run that trains keeps them on the disk too (`features` in the folder of encoded rows, up to 4 GiB a model),
    so that later runs with the same rows need not read them again.

    Shapes:
        steps (N,) pieces; steps_size = summary_size = the model's hidden_size

    Args:
        model: a folder with config.json, model.safetensors and a tokenizer; or a name on Hugging Face, which is fetched
            only with --allow-download.
        tune: what is trained: none of the model, all of it, or by lora two small matrices beside each linear map.
        rank: of lora: the width of these matrices.
        summary: what represents the whole text.
        config: the model's configuration; from its folder by default.
        prefix: pieces that the model wants before a text; from its tokenizer by default.
        suffix: pieces that it wants after a text; likewise.

    Errors:
        ConfigError: transformers (of lora peft) is not installed; there is no such folder; it has no weights, an
            unknown architecture, code of its own, or a tokenizer with more pieces than the model; or the model is too
            large.

    Source: LoRA: Hu 2022, arXiv:2106.09685, equation 3; the library is peft, its scale alpha / r is 2.
    """

    takes = (Symbols,)
    causal = False
    look_ahead = None

    def __init__(
        self,
        spec: Symbols,
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
        if not isinstance(spec, Symbols) or spec.characters:
            raise ConfigError("pretrained: reads the pieces of a text; give it a text without characters")
        if tune != "lora" and rank != 8:
            raise ConfigError(f"pretrained: rank: {rank} belongs to tune: lora; leave it out")
        self.name, self.tune, self.kind, self.prefix, self.suffix = model, tune, summary, prefix or [], suffix or []
        self.first = 1 + max(spec.begin, spec.end, spec.unknown)
        self.model = built(config)
        size = self.model.get_input_embeddings().num_embeddings
        if spec.size - self.first > size:
            raise ConfigError(
                f"pretrained: the tokenizer has {spec.size - self.first:,} pieces and the model {size:,}; they do not"
                " belong together; leave the input's tokenizer out, or give another model"
            )
        own = self.model.config
        places = getattr(own, "max_position_embeddings", None) or 512
        # RoBERTa counts positions from behind its padding symbol.
        offset = own.pad_token_id + 1 if "roberta" in own.model_type and own.pad_token_id else 0
        self.longest = places - offset - len(self.prefix) - len(self.suffix)
        self.steps_size = self.summary_size = own.hidden_size
        self.kept: dict[bytes, Tensor] = {}
        self.room = CACHED
        self.store: FeatureStore | None = None
        if tune != "all":
            self.model.requires_grad_(False)
        if tune == "lora":
            _add_lora(self.model, rank)

    @staticmethod
    def settled(settings: Settings, find: Callable[[str], Path | None]) -> Choices:
        if settings.config is not None or not settings.model:
            return {}
        folder = folder_of(settings.model, find(settings.model))
        config = configuration(folder)
        demand_memory(config, COPIES[settings.tune])
        marks = library(written(folder))
        around = marks.encode("a")
        inside = [at for at, mark in enumerate(around.special_tokens_mask) if not mark] or [0]
        why = f"of {settings.model}"
        return {
            "tokenizer": ({"type": "pretrained", "model": str(folder)}, why),
            "encoder.config": (config, why),
            "encoder.prefix": (around.ids[: inside[0]], why),
            "encoder.suffix": (around.ids[inside[-1] + 1 :], why),
        }

    def start(self, find: Callable[[str], Path | None]) -> None:
        own = self.model.state_dict()
        for name, tensor in weights_of(folder_of(self.name, find(self.name))).items():
            # Beside a map that lora adds to, its own weights have a name of their own.
            inner = ".base_layer.".join(name.rsplit(".", 1))
            own[inner if inner in own else name].copy_(tensor)
        if self.tune == "none":
            facts = transformers().__version__, self.model.config.to_dict(), self.prefix, self.suffix
            self.store = FeatureStore.of(own, self.steps_size, *facts)

    def layers(self) -> list[list[nn.Module]]:
        depth = self.model.config.num_hidden_layers
        lists = [module for module in self.model.modules() if isinstance(module, nn.ModuleList)]
        return [[layer] for layer in next((own for own in lists if len(own) == depth), ())]

    def encode(self, steps: Steps, state: tuple[Tensor, ...] | None = None) -> Encoded:
        if state is not None:
            raise ValueError("this encoder reads whole texts, so it cannot resume from a state: give none")
        pieces = (steps.values.long() - self.first).clamp(min=0)
        rows = [part for row in pieces.split(steps.layout.lengths.tolist()) for part in _parts(row, self.longest)]
        counts = [max(1, -(-length // self.longest)) for length in steps.layout.lengths.tolist()]
        read = self._frozen(rows) if self.tune == "none" else self._read(rows)
        inside = [part[len(self.prefix) : len(part) - len(self.suffix)] for part in read]
        texts = Layout([sum(map(len, own)) for own in _grouped(read, counts)], steps.values.device)
        whole = Steps(torch.cat(read), texts)
        kind = "last" if self.kind == "first" else self.kind
        summary = sum_up(kind, self._firsts(whole) if self.kind == "first" else whole, None)[0]
        return Encoded(steps.with_values(torch.cat(inside)), summary, None)

    def _firsts(self, whole: Steps) -> Steps:
        """The first step of each text alone."""
        keep = whole.layout.positions == 0
        return Steps(whole.values[keep], Layout((whole.layout.lengths > 0).long(), whole.values.device))

    def _marked(self, row: Tensor) -> Tensor:
        return torch.cat([row.new_tensor(self.prefix), row, row.new_tensor(self.suffix)])

    def _frozen(self, rows: list[Tensor]) -> list[Tensor]:
        """The features of each text, read alone, so that they depend on no company; kept where there is room."""
        self.model.eval()
        device = rows[0].device if rows else None
        keys = [row.cpu().numpy().tobytes() for row in rows]
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
                    (fresh[key],) = self._read([row])
        if store is not None:
            store.write({marks[key]: values for key, values in fresh.items()})
        known |= fresh
        for key, values in known.items():
            if values.nbytes <= self.room:
                self.kept[key], self.room = values, self.room - values.nbytes
        return [known[key] if key in known else self.kept[key] for key in keys]

    def _read(self, rows: list[Tensor]) -> list[Tensor]:
        """The model's last layer for each text with its marks, (T, H); nothing for one without any."""
        around = len(self.prefix) + len(self.suffix)
        layout = Layout([len(row) + around for row in rows], rows[0].device if rows else None)
        if not layout.total:
            empty = self.model.get_input_embeddings().weight.new_zeros(0, self.steps_size)
            return [empty for _ in rows]
        marked = Steps(torch.cat(list(map(self._marked, rows))), layout)
        padded = marked.padded()
        there = torch.arange(padded.shape[1], device=padded.device) < layout.lengths.to(padded.device).unsqueeze(1)
        hidden = self.model(input_ids=padded, attention_mask=there.long()).last_hidden_state
        return [row[:length] for row, length in zip(hidden, layout.lengths.tolist())]


def _parts(row: Tensor, longest: int) -> tuple[Tensor, ...]:
    return row.split(longest) if len(row) else (row,)


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
        peft.inject_adapter_in_model(config, model)
