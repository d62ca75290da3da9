"""Bandwidth reduction: which bins stay, and what takes the place of the others."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unweave.codec import BandwidthLimit, kept_bins, limit_bandwidth, restore_bandwidth
from unweave.errors import ParameterError


@settings(deadline=None)
@given(n_fft=st.integers(1, 5000), rate=st.integers(8000, 96_000), highest=st.floats(0, 50_000))
def test_bins_at_the_limit_or_below_stay(n_fft, rate, highest):
    frequencies = np.arange(n_fft // 2 + 1) * rate
    kept = kept_bins(n_fft=n_fft, sample_rate=rate, max_frequency=highest)
    assert abs(kept - np.count_nonzero(frequencies <= highest * n_fft)) <= (
        np.min(np.abs(frequencies - highest * n_fft)) < 1e-6 * rate
    )


def test_no_limit_keeps_all():
    assert kept_bins(n_fft=2048, sample_rate=8000, max_frequency=None) == 1025
    assert kept_bins(n_fft=2048, sample_rate=8000, max_frequency=16000) == 1025


@pytest.mark.parametrize("lead", [(), (2,), (3, 2)])
def test_zeros_stand_for_what_was_left_out(lead):
    s = torch.rand(*lead, 1025, 4)
    layer = BandwidthLimit(n_fft=2048, sample_rate=44_100)
    kept = layer(s)
    assert torch.equal(kept, limit_bandwidth(s, sample_rate=44_100))
    assert kept.data_ptr() == s.data_ptr()
    again = layer.inverse(kept)
    assert torch.equal(again[..., :744, :], s[..., :744, :])
    assert not again[..., 744:, :].any()
    assert again.shape == s.shape


def test_the_extension_follows_its_rule():
    s = np.random.default_rng(0).random((2, 100, 7))
    again = restore_bandwidth(s, freq_bins=300, fill="extend")
    level = np.sqrt((s[:, -32:] ** 2).mean(1))
    for k in (100, 150, 299):
        np.testing.assert_allclose(again[:, k], level * (99 / k) ** 4, rtol=1e-12)
    np.testing.assert_array_equal(again[:, :100], s)


def test_complete_spectrograms_stay_themselves():
    s = torch.rand(5, 3)
    assert restore_bandwidth(s, freq_bins=5) is s


def test_it_is_differentiable():
    s = torch.rand(1, 6, 2, dtype=torch.float64, requires_grad=True)
    for fill in ("zeros", "extend"):
        assert torch.autograd.gradcheck(
            lambda x, fill=fill: restore_bandwidth(x, freq_bins=9, fill=fill), s
        )


def test_complex_spectrograms_are_cut_but_not_extended():
    s = torch.rand(6, 2, dtype=torch.complex64)
    assert restore_bandwidth(s, freq_bins=8).shape == (8, 2)
    with pytest.raises(ParameterError, match="continues magnitudes"):
        restore_bandwidth(s, freq_bins=8, fill="extend")


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: restore_bandwidth(torch.ones(5, 2), freq_bins=4), "at least the 5"),
        (lambda: restore_bandwidth(torch.ones(5, 2), freq_bins=9, fill="x"), "fill='x'"),
        (lambda: restore_bandwidth(torch.ones(5), freq_bins=9), "freq, frames"),
        (lambda: limit_bandwidth(torch.ones(5, 2), sample_rate=0), "sample_rate=0"),
        (lambda: BandwidthLimit(n_fft=8, sample_rate=8000)(torch.ones(4, 2)), "must have 5"),
        (lambda: BandwidthLimit(n_fft=8, sample_rate=8000, fill="x"), "fill='x'"),
    ],
)
def test_wrong_parameters_are_refused(call, text):
    with pytest.raises(ParameterError, match=text):
        call()
