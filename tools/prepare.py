"""Turns data sets that are not tables into the tables that recipes read; equal input gives equal bytes.

    python tools/prepare.py NAME --data-root DATA --out DIR       writes DIR/prepared-NAME/{train,valid,test}.tsv

    NAME                                columns
    scan, scan-length                   command, actions (no valid)
    cmudict                             word, sounds, variants
    copy                                given, copied, length (no valid; needs no --data-root)
    sst                                 text, sentiment
    wili                                text, language
    mrpc                                first, second, paraphrase
    atis                                words, slots, intent, first_intent
    dna-splice-1, dna-splice-2          upstream, downstream, junction
    babi-1, -2, -4, -6, -20             story, question, answer
    sigmorphon-german                   lemma, features, form
    japanese-vowels (.jsonl)            series, speaker
    basic-motions (.jsonl)              series, activity
    natops (.jsonl)                     series, signal
    m4-hourly (series.jsonl)            series, value: each series whole, its last 48 hours are the test
    etth1 (hours.tsv)                   date, channel, value: a row per hour and channel, scaled by the training part
    beijing-air (hours.tsv)             date, pm25, dew_point, temperature, pressure, wind_speed, snow, rain,
                                        wind_nw, wind_ne, wind_se
    shakespeare (.jsonl)                text: 1,000 characters each, line breaks and all
    shakespeare-64 (.jsonl)             text: 64 characters each
    penn-treebank                       words: some 1,000 each, <eos> after each sentence
    parity                              bits, parity, length (needs no --data-root)
    ag-news                             text, topic
    imdb                                text, sentiment: the last 100 words of reviews
    aeslc                               body, subject, others
    dailydialog (.jsonl)                context, answer, others
    nottingham, musedata,
    piano-midi (.jsonl)                 roll: the sounding notes of each frame
    nottingham-abc,
    nottingham-midi (.jsonl)            tune: fields, chords, notes and bars in ABC; a MIDI file in base64
    an4 (.jsonl)                        sound, words, phones
    spoken-digits (folders)             clip, digit, speaker
    unseen-voice-NAME (folders)         clip, digit, speaker; all of one speaker to test
    unseen-voice-NAME-of-six (folders)  the same, of the six speakers of DATA/free-spoken-digit-dataset, a clone of
                                        that repository
    spoken-digit-strings (folders)      clip, digits
    yes-no (folders)                    clip, words
    pendigits (.jsonl)                  strokes, digit
    pendigit-strings (.jsonl)           strokes, digits
    kanji, sheep (.jsonl)               drawing
    pen-words, pen-words-more (.jsonl)  strokes, word, font; more: those of DATA/single-stroke-fonts in training too
    unseen-font-NAME (.jsonl)           strokes, word, font; one of eleven fonts is in test alone
    shapes (folders)                    picture, caption, number, most, biggest, question, answer (unseen too)
    shapes-questions (folders)          picture, question, answer (unseen too)
    digit-lines, word-lines (folders)   line, digits or word
    moving-digits (folders)             clip, digit, direction, speed
    digit-lines-mixed,
    moving-digits-mixed (folders)       the same of other pictures of digits, whose writers are in all parts
    flickr8k (folders)                  places, caption, others: features of a pretrained net at 16 places of a picture

A folder is a split's files with a manifest.csv.

DATA holds the data sets' folders (`ostinato data list`), the tables go below DIR. Then train with `--data-root DIR`.
"""

import argparse
import functools
import gzip
import json
import random
import re
import statistics
import sys
import zipfile
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import _captions
import _letters
import _pictures
import _sound
import _texts
from _sound import there

from ostinato.data.columns import TimeSeries
from ostinato.data.contract import PLAIN
from ostinato.data.manifest import MARK
from ostinato.errors import OstinatoError
from ostinato.files import write
from ostinato.modalities.music import Music

Row = tuple[Any, ...]
Rows = Iterable[Row]
Tables = dict[str, tuple[tuple[str, ...], Rows]]
"""The name of a split -> its columns and rows."""

