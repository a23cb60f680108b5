"""Checkpoints: all that a run needs to resume as if it had never stopped, in folders that are whole or absent.

A run's folder of checkpoints holds
    checkpoint-EPOCHS-BATCHES/     state.json, model, optimizer and average.safetensors (a moving average),
                                   carried.safetensors (what a chunk of streams hands to the next)
    best-EPOCHS.safetensors        the weights that validation liked best, after so many epochs
    epoch-EPOCHS.safetensors       the weights at the end of an epoch, kept while an average of the last ones needs them
The two numbers of a checkpoint are the epochs done and the batches trained on in the next: its name is its position,
and the content of a position is a function of the recipe alone, so that it is written once. Weights are named by the
number of epochs too: a file of the same name written again after a kill holds the same bits. Nothing is pickled.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from ostinato import files
from ostinato.errors import BundleError, ConfigError
from ostinato.heads.contract import Head
from ostinato.training.averages import mean

VERSION = 2
"""From version 2 on, the state has a checksum."""
KEPT = 2
"""Checkpoints kept: should the newest be damaged, the one before it leads to the same weights."""
_NAME = re.compile(r"checkpoint-(\d{4,})-(\d{7,})")


class _Damaged(BundleError):
    """A file is missing or is not what was written: the checkpoint before it may serve."""


class Checkpoint(NamedTuple):
    """What stood in a checkpoint.

    Args:
        state: JSON values.
        tensors: for each file (`model`, `optimizer`, ...) its tensors by name.
    """

    state: dict[str, Any]
    tensors: dict[str, dict[str, Tensor]]


class Checkpoints:
    """The checkpoints of one run.

    Args:
        folder: where they are; made when the first one is written.
        names: from the name of a tensor that an earlier version saved to its name today.
        keep: how many of the newest are kept.
    """

    def __init__(self, folder: Path, names: Callable[[str], str] = str, keep: int = KEPT):
        self.folder, self._names, self.keep = folder, names, keep

    def save(
        self, epoch: int, batch: int, state: Mapping[str, Any], tensors: Mapping[str, Mapping[str, Tensor]]
    ) -> None:
        """Writes the checkpoint of a position, then deletes what no checkpoint needs any more."""
        path = self.folder / f"checkpoint-{epoch:04d}-{batch:07d}"
        if path.exists():
            return
        with files.new_folder(path) as new:
            digests = {}
            for name, group in tensors.items():
                data = safetensors.torch.save(
                    {key: tensor.detach().cpu().contiguous() for key, tensor in group.items()}
                )
                digests[name] = hashlib.sha256(data).hexdigest()
                files.write_synced(new / f"{name}.safetensors", data)
            whole = files.with_checksum({"version": VERSION, "sha256": digests, **state})
            files.write_synced(new / "state.json", json.dumps(whole, indent=1, allow_nan=True))
        self._tidy()

    def latest(self, notes: Callable[[str], None]) -> Checkpoint | None:
        """The newest checkpoint that is whole; a damaged one is set aside, with a line in `notes`. None without any.

        Errors:
            BundleError: there are checkpoints and none is whole, or a newer Ostinato wrote them.
        """
        files.sweep(self.folder)
        damage = []
        for path in reversed(self._all()):
            try:
                state = self._read(path)
            except _Damaged as problem:
                damage.append(str(problem))
                continue
            for line in damage:
                notes(f"{line}; continuing from {path.name}, which leads to the same weights")
            for broken in self._all():
                if broken > path:
                    with files.explained(broken):
                        broken.rename(_free(broken.with_name(broken.name + ".damaged")))
            return state
        if damage:
            raise BundleError("no checkpoint is whole: " + "; ".join(damage) + "; start anew with --overwrite")
        return None

    def so_far(self, keep_best: bool) -> Checkpoint | None:
        """The newest whole checkpoint with the weights (`model`) that would be kept if training ended there; None
        without any. Training may go on meanwhile: nothing is moved.

        Args:
            keep_best: whether the weights of the best validation are kept, where there was one.
        """
        for path in reversed(self._all()):
            try:
                state, tensors = self._read(path)
                place = state["place"]
                if keep_best and place["best_epoch"] is not None:
                    kept = self.load_weights("best", place["best_epoch"])
                elif "average" in tensors:
                    kept = tensors["average"]
                else:
                    kept = mean(self.load_weights("epoch", number) for number in place["averaged_epochs"])
            except _Damaged:
                continue
            return Checkpoint(state, {"model": {**tensors["model"], **kept}})
        return None

    def models(self) -> dict[str, dict[str, Tensor]]:
        """The weights of each whole checkpoint by its name, from oldest to newest."""
        models = {}
        for path in self._all():
            with suppress(_Damaged):
                models[path.name] = self._read(path).tensors["model"]
        return models

    def newest(self) -> Path | None:
        """The folder of the newest checkpoint."""
        return next(reversed(self._all()), None)

    def save_weights(self, kind: str, epoch: float, weights: Mapping[str, Tensor]) -> None:
        """Keeps the weights after `epoch` epochs as `best` or `epoch`."""
        data = safetensors.torch.save({name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()})
        files.write(self._weights(kind, epoch), data)

    def load_weights(self, kind: str, epoch: float) -> dict[str, Tensor]:
        return self._tensors(self._weights(kind, epoch))

    def _read(self, path: Path) -> Checkpoint:
        state = _state(path)
        digests = state["sha256"].items()
        return Checkpoint(
            state, {name: self._tensors(path / f"{name}.safetensors", digest) for name, digest in digests}
        )

    def _tensors(self, path: Path, digest: str | None = None) -> dict[str, Tensor]:
        return {self._names(name): tensor for name, tensor in _tensors(path, digest).items()}

    def _weights(self, kind: str, epoch: float) -> Path:
        return self.folder / f"{kind}-{epoch:04}.safetensors"

    def _all(self) -> list[Path]:
        """From oldest to newest."""
        matches = {path: _NAME.fullmatch(path.name) for path in self.folder.glob("checkpoint-*")}
        positions = {path: tuple(map(int, name.groups())) for path, name in matches.items() if name}
        return sorted(positions, key=positions.__getitem__)

    def _tidy(self) -> None:
        """Deletes older checkpoints, and weights that none of those kept would ask for."""
        for path in self._all()[: -self.keep]:
            # The name goes first: half of a deleted checkpoint must not pass for one.
            with files.explained(path):
                shutil.rmtree(path.rename(path.with_name(f".{path.name}{files.PARTIAL}")))
        wanted = set()
        for path in self._all():
            try:
                state = _state(path)
            except _Damaged:
                continue  # `latest` speaks of damage, to whom it matters.
            wanted |= {self._weights("epoch", epoch) for epoch in state["averaged_epochs"]}
            if state["best_epoch"] is not None:
                wanted.add(self._weights("best", state["best_epoch"]))
        for path in [*self.folder.glob("best-*.safetensors"), *self.folder.glob("epoch-*.safetensors")]:
            if path not in wanted:
                with files.explained(path):
                    path.unlink(missing_ok=True)


def _free(path: Path) -> Path:
    shutil.rmtree(path, ignore_errors=True)
    return path


def _state(path: Path) -> dict[str, Any]:
    try:
        state = json.loads((path / "state.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError, RecursionError) as problem:
        raise _Damaged(f"{path}: damaged, state.json cannot be read ({type(problem).__name__})") from None
    version = state.get("version") if isinstance(state, dict) else None
    if not isinstance(version, int) or not isinstance(state.get("sha256"), dict):
        raise _Damaged(f"{path}: damaged, state.json is not a checkpoint's")
    if version > VERSION:
        raise BundleError(f"{path}: of checkpoint version {version}, known are those up to {VERSION}; update Ostinato")
    try:
        if version == VERSION and files.CHECKSUM not in state:
            raise ValueError("it has no checksum")
        return files.without_checksum(state)
    except ValueError as problem:
        raise _Damaged(f"{path}: damaged, state.json: {problem}") from None


def _tensors(path: Path, digest: str | None = None) -> dict[str, Tensor]:
    """The tensors of a file, each in its own memory: safetensors' views are unaligned, and sums depend on alignment."""
    try:
        data = path.read_bytes()
        if digest is not None and hashlib.sha256(data).hexdigest() != digest:
            raise _Damaged(f"{path}: damaged, its content is not what was written")
        return {name: tensor.clone() for name, tensor in safetensors.torch.load(data).items()}
    except FileNotFoundError:
        raise _Damaged(f"{path}: is missing") from None
    except SafetensorError as problem:
        raise _Damaged(f"{path}: damaged ({problem})") from None


