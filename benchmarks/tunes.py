"""How good are tunes that a run generates, beside held-out ones and n-grams?

    python benchmarks/tunes.py RUN --data DIR/prepared-nottingham-abc [--count 200] [--split valid] [--seed 0]

RUN is one of recipes/nottingham-abc.yaml; DIR is made by `python tools/prepare.py nottingham-abc`. Printed for the
generated tunes and the split's own, as JSON:

    accepted      share of tunes for which the parser of ABC (abc2midi in symusic, extra `music`) has no message
    bars          share of bars as long as the meter; the first and last of a part may be shorter
    pitches       half the sum of differences between the shares of the 12 pitch classes and those of training
    keys          likewise of the keys that tunes name
    copied        share of runs of 16 notes (pitch and length) that occur in training
    longest_copy  how many notes the longest run has that occurs in training

`split_half` is the distance of pitches and of keys between two halves of training, which no model needs to undercut.
`ngrams` are bits per character of the split's tunes, the end counted, by interpolated n-grams of characters (Witten and
Bell 1991).
"""

import argparse
import ctypes
import itertools
import json
import math
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from pathlib import Path

from ostinato import api
from ostinato.modalities import _abc

RUN_LENGTH = 16
ORDER = 6
SCALE = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
ACCIDENTALS = {"^": 1, "_": -1, "=": 0}
SHARPS = "FCGDAEB"


def signature(key: str) -> dict[str, int]:
    """The notes that a key raises or lowers, a letter each: major and minor keys."""
    tonic, minor = key.rstrip("m"), key.endswith("m") and not key.endswith("dim")
    fifths = {"F": -1, "C": 0, "G": 1, "D": 2, "A": 3, "E": 4, "B": 5}.get(tonic[:1], 0) - 3 * minor
    fifths += 7 * (tonic.count("#") - tonic[1:].count("b"))
    raised = SHARPS[:fifths] if fifths > 0 else SHARPS[fifths:]
    return dict.fromkeys(raised, 1 if fifths > 0 else -1) if fifths else {}


def notes_of(tune: str) -> list[tuple[int, str]]:
    """Pitch (0: C) and written length of each note, the signs of its key and bar applied."""
    notes, own, bar = [], dict[str, int](), dict[str, int]()
    for symbol in _abc.symbols_of(tune):
        kind = _abc.read(symbol).kind
        if kind in _abc.BARS:
            bar = {}
        elif symbol.strip("[]\n").startswith("K:"):
            own, bar = signature(symbol.strip("[]\n")[2:]), {}
        elif kind == "note" and symbol[0] not in "zx":
            match = _abc.SYMBOL.fullmatch(symbol)
            written = match["note"]
            letter = written.strip("^_=,'")
            octave = 12 * letter.islower() + 12 * written.count("'") - 12 * written.count(",")
            signs = written[: len(written) - len(written.lstrip("^_="))]
            if signs:
                bar[letter] = sum(ACCIDENTALS[sign] for sign in signs)
            notes.append(
                (SCALE[letter.upper()] + octave + bar.get(letter, own.get(letter.upper(), 0)), match["length"])
            )
    return notes


def distance(first: Iterable[Hashable], second: Iterable[Hashable]) -> float:
    """Half the sum of the differences between two sets of shares: 0 of equal ones, 1 of those that share nothing."""
    counts = [Counter(first), Counter(second)]
    shares = [{value: count / own.total() for value, count in own.items()} for own in counts]
    return sum(abs(shares[0].get(value, 0) - shares[1].get(value, 0)) for value in {*shares[0], *shares[1]}) / 2


def copied(tunes: Sequence[str], training: Sequence[str]) -> tuple[float, int]:
    """The share of runs of RUN_LENGTH notes that occur in training, and the length of the longest run that does."""
    corpus, own = [notes_of(tune) for tune in training], [notes_of(tune) for tune in tunes]

    def runs(of: Sequence[Sequence[Hashable]], length: int) -> Iterator[tuple]:
        return (tuple(notes[place : place + length]) for notes in of for place in range(len(notes) - length + 1))

    known = set(runs(corpus, RUN_LENGTH))
    share = [run in known for run in runs(own, RUN_LENGTH)]
    lengths = itertools.count(1)
    longest = next(length for length in lengths if set(runs(corpus, length)).isdisjoint(runs(own, length))) - 1
    return sum(share) / max(1, len(share)), longest


