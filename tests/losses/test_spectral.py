import math

import pytest
import torch

from unweave.errors import ParameterError
from unweave.losses import MultiResolutionSTFTLoss, multi_resolution_stft_loss

SMALL = {"n_fft": [64, 32], "hop_length": [16, 8], "win_length": [48, 32]}


def noise(*shape, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=generator).to(dtype)


def formula(estimate, reference, n_fft, hop_length, win_length):
    """The published equation, from torch's transform, for one signal of one channel."""
    total = 0.0
    for size, hop, win in zip(n_fft, hop_length, win_length, strict=True):
        window = torch.hann_window(win, dtype=estimate.dtype)
        keys = {"hop_length": hop, "win_length": win, "window": window, "return_complex": True}
        e, s = (
            torch.stft(x, size, **keys).abs().square().clamp(min=1e-7).sqrt()
            for x in (estimate, reference)
        )
        total += (s - e).norm() / s.norm() + (s.log() - e.log()).abs().mean()
    return total / len(n_fft)


@pytest.mark.parametrize(
    "sizes", [SMALL, {"n_fft": [256], "hop_length": [50], "win_length": [200]}]
)
def test_it_is_the_published_equation(sizes):
    e, s = noise(3, 1, 1000), noise(3, 1, 1000, seed=1)
    expected = torch.stack([formula(a[0], b[0], **sizes) for a, b in zip(e, s, strict=True)])
    got = multi_resolution_stft_loss(e, s, **sizes, reduction="none")
    torch.testing.assert_close(got, expected)
    torch.testing.assert_close(MultiResolutionSTFTLoss(**sizes)(e, s), expected.mean())


def test_a_factor_has_a_known_loss():
    s = noise(2, 2, 5000)
    for factor in (0.5, 0.9, 2.0):
        expected = abs(1 - factor) + abs(math.log(factor))
        got = float(multi_resolution_stft_loss(factor * s, s))
        assert got == pytest.approx(expected, rel=1e-4)
    assert float(multi_resolution_stft_loss(-s, s)) == pytest.approx(0, abs=1e-9)


def test_gradients():
    e, s = noise(1, 1, 100).requires_grad_(), noise(1, 1, 100, seed=1)
    assert torch.autograd.gradcheck(lambda x: multi_resolution_stft_loss(x, s, **SMALL), (e,))


def test_finite_on_silence_and_on_perfect_estimates():
    tone = noise(1, 2, 2000, dtype=torch.float32)
    silence = torch.zeros_like(tone)
    for e, s in ((silence, silence), (tone, silence), (silence, tone), (tone, tone)):
        e = e.clone().requires_grad_()
        loss = multi_resolution_stft_loss(e, s)
        loss.backward()
        assert torch.isfinite(loss)
        assert torch.isfinite(e.grad).all()


def test_dtypes():
    e, s = noise(1, 1, 2000), noise(1, 1, 2000, seed=1)
    exact = float(multi_resolution_stft_loss(e, s))
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.bfloat16, 2e-2)):
        loss = multi_resolution_stft_loss(e.to(dtype), s.to(dtype))
        assert loss.dtype == dtype
        assert float(loss) == pytest.approx(exact, rel=tolerance)


def test_errors():
    x = noise(1, 1, 2000)
    with pytest.raises(ParameterError, match="one entry"):
        multi_resolution_stft_loss(x, x, n_fft=[512])
    with pytest.raises(ParameterError, match="one entry"):
        MultiResolutionSTFTLoss(n_fft=[], hop_length=[], win_length=[])
    with pytest.raises(ParameterError, match="longer"):
        MultiResolutionSTFTLoss(n_fft=[64], hop_length=[16], win_length=[65])
    with pytest.raises(ParameterError, match="hop_length"):
        MultiResolutionSTFTLoss(n_fft=[64], hop_length=[0], win_length=[64])
    with pytest.raises(ParameterError, match="same shape"):
        multi_resolution_stft_loss(x, x[..., 1:])
    with pytest.raises(ParameterError, match="too short"):
        multi_resolution_stft_loss(x[..., :500], x[..., :500])
