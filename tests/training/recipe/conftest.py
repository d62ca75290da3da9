"""A corpus of a few seconds, made of tones and noise; a speaker of vowels and hiss."""

from pathlib import Path

import numpy as np
import pytest

from unweave.training.recipe.corpus import SAMPLE_RATE, write_stem
from unweave.training.recipe.corpus.speech import RATE


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    time = np.arange(4 * SAMPLE_RATE) / SAMPLE_RATE
    tones = {"vocals": 440.0, "bass": 55.0, "other": 1200.0}
    for song in ("one", "two", "held-out"):
        folder = tmp_path / "songs" / song
        for stem, pitch in tones.items():
            tone = 0.1 * np.sin(2 * np.pi * pitch * time)
            write_stem(folder, stem, np.stack([tone, 0.5 * tone], 1))
        dull = np.convolve(rng.standard_normal(len(time)), np.hanning(9), mode="same")
        noise = 0.1 * (dull * (np.sin(8 * np.pi * time) > 0.9))[:, None] * [1.0, 0.8]
        write_stem(folder, "drums", noise)
    write_stem(
        tmp_path / "fretsonfire" / "band", "accompaniment", 0.1 * rng.standard_normal((88200, 2))
    )
    write_stem(tmp_path / "songs" / "one-and-silence", "vocals", np.zeros((44100, 2)))
    return tmp_path


def _vowel(pitch, seconds=0.3, formants=(700, 1200)):
    """Return a vowel: pulses through resonances."""
    time = np.arange(int(seconds * RATE))
    train = (time % round(RATE / pitch) == 0).astype(float)
    for centre in formants:
        ring = np.exp(-time[:400] / 60) * np.sin(2 * np.pi * centre * time[:400] / RATE)
        train = np.convolve(train, ring)[: len(time)]
    return (train / np.abs(train).max() * np.hanning(len(train)) ** 0.5).astype(np.float32)


def _babble(pitch=110, count=6):
    """Return syllables, each 80 ms of hiss and 300 ms of vowel."""
    rng = np.random.default_rng(0)
    parts = []
    for i in range(count):
        parts.append(0.05 * rng.standard_normal(int(0.08 * RATE)).astype(np.float32))
        parts.append(_vowel(pitch, formants=(500 + 100 * (i % 3), 1100 + 200 * (i % 2))))
    return np.concatenate(parts)


@pytest.fixture
def vowel():
    return _vowel


@pytest.fixture
def babble():
    return _babble


@pytest.fixture
def speaker(monkeypatch):
    """Let the only speaker at hand be one who babbles."""
    from unweave.training.recipe.corpus import singing

    monkeypatch.setattr(singing, "installed", lambda: [("flite", "test", False)])
    monkeypatch.setattr(singing, "speak", lambda *_, **__: _babble())
