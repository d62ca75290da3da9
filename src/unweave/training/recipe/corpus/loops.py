"""Drum and bass tracks sequenced from CC0 one-shots, and loops repeated to length."""

import random
from pathlib import Path

import numpy as np
import soxr

from unweave.training.recipe.corpus import SAMPLE_RATE, write_stem
from unweave.training.recipe.corpus.songs import read_stereo

DRUM_LOOPS = (
    "amen", "amen_full", "breakbeat", "compus", "industrial", "tabla", "mika", "safari",
    "weirdo", "electric", "mehackit1", "mehackit2", "perc1", "perc2",
)  # fmt: skip
VOICES = {  # role in the pattern: prefixes of the one-shots that can play it
    "kick": ("bd_", "drum_heavy_kick", "drum_bass"),
    "snare": ("sn_", "drum_snare", "elec_snare", "elec_filt_snare"),
    "hat": ("hat_", "drum_cymbal_closed", "drum_cymbal_pedal", "elec_tick"),
    "perc": ("drum_tom", "perc_", "tabla_", "elec_", "drum_cowbell", "drum_cymbal_open"),
}
CHANCE = {  # probability of a hit on each sixteenth of a bar: on the beat, off beat, between
    "kick": (0.7, 0.25, 0.12),
    "snare": (0.3, 0.1, 0.08),
    "hat": (0.7, 0.6, 0.35),
    "perc": (0.1, 0.1, 0.1),
}


def _hits(folder: Path, prefixes: tuple[str, ...]) -> list[Path]:
    return sorted(p for prefix in prefixes for p in folder.glob(f"{prefix}*.flac"))


def _place(track: np.ndarray, sound: np.ndarray, start: int, gain: float) -> None:
    room = track[start : start + len(sound)]
    room += gain * sound[: len(room)]


def drum_track(folder: Path, rng: random.Random, *, seconds: float) -> np.ndarray:
    """Sequence a four-bar drum pattern from one-shots, with small variations.

    Args:
        folder: the one-shot samples.
        rng: chooses sounds, tempo, pattern, velocities.
        seconds: length.

    Returns:
        Samples of shape (time, 2).
    """
    step = int(60 / rng.uniform(75, 175) / 4 * SAMPLE_RATE)
    track = np.zeros((int(seconds * SAMPLE_RATE), 2), np.float32)
    for voice, prefixes in VOICES.items():
        sound = read_stereo(rng.choice(_hits(folder, prefixes)))
        swing = rng.uniform(0, 0.15) * step
        bar = [rng.random() < CHANCE[voice][(0, 2, 1, 2)[i % 4]] for i in range(16)]
        if voice == "snare":
            bar[4] = bar[12] = True
        level = rng.uniform(0.4, 1.0)
        for i, start in enumerate(range(0, len(track), step)):
            if bar[i % 16] != (rng.random() < 0.04):
                late = int(swing * (i % 2))
                _place(track, sound, start + late, level * rng.uniform(0.6, 1.0))
    return track / max(1.0, float(np.abs(track).max()))


def bass_track(folder: Path, rng: random.Random, *, seconds: float) -> np.ndarray:
    """Play a random minor-pentatonic line on a resampled bass one-shot.

    Args:
        folder: the one-shot samples.
        rng: chooses sound, tempo, notes.
        seconds: length.

    Returns:
        Samples of shape (time, 2).
    """
    step = int(60 / rng.uniform(75, 160) / 2 * SAMPLE_RATE)
    sound = read_stereo(rng.choice(_hits(folder, ("bass_",))))
    root = rng.randint(-5, 5)
    notes = {n: _transposed(sound, root + n) for n in (-5, 0, 3, 5, 7)}
    line = [rng.choice([None, *notes]) for _ in range(8)]
    track = np.zeros((int(seconds * SAMPLE_RATE), 2), np.float32)
    fade = np.linspace(1, 0, 441, dtype=np.float32)[:, None]
    for i, start in enumerate(range(0, len(track), step)):
        note = line[i % 8]
        if note is not None:
            tone = notes[note][: rng.choice((step, step, 2 * step))].copy()
            tone[-441:] *= fade[-len(tone) :]
            _place(track, tone, start, rng.uniform(0.7, 1.0))
    return track / max(1.0, float(np.abs(track).max()))


def _transposed(sound: np.ndarray, semitones: float) -> np.ndarray:
    moved: np.ndarray = soxr.resample(sound, SAMPLE_RATE * 2 ** (semitones / 12), SAMPLE_RATE)
    return moved


def loop_track(path: Path, *, seconds: float) -> np.ndarray:
    """Repeat a loop to the wanted length."""
    loop = read_stereo(path)
    total = int(seconds * SAMPLE_RATE)
    return np.tile(loop, (total // len(loop) + 1, 1))[:total]


def sequence_loops(folder: Path, corpus: Path, *, tracks: int, seed: int) -> int:
    """Write the collection "loops": repeated drum loops and `tracks` sequenced tracks.

    Args:
        folder: samples of Sonic Pi.
        corpus: root of the corpus.
        tracks: how many drum and bass tracks of 30 seconds to sequence.
        seed: of the patterns.
    """
    for name in DRUM_LOOPS:
        path = folder / f"loop_{name}.flac"
        if path.exists():
            write_stem(corpus / "loops" / name, "drums", loop_track(path, seconds=20))
    for i in range(tracks):
        rng = random.Random(f"{seed} {i}")
        target = corpus / "loops" / f"sequence-{i:03d}"
        write_stem(target, "drums", drum_track(folder, rng, seconds=30))
        write_stem(target, "bass", bass_track(folder, rng, seconds=30))
    return tracks
