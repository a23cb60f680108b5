"""fastai: AWD-LSTM language models, and the text classifiers that ULMFiT makes of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ostinato.errors import ConfigError, DataError
from ostinato.files import SAFE, saved
from ostinato.importers._files import Weights, json_file, weights_file
from ostinato.importers._recurrent import stacked
from ostinato.importers._vocabulary import IMPOSSIBLE, Vocabulary
from ostinato.importers.contract import Imported, Importer

VOCABULARY = "vocab.json"
BEGIN, UNKNOWN, FAKE = "xxbos", "xxunk", "xxfake"
FILES = ("*.pth", "*.pt", f"*{SAFE}")
PREFIXES = ("0.module.", "0.", "")
"""Of the encoder's tensors in a classifier, a language model, and an encoder that `save_encoder` wrote."""
NORM_EPSILON = 1e-5
"""Of its batch norms."""
LONGEST = 200
"""Words of a continuation; the files name no number."""
SAVE = (
    "Where fastai is installed: `torch.save(learn.model.state_dict(), 'model.pth')`, and the vocabulary as JSON:"
    " `json.dump({'vocab': list(dls.vocab)}, open('vocab.json', 'w'))`, of a classifier `json.dump({'vocab':"
    " list(dls.vocab[0]), 'labels': list(dls.vocab[1])}, open('vocab.json', 'w'))`"
)


class FastAI(Importer):
    """AWD-LSTM of fastai: a language model, or the classifier that ULMFiT makes of one.

        classifier: softmax(W_2 norm(relu(W_1 norm([last; max; mean]))))       norms over the batch, as learnt

    Reads `vocab.json` and one file of weights, `*.pth`, `*.pt` or safetensors. A text begins with xxbos: in a language
    model it is the begin symbol and, since texts follow each other there, the end; in a classifier `marks: begin`.
    Batch norms are constants once trained, and stand in the linear maps behind them. Its rules and spaCy's words are
    not here: texts are its tokens with blanks between them, without xxbos.

    Source: Merity 2018, arXiv:1708.02182; Howard and Ruder 2018, arXiv:1801.06146; its version 2.
    """

    tool = "fastai"
    looks_for = "vocab.json with the word xxbos, and model.pth of learn.model.state_dict()"

    def recognise(self, folder: Path) -> bool:
        if any(folder.glob("*.pkl")) and any(folder.glob("*.pth")):
            return True
        if not (folder / VOCABULARY).is_file():
            return False
        try:
            return BEGIN in json_file(folder / VOCABULARY).get("vocab", ())
        except (DataError, TypeError):
            return False

    def read(self, folder: Path) -> Imported:
        symbols, labels = _vocabulary(folder)
        path = folder / VOCABULARY
        for word in (BEGIN, UNKNOWN):
            if word not in symbols:
                raise DataError(f"{path}: has no {word}, which every vocabulary of fastai has. {SAVE}")
        begin = symbols.index(BEGIN)
        vocabulary = Vocabulary(symbols, begin, begin, symbols.index(UNKNOWN), path)
        file = weights_file(folder, FILES, SAVE)
        state = saved(file, SAVE)
        if isinstance(state, Mapping) and isinstance(state.get("model"), Mapping):
            state = state["model"]
        weights = Weights(state, file)
        encoder, tensors, prefix = _encoder(weights, vocabulary)
        text = {"type": "text", "tokenizer": {"type": "word", "split_punctuation": False}, "encoder": encoder}
        facts = {"tokenizer": {"pieces": vocabulary.pieces, "counts": [0] * len(vocabulary.pieces)}}
        notes = ["text: give fastai's tokens with blanks between them, without xxbos: ' '.join(tokens[1:])"]
        files = [VOCABULARY, file.name]
        if prefix == "0.module.":
            if labels is None:
                raise DataError(f"{path}: names no labels of the classifier. {SAVE}")
            head = _classifier(weights, tensors, encoder["hidden_size"][-1], len(labels))
            notes.append("label: batch norms stand in the linear maps behind them, as they were at the end of training")
            outputs = {"label": {"type": "category", "align": "summary", "head": head}}
            weights.demand_empty("classifiers of fastai with one layer of lin_ftrs, or none")
            all_facts = {"inputs.text": facts, "outputs.label": {"labels": labels, "counts": [0] * len(labels)}}
            recipe = {"inputs": {"text": {**text, "marks": "begin"}}, "outputs": outputs}
            return Imported(recipe, all_facts, tensors, {"label": 1}, notes, files)
        head = _language_model(weights, tensors, vocabulary, notes)
        outputs = {"next": {"type": "text", "of": "text", "column": "text", "align": "next", "head": head}}
        outputs["next"]["tokenizer"] = {"same_as": "text"}
        weights.demand_empty("language models of fastai by AWD_LSTM")
        recipe = {"inputs": {"text": text}, "outputs": outputs}
        return Imported(recipe, {"inputs.text": facts}, tensors, {"next": LONGEST}, notes, files)


