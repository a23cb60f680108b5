"""How fast does a trained Transformer translate, beside CTranslate2 with the same weights in the same run?

    python benchmarks/decoding.py --install-peer        CTranslate2 into .peers/ctranslate2, once
    python benchmarks/decoding.py --data-root DATA      trains the translator once, then measures

The net is that of recipes/multi30k-en-de-transformer.yaml with `block: vaswani2017`, since CTranslate2 has no squared
relu and no rotary positions in attention to an input: 4 + 4 layers of 192, one vocabulary of 9,000 pieces. It is
trained for a quarter of an hour into .peers/decoding/run: what counts here is that both read the same weights.

Both start from the symbols of the validation sentences and end with symbols, batches sorted by length. A beam has 5
beginnings, its answers are ranked by log p / length, and it ends once 5 have ended (`patience: 1`), as CTranslate2's
does. The contestants take turns; each first translates once outside the clock. A figure is the median of the rounds in
sentences a second, with the least and the most; a ratio is that of two turns of one round. Beside it BLEU, and the
share of sentences in which both say the same.

- `ostinato`: float32, torch's threads; `all answers`: the same without `patience`, until no answer could be better;
- `float32`, `int8`: CTranslate2, one batch at a time on as many threads;
- `float32, apart`: with two threads, two batches at a time on one thread each (`inter_threads=2`).

A row that was measured is kept in .peers/decoding/rows.jsonl until all are there: a run that was stopped continues.
"""

import argparse
import gzip
import json
import os
import statistics
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import _peer_process
import numpy as np
import torch
from _kept_rows import HOME, KeptRows, Row, spread, write_section
from _peer_process import Order
from torch import Tensor

from ostinato import api
from ostinato.files import write
from ostinato.layers.transformer import sinusoids
from ostinato.metrics.contract import Predictions
from ostinato.recipe.read import load
from ostinato.registry import Settings, build, make, settings_class
from ostinato.run.predict import Encodings, batches_of, columns_of, encodings, part_of, prompt_of
from ostinato.run.run import Run, row_number
from ostinato.training.repeatable import surroundings

PEER, FOLDER = HOME / ".peers" / "ctranslate2", HOME / ".peers" / "decoding"
RESULT = HOME / "benchmarks" / "results" / "decoding.json"
PACKAGES = ("ctranslate2==4.8.5", "numpy", "pyyaml")
RECIPE = HOME / "recipes" / "multi30k-en-de-transformer.yaml"
CHANGES = (
    "data.test=null",
    "inputs.en.encoder.block=vaswani2017",
    "inputs.en.encoder.dropout=0.1",
    "outputs.de.head.decoder.block=vaswani2017",
    "outputs.de.head.dropout=0.1",
    "outputs.de.metrics=[{type: bleu, lowercase: true}]",
    "search=greedy",
    "training={batch_steps: 4000, epochs: 12, optimizer: {type: adamw, learning_rate: 0.002}, schedule: {type: cosine, "
    "warmup: 300}, validate_every: 4}",
)
LONGEST = 60
"""Symbols of an answer at most."""
SEARCHES = {"greedy": 1, "beam 5": 5}


def trained(folder: Path, root: Path, minutes: float) -> Run:
    if not (folder / "bundle.json").is_file():
        say = lambda line: print(line, flush=True)  # noqa: E731
        api.fit(load(RECIPE, CHANGES), folder, device="cpu", roots=[root], minutes=minutes, say=say)
    return Run.load(folder)


def written(run: Run, columns: Encodings) -> None:
    """Writes the weights and the sources for the peer."""
    encoder, head = run.graph.encoder("en"), run.graph.heads["de"]
    stack, spec = head.decoder.stack, run.modalities["outputs.de"].spec
    weights: dict[str, Tensor] = {
        "places": sinusoids(torch.arange(LONGEST * 3), stack.size, head.output.weight),
        "embedding": head.decoder.embedding.weight,
        "output.weight": head.output.weight,
        "output.bias": head.output.bias,
    }
    for side, layers in (("encoder", encoder.stack), ("decoder", stack)):
        weights |= {f"{side}.{name}": weight for name, weight in layers.state_dict().items()}
    FOLDER.mkdir(parents=True, exist_ok=True)
    np.savez(FOLDER / "weights.npz", **{name: weight.detach().numpy() for name, weight in weights.items()})
    about = {
        "layers": len(stack.layers),
        "heads": stack.layers[0].attention.heads,
        "norm_epsilon": stack.layers[0].norms[0].eps,
        "longest": LONGEST,
        "symbols": spec.size,
        "begin": spec.begin,
        "end": spec.end,
        "unknown": spec.unknown,
    }
    write(FOLDER / "about.json", json.dumps(about))
    write(FOLDER / "sources.json", json.dumps([source.tolist() for source in columns[run]["en"]]))


