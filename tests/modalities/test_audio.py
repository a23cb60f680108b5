"""Recordings: what is read of files, what frames hold, and what is refused."""

import io
import struct
import wave

import numpy as np
import pytest
from scipy.signal import get_window, resample_poly

from ostinato.errors import ConfigError, DataError
from ostinato.modalities import _recording
from ostinato.modalities._recording import Recording, _ratio, resampled
from ostinato.modalities.audio import Audio, wav

RATE = 8000
TIMES = np.arange(RATE // 4) / RATE
TONE = 0.5 * np.sin(2 * np.pi * 440 * TIMES)


def fitted(raw=None, **options):
    audio = Audio(**{"scale": "none", **options})
    audio.fit([wav(TONE, RATE) if raw is None else raw])
    return audio


def by_the_equations(samples, rate, bands, coefficients=None):
    """Log-mel or mfcc frame by frame, from the formulas of the docstring alone."""
    window, hop, size = round(0.025 * rate), round(0.01 * rate), 1
    while size < window:
        size *= 2
    mel = lambda f: 2595 * np.log10(1 + f / 700)  # noqa: E731
    edges = [700 * (10 ** (m / 2595) - 1) for m in np.linspace(mel(20.0), mel(rate / 2), bands + 2)]
    frames = []
    for start in range(0, len(samples) - window + 1, hop):
        spectrum = np.fft.fft(samples[start : start + window] * get_window("hann", window), size)
        energies = np.zeros(bands)
        for place in range(size // 2 + 1):
            frequency = place * rate / size
            for band, (low, middle, high) in enumerate(zip(edges, edges[1:], edges[2:])):
                weight = min((frequency - low) / (middle - low), (high - frequency) / (high - middle))
                energies[band] += max(0, weight) * abs(spectrum[place]) ** 2
        logs = np.log(energies + 1e-10)
        if coefficients:
            angles = np.pi * np.outer(np.arange(coefficients), np.arange(bands) + 0.5) / bands
            scale = np.full(coefficients, np.sqrt(2 / bands))
            scale[0] = np.sqrt(1 / bands)
            logs = scale * (np.cos(angles) @ logs)
        frames.append(logs)
    return np.array(frames)


@pytest.mark.parametrize(("features", "coefficients"), [("log_mel", None), ("mfcc", 13)])
def test_frames_are_those_of_the_equations(features, coefficients):
    samples = TONE + 0.1 * np.random.default_rng(0).standard_normal(len(TONE))
    audio = fitted(features=features, rate=RATE, bands=20)
    assert np.allclose(audio.encode(samples), by_the_equations(samples, RATE, 20, coefficients), atol=1e-3)


CHIRP = 0.3 * np.sin(2 * np.pi * (300 + 1500 * TIMES) * TIMES) + 0.01 * np.cos(np.arange(RATE // 4) ** 2)


@pytest.mark.parametrize(
    ("options", "numbers", "golden"),
    [
        ({"features": "log_mel"}, slice(None, None, 4), [-5.41946, -3.8629, -3.12174, -2.92175, -2.90643]),
        ({"features": "mfcc", "coefficients": 5}, slice(None), [-12.32451, 1.25862, -4.43641, -8.27174, -4.23786]),
    ],
)
def test_frames_are_those_of_a_reference_library(options, numbers, golden):
    """The eleventh frame by librosa 0.11.0: mel filters with htk=True and norm=None, a periodic Hann window of 200 in
    256."""
    frames = fitted(CHIRP, rate=RATE, bands=20, scale="none", **options).encode(CHIRP)
    assert np.allclose(frames[10, numbers], golden, atol=1e-4)


def test_a_waveform_is_the_samples_of_each_hop():
    frames = fitted(features="waveform").encode(wav(TONE, RATE))
    assert frames.shape == (25, 80) and np.allclose(frames.ravel(), TONE, atol=2**-15)


def sound(samples, *, width, rate=RATE, channels=1):
    """A wav file of whole numbers of so many bytes."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((channels, width, rate, 0, "NONE", ""))
        whole = np.round(samples * 2 ** (8 * width - 1)).astype(np.int64)
        if width == 1:
            whole += 128
        data = b"".join(int(value).to_bytes(width, "little", signed=width > 1) for value in whole)
        out.writeframes(data)
    return file.getvalue()


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_whole_numbers_of_each_size_are_read(width):
    audio = fitted(features="waveform")
    frames = audio.encode(sound(TONE, width=width)).ravel()
    assert np.abs(frames[: len(TONE)] - TONE).max() <= 2.0 ** (1 - 8 * width) + 1e-7


def test_channels_are_averaged_and_other_rates_resampled():
    stereo = np.stack([TONE, np.zeros_like(TONE)], 1)
    assert np.allclose(fitted(features="waveform").encode(wav(stereo, RATE)).ravel(), TONE / 2, atol=2**-15)
    audio = fitted(bands=20)
    faster = 0.5 * np.sin(2 * np.pi * 440 * np.arange(44100 // 4) / 44100)
    inner = slice(3, -3)
    assert audio.rate == RATE
    resampled = audio.encode(wav(faster, 44100))
    peak = audio.encode(wav(TONE, RATE)).argmax(1)[inner]
    assert len(resampled) == len(peak) + 6 and (resampled.argmax(1)[inner] == peak).all()


def test_other_channels_are_remarked_from_the_header_alone(tmp_path):
    stereo = wav(np.stack([TONE, TONE], 1), RATE)
    (tmp_path / "clip.wav").write_bytes(stereo[:100])
    audio, both = fitted(), "2 channels are mixed into one; training recordings had 1"
    for raw in (stereo[:100], str(tmp_path / "clip.wav"), tmp_path / "clip.wav", np.stack([TONE, TONE], 1)):
        assert audio.remark(raw) == both
    assert audio.remark(TONE) is audio.remark(wav(TONE, RATE)) is None
    assert "one channel; the 2 of the training recordings" in fitted(stereo).remark(TONE)


def test_another_rate_is_remarked_from_the_header_alone_also_after_a_run_is_loaded():
    audio, other = fitted(), wav(np.stack([TONE, TONE], 1), 2 * RATE)[:100]
    said = "16,000 samples a second become 8,000; training recordings had 8,000"
    loaded = fitted(wav(TONE, 2 * RATE))
    loaded.restore(audio.facts())
    for own in (audio, loaded):
        assert own.remark(wav(TONE, 2 * RATE)) == said and own.remark(other).endswith(
            f"training recordings had 1; {said}"
        )
    assert fitted(rate=2 * RATE).remark(wav(TONE, RATE)) is None


@pytest.mark.parametrize(
    ("raw", "flaw"),
    [
        (wav(TONE, RATE), None),
        (np.sin(TIMES * 9000), None),
        (wav(np.zeros(0), RATE), "has no sound"),
        (wav(np.zeros(800), RATE), "has no sound"),
        (wav(TONE * 3, RATE), "is clipped, louder than a file holds"),
        (TONE * 100, "is clipped, louder than a file holds"),
    ],
)
def test_what_a_recording_shows_by_itself(raw, flaw):
    assert Audio(rate=RATE).flaw(raw) == flaw


def test_recordings_come_by_path_by_bytes_as_samples_and_as_a_field(tmp_path):
    (tmp_path / "clip.wav").write_bytes(wav(TONE, RATE))
    audio = fitted()
    expected = audio.encode(wav(TONE, RATE))
    whole = np.round(TONE * 2**15).astype(np.int16)
    for raw in (str(tmp_path / "clip.wav"), tmp_path / "clip.wav", whole, audio.parse(audio.write(whole))):
        assert np.allclose(audio.encode(raw), expected, atol=1e-4)
    again = Audio(scale="none")
    again.restore(audio.facts())
    assert np.array_equal(again.encode(whole), audio.encode(whole)) and audio.step_seconds == 0.01


def test_a_cell_of_hugging_faces_data_sets_is_the_recording_that_it_holds(tmp_path):
    samples = np.sin(np.arange(900) / 3) / 2
    file = wav(samples, 2 * RATE)
    (tmp_path / "a.wav").write_bytes(file)
    audio = Audio(bands=8)
    audio.fit([{"array": samples, "sampling_rate": 2 * RATE, "path": None}])
    assert audio.rate == 2 * RATE
    whole = audio.encode(file)
    for cell in (
        {"array": samples, "sampling_rate": 2 * RATE},
        {"bytes": file, "path": "elsewhere.wav"},
        {"bytes": None, "path": str(tmp_path / "a.wav")},
    ):
        assert np.array_equal(audio.encode(cell), whole) and audio.remark(cell) is audio.flaw(cell) is None
        assert audio.excess(cell) is None and not audio.is_long(cell)
        assert np.array_equal(audio.encode(audio.parse(audio.write(cell))), whole)


def test_silence_and_clipping_are_frames_and_nothing_has_none():
    audio = fitted(scale="row")
    assert not audio.encode(np.zeros(RATE)).any()
    assert np.isfinite(audio.encode(np.sign(TONE))).all()
    assert audio.encode(wav(np.zeros(0), RATE)).shape == (0, 40) and len(audio.encode(np.ones(3))) == 1


TRUNCATED = wav(TONE, RATE)[:1000]
FLOATS = b"RIFF" + struct.pack("<I", 44) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 3, 1, RATE, 4 * RATE, 4, 32)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "the file is empty"),
        (TRUNCATED, "cut short: 478 of 2,000 samples"),
        (wav(TONE, 1), "1 samples a second are none"),
        (wav(TONE, 2_000_000), "2,000,000 samples a second are none"),
        (np.array([0.0, np.nan]), "sample 2 is no finite number"),
        (np.array([[0.0, 0.0], [0.0, np.inf]]), "sample 2 is no finite number"),
        (np.zeros((2, 8000)), "more channels than samples"),
        (["a", "b"], "a recording is a file or real numbers"),
        ("no/such.wav", "there is no recording .*no/such.wav"),
        ("data:audio;base64,a", "holds no base64"),
        (np.zeros(7200 * 1000 + 1, dtype=np.int16), "2.0 hours are too long for one example"),
    ],
)
def test_what_is_no_recording_is_refused(raw, message):
    with pytest.raises(DataError, match=message):
        fitted(rate=1000, bands=10).encode(raw)


def test_samples_alone_need_a_rate():
    with pytest.raises(DataError, match="set `rate` for this input"):
        Audio().fit([TONE])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"coefficients": 5}, "belong to features: mfcc"),
        ({"features": "waveform", "bands": 10}, "bands belongs to a spectrum"),
        ({"features": "mfcc", "bands": 10, "coefficients": 20}, "at least as many bands"),
        ({"window_seconds": 0.005}, "leaves samples unread"),
        ({"rate": 10}, "none of sound"),
        ({"lowest_hertz": 500.0, "highest_hertz": 300.0}, "lowest_hertz lies"),
        ({"highest_hertz": 6000.0}, "above half the rate"),
        ({"bands": 400}, "set fewer bands"),
        ({"window_seconds": 0.001, "hop_seconds": 0.00001}, "less than a sample"),
    ],
)
def test_settings_that_cannot_be(options, message):
    with pytest.raises(ConfigError, match=message):
        fitted(**options)


@pytest.mark.parametrize("raw", [FLOATS + b"data" + struct.pack("<I", 8) + bytes(8), b"no sound at all"])
def test_other_files_need_soundfile(raw, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "soundfile", None)
    with pytest.raises(DataError, match="pip install 'ostinato\\[audio\\]'"):
        fitted().encode(raw)


def test_soundfile_reads_floats_and_flac_and_refuses_what_is_damaged():
    soundfile = pytest.importorskip("soundfile")
    audio = fitted()
    expected = audio.encode(wav(TONE, RATE))
    for kind, subtype in (("WAV", "FLOAT"), ("FLAC", "PCM_16"), ("OGG", "VORBIS")):
        file = io.BytesIO()
        soundfile.write(file, TONE, RATE, format=kind, subtype=subtype)
        frames = audio.encode(file.getvalue())
        assert (
            audio.remark(file.getvalue()) is None
            and frames.shape == expected.shape
            and (frames.argmax(1) == expected.argmax(1)).mean() > 0.9
        )
    for raw in (b"no sound at all", b"fLaC" + bytes(30)):
        with pytest.raises(DataError, match="no whole recording"):
            audio.encode(raw)


@pytest.mark.parametrize(
    ("options", "apart"),
    [({"bands": 20}, 0.2), ({"features": "mfcc", "bands": 20, "coefficients": 20}, 0.4), ({"features": "waveform"}, 0)],
)
def test_frames_become_sound_that_has_nearly_these_frames(options, apart):
    audio = fitted(**options)
    sound = TONE + np.random.default_rng(0).normal(0, 0.05, len(TONE))
    frames = audio.decode(audio.encode(wav(sound, RATE)))
    again = audio.frames(audio.render([frames], ".wav"))
    assert np.abs(again - audio.frames(wav(sound, RATE))).mean() <= apart + 1e-4
    two = audio.render([frames, frames], ".wav")
    assert len(audio.samples(two)) == 2 * len(audio.samples(frames)) + 0.25 * RATE
    assert len(audio.samples(audio.render([], ".wav"))) == 0.25 * RATE


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"mfcc": [[0.0] * 8]}, "frames of mfcc are given, and log_mel is read here"),
        ({}, "frames of nothing are given"),
        ({"log_mel": [[0.0] * 7]}, "each frame is 8 numbers"),
        ({"log_mel": [[np.nan] * 8]}, "all of them finite"),
        ('{"log_mel": [', "frames are JSON"),
        ('{"log_mel": 3}', "a list of numbers"),
    ],
)
def test_what_are_no_frames_is_refused(raw, message):
    with pytest.raises(DataError, match=message):
        fitted(bands=8).encode(raw)


def test_a_scale_by_row_makes_no_sound():
    audio = fitted(scale="row", bands=8)
    with pytest.raises(ConfigError, match="set scale: dataset and train again"):
        audio.render([audio.decode(audio.encode(wav(TONE, RATE)))], ".wav")


@pytest.mark.parametrize(("rate", "before"), [(8000, 44_100), (44_100, 8000), (8000, 8001), (16_000, 48_000)])
@pytest.mark.parametrize("size", [1, 37, 1000])
def test_samples_resampled_block_by_block_are_those_of_the_whole(rate, before, size):
    samples = np.random.default_rng(0).uniform(-1, 1, 3000 if before > 8001 else 17_000)
    size = size if before != 8001 else 100 * size  # whose filter reads 160,000 samples
    whole = resample_poly(samples, rate, before)
    blocks = resampled((samples[at : at + size] for at in range(0, len(samples), size)), rate, before)
    assert np.array_equal(np.concatenate(list(blocks)), whole)
    assert not list(resampled([np.zeros(0)], rate, before))


@pytest.mark.parametrize(("rate", "before"), [(8000, 999_983), (999_983, 8000)])
def test_rates_without_a_common_factor_need_no_filter_of_gigabytes(rate, before):
    seconds = np.arange(before) / before
    tone = np.sin(2 * np.pi * 440 * seconds)
    own = np.concatenate(list(resampled([tone], rate, before)))
    assert abs(len(own) - rate) <= 1 + rate / 50_000
    expected = np.sin(2 * np.pi * 440 * np.arange(len(own)) / rate)
    inner = slice(len(own) // 10, -(len(own) // 10))
    assert np.abs(own - expected)[inner].max() < 0.02
    assert max(_ratio(rate, before)) <= 50_000


def written(samples, rate, kind):
    soundfile = pytest.importorskip("soundfile")
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["wav", "WAV", "FLAC", "OGG", "MP3"])
@pytest.mark.parametrize("features", ["log_mel", "mfcc", "waveform"])
def test_a_file_that_is_read_in_small_blocks_has_the_frames_of_the_whole(kind, features, monkeypatch, tmp_path):
    """Two channels at another rate, by their path and by their bytes."""
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (30_000, 2))
    content = wav(samples, 44_100) if kind == "wav" else written(samples, 44_100, kind)
    (tmp_path / "clip").write_bytes(content)
    audio = Audio(features=features, rate=RATE)
    audio.fit([content])
    whole = audio.encode(content)
    assert len(whole) > 60
    monkeypatch.setattr(_recording, "BLOCK", 1001)
    monkeypatch.setattr(_recording, "LONG", 0.1)
    assert len(list(Recording.of(content).blocks())) == 30
    assert audio.parse(str(tmp_path / "clip")) == tmp_path / "clip"
    for raw in (content, tmp_path / "clip", str(tmp_path / "clip")):
        parts = list(audio.parts(raw))
        assert len(parts) > 5 and np.allclose(np.concatenate(parts), whole, atol=1e-4)
        assert np.allclose(audio.encode(raw), whole, atol=1e-4) and audio.is_long(raw)
        assert audio.samples(raw).shape == (-(-30_000 * 80 // 441),)


def test_a_rest_after_windows_without_overlap_is_no_frame_of_a_spectrum():
    audio = fitted(window_seconds=0.01, bands=8)
    assert len(audio.encode(wav(TONE[:200], RATE))) == 2 == len(np.concatenate([*audio.parts(wav(TONE[:200], RATE))]))


def test_the_length_of_a_file_is_read_before_its_content(tmp_path, monkeypatch):
    header = wav(np.zeros(0), RATE)
    long = header[:40] + struct.pack("<I", 2 * 36_000 * RATE)
    (tmp_path / "long.wav").write_bytes(long)
    (tmp_path / "short.wav").write_bytes(wav(TONE, RATE))
    audio = fitted()
    assert audio.parse(str(tmp_path / "short.wav")) == wav(TONE, RATE)
    monkeypatch.setattr("pathlib.Path.read_bytes", None)
    raw = audio.parse(str(tmp_path / "long.wav"))
    with pytest.raises(DataError, match="10.0 hours are too long for one example; cut the recording"):
        audio.encode(raw)
    assert audio.is_long(raw) and audio.excess(raw) and audio.write(raw) == str(tmp_path / "long.wav")
    with pytest.raises(DataError, match="cut short: 0 of 288,000,000 samples are there"):
        list(audio.parts(raw))
