"""Pictures of every kind of file, and what is no picture."""

import errno
import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image as Pillow

from ostinato.errors import ConfigError, DataError
from ostinato.modalities._pictures import png
from ostinato.modalities.image import Image

RED, BLUE = (255, 0, 0), (0, 0, 255)


def fitted(*raws, **options):
    image = Image(**options)
    image.fit(raws)
    return image


def file(picture, kind="PNG", **options):
    content = io.BytesIO()
    picture.save(content, kind, **options)
    return content.getvalue()


def half_red(width=6, height=4):
    """Red on the left, blue on the right."""
    picture = Pillow.new("RGB", (width, height), BLUE)
    picture.paste(RED, (0, 0, width // 2, height))
    return picture


def seen(raw, **options):
    image = fitted(np.eye(4), np.stack([np.eye(4)] * 2 + [1 - np.eye(4)], 2), **options)
    return image.decode(image.encode(raw))


def test_columns_hold_pixels_from_top_to_bottom_scaled_by_the_training_split():
    pixels = np.linspace(0, 1, 2 * 3 * 3).reshape(2, 3, 3)
    image = fitted(pixels)
    mean, deviation = pixels.reshape(-1, 3).mean(0), pixels.reshape(-1, 3).std(0)
    expected = ((pixels - mean) / deviation).transpose(1, 0, 2).reshape(3, 6)
    assert np.allclose(image.encode(pixels), expected, atol=2e-3) and image.spec.size == 6
    assert np.allclose(image.decode(image.encode(pixels)), pixels, atol=2e-3)
    grey = fitted(pixels[..., :1], png(pixels[..., 0]))
    assert grey.spec.size == 2 and grey.encode(pixels).shape == (3, 2)
    fixed = fitted(pixels, mean=[0.5], deviation=[0.25])
    assert np.allclose(fixed.encode(np.full((2, 2), 0.75)), 1)


@pytest.mark.parametrize(
    ("raw", "pixel"),
    [
        (file(half_red()), RED),
        (file(half_red(), "WEBP", lossless=True), RED),
        (file(half_red(), "GIF"), RED),
        (file(half_red().convert("P")), RED),
        (file(half_red(60, 40), "JPEG", quality=95), RED),
        (file(half_red(60, 40).convert("CMYK"), "JPEG", quality=95), RED),
        (half_red(), RED),
        (file(Pillow.new("RGBA", (4, 4), (255, 0, 0, 0))), (255, 255, 255)),
        (file(Pillow.new("LA", (4, 4), (0, 51))), (204, 204, 204)),
        (file(Pillow.fromarray(np.full((4, 4), 13107, np.uint16))), (51, 51, 51)),
        (np.full((4, 4), 13107, np.uint16), (51, 51, 51)),
        (np.full((4, 4, 4), 0.0), (255, 255, 255)),
        ([[0, 0], [0, 65535]], (0, 0, 0)),
        ([[True, True]], (255, 255, 255)),
        (file(Pillow.new("RGB", (1, 1), BLUE)), BLUE),
    ],
)
def test_every_form_of_a_picture_is_read(raw, pixel):
    corner = seen(raw, height=8)[0, 0] * 255
    assert np.abs(corner - pixel).max() < 10


def test_a_picture_is_turned_as_its_camera_was_held():
    exif = Pillow.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    turned = seen(file(half_red(60, 40), "JPEG", exif=exif, quality=95), height=60)
    assert turned.shape == (60, 40, 3) and turned[0, 20].argmax() == 0 and turned[-1, 20].argmax() == 2


def test_sizes_are_those_of_the_first_picture_and_widths_follow():
    image = fitted(np.zeros((10, 20)), np.eye(5, 30))
    assert image.spec.height == 10
    assert [len(image.encode(np.zeros(shape))) for shape in ((10, 20), (20, 20), (1, 1), (5, 1))] == [20, 10, 10, 2]
    assert fitted(np.zeros((200, 100))).encode(np.zeros((3, 4))).shape == (85, 64)
    assert fitted(np.zeros((9, 9)), height=4, width=6).encode(np.zeros((3, 70))).shape == (6, 4)


def bomb(side):
    """A png of so many pixels a side by its header, with nothing behind it."""
    parts = [b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0), b"IDAT"]
    chunks = [struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part)) for part in parts]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


