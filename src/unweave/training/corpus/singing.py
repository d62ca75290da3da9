"""Synthetic singers: the words of a speech synthesiser, sung on new melodies.

eSpeak speaks nonsense syllables in many voices and languages. Its speech is taken apart into a
spectral envelope (linear prediction) and a decision voiced/unvoiced for every frame; then the
envelopes, stretched in time, shape a new source: a glottal pulse train on a melody with vibrato
and glides, or noise. Not beautiful, but it has what tells a voice from an instrument: formants
that move independently of the pitch, consonants, breath.
"""

import random
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import soundfile
import soxr

from unweave.training.corpus import SAMPLE_RATE, write_stem

LANGUAGES = ("en-us", "en-gb", "de", "it", "es", "fr-fr", "pt-br", "sv", "pl", "ja", "fi", "nl")
VARIANTS = ("m1", "m2", "m3", "m4", "m5", "m7", "f1", "f2", "f3", "f4", "f5")
ONSETS = ("l", "m", "n", "d", "b", "r", "s", "sh", "t", "k", "f", "v", "g", "y", "h", "st", "tr")
VOWELS = ("a", "e", "i", "o", "u", "ai", "ou", "ee")
ENDS = ("", "", "", "n", "l", "s", "m", "t")
SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 3, 5, 7, 10))

RATE = 22050  # of analysis
HOP = 110  # 5 ms
WINDOW = 768
ORDER = 24


def speak(rng: random.Random, syllables: int) -> tuple[np.ndarray, bool]:
    """Let eSpeak say nonsense.

    Args:
        rng: chooses voice, language and syllables.
        syllables: how many.

    Returns:
        Mono samples at `RATE`, and whether the voice is a female one.
    """
    words = [
        rng.choice(ONSETS) + rng.choice(VOWELS) + rng.choice(ENDS) + (" " * (rng.random() < 0.6))
        for _ in range(syllables)
    ]
    variant = rng.choice(VARIANTS)
    voice = f"{rng.choice(LANGUAGES)}+{variant}"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        speed = str(rng.randint(110, 170))
        command = ["espeak-ng", "-v", voice, "-s", speed, "-w", str(path), "".join(words)]
        subprocess.run(command, check=True, capture_output=True)
        speech, rate = soundfile.read(path, dtype="float32")
    return soxr.resample(speech, rate, RATE), variant.startswith("f")


