import librosa
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unweave.errors import ParameterError
from unweave.transforms import inverse_mel, mel_filter_bank, stft

SMALL = {"sample_rate": 16000, "n_fft": 512}


def noise(*shape, dtype=torch.float32):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(0))


def residual(spectra, mel, **keys):
    """Relative error of the bands of powers."""
    bank = mel_filter_bank(**SMALL, n_mels=mel.shape[-2], **keys).to(mel)
    return float((bank @ spectra - mel).norm() / mel.norm())


@pytest.mark.parametrize("power", [1.0, 2.0])
@pytest.mark.parametrize("keys", [{}, {"htk": True, "norm": None, "fmin": 60}])
def test_bands_are_restored_as_well_as_by_librosa(keys, power):
    spectra = stft(noise(1500), n_fft=512, output="magnitude") ** power
    bank = mel_filter_bank(**SMALL, n_mels=40, **keys).float()
    exact = bank @ spectra
    loose = exact * (0.5 * noise(*exact.shape)).exp()  # bands that no spectrum has
    for mel in (exact, loose):
        out = inverse_mel(mel, **SMALL, power=power, **keys)
        expected = librosa.feature.inverse.mel_to_stft(
            mel.numpy(), sr=16000, n_fft=512, power=power, **keys
        )
        assert out.shape == expected.shape
        assert (out >= 0).all()
        theirs = residual(torch.from_numpy(expected) ** power, mel, **keys)
        assert residual(out**power, mel, **keys) <= 1.1 * theirs + 1e-5


def test_an_exact_solution_is_found():
    mel = mel_filter_bank(**SMALL, n_mels=40) @ noise(257, 9, dtype=torch.float64).square()
    assert residual(inverse_mel(mel, **SMALL) ** 2, mel) <= 1e-4
    assert residual(inverse_mel(mel, **SMALL, n_iter=1000) ** 2, mel) <= 1e-9


@settings(max_examples=20, deadline=None)
@given(gain=st.floats(1e-6, 1e6))
def test_scales_with_the_bands(gain):
    mel = noise(20, 3, dtype=torch.float64).square()
    out = inverse_mel(mel, **SMALL, n_iter=10, power=1.0)
    torch.testing.assert_close(inverse_mel(gain * mel, **SMALL, n_iter=10, power=1.0), gain * out)


@pytest.mark.parametrize("shape", [(20, 7), (2, 20, 100), (3, 2, 20, 7), (20, 0)])
def test_shapes_kinds_and_forms(shape):
    mel = noise(*shape).square()
    before = mel.clone()
    out = inverse_mel(mel, **SMALL, n_iter=5)
    assert out.shape == (*shape[:-2], 257, shape[-1])
    followed = inverse_mel(mel.double().requires_grad_(), **SMALL, n_iter=5).detach()
    torch.testing.assert_close(out, followed.float(), rtol=1e-3, atol=1e-4)
    assert torch.equal(mel, before)
    assert isinstance(inverse_mel(mel.numpy(), **SMALL, n_iter=1), np.ndarray)
    assert inverse_mel(mel.bfloat16(), **SMALL, n_iter=1).dtype == torch.bfloat16


def test_gradients():
    mel = noise(4, 3, dtype=torch.float64).square().add(0.1).requires_grad_()
    keys = {"sample_rate": 100, "n_fft": 16, "n_iter": 3}
    assert torch.autograd.gradcheck(lambda mel: inverse_mel(mel, power=1.0, **keys), (mel,))
    silence = torch.zeros(4, 3, requires_grad=True)
    inverse_mel(silence, **keys).sum().backward()
    assert silence.grad.isfinite().all()
    torch.testing.assert_close(
        torch.func.vmap(lambda mel: inverse_mel(mel, **keys))(mel[None])[0],
        inverse_mel(mel, **keys),
    )


@pytest.mark.parametrize(
    ("mel", "keys", "text"),
    [
        (torch.ones(20), {}, r"must be \(\.\.\., n_mels, frames\)"),
        (torch.ones(20, 2).int(), {}, "must be real"),
        (torch.ones(20, 2), {"n_iter": 0}, "n_iter=0"),
        (torch.ones(20, 2), {"power": 0}, "power=0"),
        (torch.ones(20, 2), {"fmax": 9000}, "Nyquist"),
    ],
)
def test_faults_say_what_to_do(mel, keys, text):
    with pytest.raises(ParameterError, match=text):
        inverse_mel(mel, **SMALL, **keys)
