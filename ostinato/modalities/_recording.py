"""Recordings of sound: their form, and their samples block by block, so that none is too long to be read."""

from __future__ import annotations

import io
import wave
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from functools import lru_cache
from math import ceil
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from ostinato.errors import DataError, shown

LOWEST_RATE, HIGHEST_RATE = 1_000, 1_000_000
"""Samples per second of what is a recording of sound."""
LARGEST_TERM = 50_000
"""Of the ratio of two rates: its filter has 20 numbers for each."""
LONG, LONGEST = 600, 2 * 3600
"""Seconds from which a recording is read from its file block by block wherever it is needed, and of one example, all
of whose frames are held in memory."""
FULL, CLIPPED = 1 - 2.0**-15, 0.01
"""What is as loud as a file holds, of 1; and the share of such samples from which a recording sounds distorted."""
BLOCK = 1 << 18
"""Samples of a channel in a block: 16 seconds at 16,000 a second."""


def wav(samples: np.ndarray, rate: int = 8_000) -> bytes:
    """A file of samples (T,) or (T, channels) from -1 to 1, as whole numbers of 16 bits."""
    whole = (np.clip(samples, -1, 1 - 2.0**-15) * 2**15).round().astype("<i2")
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((1 if whole.ndim == 1 else whole.shape[1], 2, rate, 0, "NONE", ""))
        sound.writeframes(whole.tobytes())
    return file.getvalue()


class Recording(NamedTuple):
    """A recording of which its form alone was read.

    Args:
        channels: how many there are.
        rate: samples of each a second; None: nobody knows.
        count: samples of each, as the header of a file says.
        read: gives them, (n, channels) from -1 to 1, block after block.
    """

    channels: int
    rate: int | None
    count: int
    read: Callable[[], Iterator[np.ndarray]]

    @staticmethod
    def of(raw: Any) -> Recording:
        """That of a file, by its path or its bytes; or of samples.

        Errors:
            DataError: it is damaged, of a form that is not read, or no recording.
        """
        if not isinstance(raw, bytes | Path):
            samples = as_samples(raw)
            samples = samples[:, None] if samples.ndim == 1 else samples
            return Recording(samples.shape[1], None, len(samples), lambda: iter([samples]))
        if not (len(raw) if isinstance(raw, bytes) else raw.stat().st_size):
            raise DataError("the file is empty; write the recording again")
        try:
            with _opened(raw) as file, wave.open(file) as sound:
                channels, _, rate, count, *_ = sound.getparams()
            return Recording(channels, rate, count, lambda: _wav_blocks(raw))
        except (wave.Error, EOFError):
            return _by_soundfile(raw)

    @property
    def seconds(self) -> float:
        """How long it is; by the lowest rate where the file names a lower one, which is refused."""
        return self.count / max(self.rate or LOWEST_RATE, LOWEST_RATE)

    @property
    def is_long(self) -> bool:
        """Whether its file is read block by block, and never held."""
        return self.seconds > LONG

    @property
    def excess(self) -> str | None:
        """Why it is too long for one example; None: it is not."""
        if self.rate is None or self.seconds <= LONGEST:
            return None
        return (
            f"{self.count / self.rate / 3600:.1f} hours are too long for one example; cut the recording into parts of"
            f" at most {LONGEST // 3600} hours"
        )

    def blocks(self) -> Iterator[np.ndarray]:
        """What `read` gives, found to be sound.

        Errors:
            DataError: a rate that is none of sound, samples that are not finite, or fewer than the header says.
        """
        self._check_rate()
        begin = 0
        for block in self.read():
            if not np.isfinite(block).all():
                place = begin + int(np.flatnonzero(~np.isfinite(block).all(1))[0])
                raise DataError(f"sample {place + 1} is no finite number; mend the recording")
            yield block
            begin += len(block)

    def _check_rate(self) -> None:
        if self.rate is not None and not LOWEST_RATE <= self.rate <= HIGHEST_RATE:
            raise DataError(
                f"{self.rate:,} samples a second are none of a recording of sound; write the file with its rate, from"
                f" {LOWEST_RATE:,} to {HIGHEST_RATE:,}"
            )

    def flaw(self) -> str | None:
        """That it is silent, or clipped, as an end of "it ..."; None: neither.

        Errors:
            DataError: as those of `blocks`.
        """
        loud, clipped, count = False, 0, 0
        for block in self.blocks():
            sizes = np.abs(block)
            loud, clipped, count = loud or bool(sizes.any()), clipped + int((sizes >= FULL).sum()), count + sizes.size
        if not loud:
            return "has no sound"
        return "is clipped, louder than a file holds" if clipped > CLIPPED * count else None

    def mono(self, rate: int) -> Iterator[np.ndarray]:
        """The mean of its channels, (n,) block after block, resampled to so many samples a second.

        Errors:
            DataError: a rate that is none of sound, before a filter is made for it; and while it is read, as `blocks`.
        """
        self._check_rate()
        own = (block[:, 0] if self.channels == 1 else block.mean(1) for block in self.blocks())
        return own if self.rate in (None, rate) else resampled(own, rate, self.rate)


