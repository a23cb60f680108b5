"""Models of Hugging Face from a folder: their configuration, their weights and what they cost, by the library
transformers."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from ostinato.encoders._weight_files import described, renamed, weights_in
from ostinato.errors import ConfigError, closest
from ostinato.files import ALLOW_DOWNLOAD
from ostinato.layers.memory import memory

INSTALL = "pip install 'ostinato[pretrained]'"
CONFIG = "config.json"
WEIGHTS = tuple(f"{name}{end}" for name in ("model.safetensors", "pytorch_model.bin") for end in ("", ".index.json"))
GIB = 2**30
FAILURES = (
    *(ArithmeticError, AssertionError, AttributeError, ImportError),
    *(LookupError, OSError, RuntimeError, TypeError, ValueError),
)
"""What the library raises for a configuration or for weights that make no model, beside an error of its own."""


def transformers() -> Any:
    """The library, quiet.

    Errors:
        ConfigError: it is not installed.
    """
    try:
        import transformers as library
    except ImportError:
        raise ConfigError(f"pretrained encoders need the package transformers, which is not here: {INSTALL}") from None
    library.logging.set_verbosity_error()
    library.logging.disable_progress_bar()
    return library


def folder_of(name: str, path: Path | None) -> Path:
    """The folder of a model, or the file of its weights: where it lies, or where its download was kept.

    Args:
        name: as the recipe has it.
        path: where such a file or folder was found; None: nowhere.

    Errors:
        ConfigError: there is none, and nothing may be fetched.
    """
    if path is not None and path.is_file():
        return path
    if path is not None:
        if not (path / CONFIG).is_file():
            raise ConfigError(f"model: {path} holds no {CONFIG}; give the folder that `save_pretrained` wrote")
        return path
    if os.environ.get(ALLOW_DOWNLOAD) != "1":
        raise ConfigError(
            f"model: there is no folder {name}; give the folder of a model, or allow its download from Hugging Face"
            " with --allow-download"
        )
    transformers()
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        return Path(snapshot_download(name, allow_patterns=["*.json", "*.safetensors", "*.txt", "*.model"]))
    except (OSError, HfHubHTTPError, HFValidationError) as why:
        raise ConfigError(f"model: {name} cannot be fetched ({str(why).splitlines()[0]}); give a folder") from None


def configuration(folder: Path) -> dict[str, Any]:
    """The configuration of a model, as JSON values.

    Errors:
        ConfigError: its architecture is unknown, or needs code of its own.
    """
    if folder.is_file():
        return described(weights_in(folder), folder)
    library, given = transformers(), _plain(folder / CONFIG)
    if "auto_map" in given:
        raise ConfigError(f"model: {folder} brings code of its own, which is never run; give another model")
    kind = given.get("model_type")
    if not isinstance(kind, str):
        raise ConfigError(f"model: {folder / CONFIG} names no model_type; give the folder that `save_pretrained` wrote")
    if kind not in library.CONFIG_MAPPING:
        raise ConfigError(
            f"model: transformers {library.__version__} knows no architecture {kind!r} ({folder})"
            f"{closest(kind, library.CONFIG_MAPPING)}; give another model, or update transformers"
        )
    with _explained(folder):
        config = library.AutoConfig.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    return config.to_dict()


def _plain(path: Path) -> dict[str, Any]:
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as why:
        raise ConfigError(f"model: {path} is no JSON ({_line(why)}); copy the folder again") from None
    if not isinstance(given, dict):
        raise ConfigError(f"model: {path} holds no settings by name; copy the folder again")
    return given


def built(config: Mapping[str, Any], *, empty: bool = False) -> nn.Module:
    """The encoder of such a model, its weights drawn anew; `empty`: without memory, to be counted."""
    library = transformers()
    try:
        made = library.AutoConfig.for_model(**config)
        with torch.device("meta" if empty else "cpu"):
            return _reader(library.AutoModel.from_config(made))
    except _failures() as why:
        raise ConfigError(
            f"model: transformers {library.__version__} cannot build it ({_line(why)}); copy its {CONFIG} again, or"
            " give another model"
        ) from None


def weights_of(folder: Path) -> dict[str, Tensor]:
    """The weights of the encoder, by their names in it.

    Errors:
        ConfigError: there are none, some are missing, damaged or of other shapes, or reading them would execute code.
    """
    weights = _weights(folder)
    for name, tensor in weights.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise ConfigError(
                f"model: {folder}: {name} holds numbers that are infinite or missing; copy the folder again, or give"
                " another model"
            )
    return weights


def _weights(folder: Path) -> dict[str, Tensor]:
    if folder.is_file():
        held = weights_in(folder)
        weights, wanted = renamed(held), built(described(held, folder), empty=True).state_dict()
        _demand_all(
            (name for name in wanted if getattr(weights.get(name), "shape", None) != wanted[name].shape), folder
        )
        return weights
    if not any((folder / name).is_file() for name in WEIGHTS):
        raise ConfigError(f"model: {folder} holds no weights; copy its {WEIGHTS[0]} too")
    with _explained(folder):
        model, info = transformers().AutoModel.from_pretrained(
            str(folder),
            local_files_only=True,
            trust_remote_code=False,
            dtype=torch.float32,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    weights = _reader(model).state_dict()
    prefix = "" if isinstance(model, type(_reader(model))) else "encoder."
    for name, there, here in sorted(info["mismatched_keys"]):
        if name.removeprefix(prefix) in weights:
            raise ConfigError(
                f"model: {folder}: {name} has the shape {tuple(there)} in the weights and {tuple(here)} by {CONFIG};"
                " they are of two models, so copy the folder again"
            )
    missing = [name for name in info["missing_keys"] if name.removeprefix(prefix) in weights]
    if missing:
        # What is computed and never trained, as Marian's sinusoids, need not be in a file.
        empty = built(configuration(folder), empty=True)
        trained = {name: weight.requires_grad for name, weight in empty.named_parameters()}
        _demand_all((name for name in missing if trained.get(name.removeprefix(prefix), True)), folder)
    return weights


def _demand_all(lacking: Iterable[str], place: Path) -> None:
    names = sorted(lacking)
    if names:
        raise ConfigError(f"model: {place} lacks weights, {', '.join(names[:3])}; copy the folder again, or the file")


def demand_memory(model: nn.Module, copies: int) -> None:
    """Refuses a model that cannot fit.

    Args:
        model: built without memory.
        copies: of each weight that are needed: itself, its gradient, what an optimizer keeps.

    Errors:
        ConfigError: the memory of this machine is smaller.
    """
    number = sum(weight.numel() for weight in model.parameters())
    needed, there = 4 * copies * number, memory()
    if needed > there:
        raise ConfigError(
            f"model: {number:,} weights, {copies} times 4 bytes each, are {needed / GIB:,.1f} GiB, and this machine has"
            f" {there / GIB:,.1f}; give a smaller model"
        )


def _reader(model: nn.Module) -> nn.Module:
    """The part that reads: of an encoder and a decoder that attends to it the first; without the trained layer behind
    the first step."""
    if all(isinstance(getattr(model, half, None), nn.Module) for half in ("encoder", "decoder")):
        encoder = model.get_encoder()
        # Funnel's decoder is a part of its reading, and its encoder no model by itself.
        model = encoder if isinstance(encoder, transformers().PreTrainedModel) else model
    pooler = getattr(model, "pooler", None)
    if isinstance(pooler, nn.Module) and any(True for _ in pooler.parameters()):
        model.pooler = None
    return model


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """Errors of the library with the folder in front."""
    try:
        yield
    except pickle.UnpicklingError:
        raise ConfigError(
            f"model: the weights in {folder} are a pickle that would execute code, which is never done; give a folder"
            " with model.safetensors"
        ) from None
    except SafetensorError as why:
        raise ConfigError(f"model: the weights in {folder} are damaged ({_line(why)}); copy the folder again") from None
    except _failures() as why:
        raise ConfigError(
            f"model: {folder} cannot be read ({_line(why)}); copy the folder again, or give another model"
        ) from None


def _failures() -> tuple[type[Exception], ...]:
    from huggingface_hub.errors import StrictDataclassError

    return (*FAILURES, StrictDataclassError)


def _line(why: Exception) -> str:
    return " ".join(str(why).split())[:300] or type(why).__name__
