"""Resampling: against the analytic signal, aliases, exact lengths, streams equal wholes."""

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from scipy.signal import resample_poly

from unweave import audio
from unweave.errors import ParameterError

RATES = st.sampled_from([8000, 11025, 16000, 22050, 32000, 44100, 48000, 88200, 96000, 192000])


def decibels(error, reference):
    return 10 * np.log10(np.mean(np.square(error)) / np.mean(np.square(reference)) + 1e-30)


@pytest.mark.parametrize(
    ("orig", "new"), [(44100, 48000), (48000, 44100), (96000, 44100), (8000, 44100)]
)
def test_a_sine_stays_the_same_sine(orig, new):
    tone = 1234.5
    signal = np.sin(2 * np.pi * tone * np.arange(orig) / orig)
    result = audio.resample(signal, orig, new)
    expected = np.sin(2 * np.pi * tone * np.arange(new) / new)
    inner = slice(new // 10, -new // 10)
    assert decibels((result - expected)[inner], expected) < -110


def test_aliases_are_silent():
    signal = np.sin(2 * np.pi * 20_000 * np.arange(44100) / 44100)
    result = audio.resample(signal, 44100, 32000)[3000:-3000]
    assert decibels(result, signal) < -110


def test_agrees_with_scipy_in_the_pass_band(tones):
    signal = tones(1, 20_000)[0].numpy()
    expected = resample_poly(signal.astype(np.float64), 3, 2, window=("kaiser", 14.0))
    result = audio.resample(signal, 32000, 48000)
    assert result.shape == expected.shape
    assert decibels((result - expected)[500:-500], expected) < -60


@settings(max_examples=60, deadline=None)
@given(orig=RATES, new=RATES, time=st.integers(0, 3000), block=st.integers(1, 1500))
def test_streams_equal_wholes_and_lengths_are_exact(orig, new, time, block):
    signal = torch.randn(2, time, generator=torch.Generator().manual_seed(time))
    whole = audio.resample(signal, orig, new)
    assert whole.shape == (2, -(-time * new // orig))
    stream = audio.Resampler(orig, new, 2)
    starts = list(range(0, time, block)) or [0]
    parts = [stream.process(signal[:, s : s + block], last=s == starts[-1]) for s in starts]
    assert torch.equal(torch.cat(parts, dim=1), whole)


@pytest.mark.parametrize("shape", [(500,), (2, 500), (3, 2, 500), (0, 500), (2, 0), (2, 0, 500)])
def test_leading_axes_and_kinds(shape):
    signal = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    copy = signal.clone()
    result = audio.resample(signal, 2, 3)
    assert result.dtype == torch.float64
    assert result.shape == (*shape[:-1], -(-shape[-1] * 3 // 2))
    assert torch.equal(signal, copy)
    array = audio.resample(signal.numpy(), 2, 3)
    assert isinstance(array, np.ndarray)
    assert np.array_equal(array, result.numpy())
    rows = signal.flatten(end_dim=-2) if len(shape) > 1 else signal[None]
    assert torch.equal(audio.resample(rows, 2, 3).reshape(result.shape), result)


def test_equal_rates_change_nothing():
    signal = torch.randn(2, 100)
    assert torch.equal(audio.resample(signal, 8000, 8000), signal)
    assert torch.equal(audio.Resampler(8000, 8000, 2).process(signal, last=True), signal)


def test_an_empty_end_flushes_the_rest():
    stream = audio.Resampler(44100, 48000, 1)
    first = stream.process(torch.ones(1, 44100))
    assert first.shape[1] < 48000
    assert first.shape[1] + stream.process(torch.ones(1, 0), last=True).shape[1] == 48000


@pytest.mark.parametrize(
    ("orig", "new", "text"),
    [
        (1, 44100, "cannot resample from 1 Hz to 44100 Hz: the rates differ by more than 256"),
        (44100, 0, "new_rate=0 must be a positive integer"),
        (44100.5, 48000, "orig_rate=44100.5 must be a positive integer"),
        (2**40, 44100, "differ by more than 256 times"),
    ],
)
def test_absurd_rates_are_refused(orig, new, text):
    with pytest.raises(ParameterError, match=text):
        audio.resample(torch.zeros(1, 10), orig, new)
    with pytest.raises(ParameterError, match=text):
        audio.Resampler(orig, new, 1)


def test_wrong_arguments_are_explained():
    with pytest.raises(ParameterError, match="int64 must be float32 or float64"):
        audio.resample(torch.zeros(5, dtype=torch.int64), 1, 2)
    with pytest.raises(ParameterError, match="must have a time axis"):
        audio.resample(torch.tensor(1.0), 1, 2)
    stream = audio.Resampler(1, 2, 2)
    with pytest.raises(ParameterError, match=r"must be \(channels=2, time\)"):
        stream.process(torch.zeros(3, 5))
    stream.process(torch.zeros(2, 5), last=True)
    with pytest.raises(ParameterError, match="has seen its last block"):
        stream.process(torch.zeros(2, 5))