ALPHABET = "abcdefghijklmnopqrstuvwxyz"
COPY_SEED, COPY_ROWS = 20150101, 30_000
ADDING_SEED, ADDING_STEPS, SUMS_SEED = 4, 200, 5
SPLIT_SEED, VALID_SHARE = 20150101, 0.1
FOLDS, SPLICED_AT = 10, 30
ROLLS, LOWEST_KEY = {"nottingham": "Nottingham", "musedata": "MuseData", "piano-midi": "Piano_midi"}, 21
COPY_TRAINED, COPY_TESTED, COPY_EACH = 40, 60, 100
"""Training rows have lengths uniform from 1 to the first; the test has so many rows of every length from 1 to the
second."""


def scan(root: Path, *, split: str = "simple") -> Tables:
    """A split of SCAN: commands and the actions they ask for."""
    columns = ("command", "actions")
    return {
        name: (columns, _scan_rows(root / "scan-commands" / f"tasks_{name}_{split}.txt.gz"))
        for name in ("train", "test")
    }


def _scan_rows(path: Path) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(_lines(path), 1):
        found = re.fullmatch(r"IN: (.+) OUT: (.+)", line)
        if not found:
            sys.exit(
                f"{path} line {number}: expected `IN: command OUT: actions`, got {line[:80]!r}; fetch the file again"
            )
        yield found[1], found[2]


def cmudict(root: Path) -> Tables:
    """The CMU dictionary without stress: of the sorted words the first and every 20th after it to test, the next to
    valid.

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
        split[side] += [
            (word, sounds, " | ".join(variants)) for sounds in (variants if side == "train" else variants[:1])
        ]
    return {side: (("word", "sounds", "variants"), rows) for side, rows in split.items()}


def copy(root: Path | None) -> Tables:
    """Random symbols and the same again, made from a seed; longer in the test than any that was trained on."""
    draw = random.Random(COPY_SEED)
    trained = [draw.randint(1, COPY_TRAINED) for _ in range(COPY_ROWS)]
    tested = [length for length in range(1, COPY_TESTED + 1) for _ in range(COPY_EACH)]
    made = {
        name: [_copied(draw, length) for length in lengths] for name, lengths in (("train", trained), ("test", tested))
    }
    return {name: (("given", "copied", "length"), rows) for name, rows in made.items()}


def _copied(draw: random.Random, length: int) -> tuple[str, str, str]:
    symbols = " ".join(draw.choices(ALPHABET, k=length))
    return symbols, symbols, str(length)


def adding(root: Path | None) -> Tables:
    """Hochreiter's adding problem, 200 steps: numbers from 0 to 1 beside marks, of which one stands in each half; the
    answer is the sum of the two marked numbers. Always saying 1 has a mean squared error of 1/6. Le 2015,
    arXiv:1504.00941, section 4.1."""
    draw = random.Random(ADDING_SEED)
    sizes = {"train": 20_000, "valid": 500, "test": 1_000}
    return {
        split: (("series", "sum"), [_marked(draw, ADDING_STEPS) for _ in range(count)])
        for split, count in sizes.items()
    }


def _marked(draw: random.Random, steps: int) -> tuple[list[list[float]], float]:
    numbers = [round(draw.random(), 6) for _ in range(steps)]
    marked = {draw.randrange(steps // 2), draw.randrange(steps // 2, steps)}
    return [[number, float(at in marked)] for at, number in enumerate(numbers)], sum(numbers[at] for at in marked)


def sums(root: Path | None) -> Tables:
    """The sum of so many whole numbers from 0 to 9: of 2 to 5 in training, of 6 to 10 in the test."""
    draw = random.Random(SUMS_SEED)
    made = {}
    for split, count, lengths in (
        ("train", 5_000, range(2, 6)),
        ("valid", 500, range(2, 6)),
        ("test", 1_000, range(6, 11)),
    ):
        numbers = [[draw.randint(0, 9) for _ in range(draw.choice(lengths))] for _ in range(count)]
        made[split] = (("numbers", "sum", "length"), [(one, float(sum(one)), len(one)) for one in numbers])
    return made


def sst(root: Path) -> Tables:
    """Sentences of film reviews, positive (1) or negative (0); whole sentences alone, the standard split."""
    tables = {}
    for split, name in (("train", "train"), ("valid", "dev"), ("test", "test")):
        path = root / "stanford-sentiment-sst" / f"stsa.binary.{name}.gz"
        found = [(place, *line.partition(" ")[::2]) for place, line in enumerate(_lines(path), 1)]
        wrong = next((place for place, label, text in found if label not in ("0", "1") or not text), None)
        if wrong:
            sys.exit(f"{path} line {wrong}: expected 0 or 1, a space and a sentence; fetch the file again")
        tables[split] = (("text", "sentiment"), [(text, label) for _, label, text in found])
    return tables


def wili(root: Path) -> Tables:
    """Ten languages, 100 characters each; a tenth of each language's training rows to valid."""
    columns = ("text", "language")
    folder = root / "wili-10-languages"
    sides = {name: list(_beside(folder, f"x_{name}.txt.gz", f"y_{name}.txt.gz")) for name in ("train", "test")}
    train, valid = set_aside(sides["train"], strata=[row[1] for row in sides["train"]])
    return {"train": (columns, train), "valid": (columns, valid), "test": (columns, sides["test"])}


