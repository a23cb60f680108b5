"""What a modality's message recommends, followed: the refused value or setting with that change is read."""

import io
import math

import numpy as np
import pytest

from ostinato.errors import OstinatoError
from ostinato.modalities import _notes
from ostinato.modalities._pictures import png
from ostinato.modalities.audio import wav
from ostinato.modalities.music import Music
from ostinato.registry import make

TUNE = "X:1\nM:2/4\nK:G\nGBdB|"
CROSS = [[0, 0, 0], [10, 0, 1], [-5, -4, 0], [0, 8, 1]]
TONE = np.sin(np.arange(800) / 3)
SOUND = wav(TONE, 8000)
PAGE = np.linspace(0, 1, 12).reshape(3, 4)
INK = b"<ink><trace>2 3, 12 3</trace></ink>"


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def picture(array, kind, **options):
    pillow = pytest.importorskip("PIL.Image")
    file = io.BytesIO()
    pillow.fromarray(array).save(file, kind, **options)
    return file.getvalue()


def moving():
    pillow = pytest.importorskip("PIL.Image")
    first, second = (pillow.fromarray(np.full((4, 4), grey, np.uint8)) for grey in (0, 255))
    return picture(np.zeros((4, 4), np.uint8), "GIF", save_all=True, append_images=[first, second])


def midi(rest=False):
    symusic = pytest.importorskip("symusic")
    return bytes(symusic.Score(480).dumps_midi()) if rest else Music().render([TUNE], ".mid")


def used(type, options, column, raw=None):
    """A modality with these options fitted on a column; a value encoded, decoded and written."""
    raw, column = raw() if callable(raw) else raw, [cell() if callable(cell) else cell for cell in column]
    modality = make("modalities", type, options=options)
    modality.fit(column)
    raw = column[0] if raw is None else raw
    steps = modality.encode(raw)
    assert len(steps) and np.isfinite(np.asarray(steps, np.float64)).any()
    modality.decode(steps)
    modality.write(raw)