def ours(run: Run, columns: Encodings, width: int, batch: int, patience: float | None) -> tuple[float, list[list[int]]]:
    """Seconds, and the symbols of each sentence."""
    settings: Settings = settings_class("searches", "greedy")(type="greedy", max_length=LONGEST)
    if width > 1:
        settings = settings_class("searches", "beam")(type="beam", width=width, max_length=LONGEST, patience=patience)
    searcher = build(settings, "searches")
    answers: list[list[int]] = [[]] * len(columns[run]["en"])
    began = time.perf_counter()
    with torch.inference_mode():
        for rows in batches_of(columns_of(columns), batch):
            prompt = prompt_of([run], "de", part_of(columns, rows), 0)
            given = prompt.generator, prompt.state, torch.full_like(prompt.longest, LONGEST), prompt.seeds
            for row, hypotheses in zip(rows, searcher.search(*given, attention=False, first=prompt.first)):
                answers[row] = hypotheses[0].symbols
    return time.perf_counter() - began, answers


def started() -> tuple[Order | None, dict[str, Any]]:
    """What gives orders to the peer, and its version; None where it is not installed."""
    if not (PEER / "ctranslate2").is_dir():
        print("CTranslate2 is not installed (--install-peer does it): measuring Ostinato alone")
        return None, {}
    command = [sys.executable, str(HOME / "benchmarks" / "_ctranslate2_peer.py"), str(FOLDER)]
    paths = {**os.environ, "PYTHONPATH": str(PEER)}
    return _peer_process.started("CTranslate2", command, FOLDER / "ctranslate2.log", env=paths)


def bleu(run: Run, answers: list[list[int]], truth: list[str]) -> float:
    metric = make("metrics", "bleu", (), {"lowercase": True})
    decoded = [run.modalities["outputs.de"].decode(np.array(symbols, dtype=np.int32)) for symbols in answers]
    rows = metric.statistics(Predictions(decoded, truth))
    return round(metric.value(np.sum(rows, 0).tolist()), 2)


def measure(
    run: Run, columns: Encodings, truth: list[str], peer: Order | None, name: str, batch: int, threads: int, rounds: int
) -> Row:
    """A row: each contestant's sentences a second, BLEU, and ratio of ours to it."""
    width, sentences = SEARCHES[name], len(truth)
    torch.set_num_threads(threads)
    kinds = {"float32": ("float32", 1, threads), "int8": ("int8", 1, threads)}
    if threads > 1 and batch > 1:
        kinds["float32, apart"] = ("float32", threads, 1)
    patience = {"ostinato": 1.0} | ({"all answers": None} if width > 1 and batch > 1 else {})
    rates: dict[str, list[float]] = {own: [] for own in (*patience, *(kinds if peer else ()))}
    said: dict[str, list[list[int]]] = {}
    for turn in range(rounds + 1):
        for contestant, own in rates.items():
            if contestant in patience:
                seconds, said[contestant] = ours(run, columns, width, batch, patience[contestant])
            else:
                peer("load", *kinds[contestant])
                if turn:  # what was just loaded is slow at first
                    peer("translate", list(range(min(batch, sentences))), width, batch)
                if batch > 1:
                    answer = peer("translate", list(range(sentences)), width, batch)
                    seconds, said[contestant] = answer["seconds"], answer["symbols"]
                else:
                    each = [peer("translate", [row], width, 1) for row in range(sentences)]
                    seconds = sum(answer["seconds"] for answer in each)
                    said[contestant] = [answer["symbols"][0] for answer in each]
            if turn:
                own.append(sentences / seconds)
    row: Row = {"search": name, "batch": batch, "threads": threads, "sentences": sentences, "of": {}}
    for contestant, own in rates.items():
        same = sum(mine == theirs for mine, theirs in zip(said["ostinato"], said[contestant]))
        row["of"][contestant] = {
            "sentences a second": spread(own),
            "ostinato / it": spread([mine / theirs for mine, theirs in zip(rates["ostinato"], own)]),
            "bleu": bleu(run, said[contestant], truth),
            "same as ostinato": round(same / sentences, 3),
            "symbols": round(statistics.mean(map(len, said[contestant])), 2),
        }
    return row