def _beside(folder: Path, *names: str) -> Iterator[tuple[str, ...]]:
    files = [list(_lines(folder / name)) for name in names]
    if len({len(lines) for lines in files}) > 1:
        counts = " and ".join(str(len(lines)) for lines in files)
        sys.exit(f"{folder}: {' and '.join(names)} have {counts} lines; fetch them again")
    return zip(*files)


def mrpc(root: Path) -> Tables:
    """Pairs of sentences that say the same (1) or not (0); a tenth of each label's training rows to valid."""
    columns = ("first", "second", "paraphrase")
    folder = root / "msr-paraphrase-mrpc"
    sides = {name: list(_mrpc_rows(folder / f"msr_paraphrase_{name}.txt.gz")) for name in ("train", "test")}
    train, valid = set_aside(sides["train"], strata=[row[2] for row in sides["train"]])
    return {"train": (columns, train), "valid": (columns, valid), "test": (columns, sides["test"])}


def _mrpc_rows(path: Path) -> Iterator[Row]:
    for place, line in enumerate(_lines(path), 1):
        fields = line.split("\t")
        if len(fields) != 5:
            sys.exit(
                f"{path} line {place}: expected five fields apart by tabs, got {len(fields)}; fetch the file again"
            )
        if place > 1:
            yield fields[3].strip(), fields[4].strip(), fields[0]


def atis(root: Path) -> Tables:
    """Questions about flights: their words, a slot tag (IOB2) for each, and what is asked for; the usual 4,478 and 500.

    `intent` is the label as it stands, several joined by `#` where a question has several; `first_intent` is the first
    of them. Test rows whose label training does not have are kept, since published accuracies count all 893 rows, and
    counted here.
    """
    tables, known = {}, {}
    columns = ("words", "slots", "intent", "first_intent")
    for split, name in (("train", "atis-2.train"), ("valid", "atis-2.dev"), ("test", "atis.test")):
        rows = list(_atis_rows(root / "atis-slots-and-intents" / f"{name}.w-intent.iob.gz"))
        tables[split] = (columns, rows)
        for column, labels in (("slots", 1), ("intent", 2), ("first_intent", 3)):
            found = [set(row[labels].split()) for row in rows]
            if split == "train":
                known[column] = set().union(*found)
            elif unknown := sum(not labels <= known[column] for labels in found):
                print(f"{split}: {unknown} of {len(rows)} rows have {column} that training does not have")
    return tables


def _atis_rows(path: Path) -> Iterator[Row]:
    for place, line in enumerate(_lines(path), 1):
        words, _, tags = (part.split() for part in line.partition("\t"))
        if len(words) != len(tags) or len(words) < 3 or (words[0], words[-1]) != ("BOS", "EOS"):
            sys.exit(f"{path} line {place}: expected BOS, words, EOS, a tab and as many tags; fetch the file again")
        yield " ".join(words[1:-1]), " ".join(tags[1:-1]), tags[-1], tags[-1].partition("#")[0]


