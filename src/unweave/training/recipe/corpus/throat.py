"""Rebuild a speaker's throat: other formants, another slope of the spectrum, more band.

A dozen speakers are few. Moving their formants unevenly makes relatives of them, who have their
consonants and their rhythm but not their colour.
"""

from collections.abc import Callable

import numpy as np
import soxr

SIZE = 1024


def reshape(audio: np.ndarray, rate: int, random: np.random.Generator) -> np.ndarray:
    """Move the formants of speech, each by a ratio of its own, and tilt its spectrum.

    The envelope (a smoothed cepstrum) is stretched along a random bent line; what it leaves,
    pitch and noise, stays. Singers of trained voice get a formant between 2.4 and 3.4 kHz.

    Args:
        audio: mono speech.
        rate: of its samples, hertz.
        random: draws the throat.
    """
    frequencies = np.fft.rfftfreq(SIZE, 1 / rate)
    knots = np.array([0.0, 500, 1300, 2400, 3800, rate / 2])
    moved = knots * np.exp(random.normal(0, 0.07, len(knots)))
    moved = np.maximum.accumulate(moved)
    moved[[0, -1]] = knots[[0, -1]]
    origin = np.interp(frequencies, knots, np.minimum(moved, rate / 2))
    octaves = np.log2(np.maximum(frequencies, 200) / 1000)
    # Who sings is louder than who speaks: the upper partials are stronger.
    colour = np.log(10) / 20 * random.normal(1.5, 2.0) * octaves
    ring = random.choice([0.0, random.uniform(3, 9)]) * np.log(10) / 20
    bump = (frequencies - random.uniform(2400, 3400)) / random.uniform(250, 500)
    colour += ring * np.exp(-0.5 * bump**2)

    def shape(spectrum: np.ndarray) -> np.ndarray:
        envelope = _envelope(spectrum, rate)
        there = np.apply_along_axis(lambda row: np.interp(origin, frequencies, row), 1, envelope)
        changed: np.ndarray = spectrum * np.exp(np.clip(there - envelope, -2, 2) + colour)
        return changed

    return _filtered(audio, shape)


def replicate(
    audio: np.ndarray, rate: int, band: tuple[float, float], *, level: float
) -> np.ndarray:
    """Copy a band into the empty ones above it, four times.

    Args:
        audio: mono samples.
        rate: of these, hertz.
        band: first and last frequency of the origin, hertz; what lies above is taken as empty.
        level: amplitude of the first copy relative to its origin; each further one has it again.
    """
    first, last = (round(f * SIZE / rate) for f in band)
    width = last - first

    def copies(spectrum: np.ndarray) -> np.ndarray:
        copy, fade = spectrum[:, first:last] * level, np.linspace(1, level, width)
        for start in range(last, last + 4 * width, width):
            room = spectrum[:, start : start + width]
            room += (copy * fade)[:, : room.shape[1]]
            copy = copy * level
        return spectrum

    return _filtered(audio, copies)


def widen(audio: np.ndarray, rate: float, wanted: int) -> np.ndarray:
    """Change the sampling rate of speech, and fill the band that a low one lacks.

    Args:
        audio: mono samples.
        rate: of these, hertz.
        wanted: the rate of the result, hertz.
    """
    up: np.ndarray = soxr.resample(audio, rate, wanted)
    if rate >= 0.97 * wanted:
        return up
    return replicate(up, wanted, (0.26 * rate, 0.44 * rate), level=0.4).astype(np.float32)


def _envelope(spectrum: np.ndarray, rate: int) -> np.ndarray:
    """Smooth log magnitudes: only the cepstrum below 2 ms, shorter than a voice's period."""
    cepstrum = np.fft.irfft(np.log(np.abs(spectrum) + 1e-6))
    keep = round(0.002 * rate)
    cepstrum[:, keep : SIZE - keep + 1] = 0
    envelope: np.ndarray = np.fft.rfft(cepstrum).real
    return envelope


def _filtered(audio: np.ndarray, change: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Apply a change to the short-time spectra."""
    padded = np.pad(audio, SIZE)
    window = np.sqrt(np.hanning(SIZE + 1)[:-1])
    frames = np.lib.stride_tricks.sliding_window_view(padded, SIZE)[:: SIZE // 2] * window
    out = np.zeros(len(padded))
    for i, frame in enumerate(np.fft.irfft(change(np.fft.rfft(frames))) * window):
        out[i * SIZE // 2 : i * SIZE // 2 + SIZE] += frame
    return out[SIZE:-SIZE]
