"""How good are tunes that a run generates, beside held-out ones and n-grams?

    python benchmarks/tunes.py RUN --data-root DIR [--count 200] [--split test] [--seed 0] [--temperature T]

RUN is one of recipes/nottingham-abc.yaml or nottingham-midi.yaml, DIR is made by tools/prepare.py, the extra `music` is
needed. Printed for the generated tunes and the split's own, as JSON, each with an interval by 1,000 draws of tunes:

    accepted        %, tunes for which the parser of ABC (abc2midi in symusic) has no message; of MIDI, files that
                    open and have notes
    bars            %, bars of ABC as long as the meter; the first and last of a part may be shorter
    pitches         %, half the sum of differences between the shares of the 12 pitch classes and those of training
    keys            %, likewise of the keys that tunes in ABC name
    copied          %, runs of 16 notes (pitch and length) that occur in training
    copied_beyond   points, what is copied beyond the share of the split's own tunes
    longest_copy    how many notes the longest run has that occurs in training

`halves` is the distance of pitches and of keys between two halves of training, which no model needs to undercut.
`ngrams` are bits per character of the split's tunes in ABC, the end counted, by interpolated n-grams of characters
(Witten and Bell 1991).
"""

import argparse
import ctypes
import json
import math
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path

import numpy as np

from ostinato import api
from ostinato.errors import DataError
from ostinato.modalities import _abc, _notes
from ostinato.modalities.music import Music
from ostinato.recipe.read import load

RUN_LENGTH = 16
ORDERS = (2, 4, 6, 8)
DRAWS = 1000
Tune = str | bytes
Measured = dict[str, dict[str, float | str]]
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


def notes_of(tune: Tune) -> list[tuple[int, Hashable]]:
    """Pitch (0, 12 ...: C) and length of each note: as written, the signs of its key and bar applied, or of MIDI in
    twelfths of a beat."""
    if isinstance(tune, bytes):
        if not _opens(tune):
            return []
        score = _notes.score_of_midi(tune)
        notes = sorted((note.time, note.pitch, note.duration) for track in score.tracks for note in track.notes)
        return [(pitch, round(12 * duration / score.ticks_per_quarter)) for _, pitch, duration in notes]
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


def copied(tunes: Sequence[Tune], training: Sequence[Tune]) -> tuple[list[list[bool]], int]:
    """Of each tune's runs of RUN_LENGTH notes whether they occur in training, and the length of the longest run that
    does."""
    kinds: dict[Hashable, str] = {}

    def spelt(tune: Tune) -> str:
        """A character for each note, so that runs are strings."""
        return "".join(kinds.setdefault(note, chr(len(kinds) + 1)) for note in notes_of(tune))

    def runs(notes: str) -> list[str]:
        return [notes[place : place + RUN_LENGTH] for place in range(len(notes) - RUN_LENGTH + 1)]

    corpus, own = [spelt(tune) for tune in training], [spelt(tune) for tune in tunes]
    known = {run for notes in corpus for run in runs(notes)}
    whole, longest = "\0".join(corpus), 0
    for notes in own:
        for place in range(len(notes)):
            if longest < RUN_LENGTH or notes[place : place + RUN_LENGTH] in known:
                while place + longest < len(notes) and notes[place : place + longest + 1] in whole:
                    longest += 1
    return [[run in known for run in runs(notes)] for notes in own], longest


def key_of(tune: str) -> str:
    return next(symbol.strip() for symbol in _abc.symbols_of(tune) if symbol.startswith("K:"))


def accepted(tunes: Sequence[Tune]) -> list[bool]:
    """Whether the parser has no message on a tune: it prints them, so it runs in a process of its own. Whether a MIDI
    file opens."""
    if isinstance(tunes[0], bytes):
        return [_opens(tune) for tune in tunes]
    done = subprocess.run(
        [sys.executable, __file__, "--parse"], input=json.dumps(list(tunes)), capture_output=True, text=True, check=True
    )
    messages = done.stdout.split("\0")[1:]
    assert len(messages) == len(tunes), done.stderr
    return [not message.strip() for message in messages]


def _opens(content: Tune) -> bool:
    try:
        _notes.score_of_midi(content)
    except DataError:
        return False
    return True


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


def ngram_bits(tunes: Sequence[str], training: Sequence[str], order: int) -> list[float]:
    """Bits of each tune by p(c | h) = (count(h c) + types(h) p(c | shorter h)) / (count(h) + types(h))."""
    after: dict[str, Counter] = {}
    for tune in training:
        for place, character in enumerate(f"{tune}\0"):
            for length in range(min(place, order) + 1):
                after.setdefault(tune[place - length : place], Counter())[character] += 1
    totals = {history: counts.total() for history, counts in after.items()}

    def bits(tune: str, place: int, character: str) -> float:
        probability = 1 / 128
        for length in range(min(place, order) + 1):
            history = tune[place - length : place]
            counts = after.get(history)
            if counts is None:
                break
            total, types = totals[history], len(counts)
            probability = (counts[character] + types * probability) / (total + types)
        return -math.log2(probability)

    return [sum(bits(tune, place, character) for place, character in enumerate(f"{tune}\0")) for tune in tunes]


