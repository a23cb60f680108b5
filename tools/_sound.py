"""Preparations of recordings and of pen strokes, for tools/prepare.py."""

import io
import random
import sys
import wave
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.modalities.audio import wav

Row = tuple[Any, ...]
Tables = dict[str, tuple[tuple[str, ...], list[Row]]]

RATE = 8_000
"""Samples per second of the two sets of recordings."""
SEED = 20150101
WHOLE = "free-spoken-digit-dataset"
VOICES = ("george", "jackson", "nicolas", "yweweler")
STRINGS = {"train": 1_000, "valid": 150, "test": 200}
"""Strings of spoken digits."""
PEN_STRINGS = {"train": 4_000, "valid": 400, "test": 1_000}
PEN_VALID = 600
"""The last drawings of the training part, from which strings of valid are joined."""


def an4(root: Path) -> Tables:
    """Utterances as 13 cepstral coefficients with their first and second differences, three frames beside each other;
    words, and phones by the dictionary.

    Each of the 39 numbers has mean 0 and deviation 1 over its utterance, which takes voice and microphone out. The last
    tenth of the training speakers, sorted by name, to valid.
    """
    spoken = _an4_phones(root / "an4-speech" / "an4.dic")
    rows = {name: list(_an4_rows(root / "an4-speech", name)) for name in ("train", "test")}
    speakers = sorted({speaker for speaker, *_ in rows["train"]})
    held_out = set(speakers[-(len(speakers) // 10) :])
    sides = {
        "train": [row for row in rows["train"] if row[0] not in held_out],
        "valid": [row for row in rows["train"] if row[0] in held_out],
        "test": rows["test"],
    }
    return {
        side: (("sound", "words", "phones"), [(sound, words, _as_phones(words, spoken)) for _, sound, words in chosen])
        for side, chosen in sides.items()
    }


def _an4_phones(path: Path) -> dict[str, list[str]]:
    """The phones of each word: the dictionary's first way to say it; of A, which is spelled here, its second."""
    there(path)
    spoken: dict[str, list[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        word, *phones = line.split()
        spoken.setdefault(word, phones)
    return spoken | {"A": spoken.get("A(2)", [])}


def _as_phones(words: str, spoken: dict[str, list[str]]) -> list[str]:
    unknown = [word for word in words.split() if not spoken.get(word)]
    if unknown:
        sys.exit(f"an4.dic: has no {unknown[0]}, which an utterance says; fetch the file again")
    return [phone for word in words.split() for phone in spoken[word]]


def _an4_rows(folder: Path, name: str) -> Iterator[Row]:
    frames, lengths = _arrays(folder / f"{name}_mfcc.npz", "frames", "lengths")
    header, *lines = (folder / f"{name}.tsv").read_text(encoding="utf-8").splitlines()
    if header.split("\t") != ["id", "speaker", "words"] or len(lines) != len(lengths):
        sys.exit(f"{folder / name}.tsv: expected id, speaker, words, a line for each of {len(lengths)} utterances")
    for line, utterance in zip(lines, np.split(frames, np.cumsum(lengths)[:-1]), strict=True):
        _, speaker, words = line.split("\t")
        first = _differences(utterance)
        every = np.concatenate([utterance, first, _differences(first)], 1)
        every = (every - every.mean(0)) / np.maximum(every.std(0), 1e-6)
        stacked = every[: len(every) // 3 * 3].reshape(-1, 3 * every.shape[1])
        yield speaker, stacked.astype(np.float64).round(3).tolist(), words


def _differences(frames: np.ndarray) -> np.ndarray:
    """The slope of a line through five frames around each, as in HTK's book, section 5.9."""
    padded = np.pad(frames, ((2, 2), (0, 0)), "edge")
    return (padded[3:-1] - padded[1:-3] + 2 * (padded[4:] - padded[:-4])) / 10


def spoken_digits(root: Path) -> Tables:
    """Recordings of a digit: the takes 0 to 4 of each speaker and digit to test, 5 to 9 to valid."""
    sides: dict[str, list[Row]] = {"train": [], "valid": [], "test": []}
    for digit, speaker, take, content in _fsdd(root):
        sides[_side(take)].append((content, digit, speaker))
    return {side: (("clip:file", "digit", "speaker"), rows) for side, rows in sides.items()}


def unseen_voice(root: Path, *, voice: str, whole: bool = False) -> Tables:
    """Recordings of a digit: all of one speaker to test, of the others the takes 0 to 4 to valid.

    Args:
        whole: of all six speakers, in place of the four whose recordings `spoken-digits-fsdd` holds.
    """
    sides: dict[str, list[Row]] = {"train": [], "valid": [], "test": []}
    for digit, speaker, take, content in _takes(_whole_fsdd(root)) if whole else _fsdd(root):
        side = "test" if speaker == voice else "valid" if take < 5 else "train"
        sides[side].append((content, digit, speaker))
    return {side: (("clip:file", "digit", "speaker"), rows) for side, rows in sides.items()}


def _side(take: int) -> str:
    return {0: "test", 1: "valid"}.get(take // 5, "train")


def spoken_digit_strings(root: Path) -> Tables:
    """Strings of 3 to 7 digits by one speaker, joined from the takes of one split, 0.05 to 0.3 s apart, noise over all.

    The noise has a deviation of 0.001 to 0.01 of the greatest sample.
    """
    takes: dict[tuple[str, str], dict[str, list[np.ndarray]]] = defaultdict(lambda: defaultdict(list))
    for digit, speaker, take, content in _fsdd(root):
        takes[_side(take), speaker][digit].append(_samples(content))
    tables: Tables = {}
    for split, count in STRINGS.items():
        draw, noise = random.Random(f"{SEED} {split}"), np.random.default_rng([SEED, len(split)])
        speakers = sorted(speaker for side, speaker in takes if side == split)
        rows = []
        for _ in range(count):
            spoken, digits = takes[split, draw.choice(speakers)], draw.choices("0123456789", k=draw.randint(3, 7))
            parts = [np.zeros(_gap(draw))]
            for digit in digits:
                parts += [draw.choice(spoken[digit]), np.zeros(_gap(draw))]
            sound = np.concatenate(parts)
            sound += noise.normal(0, draw.uniform(0.001, 0.01), len(sound))
            rows.append((wav(sound, RATE), "".join(digits)))
        tables[split] = (("clip:file", "digits"), rows)
    return tables


def _gap(draw: random.Random) -> int:
    return round(draw.uniform(0.05, 0.3) * RATE)


def _fsdd(root: Path) -> Iterator[tuple[str, str, int, bytes]]:
    return _takes(_recordings(root / "spoken-digits-fsdd" / "fsdd_4_speakers.zip"))


def _whole_fsdd(root: Path) -> Iterator[tuple[str, bytes]]:
    """The recordings of a clone of the data set's repository, whose four speakers are those of the archive."""
    folder = root / WHOLE / "recordings"
    names = sorted(path.name for path in folder.glob("*.wav"))
    if not names:
        sys.exit(f"{folder}: no recordings (.wav) there; clone Jakobovski/{WHOLE} from GitHub to {root / WHOLE}")
    return ((name, (folder / name).read_bytes()) for name in names)


def _takes(recordings: Iterable[tuple[str, bytes]]) -> Iterator[tuple[str, str, int, bytes]]:
    """Digit, speaker, number of the take, and the file."""
    for name, content in recordings:
        digit, speaker, take = name.removesuffix(".wav").split("_")
        yield digit, speaker, int(take), content


def yes_no(root: Path) -> Tables:
    """Eight words a recording: of the sorted names the last 29 to test, of the first 31 every fifth to valid.

    All of the first 31 begin with no, all of the others with yes. So that what a recording begins with says nothing,
    training and valid also have parts of their recordings: four of each to training, to valid from each word on.
    """
    draw, sides = random.Random(SEED), defaultdict[str, list[Row]](list)
    for place, (name, content) in enumerate(sorted(_recordings(root / "yes-no-speech" / "waves_yesno.zip"))):
        words = ["yes" if sign == "1" else "no" for sign in name.removesuffix(".wav").split("_")]
        side = "test" if place >= 31 else "valid" if place % 5 == 4 else "train"
        sides[side].append((content, " ".join(words)))
        if side == "test" or len(cuts := _pauses(samples := _samples(content))) != len(words) + 1:
            continue
        ends = range(len(words) + 1)
        parts = (
            [[first, ends[-1]] for first in ends[1:-1]] if side == "valid" else [draw.sample(ends, 2) for _ in range(4)]
        )
        for first, last in map(sorted, parts):
            lead = samples[: draw.randrange(cuts[0])]
            part = np.concatenate([lead, samples[cuts[first] : cuts[last]]])
            sides[side].append((wav(part, RATE), " ".join(words[first:last])))
    return {side: (("clip:file", "words"), rows) for side, rows in sides.items()}


def _pauses(samples: np.ndarray) -> list[int]:
    """The middles of the pauses of a recording, the silences at its ends among them.

    A pause is at least 0.1 s in which the deviation over 0.05 s stays below 0.15 of what the loudest twentieth has.
    """
    hop = RATE // 100
    powers = (samples[: len(samples) // hop * hop].reshape(-1, hop) ** 2).mean(1)
    level = np.sqrt(np.convolve(powers, np.ones(5) / 5, "same"))
    silent = level < 0.15 * np.quantile(level, 0.95)
    edges = np.flatnonzero(np.diff(silent, prepend=False, append=False)).reshape(-1, 2)
    return [int(first + last) // 2 * hop for first, last in edges if last - first >= 10]


def _recordings(path: Path) -> Iterator[tuple[str, bytes]]:
    """The wav files of an archive, by name."""
    there(path)
    with zipfile.ZipFile(path) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".wav"))
        if not names:
            sys.exit(f"{path}: no recordings (.wav) in it; fetch the archive again")
        for name in names:
            yield Path(name).name, archive.read(name)


def _samples(content: bytes) -> np.ndarray:
    with wave.open(io.BytesIO(content)) as sound:
        return np.frombuffer(sound.readframes(sound.getnframes()), "<i2") / 2.0**15


def pendigits(root: Path) -> Tables:
    """A digit as one stroke of eight points: (dx, dy, pen_up) with the offset of the first point from (0, 0)."""
    sides = _digit_sides(root)
    return {
        side: (("strokes", "digit"), [(as_offsets([points]), digit) for points, digit in rows])
        for side, rows in sides.items()
    }


def pendigit_strings(root: Path) -> Tables:
    """Strings of 2 to 6 digits joined within a split, each a stroke, 10 to 40 units apart, with a slant by seed."""
    tables: Tables = {}
    for side, rows in _digit_sides(root).items():
        draw, joined = random.Random(f"{SEED} {side}"), []
        for _ in range(PEN_STRINGS[side]):
            chosen, left, strokes = draw.choices(rows, k=draw.randint(2, 6)), 0.0, []
            slant = draw.uniform(-0.3, 0.3)
            for points, _ in chosen:
                sheared = points + np.outer(points[:, 1], [slant, 0])
                strokes.append(sheared + [left - sheared[:, 0].min(), 0])
                left = strokes[-1][:, 0].max() + draw.uniform(10, 40)
            joined.append((as_offsets(strokes), "".join(digit for _, digit in chosen)))
        tables[side] = (("strokes", "digits"), joined)
    return tables


def _digit_sides(root: Path) -> dict[str, list[tuple[np.ndarray, str]]]:
    """Points (8, 2) and the digit; the last training drawings to valid, the test part is of other writers."""
    folder = root / "pendigits-pen-strokes"
    train, test = (list(_digit_rows(folder / f"pendigits.{part}.csv")) for part in ("tra", "tes"))
    return {"train": train[:-PEN_VALID] or train, "valid": train[-PEN_VALID:], "test": test}


def _digit_rows(path: Path) -> Iterator[tuple[np.ndarray, str]]:
    there(path)
    for place, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        fields = line.split(",")
        if len(fields) != 17:
            sys.exit(f"{path} line {place}: expected eight points and a digit, got {line[:80]!r}; fetch the file again")
        yield np.array(fields[:16], float).reshape(8, 2), fields[16].strip()


def as_offsets(strokes: Sequence[np.ndarray]) -> list[list[float]]:
    points = np.concatenate(strokes)
    offsets = np.diff(points, axis=0, prepend=np.zeros((1, 2)))
    lifts = np.zeros((len(points), 1))
    lifts[np.cumsum([len(stroke) for stroke in strokes]) - 1] = 1
    return np.concatenate([offsets, lifts], 1).round(2).tolist()


def kanji(root: Path) -> Tables:
    """Drawings of kanji, the standard split."""
    return _drawings(root / "kanji-pen-strokes" / "short_kanji_strokes.npz")


def sheep(root: Path) -> Tables:
    """Drawings of sheep, the standard split."""
    return _drawings(root / "sheep-sketches" / "sheep_strokes.npz")


def _drawings(path: Path) -> Tables:
    tables: Tables = {}
    for side in ("train", "valid", "test"):
        points, lengths = _arrays(path, f"{side}_points", f"{side}_lengths")
        drawings = np.split(points, np.cumsum(lengths)[:-1])
        tables[side] = (("drawing",), [(drawing.tolist(),) for drawing in drawings])
    return tables


def _arrays(path: Path, *names: str) -> list[np.ndarray]:
    there(path)
    with np.load(path) as arrays:
        if missing := [name for name in names if name not in arrays]:
            sys.exit(f"{path}: no array {missing[0]} in it; fetch the file again")
        return [arrays[name] for name in names]


def there(path: Path) -> None:
    """Ends with a message where a file of the data sets is missing."""
    if not path.is_file():
        sys.exit(
            f"{path}: there is no such file; --data-root names the folder of the data sets' folders (`ostinato data "
            "list`)"
        )
