"""How soon does a small language model of characters learn, beside nanoGPT at its own setting for a CPU?

    python benchmarks/small_language_models.py --install-peer       nanoGPT into .peers/nanoGPT, once
    python benchmarks/small_language_models.py --data-root DATA     measures; writes results/small_language_models.json

nanoGPT trains 2,000 updates as its README has it for a CPU: 4 layers of 128, 64 characters, 12 rows a batch. Its
seconds are those of its updates alone, without validation. Ours are those of recipes/shakespeare-transformer.yaml, as
many layers and as wide, in `--updates` updates, validation left out as well; then that recipe, an LSTM and a minimal
GRU of as many parameters for `--minutes` each, everything included.

A loss is in nats per character on the same held-out twentieth of Tiny Shakespeare in rows of 64. nanoGPT predicts each
row but its first character, ours the first character and the end too, which costs it more than it gains.
"""

import argparse
import json
import math
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ostinato.files import write
from ostinato.training.repeatable import surroundings

HOME = Path(__file__).resolve().parent.parent
PEERS = HOME / ".peers"
PEER, RUNS = PEERS / "nanoGPT", PEERS / "small_language_models"
RESULT = HOME / "benchmarks" / "results" / "small_language_models.json"
ADDRESS = "https://github.com/karpathy/nanoGPT"
LENGTH, ROWS = 64, 12
SETTING = {
    "device": "cpu", "compile": False, "eval_iters": 1, "log_interval": 1, "block_size": LENGTH, "batch_size": ROWS,
    "n_layer": 4, "n_head": 4, "n_embd": 128, "dropout": 0.0,
}  # fmt: skip
OTHERS = {
    "LSTM": "{cell: lstm, bidirectional: false, layers: 2, hidden_size: 248, embedding_size: 64, dropout: 0}",
    "minimal GRU": "{cell: mingru, bidirectional: false, layers: 4, hidden_size: 320, embedding_size: 128, dropout: 0, "
    "residual: true}",
}


def peer(updates: int) -> dict[str, float]:
    """Trains nanoGPT; its seconds and its loss."""
    words = [f"--{name}={value}" for name, value in SETTING.items()]
    words += [f"--max_iters={updates}", f"--lr_decay_iters={updates}", f"--eval_interval={updates}"]
    train = [sys.executable, "train.py", "config/train_shakespeare_char.py", *words, "--always_save_checkpoint=True"]
    told = subprocess.run(train, cwd=PEER, check=True, capture_output=True, text=True).stdout
    times = dict(re.findall(r"^iter (\d+): loss .*, time ([\d.]+)ms", told, flags=re.M))
    seconds = sum(float(time) for update, time in times.items() if int(update) % updates) / 1000
    measure = [sys.executable, str(Path(__file__).with_name("_nanogpt_peer.py"))]
    loss = subprocess.run(measure, cwd=PEER, check=True, capture_output=True, text=True).stdout
    return {"updates": updates, "seconds": seconds, "loss": float(loss.splitlines()[-1])}


def ours(name: str, *words: str) -> dict[str, float]:
    """Trains a recipe; its seconds, validation included and without, and its loss."""
    run = RUNS / name.replace(" ", "-")
    recipe = ["recipes/shakespeare-transformer.yaml", "--data-root", str(PEERS), "--set", "data.test=null"]
    train = [sys.executable, "-m", "ostinato", "train", *recipe, "--out", str(run), "--overwrite", *words]
    subprocess.run(train, cwd=HOME, check=True)
    events = [json.loads(line) for line in (run / "history.jsonl").read_text(encoding="utf-8").splitlines()]
    epochs = [event for event in events if event["event"] == "epoch"]
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))["valid"]["outputs"]["going_on"]
    return {
        "updates": epochs[-1]["update"],
        "seconds": epochs[-1]["seconds"],
        "seconds_of_updates": epochs[-1]["update"] * 2 * LENGTH * ROWS / epochs[-1]["steps_per_second"],
        "loss": metrics["bits_per_character"]["value"] * math.log(2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--install-peer", action="store_true", help=f"clones {ADDRESS}")
    parser.add_argument("--data-root", default=os.environ.get("OSTINATO_DATA", "data"), metavar="DATA")
    parser.add_argument("--peer-updates", type=int, default=2000, help="of nanoGPT")
    parser.add_argument("--updates", type=int, default=500, help="of ours beside them")
    parser.add_argument("--minutes", type=float, default=30, help="of each of our three")
    chosen = parser.parse_args()
    if chosen.install_peer:
        subprocess.run(["git", "clone", "--depth", "1", ADDRESS, str(PEER)], check=True)
        return
    if not (PEER / "train.py").is_file():
        sys.exit("nanoGPT is not there: python benchmarks/small_language_models.py --install-peer")
    prepare = [sys.executable, "tools/prepare.py", "shakespeare-64", "--data-root", chosen.data_root]
    subprocess.run([*prepare, "--out", str(PEERS)], cwd=HOME, check=True)
    write_binaries()
    found: dict[str, Any] = {"nanoGPT": peer(chosen.peer_updates)}
    found["as few updates as reach it"] = ours("short", "--set", f"training.max_updates={chosen.updates}")
    for name, encoder in {"Transformer": "", **OTHERS}.items():
        optimizer = "training.optimizer={type: adamw, learning_rate: 0.003}"
        words = ("--set", f"inputs.text.encoder={encoder}", "--set", optimizer) if encoder else ()
        found[name] = ours(name, "--minutes", str(chosen.minutes), "--set", "training.epochs=200", *words)
    about = surroundings("cpu")
    found |= {"machine": {name: about[name] for name in ("processor", "capability", "threads", "torch")}}
    command = " ".join("DATA" if word == chosen.data_root else word for word in sys.argv)
    found |= {"date": datetime.now(UTC).date().isoformat(), "command": command}
    write(RESULT, json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


def write_binaries() -> None:
    """The text as nanoGPT reads it: numbers of characters, the first nine tenths to train."""
    import pickle

    import numpy as np

    rows = {
        split: [json.loads(line)["text"] for line in (PEERS / f"prepared-shakespeare-64/{split}.jsonl").open()]
        for split in ("train", "valid", "test")
    }
    text = {split: "".join(part) for split, part in rows.items()}
    symbols = sorted(set("".join(text.values())))
    number = {symbol: place for place, symbol in enumerate(symbols)}
    folder = PEER / "data" / "shakespeare_char"
    for name, part in (("train", text["train"]), ("val", text["valid"] + text["test"]), ("valid", text["valid"])):
        np.array([number[symbol] for symbol in part], dtype=np.uint16).tofile(folder / f"{name}.bin")
    (folder / "meta.pkl").write_bytes(pickle.dumps({"vocab_size": len(symbols), "itos": symbols, "stoi": number}))


if __name__ == "__main__":
    main()