def model_tensors(model: nn.Module) -> dict[str, Tensor]:
    """What a model's state_dict holds, a tied tensor once, under its first name."""
    seen: set[int] = set()
    tensors = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        if id(tensor) not in seen:
            seen.add(id(tensor))
            tensors[name] = tensor.detach()
    return tensors


@torch.no_grad()
def restore_model(model: nn.Module, saved: Mapping[str, Tensor], where: str | Path, *, whole: bool = True) -> None:
    """Copies saved weights into a model of the same shape.

    Args:
        model: whose weights are replaced.
        saved: by name, as this version or an earlier one wrote them.
        where: they come from, for messages.
        whole: whether all weights have to be there; without, those that lack stay as they are.

    Errors:
        BundleError: names or shapes differ.
    """
    own, saved = model_tensors(model), _of_earlier(model, saved)
    saved = saved if whole else own | saved
    wrong = sorted(own.keys() ^ saved.keys()) or [name for name in own if own[name].shape != saved[name].shape]
    if wrong:
        differing = ", ".join(wrong[:5])
        raise BundleError(
            f"{where}: not the weights of this model, which differs in {differing}; copy the run again or train again"
        )
    for name, tensor in own.items():
        tensor.copy_(saved[name])


def _of_earlier(model: nn.Module, saved: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights with those of heads as this version has them."""
    today = dict(saved)
    for place, head in model.named_modules():
        if isinstance(head, Head):
            below = {name.removeprefix(f"{place}."): saved[name] for name in saved if name.startswith(f"{place}.")}
            today |= {f"{place}.{name}": tensor for name, tensor in head.of_earlier(below).items()}
    return today


def optimizer_tensors(optimizer: torch.optim.Optimizer, named: Mapping[str, nn.Parameter]) -> dict[str, Tensor]:
    """The optimizer's state as `KEY of PARAMETER`; numbers become float64 tensors, which are exact."""
    return {
        f"{key} of {name}": value if isinstance(value, Tensor) else torch.tensor(value, dtype=torch.float64)
        for name, parameter in named.items()
        for key, value in optimizer.state.get(parameter, {}).items()
        if value is not None
    }


def restore_optimizer(
    optimizer: torch.optim.Optimizer, named: Mapping[str, nn.Parameter], saved: Mapping[str, Tensor]
) -> None:
    """Takes up a saved state, whose parameters have these names."""
    ordered = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    numbers = {parameter: number for number, parameter in enumerate(ordered)}
    places = {name: numbers[parameter] for name, parameter in named.items()}
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in saved.items():
        key, _, parameter = name.partition(" of ")
        state.setdefault(places[parameter], {})[key] = tensor
    # load_state_dict moves each tensor to where its parameter is, and knows which of them stay on the CPU.
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def refuse_changes(before: Mapping[str, Any], now: Mapping[str, Any], free: Iterable[str], where: str | Path) -> None:
    """Compares what decided the run so far with what is asked for now, both nested mappings of JSON values.

    Args:
        free: dotted paths that may change, with all below them, because they touch the future or nothing at all.

    Errors:
        ConfigError: everything that would change the past, by name.
    """
    old, new, absent = flat(before), flat(json.loads(json.dumps(now))), "not there"
    changed = [
        f"{path} was {old.get(path, absent)!r}, is {new.get(path, absent)!r}"
        for path in sorted(old.keys() | new.keys())
        if old.get(path, absent) != new.get(path, absent)
        and not any(f"{path}.".startswith(f"{setting}.") for setting in free)
    ]
    if changed:
        raise ConfigError(
            f"{where}: what was trained so far cannot be kept with these changes: {'; '.join(changed)}."
            f" Set them back, or start anew with --overwrite; what may change on --resume: {', '.join(sorted(free))}"
        )


def flat(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, by dotted paths."""
    leaves: dict[str, Any] = {}
    for name, value in nested.items():
        if isinstance(value, Mapping) and value:
            leaves |= flat(value, f"{prefix}{name}.")
        else:
            leaves[f"{prefix}{name}"] = value
    return leaves
