"""How fast is a recurrent translator trained and searched, beside JoeyNMT 2.3.0 with the same shapes in the same run?

    python benchmarks/translation_training.py --install-peer    JoeyNMT into .peers/joeynmt, once
    python benchmarks/translation_training.py --data-root DATA  measures, writes results/translation_training.json here

Shapes: bi-GRU 256, GRU 512 decoder, additive attention 512 wide, input feeding, embeddings 256, dropout 0.3, label
smoothing 0.1, AdamW, gradients clipped to norm 1, 64 sentences a batch, Multi30k German to English.

What makes it fair: both read the same files of the same symbols (Ostinato's BPE of 6,000 pieces a side, written as
words, so that a token is the same thing to both and splitting costs JoeyNMT next to nothing), both have one vocabulary,
both run their own training step (batches made, forward, backward, clipping, optimizer) on the same number of threads,
and they take turns in short pieces, so that a slow moment of the machine meets both. Batches are each one's own habit:
JoeyNMT takes sentences in random order, Ostinato those of similar length. A token is a target symbol or the end;
padding counts for neither. The first piece of each is not counted.

Beam search, width 5, 64 sentences at a time, the length penalty of Wu et al. 2016 with alpha 1, is timed from symbols
to symbols with the weights of the training just timed, far from the end of learning. Such weights say too little or too
much, so the number that counts, `decoding`, has both take exactly as many steps for every sentence as references have
symbols on average. In `decoding_free` each ends as it likes, after 60 steps at most, and it is told how many it took:
it rewards what stops early.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import _peer_process
import torch
from _peer_process import Order

from ostinato import api
from ostinato.data.batches import Batches
from ostinato.data.read import open_table
from ostinato.files import write
from ostinato.preprocessing.prepare import prepare
from ostinato.recipe.read import Recipe, from_arguments
from ostinato.registry import Settings, make, settings_class
from ostinato.run.predict import answers
from ostinato.run.run import Run
from ostinato.training.repeatable import surroundings
from ostinato.training.task import Progress

HOME = Path(__file__).resolve().parent.parent
PEER, FOLDER = HOME / ".peers" / "joeynmt", HOME / ".peers" / "m30k"
RESULT = HOME / "benchmarks" / "results" / "translation_training.json"
SPLITS = {"train": "train", "dev": "val", "test": "test_2016_flickr"}
ROWS, PIECES, LONGEST, WIDTH, DECODE_ROUNDS = 64, 6000, 60, 5, 3

Rates = dict[str, list[float]]


def install_peer() -> None:
    """JoeyNMT in its own environment; torch first, so that no CUDA build is drawn in, then what it forgets or
    outgrew."""
    subprocess.run([sys.executable, "-m", "venv", str(PEER)], check=True)
    for packages in (["torch==2.13.0"], ["joeynmt==2.3.0", "importlib_metadata", "sentencepiece==0.2.0"]):
        subprocess.run([str(PEER / "bin" / "python"), "-m", "pip", "install", "--quiet", *packages], check=True)


def prepare_data(root: Path, updates: int, sentences: int) -> dict[str, int]:
    """Writes the symbols of both sides, `p17 p4 ...` a line, and the vocabularies; gives their sizes."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    lines: dict[str, dict[str, list[str]]] = {}
    for language in ("de", "en"):
        tokenizer = make("modalities", "text", (), {"tokenizer": settings_class("tokenizers", "bpe")(size=PIECES)})
        texts = {split: _texts(root, name, language) for split, name in SPLITS.items()}
        tokenizer.fit(texts["train"])
        for split, raw in texts.items():
            lines.setdefault(split, {})[language] = [
                " ".join(f"p{one}" for one in tokenizer.encode(text)) for text in raw
            ]
    sizes = {}
    for split, limit in (("train", updates * ROWS), ("dev", ROWS), ("test", sentences)):
        pairs = [pair for pair in zip(lines[split]["de"], lines[split]["en"]) if max(map(_length, pair)) <= LONGEST][
            :limit
        ]
        if len(pairs) < limit:
            sys.exit(
                f"{split}: {len(pairs):,} usable sentences, {limit:,} are needed; lower --rounds, --piece or "
                "--sentences"
            )
        for language, column in zip(("de", "en"), zip(*pairs)):
            write(FOLDER / f"{split}.{language}", "\n".join(column) + "\n")
            if split == "train":
                symbols = sorted({symbol for line in column for symbol in line.split()})
                write(FOLDER / f"voc.{language}", "\n".join(symbols) + "\n")
                sizes[language] = len(symbols)
    return sizes


