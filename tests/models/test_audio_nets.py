"""Waveforms from waveforms."""

import pytest
import torch

from unweave.errors import ParameterError
from unweave.models import AudioNetLSTM, AudioNetSimple, AudioNetVAE, SpectrogramNetSimple


@pytest.mark.parametrize(
    ("kind", "published"), [(AudioNetSimple, 7.9), (AudioNetLSTM, 32.3), (AudioNetVAE, 40.0)]
)
def test_parameter_counts_are_near_the_published_ones(kind, published):
    with torch.device("meta"):
        net = kind()
    millions = sum(parameter.numel() for parameter in net.parameters()) / 1e6
    assert millions == pytest.approx(published, rel=0.03)
    assert f"{millions:.1f} million parameters" in kind.__doc__


def test_levels_have_as_many_weights_as_those_of_spectrograms():
    with torch.device("meta"):
        audio, spectrogram = AudioNetSimple().encoder, SpectrogramNetSimple(33, 20).encoder
    for part in ("levels", "middle"):
        counts = [
            sum(parameter.numel() for parameter in getattr(net, part).parameters())
            for net in (audio, spectrogram)
        ]
        assert counts[0] == counts[1]


def test_recurrent_layers_carry_over_all_time():
    net = AudioNetLSTM(hidden_channels=2, hidden_size=8).eval()
    hidden = torch.randn(1, 64, 12, requires_grad=True)
    net._middle(hidden)[0, :, 5].sum().backward()
    assert bool((hidden.grad.abs().sum(1) > 0).all())


def test_normalised_the_level_does_not_matter():
    torch.manual_seed(0)
    net = AudioNetSimple(2, hidden_channels=2, normalize_input=True, normalize_output=True).eval()
    mixture = torch.randn(2, 2, 3000)
    with torch.no_grad():
        loud, soft = net(mixture), net(1e-3 * mixture)
        assert (loud - 1e3 * soft).norm() < 1e-4 * loud.norm()
        assert bool(torch.isfinite(net(torch.zeros(2, 2, 3000))).all())


def test_every_channel_has_its_gain():
    net = AudioNetSimple(2, hidden_channels=2, normalize_output=True).eval()
    mixture = torch.randn(1, 2, 3000)
    with torch.no_grad():
        before = net(mixture)
        net.leave.factor[1] = 3
        assert torch.equal(net(mixture)[:, 0], before[:, 0])
        assert torch.allclose(net(mixture)[:, 1], 3 * before[:, 1])


@pytest.mark.parametrize("shape", [(1, 2, 100), (100,), (1, 100)])
def test_wrong_shapes_are_refused(shape):
    with pytest.raises(ParameterError, match=r"floating \(batch, channels, time\)"):
        AudioNetSimple(hidden_channels=2)(torch.rand(shape))