def dna_splice(root: Path, *, fold: int) -> Tables:
    """30 letters of DNA before a junction and 30 after it: exon to intron (EI), intron to exon (IE) or neither (N).

    Ten folds by seed, each with the labels in equal shares and every copy of a sequence in one fold: `fold` is the
    test, the one after it valid.
    """
    path = root / "dna-splice-junctions" / "splice.csv.gz"
    rows = []
    for place, line in enumerate(_lines(path), 1):
        fields = [field.strip() for field in line.split(",")]
        if len(fields) != 3:
            sys.exit(f"{path} line {place}: expected label, name, sequence, got {line[:80]!r}; fetch the file again")
        if place > 1:
            rows.append((fields[2], fields[0]))
    labels = dict(reversed(rows))
    shuffled = list(dict.fromkeys(sequence for sequence, _ in rows))
    random.Random(SPLIT_SEED).shuffle(shuffled)
    fold_of = {sequence: place % FOLDS for place, sequence in enumerate(sorted(shuffled, key=labels.__getitem__))}
    side = {(fold - 1) % FOLDS: "test", fold % FOLDS: "valid"}
    split: dict[str, list[Row]] = {"train": [], "valid": [], "test": []}
    for row in rows:
        split[side.get(fold_of[row[0]], "train")].append(row)
    columns = ("upstream", "downstream", "junction")
    return {
        name: (columns, [(sequence[:SPLICED_AT], sequence[SPLICED_AT:], label) for sequence, label in chosen])
        for name, chosen in split.items()
    }


def babi(root: Path, *, task: int) -> Tables:
    """Questions about a story that is still being told: all sentences so far, the question, its answer, in lower case.

    A tenth of the training stories to valid, each with all its questions.
    """
    columns = ("story", "question", "answer")
    path = root / "babi-question-answering" / "babi_en_10k.zip"
    sides = {split: list(_babi_stories(path, task, split)) for split in ("train", "test")}
    train, valid = set_aside(sides["train"], strata=[None] * len(sides["train"]))
    stories = {"train": train, "valid": valid, "test": sides["test"]}
    return {split: (columns, [row for story in chosen for row in story]) for split, chosen in stories.items()}


def _babi_stories(path: Path, task: int, split: str) -> Iterator[list[Row]]:
    """The questions of each story."""
    there(path)
    with zipfile.ZipFile(path) as archive:
        pattern = rf"en-10k/qa{task}_[\w-]+_{split}\.txt"
        name = next((name for name in archive.namelist() if re.fullmatch(pattern, name)), None)
        if name is None:
            sys.exit(f"{path}: no file {pattern} in it; fetch the archive again")
        text = archive.read(name).decode("utf-8")
    told, rows = [], []
    for place, line in enumerate(text.splitlines(), 1):
        number, _, rest = line.strip().partition(" ")
        if not number.isdecimal() or not rest:
            sys.exit(
                f"{path}: {name} line {place}: expected a number and a sentence, got {line[:80]!r}; fetch it again"
            )
        if number == "1":
            if rows:
                yield rows
            told, rows = [], []
        sentence, *answer = rest.split("\t")
        words = re.findall(r"\w+|[^\w\s]", sentence.lower())
        if answer:
            rows.append((" ".join(told), " ".join(words), answer[0].strip().lower()))
        else:
            told += words
    yield rows


def sigmorphon_german(root: Path) -> Tables:
    """A German word and the features that its form is to have; the 10,000 rows of the setting `high`."""
    tables = {}
    for split, name in (("train", "train-high"), ("valid", "dev"), ("test", "test")):
        path, rows = root / "sigmorphon2018-inflection" / f"german-{name}.tsv.gz", []
        for place, line in enumerate(_lines(path), 1):
            fields = line.split("\t")
            if len(fields) != 3:
                sys.exit(
                    f"{path} line {place}: expected lemma, form and features, got {line[:80]!r}; fetch the file again"
                )
            rows.append((fields[0], fields[2], fields[1]))
        tables[split] = (("lemma", "features", "form"), rows)
    return tables


def japanese_vowels(root: Path) -> Tables:
    """Twelve features per frame of nine speakers saying /ae/; a tenth of each speaker's training rows to valid."""
    return _series(root, "japanese-vowels", "JapaneseVowels", "speaker", VALID_SHARE)


def basic_motions(root: Path) -> Tables:
    """Acceleration and rotation of a watch in four activities; a fifth of each one's ten training rows to valid."""
    return _series(root, "basic-motions", "BasicMotions", "activity", 0.2)


def natops(root: Path) -> Tables:
    """24 joints' places over 51 frames of six signals; a tenth of each signal's 30 training rows to valid."""
    return _series(root, "natops-body-joints", "NATOPS", "signal", VALID_SHARE)


