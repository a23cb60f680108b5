"""What a message on a picture or a drawing recommends, followed: what was refused is read."""

import io

import numpy as np
import pytest

from ostinato.modalities._pictures import png
from tests.modalities.value_advice import follow

CROSS = [[0, 0, 0], [10, 0, 1], [-5, -4, 0], [0, 8, 1]]
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


ROWS = [
    # what is refused: type, options, column, value | what the message recommends | the changes that follow it
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
    follow(row)
