"""Preparations of texts and of made-up strings, for tools/prepare.py."""

import csv
import gzip
import hashlib
import json
import random
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from _sound import there

Row = tuple[Any, ...]
Tables = dict[str, tuple[tuple[str, ...], list[Row]]]

PASSAGE_WORDS = 1_000
"""Words of a row of the Penn Treebank, at least; it ends with a sentence."""
PARITY_SEED, PARITY_TRAINED, PARITY_TESTED = 6, 40, 200
BODY_WORDS = 150
"""Words of an e-mail that are read: 79 % of the training part has no more."""
TURN = "\n"
"""Between the turns of a conversation."""
REVIEWS_TESTED, REVIEWS_SEED, REVIEW_WORDS = 2_500, 7, 100
"""Reviews of the test part that are drawn, by which seed, and how many of a review's last words are read."""
TOPICS = {"1": "World", "2": "Sports", "3": "Business", "4": "Science"}


def penn_treebank(root: Path) -> Tables:
    """Mikolov's Penn Treebank in rows of about 1,000 words, `<eos>` after each sentence.

    A model that starts anew at each row has less to go by than one that reads on, and predicts the end of the row too,
    so that its perplexity is a little higher than that of one text.
    """
    folder = root / "penn-treebank-lm"
    return {name: (("words",), list(_passages(folder / f"ptb.{name}.txt.gz"))) for name in ("train", "valid", "test")}


def _passages(path: Path) -> Iterator[tuple[str]]:
    words: list[str] = []
    for line in _text(path).splitlines():
        words += [*line.split(), "<eos>"]
        if len(words) >= PASSAGE_WORDS:
            yield (" ".join(words),)
            words = []
    if words:
        yield (" ".join(words),)


def parity(root: Path | None) -> Tables:
    """Strings of 0 and 1, and whether they hold an odd number of 1: up to 40 long in training and valid, 41 to 200 in
    the test."""
    draw = random.Random(PARITY_SEED)
    parts = {
        "train": (20_000, range(1, PARITY_TRAINED + 1)),
        "valid": (1_000, range(1, PARITY_TRAINED + 1)),
        "test": (2_000, range(PARITY_TRAINED + 1, PARITY_TESTED + 1)),
    }
    made: Tables = {}
    for split, (count, lengths) in parts.items():
        strings = [draw.choices("01", k=draw.choice(lengths)) for _ in range(count)]
        rows: list[Row] = [
            (" ".join(bits), "odd" if bits.count("1") % 2 else "even", str(len(bits))) for bits in strings
        ]
        made[split] = ("bits", "parity", "length"), rows
    return made


def ag_news(root: Path) -> Tables:
    """News of four topics: of the rows numbered from 0 every fifth to test, the next of each to valid."""
    split: dict[str, list[Row]] = {"train": [], "valid": [], "test": []}
    lines = _text(root / "ag-news-topics" / "test.csv.gz").splitlines()
    for place, (topic, title, text) in enumerate(csv.reader(lines)):
        words = " ".join(f"{title}. {text}".split())
        split[{0: "test", 1: "valid"}.get(place % 5, "train")].append((words, TOPICS[topic]))
    return {side: (("text", "topic"), rows) for side, rows in split.items()}


def imdb(root: Path) -> Tables:
    """Film reviews, their last 100 words, and whether they are positive: 2,500 drawn of the test part."""
    split: dict[str, list[Row]] = {}
    for side in ("train", "test"):
        entries = map(json.loads, _text(root / "imdb-reviews" / f"{side}.jsonl.gz").strip().split("\n"))
        split[side] = [(" ".join(entry["text"].split()[-REVIEW_WORDS:]), entry["sentiment"]) for entry in entries]
    split["test"] = random.Random(REVIEWS_SEED).sample(split["test"], REVIEWS_TESTED)
    return {side: (("text", "sentiment"), rows) for side, rows in split.items()}


def aeslc(root: Path) -> Tables:
    """E-mails, their first 150 words, and their subjects; valid and test with the subjects of three other people."""
    folder = root / "aeslc-email-subject-lines"
    parts = {"train": "train", "valid": "dev", "test": "test"}
    return {
        split: (("body", "subject", "others"), list(_mails(folder / f"{name}.zip"))) for split, name in parts.items()
    }


def _mails(path: Path) -> Iterator[Row]:
    there(path)
    with zipfile.ZipFile(path) as archive:
        for name in sorted(archive.namelist()):
            if not name.endswith(".subject"):
                continue
            body, *parts = re.split(r"^@(subject|ann\d)$", archive.read(name).decode("utf-8", "replace"), flags=re.M)
            subject, *others = (" ".join(part.split()) for part in parts[1::2])
            if subject and body.strip():
                yield " ".join(body.split()[:BODY_WORDS]), subject, " | ".join(filter(None, others))


def dailydialog(root: Path) -> Tables:
    """Conversations so far and five answers by people: in training a row each, else the first, beside it the others.

    A conversation belongs to the test where the sha256 of its first turn, modulo 10, is 0, to valid where it is 1.
    """
    split: dict[str, list[Row]] = {"train": [], "valid": [], "test": []}
    for line in _text(root / "dailydialog-plusplus" / "data_positives.json.gz").splitlines():
        entry = json.loads(line)
        first, *others = (" ".join(answer.split()) for answer in entry["positive_responses"])
        turns = [" ".join(turn.split()) for turn in entry["context"]]
        place = int(hashlib.sha256(entry["context"][0].encode()).hexdigest(), 16) % 10
        side, context = {0: "test", 1: "valid"}.get(place, "train"), TURN.join(turns)
        answers = [first, *others] if side == "train" else [first]
        split[side] += [(context, answer, " | ".join(others) if side != "train" else "") for answer in answers]
    return {side: (("context", "answer", "others"), rows) for side, rows in split.items()}


def _text(path: Path) -> str:
    there(path)
    return gzip.decompress(path.read_bytes()).decode("utf-8")
