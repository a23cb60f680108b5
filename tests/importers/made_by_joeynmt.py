"""Small models of JoeyNMT with random weights, and what JoeyNMT itself computes with them.

python -m tests.importers.made_by_joeynmt writes those that are kept, where JoeyNMT 2.3.0 is installed.
"""

import copy
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import torch

KEPT = Path(__file__).parents[1] / "fixtures" / "importers"
RECURRENT = {"type": "recurrent", "rnn_type": "gru", "hidden_size": 6, "embeddings": {"embedding_dim": 5}}
TRANSFORMER = {
    "type": "transformer",
    "hidden_size": 8,
    "num_heads": 2,
    "num_layers": 1,
    "ff_size": 10,
    "embeddings": {"embedding_dim": 8, "scale": True},
}
CASES = {
    "joeynmt-recurrent": {"encoder": {}, "decoder": {"hidden_size": 7, "input_feeding": True, "attention": "bahdanau"}},
    "joeynmt-transformer": {
        "transformer": True,
        "encoder": {"layer_norm": "pre"},
        "decoder": {"layer_norm": "pre"},
        "tied_softmax": True,
    },
    "pieces": {"encoder": {}, "decoder": {"hidden_size": 6, "input_feeding": False}, "level": "bpe"},
    "letters": {"encoder": {}, "decoder": {"hidden_size": 6, "attention": "luong"}, "level": "char"},
    "layers": {
        "encoder": {"rnn_type": "lstm", "num_layers": 2},
        "decoder": {"rnn_type": "lstm", "num_layers": 3, "hidden_size": 9, "attention": "luong"},
    },
    "mixed": {
        "encoder": {"rnn_type": "lstm"},
        "decoder": {"rnn_type": "gru", "hidden_size": 5, "init_hidden": "zero"},
        "tied_softmax": True,
    },
    "scaled": {
        "encoder": {"embeddings": {"embedding_dim": 5, "scale": True}},
        "decoder": {"hidden_size": 5, "embeddings": {"embedding_dim": 5, "scale": True}},
        "tied_softmax": True,
    },
    "norms left out": {
        "transformer": True,
        "encoder": {"num_layers": 2, "layer_norm": None},
        "decoder": {"layer_norm": None},
    },
    "post-norm, gelu": {
        "transformer": True,
        "encoder": {"layer_norm": "post", "activation": "gelu"},
        "decoder": {"activation": "gelu"},
    },
    "one table": {
        "transformer": True,
        "encoder": {"layer_norm": "pre", "num_layers": 2},
        "decoder": {"layer_norm": "pre"},
        "tied_softmax": True,
        "tied_embeddings": True,
    },
    "not scaled": {
        "transformer": True,
        "encoder": {"embeddings": {"embedding_dim": 8}},
        "decoder": {"embeddings": {"embedding_dim": 8, "scale": False}},
        "tied_softmax": True,
    },
}
ROWS = [
    ("ein hund läuft über die wiese .", "a dog runs over the meadow ."),
    ("die katze", "the cat the the"),
    ("Hund unbekannt ein", "a dog unknown"),
    ("wiese", "a"),
]
STEPS = 8
"""Of the answers."""


