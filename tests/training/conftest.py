"""A corpus of a few seconds, made of tones and noise."""

from pathlib import Path

import numpy as np
import pytest

from unweave.training.corpus import SAMPLE_RATE, write_stem


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