def _series(root: Path, folder: str, name: str, label: str, share: float) -> Tables:
    sides = {}
    for split in ("train", "test"):
        path = root / folder / f"{name}_{split.upper()}.ts.gz"
        there(path)
        blocks = TimeSeries(path, str(path), folder, PLAIN).blocks(("series", "label"))
        sides[split] = [row for block in blocks for row in zip(block.columns["series"], block.columns["label"])]
    train, valid = set_aside(sides["train"], strata=[row[1] for row in sides["train"]], share=share)
    return {
        split: (("series", label), rows)
        for split, rows in (("train", train), ("valid", valid), ("test", sides["test"]))
    }


def set_aside(
    rows: Sequence[Any], strata: Sequence[Hashable], *, share: float = VALID_SHARE
) -> tuple[list[Any], list[Any]]:
    """(the rest, a share of each stratum chosen by seed), both in the order of the rows."""
    members: dict[Hashable, list[int]] = defaultdict(list)
    for place, stratum in enumerate(strata):
        members[stratum].append(place)
    draw = random.Random(SPLIT_SEED)
    chosen = {place for places in members.values() for place in draw.sample(places, round(share * len(places)))}
    return [row for place, row in enumerate(rows) if place not in chosen], [rows[place] for place in sorted(chosen)]


def m4_hourly(root: Path) -> Tables:
    """The training values of each series, then its test values."""
    folder = root / "m4-hourly"
    train, test = (dict(_m4_rows(folder / f"Hourly-{split}.csv.gz")) for split in ("train", "test"))
    return {"series": (("series", "value"), ((name, values + test[name]) for name, values in train.items()))}


def _m4_rows(path: Path) -> Iterator[tuple[str, list[float]]]:
    _, *lines = _lines(path)
    for line in lines:
        name, *values = (cell.strip('"') for cell in line.split(","))
        yield name, [float(one) for one in values if one not in ("", "NA")]


ETTH1_TRAIN, ETTH1_USED = 8_640, 14_400
"""Hours of the training part, and of all three parts: 12, 4 and 4 months of 30 days (Zhou 2021)."""


def etth1(root: Path) -> Tables:
    """The channels of ETTh1 as series of their own, each less its mean and divided by its deviation in the training
    part."""
    header, *lines = _lines(root / "electricity-transformer-etth1" / "ETTh1.csv.gz")
    rows = [line.split(",") for line in lines[:ETTH1_USED]]
    found = []
    for place, channel in enumerate(header.split(",")[1:], 1):
        values = [float(row[place]) for row in rows]
        mean, deviation = statistics.fmean(values[:ETTH1_TRAIN]), statistics.pstdev(values[:ETTH1_TRAIN])
        found += [(row[0], channel, f"{(value - mean) / deviation:.7f}") for row, value in zip(rows, values)]
    return {"hours": (("date", "channel", "value"), found)}


BEIJING = {
    "pm25": "pm2.5",
    "dew_point": "DEWP",
    "temperature": "TEMP",
    "pressure": "PRES",
    "wind_speed": "Iws",
    "snow": "Is",
    "rain": "Ir",
}
WINDS = ("NW", "NE", "SE")
"""The fourth, calm and variable, is none of them."""


def beijing_air(root: Path) -> Tables:
    """The hours of Beijing with one column for the date and the wind's direction as three of 0 and 1."""
    header, *lines = _lines(root / "beijing-air-pollution" / "pollution.csv.gz")
    names, found = header.split(","), []
    for line in lines:
        row = dict(zip(names, line.split(",")))
        when = f"{row['year']}-{int(row['month']):02}-{int(row['day']):02} {int(row['hour']):02}:00"
        cells = {name: row[column] for name, column in BEIJING.items()}
        winds = {f"wind_{one.lower()}": str(int(row["cbwd"] == one)) for one in WINDS}
        found.append((when, *(cells | winds).values()))
    return {"hours": (("date", *BEIJING, *(f"wind_{one.lower()}" for one in WINDS)), found)}


SHAKESPEARE_PIECE, SHAKESPEARE_TRAIN = 1_000, 0.9
"""Characters of a row: of each the first few are guessed without what came before, and its end is guessed too. And the
usual split."""


