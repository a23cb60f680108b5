"""JoeyNMT: translators, recurrent and Transformers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ostinato.errors import DataError
from ostinato.files import saved
from ostinato.importers import _joeynmt_recurrent, _joeynmt_transformer
from ostinato.importers._files import Weights, option, yaml_file
from ostinato.importers._joeynmt_side import CONFIG, Sides, part_of
from ostinato.importers._translator import UNTIED, tables
from ostinato.importers.contract import Imported, Importer

NETWORKS = {"recurrent": _joeynmt_recurrent, "transformer": _joeynmt_transformer}
LONGEST = 100
"""Steps of an answer, where the configuration names no longest one."""
ADVICE = (
    "Where JoeyNMT is installed, save it anew: `torch.save({'model_state': torch.load(CKPT,"
    " weights_only=False)['model_state']}, CKPT)`"
)


class JoeyNMT(Importer):
    """Translators of JoeyNMT: recurrent encoder and decoder with attention, or Transformers.

    Reads `config.yaml`, the best checkpoint (`best.ckpt`, else the newest), `src_vocab.txt` and `trg_vocab.txt`, and
    the files of sentencepiece that the configuration names. Its encoder reads an end symbol after each source, so the
    input has `marks: end`; its padding is a piece that no text has.

    Source: Kreutzer, Bastings and Riezler 2019, arXiv:1907.12484; its versions 2.0 to 2.3.
    """

    tool = "JoeyNMT"
    looks_for = "config.yaml with model.encoder and model.decoder, *.ckpt, src_vocab.txt, trg_vocab.txt"

    def recognise(self, folder: Path) -> bool:
        if not (folder / CONFIG).is_file():
            return False
        try:
            model = yaml_file(folder / CONFIG).get("model")
        except DataError:
            return False
        return isinstance(model, dict) and {"encoder", "decoder"} <= model.keys()

    def read(self, folder: Path) -> Imported:
        if not (folder / CONFIG).is_file():
            raise DataError(f"{folder}: holds no {CONFIG}; give the model_dir of a training of JoeyNMT")
        return _Reading(folder).imported()


class _Reading:
    """One folder being read."""

    def __init__(self, folder: Path):
        self.path = folder / CONFIG
        plain = yaml_file(self.path)
        self.model, self.testing, self.training = (
            part_of(plain, name, self.path) for name in ("model", "testing", "training")
        )
        self.notes: list[str] = []
        self.checkpoint = _checkpoint(folder)
        state = saved(self.checkpoint, ADVICE)
        self.weights = Weights(state.get("model_state") if isinstance(state, Mapping) else None, self.checkpoint)
        self.source, self.target = Sides(folder, plain, self.notes).read()

    def imported(self) -> Imported:
        own, tensors = self.target, dict[str, Tensor]()
        encoder, width = NETWORKS[self.source.kind].encoder(self.weights, tensors, self.source)
        head = {
            "type": "autoregressive",
            "decoder": NETWORKS[own.kind].decoder(self.weights, tensors, self.source, own, width),
            "embedding_size": own.width,
            "bias": False,
            "dropout": own.dropout(),
            "label_smoothing": option(self.training, "label_smoothing", float, 0.0, str(self.path)) or 0.0,
        }
        self._symbols(tensors, head)
        self.weights.drop(r"(en|de)coder\.pe\.pe")
        self.weights.demand_empty("recurrent and transformer models of JoeyNMT 2")
        target = dict(own.settings)
        if head["tied"] == "input":
            target["tokenizer"] = {"same_as": self.source.name}
        recipe = {
            "inputs": {self.source.name: {**self.source.settings, "encoder": encoder}},
            "outputs": {own.name: {**target, "align": "free", "head": head}},
            "search": self._search(),
        }
        facts = {f"inputs.{self.source.name}": self.source.facts, f"outputs.{own.name}": own.facts}
        longest = option(self.testing, "max_output_length", int, None, "testing") or -1
        if longest < 1:
            longest = option(own.config, "max_length", int, None, "data.trg") or -1
        lengths = {own.name: longest if longest > 0 else LONGEST}
        files = [CONFIG, self.checkpoint.name, "src_vocab.txt", "trg_vocab.txt"]
        return Imported(recipe, facts, tensors, lengths, self.notes, files)

    def _symbols(self, tensors: dict[str, Tensor], head: dict[str, Any]) -> None:
        """The tables of both sides and the softmax, tied where ours can be."""
        source, target = self.source, self.target
        read, given, said = (
            side.vocabulary.rows(self.weights.take(name, side.vocabulary.size, width))
            for side, name, width in (
                (source, "src_embed.lut.weight", source.width),
                (target, "trg_embed.lut.weight", target.width),
                (target, "decoder.output_layer.weight", target.hidden),
            )
        )
        read, given, same = read * source.scale, given * target.scale, source.facts == target.facts
        head["tied"], own = tables(source.name, target.name, read, given, said, same)
        tensors |= own
        untied = option(self.model, "tied_softmax", bool, False, "model") and not head["tied"]
        shared = option(self.model, "tied_embeddings", bool, False, "model") and head["tied"] != "input"
        if untied or shared:
            self.notes.append(UNTIED.format("softmax and embedding" if untied else "embeddings of both sides"))

    def _search(self) -> dict[str, Any]:
        width = option(self.testing, "beam_size", int, 1, "testing")
        if width < 2:
            return {"type": "greedy"}
        alpha = option(self.testing, "beam_alpha", float, -1.0, "testing")
        return {"type": "beam", "width": width} | (
            {"normalization": "gnmt", "alpha": alpha} if alpha > 0 else {"normalization": "none", "alpha": 0.0}
        )


def _checkpoint(folder: Path) -> Path:
    """The best checkpoint, else the newest.

    Errors:
        DataError: there is none.
    """
    best = folder / "best.ckpt"
    if best.is_file():
        return best
    numbered = {int(path.stem): path for path in folder.glob("*.ckpt") if re.fullmatch(r"\d+", path.stem)}
    if numbered:
        return numbered[max(numbered)]
    others = sorted(folder.glob("*.ckpt"))
    if len(others) != 1:
        names = ", ".join(path.name for path in others) or "none"
        raise DataError(
            f"{folder}: a checkpoint is needed, best.ckpt or one with the number of its step ({names} found); copy it"
            " there"
        )
    return others[0]