SERIES = [[1.0, 2.0, 4.0]]
TAGS = [["N", "V"]]
ROWS = [
    # what is refused: type, options, column, value | what the message recommends | the changes that follow it
    ("category", {}, [["a", "b"], ["a"]], None, "`multilabel: true` takes lists", {"options": {"multilabel": True}}),
    (
        "audio",
        {"rate": 1000, "bands": 10},
        [np.zeros(7_300_000, np.int16)],
        None,
        "hours are too long for one example; cut the recording into parts of at most 2 hours",
        {"column": [np.zeros(7_300, np.int16)]},
    ),
    (
        "category",
        {},
        ["a", "b", ""],
        None,
        "a label is empty; leave the cell out (null) where a row has none",
        {"column": ["a", "b", None]},
    ),
    (
        "category",
        {"multilabel": True},
        [["a|b"], ["c"]],
        None,
        "separator: '|' and could not be written as a field; choose a separator that occurs in no label",
        {"options": {"multilabel": True, "separator": ";"}},
    ),
    ("date", {}, ["12", "13"], None, "a date is needed, not '12'; read it as number", {"type": "number"}),
    (
        "date",
        {},
        ["2013-01-31", "2013-02-30"],
        None,
        "there is no date '2013-02-30'; mend it",
        {"column": ["2013-01-31", "2013-02-28"]},
    ),
    (
        "date",
        {},
        ["2013-01-31 10:00:00.25"],
        None,
        "'2013-01-31 10:00:00.25' has a fraction of a second; give whole seconds",
        {"column": ["2013-01-31 10:00:00"]},
    ),
    (
        "date",
        {},
        ["2013-01-31", "31 Jan 2013"],
        None,
        "'31 Jan 2013' is not written as the times before it; write all in one form",
        {"column": ["2013-01-31"] * 2},
    ),
    (
        "calendar",
        {},
        [["2013-01-31"]],
        5,
        "dates are needed, and there is int 5; name the column of dates, not of a counted time",
        {"raw": ["2013-01-31", "2013-02-01"]},
    ),
    (
        "number",
        {},
        [1.0, ""],
        None,
        "a number is needed, not str ''; leave the cell empty (null) where a row has none",
        {"column": [1.0, None]},
    ),
    (
        "number",
        {"log": True},
        [1.0, -3.0],
        None,
        "log: -3 has no log(1 + x), which needs x > -1; leave out `log`, or mend the value",
        {"options": {}},
        {"column": [1.0, 3.0]},
    ),
    (
        "number",
        {},
        [1.0, -1.7e308, 3.0],
        None,
        "numbers from -1.7e+308 to 3 are too far apart to be scaled; mend -1.7e+308",
        {"column": [1.0, -1.7, 3.0]},
    ),
    (
        "number",
        {},
        [1.0, 1.0 + 1e-9],
        1e37,
        "1e+37 lies 2e+46 times the training split's spread away, too far for float32; mend the value",
        {"raw": 1.5},
    ),
    (
        "series",
        {},
        SERIES,
        [[1, 2]],
        "2 channels, and rows of the training split have 1 channel; give all rows the same, in one order",
        {"raw": [[1], [2]]},
    ),
    (
        "series",
        {},
        SERIES,
        [1.0, math.inf],
        "step 2, channel 1 is an infinite number; mend it, or leave it out (null) where it is missing",
        {"raw": [1.0, 2]},
        {"raw": [1.0, None]},
    ),
    (
        "series",
        {},
        [[]],
        None,
        "nothing to learn: no row of the training split has a step; check that this is the right column",
        {"column": SERIES},
    ),
    (
        "series",
        {},
        [[[1, None], [2, None]]],
        None,
        "channel 2 has no number in the training split, only missing values; leave it out",
        {"column": [[[1], [2]]]},
    ),
    (
        "series",
        {},
        [[1.0, -1.7e308]],
        None,
        "channel 1 has numbers too far apart to be scaled; mend -1.7e+308",
        {"column": [[1.0, -1.7]]},
    ),
    (
        "series",
        {},
        [[1.0, 1.0 + 1e-9]],
        [1.0, 1e37],
        "step 2, channel 1: 1e+37 is too far from the others; mend it",
        {"raw": [1.0, 1.5]},
    ),
    (
        "piano_roll",
        {},
        [np.eye(3, 100)],
        None,
        "an array of shape (frames, 88) is needed, not (3, 100); set keys: 100",
        {"options": {"keys": 100}},
    ),
    (
        "piano_roll",
        {},
        [np.eye(3, 128)],
        None,
        "an array of shape (frames, 88) is needed, not (3, 128); set keys: 128 and lowest: 0",
        {"options": {"keys": 128, "lowest": 0}},
    ),
    (
        "piano_roll",
        {},
        [np.eye(3, 200)],
        None,
        "an array of shape (frames, 88) is needed, not (3, 200); give one column for each of at most 128",
        {"column": [np.eye(3, 88)]},
    ),
    (
        "piano_roll",
        {},
        [np.ones(88)],
        None,
        "an array of shape (frames, 88) is needed, not (88,); give one column for each of at most 128",
        {"column": [np.ones((1, 88))]},
    ),
    (
        "piano_roll",
        {},
        [2 * np.eye(3, 88)],
        None,
        "frame 1 holds another number than 0 and 1; write 1 where a key sounds",
        {"column": [np.eye(3, 88)]},
    ),
    (
        "piano_roll",
        {},
        [[[], []]],
        None,
        "nothing to learn: no note in any training row; check that this is the right column",
        {"column": [[[60], []]]},
    ),
    (
        "tags",
        {"separator": "", "missing": "no"},
        TAGS,
        None,
        "missing: 'no' cannot be part of a field with separator: ''; give one character",
        {"options": {"separator": "", "missing": "_"}},
    ),
    (
        "tags",
        {"missing": "a b"},
        TAGS,
        None,
        "missing: 'a b' cannot be part of a field with separator: ' '; give a text without ' ' in it",
        {"options": {"missing": "ab"}},
    ),
    (
        "tags",
        {},
        [["N", None]],
        None,
        "step 2 has no label; set missing to the sign of that in a field, such as '_'",
        {"options": {"missing": "_"}},
    ),
    (
        "tags",
        {},
        [["N M", "V"]],
        None,
        "the label 'N M' cannot be separated from its neighbours ... choose a separator that is in no label",
        {"options": {"separator": "|"}},
    ),
    (
        "tags",
        {},
        [["", "V"]],
        None,
        "a label is empty; name it, or set missing: '' where a step has none",
        {"column": [["N", "V"]]},
        {"options": {"missing": ""}},
    ),
    (
        "tags",
        {"scheme": "iob2"},
        [["O", "I-PER"], ["B-PER", "O"], ["B-PER", "I-PER"], ["B-PER", "B-PER"]],
        None,
        "not allow; mend the data, set lenient: true to read spans as conlleval does, or scheme: none",
        {"raw": ["O", "B-PER"]},
        {"options": {"scheme": "iob2", "lenient": True}},
        {"options": {"scheme": "none"}},
    ),
    (
        "tokens",
        {},
        [["a", ""]],
        None,
        "a symbol is empty; name it, or leave it out of the list",
        {"column": [["a", "b"]]},
        {"column": [["a"]]},
    ),
    (
        "tokens",
        {"separator": ","},
        [["a,b", "c"]],
        None,
        "separated from its neighbours with separator: ','; choose a separator that occurs in no symbol",
        {"options": {"separator": " "}},
    ),
    (
        "tokens",
        {},
        [[]],
        None,
        "no symbol at all (every value is empty or white space); check that this is the right column",
        {"column": [["a", "b"]]},
    ),
    (
        "text",
        {"tokenizer": {"same_as": "other"}},
        ["one two"],
        None,
        "the reference same_as: other was not looked up; give this text the settings of that tokenizer",
        {"options": {"tokenizer": {"type": "word"}}},
    ),
    (
        "text",
        {"tokenizer": "char"},
        ["na\u00efve"],
        "na\u00efve".encode().decode("ascii", "surrogateescape"),
        "is half of a surrogate pair, no text; read the file as UTF-8, or leave that character out",
        {"raw": "na\u00efve".encode().decode()},
        {"raw": "nave"},
    ),
    (
        "audio",
        {"rate": 5},
        [SOUND],
        None,
        "audio: rate: 5 is none of sound; set a rate from 1,000 to 1,000,000",
        {"options": {"rate": 8000}},
    ),
    (
        "audio",
        {"scale": "row", "features": "mfcc", "tract_change": 0.2},
        [SOUND],
        None,
        "needs the power of its bands; set features: log_mel, and scale: dataset for level_change and noise_distance",
        {"options": {"scale": "row", "features": "log_mel", "tract_change": 0.2}},
        {"options": {"features": "log_mel", "scale": "dataset", "noise_distance": 10.0}},
    ),
    (
        "audio",
        {},
        [SOUND],
        {"mfcc": [[0.0] * 13]},
        "frames of mfcc are given, and log_mel is read here; give the recording, or its log_mel",
        {"raw": SOUND},
        {"raw": {"log_mel": [[0.0] * 40]}},
    ),
    (
        "audio",
        {},
        [SOUND],
        {"log_mel": [[math.inf] * 40]},
        "log_mel: each frame is 40 numbers, all of them finite; mend the frames",
        {"raw": {"log_mel": [[0.5] * 40]}},
    ),
    (
        "audio",
        {},
        [TONE],
        None,
        "samples alone tell no rate; set `rate` for this input, or give files",
        {"options": {"rate": 8000}},
        {"column": [SOUND]},
    ),
    (
        "audio",
        {},
        [SOUND],
        wav(TONE, 2_000_000),
        "2,000,000 samples a second are none of a recording of sound; write the file with its rate",
        {"raw": SOUND},
    ),
    (
        "audio",
        {},
        [SOUND],
        np.array([0.0, math.nan]),
        "sample 2 is no finite number; mend the recording",
        {"raw": np.array([0.0, 0.5])},
    ),
    (
        "audio",
        {},
        [SOUND],
        np.zeros((2, 800)),
        "samples of shape (2, 800) have more channels than samples; give (T, channels)",
        {"raw": np.zeros((800, 2))},
    ),
    (
        "series",
        {},
        SERIES,
        lambda: make("modalities", "series").take(npz(a=np.ones(3), b=np.ones(3))),
        "the npz has 2 arrays, and a series is one (T,) or (T, C); write a file for each series",
        {"raw": lambda: make("modalities", "series").take(npz(a=np.ones(3)))},
    ),
    ("audio", {}, [SOUND], b"", "the file is empty; write the recording again", {"raw": SOUND}),
    (
        "audio",
        {},
        [SOUND],
        lambda: pytest.importorskip("soundfile") and b"hello, this is a text",
        "this is no whole recording (Format not recognised); wav, flac, ogg and mp3 are read: write it again as one",
        {"raw": SOUND},
    ),
    (
        "audio",
        {},
        [SOUND],
        SOUND[:-400],
        "the recording is cut short: 600 of 800 samples are there; write it again",
        {"raw": SOUND},
    ),
    ("image", {}, [b""], None, "the file is empty; write the picture again", {"column": [lambda: png(PAGE)]}),
    (
        "image",
        {},
        [lambda: picture(PAGE.astype(np.float32), "TIFF")],
        None,
        "its pixels are real numbers, whose white is not known; write 8 or 16 bits a channel",
        {"column": [lambda: picture(PAGE.astype(np.uint8), "TIFF")]},
        {"column": [lambda: picture(PAGE.astype(np.uint16), "TIFF")]},
    ),
    (
        "image",
        {},
        [PAGE, np.zeros((0, 4))],
        None,
        "a picture of shape (0, 4) has no pixel; leave it out",
        {"column": [PAGE]},
    ),
    (
        "image",
        {},
        [2 * PAGE],
        None,
        "has pixels from 0 to 2; give real numbers from 0 to 1, or whole ones from 0 to 255 or 65,535",
        {"column": [PAGE]},
        {"column": [(255 * PAGE).astype(int)]},
        {"column": [(65_535 * PAGE).astype(np.uint16)]},
    ),
    (
        "image",
        {},
        [lambda: png(PAGE)[:45]],
        None,
        "the picture is damaged: image file is truncated; write it again",
        {"column": [lambda: png(PAGE)]},
    ),
    (
        "image",
        {"mean": [0.5]},
        [PAGE],
        None,
        "mean and deviation belong together; set both, or neither for those of the training split",
        {"options": {"mean": [0.5], "deviation": [0.2]}},
        {"options": {}},
    ),
    (
        "image",
        {"mean": [0.5, 0.5], "deviation": [0.2, 0.2]},
        [PAGE],
        None,
        "mean: [0.5, 0.5]: one number for each channel is needed; give 1 (grey) or 3 (colours)",
        {"options": {"mean": [0.5], "deviation": [0.2]}},
        {"options": {"mean": [0.5] * 3, "deviation": [0.2] * 3}},
    ),
    (
        "image",
        {"mean": [0.5, 0.5], "deviation": [0.2, 0.2], "channels": 3},
        [PAGE],
        None,
        "mean: [0.5, 0.5]: one number for each channel is needed; give 3",
        {"options": {"mean": [0.5] * 3, "deviation": [0.2] * 3}},
    ),
    (
        "image",
        {"mean": [0.5], "deviation": [0]},
        [PAGE],
        None,
        "deviation holds a number that is not above 0; mend it",
        {"options": {"mean": [0.5], "deviation": [0.5]}},
    ),
    (
        "image",
        {"height": 64},
        [np.zeros((1, 200))],
        None,
        "a picture of 200 x 1 pixels becomes 12,800 columns at height 64; set width, or cut it into parts",
        {"options": {"height": 64, "width": 100}},
        {"column": [np.zeros((1, 100))]},
    ),
    (
        "image",
        {},
        [PAGE, lambda: picture(np.zeros((9000, 10_000), np.uint8), "PNG")],
        None,
        "this picture has 90 million pixels, and 89 million are the most; make it smaller, or cut it into parts",
        {"column": [PAGE, np.zeros((90, 100))]},
    ),
    (
        "image",
        {},
        [PAGE, b"BM of a bitmap"],
        None,
        "this is no picture of a kind that is read here: ... ; convert it to one of these",
        {"column": [PAGE, lambda: picture(np.zeros((2, 2), np.uint8), "PNG")]},
    ),
    (
        "image",
        {},
        [moving],
        None,
        "moving picture of 2 frames, and a still one is needed; write the frame that counts as a picture",
        {"column": [PAGE]},
        {"type": "video"},
    ),
    (
        "music",
        {"notation": "remi", "fill_bars": True},
        [TUNE],
        None,
        "music: fill_bars belongs to notation: abc; set it, or leave fill_bars out",
        {"options": {"fill_bars": True}},
        {"options": {"notation": "remi"}, "column": [lambda: pytest.importorskip("symusic") and TUNE]},
    ),
    (
        "music",
        {"well_formed": True},
        [TUNE],
        None,
        "music: well_formed belongs to notation: remi or tsd; set it, or leave well_formed out",
        {
            "options": {"notation": "remi", "well_formed": True},
            "column": [lambda: pytest.importorskip("symusic") and TUNE],
        },
        {"options": {}},
    ),
    (
        "music",
        {},
        [f"{TUNE}\n\n{TUNE}"],
        None,
        "there are 2 tunes (lines X:) where one is read; give each a row of its own",
        {"column": [TUNE, TUNE]},
    ),
    (
        "music",
        {},
        [f"{TUNE}\nV:2\nG4|\nV:3\nB4|"],
        None,
        "the tune has 2 voices (V:), 2 and 3, and one is read; keep one, or write it as MIDI and set notation: remi",
        {"column": [f"{TUNE}\nV:2\nG4|"]},
        {"column": [midi], "options": {"notation": "remi"}},
    ),
    (
        "music",
        {},
        [midi],
        None,
        "this is a MIDI file, and a text in ABC is needed; set notation: remi (or tsd)",
        {"options": {"notation": "remi"}},
        {"options": {"notation": "tsd"}},
    ),
    (
        "music",
        {},
        [TUNE.replace("K:G", "K:H")],
        None,
        "there is no key K:H; write a note from A to G, such as K:C or K:F#m, or K:none",
        {"column": [TUNE.replace("K:G", "K:F#m")]},
        {"column": [TUNE.replace("K:G", "K:none")]},
    ),
    (
        "music",
        {"notation": "remi"},
        [lambda: pytest.importorskip("symusic") and TUNE, b""],
        None,
        "the file is empty; write the tune again",
        {"column": [TUNE, midi]},
    ),
    (
        "music",
        {"notation": "remi"},
        [lambda: pytest.importorskip("symusic") and TUNE, b"RIFF1234WAVE"],
        None,
        "this is no MIDI file, which begins with MThd; give one that ends in .mid, or a tune in ABC",
        {"column": [TUNE, midi]},
        {"column": [TUNE, TUNE]},
    ),
    (
        "music",
        {"notation": "remi"},
        [TUNE, lambda: midi()[:30]],
        None,
        "this is no whole MIDI file ( ... ); write it again",
        {"column": [TUNE, midi]},
    ),
    (
        "music",
        {"notation": "remi"},
        [TUNE, lambda: b"MThd\0\0\0\6\0\1\0\1\0\0" + midi()[14:]],
        None,
        "this is no whole MIDI file (a beat of it has no ticks); write it again",
        {"column": [TUNE, midi]},
    ),
    (
        "music",
        {"notation": "remi"},
        [TUNE, lambda: midi(rest=True)],
        None,
        "the MIDI file has no notes; leave it out",
        {"column": [TUNE]},
    ),
    (
        "strokes",
        {},
        [npz(a=np.array(CROSS), b=np.array(CROSS))],
        None,
        "the npz has 2 arrays, and a drawing is one (T, 3); write a file for each drawing",
        {"column": [npz(a=np.array(CROSS))]},
    ),
    (
        "strokes",
        {},
        [npz(a=np.array(CROSS, object))],
        None,
        "Object arrays cannot be loaded when allow_pickle=False; write it again, without Python objects",
        {"column": [npz(a=np.array(CROSS))]},
    ),
    (
        "strokes",
        {},
        [b'<!DOCTYPE ink [<!ENTITY a "2">]>' + INK],
        None,
        "the file declares entities, which are not read; write it without them",
        {"column": [INK]},
    ),
    (
        "strokes",
        {},
        [b"<html/>"],
        None,
        "the root of the file is <html>, and a drawing is <ink> (InkML) or <svg>; give one of these",
        {"column": [INK]},
        {"column": [b'<svg><path d="M2,3h10"/></svg>']},
    ),
    (
        "strokes",
        {},
        [b"<ink/>"],
        None,
        "the file has no <trace> with a point, so there is nothing to read; write the drawing again",
        {"column": [INK]},
    ),
    (
        "strokes",
        {},
        [INK[:-9]],
        None,
        "this is no InkML, SVG or npz: unclosed token: line 1, column 21; write the drawing again",
        {"column": [INK]},
    ),
    (
        "strokes",
        {},
        [INK, b"<ink><trace>2 3</trace></ink>"],
        None,
        "the drawing is one point, and a line has two; leave it out",
        {"column": [INK]},
    ),
    (
        "strokes",
        {},
        [b'<ink><channel name="F"/><trace>2 3, 4 5</trace></ink>'],
        None,
        "the channels of the InkML are F, and X and Y are needed; write the points with both",
        {
            "column": [
                b'<ink><traceFormat><channel name="X"/><channel name="Y"/></traceFormat><trace>2 3, 4 5</trace></ink>'
            ]
        },
    ),
    (
        "strokes",
        {},
        [b"<ink><trace>2 3, '1 '2</trace></ink>"],
        None,
        "point that is not X and Y as plain numbers; write it without differences (' and \") and wildcards",
        {"column": [INK]},
    ),
    (
        "strokes",
        {},
        [b'<svg><polyline points="2,3 4"/></svg>'],
        None,
        "has points that are no pairs of numbers: cannot reshape array of size 3 into shape (2); mend it",
        {"column": [b'<svg><polyline points="2,3 4,5"/></svg>']},
    ),
    (
        "strokes",
        {},
        [b'<svg><path d="M2,3h"/></svg>'],
        None,
        "the SVG path has numbers that its command h does not take; write it again",
        {"column": [b'<svg><path d="M2,3h4"/></svg>']},
    ),
    (
        "strokes",
        {},
        [[[0, 0, 1]]],
        None,
        "nothing to learn: no drawing of the training split has a line; check the column",
        {"column": [CROSS]},
    ),
    (
        "strokes",
        {},
        [[[0, 0, 0], [1e200, 0, 1]]],
        None,
        "offsets are too large to be scaled; mend the largest",
        {"column": [[[0, 0, 0], [1e20, 0, 1]]]},
    ),
    (
        "strokes",
        {"scale": "row"},
        [CROSS],
        [[0, 0, 0], [0, 0, 1]],
        "all points are one, so that scale: row has nothing to divide by; leave the drawing out",
        {"raw": CROSS},
    ),
    (
        "strokes",
        {},
        [[[0, 0, 0], [1e-9, 0, 1]]],
        [[0, 0, 0], [1e38, 0, 1]],
        "point 2 is too far from the one before; mend it",
        {"raw": [[0, 0, 0], [1, 0, 1]]},
    ),
    (
        "strokes",
        {},
        [[*CROSS, [None, 1, 1]]],
        None,
        "point 5 has an offset that is infinite or missing; mend it, or leave it out",
        {"column": [[*CROSS, [1, 1, 1]]]},
        {"column": [CROSS]},
    ),
    (
        "strokes",
        {},
        [[*CROSS, [1, 1, 2]]],
        None,
        "point 5: the third number is 1 where the pen lifts and else 0, not 2; mend it",
        {"column": [[*CROSS, [1, 1, 1]]]},
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]} {row[4]}"[:60])
def test_a_value_or_setting_that_follows_the_advice_is_read(row):
    type, options, column, raw, advice, *changes = row
    refused = {"type": type, "options": options, "column": column, "raw": raw}
    with pytest.raises(OstinatoError) as refusal:
        used(**refused)
    assert all(part in str(refusal.value) for part in advice.split(" ... "))
    for change in changes:
        used(**refused | change)


