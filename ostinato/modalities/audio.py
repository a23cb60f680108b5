"""Recorded sound: files or samples to frames of a spectrum."""

from __future__ import annotations

import base64
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ostinato.errors import ConfigError, DataError
from ostinato.modalities._fields import file_content, is_missing
from ostinato.modalities._griffin_lim import fft_size, frames_of, griffin_lim, powers
from ostinato.modalities._recording import HIGHEST_RATE, LOWEST_RATE, Recording, as_samples, wav
from ostinato.modalities._varied import NOISE_SPREAD, Masks, at_speed, before_warp, between, factor
from ostinato.modalities.contract import Array, Features, Modality, Traits, Values
from ostinato.modalities.series import Series
from ostinato.raw.numbers import as_array
from ostinato.registry import Count, NonNegative, Positive, Rate, Whole

FLOOR = 1e-10
"""Added to the power of a band, so that silence has a logarithm."""
LOUDEST = 30.0
"""The logarithm of the greatest power of a band: that of samples from -1 to 1 is below 20."""
BETWEEN = 0.25
"""Seconds of silence between two recordings of one file."""
ENCODED = "data:audio;base64,"
"""What a field begins with that holds the bytes of a file, and not its path."""


class Audio(Modality):
    """A recording as a vector per frame, one frame every `hop` seconds.

        X_t      = DFT of the samples from t hop to t hop + window, times a Hann window, zeros up to a power of 2
        mel(f)   = 2595 log10(1 + f / 700)
        E_t[b]   = sum over f of triangle_b(f) |X_t[f]|^2       triangles of height 1, equally wide in mel
        log_mel  = log(E_t + 1e-10)
        mfcc     = the first numbers of the orthonormal DCT-II of log_mel
        waveform = the samples of each hop as they are

    A frame reads no sample after its window, so that frames can be made while a recording runs; a recording shorter
    than a window has one frame, and one without samples none. Channels are averaged; recordings of another rate are
    resampled (polyphase). Frames are scaled as a `series` is.

    A raw value is the bytes of a file (column `NAME:file` of a manifest), its path (a column of paths, or a text on the
    command line), or in Python the samples at `rate`, (T,) or (T, channels), from -1 to 1 or as whole numbers of 16
    bits; or as Hugging Face's data sets have it, {"array": samples, "sampling_rate": rate} or {"bytes": file, "path":
    path}. Wav files of whole numbers are read everywhere; flac, ogg, mp3 and wav files of other forms need soundfile:
    `pip install 'ostinato[audio]'`. On standard input (`ostinato predict RUN -`) it is raw samples at `rate`: one
    channel, whole numbers of 16 bits, low byte first; frames are then made while they arrive. Files of more than 10
    minutes are read in blocks wherever they are needed, and what is causal answers while they are read; others, and
    training, hold all frames, of at most 2 hours. What an output generates is frames, {"log_mel": [...]}, which are a
    raw value too; `predict --output FILE.wav` makes sound of them.

    In training a recording may sound otherwise in each epoch (augmentation), as a function of (seed, epoch, row); a
    change of 0.2 draws a factor from 1 / 1.2 to 1.2, uniform in its logarithm:

        E'_t[b]  = gain E_{speed tempo t}[band of w^-1(f_b)] + noise_t[b]      lines between frames and between bands
        w        = the warp of frequencies by speed tract, which leaves half the rate where it is
        masked   = whole bands and stretches of frames as the mean of training (SpecAugment)
        noise    = white: its power in a band is gamma distributed, as many squared numbers as the band has frequencies

    Args:
        features: what a frame holds.
        rate: samples per second; None: those of the first training recording.
        window_seconds: the length of a frame of a spectrum; 0.025 by default.
        hop_seconds: between the beginnings of two frames.
        bands: of log_mel, and what mfcc is made of; 40 by default.
        coefficients: of mfcc.
        lowest_hertz: where the first band begins; 20 by default.
        highest_hertz: where the last band ends; None: at half the rate.
        scale: over what each number of a frame is scaled: the training split, the recording itself, or not at all.
        speed_change: in training, how much faster or slower a recording is played, as a share.
        tempo_change: likewise, with the frequencies kept.
        tract_change: likewise how much shorter or longer the vocal tract is, with the duration kept.
        level_change: in training, how many decibels louder or softer it is at most.
        noise_distance: in training, how many decibels white noise lies below a recording at least, and 30 more at
            most; None: no noise.
        step_masks: in training, how many stretches of steps are masked: set to the mean.
        step_width: the most steps of one, which is no longer than half of the example; 20 by default.
        band_masks: likewise of the numbers of a frame, neighbours such as bands.
        band_width: the most numbers of one; a fifth of them by default.

    Shapes:
        encoded (T, bands), (T, coefficients), or (T, samples of a hop)

    Units:
        samples from -1 to 1; a band in nats of power

    Errors:
        ConfigError: more coefficients than bands; a window shorter than the hop; a spectrum's settings for a
            waveform; bands beyond half the rate, or
            narrower than the resolution of the window.
        DataError: no recording, a damaged one, one of another form without soundfile, samples that are not finite, a
            rate that is none of sound, more than two hours.

    Source: the scale of mel: O'Shaughnessy 1987, as in HTK's book, section 5.4; mfcc: Davis and Mermelstein 1980,
        doi:10.1109/TASSP.1980.1163420, by the orthonormal transform.
    """

    aligns = frozenset({"free"})
    default_align = "free"
    default_encoder = "recurrent"
    default_head = {"free": "frames"}
    metrics = {"free": ("log_loss",)}
    file_endings = (".wav", ".flac", ".ogg", ".mp3")
    render_endings = (".wav",)
    streams = True
    variants = ({"encoder": {"type": "cnn", "steps": "columns", "column_halvings": 2, "summary": "max"}},)
    examples = (wav(np.sin(np.arange(9600) / 3.0)), wav(np.cos(np.arange(700) / 5.0)), wav(np.zeros((400, 2))))

    def __init__(
        self,
        *,
        features: Literal["log_mel", "mfcc", "waveform"] = "log_mel",
        rate: Count | None = None,
        window_seconds: Positive | None = None,
        hop_seconds: Positive = 0.01,
        bands: Count | None = None,
        coefficients: Count | None = None,
        lowest_hertz: NonNegative | None = None,
        highest_hertz: Positive | None = None,
        scale: Literal["dataset", "row", "none"] = "dataset",
        speed_change: Rate = 0.0,
        tempo_change: Rate = 0.0,
        tract_change: Rate = 0.0,
        level_change: NonNegative = 0.0,
        noise_distance: float | None = None,
        step_masks: Whole = 0,
        step_width: Count | None = None,
        band_masks: Whole = 0,
        band_width: Count | None = None,
    ):
        spectrum = {
            "window_seconds": window_seconds,
            "bands": bands,
            "lowest_hertz": lowest_hertz,
            "highest_hertz": highest_hertz,
        }
        if features == "waveform" and (extra := [name for name, value in spectrum.items() if value is not None]):
            raise ConfigError(f"audio: {extra[0]} belongs to a spectrum, and features are a waveform; leave it out")
        window_seconds, bands = window_seconds or 0.025, bands or 40
        lowest_hertz = 20.0 if lowest_hertz is None else lowest_hertz
        if coefficients is not None and features != "mfcc":
            raise ConfigError("audio: coefficients belong to features: mfcc; set it, or leave coefficients out")
        if (coefficients or 0) > bands:
            raise ConfigError(f"audio: {coefficients} coefficients are made of at least as many bands; set bands")
        if rate is not None and not LOWEST_RATE <= rate <= HIGHEST_RATE:
            raise ConfigError(
                f"audio: rate: {rate} is none of sound; set a rate from {LOWEST_RATE:,} to {HIGHEST_RATE:,}"
            )
        if features != "waveform" and window_seconds < hop_seconds:
            raise ConfigError("audio: window_seconds below hop_seconds leaves samples unread; raise it")
        if not lowest_hertz < (highest_hertz or math.inf):
            raise ConfigError("audio: lowest_hertz lies below highest_hertz; mend one of them")
        self.features_of, self.rate = features, rate
        self.window_seconds, self.step_seconds = window_seconds, hop_seconds
        self.bands, self.coefficients = bands, coefficients or min(13, bands)
        self.lowest_hertz, self.highest_hertz = lowest_hertz, highest_hertz
        self._frames, self._by_row = Series(scale=scale), scale == "row"
        self._channels: int | None = None
        self._recorded_at: int | None = None
        self._changes = (speed_change, tempo_change, tract_change)
        self._level_change, self._noise_distance = level_change, noise_distance
        self._masks = Masks.of("audio", step_masks, step_width, band_masks, band_width)
        levels = level_change > 0 or noise_distance is not None
        self._is_varied = levels or any(self._changes)
        if self._is_varied and (features == "waveform" or (scale == "row" and (features == "mfcc" or levels))):
            raise ConfigError(
                "audio: what changes a recording in training needs the power of its bands; set features: log_mel, and"
                " scale: dataset for level_change and noise_distance"
            )

    @staticmethod
    def traits(settings: Any) -> Traits:
        changes = (settings.speed_change, settings.tempo_change, settings.tract_change, settings.level_change)
        masks = settings.step_masks or settings.band_masks
        return Traits(varies=bool(any(changes) or masks or settings.noise_distance is not None))

    def varied(self, steps: np.ndarray, chance: np.random.Generator) -> np.ndarray:
        if not len(steps):
            return steps
        changed = self._changed(steps, chance) if self._is_varied else steps
        return self._masks.over(changed, self._frames.blank(), chance).astype(np.float32)

    def _changed(self, steps: np.ndarray, chance: np.random.Generator) -> np.ndarray:
        """Frames as they sound by the settings that change the sound."""
        speed, tempo, tract = (factor(chance, most) for most in self._changes)
        mean, deviation = (0.0, 1.0) if self._by_row else self._frames.scaling()
        logs = at_speed(steps * deviation + mean, speed * tempo)
        if self.features_of == "mfcc":
            import scipy.fft

            logs = scipy.fft.idct(logs, n=self.bands, axis=1, norm="ortho")
        logs = between(logs, self._warped(speed * tract))
        logs = logs + chance.uniform(-1, 1) * self._level_change * math.log(10) / 10
        if self._noise_distance is not None:
            logs = self._with_noise(logs, chance)
        if self.features_of == "mfcc":
            logs = scipy.fft.dct(logs, axis=1, norm="ortho")[:, : self.coefficients]
        if self._by_row:
            mean, deviation = logs.mean(0), np.maximum(logs.std(0), 1e-6)
        return (logs - mean) / deviation

    def _warped(self, tract: float) -> np.ndarray:
        """(bands,) the place among the bands of what comes to lie in each."""
        assert self.rate is not None, "the rate is fitted"
        low, high = _mel(np.array([self.lowest_hertz, self.highest_hertz or self.rate / 2]))
        step = (high - low) / (self.bands + 1)
        middles = _hertz(low + step * np.arange(1, self.bands + 1))
        return ((_mel(before_warp(middles, tract, self.rate / 2)) - low) / step - 1).clip(0, self.bands - 1)

    def _with_noise(self, logs: np.ndarray, chance: np.random.Generator) -> np.ndarray:
        assert self._noise_distance is not None
        triangles = self._triangles(fft_size(self._steps()[1]))
        below = self._noise_distance + chance.uniform(0, NOISE_SPREAD)
        power, widths = np.exp(logs), triangles.sum(0)
        white = power.sum(1).mean() / 10 ** (below / 10) * widths / widths.sum()
        counts = widths**2 / (triangles**2).sum(0)
        return np.log(power + white * chance.gamma(counts, 1 / counts, logs.shape))

    def fit(self, column: Iterable[Any]) -> None:
        self._frames.fit(self._all_frames(column))

    def _all_frames(self, column: Iterable[Any]) -> Iterator[np.ndarray | None]:
        for cell in column:
            raw = None if cell is None else self._loaded(cell)
            if raw is not None and not isinstance(raw, Mapping) and self._channels is None:
                recording = self._recording(raw)
                self._recorded_at, self._channels = recording.rate, recording.channels
                self.rate = self.rate or self._recorded_at
            yield None if raw is None else self.frames(raw)

    def encode(self, raw: Any) -> np.ndarray:
        return self._frames.encode(self.frames(raw))

    def frames(self, raw: Any) -> np.ndarray:
        """(T, C) the frames of a recording, not scaled."""
        raw = self._loaded(raw)
        if isinstance(raw, Mapping):
            return self._given(raw)
        recording = self._recording(raw)
        if recording.excess is not None:
            raise DataError(recording.excess)
        parts = list(self._framed(self._samples(recording)))
        if len(parts) < 2:
            return parts[0] if parts else np.zeros((0, self._width(self._steps()[0])))
        return np.concatenate(parts)

    def needs_whole(self) -> str | None:
        by_row = "audio: scale: row needs the whole recording; set scale: dataset and train again"
        return by_row if self._by_row else None

    def parts(self, raw: Any) -> Iterator[np.ndarray]:
        if isinstance(raw := self._loaded(raw), Mapping):
            yield self.encode(raw)
        else:
            yield from self._parts(self._samples(self._recording(raw)))

    def is_long(self, raw: Any) -> bool:
        return not isinstance(raw := self._loaded(raw), Mapping) and self._recording(raw).is_long

    def excess(self, raw: Any) -> str | None:
        return None if isinstance(raw := self._loaded(raw), Mapping) else self._recording(raw).excess

    @staticmethod
    def by_path(path: Path) -> bool:
        try:
            return Recording.of(path).is_long
        except DataError:  # named where it is read, with its place
            return False

    def _given(self, raw: Mapping[str, Any]) -> np.ndarray:
        """Frames that are a raw value themselves."""
        if list(raw) != [self.features_of]:
            raise DataError(
                f"frames of {', '.join(map(str, raw)) or 'nothing'} are given, and {self.features_of} is read here;"
                f" give the recording, its {self.features_of}, or its array and sampling_rate"
            )
        width, frames = self._width(self._steps()[0]), as_array(raw[self.features_of])
        if not len(frames):
            return np.zeros((0, width))
        if frames.ndim != 2 or frames.shape[1] != width or not np.isfinite(frames).all():
            raise DataError(f"{self.features_of}: each frame is {width} numbers, all of them finite; mend the frames")
        return frames

    def _samples(self, recording: Recording) -> Iterator[np.ndarray]:
        """Those of a recording at the rate of the frames, (n,) block after block."""
        assert self.rate is not None, "the rate is fitted"
        return recording.mono(self.rate)

    def arriving(self, read: Callable[[], bytes]) -> Iterator[np.ndarray]:
        return self._parts(self._arriving(read))

    def _arriving(self, read: Callable[[], bytes]) -> Iterator[np.ndarray]:
        """Bytes as samples (n,)."""
        rest = b""
        while content := read():
            content = rest + content
            even = len(content) // 2 * 2
            rest = content[even:]
            yield self.arrived(content[:even]) / 2.0**15
        self.arrived(rest)

    def _parts(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """The encoded steps of samples (n,), block after block."""
        if (why := self.needs_whole()) is not None:
            raise ConfigError(why)
        return map(self._frames.encode, self._framed(blocks))

    def _framed(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """The frames of samples (n,), block after block: of each block those that it completes."""
        hop, window = self._steps()
        samples, begun = np.zeros(0), False
        for block in blocks:
            samples = np.concatenate([samples, block])
            frames = max(0, (len(samples) - window) // hop + 1)
            if frames:
                begun = True
                yield self._frames_of(samples[: (frames - 1) * hop + window])
                samples = samples[frames * hop :]
        # A last hop of a waveform is filled up, and so is a recording that is shorter than a window.
        if len(samples) and (self.features_of == "waveform" or not begun):
            yield self._frames_of(samples)

    def arrived(self, content: bytes) -> np.ndarray:
        if len(content) % 2:
            raise DataError("the sound ends in the middle of a sample: it is no whole number of 16 bits; send it again")
        return np.frombuffer(content, "<i2")

    def latency(self, steps: int) -> float | None:
        hop, window = self._steps()
        return (steps * hop + window) / self.rate

    def _steps(self) -> tuple[int, int]:
        """Samples between two frames, and those of one."""
        assert self.rate is not None, "the rate is fitted"
        hop = round(self.step_seconds * self.rate)
        if hop < 1:
            raise ConfigError(f"audio: hop_seconds: {self.step_seconds} is less than a sample at rate {self.rate}")
        return hop, hop if self.features_of == "waveform" else round(self.window_seconds * self.rate)

    def _frames_of(self, samples: np.ndarray) -> np.ndarray:
        hop, window = self._steps()
        if not len(samples):
            return np.zeros((0, self._width(hop)))
        if self.features_of == "waveform":
            return np.pad(samples, (0, -len(samples) % hop)).reshape(-1, hop)
        samples = np.pad(samples, (0, max(0, window - len(samples)))).astype(np.float32)
        power = np.abs(frames_of(samples, window, hop)) ** 2
        logs = np.log(power @ self._triangles(fft_size(window)) + FLOOR)
        if self.features_of == "log_mel":
            return logs
        import scipy.fft

        return scipy.fft.dct(logs, axis=1, norm="ortho")[:, : self.coefficients]

    def _width(self, hop: int) -> int:
        return {"log_mel": self.bands, "mfcc": self.coefficients, "waveform": hop}[self.features_of]

    def _triangles(self, size: int) -> np.ndarray:
        """(size / 2 + 1, bands) the weight of each frequency in each band."""
        highest = self.highest_hertz or self.rate / 2
        if highest > self.rate / 2:
            raise ConfigError(
                f"audio: highest_hertz: {highest:g} is above half the rate, {self.rate / 2:g}; lower it, or set rate"
            )
        edges = _hertz(np.linspace(*_mel(np.array([self.lowest_hertz, highest])), self.bands + 2))
        frequencies = np.arange(size // 2 + 1)[:, None] * self.rate / size
        rising = (frequencies - edges[:-2]) / (edges[1:-1] - edges[:-2])
        falling = (edges[2:] - frequencies) / (edges[2:] - edges[1:-1])
        weights = np.maximum(0, np.minimum(rising, falling))
        empty = np.flatnonzero(weights.sum(0) == 0)
        if len(empty):
            raise ConfigError(
                f"audio: band {empty[0] + 1} of {self.bands} lies between two frequencies of a window of "
                f"{self.window_seconds:g} s; set fewer bands, or a longer window_seconds"
            )
        return weights.astype(np.float32)

    def _recording(self, raw: Any) -> Recording:
        """A recording by its path, its bytes or its samples.

        Errors:
            DataError: nobody knows its rate.
        """
        recording = Recording.of(self._loaded(raw))
        if recording.rate is not None:
            return recording
        if self.rate is None:
            raise DataError("samples alone tell no rate; set `rate` for this input, or give files")
        return recording._replace(rate=self.rate)

    def _loaded(self, raw: Any) -> Any:
        """What a path names, or what a cell of Hugging Face's data sets holds: the `bytes` or `path` of a file, or an
        `array` and its `sampling_rate`."""
        if isinstance(raw, Mapping) and raw.keys() == {"bytes", "path"}:
            raw = raw["path"] if raw["bytes"] is None else raw["bytes"]
        elif isinstance(raw, Mapping) and raw.keys() >= {"array", "sampling_rate"}:
            return wav(as_samples(raw["array"]), int(raw["sampling_rate"]))
        raw = self.parse(str(raw)) if isinstance(raw, str | Path) else raw
        return {self.features_of: []} if raw is None else raw

    def remark(self, raw: Any) -> str | None:
        raw = self._loaded(raw)
        if isinstance(raw, Mapping):
            return None
        recording = Recording.of(raw)
        said = [*self._unlike(recording)]
        with suppress(DataError):  # a damaged one is named where it is read
            said += filter(None, [recording.flaw()])
        return "; ".join(said) or None

    def _unlike(self, recording: Recording) -> Iterator[str]:
        """What is changed of a recording that is unlike those of training."""
        channels, rate = recording.channels, recording.rate
        if self._channels is None:  # unknown in older runs
            return
        if channels == 1 != self._channels:
            yield f"one channel; the {self._channels} of the training recordings were mixed into one"
        elif channels != self._channels:
            yield f"{channels} channels are mixed into one; training recordings had {self._channels}"
        if None not in (rate, self._recorded_at) and rate != self._recorded_at:
            yield f"{rate:,} samples a second become {self.rate:,}; training recordings had {self._recorded_at:,}"

    def flaw(self, raw: Any) -> str | None:
        if isinstance(raw := self._loaded(raw), Mapping):
            return None
        recording = Recording.of(raw)
        if recording.excess is not None:
            raise DataError(recording.excess)
        return recording.flaw()

    def decode(self, array: Array) -> dict[str, Any]:
        """The frames, no longer scaled; with `scale: row` still scaled."""
        frames = np.asarray(self._frames.decode(array), dtype=np.float64).reshape(-1, self.spec.size)
        return {self.features_of: frames.tolist()}

    def render(self, raws: Sequence[Any], ending: str) -> bytes:
        """The sound of all of them, one after the other, as whole numbers of 16 bits; what is louder than these can
        hold is made softer as a whole."""
        if self._by_row:
            raise ConfigError("audio: scale: row keeps no loudness; for sound set scale: dataset and train again")
        assert self.rate is not None, "the rate is fitted"
        silence = np.zeros(round(BETWEEN * self.rate))
        parts = [part for raw in raws for part in (silence, self.samples(raw))][1:]
        samples = np.concatenate(parts or [silence])
        return wav(samples / max(1.0, np.abs(samples).max(initial=0)), self.rate)

    def samples(self, raw: Any) -> np.ndarray:
        """The samples (T,) of a raw value, at the rate of the frames; of frames of a spectrum those that have nearly
        its bands."""
        if not isinstance(raw, Mapping):
            return np.concatenate([np.zeros(0), *self._samples(self._recording(raw))])
        frames, (hop, window) = self._given(raw), self._steps()
        if self.features_of == "waveform" or not len(frames):
            return frames.ravel()
        if self.features_of == "mfcc":
            import scipy.fft

            frames = scipy.fft.idct(frames, n=self.bands, axis=1, norm="ortho")
        bands = np.maximum(np.exp(np.minimum(frames, LOUDEST)) - FLOOR, 0)
        return griffin_lim(powers(bands, self._triangles(fft_size(window))), window, hop)

    def labels(self, array: Array) -> list[str]:
        """When each frame begins; the space is no-break, since pictures show another one as the sign of a symbol."""
        return [f"{place * self.step_seconds:.2f}\u00a0s" for place in range(len(array))]

    @property
    def spec(self) -> Values:
        return self._frames.spec

    def facts(self) -> dict[str, Any]:
        form = {"channels": self._channels, "recorded_at": self._recorded_at}
        return {"rate": self.rate, **form, "frames": self._frames.facts()}

    def restore(self, facts: dict[str, Any]) -> None:
        self.rate = facts["rate"]
        self._channels, self._recorded_at = facts.get("channels"), facts.get("recorded_at")  # unknown in older runs
        self._frames.restore(facts["frames"])

    def features(self, cells: Sequence[Any]) -> Features:
        return self._frames.features([None if raw is None else self.frames(raw) for raw in cells])

    def parse(self, field: str) -> Any:
        """The bytes of the file that a path names, or those that a field of base64 holds; or frames as JSON; None of an
        empty field."""
        if not field.strip():
            return None
        if field.startswith("{"):
            try:
                return json.loads(field)
            except (json.JSONDecodeError, RecursionError) as why:
                raise DataError(f'frames are JSON, such as {{"log_mel": [[...]]}}: {why}') from None
        if not field.startswith(ENCODED) and os.path.isfile(path := Path(field)) and self.by_path(path):
            return path
        return file_content(field, ENCODED, "recording")

    def take(self, raw: Any) -> Any:
        return None if is_missing(raw) else raw

    def write(self, raw: Any) -> str:
        if isinstance(raw, str | Path):
            return str(raw)
        if isinstance(raw, Mapping) and not isinstance(raw := self._loaded(raw), Mapping):
            return self.write(raw)
        if isinstance(raw, Mapping):
            return json.dumps({name: np.round(frames, 6).tolist() for name, frames in raw.items()})
        if not isinstance(raw, bytes):
            raw = wav(as_samples(raw), self.rate or 16_000)
        return ENCODED + base64.b64encode(raw).decode()


def _mel(hertz: np.ndarray) -> np.ndarray:
    return 2595 * np.log10(1 + hertz / 700)


def _hertz(mel: np.ndarray) -> np.ndarray:
    return 700 * (10 ** (mel / 2595) - 1)
