"""Separators made of networks."""

import pytest
import torch

from unweave.errors import ParameterError
from unweave.models import (
    MaskSeparator,
    OpenUnmixSeparator,
    TFCTDFSeparator,
    WaveSeparator,
    load_weights,
    save_weights,
)


@pytest.mark.parametrize("kind", [MaskSeparator, WaveSeparator])
def test_unknown_networks_and_words_are_refused(kind):
    with pytest.raises(ParameterError, match="network='UNet' must be one of"):
        kind(network="UNet")
    with pytest.raises(ParameterError, match="unknown argument 'hidden_size'"):
        kind(hidden_size=8)


def test_open_masks_give_the_mixture_back():
    net = MaskSeparator(n_fft=64, hop_length=16, hidden_channels=2, sources=("a", "b")).eval()
    with torch.no_grad():
        for network in net.networks:
            network.decoder.leave.weight.zero_()
            network.decoder.leave.bias.fill_(40)
        mixture = torch.randn(2, 2, 1001)
        assert torch.allclose(net(mixture), mixture[:, None].expand(2, 2, 2, 1001), atol=1e-5)


def test_every_source_has_its_network():
    net = MaskSeparator(n_fft=64, hop_length=16, hidden_channels=2, sources=("a", "b")).eval()
    mixture = torch.randn(1, 2, 1001)
    with torch.no_grad():
        before = net(mixture)
        net.networks[1].decoder.leave.bias.sub_(5)
        after = net(mixture)
    assert torch.equal(before[:, 0], after[:, 0])
    assert float(after[:, 1].norm()) < 0.1 * float(before[:, 1].norm())


def test_segments_set_the_frames_of_a_group():
    net = MaskSeparator(
        network="SpectrogramNetLSTM",
        segment=2.0,
        sample_rate=1600,
        n_fft=64,
        hop_length=16,
        hidden_channels=2,
        hidden_size=8,
        input_axis=1,
    )
    assert net.networks[0].num_frames == 201
    assert net.hop_length == 32 * 16


def test_the_bandwidth_is_that_of_umxhq():
    with torch.device("meta"):
        net = OpenUnmixSeparator(sources=("vocals",))
    assert net.networks[0].nb_bins == 1487


def test_complex_masks_turn_phases():
    net = TFCTDFSeparator(n_fft=64, hop_length=16, hidden_channels=2, num_levels=1).eval()
    mixture = torch.randn(1, 2, 1000)
    with torch.no_grad():
        net.network.leave.weight.zero_()
        net.network.leave.bias.copy_(torch.tensor([-1.0, 0.0]).repeat(8))
        assert torch.allclose(net(mixture), -mixture[:, None].expand(1, 4, 2, 1000), atol=1e-5)


def test_complex_masks_start_near_equal_shares():
    torch.manual_seed(0)
    net = TFCTDFSeparator(n_fft=64, hop_length=16, hidden_channels=8, num_levels=2)
    mixture = torch.randn(2, 2, 3000)
    with torch.no_grad():
        stems = net(mixture)
    assert float((stems - mixture[:, None] / 4).norm()) < 0.5 * float(stems.norm())


@pytest.mark.parametrize("network", ["AudioNetSimple", "AudioNetLSTM", "AudioNetVAE", "HybridNet"])
def test_waveforms_are_those_of_the_networks(network):
    words = {"hidden_channels": 2}
    words |= {} if network == "AudioNetSimple" else {"hidden_size": 8}
    net = WaveSeparator(network=network, n_fft=64, stft_hop=32, sources=("a", "b"), **words).eval()
    mixture = torch.randn(1, 2, 3000)
    with torch.no_grad():
        assert torch.equal(net(mixture)[:, 1], net.networks[1](mixture))


def test_half_precision_mixtures_come_back_as_such():
    net = MaskSeparator(n_fft=64, hop_length=16, hidden_channels=2).eval()
    mixture = torch.randn(1, 2, 1000)
    with torch.no_grad():
        single, half = net(mixture), net(mixture.bfloat16())
        low = net.bfloat16()(mixture.bfloat16())
    assert half.dtype == low.dtype == torch.bfloat16
    for other in (half, low):
        assert (other - single[:, :]).norm() < 0.05 * single.norm()


def test_any_network_may_be_kept_in_a_weights_file(tmp_path):
    config = {
        "network": "SpectrogramNetVAE",
        "sources": ["vocals"],
        "n_fft": 64,
        "hop_length": 16,
        "hidden_channels": 2,
        "hidden_size": 8,
        "leak_factor": 0.1,
        "mask_act_fn": "relu",
        "normalize_input": True,
    }
    net = MaskSeparator(**config).eval()
    save_weights(tmp_path / "net.safetensors", net, architecture="mask", config=config)
    mixture = torch.randn(1, 2, 1000)
    with torch.no_grad():
        assert torch.equal(load_weights(tmp_path / "net.safetensors")(mixture), net(mixture))