MOVING = file(half_red(), "GIF", save_all=True, append_images=[Pillow.new("RGB", (6, 4), BLUE)])


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "the file is empty"),
        (b"no picture", "no picture of a kind that is read here: .png"),
        (file(half_red(60, 60), "JPEG")[:400], "damaged"),
        (file(half_red(60, 60))[:-30], "damaged"),
        (bomb(10_000), "has 100 million pixels, and 89 million are the most; make it smaller"),
        (bomb(20_000), "has 400 million pixels, and 89 million"),
        (MOVING, "moving picture of 2 frames, and a still one is needed"),
        (file(Pillow.new("F", (4, 4), 0.5), "TIFF"), "real numbers, whose white is not known"),
        ("nowhere.png", "there is no picture 'nowhere.png'; paths are relative"),
        ("long" * 1000, "there is no picture 'longlong.*long...'; paths are relative"),
        (".", "'.' is a folder; give the path of one picture in it"),
        ("data:image/png;base64,a", "holds no base64"),
        ([[1, 2], [3]], "rows of pixels differ"),
        (np.zeros((4, 4, 5)), r"1 to 4 channels as a last axis.*float64 of shape \(4, 4, 5\)"),
        (np.zeros((0, 4)), "has no pixel"),
        (np.full((4, 4), 1.5), "pixels from 1.5 to 1.5; give real numbers from 0 to 1"),
        (np.full((4, 4), np.nan), "pixels from nan"),
        (np.full((4, 4), -3), "pixels from -3 to -3"),
        (np.zeros((1, 20_000)), "becomes 80,000 columns at height 4; set width"),
        (7, "a picture is a file or numbers"),
    ],
)
def test_what_is_no_picture_is_refused(raw, message):
    with warnings.catch_warnings(), pytest.raises(DataError, match=message):
        warnings.simplefilter("error")
        seen(raw)


def test_the_advice_on_a_picture_that_may_not_be_read_is_followed(tmp_path, monkeypatch):
    path = tmp_path / "red.png"
    path.write_bytes(file(half_red()))

    def barred(self):
        raise PermissionError(errno.EACCES, "Permission denied")

    with (
        monkeypatch.context() as locked,
        pytest.raises(DataError, match="'.*red.png' cannot be read: Permission denied; see who may read it"),
    ):
        locked.setattr(type(path), "read_bytes", barred)
        seen(str(path))
    np.testing.assert_array_equal(seen(str(path)), seen(file(half_red())))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mean": [0.5]}, "belong together"),
        ({"mean": [0.5], "deviation": [0.2, 0.3]}, "one number for each channel"),
        ({"mean": [0.5], "deviation": [0.2], "channels": 3}, "one number for each channel"),
        ({"mean": [0.5], "deviation": [0]}, "not above 0"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        Image(**options)


def test_a_baseline_reads_a_small_picture_in_a_type_that_its_library_takes():
    image = fitted(half_red())
    small, none = image.features([half_red(), None]).values
    assert small.dtype == np.float32 and small.shape == none.shape == (8 * 8 * 3,) and not none.any()


def test_nothing_to_learn_from_is_told():
    with pytest.raises(DataError, match="no row of the training split has a picture"):
        fitted(None)


def test_a_field_holds_a_path_or_the_file_itself(tmp_path):
    (tmp_path / "a.png").write_bytes(file(half_red()))
    image = fitted(half_red())
    for raw in (str(tmp_path / "a.png"), tmp_path / "a.png", image.write(half_red()), image.write(file(half_red()))):
        assert np.array_equal(image.encode(raw), image.encode(half_red()))
    assert image.write("a.png") == "a.png"


def test_without_pillow_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    with pytest.raises(ConfigError, match=r"pip install 'ostinato\[images\]'"):
        seen(b"x")


def test_a_picture_of_one_color_and_a_damaged_one_are_named_before_training():
    pictures = Image()
    assert pictures.flaw(np.eye(3)) is None
    assert pictures.flaw(np.ones((4, 4, 3))) == "has one color alone"
    with pytest.raises(DataError, match="damaged"):
        pictures.flaw(png(np.eye(30))[:50])


def test_advice_on_a_gif_without_its_end():
    image, whole = fitted(np.eye(4)), file(half_red(), "GIF")
    with pytest.raises(DataError, match="the end of the GIF is missing; write it again"):
        image.encode(whole[:-1])
    again = file(Pillow.open(io.BytesIO(whole)), "GIF")
    assert np.array_equal(image.encode(again), image.encode(whole))
    assert np.array_equal(image.encode(whole + b"\0\n"), image.encode(whole)), "bytes behind the end are nothing"