def _vocabulary(folder: Path) -> tuple[list[str], list[str] | None]:
    """The words, and the labels of a classifier."""
    path = folder / VOCABULARY
    if not path.is_file():
        pickled = ", ".join(sorted(other.name for other in folder.glob("*.pkl")))
        why = f"; {pickled} is pickled, and nothing is unpickled here" if pickled else ""
        raise DataError(f"{folder}: holds no {VOCABULARY}{why}. {SAVE}")
    plain = json_file(path)
    words, labels = plain.get("vocab"), plain.get("labels")
    for name, value in (("vocab", words), ("labels", labels)):
        wrong = not isinstance(value, list) or not all(isinstance(word, str) for word in value)
        if wrong and not (name == "labels" and value is None):
            raise DataError(f"{path}: {name} is no list of texts. {SAVE}")
    # Vocabularies are filled up to a multiple of 8 with one and the same word.
    return [f"{FAKE}{at}" if word == FAKE else word for at, word in enumerate(words)], labels


def _encoder(weights: Weights, vocabulary: Vocabulary) -> tuple[dict[str, Any], dict[str, Tensor], str]:
    """The settings and tensors of the encoder, and what stands in front of its names."""
    prefix = next((prefix for prefix in PREFIXES if f"{prefix}encoder.weight" in weights), None)
    layers = len({match[1] for name in weights.names() if (match := re.match(rf"{prefix}rnns\.(\d+)\.", name))})
    if prefix is None or not layers or f"{prefix}rnns.0.module.weight_ih_l0" not in weights:
        raise ConfigError(
            f"{weights.path}: no AWD_LSTM of fastai: it holds {', '.join(weights.names()[:4])} ...; supported:"
            " language_model_learner and text_classifier_learner with AWD_LSTM"
        )
    if f"{prefix}rnns.0.module.weight_ih_l0_reverse" in weights:
        raise ConfigError(f"{weights.path}: an AWD_LSTM with bidir: true is not supported; supported: bidir: false")
    weights.drop(rf"{re.escape(prefix)}encoder_dp\.emb\.weight")
    width = weights.shape(f"{prefix}encoder.weight")[1]
    table = vocabulary.rows(weights.take(f"{prefix}encoder.weight", vocabulary.size, width))
    tensors = {"encoders.text.embedding.learnt.weight": table}
    sizes, below = [], width
    for layer in range(layers):
        at = f"{prefix}rnns.{layer}."
        if f"{at}weight_hh_l0_raw" in weights:  # Beside it, of older versions, the same with some weights dropped.
            weights.rename(f"{at}weight_hh_l0_raw", f"{at}module.weight_hh_l0")
        hidden = weights.shape(f"{at}module.weight_hh_l0")[1]
        cells = stacked(weights, f"{at}module.", "cells.", "lstm", below, hidden, 1)
        tensors |= {f"encoders.text.stack.cells.{layer}{name.removeprefix('cells.0')}": t for name, t in cells.items()}
        sizes.append(hidden)
        below = hidden
    settings = {
        "type": "recurrent",
        "cell": "lstm",
        "hidden_size": sizes,
        "layers": layers,
        "bidirectional": False,
        "embedding_size": width,
        # The rates of awd_lstm_lm_config, for who trains on.
        "dropout": 0.15,
        "variational": True,
        "weight_drop": 0.2,
        "word_dropout": 0.02,
    }
    return settings, tensors, prefix


def _language_model(
    weights: Weights, tensors: dict[str, Tensor], vocabulary: Vocabulary, notes: list[str]
) -> dict[str, Any]:
    table = tensors["encoders.text.embedding.learnt.weight"]
    width, at = table.shape[1], "heads.next.output."
    if "1.decoder.weight" not in weights:
        raise DataError(
            f"{weights.path}: an encoder alone, which says nothing of what follows; save the whole model. {SAVE}"
        )
    said = vocabulary.rows(weights.take("1.decoder.weight", vocabulary.size, width))
    tied = torch.equal(said, table)
    if not tied:
        tensors[f"{at}weight"] = said
    bias = torch.zeros(vocabulary.size)
    if "1.decoder.bias" in weights:
        bias = weights.take("1.decoder.bias", vocabulary.size)
    bias = vocabulary.rows(bias)
    # xxbos is what ends a text; nothing is followed by the begin symbol beside it.
    bias[0] = IMPOSSIBLE
    tensors[f"{at}bias"] = bias
    return {"type": "next_step", "tied": tied, "dropout": 0.1}


def _classifier(weights: Weights, tensors: dict[str, Tensor], width: int, labels: int) -> dict[str, Any]:
    """Batch norm, linear map, relu, batch norm, linear map; or the first two alone."""
    sizes = [labels]
    if "1.layers.1.2.weight" in weights:
        sizes = [weights.shape("1.layers.0.2.weight")[0], labels]
    below = 3 * width
    for layer, size in enumerate(sizes):
        at = f"1.layers.{layer}."
        weight = weights.take(f"{at}2.weight", size, below)
        gain, bias, mean, variance = (
            weights.take(f"{at}0.{part}", below) for part in ("weight", "bias", "running_mean", "running_var")
        )
        scale = gain * (variance + NORM_EPSILON).rsqrt()
        name = "labels.output" if layer == len(sizes) - 1 else "features.layer"
        tensors[f"heads.label.{name}.weight"] = weight * scale
        tensors[f"heads.label.{name}.bias"] = weight @ (bias - mean * scale)
        below = size
    weights.drop(r"1\.layers\.\d\.0\.num_batches_tracked")
    hidden = {"layer_size": sizes[0]} if len(sizes) > 1 else {}
    return {"type": "classifier", "pool": "concatenated", "dropout": 0.1, **hidden}
