"""Synthetic singers: speech of permissive licence (`speech`) sung on new melodies (`voice`).

Solo singers of many builds (formants are moved, so a few speakers become men, women and
children), rap, doubled and harmonised voices, choirs, whispered breath.
"""

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr

from unweave.training.recipe.corpus import SAMPLE_RATE, write_stem
from unweave.training.recipe.corpus.speech import RATE, installed, speak
from unweave.training.recipe.corpus.voice import (
    Note,
    Speech,
    analyse,
    brighten,
    rearrange,
    timeline,
)

SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 3, 5, 7, 10), (0, 2, 4, 7, 9))
STYLES = ("solo", "solo", "solo", "doubled", "harmony", "choir", "rap")


@dataclass(frozen=True)
class Singer:
    """One singer.

    Attributes:
        speech: what is sung, analysed; its formants are the singer's.
        centre: MIDI number of the middle of the range.
        vibrato: depth in semitones, and hertz.
        glide: seconds from note to note.
        breath: level of noise relative to the voice.
        bright: see `brighten`.
    """

    speech: Speech
    centre: float
    vibrato: tuple[float, float]
    glide: float
    breath: float
    bright: float


def draw_singer(rng: random.Random, *, seconds: float = 30.0) -> Singer:
    """Draw a speaker and rebuild the speaker's throat.

    Args:
        rng: chooses everything.
        seconds: of speech to sing.
    """
    speakers = installed()
    weights = [3 if kind == "recorded" else 1 for kind, _, _ in speakers]
    kind, name, woman = rng.choices(speakers, weights)[0]
    high = rng.random() < 0.5
    low, top = ((0.92, 1.12) if woman else (1.1, 1.3)) if high else (0.78, 0.9)
    if not woman and not high:
        low, top = 0.88, 1.1
    size = rng.uniform(low, top)
    audio = soxr.resample(speak(kind, name, rng, seconds=seconds), RATE * size, RATE)
    return Singer(
        speech=analyse(audio),
        centre=rng.uniform(60, 69) if high else rng.uniform(48, 59),
        vibrato=(rng.choice((0.0, rng.uniform(0.05, 0.6))), rng.uniform(4.5, 6.8)),
        glide=rng.uniform(0.02, 0.12),
        breath=rng.choice((0.0, rng.uniform(0.01, 0.15))),
        bright=rng.uniform(0.4, 0.85),
    )


def melody(rng: random.Random, centre: float, *, seconds: float) -> list[Note]:
    """Invent phrases of one to four bars with rests between.

    Args:
        rng: chooses key, tempo, rhythm, notes.
        centre: MIDI number around which the tune moves.
        seconds: length.
    """
    scale, beat = rng.choice(SCALES), 60 / rng.uniform(65, 150)
    values = rng.choice(((0.5, 0.5, 1), (0.5, 1, 1, 2), (0.25, 0.25, 0.5, 1), (1, 2, 3)))
    degree, now, notes = rng.randint(-2, 2), rng.uniform(0, 1), []
    while now < seconds:
        for _ in range(rng.randint(3, 14)):
            degree += rng.choice((-3, -2, -1, -1, 0, 0, 1, 1, 2, 3))
            degree = min(len(scale), max(-len(scale), degree))
            octave, step = divmod(degree, len(scale))
            length = beat * rng.choice(values)
            notes.append(Note(now, 0.95 * length, round(centre) + 12 * octave + scale[step]))
            now += length
        now += beat * rng.choice((0.5, 1, 1, 2, 4))
    return [note for note in notes if note.start < seconds]


