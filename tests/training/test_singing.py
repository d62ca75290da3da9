import random

import numpy as np
import pytest

from unweave.training.corpus import singing


def buzz(pitch, seconds=0.6):
    """A vowel-like signal: a pulse train through two resonances."""
    time = np.arange(int(seconds * singing.RATE))
    train = (time % round(singing.RATE / pitch) == 0).astype(float)
    for centre in (700, 1200):
        ring = np.exp(-time[:400] / 60) * np.sin(2 * np.pi * centre * time[:400] / singing.RATE)
        train = np.convolve(train, ring)[: len(time)]
    return (train / np.abs(train).max()).astype(np.float32)


def test_analysis_finds_formants_and_voicing():
    polynomial, voiced = singing.analyse(buzz(110))
    envelope = 1 / np.abs(np.fft.rfft(polynomial[60], 2048))
    peak = envelope.argmax() * singing.RATE / 2048
    assert min(abs(peak - 700), abs(peak - 1200)) < 120
    assert voiced[20:-20].mean() > 0.9
    hiss = np.random.default_rng(0).standard_normal(12000).astype(np.float32)
    assert singing.analyse(hiss)[1].mean() < 0.5


@pytest.mark.parametrize("high", [False, True])
def test_melodies_stay_in_a_singers_range(high):
    for seed in range(20):
        pitch = singing.melody(random.Random(seed), 2000, high=high)
        assert (pitch > 60).all()
        assert (pitch < 1200).all()


def test_singing_is_finite_stretched_and_audible():
    speech = buzz(110)
    sung = singing.sing(speech, random.Random(3), high=True)
    assert np.isfinite(sung).all()
    assert len(sung) > 1.2 * len(speech) * 2
    assert 0.3 < np.abs(sung).max() <= 0.5 + 1e-6
