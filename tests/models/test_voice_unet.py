import pytest
import torch

from unweave.models.bandmask import BandMaskNet
from unweave.models.voice_unet import VoiceUNet

SIZES = {"widths": (4, 4, 4), "recurrent": 8}


class Knows(torch.nn.Module):
    """Answers with given shares of left and right, and remembers what it was asked."""

    def __init__(self, left, right):
        super().__init__()
        self.shares = torch.tensor([left, right])[None, :, None, None]

    def forward(self, magnitudes):
        self.asked = magnitudes
        return self.shares.expand_as(magnitudes)


def spectrum(frames=20, bins=1486, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return 30 * torch.randn(1, 2, frames, bins, dtype=torch.complex64, generator=generator)


def network(voice):
    net = BandMaskNet(**SIZES, voice=True).eval()
    net.voice = voice
    return net


def test_it_is_as_large_as_published():
    # Spleeter's two stems: two such networks, whose checkpoint has 78.6 MB
    net = VoiceUNet()
    unused = 4 * 512  # a normalisation that nothing reads is in the checkpoint
    values = sum(p.numel() for p in net.parameters()) + sum(
        b.numel() for b in net.buffers() if b.is_floating_point()
    )
    assert 2 * 4 * (values + unused) == pytest.approx(78_614_080, abs=100)


@pytest.mark.parametrize(("frames", "bins"), [(64, 64), (128, 192)])
def test_it_keeps_the_shape_and_answers_with_shares(frames, bins):
    net = VoiceUNet(widths=(2, 2, 2, 2, 2, 2)).eval()
    shares = net(torch.rand(2, 2, frames, bins))
    assert shares.shape == (2, 2, frames, bins)
    assert bool(((shares > 0) & (shares < 1)).all())


def test_it_pads_as_the_published_weights_were_trained():
    """A tap in the middle of a kernel of stride 2 reads sample 2 k + 1: one is padded before."""
    net = VoiceUNet(widths=(1, 1, 1, 1, 1, 1)).eval()
    first = net.down[0]
    with torch.no_grad():
        first.weight.zero_()
        first.weight[0, 0, 2, 2] = 1
        first.bias.zero_()
    x = torch.rand(1, 2, 64, 64)
    y = first(torch.nn.functional.pad(x, (1, 2, 1, 2)))
    assert torch.equal(y[0, 0], x[0, 0, 1::2, 1::2])


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_hints_are_the_share_that_left_and_right_agree_on(share):
    hints = network(Knows(share, share)).hints(spectrum())
    assert hints.shape == (1, 2, 20, 195)
    torch.testing.assert_close(hints, torch.full_like(hints, share), rtol=1e-4, atol=1e-5)


def test_a_voice_on_the_left_is_half_of_middle_and_side_where_the_right_is_silent():
    middle = spectrum()[:, :1]
    only_left = torch.cat((middle, middle), 1)
    hints = network(Knows(1.0, 0.0)).hints(only_left)
    torch.testing.assert_close(hints, torch.ones_like(hints), rtol=1e-4, atol=1e-5)
    # what is said of a silent channel counts nothing
    assert bool((network(Knows(0.0, 1.0)).hints(only_left) < 1e-5).all())


def test_hints_do_not_depend_on_the_level():
    torch.manual_seed(0)
    net = BandMaskNet(**SIZES, voice=True).eval()
    x = spectrum(frames=10)
    with torch.inference_mode():
        torch.testing.assert_close(net.hints(x * 1e-3), net.hints(x), rtol=1e-3, atol=1e-4)


def test_it_is_asked_at_the_level_of_records():
    voice = Knows(0.5, 0.5)
    network(voice).hints(spectrum(bins=2049))
    energy = voice.asked[:, :, :20].square().sum(-1).mean() * 2049 / 1024
    # Parseval: a frame of white noise has the energy n_fft / 2 * sum(window^2) * power
    power = float(energy) / (2048 * 0.375 * 4096)
    assert 10 * torch.log10(torch.tensor(power)) == pytest.approx(-12, abs=0.5)


def test_silence_gives_no_voice_and_no_nan():
    hints = network(Knows(1.0, 1.0)).hints(torch.zeros(1, 2, 5, 1486, dtype=torch.complex64))
    assert bool((hints == 0).all())


def test_stems_sum_to_the_mixture_with_hints_too():
    torch.manual_seed(0)
    net = BandMaskNet(**SIZES, voice=True, members=2).eval()
    mixture = 0.1 * torch.randn(1, 2, 30000)
    with torch.inference_mode():
        stems = net(mixture)
    torch.testing.assert_close(stems.sum(1), mixture, rtol=0, atol=1e-5)


def test_without_it_there_are_no_hints():
    assert BandMaskNet(**SIZES).hints(spectrum()) is None


@pytest.mark.parametrize("trust", [0.0, 0.4, 1.0])
def test_trust_blends_the_vocals_in_and_keeps_the_sum(trust):
    torch.manual_seed(1)
    net = BandMaskNet(**SIZES, sources=("drums", "vocals", "other"), voice=True, trust=trust).eval()
    energies, hints = torch.rand(1, 2, 8, 195), torch.rand(1, 2, 8, 195)
    hints[..., :40] = 1
    with torch.inference_mode():
        own, masks = net.members[0](energies, hints), net.masks(energies, hints)
    vocals = (1 - trust) * own[:, 1] + trust * hints
    torch.testing.assert_close(masks[:, 1], vocals)
    torch.testing.assert_close(masks.sum(1), torch.ones_like(hints))
    assert bool((masks >= 0).all())
    # the rest is shared as before
    ratio, before = masks[:, 0] / masks[:, 2], own[:, 0] / own[:, 2]
    torch.testing.assert_close(ratio[..., 40:], before[..., 40:], rtol=1e-3, atol=1e-3)


def test_trust_means_nothing_without_vocals_or_a_voice():
    assert BandMaskNet(**SIZES, trust=0.5).trust == 0
    assert BandMaskNet(**SIZES, sources=("drums", "rest"), voice=True, trust=0.5).trust == 0
