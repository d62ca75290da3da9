import copy
import warnings

import numpy as np
import pytest
import scipy.signal
import torch
from nnAudio.librosa_functions import get_gammatone

from unweave.errors import ParameterError
from unweave.transforms import (
    Gammatonegram,
    gammatone_filter_bank,
    gammatone_frequencies,
    gammatonegram,
    stft,
)

SMALL = {"sample_rate": 16000, "n_fft": 512}


def noise(*shape, dtype=torch.float32):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(0))


def relative(a, b):
    return float(((a - b).abs().max() / b.abs().max()).detach())


@pytest.mark.parametrize(
    ("rate", "n_fft", "n_bins", "fmin", "fmax"),
    [(22050, 2048, 64, 20.0, None), (44100, 1024, 128, 20.0, 16000), (16000, 401, 40, 0.0, 7000)],
)
def test_banks_equal_nnaudios(rate, n_fft, n_bins, fmin, fmax):
    keys = {"n_bins": n_bins, "fmin": fmin, "fmax": fmax}
    expected = get_gammatone(rate, n_fft, **keys)
    bank = gammatone_filter_bank(sample_rate=rate, n_fft=n_fft, **keys)
    np.testing.assert_allclose(bank, expected, rtol=2e-7)  # theirs is float32


def test_centres_are_evenly_spaced_in_bandwidths():
    centres = gammatone_frequencies(50, fmin=50, fmax=8000).numpy()
    assert centres[0] == pytest.approx(50)
    rates = 21.4 * np.log10(1 + 0.00437 * centres)  # Glasberg and Moore's count of bandwidths
    np.testing.assert_allclose(np.diff(rates), np.diff(rates).mean(), rtol=1e-3)


def test_filters_are_those_of_scipy():
    bank = 512 * gammatone_filter_bank(**SMALL, n_bins=8, fmin=500).numpy()
    for row, centre in zip(bank, gammatone_frequencies(8, fmin=500, fmax=8000), strict=True):
        taps = scipy.signal.gammatone(float(centre), "iir", fs=16000)
        response = np.abs(scipy.signal.freqz(*taps, worN=np.arange(257) * np.pi / 256)[1])
        near = np.abs(np.arange(257) * 31.25 - float(centre)) < 1000
        np.testing.assert_allclose(row[near], response[near], rtol=1e-3, atol=1e-3)


def test_is_the_bank_times_the_power():
    x = noise(2, 5000, dtype=torch.float64)
    bank = gammatone_filter_bank(**SMALL, fmin=50)
    for power in (1.0, 2.0):
        expected = bank @ stft(x, n_fft=512, output="magnitude") ** power
        out = gammatonegram(x, **SMALL, fmin=50, power=power)
        torch.testing.assert_close(out, expected)


@pytest.mark.parametrize("shape", [(3000,), (2, 3000), (3, 2, 3000)])
def test_leading_axes_are_free(shape):
    x = noise(*shape)
    before = x.clone()
    out = gammatonegram(x, **SMALL)
    assert out.shape == (*shape[:-1], 64, 24)
    assert torch.equal(gammatonegram(x.reshape(-1, 3000), **SMALL).reshape(out.shape), out)
    assert torch.equal(x, before)
    assert gammatonegram(x.bfloat16(), **SMALL).dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({"fmax": 9000}, "Nyquist"),
        ({"fmin": 8000}, "must be below"),
        ({"n_bins": 0}, "n_bins=0"),
        ({"power": -1}, "power=-1"),
        ({"hop_length": 0}, "hop_length=0"),
    ],
)
def test_faults_say_what_to_do(keys, text):
    with pytest.raises(ParameterError, match=text):
        gammatonegram(torch.zeros(2000), **SMALL, **keys)
    with pytest.raises(ParameterError, match=text):
        Gammatonegram(**SMALL, **keys)


@pytest.mark.parametrize(
    ("trained", "names"),
    [
        ({}, []),
        ({"trainable_bins": True}, ["gammatone_basis"]),
        ({"trainable_STFT": True}, ["wcos", "wsin"]),
        ({"trainable_STFT": "window"}, ["window"]),
    ],
)
def test_module(trained, names):
    layer, x = Gammatonegram(**SMALL, **trained), noise(3, 4000)
    expected = layer(x)
    assert relative(expected, gammatonegram(x, **SMALL)) <= 1e-6
    assert list(layer.state_dict()) == names
    assert torch.equal(copy.deepcopy(layer)(x), expected)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)(x)
    assert relative(compiled, expected) <= 1e-6
    assert relative(torch.func.vmap(layer)(x), expected) <= 1e-6
    silence = torch.zeros(2000, requires_grad=True)
    layer(silence).sum().backward()
    for tensor in (silence, *layer.parameters()):
        assert tensor.grad.isfinite().all()


def test_trained_bank_stays_non_negative():
    layer, x = Gammatonegram(**SMALL, trainable_bins=True), noise(3000)
    adam = torch.optim.Adam(layer.parameters(), lr=0.01)
    for _ in range(50):
        adam.zero_grad()
        (layer(x) + 1e-6).log().mean().backward()
        adam.step()
    assert layer.gammatone_basis.min() < 0
    assert (layer.filter_bank >= 0).all()
    assert (layer(x) >= 0).all()