def analyse(speech: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Take speech apart.

    Args:
        speech: mono samples at `RATE`.

    Returns:
        Predictor polynomials scaled by the gain, shape (frames, ORDER + 1), and how voiced each
        frame is, from 0 to 1.
    """
    emphasised = np.append(speech[0], speech[1:] - 0.9 * speech[:-1])
    padded = np.pad(emphasised, WINDOW // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP] * np.hanning(WINDOW)
    power = np.abs(np.fft.rfft(frames, 2 * WINDOW)) ** 2
    correlation = np.fft.irfft(power)[:, :WINDOW]
    lags = correlation[:, : ORDER + 1].copy()
    lags[:, 0] = lags[:, 0] * 1.0001 + 1e-7
    index = np.abs(np.subtract.outer(np.arange(ORDER), np.arange(ORDER)))
    solution = np.linalg.solve(lags[:, index], lags[:, 1:, None])[..., 0]
    error = lags[:, 0] - np.sum(solution * lags[:, 1:], axis=1)
    polynomial = np.concatenate([np.ones((len(lags), 1)), -solution], axis=1)
    # The window tapers the correlation at long lags: divide by its own, so that a period counts 1.
    window = np.fft.irfft(np.abs(np.fft.rfft(np.hanning(WINDOW), 2 * WINDOW)) ** 2)
    pitches = slice(RATE // 400, RATE // 75)
    periodic = (correlation[:, pitches] / (window[pitches] / window[0])).max(1)
    voiced = np.clip((periodic / (correlation[:, 0] + 1e-6) - 0.5) / 0.2, 0, 1)
    return polynomial / np.sqrt(np.maximum(error, 1e-9))[:, None], voiced


def melody(rng: random.Random, frames: int, *, high: bool) -> np.ndarray:
    """Invent a melody with glides, vibrato and drift.

    Args:
        rng: chooses key, notes, lengths.
        frames: of 5 ms.
        high: whether the singer's range is a female one.

    Returns:
        Fundamental frequency of every frame, in hertz.
    """
    scale, key = rng.choice(SCALES), rng.uniform(54, 60) if high else rng.uniform(43, 50)
    degree, pitch = rng.randint(0, 7), np.zeros(frames)
    start = 0
    while start < frames:
        length = int(rng.choice((0.15, 0.2, 0.3, 0.4, 0.6, 1.0)) * 200 * rng.uniform(0.8, 1.2))
        degree = min(11, max(0, degree + rng.choice((-3, -2, -1, -1, 0, 1, 1, 2, 3))))
        octave, step = divmod(degree, len(scale))
        pitch[start : start + length] = key + 12 * octave + scale[step]
        start += length
    glide = np.hanning(rng.randint(9, 25))
    pitch = np.convolve(np.pad(pitch, 12, mode="edge"), glide / glide.sum(), mode="same")[12:-12]
    time = np.arange(frames) / 200
    depth = rng.uniform(0.0, 0.5) * np.clip(np.sin(2 * np.pi * 0.3 * time), 0, 1)
    pitch += depth * np.sin(2 * np.pi * rng.uniform(4.5, 6.5) * time)
    wander = np.cumsum(np.random.default_rng(rng.getrandbits(32)).normal(0, 0.02, frames))
    pitch += wander - np.convolve(wander, np.full(41, 1 / 41), mode="same")
    return 440 * 2 ** ((pitch - 69) / 12)


def sing(speech: np.ndarray, rng: random.Random, *, high: bool) -> np.ndarray:
    """Sing what was spoken.

    Args:
        speech: mono samples at `RATE`.
        rng: chooses melody, tempo, formant shift and breath.
        high: whether the singer's range is a female one.

    Returns:
        Mono samples at 44.1 kHz.
    """
    polynomial, voiced = analyse(speech)
    stretch = rng.uniform(1.3, 3.0)
    at = np.arange(int(len(voiced) * stretch)) / stretch
    at = np.minimum(at.astype(int), len(voiced) - 1)
    size, hop = 1024, SAMPLE_RATE // 200
    pitch = np.repeat(melody(rng, len(at), high=high), hop)
    noise = np.random.default_rng(rng.getrandbits(32))
    phase = np.cumsum(pitch / SAMPLE_RATE)
    # A sawtooth falls by 6 dB an octave, like the glottis after radiation from the lips.
    pulses = 2 * (phase % 1) - 1 + rng.uniform(0.01, 0.1) * noise.standard_normal(len(phase))
    hiss = noise.standard_normal(len(phase)) * 0.3
    blend = np.repeat(voiced[at], hop)
    source = np.pad(blend * pulses + (1 - blend) * hiss, size // 2)
    window = np.hanning(size)
    shift = rng.uniform(0.88, 1.14)
    envelope = _envelope(polynomial, size, shift)
    out = np.zeros(len(source) + size)
    for t, k in enumerate(at):
        piece = source[t * hop : t * hop + size]
        if len(piece) == size:
            shaped = np.fft.irfft(np.fft.rfft(piece * window) * envelope[k])
            out[t * hop : t * hop + size] += shaped * window
    out = out[size // 2 : size // 2 + len(phase)]
    return np.asarray(0.5 * out / np.abs(out).max(), dtype=np.float32)


def _envelope(polynomial: np.ndarray, size: int, shift: float) -> np.ndarray:
    """Amplitude of the vocal tract at the bins of 44.1 kHz; it falls steeply above 10 kHz."""
    amplitude = 1 / np.abs(np.fft.rfft(polynomial, 1024))
    low = np.arange(513) * RATE / 1024
    wanted = np.arange(size // 2 + 1) * SAMPLE_RATE / size / shift
    rows: np.ndarray = np.stack([np.interp(wanted, low, row) for row in amplitude])
    emphasis = np.abs(1 - 0.9 * np.exp(-2j * np.pi * np.minimum(wanted, 1e4) / RATE))
    tilt: np.ndarray = 10 ** (-np.maximum(wanted - 1e4, 0) / 4e3) / emphasis
    shaped: np.ndarray = rows * tilt
    return shaped


def sing_tracks(corpus: Path, *, tracks: int, seed: int) -> int:
    """Write the collection "singing": sung nonsense, a third of it in two voices.

    Args:
        corpus: root of the corpus.
        tracks: how many, of about half a minute.
        seed: of everything.

    Returns:
        How many were new.
    """
    new = 0
    for i in range(tracks):
        target = corpus / "singing" / f"singer-{seed}-{i:03d}"
        if target.exists():
            continue
        rng = random.Random(f"{seed} {i}")
        speech, high = speak(rng, 45)
        voice = sing(speech, rng, high=high)
        both = np.stack([voice, voice], axis=1)
        if rng.random() < 0.33:
            second = sing(speech, rng, high=high)[: len(voice)]
            both[: len(second)] += np.outer(
                second, (0.9, 0.3) if rng.random() < 0.5 else (0.4, 0.8)
            )
        write_stem(target, "vocals", 0.5 * both)
        new += 1
    return new
