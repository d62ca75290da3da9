"""The network of both domains."""

import pytest
import torch

from unweave.models import HybridNet
from unweave.transforms import istft, stft

SMALL = {"n_fft": 64, "hop_length": 32, "hidden_channels": 2, "hidden_size": 8}


def test_the_parameter_count_is_near_the_published_one():
    with torch.device("meta"):
        net = HybridNet()
    millions = sum(parameter.numel() for parameter in net.parameters()) / 1e6
    assert millions == pytest.approx(65.5, rel=0.01)
    assert f"{millions:.1f} million parameters" in HybridNet.__doc__


def test_trust_leads_from_one_estimate_to_the_other():
    torch.manual_seed(0)
    net = HybridNet(**SMALL).eval()
    mixture = torch.randn(1, 1, 1000)
    with torch.no_grad():
        spec = stft(mixture, n_fft=64, hop_length=32, pad_mode="constant")
        masked = istft(net.spectral(spec.abs()) * spec, n_fft=64, hop_length=32, length=1000)
        drawn = net.temporal(mixture)
        for logit, expected in ((40, masked), (-40, drawn), (0, (masked + drawn) / 2)):
            net.trust.fill_(logit)
            assert torch.allclose(net(mixture), expected, atol=1e-5)


def test_both_parts_are_trained():
    net = HybridNet(**SMALL)
    net(torch.randn(2, 1, 3000)).square().mean().backward()
    for part in (net.spectral, net.temporal):
        assert all(parameter.grad is not None for parameter in part.parameters())
        assert float(part.decoder.leave.weight.grad.abs().max()) > 0
    assert float(net.trust.grad.abs().max()) > 0