def _texts(root: Path, split: str, language: str) -> list[str]:
    source = {language: f"multi30k-translation/{split}.{language}.gz"}
    table = open_table(source, columns=[language], base=root, data_root=[], where="--data-root")
    return [text for block in table.blocks() for text in block.columns[language]]


def _length(line: str) -> int:
    return line.count(" ") + 1


def recipe(piece: int) -> Recipe:
    """The same shapes as _joeynmt_peer.py."""
    shared = {"cell": "gru", "embedding_size": 256, "dropout": 0.3}
    decoder = {"cell": "gru", "hidden_size": 512, "attention": "additive", "input_feeding": True}
    head = {"decoder": decoder, "embedding_size": 256, "dropout": 0.3, "label_smoothing": 0.1}
    training = {
        "batch_rows": ROWS,
        "epochs": 1,
        "optimizer": {"type": "adamw", "learning_rate": 1e-3, "weight_decay": 0.0},
        "clip_norm": 1.0,
        "report_every": piece,
        "checkpoint_seconds": 1e6,
    }
    made = from_arguments(
        {"de": {"type": "tokens", "encoder": {**shared, "type": "recurrent", "hidden_size": 256}}},
        {"en": {"type": "tokens", "head": head}},
        data={"train": {"de": "train.de", "en": "train.en"}, "valid": {"de": "dev.de", "en": "dev.en"}},
        training=training,
    )
    made.base = FOLDER
    return made


def measure_training(piece: int, rounds: int, run: Path, peer: Order | None) -> Rates:
    """Target tokens a second of each piece; the loop runs as always, and whenever a piece is done it waits for the
    peer's."""
    given = recipe(piece)
    prepared = prepare(given)
    examples, seed = prepared.splits["train"], prepared.recipe.settings.training.seed
    order = Batches(examples.num_steps, batch_rows=ROWS, seed=seed).epoch(0)
    targets = examples.lengths("outputs.en")
    tokens = [int(targets[rows].sum()) + len(rows) for rows in order]
    rates: Rates = {"ostinato": []} | ({"joeynmt": []} if peer else {})
    began = time.perf_counter()

    def heard(progress: Progress) -> None:
        nonlocal began
        if progress.update % piece:
            return
        seconds = time.perf_counter() - began
        rates["ostinato"].append(sum(tokens[progress.update - piece : progress.update]) / seconds)
        if peer:
            found = peer("train", piece)
            rates["joeynmt"].append(found["tokens"] / found["seconds"])
        shown = ", ".join(f"{name} {one[-1]:,.0f}" for name, one in rates.items())
        print(f"training, piece {progress.update // piece} of {rounds + 1}, tokens/s: {shown}", flush=True)
        began = time.perf_counter()

    api.fit(given, run, device="cpu", on_event=heard)
    return {name: one[1:] for name, one in rates.items()}


def measure_decoding(run: Path, shortest: int, longest: int, peer: Order | None) -> tuple[Rates, dict[str, float]]:
    """Sentences a second of each round, and the symbols that each said to a sentence, the end included where it was
    said."""
    taken = Run.load(run)
    rows = [{"de": line.split()} for line in (FOLDER / "test.de").read_text(encoding="utf-8").splitlines()]
    # JoeyNMT stops at its limit without an end; ours says the end after it, so that equal steps need a limit that is
    # one lower.
    search: Settings = settings_class("searches", "beam")(
        type="beam", width=WIDTH, normalization="gnmt", min_length=max(0, shortest - 1), max_length=longest - 1
    )
    rates: Rates = {"ostinato": []} | ({"joeynmt": []} if peer else {})
    said: dict[str, float] = {}
    for _ in range(DECODE_ROUNDS + 1):
        began = time.perf_counter()
        found = answers([taken], rows, search=search, batch_rows=ROWS)
        rates["ostinato"].append(len(rows) / (time.perf_counter() - began))
        said["ostinato"] = statistics.mean(len(one["en"][0].value) + 1 for one in found)
        if peer:
            told = peer("decode", shortest, longest)
            rates["joeynmt"].append(told["sentences"] / told["seconds"])
            said["joeynmt"] = told["tokens"] / told["sentences"]
    return {name: one[1:] for name, one in rates.items()}, said