def shakespeare(root: Path, *, piece: int = SHAKESPEARE_PIECE) -> Tables:
    """Tiny Shakespeare: the first nine tenths to train, of the last tenth one half to valid and the other to test."""
    path = root / "tiny-shakespeare" / "input.txt.gz"
    there(path)
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as file:
        text = file.read()
    train = int(SHAKESPEARE_TRAIN * len(text))
    valid = (train + len(text)) // 2
    parts = {"train": text[:train], "valid": text[train:valid], "test": text[valid:]}
    starts = lambda part: range(0, len(part), piece)  # noqa: E731
    return {split: (("text",), [(part[at : at + piece],) for at in starts(part)]) for split, part in parts.items()}


def piano_rolls(root: Path, *, name: str) -> Tables:
    """The rolls of Boulanger-Lewandowski et al. 2012 (arXiv:1206.6392) in their own split, as numbers of sounding
    notes."""
    from scipy.io import loadmat

    path = root / "pianoroll-music" / f"{name}.mat"
    there(path)
    parts = loadmat(path)
    return {
        split: (
            ("roll",),
            [([(frame.nonzero()[0] + LOWEST_KEY).tolist() for frame in roll],) for roll in parts[part][0]],
        )
        for split, part in (("train", "traindata"), ("valid", "validdata"), ("test", "testdata"))
    }


def nottingham_tunes(root: Path, *, notation: str) -> Tables:
    """Folk tunes with chords: of the sorted tunes the first and every tenth after it to test, the next to valid.

    ABC is without titles, words and comments, so that its characters are those that a model of the music predicts.
    """
    path = root / "nottingham-abc-tunes" / ("abc_cleaned.zip" if notation == "abc" else "midi.zip")
    there(path)
    with zipfile.ZipFile(path) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(f".{notation[:3]}"))
        contents = [archive.read(name) for name in names]
    if notation == "midi":
        tunes = [Music(notation="remi").write(content) for content in contents]
    else:
        listed = [tune for text in contents for tune in re.split(r"^(?=X:)", text.decode("latin-1"), flags=re.M)]
        music = Music()
        music.fit(tune for tune in listed if tune.strip())
        tunes = [str(music.decode(music.encode(tune))) for tune in listed if tune.strip()]
    split: dict[str, list[Row]] = {"train": [], "valid": [], "test": []}
    for place, tune in enumerate(tunes):
        split[{0: "test", 1: "valid"}.get(place % 10, "train")].append((tune,))
    return {side: (("tune",), rows) for side, rows in split.items()}


TASKS: dict[str, Callable[[Path | None], Tables]] = {
    "scan": scan,
    "scan-length": functools.partial(scan, split="length"),
    "cmudict": cmudict,
    "copy": copy,
    "adding": adding,
    "sums": sums,
    "sst": sst,
    "wili": wili,
    "mrpc": mrpc,
    "atis": atis,
    **{f"dna-splice-{fold}": functools.partial(dna_splice, fold=fold) for fold in (1, 2)},
    **{f"babi-{task}": functools.partial(babi, task=task) for task in (1, 2, 4, 6, 20)},
    "sigmorphon-german": sigmorphon_german,
    "japanese-vowels": japanese_vowels,
    "basic-motions": basic_motions,
    "natops": natops,
    "m4-hourly": m4_hourly,
    "etth1": etth1,
    "beijing-air": beijing_air,
    "shakespeare": shakespeare,
    "shakespeare-64": functools.partial(shakespeare, piece=64),
    "penn-treebank": _texts.penn_treebank,
    "parity": _texts.parity,
    "ag-news": _texts.ag_news,
    "imdb": _texts.imdb,
    "aeslc": _texts.aeslc,
    "dailydialog": _texts.dailydialog,
    **{name: functools.partial(piano_rolls, name=file) for name, file in ROLLS.items()},
    "an4": _sound.an4,
    "spoken-digits": _sound.spoken_digits,
    **{f"unseen-voice-{voice}": functools.partial(_sound.unseen_voice, voice=voice) for voice in _sound.VOICES},
    **{
        f"unseen-voice-{voice}-of-six": functools.partial(_sound.unseen_voice, voice=voice, whole=True)
        for voice in _sound.VOICES
    },
    "spoken-digit-strings": _sound.spoken_digit_strings,
    "yes-no": _sound.yes_no,
    "pendigits": _sound.pendigits,
    "shapes": _pictures.shapes,
    "shapes-questions": _pictures.shapes_questions,
    "digit-lines": _pictures.digit_lines,
    "word-lines": _pictures.word_lines,
    "moving-digits": _pictures.moving_digits,
    "digit-lines-mixed": functools.partial(_pictures.digit_lines, mixed=True),
    "moving-digits-mixed": functools.partial(_pictures.moving_digits, mixed=True),
    "flickr8k": _captions.flickr8k,
    "pendigit-strings": _sound.pendigit_strings,
    "kanji": _sound.kanji,
    "sheep": _sound.sheep,
    "pen-words": _letters.pen_words,
    "pen-words-more": _letters.pen_words_more,
    **{f"unseen-font-{font}": functools.partial(_letters.unseen_font, font=font) for font in _letters.EVERY_FONT},
    **{f"nottingham-{kind}": functools.partial(nottingham_tunes, notation=kind) for kind in ("abc", "midi")},
}
UNSEEN_FONTS = tuple(f"unseen-font-{font}" for font in _letters.EVERY_FONT)
PEN = ("pendigits", "pendigit-strings", "kanji", "sheep", "pen-words", "pen-words-more", *UNSEEN_FONTS)
TUNES = ("nottingham-abc", "nottingham-midi")
LISTS = (
    "japanese-vowels",
    "basic-motions",
    "natops",
    "adding",
    "sums",
    "m4-hourly",
    "shakespeare",
    "shakespeare-64",
    "dailydialog",
    "an4",
    *PEN,
    *ROLLS,
    *TUNES,
)
"""Tasks whose cells are lists or hold line breaks: their tables are JSON lines."""
GENERATED = (
    "copy",
    "adding",
    "sums",
    "parity",
    "shapes",
    "shapes-questions",
    "digit-lines",
    "word-lines",
    "moving-digits",
    "digit-lines-mixed",
    "moving-digits-mixed",
    "pen-words",
    *UNSEEN_FONTS,
)
"""Tasks made from a seed: they need no data set."""


