"""Synthesisers and drum machines of our own: sounds that no sampled General MIDI set has.

Tones are additive: harmonics of a drawn waveform under a drawn filter sweep, or two-operator
frequency modulation; drums are swept sines and shaped noise.
"""

import random
from dataclasses import dataclass

import numpy as np

from unweave.training.recipe.corpus import SAMPLE_RATE

TOP = 16000.0  # no harmonic above


@dataclass(frozen=True)
class Event:
    """A note of an instrument.

    Attributes:
        start: seconds.
        length: seconds.
        pitch: MIDI number; for drums the General MIDI key.
        velocity: 0 to 1.
    """

    start: float
    length: float
    pitch: int
    velocity: float


@dataclass(frozen=True)
class Patch:
    """One sound.

    Attributes:
        harmonics: amplitudes from the fundamental up.
        cutoff: of the filter at the end of the sweep, in hertz.
        sweep: octaves that the filter starts above the cutoff.
        attack: seconds.
        decay: seconds to fall by 60 dB towards the sustained level, of amplitude and filter.
        sustain: level held, 0 to 1.
        release: seconds.
        modulation: ratio and index of frequency modulation; index 0 is none.
        vibrato: semitones.
        chorus: number of detuned copies spread over the stereo field.
        drive: gain into tanh; 0 is clean.
    """

    harmonics: np.ndarray
    cutoff: float
    sweep: float
    attack: float
    decay: float
    sustain: float
    release: float
    modulation: tuple[float, float]
    vibrato: float
    chorus: int
    drive: float


def draw_patch(rng: random.Random, role: str) -> Patch:
    """Draw a sound.

    Args:
        rng: chooses everything.
        role: "bass", "pad", "pluck" or "lead".
    """
    order = np.arange(1, 81)
    wave = rng.choice(("saw", "saw", "square", "pulse", "triangle", "organ"))
    width = rng.uniform(0.05, 0.45)
    harmonics = {
        "saw": 1 / order,
        "square": (order % 2) / order,
        "pulse": np.abs(np.sin(np.pi * width * order)) / order,
        "triangle": (order % 2) / order**2,
        "organ": np.where(order < 10, np.array([rng.random() ** 2 for _ in order]), 0),
    }[wave]
    held = role == "pad" or (role != "pluck" and rng.random() < 0.6)
    fm = rng.random() < 0.25
    low, high = {"bass": (200, 2500), "pad": (500, 6000)}.get(role, (800, 9000))
    return Patch(
        harmonics=harmonics / np.sqrt(np.sum(harmonics**2)),
        cutoff=low * (high / low) ** rng.random(),
        sweep=rng.choice((0.0, rng.uniform(0.5, 3.0))),
        attack=rng.uniform(0.05, 0.6) if role == "pad" else rng.uniform(0.002, 0.02),
        decay=rng.uniform(0.2, 2.0),
        sustain=rng.uniform(0.5, 1.0) if held else rng.uniform(0.0, 0.2),
        release=rng.uniform(0.2, 1.0) if role == "pad" else rng.uniform(0.02, 0.15),
        modulation=(rng.choice((0.5, 1, 1, 2, 3, 1.41, 7)), rng.uniform(0.5, 6) if fm else 0.0),
        vibrato=rng.choice((0.0, rng.uniform(0.05, 0.3))) if role == "lead" else 0.0,
        chorus=rng.choice((0, 0, 2)) if role == "bass" else rng.choice((0, 2, 2, 4)),
        drive=rng.choice((0.0, 0.0, rng.uniform(0.5, 4.0))),
    )


def tone(patch: Patch, pitch: int, length: float) -> np.ndarray:
    """Sound one note, mono.

    Args:
        patch: the sound.
        pitch: MIDI number.
        length: seconds until release.
    """
    time = np.arange(int((length + patch.release) * SAMPLE_RATE)) / SAMPLE_RATE
    hertz = 440 * 2 ** ((pitch - 69) / 12)
    fall = np.exp(-6.9 * time / patch.decay)
    phase = 2 * np.pi * hertz * time
    if patch.vibrato:
        swing = patch.vibrato / 12 * np.log(2) * hertz / 5.5
        phase += swing * np.minimum(time / 0.4, 1) * np.sin(2 * np.pi * 5.5 * time)
    ratio, index = patch.modulation
    if index:
        sound = np.sin(phase + index * (0.2 + 0.8 * fall) * np.sin(ratio * phase))
    else:
        inverse = (hertz / (patch.cutoff * 2 ** (patch.sweep * fall))) ** 2
        base, turning = np.exp(1j * phase), np.ones(len(time), complex)
        sound = np.zeros(len(time))
        for order, level in enumerate(patch.harmonics[: max(1, int(TOP / hertz))], 1):
            turning *= base
            if level > 1e-3:
                sound += level * turning.imag / (1 + (order**2 * inverse) ** 2)
    body = patch.sustain + (1 - patch.sustain) * fall
    body *= np.minimum(time / patch.attack, 1)
    body *= np.clip(1 - (time - length) / patch.release, 0, 1)
    return sound * body


