"""Videos from folders, animated files and pixels."""

import io
import pickle
import re

import numpy as np
import pytest
from PIL import Image as Pillow

from ostinato.errors import ConfigError, DataError
from ostinato.modalities._pictures import png
from ostinato.modalities.contract import Pixels
from ostinato.modalities.video import Video
from ostinato.testing._tools import Member

CLIP = np.stack([np.full((4, 6), level) for level in (0.0, 0.4, 1.0)])
"""Three frames, each of one grey."""


def fitted(raw=CLIP, **options):
    video = Video(**options)
    video.fit([raw])
    return video


def animated(kind):
    frames = [Pillow.fromarray((255 * frame).astype(np.uint8)) for frame in CLIP]
    content = io.BytesIO()
    frames[0].save(content, kind, save_all=True, append_images=frames[1:])
    return content.getvalue()


def test_a_step_is_a_frame_column_after_column():
    pixels = np.linspace(0, 1, 2 * 3 * 4 * 3).reshape(2, 3, 4, 3)
    video = fitted(pixels, mean=[0.0] * 3, deviation=[1.0] * 3)
    assert np.allclose(video.encode(pixels), pixels.transpose(0, 2, 1, 3).reshape(2, -1), atol=1e-3)
    assert np.allclose(video.decode(video.encode(pixels)), pixels, atol=1e-3)
    assert video.spec == Pixels(36, unscaled=True, height=3, width=4) and video.labels(video.encode(pixels)) == [
        "1",
        "2",
    ]


@pytest.mark.parametrize("kind", ["GIF", "PNG"])
def test_a_folder_an_animated_file_and_pixels_are_one_video(kind, tmp_path):
    video = fitted()
    for place, frame in enumerate(CLIP):
        (tmp_path / f"frame{place + 9}.png").write_bytes(png(frame))  # 9, 10, 11: by number, not by letter
    (tmp_path / "notes.txt").write_text("no frame")
    for raw in (str(tmp_path), tmp_path, animated(kind)):
        assert np.allclose(video.encode(raw), video.encode(CLIP), atol=0.02)
    assert video.encode(png(CLIP[1])).shape == (1, 24) and fitted(height=2).spec.width == 3
    for raw in (animated(kind), np.stack([CLIP[0], CLIP[0], CLIP[1]])):  # equal frames stay apart
        assert np.allclose(video.encode(video.parse(video.write(raw))), video.encode(raw), atol=0.02)


def test_a_damaged_frame_is_named_by_its_place_and_its_file(tmp_path):
    video = fitted()
    for place, frame in enumerate(CLIP):
        (tmp_path / f"{place + 9}.png").write_bytes(png(frame))
    (tmp_path / "10.png").write_bytes(png(CLIP[1])[:40])
    files = [path.read_bytes() for path in sorted(tmp_path.iterdir())]
    again = pickle.loads(pickle.dumps(video.parse(str(tmp_path))))
    for raw, name in ((str(tmp_path), f"frame 2 ({tmp_path}/10.png)"), (again, "frame 2 ("), (files, "frame 1:")):
        with pytest.raises(DataError, match=f"^{re.escape(name)}.*this is no picture"):
            video.encode(raw)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (CLIP[0], r"a video is a file or numbers \(T, H, W\)"),
        (np.zeros((0, 4, 6)), "has no pixel"),
        (animated("GIF")[:60], "damaged|no picture"),
        (animated("GIF")[:-1], "the end of the GIF is missing"),
        ("nowhere", "there is no video"),
    ],
)
def test_what_is_no_video_is_refused(raw, message):
    with pytest.raises(DataError, match=message):
        fitted().encode(raw)


def test_a_folder_without_frames_is_refused(tmp_path):
    with pytest.raises(DataError, match="holds no frame: no file ends in .png"):
        fitted().encode(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("cnn", {}, "take stacked, which reads each"),
        ("stacked", {"each": "recurrent"}, "recurrent reads no picture, and here it gets some"),
        ("stacked", {"over": "ngrams"}, "ngrams reads no vectors, and here it gets some"),
    ],
)
def test_an_encoder_that_cannot_read_it_is_refused(name, options, message):
    with pytest.raises(ConfigError, match=message):
        Member.of("encoders", name, options)(fitted().spec)


def test_videos_in_which_nothing_moves_are_named_before_training():
    video = Video()
    moving = np.linspace(0, 1, 24).reshape(2, 3, 4)
    assert video.flaw(moving) is None
    assert video.flaw(moving[:1]) == "has one frame, in which nothing moves"
    assert video.flaw(np.repeat(moving[:1], 3, 0)) == "has 3 frames that are all alike"
