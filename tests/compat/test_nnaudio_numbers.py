"""Layer by layer, nnAudio's numbers, checkpoints and kernels."""

import inspect

import pytest
import torch

from unweave.compat.nnaudio import features
from unweave.compat.nnaudio._windows import scipy_window
from unweave.errors import ParameterError

FORMATS = ("Magnitude", "Complex", "Phase")
NORMALISATIONS = ("librosa", "convolutional", "wrap")
ROUNDING = 4e-6  # of float32, relative to the largest value

SPECTROGRAMS = [
    ("STFT", {}),
    ("STFT", {"n_fft": 512, "hop_length": 100, "win_length": 400, "iSTFT": True}),
    ("STFT", {"n_fft": 512, "freq_bins": 100, "pad_mode": "constant", "window": "blackman"}),
    ("STFT", {"n_fft": 512, "center": False, "window": ("kaiser", 8.0)}),
    ("STFT", {"n_fft": 511, "trainable": True}),
    ("STFT", {"n_fft": 512, "freq_bins": 400, "hop_length": 512}),
    ("STFT", {"n_fft": 512, "freq_scale": "log", "freq_bins": 64, "fmax": 11025}),
    ("STFT", {"n_fft": 512, "freq_scale": "linear"}),
    ("STFT", {"n_fft": 512, "freq_scale": "log2", "trainable": True}),
]
BANDS = [
    ("MelSpectrogram", {}),
    ("MelSpectrogram", {"htk": True, "n_mels": 40, "fmin": 50, "fmax": 8000, "norm": None}),
    ("MelSpectrogram", {"power": 1.0, "n_fft": 1024, "win_length": 800, "iSTFT": True}),
    ("MelSpectrogram", {"power": 0.7, "trainable_mel": True, "trainable_STFT": True}),
    ("MFCC", {}),
    ("MFCC", {"n_mfcc": 13, "n_mels": 64, "top_db": None, "ref": 2.0, "amin": 1e-6}),
    ("MFCC", {"top_db": 20.0, "hop_length": 100, "trainable_mel": True}),
    ("Gammatonegram", {}),
    ("Gammatonegram", {"sr": 44100, "fmin": 20.0, "n_bins": 32, "power": 1.0}),
    ("Gammatonegram", {"fmax": 5000.0, "n_fft": 1024, "trainable_bins": True}),
]
EXACT = [
    ("CQT1992v2", {}),
    ("CQT", {"fmin": 220, "n_bins": 60, "norm": 2, "pad_mode": "constant"}),
    ("CQT1992v2", {"fmin": 110, "bins_per_octave": 24, "center": False, "n_bins": 48}),
    ("CQT1992v2", {"fmin": 220, "n_bins": 40, "window": ("gaussian", 60), "trainable": True}),
    ("CQT1992v2", {"fmin": 220, "fmax": 2000, "filter_scale": 0.5, "hop_length": 300}),
    ("CQT2010v2", {}),
    ("CQT2010v2", {"n_bins": 72, "fmin": 55, "pad_mode": "constant", "basis_norm": 2}),
    ("CQT2010v2", {"n_bins": 40, "fmin": 220, "bins_per_octave": 24, "earlydownsample": False}),
    ("CQT2010v2", {"n_bins": 79, "trainable": True}),
    ("VQT", {}),
    ("VQT", {"gamma": 5.0, "n_bins": 72, "fmin": 55, "hop_length": 256}),
    ("VQT", {"gamma": 20.0, "n_bins": 24, "earlydownsample": False, "pad_mode": "constant"}),
]
SPECTRAL = [
    ("CQT1992", {"n_bins": 60}),
    ("CQT1992", {"n_bins": 60, "pad_mode": "constant", "window": "hamming"}),
    ("CQT1992", {"n_bins": 60, "trainable_STFT": True, "trainable_CQT": True, "norm": 0}),
    ("CQT1992", {"n_bins": 30, "center": False, "hop_length": 300}),
    ("CQT2010", {}),
    ("CQT2010", {"n_bins": 72, "fmin": 55, "pad_mode": "constant", "basis_norm": 2}),
    ("CQT2010", {"n_bins": 40, "fmin": 880, "bins_per_octave": 24, "earlydownsample": False}),
    ("CQT2010", {"trainable_STFT": True, "trainable_CQT": True}),
]
WINDOWS = [
    "hann",
    "hamming",
    "blackman",
    "nuttall",
    "blackmanharris",
    "flattop",
    "boxcar",
    "bartlett",
    "triang",
]
WINDOWS += ["triang", "cosine", "bohman", "barthann", "parzen", "tukey", "exponential"]
WINDOWS += [("tukey", 0.2), ("gaussian", 7.0), ("general_gaussian", 1.5, 7.0), ("kaiser", 8.0), 8.0]


def both(peer, silently, name, arguments):
    """Build nnAudio's layer and ours."""
    quiet = {} if name == "CQT1992" else {"verbose": False}
    theirs = silently(lambda: getattr(peer, name)(**arguments, **quiet))
    return theirs, getattr(features, name)(**arguments)


def distance(ours, theirs):
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype
    assert ours.is_contiguous()
    return float((ours - theirs).abs().max() / theirs.abs().max())


@torch.no_grad()
@pytest.mark.parametrize(("name", "arguments"), SPECTROGRAMS)
def test_spectrograms_equal_nnaudios(peer, silently, sound, name, arguments):
    theirs, ours = both(peer, silently, name, arguments)
    for shown in ("Magnitude", "Complex"):
        assert distance(ours(sound, shown), theirs(sound, shown)) < ROUNDING
    turned = ours(sound, "Phase") - theirs(sound, "Phase")
    loud = theirs(sound, "Magnitude") > 0.3
    turned = torch.remainder(turned + torch.pi, 2 * torch.pi) - torch.pi
    assert float(turned[loud].abs().max()) < 1e-3