def play(events: list[Event], patch: Patch, *, seconds: float) -> np.ndarray:
    """Play a part.

    Args:
        events: its notes.
        patch: its sound.
        seconds: length.

    Returns:
        Samples of shape (time, 2), peak 0.7.
    """
    out = np.zeros(int(seconds * SAMPLE_RATE))
    known: dict[tuple[int, int], np.ndarray] = {}
    for event in events:
        key = (event.pitch, round(event.length * 100))
        if key not in known:
            known[key] = tone(patch, event.pitch, max(0.03, event.length))
        _add(out, known[key] * event.velocity, event.start)
    if patch.drive:
        out = np.tanh(patch.drive * out / (np.std(out) + 1e-9))
    return _level(spread(out, patch.chorus))


def spread(mono: np.ndarray, copies: int) -> np.ndarray:
    """Add copies through slowly moving delays, left and right in turn: a chorus.

    Args:
        mono: samples.
        copies: how many; 0 keeps the sound in the middle.
    """
    both = np.repeat(mono[:, None], 2, axis=1)
    time = np.arange(len(mono))
    for i in range(copies):
        sway = np.sin(2 * np.pi * (0.3 + 0.17 * i) * time / SAMPLE_RATE + i)
        at = np.maximum(time - SAMPLE_RATE * (0.012 + 0.004 * i + 0.003 * sway), 0)
        both[:, i % 2] += 0.9 * np.interp(at, time, mono)
    return both


def draw_kit(rng: random.Random) -> dict[int, np.ndarray]:
    """Build a drum machine.

    Args:
        rng: chooses everything.

    Returns:
        One-shots by General MIDI key: kick 36, snare 38, clap 39, hats 42 and 46, tom 45, crash 49.
    """
    noise = np.random.default_rng(rng.getrandbits(32))

    def time(seconds: float) -> np.ndarray:
        return np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE

    def thump(low: float, high: float, bend: float, seconds: float) -> np.ndarray:
        t = time(seconds)
        phase = 2 * np.pi * (low * t + (high - low) * bend * (1 - np.exp(-t / bend)))
        return np.sin(phase) * np.exp(-5 * t / seconds)

    def hiss(low: float, high: float, seconds: float) -> np.ndarray:
        t = time(seconds)
        spectrum = np.fft.rfft(noise.standard_normal(len(t)))
        frequency = np.fft.rfftfreq(len(t), 1 / SAMPLE_RATE) + 1
        spectrum *= 1 / (1 + (low / frequency) ** 4) / (1 + (frequency / high) ** 4)
        shaped = np.fft.irfft(spectrum, len(t)) * np.exp(-6 * t / seconds)
        return np.asarray(shaped / np.abs(shaped).max())

    kick = thump(rng.uniform(38, 65), rng.uniform(120, 400), 0.03, rng.uniform(0.15, 0.9))
    kick[:400] += rng.uniform(0, 0.5) * hiss(1000, 8000, 0.02)[:400]
    body = thump(rng.uniform(140, 220), rng.uniform(220, 400), 0.02, 0.2)
    snare = rng.uniform(0.4, 1) * hiss(rng.uniform(800, 3000), 12000, rng.uniform(0.12, 0.4))
    snare[: len(body)] += rng.uniform(0.2, 0.8) * body[: len(snare)]
    clap = np.zeros(int(0.4 * SAMPLE_RATE))
    for late in (0.0, 0.01, 0.021, 0.03):
        _add(clap, hiss(900, 6000, rng.uniform(0.05, 0.3)), late)
    metal = rng.uniform(5000, 9000)
    return {
        36: np.tanh(rng.uniform(1, 4) * kick),
        38: snare,
        39: 0.6 * clap,
        42: 0.5 * hiss(metal, 18000, rng.uniform(0.03, 0.1)),
        46: 0.5 * hiss(metal, 18000, rng.uniform(0.25, 0.6)),
        45: thump(rng.uniform(70, 140), 250, 0.05, 0.4),
        49: 0.6 * hiss(0.6 * metal, 18000, rng.uniform(1.0, 2.0)),
    }


def drum(events: list[Event], kit: dict[int, np.ndarray], *, seconds: float) -> np.ndarray:
    """Play a drum part.

    Args:
        events: hits.
        kit: see `draw_kit`.
        seconds: length.

    Returns:
        Samples of shape (time, 2), peak 0.7.
    """
    out = np.zeros((int(seconds * SAMPLE_RATE), 2))
    pans = {key: 0.5 if key in (36, 38) else 0.25 + 0.5 * (key % 7) / 6 for key in kit}
    for event in events:
        for side, share in enumerate((1 - pans[event.pitch], pans[event.pitch])):
            hit = kit[event.pitch] * (event.velocity * 2 * share)
            _add(out[:, side], hit, event.start)
    return _level(out)


def _add(track: np.ndarray, sound: np.ndarray, start: float) -> None:
    room = track[int(start * SAMPLE_RATE) :][: len(sound)]
    room += sound[: len(room)]


def _level(audio: np.ndarray) -> np.ndarray:
    return np.asarray(audio * (0.7 / (np.abs(audio).max() + 1e-9)), np.float32)
