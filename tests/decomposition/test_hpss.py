import math
import sys

import librosa
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unweave.decomposition import hpss, hpss_audio
from unweave.errors import ParameterError
from unweave.transforms import STFT


def spectrogram(*shape, seed=0, dtype=np.complex64):
    rng = np.random.default_rng(seed)
    S = rng.standard_normal(shape) ** 3 + 1j * rng.standard_normal(shape)
    S[..., 3:5, :] *= 10  # tones
    S[..., 20] *= 10  # a click
    S[..., :7] = 0
    return S.astype(dtype)


@settings(deadline=None, max_examples=30)
@given(
    kernel_size=st.sampled_from([31, 5, (9, 4)]),
    power=st.sampled_from([1.0, 2.0, 0.7, math.inf]),
    margin=st.sampled_from([1.0, 2.5, (1.0, 3.0), (4.0, 1.0)]),
    mask=st.booleans(),
)
def test_the_parts_are_librosas(kernel_size, power, margin, mask):
    S = spectrogram(40, 50)
    options = {"kernel_size": kernel_size, "power": power, "margin": margin, "mask": mask}
    kept = S.copy()
    found = hpss(S, **options)
    expected = librosa.decompose.hpss(S, **options)
    np.testing.assert_allclose(found.harmonic, expected[0], atol=2e-6 * np.abs(S).max())
    np.testing.assert_allclose(found.percussive, expected[1], atol=2e-6 * np.abs(S).max())
    np.testing.assert_allclose(sum(found), 1 if mask else S, atol=2e-6 * np.abs(S).max())
    np.testing.assert_array_equal(S, kept)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
@pytest.mark.parametrize("lead", [(), (2,), (2, 3)])
def test_dtypes_and_leading_axes(dtype, lead):
    S = np.abs(spectrogram(*lead, 30, 40)).astype(dtype)
    found = hpss(S)
    for at in np.ndindex(*lead):
        expected = librosa.decompose.hpss(S[at])
        np.testing.assert_allclose(found.harmonic[at], expected[0], rtol=1e-4, atol=1e-4)
    assert all(x.dtype == dtype and x.shape == S.shape for x in found)
    assert hpss(S, mask=True).harmonic.dtype == np.abs(S).dtype


def test_blocks_and_the_plain_form_give_the_same(monkeypatch):
    S = torch.from_numpy(spectrogram(30, 50, dtype=np.complex128))
    whole = hpss(S, margin=2.0)
    plain = hpss(S.clone().requires_grad_(), margin=2.0)
    monkeypatch.setattr(sys.modules["unweave.decomposition.hpss"], "_BLOCK", 64)
    blocks = hpss(S, margin=2.0)
    apart = hpss(S.mT.contiguous().mT, margin=2.0)
    for one, *others in zip(whole, plain, blocks, apart, strict=True):
        for other in others:
            torch.testing.assert_close(one, other.detach())


def test_gradients_are_right():
    S = torch.rand(7, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 0.1
    assert torch.autograd.gradcheck(
        lambda x: hpss(x, kernel_size=3, margin=1.5), S.requires_grad_()
    )


def test_audio_is_split_in_full_length():
    rate = 22050
    time = torch.arange(2 * rate + 17) / rate
    tone = torch.sin(2 * torch.pi * 440 * time)
    clicks = torch.zeros_like(time)
    clicks[2000::5000] = 3
    x = torch.stack([tone + clicks, 0.5 * tone])
    parts = hpss_audio(x, transform=STFT(n_fft=1024))
    assert parts.harmonic.shape == x.shape
    torch.testing.assert_close(sum(parts), x)
    assert (parts.residual.abs() < 1e-5).all()
    error = (parts.harmonic[0] - tone).square().mean() / tone.square().mean()
    assert error < 0.05
    assert (parts.percussive[0, 2000::5000] > 2).all()
    strict = hpss_audio(x, transform=STFT(n_fft=1024), margin=3.0)
    torch.testing.assert_close(sum(strict), x)
    assert strict.residual.square().sum() > 100 * parts.residual.square().sum()
    assert isinstance(hpss_audio(x.numpy()).harmonic, np.ndarray)


@pytest.mark.parametrize("length", [20_000, 21_111, 24_577])
@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("kernel_size", [9, (6, 11)])
def test_long_audio_is_split_piece_by_piece(monkeypatch, length, center, kernel_size):
    x = torch.randn(2, length, generator=torch.Generator().manual_seed(0))
    transform = STFT(n_fft=256, hop_length=100, center=center)
    options = {"kernel_size": kernel_size, "margin": 2.0, "transform": transform}
    whole = hpss_audio(x, **options)
    monkeypatch.setattr(sys.modules["unweave.decomposition.hpss"], "_FRAMES", 20)
    for one, other in zip(hpss_audio(x, **options), whole, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_silence_and_nothing():
    silent = hpss(torch.zeros(4, 5))
    assert all((x == 0).all() for x in silent)
    assert hpss(torch.zeros(4, 0)).residual.shape == (4, 0)


def test_errors_say_what_is_wrong():
    S = torch.rand(4, 5)
    for bad in (S[0], S.long()):
        with pytest.raises(ParameterError, match=r"\(\.\.\., freq, frames\)"):
            hpss(bad)
    with pytest.raises(ParameterError, match="negative"):
        hpss(-S)
    for power in (0, -1, math.nan, "2"):
        with pytest.raises(ParameterError, match="power="):
            hpss(S, power=power)
    for margin in (0.5, (1, 2, 3), math.nan, math.inf, "2"):
        with pytest.raises(ParameterError, match="margin="):
            hpss(S, margin=margin)
    with pytest.raises(ParameterError, match="kernel_size"):
        hpss(S, kernel_size=0)
    with pytest.raises(ParameterError, match="output='power'"):
        hpss_audio(torch.zeros(4096), transform=STFT(output="power"))
