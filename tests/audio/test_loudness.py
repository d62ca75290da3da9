"""Loudness: against pyloudnorm, the standard's own reference points, and streams against wholes."""

import hypothesis.strategies as st
import numpy as np
import pyloudnorm
import pytest
import torch
from hypothesis import given, settings

from unweave import audio
from unweave.errors import ParameterError


def noise(channels, frames, seed=0):
    generator = np.random.default_rng(seed)
    white = generator.standard_normal((channels, frames))
    rumble = np.cumsum(generator.standard_normal((channels, frames)), axis=1)
    rumble -= rumble.mean(axis=1, keepdims=True)
    swell = 0.1 + 0.08 * np.sin(np.arange(frames) / frames * 40)
    return ((white + rumble / rumble.std()) * swell * 0.3).astype(np.float32)


@pytest.mark.parametrize("rate", [16000, 44100, 48000, 96000, 192000])
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_equals_pyloudnorm(rate, channels):
    signal = noise(channels, 6 * rate)
    signal[:, : 2 * rate] *= 0.01  # falls below the relative gate
    meter = pyloudnorm.Meter(rate, filter_class="DeMan")
    expected = meter.integrated_loudness(signal.T.astype(np.float64))
    assert audio.integrated_loudness(signal, rate) == pytest.approx(expected, abs=0.01)


def test_close_to_pyloudnorms_default_filter():
    signal = noise(2, 5 * 44100)
    expected = pyloudnorm.Meter(44100).integrated_loudness(signal.T.astype(np.float64))
    assert audio.integrated_loudness(signal, 44100) == pytest.approx(expected, abs=0.1)


def sine(rate, level, channels, seconds=4.0, hertz=997.0):
    time = torch.arange(int(rate * seconds)) / rate
    return (10 ** (level / 20) * torch.sin(2 * torch.pi * hertz * time)).repeat(channels, 1)


@pytest.mark.parametrize("rate", [32000, 44100, 48000, 96000])
def test_reference_points_of_the_standard(rate):
    # BS.1770: a 997 Hz sine at 0 dB FS in one front channel reads -3.01 LKFS
    assert audio.integrated_loudness(sine(rate, 0, 1), rate) == pytest.approx(-3.01, abs=0.02)
    # EBU Tech 3341, case 1: stereo sine of 1 kHz at -23 dB FS reads -23 LUFS
    stereo = sine(rate, -23, 2, hertz=1000.0)
    assert audio.integrated_loudness(stereo, rate) == pytest.approx(-23.0, abs=0.1)


def test_gates_of_ebu_tech_3341():
    # case 3: 10 s at -36, 60 s at -23, 10 s at -36 dB FS read -23 LUFS
    parts = [sine(48000, -36, 2, 10), sine(48000, -23, 2, 60), sine(48000, -36, 2, 10)]
    signal = torch.cat(parts, dim=1)
    assert audio.integrated_loudness(signal, 48000) == pytest.approx(-23.0, abs=0.1)


def test_surround_weights():
    one = sine(48000, -20, 1)
    level = audio.integrated_loudness(one, 48000)
    for channels, weights in ((6, [1, 1, 1, 0, 1.41, 1.41]), (8, [1, 1, 1, 0, 1, 1, 1.41, 1.41])):
        for channel, weight in enumerate(weights):
            signal = torch.zeros(channels, one.shape[1])
            signal[channel] = one[0]
            expected = level + 10 * np.log10(weight) if weight else -np.inf
            assert audio.integrated_loudness(signal, 48000) == pytest.approx(expected, abs=0.01)


@settings(max_examples=25, deadline=None)
@given(
    rate=st.integers(50, 60_000),
    frames=st.integers(0, 90_000),
    block=st.integers(500, 90_000),
    channels=st.integers(1, 3),
)
def test_streams_equal_wholes(rate, frames, block, channels):
    signal = noise(channels, frames + 9)[:, :frames]
    meter = audio.LoudnessMeter(rate, channels)
    for start in range(0, frames, block):
        meter.update(signal[:, start : start + block])
    whole = audio.integrated_loudness(signal, rate)
    assert meter.integrated == pytest.approx(whole, abs=1e-4)
    assert meter.integrated == meter.integrated
    assert meter.peak == (np.abs(signal).max() if frames else 0.0)


def test_gain_moves_loudness_by_as_much():
    signal = torch.from_numpy(noise(2, 3 * 44100))
    quiet = audio.integrated_loudness(signal / 2, 44100)
    assert audio.integrated_loudness(signal, 44100) - quiet == pytest.approx(6.0206, abs=1e-3)


def test_silence_and_moments_have_no_loudness():
    assert audio.integrated_loudness(torch.zeros(2, 44100), 44100) == -np.inf
    assert audio.integrated_loudness(torch.ones(2, 17639), 44100) == -np.inf
    assert audio.integrated_loudness(torch.zeros(2, 0), 44100) == -np.inf
    assert np.isfinite(audio.integrated_loudness(torch.randn(2, 17640), 44100))


def test_nan_is_not_hidden():
    signal = torch.randn(1, 44100)
    signal[0, 22_050] = torch.nan
    assert np.isnan(audio.integrated_loudness(signal, 44100))


def test_inputs_are_not_changed_and_shapes_are_checked():
    signal = torch.randn(2, 44100)
    copy = signal.clone()
    audio.integrated_loudness(signal, 44100)
    assert torch.equal(signal, copy)
    with pytest.raises(ParameterError, match=r"must be \(channels, time\)"):
        audio.integrated_loudness(signal[0], 44100)
    with pytest.raises(ParameterError, match=r"must be \(channels=1, time\)"):
        audio.LoudnessMeter(44100, 1).update(signal)
    with pytest.raises(ParameterError, match="sample_rate=0"):
        audio.LoudnessMeter(0, 1)
