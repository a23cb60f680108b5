"""Models of Hugging Face from a folder: their configuration, their weights and what they cost, by the library
transformers."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ostinato.encoders._weight_files import described, renamed, weights_in
from ostinato.errors import ConfigError
from ostinato.files import ALLOW_DOWNLOAD
from ostinato.layers.memory import memory

INSTALL = "pip install 'ostinato[pretrained]'"
CONFIG = "config.json"
GIB = 2**30


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
    with _explained(folder):
        config = transformers().AutoConfig.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    plain = config.to_dict()
    if "auto_map" in plain:
        raise ConfigError(f"model: {folder} brings code of its own, which is never run; give another model")
    return plain


def built(config: Mapping[str, Any], *, empty: bool = False) -> nn.Module:
    """The encoder of such a model, its weights drawn anew; `empty`: without memory, to be counted."""
    library = transformers()
    try:
        made = library.AutoConfig.for_model(**config)
        with torch.device("meta" if empty else "cpu"):
            return _reader(library.AutoModel.from_config(made))
    except (ValueError, KeyError, TypeError) as why:
        raise ConfigError(f"model: transformers {library.__version__} cannot build it ({_line(why)})") from None


def weights_of(folder: Path) -> dict[str, Tensor]:
    """The weights of the encoder, by their names in it.

    Errors:
        ConfigError: there are none, some are missing, or reading them would execute code.
    """
    if folder.is_file():
        held = weights_in(folder)
        weights, wanted = renamed(held), built(described(held, folder), empty=True).state_dict()
        _demand_all(
            (name for name in wanted if getattr(weights.get(name), "shape", None) != wanted[name].shape), folder
        )
        return weights
    with _explained(folder):
        model, info = transformers().AutoModel.from_pretrained(
            str(folder),
            local_files_only=True,
            trust_remote_code=False,
            dtype=torch.float32,
            output_loading_info=True,
        )
    weights = _reader(model).state_dict()
    prefix = "" if isinstance(model, type(_reader(model))) else "encoder."
    _demand_all((name for name in info["missing_keys"] if name.removeprefix(prefix) in weights), folder)
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
    """The part that reads: of an encoder and a decoder the first; without the trained layer behind the first step."""
    if all(isinstance(getattr(model, half, None), nn.Module) for half in ("encoder", "decoder")):
        model = model.get_encoder()
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
    except (OSError, ValueError, KeyError, TypeError) as why:
        raise ConfigError(f"model: {folder} cannot be read ({_line(why)})") from None


def _line(why: Exception) -> str:
    return " ".join(str(why).split())[:300] or type(why).__name__