@torch.no_grad()
@pytest.mark.parametrize(("name", "arguments"), BANDS)
def test_bands_and_coefficients_equal_nnaudios(peer, silently, sound, name, arguments):
    theirs, ours = both(peer, silently, name, arguments)
    assert distance(ours(sound), theirs(sound)) < ROUNDING


@torch.no_grad()
@pytest.mark.parametrize(("name", "arguments"), EXACT)
def test_constant_q_by_convolution_equals_nnaudios_to_the_last_bit(
    peer, silently, sound, name, arguments
):
    theirs, ours = both(peer, silently, name, arguments)
    for key, tensor in theirs.state_dict().items():
        assert torch.equal(tensor, ours.state_dict()[key])
    for normalisation in NORMALISATIONS:
        for shown in ("Magnitude", "Complex"):
            expected = silently(lambda n=normalisation, s=shown: theirs(sound, s, n))
            result = silently(lambda n=normalisation, s=shown: ours(sound, s, n))
            assert torch.equal(result, expected)
    # Sines and cosines of tensors that lie differently in memory may differ in the last bit.
    result, expected = (silently(lambda x=layer: x(sound, "Phase")) for layer in (ours, theirs))
    torch.testing.assert_close(result, expected, rtol=0, atol=3e-7)


@torch.no_grad()
@pytest.mark.parametrize(("name", "arguments"), SPECTRAL)
def test_constant_q_by_way_of_fourier_equals_nnaudios(peer, silently, sound, name, arguments):
    theirs, ours = both(peer, silently, name, arguments)
    for normalisation in NORMALISATIONS:
        for shown in ("Magnitude", "Complex"):
            expected = silently(lambda n=normalisation, s=shown: theirs(sound, s, n))
            assert distance(ours(sound, shown, normalisation), expected) < ROUNDING
    loud = ours(sound) > 0.1 * ours(sound).amax()
    expected = silently(lambda: theirs(sound, "Phase"))
    if name == "CQT1992":  # whose phase is the conjugate of its complex format: a difference
        expected = expected * torch.tensor([1.0, -1.0])
    assert float((ours(sound, "Phase") - expected)[loud].abs().max()) < 1e-4


@pytest.mark.parametrize(("name", "arguments"), SPECTROGRAMS + BANDS + EXACT + SPECTRAL)
def test_checkpoints_load_both_ways(peer, silently, name, arguments):
    theirs, ours = both(peer, silently, name, arguments)
    saved, own = theirs.state_dict(), ours.state_dict()
    assert {key: (t.shape, t.dtype) for key, t in own.items()} == {
        key: (t.shape, t.dtype) for key, t in saved.items()
    }
    assert set(dict(ours.named_parameters())) >= set(dict(theirs.named_parameters()))
    for key, tensor in own.items():
        assert float((tensor - saved[key]).abs().max()) <= 5e-5 * float(saved[key].abs().max())
    ours.load_state_dict(saved, strict=True)
    theirs.load_state_dict(own, strict=True)


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("STFT", {"n_fft": 256}),
        ("STFT", {"n_fft": 256, "trainable": True}),
        ("MelSpectrogram", {"n_fft": 256, "n_mels": 20}),
        ("MFCC", {"n_fft": 256, "n_mels": 20}),
        ("Gammatonegram", {"n_fft": 256, "n_bins": 20}),
        ("CQT1992", {"n_bins": 48}),
        ("CQT1992v2", {"fmin": 220, "n_bins": 48}),
        ("CQT2010", {"fmin": 220, "n_bins": 48}),
        ("CQT2010v2", {"fmin": 220, "n_bins": 48}),
        ("VQT", {"fmin": 220, "n_bins": 48}),
    ],
)
def test_a_trained_checkpoint_is_honoured(peer, silently, sound, name, arguments):
    theirs, ours = both(peer, silently, name, arguments)
    before = ours(sound)
    generator = torch.Generator().manual_seed(1)
    changed = {
        key: tensor * (1 + 0.3 * torch.rand(tensor.shape, generator=generator))
        for key, tensor in theirs.state_dict().items()
    }
    ours.load_state_dict(changed)
    theirs.load_state_dict(changed)
    expected = silently(lambda: theirs(sound))
    assert float((before - expected).abs().max()) > 0.01 * float(expected.abs().max())
    assert distance(ours(sound), expected) < ROUNDING


def test_signatures_are_nnaudios(peer, successor):
    for name in features.__all__:
        theirs = getattr(successor if name == "iCQT" else peer, name)
        for method in ("__init__", "forward", "inverse"):
            if not hasattr(theirs, method):
                continue
            expected = inspect.signature(getattr(theirs, method)).parameters
            found = inspect.signature(getattr(getattr(features, name), method)).parameters
            assert list(found) == list(expected), f"{name}.{method}"
            for key, parameter in expected.items():
                if key == "g":
                    assert list(found[key].default) == parameter.default
                elif key == "verbose":
                    assert found[key].default is False
                else:
                    assert found[key].default == parameter.default, f"{name}.{method}({key})"


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("length", [1, 2, 7, 8, 1023])
def test_windows_equal_scipys(window, length):
    from scipy.signal import get_window

    expected = torch.from_numpy(get_window(window, length))
    torch.testing.assert_close(
        torch.from_numpy(scipy_window(window, length)), expected, rtol=0, atol=1e-14
    )


@pytest.mark.parametrize("window", ["han", ("kaiser",), ("hann", 1.0, 2.0), "gaussian"])
def test_windows_without_sense_are_refused(window):
    with pytest.raises(ParameterError, match="window"):
        scipy_window(window, 8)
