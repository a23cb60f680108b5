"""Flair: sequence taggers over vectors of words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ostinato.errors import ConfigError, DataError
from ostinato.files import SAFE, saved
from ostinato.importers._files import Weights, json_file, weights_file
from ostinato.importers._recurrent import stacked
from ostinato.importers._vocabulary import Vocabulary
from ostinato.importers.contract import Imported, Importer

DESCRIPTION, WEIGHTS = "flair.json", ("model.pt", f"model{SAFE}")
PICKLED = "final-model.pt"
START, STOP = "<START>", "<STOP>"
"""Tags that a CRF of Flair has beside the others, before the first word and after the last."""
CELLS = {1: "rnn", 3: "gru", 4: "lstm"}
"""The cell that has so many rows of weights for each hidden unit."""
LONGEST = 200
SAVE = (
    "Where Flair is installed: `tagger = SequenceTagger.load('final-model.pt')`, `words ="
    " getattr(tagger.embeddings, 'embeddings', [tagger.embeddings])[0]`, `torch.save(tagger.state_dict(), 'model.pt')`"
    " and `json.dump({'tags': tagger.label_dictionary.get_items(), 'vocabulary': sorted(words.vocab,"
    " key=words.vocab.get)}, open('flair.json', 'w'))`, both into a folder of their own"
)


class Flair(Importer):
    """A SequenceTagger of Flair over one WordEmbeddings, with or without a recurrent network's CRF.

        x[t] = W rnn(R E[word t] + r) + b                   R, r: `reproject_embeddings`, if there
        crf:  follows[i, j] = transitions[j, i],  start = transitions[:, <START>],  end = transitions[<STOP>, :]
        else: p[t] = softmax(x[t])

    Reads `flair.json` (tags, vocabulary) and `model.pt` or safetensors. R E + r is one table here, so that it costs no
    product. A word that the vectors lack is zeros there, and so it is here; where the vectors know words in lower case
    alone, words are read so.

    Source: Akbik, Blythe and Vollgraf 2018, aclanthology.org/C18-1139, section 2; its version 0.15.
    """

    tool = "Flair"
    looks_for = f"{DESCRIPTION} with tags and vocabulary, and model.pt of tagger.state_dict()"

    def recognise(self, folder: Path) -> bool:
        return (folder / DESCRIPTION).is_file() or (folder / PICKLED).is_file()

    def read(self, folder: Path) -> Imported:
        path = folder / DESCRIPTION
        if not path.is_file():
            raise DataError(f"{folder}: holds no {DESCRIPTION}, and {PICKLED} is pickled whole. {SAVE}")
        plain = json_file(path)
        lists = [plain.get(name) for name in ("tags", "vocabulary")]
        if not all(isinstance(value, list) and value and {type(one) for one in value} == {str} for value in lists):
            raise DataError(f"{path}: tags and vocabulary are lists of texts. {SAVE}")
        tags, words = lists
        file = weights_file(folder, WEIGHTS, SAVE)
        weights = Weights(saved(file, SAVE), file)
        # Behind the words stands the row of what they lack; no word is called so, as no word holds a blank.
        vocabulary = Vocabulary([*words, " "], None, None, len(words), path)
        tensors: dict[str, Tensor] = {}
        encoder = _encoder(weights, tensors, vocabulary)
        head = _head(weights, tensors, encoder, tags)
        weights.demand_empty("one WordEmbeddings, an RNN, a linear map and a CRF, without trained initial states")
        kept = [tag for tag in tags if tag not in (START, STOP)]
        lowers = all(word == word.lower() for word in words)
        recipe = {
            "inputs": {"words": {"type": "tokens", "lowercase": lowers, "encoder": encoder}},
            "outputs": {"tags": {"type": "tags", "align": "each", "head": {"type": head}}},
        }
        pieces = vocabulary.pieces
        facts = {
            "inputs.words": {"symbols": pieces, "counts": [0] * len(pieces)},
            "outputs.tags": {"labels": kept, "counts": [0] * len(kept)},
        }
        notes = [
            "words: one with digits that the vectors lack is unknown, where Flair looks for # and 0 in their place"
        ]
        if not lowers:
            notes.append(
                "words: one that the vectors know in lower case alone is unknown, where Flair reads it as that one"
            )
        return Imported(recipe, facts, tensors, {"tags": LONGEST}, notes, [DESCRIPTION, file.name])


def _encoder(weights: Weights, tensors: dict[str, Tensor], vocabulary: Vocabulary) -> dict[str, Any]:
    tables = [name for name in weights.names() if name.startswith("embeddings.") and name.endswith("embedding.weight")]
    others = [name for name in weights.names() if name.startswith("embeddings.") and name not in tables]
    if len(tables) != 1 or others:
        names = ", ".join((others or tables)[:3]) or "none"
        raise ConfigError(
            f"{weights.path}: embeddings of Flair with weights {names}; supported: one WordEmbeddings (no"
            " FlairEmbeddings, no characters, no transformers)"
        )
    table = weights.take(tables[0])
    if len(table) != vocabulary.size:
        raise DataError(
            f"{weights.path}: {len(table):,} vectors of words, and {DESCRIPTION} has {vocabulary.size - 1:,} words and"
            f" the unknown one; save both from one tagger. {SAVE}"
        )
    if "embedding2nn.weight" in weights:
        width = table.shape[1]
        table = table @ weights.take("embedding2nn.weight", width, width).T + weights.take("embedding2nn.bias", width)
    tensors["encoders.words.embedding.learnt.weight"] = vocabulary.rows(table)
    if "rnn.weight_hh_l0" not in weights:
        raise ConfigError(f"{weights.path}: a tagger without its RNN is not supported; supported: use_rnn=True")
    rows, hidden = weights.shape("rnn.weight_hh_l0")
    cell = CELLS.get(rows // hidden, "lstm")
    layers = sum(name.startswith("rnn.weight_hh_l") and "_reverse" not in name for name in weights.names())
    both = "rnn.weight_hh_l0_reverse" in weights
    target = "encoders.words.stack.cells."
    tensors |= stacked(weights, "rnn.", target, cell, table.shape[1], hidden, layers, 2 if both else 1)
    return {
        "type": "recurrent",
        "cell": cell,
        "hidden_size": hidden,
        "layers": layers,
        "bidirectional": both,
        "embedding_size": table.shape[1],
    }


def _head(weights: Weights, tensors: dict[str, Tensor], encoder: dict[str, Any], tags: list[str]) -> str:
    """The head's member, its tensors put beside."""
    size = encoder["hidden_size"] * (2 if encoder["bidirectional"] else 1)
    weight, bias = weights.take("linear.weight", len(tags), size), weights.take("linear.bias", len(tags))
    if "crf.transitions" not in weights:
        tensors |= {"heads.tags.labels.output.weight": weight, "heads.tags.labels.output.bias": bias}
        return "tagger"
    if START not in tags or STOP not in tags:
        raise DataError(f"{weights.path}: a CRF, and tags lack {START} and {STOP}. {SAVE}")
    moves = weights.take("crf.transitions", len(tags), len(tags))
    start, stop = tags.index(START), tags.index(STOP)
    kept = torch.tensor([at for at in range(len(tags)) if at not in (start, stop)])
    tensors |= {
        "heads.tags.output.weight": weight[kept],
        "heads.tags.output.bias": bias[kept],
        "heads.tags.chain.starts": moves[kept, start],
        "heads.tags.chain.ends": moves[stop, kept],
        "heads.tags.chain.follows": moves[kept][:, kept].T.contiguous(),
    }
    return "crf"