def resampled(blocks: Iterable[np.ndarray], rate: int, before: int) -> Iterator[np.ndarray]:
    """Samples (n,) at another rate, block after block: those of scipy's resample_poly of all of them.

        y[k] = sum over i of x[i] h[k down - i up]        up / down = rate / before, h a low pass 20 max(up, down) wide

    Each block is resampled with as many samples of its neighbours as the filter reads, and these are cut off.

    Args:
        blocks: the samples.
        rate: samples a second of what is given back.
        before: of `blocks`.
    """
    from scipy.signal import resample_poly

    up, down = _ratio(rate, before)
    filter, reach = _low_pass(max(up, down)), ceil(10 * max(up, down) / up)
    aside = ceil(reach / down) * down  # whole periods, so that what is cut off is a whole number of samples
    held, skipped = np.zeros(0), 0
    for block in blocks:
        held = np.concatenate([held, block])
        # What lies before the last `aside` samples is complete.
        end = (len(held) - aside) // down * down
        if end > skipped:
            parts = slice(skipped // down * up, end // down * up)
            yield resample_poly(held[: end + aside], up, down, window=filter)[parts]
            begin = max(0, end - aside)
            held, skipped = held[begin:], end - begin
    if len(held) > skipped:
        yield resample_poly(held, up, down, window=filter)[skipped // down * up :]


def _ratio(rate: int, before: int) -> tuple[int, int]:
    """Two rates by the least numbers of their ratio; large ones, whose filter would need gigabytes, by those of a ratio
    that differs by less than a part in LARGEST_TERM."""
    ratio = Fraction(rate, before)
    if max(ratio.as_integer_ratio()) > LARGEST_TERM:
        lower = min(ratio, 1 / ratio).limit_denominator(LARGEST_TERM)
        ratio = lower if rate < before else 1 / lower
    return ratio.numerator, ratio.denominator


@lru_cache(maxsize=8)
def _low_pass(widest: int) -> np.ndarray:
    """The filter that resample_poly makes itself."""
    from scipy.signal import firwin

    return firwin(20 * widest + 1, 1 / widest, window=("kaiser", 5.0))


def as_samples(raw: Any) -> np.ndarray:
    """Samples from Python, whole numbers as fractions of their greatest.

    Errors:
        DataError: they are no samples.
    """
    try:
        samples = np.asarray(raw)
    except ValueError as why:
        raise DataError(f"samples have another number of channels from one to the next: {why}") from None
    if samples.dtype.kind not in "fiu" or samples.ndim not in (1, 2):
        raise DataError(f"a recording is a file or real numbers (T,) or (T, channels), not {shown(raw)}")
    if samples.ndim == 2 and samples.shape[1] > len(samples) > 0:
        raise DataError(f"samples of shape {samples.shape} have more channels than samples; give (T, channels)")
    return samples / 2.0**15 if samples.dtype.kind in "iu" else samples.astype(np.float64)


def _opened(raw: bytes | Path) -> BinaryIO:
    return io.BytesIO(raw) if isinstance(raw, bytes) else raw.open("rb")


def _wav_blocks(raw: bytes | Path) -> Iterator[np.ndarray]:
    """Of a wav file of whole numbers, by the standard library."""
    with _opened(raw) as file, wave.open(file) as sound:
        channels, width, _, count, *_ = sound.getparams()
        read = 0
        while read < count:
            data = sound.readframes(min(BLOCK, count - read))
            there = len(data) // (channels * width)
            read += there
            if there < min(BLOCK, count - read + there):
                raise DataError(f"the recording is cut short: {read:,} of {count:,} samples are there; write it again")
            yield _fractions(data, width).reshape(-1, channels)


def _fractions(data: bytes, width: int) -> np.ndarray:
    """Whole numbers of so many bytes as fractions of their greatest."""
    if width == 1:  # alone without a sign
        return np.frombuffer(data, np.uint8).astype(np.float64) / 2**7 - 1
    padded = np.zeros((len(data) // width, 4), np.uint8)
    padded[:, 4 - width :] = np.frombuffer(data, np.uint8).reshape(-1, width)
    return padded.view("<i4")[:, 0] / 2.0**31


def _by_soundfile(raw: bytes | Path) -> Recording:
    """Of another file, by soundfile."""
    try:
        import soundfile
    except ImportError:
        raise DataError(
            "this is no wav file of whole numbers; for flac, ogg, mp3 and other wav files soundfile is needed: pip"
            " install 'ostinato[audio]'"
        ) from None

    def broken(why: soundfile.LibsndfileError) -> DataError:
        reason = why.error_string.removeprefix("Error : ").rstrip(".")
        return DataError(
            f"this is no whole recording ({reason}); wav, flac, ogg and mp3 are read: write it again as one of these"
        )

    def read() -> Iterator[np.ndarray]:
        try:
            with _opened(raw) as file, soundfile.SoundFile(file) as sound:
                while len(block := sound.read(BLOCK, dtype="float64", always_2d=True)):
                    yield block
        except soundfile.LibsndfileError as why:
            raise broken(why) from None

    try:
        with _opened(raw) as file, soundfile.SoundFile(file) as sound:
            return Recording(sound.channels, sound.samplerate, sound.frames, read)
    except soundfile.LibsndfileError as why:
        raise broken(why) from None