STARTS = {b"RIFF": ".wav", b"\x89PNG": ".png", b"GIF8": ".gif", b"\x93NUMPY": ".npy"}
"""What a file begins with -> its ending."""


def prepare(name: str, root: Path | None, out: Path) -> dict[Path, int]:
    """Writes the tables of a task; returns the number of rows of each file."""
    counts = {}
    for split, (columns, rows) in TASKS[name](root).items():
        if columns[0].endswith(MARK):
            folder = out / f"prepared-{name}" / split
            counts[folder] = _write_files(folder, columns, rows)
            continue
        if name in LISTS:
            kind, lines = "jsonl", [json.dumps(dict(zip(columns, row))) + "\n" for row in rows]
            number = len(lines)
        else:
            kind, lines = "tsv", ["\t".join(row) + "\n" for row in (columns, *rows)]
            number = len(lines) - 1
        path = out / f"prepared-{name}" / f"{split}.{kind}"
        write(path, "".join(lines))
        counts[path] = number
    return counts


def _write_files(folder: Path, columns: Row, rows: Rows) -> int:
    """A file for each row's first cell, one for equal ones, and a manifest; returns the number of rows."""
    folder.mkdir(parents=True, exist_ok=True)
    lines, names = [",".join(columns)], dict[bytes, str]()
    for place, (content, *cells) in enumerate(rows):
        if content not in names:
            ending = next(ending for start, ending in STARTS.items() if content.startswith(start))
            names[content] = f"{place:04}{ending}"
            (folder / names[content]).write_bytes(content)
        lines.append(",".join([names[content], *cells]))
    write(folder / "manifest.csv", "\n".join(lines) + "\n")
    return len(lines) - 1


def _lines(path: Path) -> Iterator[str]:
    there(path)
    with gzip.open(path, "rt", encoding="utf-8-sig", newline="\n") as lines:
        yield from map(str.strip, lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=sorted(TASKS))
    parser.add_argument(
        "--data-root", type=Path, help=f"the folder that holds the data sets' folders; {', '.join(GENERATED)} need none"
    )
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    if chosen.data_root is None and chosen.name not in GENERATED:
        parser.error(f"{chosen.name} is made from a data set: say where it lies with --data-root")
    try:
        made = prepare(chosen.name, chosen.data_root, chosen.out)
    except OstinatoError as why:
        sys.exit(str(why))
    for path, rows in made.items():
        print(f"{path}: {rows:,} rows")


if __name__ == "__main__":
    main()