def test_sound_that_arrives_follows_the_advice_on_its_scale():
    parts = iter([np.zeros(800, "<i2").tobytes(), b""])
    by_row, whole = make("modalities", "audio", options={"scale": "row"}), make("modalities", "audio")
    with pytest.raises(OstinatoError, match="scale: row needs the whole recording; set scale: dataset and train again"):
        list(by_row.arriving(lambda: next(parts)))
    whole.fit([SOUND])
    assert len(np.concatenate(list(whole.arriving(lambda: next(parts)))))


def test_what_is_too_long_is_cut_as_the_advice_asks(monkeypatch):
    pytest.importorskip("symusic")
    monkeypatch.setattr(_notes, "LONGEST", 3)
    with pytest.raises(OstinatoError, match="notes, and 3 are the most of one example; cut it into pieces"):
        used("music", {"notation": "remi"}, [midi])
    used("music", {"notation": "remi"}, [lambda: Music().render(["X:1\nM:2/4\nK:G\nGB|"], ".mid")])


def test_a_tune_with_less_silence_is_read_as_the_advice_asks(monkeypatch):
    pytest.importorskip("symusic")
    monkeypatch.setattr(_notes, "LONGEST", 5)
    with pytest.raises(OstinatoError, match="lasts 9 beats, and 5 are the most of one example; take the silence out"):
        used("music", {"notation": "remi"}, [lambda: Music().render(["X:1\nM:2/4\nL:1/4\nK:G\nz8B|"], ".mid")])
    used("music", {"notation": "remi"}, [lambda: Music().render(["X:1\nM:2/4\nL:1/4\nK:G\nz3B|"], ".mid")])


def test_sound_of_frames_is_written_with_the_scale_of_the_advice():
    by_row, whole = make("modalities", "audio", options={"scale": "row"}), make("modalities", "audio")
    for audio in (by_row, whole):
        audio.fit([SOUND])
    with pytest.raises(OstinatoError, match="keeps no loudness; for sound set scale: dataset and train again"):
        by_row.render([SOUND], ".wav")
    assert whole.render([SOUND], ".wav")


def test_one_tune_is_written_to_a_file_as_the_advice_asks():
    music = Music()
    with pytest.raises(OstinatoError, match="holds one tune, and there are 2; give one prompt and one answer"):
        music.render([TUNE] * 2, ".mid")
    pytest.importorskip("symusic")
    assert music.render([TUNE], ".mid").startswith(b"MThd")
