"""Changes of timbre, tuning, width and room, applied to a stem before it is mixed.

A handful of songs is learnt by heart in minutes; what generalises is variety. Every function
takes and returns samples of shape (time, 2) or a spectrogram, and draws from the generator given.
"""

import numpy as np
import soxr

SAMPLE_RATE = 44100
Audio = np.ndarray


def transpose(audio: Audio, semitones: float) -> Audio:
    """Play faster or slower: pitch, formants and tempo move together.

    Args:
        audio: shape (time, 2).
        semitones: upwards; the result is 2^(semitones/12) times shorter.
    """
    moved: Audio = soxr.resample(audio, SAMPLE_RATE * 2 ** (semitones / 12), SAMPLE_RATE)
    return moved


def saturate(audio: Audio, drive: float) -> Audio:
    """Bend the waveform by tanh, keeping its energy.

    Args:
        audio: shape (time, 2).
        drive: gain before tanh relative to the RMS; 0.3 is mild, 3 is fuzz.
    """
    rms = float(np.sqrt(np.mean(np.square(audio)))) + 1e-9
    bent = np.tanh(audio * (drive / rms))
    return bent * (rms / (float(np.sqrt(np.mean(np.square(bent)))) + 1e-9))


def reverberate(audio: Audio, rng: np.random.Generator) -> Audio:
    """Add a random room: exponentially decaying stereo noise, darker towards its end.

    Args:
        audio: shape (time, 2).
        rng: draws decay time (0.15 to 1.5 s), amount and noise.
    """
    seconds = 0.15 * 10 ** rng.uniform(0, 1)
    n = int(seconds * SAMPLE_RATE)
    tail = rng.standard_normal((n, 2)).astype(np.float32)
    tail *= np.exp(-6.9 * np.arange(n, dtype=np.float32) / n)[:, None]
    tail[1:] = 0.5 * (tail[1:] + tail[:-1])
    tail *= rng.uniform(0.1, 0.7) / np.sqrt(np.sum(np.square(tail), axis=0))
    size = 1 << (len(audio) + n - 1).bit_length()
    wet = np.fft.irfft(
        np.fft.rfft(audio, size, axis=0) * np.fft.rfft(tail, size, axis=0), size, axis=0
    )
    return (audio + wet[: len(audio)]).astype(np.float32)


def equaliser(bins: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a smooth random gain curve over frequency.

    A tilt of up to 2 dB an octave and three bells of up to 8 dB, an octave wide or less.

    Args:
        bins: from 0 Hz to the Nyquist frequency.
        rng: draws the curve.

    Returns:
        Amplitude factors of shape (bins,), float32.
    """
    octave = np.log2(np.linspace(0, SAMPLE_RATE / 2, bins, dtype=np.float32) + 30)
    curve = rng.uniform(-2, 2) * (octave - 10)
    for _ in range(3):
        centre, width = rng.uniform(5.5, 14), rng.uniform(0.3, 1.5)
        curve += rng.uniform(-8, 8) * np.exp(-np.square((octave - centre) / width))
    return (10 ** (np.clip(curve, -18, 18) / 20)).astype(np.float32)


def vary(audio: Audio, rng: np.random.Generator, *, room: float) -> Audio:
    """Apply saturation and a room, each with some probability.

    Args:
        audio: shape (time, 2).
        rng: draws everything.
        room: probability of reverberation.
    """
    if rng.random() < 0.15:
        audio = saturate(audio, rng.uniform(0.2, 1.5))
    if rng.random() < room:
        audio = reverberate(audio, rng)
    return audio


def widen(rng: np.random.Generator) -> tuple[float, float]:
    """Draw a change of stereo width and a pan.

    Args:
        rng: draws; in half of the cases nothing changes.

    Returns:
        Gain of the side, and share of the middle that leaks into the side (-0.5 to 0.5).
    """
    if rng.random() < 0.5:
        return 1.0, 0.0
    return float(rng.uniform(0, 1.5)), float(rng.choice([0.0, rng.uniform(-0.5, 0.5)]))