def summed_up(rates: Rates, **more: Any) -> dict[str, Any]:
    """Median and spread of each, and of the ratio of pieces that were measured one after the other."""
    found = {name: _spread(one) for name, one in rates.items()}
    if "joeynmt" in rates:
        found["ratio"] = _spread([own / other for own, other in zip(rates["ostinato"], rates["joeynmt"], strict=True)])
    return found | more


def _spread(numbers: list[float]) -> dict[str, Any]:
    return {"median": statistics.median(numbers), "low": min(numbers), "high": max(numbers), "all": numbers}


def show(what: str, found: dict[str, Any]) -> None:
    for name in ("ostinato", "joeynmt", "ratio"):
        if name in found:
            median, low, high = (found[name][key] for key in ("median", "low", "high"))
            print(f"{what:24} {name:9} {median:10,.2f}   ({low:,.2f} to {high:,.2f})")


def start_peer(threads: int) -> tuple[Order | None, dict[str, Any]]:
    """What gives orders to the peer, and what it says of itself; None where it is not installed."""
    python = PEER / "bin" / "python"
    if not python.exists():
        print("JoeyNMT is not installed (--install-peer does it): measuring Ostinato alone")
        return None, {}
    command = [str(python), str(HOME / "benchmarks" / "_joeynmt_peer.py"), str(threads)]
    return _peer_process.started("JoeyNMT", command, FOLDER / "joeynmt.log", cwd=FOLDER)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--install-peer", action="store_true")
    parser.add_argument("--data-root", type=Path, default=os.environ.get("OSTINATO_DATA", "data"), metavar="DATA")
    parser.add_argument("--piece", type=int, default=40, help="updates before the other's turn (default 40)")
    parser.add_argument("--rounds", type=int, default=9, help="turns that count, after one that does not (default 9)")
    parser.add_argument("--sentences", type=int, default=256, help="test sentences to search (default 256)")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    chosen = parser.parse_args()
    if chosen.install_peer:
        return install_peer()
    torch.set_num_threads(chosen.threads)
    vocabulary = prepare_data(chosen.data_root.resolve(), chosen.piece * (chosen.rounds + 1), chosen.sentences)
    steps = round(
        statistics.mean(_length(line) + 1 for line in (FOLDER / "test.en").read_text(encoding="utf-8").splitlines())
    )
    peer, its = start_peer(chosen.threads)
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        training = summed_up(measure_training(chosen.piece, chosen.rounds, run, peer))
        own = sum(one.numel() for one in Run.load(run).graph.parameters())
        equal, said = measure_decoding(run, steps, steps, peer)
        free, freely = measure_decoding(run, 1, LONGEST, peer)
    found = {
        "command": f"python benchmarks/translation_training.py --data-root DATA --piece {chosen.piece} --rounds "
        f"{chosen.rounds}"
        f" --sentences {chosen.sentences} --threads {chosen.threads}",
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {"cores": os.cpu_count(), **surroundings("cpu")},
        "peer": {"joeynmt": "2.3.0", **its} if peer else None,
        "parameters": own,
        "vocabulary": vocabulary,
        "training": training,
        "decoding": summed_up(equal, symbols=said),
        "decoding_free": summed_up(free, symbols=freely),
    }
    write(RESULT, json.dumps(found, indent=1) + "\n")
    print(f"\nmedian (least to most) of {chosen.rounds} pieces, {chosen.threads} threads")
    show("training, tokens/s", training)
    show(f"beam {WIDTH}, sentences/s", found["decoding"])
    show("... each ends freely", found["decoding_free"])
    print(f"symbols a sentence: {said}; freely {freely}")


if __name__ == "__main__":
    main()