def sing(singer: Singer, notes: list[Note], rng: random.Random, *, seconds: float) -> np.ndarray:
    """Sing notes.

    Args:
        singer: who.
        notes: what.
        rng: draws drift, loudness and breath: no two takes are alike.
        seconds: length.

    Returns:
        Mono samples at 44.1 kHz, peak 0.5.
    """
    noise = np.random.default_rng(rng.getrandbits(32))
    frames = int(seconds * 200)
    if not notes or not len(singer.speech.syllables):
        return np.zeros(int(seconds * SAMPLE_RATE), np.float32)
    source, pitch = timeline(singer.speech, notes, frames)
    sounding = source >= 0
    pitch = np.interp(np.arange(frames), np.flatnonzero(sounding), pitch[sounding])
    audio = rearrange(singer.speech, source, _bend(np.log2(pitch), singer, noise), noise)
    phrases = np.repeat(noise.uniform(0.4, 1.0, frames // 100 + 2), 100)
    loudness = np.convolve(phrases, np.full(101, 1 / 101), mode="same")[:frames]
    audio = audio * np.interp(np.arange(len(audio)) / 80, np.arange(frames), loudness)
    if singer.breath:
        envelope = np.convolve(np.abs(audio), np.full(160, 1 / 160), mode="same")
        hiss = noise.standard_normal(len(audio))
        audio = audio + singer.breath * envelope * np.diff(hiss, prepend=0.0)
    bright = brighten(audio, singer.bright)
    out = np.zeros(int(seconds * SAMPLE_RATE), np.float32)
    out[: len(bright)] = bright[: len(out)]
    return out * np.float32(0.5 / (np.abs(out).max() + 1e-9))


def _bend(octaves: np.ndarray, singer: Singer, noise: np.random.Generator) -> np.ndarray:
    """Add glides, vibrato that grows within held notes, and drift; return hertz."""
    size = max(3, int(singer.glide * 200)) | 1
    padded = np.pad(octaves, size // 2, mode="edge")
    bell = np.hanning(size + 2)[1:-1]
    smooth = np.convolve(padded, bell / bell.sum(), mode="valid")
    still = np.abs(np.gradient(smooth)) < 1e-4
    age = np.arange(len(still)) - np.maximum.accumulate(np.where(still, 0, np.arange(len(still))))
    depth, rate = singer.vibrato
    swing = np.sin(2 * np.pi * rate * np.arange(len(octaves)) / 200)
    drift = np.convolve(noise.standard_normal(len(octaves) + 99), np.hanning(100), mode="valid")
    bent: np.ndarray = 2 ** (smooth + depth / 12 * np.clip(age / 60, 0, 1) * swing + 0.001 * drift)
    return bent


def ensemble(rng: random.Random, *, seconds: float) -> np.ndarray:
    """Sing a new tune in one of `STYLES`.

    Args:
        rng: chooses everything.
        seconds: length.

    Returns:
        Samples of shape (time, 2).
    """
    style = rng.choice(STYLES)
    lead = draw_singer(rng)
    notes = melody(rng, lead.centre, seconds=seconds)
    if style == "rap":
        notes = [Note(n.start, n.length, None) for n in notes]
    mix = np.repeat(sing(lead, notes, rng, seconds=seconds)[:, None], 2, axis=1)
    if style in ("solo", "rap"):
        return mix
    parts = {"doubled": 1, "harmony": rng.randint(1, 2), "choir": rng.randint(3, 5)}[style]
    for i in range(parts):
        other = draw_singer(rng) if style == "choir" else lead
        shift = 0.0 if style == "doubled" else float(rng.choice((3, 4, -5, 7, -3, 12, 0)))
        shift += 12 * round((other.centre - lead.centre) / 12) + rng.gauss(0, 0.08)
        late = [_moved(note, rng.uniform(0.0, 0.05), shift) for note in notes]
        take = sing(other, late, rng, seconds=seconds) * rng.uniform(0.3, 0.9)
        pan = rng.uniform(0.1, 0.9) if parts > 1 else (0.85, 0.15)[i % 2]
        mix += take[:, None] * np.sqrt(np.array([pan, 1 - pan], np.float32))
    return mix / max(1.0, float(np.abs(mix).max()))


def _moved(note: Note, seconds: float, semitones: float) -> Note:
    pitch = None if note.pitch is None else note.pitch + semitones
    return Note(note.start + seconds, note.length, pitch)


def sing_tracks(corpus: Path, *, tracks: int, seed: int, seconds: float = 30.0) -> int:
    """Write the collection "singing"; return how many tracks were new.

    Args:
        corpus: root of the corpus.
        tracks: how many.
        seed: of everything.
        seconds: length of a track.
    """
    new = 0
    for i in range(tracks if installed() else 0):
        target = corpus / "singing" / f"singer-{seed}-{i:03d}"
        if not target.exists():
            write_stem(target, "vocals", ensemble(random.Random(f"{seed} {i}"), seconds=seconds))
            new += 1
    return new
