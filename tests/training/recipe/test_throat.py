from itertools import pairwise

import numpy as np
import pytest
from scipy.signal import lfilter

from unweave.training.recipe.corpus import throat

RATE = 16000


def _power(audio, low, high):
    power = np.abs(np.fft.rfft(audio)) ** 2
    per_bin = RATE / len(audio)
    return power[round(low / per_bin) : round(high / per_bin)].sum()


@pytest.fixture
def vowels():
    """Two seconds of a voice at 125 Hz with a formant at 1 kHz."""
    pulses = (np.arange(2 * RATE) % 128 == 0).astype(float)
    pole = 0.97 * np.exp(2j * np.pi * 1000 / RATE)
    return lfilter([1.0], [1, -2 * pole.real, abs(pole) ** 2], pulses)


def test_a_new_throat_keeps_pitch_and_length_but_not_colour(vowels):
    before = vowels.copy()
    middles = []
    for seed in range(6):
        audio = throat.reshape(vowels, RATE, np.random.default_rng(seed))
        assert audio.shape == vowels.shape
        assert np.isfinite(audio).all()
        power = np.abs(np.fft.rfft(audio)) ** 2
        partials = power[::250]  # of 125 Hz
        assert partials.sum() > 0.9 * power.sum()
        middles.append(np.average(125 * np.arange(4, 14), weights=partials[4:14]))
    assert np.std(middles) > 20  # the formant at 1 kHz has moved
    np.testing.assert_array_equal(vowels, before)


def test_the_same_seed_makes_the_same_throat(vowels):
    one, other = (throat.reshape(vowels, RATE, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(one, other)


def test_bands_are_copied_upwards_more_weakly_each_time():
    rng = np.random.default_rng(0)
    spectrum = np.fft.rfft(rng.standard_normal(2 * RATE))
    spectrum[2 * 2000 :] = 0
    audio = np.fft.irfft(spectrum)
    copied = throat.replicate(audio, RATE, (1000, 2000), level=0.5)
    levels = [_power(copied, low, low + 1000) for low in (1000, 2000, 3000, 4000, 5000)]
    assert levels[0] == pytest.approx(_power(audio, 1000, 2000), rel=0.05)
    assert all(b < 0.4 * a for a, b in pairwise(levels))
    assert levels[-1] > 0


def test_low_rates_are_widened_and_full_ones_resampled_only():
    rng = np.random.default_rng(0)
    narrow = throat.widen(rng.standard_normal(8000).astype(np.float32), 8000, RATE)
    assert len(narrow) == RATE
    assert 0.001 < _power(narrow, 4500, 7000) / _power(narrow, 1000, 3500) < 0.5
    full = rng.standard_normal(RATE).astype(np.float32)
    np.testing.assert_allclose(throat.widen(full, RATE, RATE), full, atol=1e-6)