def key_of(tune: str) -> str:
    return next(symbol.strip() for symbol in _abc.symbols_of(tune) if symbol.startswith("K:"))


def accepted(tunes: Sequence[str]) -> float:
    """The share of tunes for which the parser has no message: it prints them, so it runs in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, "--parse"], input=json.dumps(list(tunes)), capture_output=True, text=True, check=True
    )
    messages = done.stdout.split("\0")[1:]
    assert len(messages) == len(tunes), done.stderr
    return sum(not message.strip() for message in messages) / len(tunes)


def parse() -> None:
    """Has each tune of standard input parsed: a NUL, then what the parser prints."""
    import symusic

    for tune in json.loads(sys.stdin.read()):
        os.write(1, b"\0")
        try:
            symusic.Score.from_abc(tune)
        except RuntimeError as why:
            os.write(1, str(why).encode())
        ctypes.CDLL(None).fflush(None)


def ngram_bits(tunes: Sequence[str], training: Sequence[str], order: int = ORDER) -> float:
    """Bits per character by p(c | h) = (count(h c) + types(h) p(c | shorter h)) / (count(h) + types(h))."""
    after: dict[str, Counter] = {}
    for tune in training:
        for place, character in enumerate(f"{tune}\0"):
            for length in range(min(place, order) + 1):
                after.setdefault(tune[place - length : place], Counter())[character] += 1
    totals = {history: counts.total() for history, counts in after.items()}
    bits = 0.0
    for tune in tunes:
        for place, character in enumerate(f"{tune}\0"):
            probability = 1 / 128
            for length in range(min(place, order) + 1):
                history = tune[place - length : place]
                counts = after.get(history)
                if counts is None:
                    break
                total, types = totals[history], len(counts)
                probability = (counts[character] + types * probability) / (total + types)
            bits -= math.log2(probability)
    return bits / sum(map(len, tunes))


def measures(tunes: Sequence[str], training: Sequence[str]) -> dict[str, float]:
    """What is printed of these tunes."""
    bars = [bar for tune in tunes for bar in _abc.bars_of(_abc.symbols_of(tune))]
    share, longest = copied(tunes, training)
    return {
        "tunes": len(tunes),
        "notes": sum(len(notes_of(tune)) for tune in tunes),
        "accepted": accepted(tunes),
        "bars": sum(length == meter or (edge and length < meter) for length, meter, edge in bars) / max(1, len(bars)),
        "pitches": distance(pitch_classes(tunes), pitch_classes(training)),
        "keys": distance(map(key_of, tunes), map(key_of, training)),
        "copied": share,
        "longest_copy": longest,
    }


def pitch_classes(tunes: Sequence[str]) -> list[int]:
    return [pitch % 12 for tune in tunes for pitch, _ in notes_of(tune)]


def read(data: Path, split: str) -> list[str]:
    return [json.loads(line)["tune"] for line in (data / f"{split}.jsonl").read_text().splitlines()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--split", default="valid")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--temperature", type=float, default=1.0)
    chosen = parser.parse_args()
    training, held_out = read(chosen.data, "train"), read(chosen.data, chosen.split)
    sets = ["search=sample", f"search.temperature={chosen.temperature}", f"search.n_best={chosen.count}"]
    (prediction,) = api.predict(
        chosen.run, rows=[{"tune": ""}], sets=[*sets, "search.max_length=800"], seed=chosen.seed
    )
    tunes = [answer.value for answers in prediction.outputs.values() for answer in answers]
    halves = [training[start::2] for start in (0, 1)]
    report = {
        "generated": measures(tunes, training),
        chosen.split: measures(held_out, training),
        "split_half": {
            "pitches": distance(*map(pitch_classes, halves)),
            "keys": distance(*([key_of(tune) for tune in half] for half in halves)),
        },
        "ngrams": {order: ngram_bits(held_out, training, order) for order in (2, 4, 6, 8)},
    }
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    parse() if sys.argv[1:] == ["--parse"] else main()
