"""The layers of the first published nnAudio. Their numbers were compared with its version 0.0.5."""

import inspect

import pytest
import torch

from unweave.compat.nnaudio import Spectrogram, features, v0_0
from unweave.compat.nnaudio.v0_0 import Spectrogram as First

PUBLISHED = {
    "STFT": "n_fft=2048, freq_bins=None, hop_length=512, window='hann', freq_scale='no',"
    " center=True, pad_mode='reflect', fmin=50, fmax=6000, sr=22050, trainable=False",
    "MelSpectrogram": "sr=22050, n_fft=2048, n_mels=128, hop_length=512, window='hann',"
    " center=True, pad_mode='reflect', htk=False, fmin=0.0, fmax=None, norm=1,"
    " trainable_mel=False, trainable_STFT=False",
    "CQT1992": "sr=22050, hop_length=512, fmin=220, fmax=None, n_bins=84, bins_per_octave=12,"
    " norm=1, window='hann', center=True, pad_mode='reflect'",
    "CQT1992v2": "sr=22050, hop_length=512, fmin=220, fmax=None, n_bins=84, bins_per_octave=12,"
    " norm=1, window='hann', center=True, pad_mode='reflect'",
    "CQT2010": "sr=22050, hop_length=512, fmin=220, fmax=None, n_bins=84, bins_per_octave=12,"
    " norm=True, basis_norm=1, window='hann', pad_mode='reflect', earlydownsample=True",
    "CQT2010v2": "sr=22050, hop_length=512, fmin=220, fmax=None, n_bins=84, bins_per_octave=12,"
    " norm=True, basis_norm=1, window='hann', pad_mode='reflect', earlydownsample=True",
    "DFT": "n_fft=2048, freq_bins=None, hop_length=512, window='hann', freq_scale='no',"
    " center=True, pad_mode='reflect', fmin=50, fmax=6000, sr=22050",
    "iSTFT_complex_2d": "n_fft=2048, freq_bins=None, hop_length=512, window='hann',"
    " freq_scale='no', center=True, pad_mode='reflect', fmin=50, fmax=6000, sr=22050",
}
NOISE = torch.randn(2, 12000, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", PUBLISHED)
def test_signatures_are_those_of_the_first_version(name):
    parameters = inspect.signature(getattr(First, name)).parameters.values()
    found = ", ".join(f"{p.name}={p.default!r}" for p in parameters)
    assert found == PUBLISHED[name] or found.startswith(PUBLISHED[name] + ", ")


@pytest.mark.parametrize("name", ["CQT1992", "CQT1992v2", "CQT2010", "CQT2010v2"])
@torch.no_grad()
def test_constant_q_defaults_have_the_bins_that_fit(name):
    shown = getattr(First, name)()(NOISE)
    today = getattr(features, name)(fmin=220, n_bins=68)(NOISE)
    torch.testing.assert_close(shown, today, rtol=1e-6, atol=1e-7)


@torch.no_grad()
def test_examples_of_the_first_readme_run():
    layer = First.STFT(
        n_fft=2048, freq_bins=None, hop_length=512, window="hann", freq_scale="linear",
        center=True, pad_mode="reflect", fmin=50, fmax=11025, sr=22050,
    )  # fmt: skip
    assert layer(NOISE[0]).shape == (1, 1025, 24)
    layer = First.STFT(
        sr=44100, n_fft=1024, freq_bins=256, fmin=50, fmax=6000, freq_scale="log",
        pad_mode="constant", center=True,
    )  # fmt: skip
    assert torch.log(layer(NOISE) + 1e-8).shape == (2, 256, 24)


@torch.no_grad()
def test_spectrograms_are_todays_magnitudes():
    expected = features.STFT(hop_length=512, output_format="Magnitude")(NOISE)
    assert torch.equal(First.STFT()(NOISE), expected)
    expected = features.MelSpectrogram()(NOISE)
    torch.testing.assert_close(First.MelSpectrogram()(NOISE), expected)


@torch.no_grad()
def test_norm_decides_on_the_division_by_the_frame():
    for name, width in (("CQT1992", "kernal_width"), ("CQT2010", "n_fft")):
        plain = getattr(First, name)(n_bins=48)
        norm = {"norm": False} if name == "CQT2010" else {"norm": 0}
        without = getattr(First, name)(n_bins=48, **norm)
        if name == "CQT1992":  # whose kernels are not scaled either
            scaled = features.CQT1992v2(fmin=220, n_bins=48, norm=0)(NOISE)
            expected = scaled * getattr(plain, width)
            allowed = 1e-4 * float(expected.max())  # of a kernel's negative frequencies
            torch.testing.assert_close(without(NOISE), expected, rtol=0, atol=allowed)
        else:
            expected = plain(NOISE) * getattr(plain, width)
            torch.testing.assert_close(without(NOISE), expected)


def test_only_parameters_are_saved():
    assert not First.STFT(n_fft=256).state_dict()
    assert list(First.STFT(n_fft=256, trainable=True).state_dict()) == ["wsin", "wcos"]
    layer = First.MelSpectrogram(n_fft=256, n_mels=20, trainable_mel=True, trainable_STFT=True)
    assert set(layer.state_dict()) == {"wsin", "wcos", "mel_basis"}
    for name in ("CQT1992", "CQT1992v2", "CQT2010", "CQT2010v2"):
        layer = getattr(First, name)(n_bins=48, device="cpu")
        assert not layer.state_dict()
        assert layer.lenghts.shape == (48,)


@torch.no_grad()
@pytest.mark.parametrize("window", ["ones", "hann"])
def test_dft_and_its_inverse(window):
    layer = First.DFT(n_fft=256, hop_length=256, window=window, center=False)
    real, imag = layer(NOISE)
    weights = torch.hann_window(256) if window == "hann" else torch.ones(256)
    frames = NOISE.unfold(1, 256, 256).mT
    expected = torch.fft.fft(frames * weights[:, None], dim=1)
    torch.testing.assert_close(torch.complex(real, imag), expected, rtol=0, atol=2e-4)
    back = torch.complex(*layer.inverse(real, imag))
    weighted = torch.fft.ifft(expected * weights[:, None], dim=1)  # along the frequencies
    torch.testing.assert_close(back, weighted, rtol=0, atol=1e-4)
    single = First.iSTFT_complex_2d(n_fft=256, window=window)
    again = torch.complex(*single(real, imag))
    assert again.shape == (2, 256, 1, 46)
    torch.testing.assert_close(again[:, :, 0], back, rtol=0, atol=1e-6)
    if window == "ones":
        torch.testing.assert_close(back.real, frames, rtol=0, atol=1e-5)


def test_names():
    assert set(features.__all__) < set(Spectrogram.__all__)
    assert {"DFT", "iSTFT_complex_2d"} < set(Spectrogram.__all__)
    assert set(First.__all__) == set(v0_0.__all__) - {"Spectrogram"}