def write(folder, case):
    """Writes a case into a folder, with expected.json beside: log-probabilities of targets, and greedy answers."""
    from joeynmt.config import _check_special_symbols
    from joeynmt.model import build_model
    from joeynmt.tokenizers import build_tokenizer
    from joeynmt.vocabulary import Vocabulary

    folder.mkdir(parents=True)
    level = case.get("level", "word")
    same = case.get("tied_embeddings", False)
    kind = TRANSFORMER if case.get("transformer") else RECURRENT
    model = {"tied_softmax": case.get("tied_softmax", False), "tied_embeddings": same, "initializer": "xavier_uniform"}
    for part in ("encoder", "decoder"):
        model[part] = {name: value for name, value in {**kind, **case[part]}.items() if value is not None}
    model["encoder"] |= {"bidirectional": True} if kind is RECURRENT else {}
    data = {
        "src": {"lang": "de", "level": level, "lowercase": True},
        "trg": {"lang": "en", "level": level, "max_length": 20},
    }
    if level == "bpe":
        for side, column, sort in (("src", 0, "bpe"), ("trg", 1, "unigram")):
            name = _sentencepiece(folder, side, [row[column] for row in ROWS], sort)
            data[side] |= {"tokenizer_type": "sentencepiece", "tokenizer_cfg": {"model_file": str(folder / name)}}
    special = SimpleNamespace(**_check_special_symbols({}))
    tokenizers = build_tokenizer(copy.deepcopy(data))
    vocabularies = []
    for column, lang in ((0, "de"), (1, "en")):
        texts = [row[0 if same else column] for row in ROWS if "unknown" not in row[1]]
        symbols = dict.fromkeys(s for text in texts for s in tokenizers[lang](tokenizers[lang].pre_process(text)))
        if level == "bpe" and lang == "de":  # Of BPE all pieces, of unigram those that occur.
            library = tokenizers[lang].spm
            symbols = dict.fromkeys(map(library.id_to_piece, range(3, library.get_piece_size())))
        vocabularies.append(Vocabulary(sorted(symbols), special))
        tokenizers[lang].set_vocab(vocabularies[-1])
    source, target = vocabularies
    torch.manual_seed(1)
    network = build_model(copy.deepcopy(model), source, target).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    if level == "bpe":
        for side in ("src", "trg"):
            cfg = data[side]["tokenizer_cfg"]
            cfg["model_file"] = Path(cfg["model_file"]).name
    config = {
        "name": "small",
        "data": data,
        "testing": {"beam_size": 3, "beam_alpha": 1.0},
        "training": {"label_smoothing": 0.1},
        "model": model,
    }
    (folder / "config.yaml").write_text(json.dumps(config, indent=1, ensure_ascii=False))
    weights = network.state_dict()
    for name in [name for name in weights if name.endswith(".pe.pe")]:
        weights[name] = weights[name][:, :2].clone()  # 5,000 places, which can be computed and are not read
    state = {"model_state": weights, "optimizer_state": None, "stats_state": {"steps": 3}}
    torch.save(state, folder / "best.ckpt")
    source.to_file(folder / "src_vocab.txt")
    target.to_file(folder / "trg_vocab.txt")
    expected = {"rows": [], "by_step": [], "answers": []}
    for row in ROWS:
        row = (row[0], row[0].lower()) if same else row
        read, said = (tokenizers[lang](tokenizers[lang].pre_process(text)) for lang, text in zip(("de", "en"), row))
        scores = _scores(network, source, target, read, said)
        truth = torch.tensor([*(target.lookup(symbol) for symbol in said), 3])
        expected["rows"].append({"de": row[0], "en": row[1]})
        expected["by_step"].append(scores.gather(1, truth[:, None])[:, 0].tolist())
        answer = []
        while len(answer) < STEPS:
            best = int(_scores(network, source, target, read, answer)[-1].argmax())
            if best == target.eos_index:
                break
            answer.append(target._itos[best])
        expected["answers"].append(answer)
    (folder / "expected.json").write_text(json.dumps(expected, indent=1, ensure_ascii=False))


@torch.no_grad()
def _scores(network, source, target, read, said):
    """The log-probabilities (steps + 1, symbols) of what follows each symbol that is said."""
    symbols, lengths, _ = source.sentences_to_ids([read], bos=False, eos=True)
    given = torch.tensor([[target.bos_index, *(target.lookup(symbol) for symbol in said)]])
    symbols = torch.tensor(symbols)
    mask = torch.ones(1, 1, symbols.shape[1], dtype=torch.bool)
    scores = network._encode_decode(
        src=symbols,
        trg_input=given,
        src_mask=mask,
        src_length=torch.tensor(lengths),
        trg_mask=torch.ones(1, 1, given.shape[1], dtype=torch.bool),
    )[0]
    return scores[0].log_softmax(-1)


def _sentencepiece(folder, side, texts, kind):
    import sentencepiece

    text = folder / "text"
    text.write_text("\n".join(texts * 3).lower())
    sentencepiece.SentencePieceTrainer.train(
        input=str(text),
        model_prefix=str(folder / side),
        vocab_size=40,
        model_type=kind,
        hard_vocab_limit=False,
        normalization_rule_name="identity",
        minloglevel=2,
    )
    text.unlink()
    (folder / f"{side}.vocab").unlink()
    return f"{side}.model"


if __name__ == "__main__":
    for name in sys.argv[1:] or [name for name in CASES if name.startswith("joeynmt-")]:
        write(KEPT / name, CASES[name])