def with_interval(value: Callable[[np.ndarray], np.ndarray], tunes: int) -> dict[str, float | str]:
    """A quantity and its interval.

    Args:
        value: of how often each tune is drawn, (D, tunes), the quantity (D,).
        tunes: how many there are.
    """
    draws = np.random.default_rng(0).multinomial(tunes, np.full(tunes, 1 / tunes), DRAWS)
    low, high = np.quantile(value(draws), [0.025, 0.975])
    method = f"bootstrap over {tunes} tunes, {DRAWS:,} draws, seed 0"
    return {"value": float(value(np.ones((1, tunes)))[0]), "low": float(low), "high": float(high), "method": method}


def share(parts: Sequence[float], wholes: Sequence[float], beyond: float = 0.0) -> dict[str, float | str]:
    """The sum of the parts in that of the wholes, one of each tune, less what is beside it."""
    return with_interval(
        lambda draws: draws @ np.array(parts) / np.maximum(draws @ np.array(wholes), 1) - beyond, len(parts)
    )


def away(values: Sequence[Sequence[Hashable]], training: Iterable[Hashable]) -> dict[str, float | str]:
    """The distance in % of the values of all tunes from those of training."""
    corpus = Counter(training)
    kinds = sorted({*corpus, *(value for own in values for value in own)}, key=str)
    counts = np.array([[own.count(kind) for kind in kinds] for own in values])
    shares = np.array([corpus[kind] for kind in kinds]) / corpus.total()

    def distances(draws: np.ndarray) -> np.ndarray:
        drawn = draws @ counts
        return 50 * np.abs(drawn / drawn.sum(1, keepdims=True) - shares).sum(1)

    return with_interval(distances, len(values))


def measures(tunes: Sequence[Tune], training: Sequence[Tune], beside: float | None = None) -> Measured:
    """What is printed of these tunes.

    Args:
        tunes: those that are measured.
        training: those that were learnt from.
        beside: what is copied of the split's own tunes, in %; None: these are they.
    """
    known, longest = copied(tunes, training)
    runs, copies = [len(own) for own in known], [100 * sum(own) for own in known]
    report = {
        "accepted": share([100 * fine for fine in accepted(tunes)], [1] * len(tunes)),
        "pitches": away([pitch_classes(tune) for tune in tunes], all_pitches(training)),
        "copied": share(copies, runs),
    }
    if beside is not None:
        report["copied_beyond"] = share(copies, runs, beside)
    if isinstance(tunes[0], str):
        bars = [_abc.bars_of(_abc.symbols_of(tune)) for tune in tunes]
        full = [sum(length == meter or (edge and length < meter) for length, meter, edge in own) for own in bars]
        report["bars"] = share([100 * count for count in full], [len(own) for own in bars])
        report["keys"] = away([[key_of(tune)] for tune in tunes], map(key_of, training))
    exact = {"value": float(longest), "low": float(longest), "high": float(longest), "method": f"of {len(tunes)} tunes"}
    return report | {"longest_copy": exact}


def pitch_classes(tune: Tune) -> list[int]:
    return [pitch % 12 for pitch, _ in notes_of(tune)]


def all_pitches(tunes: Iterable[Tune]) -> list[int]:
    return [pitch for tune in tunes for pitch in pitch_classes(tune)]


def read(path: Path) -> list[Tune]:
    parse_field = Music(notation="remi").parse  # which reads ABC too
    return [parse_field(json.loads(line)["tune"]) for line in path.read_text(encoding="utf-8").splitlines()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--split", choices=("valid", "test"), default="test")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--temperature", type=float, help="that of the run without it")
    chosen = parser.parse_args()
    data = chosen.data_root / Path(load(chosen.run / "recipe.yaml").settings.data.train).parent
    training, held_out = (read(data / f"{split}.jsonl") for split in ("train", chosen.split))
    sets = [] if chosen.temperature is None else [f"search.temperature={chosen.temperature}"]
    (prediction,) = api.predict(
        chosen.run, rows=[{"tune": ""}], sets=[*sets, f"search.n_best={chosen.count}"], seed=chosen.seed
    )
    tunes = [answer.value for answers in prediction.outputs.values() for answer in answers]
    halves = [training[start::2] for start in (0, 1)]
    own = measures(held_out, training)
    report: dict[str, Measured] = {
        "generated": measures(tunes, training, own["copied"]["value"]),
        f"{chosen.split} tunes": own,
        "halves": {"pitches": away([pitch_classes(tune) for tune in halves[0]], all_pitches(halves[1]))},
    }
    if isinstance(training[0], str):
        report["halves"]["keys"] = away([[key_of(tune)] for tune in halves[0]], map(key_of, halves[1]))
        lengths = [len(tune) for tune in held_out]
        report["ngrams"] = {
            f"bits_per_character({order})": share(ngram_bits(held_out, training, order), lengths) for order in ORDERS
        }
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    parse() if sys.argv[1:] == ["--parse"] else main()
