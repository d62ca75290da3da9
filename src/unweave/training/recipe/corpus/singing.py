"""Synthetic singers: speech of permissive licence (`speech`) sung on new melodies (`voice`).

Solo singers of many builds (formants are moved, so a few speakers become men, women and
children), rap, speech, doubled and harmonised voices, choirs, whispered breath, hoarse voices.
"""

import random
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from unweave.training.recipe.corpus import SAMPLE_RATE, write_stem
from unweave.training.recipe.corpus.speech import RATE, installed, speak
from unweave.training.recipe.corpus.throat import reshape, widen
from unweave.training.recipe.corpus.voice import (
    Note,
    Speech,
    analyse,
    brighten,
    rearrange,
    timeline,
)

SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 3, 5, 7, 10), (0, 2, 4, 7, 9))
STYLES = ("solo", "solo", "solo", "doubled", "harmony", "choir", "rap", "spoken")
WEIGHTS = {"nsh": 2.0, "chion": 2.0, "austen": 1.5, "don_diphone": 0.5}  # the others: 1
REGISTERS = {  # lowest and highest middle of a range; formants of a woman, of a man raised by
    "bass": ((42, 49), (0.7, 0.8), (0.82, 1.0)),
    "low": ((49, 57), (0.76, 0.9), (0.88, 1.1)),
    "high": ((57, 67), (0.9, 1.12), (1.08, 1.28)),
    "soprano": ((66, 73), (1.0, 1.2), (1.15, 1.32)),
}


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
        rough: see `rearrange`.
    """

    speech: Speech
    centre: float
    vibrato: tuple[float, float]
    glide: float
    breath: float
    bright: float
    rough: float = 0.0


def draw_singer(rng: random.Random, *, seconds: float = 30.0) -> Singer:
    """Draw a speaker and rebuild the speaker's throat.

    Args:
        rng: chooses everything.
        seconds: of speech to sing.
    """
    speakers = installed()
    weights = [WEIGHTS.get(name, 1.0) for _, name, _ in speakers]
    kind, name, woman = rng.choices(speakers, weights)[0]
    middle, of_woman, of_man = REGISTERS[rng.choices(list(REGISTERS), (1, 4, 4, 1))[0]]
    size = rng.uniform(*(of_woman if woman else of_man))
    audio = speak(kind, name, rng, seconds=seconds)
    if rng.random() < 0.75:
        audio = reshape(audio, RATE, np.random.default_rng(rng.getrandbits(32)))
    return Singer(
        speech=analyse(widen(audio, RATE * size, RATE)),
        centre=rng.uniform(*middle),
        vibrato=(rng.choice((0.0, rng.uniform(0.05, 0.6))), rng.uniform(4.5, 6.8)),
        glide=rng.uniform(0.02, 0.12),
        breath=rng.choice((0.0, rng.uniform(0.01, 0.15))),
        bright=rng.uniform(0.45, 0.95),
        rough=rng.choice((0.0, 0.0, rng.uniform(0.03, 0.3))),
    )


def melody(rng: random.Random, centre: float, *, seconds: float) -> list[Note]:
    """Invent phrases of one to four bars with rests between; some syllables turn.

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
            pitch = round(centre) + 12 * octave + scale[step]
            turns = _turns(rng, length, pitch) if length > 0.35 and rng.random() < 0.2 else ()
            notes.append(Note(now, 0.95 * length, pitch, turns))
            now += length
        now += beat * rng.choice((0.5, 1, 1, 2, 4))
    return [note for note in notes if note.start < seconds]


def _turns(rng: random.Random, length: float, pitch: float) -> tuple[tuple[float, float], ...]:
    """Run around a note: one to four quick notes after it has begun."""
    count = rng.randint(1, 4)
    times = [length * (0.3 + 0.6 * i / count) for i in range(count)]
    return tuple((time, pitch + rng.choice((-5, -3, -2, 2, 2, 3, 0))) for time in times)


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
    bent = _bend(np.log2(pitch), singer, noise)
    audio = rearrange(singer.speech, source, bent, noise, rough=singer.rough)
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


def recite(singer: Singer, rng: random.Random, *, seconds: float) -> np.ndarray:
    """Speak passages as they were spoken, with rests between.

    Args:
        singer: who.
        rng: chooses passages and rests.
        seconds: length.

    Returns:
        Mono samples at 44.1 kHz, peak 0.5.
    """
    voice = brighten(singer.speech.audio, singer.bright)
    out, now = np.zeros(int(seconds * SAMPLE_RATE), np.float32), 0
    while now < len(out):
        length = int(rng.uniform(1.0, 5.0) * SAMPLE_RATE)
        start = rng.randrange(max(1, len(voice) - length))
        passage = voice[start : start + length][: len(out) - now]
        edge = np.arange(len(passage))
        fade = np.clip(np.minimum(edge, edge[::-1]) / 2000, 0, 1)
        out[now : now + len(passage)] = passage * fade * rng.uniform(0.5, 1.0)
        now += len(passage) + int(rng.uniform(0.2, 1.5) * SAMPLE_RATE)
    return out * np.float32(0.5 / (np.abs(out).max() + 1e-9))


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
    if style == "spoken":
        return np.repeat(recite(lead, rng, seconds=seconds)[:, None], 2, axis=1)
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
    turns = tuple((time, number + semitones) for time, number in note.turns)
    return replace(note, start=note.start + seconds, pitch=pitch, turns=turns)


def sing_tracks(
    corpus: Path, *, tracks: int, seed: int, seconds: float = 30.0, collection: str = "singing"
) -> int:
    """Write a collection of singing; return how many tracks were new.

    Args:
        corpus: root of the corpus.
        tracks: how many.
        seed: of everything.
        seconds: length of a track.
        collection: its folder; training takes "singing" and "singing-..." together.
    """
    new = 0
    for i in range(tracks if installed() else 0):
        target = corpus / collection / f"singer-{seed}-{i:03d}"
        if not target.exists():
            write_stem(target, "vocals", ensemble(random.Random(f"{seed} {i}"), seconds=seconds))
            new += 1
    return new
