"""Turns data sets that are not tables into the tables that recipes read; equal input gives equal bytes.

    python tools/prepare.py scan --data-root DATA --out DIR       prepared-scan/{train,test}.tsv: command, actions
    python tools/prepare.py cmudict --data-root DATA --out DIR    prepared-cmudict/{train,valid,test}.tsv: word, sounds, variants
    python tools/prepare.py copy --out DIR                        prepared-copy/{train,test}.tsv: given, copied, length

DATA holds the data sets' folders (`ostinato data list`), the tables go below DIR. Then train with `--data-root DIR`.
"""

import argparse
import gzip
import random
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ostinato.files import write

Rows = Iterable[tuple[str, ...]]
Tables = dict[str, tuple[tuple[str, ...], Rows]]
"""The name of a split -> its columns and rows."""

ALPHABET = "abcdefghijklmnopqrstuvwxyz"
COPY_SEED, COPY_ROWS = 20150101, 30_000
COPY_TRAINED, COPY_TESTED, COPY_EACH = 40, 60, 100
"""Training rows have lengths uniform from 1 to the first; the test has so many rows of every length from 1 to the second."""


def scan(root: Path) -> Tables:
    """The simple split of SCAN: commands and the actions they ask for."""
    columns = ("command", "actions")
    return {name: (columns, _scan_rows(root / "scan-commands" / f"tasks_{name}_simple.txt.gz")) for name in ("train", "test")}


def _scan_rows(path: Path) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(_lines(path), 1):
        found = re.fullmatch(r"IN: (.+) OUT: (.+)", line)
        if not found:
            sys.exit(f"{path} line {number}: expected `IN: command OUT: actions`, got {line[:80]!r}; fetch the file again")
        yield found[1], found[2]


def cmudict(root: Path) -> Tables:
    """The CMU dictionary without stress: of the sorted words the first and every 20th after it to test, the next to valid.

    All variants of a word lie on one side: in train a row each, in valid and test one row with the first as `sounds`.
    """
    path = root / "cmu-pronouncing-dictionary" / "cmudict.dict.gz"
    listed: dict[str, dict[str, None]] = {}
    for number, line in enumerate(_lines(path), 1):
        word, *sounds = line.partition("#")[0].split()
        if not sounds:
            sys.exit(f"{path} line {number}: expected a word and its sounds, got {line[:80]!r}; fetch the file again")
        word = re.sub(r"\(\d+\)$", "", word.lower())
        listed.setdefault(word, {})[re.sub(r"\d", "", " ".join(sounds))] = None

    split: dict[str, list[tuple[str, ...]]] = {"train": [], "valid": [], "test": []}
    for place, word in enumerate(sorted(listed)):
        side = {0: "test", 1: "valid"}.get(place % 20, "train")
        variants = list(listed[word])
        split[side] += [(word, sounds, " | ".join(variants)) for sounds in (variants if side == "train" else variants[:1])]
    return {side: (("word", "sounds", "variants"), rows) for side, rows in split.items()}


def copy(root: Path | None) -> Tables:
    """Random symbols and the same again, made from a seed; longer in the test than any that was trained on."""
    draw = random.Random(COPY_SEED)
    trained = [draw.randint(1, COPY_TRAINED) for _ in range(COPY_ROWS)]
    tested = [length for length in range(1, COPY_TESTED + 1) for _ in range(COPY_EACH)]
    made = {name: [_copied(draw, length) for length in lengths] for name, lengths in (("train", trained), ("test", tested))}
    return {name: (("given", "copied", "length"), rows) for name, rows in made.items()}


def _copied(draw: random.Random, length: int) -> tuple[str, str, str]:
    symbols = " ".join(draw.choices(ALPHABET, k=length))
    return symbols, symbols, str(length)


TASKS: dict[str, Callable[[Path | None], Tables]] = {"scan": scan, "cmudict": cmudict, "copy": copy}


def prepare(name: str, root: Path | None, out: Path) -> dict[str, int]:
    """Writes the tables of a task; returns the number of rows of each."""
    counts = {}
    for split, (columns, rows) in TASKS[name](root).items():
        lines = ["\t".join(row) + "\n" for row in (columns, *rows)]
        write(out / f"prepared-{name}" / f"{split}.tsv", "".join(lines))
        counts[split] = len(lines) - 1
    return counts


def _lines(path: Path) -> Iterator[str]:
    if not path.is_file():
        sys.exit(f"{path}: there is no such file; --data-root names the folder of the data sets' folders (`ostinato data list`)")
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as lines:
        yield from map(str.strip, lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=sorted(TASKS))
    parser.add_argument("--data-root", type=Path, help="the folder that holds the data sets' folders; copy needs none")
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    if chosen.data_root is None and chosen.name != "copy":
        parser.error(f"{chosen.name} is made from a data set: say where it lies with --data-root")
    for split, rows in prepare(chosen.name, chosen.data_root, chosen.out).items():
        print(f"{chosen.out / f'prepared-{chosen.name}' / split}.tsv: {rows:,} rows")


if __name__ == "__main__":
    main()