def show(row: Row) -> None:
    print(f"{row['search']}, {row['batch']} at a time, {row['threads']} threads, {row['sentences']} sentences")
    for contestant, own in row["of"].items():
        (rate, *rates), (ratio, *ratios) = own["sentences a second"], own["ostinato / it"]
        between, apart = (f"({low} to {high})" for low, high in (rates, ratios))
        print(
            f"  {contestant:15} {rate:7} sentences/s {between}, ostinato / it {ratio} {apart}, BLEU {own['bleu']}, "
            f"same {own['same as ostinato']:.1%}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--install-peer", action="store_true")
    parser.add_argument("--data-root", type=Path, default=os.environ.get("OSTINATO_DATA", "data"), metavar="DATA")
    parser.add_argument(
        "--run", type=Path, default=FOLDER / "run", help="of the translator; trained where it is missing"
    )
    parser.add_argument("--minutes", type=float, default=15, help="of its training (default 15)")
    parser.add_argument("--sentences", type=int, default=512, help="64 at a time (default 512)")
    parser.add_argument("--alone", type=int, default=32, help="sentences one at a time (default 32)")
    parser.add_argument("--rounds", type=int, default=5, help="turns that count (default 5)")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    chosen = parser.parse_args()
    if chosen.install_peer:
        install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(PEER)]
        subprocess.run([*install, *PACKAGES], check=True)
        return
    run = trained(chosen.run, chosen.data_root, chosen.minutes)
    pairs = [_texts(chosen.data_root, language) for language in ("en", "de")]
    rows = [{"en": text} for text in pairs[0]]
    written(run, encodings([run], rows, row_number))
    peer, its = started()
    about = surroundings("cpu")
    kept, found = KeptRows(FOLDER / "rows.jsonl"), []
    for threads in chosen.threads:
        for batch, sentences in ((64, chosen.sentences), (1, chosen.alone)):
            columns = encodings([run], rows[:sentences], row_number)
            for name in SEARCHES:
                key = {"search": name, "batch": batch, "threads": threads, "sentences": sentences}
                given = run, columns, pairs[1][:sentences], peer, name, batch, threads, chosen.rounds
                row = kept.row({**key, "rounds": chosen.rounds, **its}, lambda given=given: measure(*given))
                found.append({**key, "of": row["of"]})
                show(found[-1])
    named = {str(chosen.data_root): "DATA", str(chosen.run): "RUN"}
    words = " ".join(named.get(word, word) for word in sys.argv[1:])
    result = {
        "command": f"python benchmarks/decoding.py {words}",
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {"cores": os.cpu_count(), **about},
        "peer": its or None,
        "parameters": sum(weight.numel() for weight in run.graph.parameters()),
        "rows": found,
    }
    write(RESULT, json.dumps(result, indent=1) + "\n")
    write_section("Translating beside CTranslate2", section(result))
    kept.end()


def section(result: dict[str, Any]) -> str:
    lines = [
        "| sentences a second | threads | Ostinato | CTranslate2, float32 | Ostinato / it | int8 | Ostinato / it |"
    ]
    lines.append("|" + "---|" * 7)
    for row in result["rows"]:
        own = row["of"]
        figures = [f"{own['ostinato']['sentences a second'][0]:,.1f}"]
        for kind in ("float32", "int8"):
            if kind in own:
                ratio, low, high = own[kind]["ostinato / it"]
                figures += [f"{own[kind]['sentences a second'][0]:,.1f}", f"{ratio:.2f} ({low:.2f} to {high:.2f})"]
        lines.append(f"| {row['search']}, {row['batch']} at a time | {row['threads']} | " + " | ".join(figures) + " |")
    whole = [row["of"] for row in result["rows"] if row["batch"] > 1]
    scores = "; ".join(
        f"{row['search']} "
        + ", ".join(
            f"{name} {own['bleu']:.1f} ({own['same as ostinato']:.0%} the same)" for name, own in row["of"].items()
        )
        for row in result["rows"]
        if row["batch"] > 1 and row["threads"] == result["rows"][0]["threads"]
    )
    patient = [f"{own['all answers']['sentences a second'][0]:,.1f}" for own in whole if "all answers" in own]
    machine = result["machine"]
    threads = " and ".join(str(row["threads"]) for row in result["rows"] if "all answers" in row["of"])
    return (
        f"`{result['command']}`, {machine['processor']}, one run: a Transformer of {result['parameters']:,} parameters "
        "and blocks of 2017, whose weights both read; Multi30k's validation sentences, from symbols to symbols. Median "
        "of the rounds, with the least and the most.\n\n"
        + "\n".join(lines)
        + f"\n\nBLEU: {scores}. A beam ends here once 5 answers have ended (`search.patience=1`), as CTranslate2's "
        f"does; without it, until no answer could be better, it translates {' and '.join(patient)} sentences a second "
        f"on {threads} threads. All figures are in [this file](../benchmarks/results/decoding.json)."
    )


def _texts(root: Path, language: str) -> list[str]:
    with gzip.open(root / "multi30k-translation" / f"val.{language}.gz", "rt", encoding="utf-8") as file:
        return file.read().splitlines()


if __name__ == "__main__":
    main()
