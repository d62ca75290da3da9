"""The Wiener filter after the network: better stems where places differ, and nothing lost."""

import pytest
import torch
from torch import Tensor, nn

from unweave.errors import ParameterError
from unweave.filtering import expectation_maximization
from unweave.separation import Separator
from unweave.separation.refinement import WienerRefinement
from unweave.transforms import istft, stft

RATE = 8000
PLACES = torch.tensor([[1.0, 0.3], [0.3, 1.0]])[..., None]  # (sources, channels, 1)


class LeakyNet(nn.Module):
    """Finds two sources at known places, and lets each leak into the other."""

    sources, channels, sample_rate, segment, hop_length = ("left", "right"), 2, RATE, 1.0, 64

    def __init__(self, leak: float = 0.3, gain: float = 1.0) -> None:
        super().__init__()
        self.leak, self.gain = leak, gain

    def forward(self, mixture: Tensor) -> Tensor:
        heard = torch.linalg.inv(PLACES[..., 0].T) @ mixture
        images = PLACES * heard[:, :, None]
        return self.gain * torch.lerp(images, images.flip(1), self.leak)


def sources(seconds: float = 3.0) -> Tensor:
    """Bursts of coloured noise at both places, shape (sources, channels, time)."""
    length = int(seconds * RATE)
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(2, 1, length, generator=generator)
    spectra = stft(noise, n_fft=512)
    gates = torch.rand(2, 1, *spectra.shape[-2:], generator=generator) ** 8
    return 0.3 * PLACES * istft(gates * spectra, n_fft=512, length=length)


def stacked(stems: dict[str, Tensor]) -> Tensor:
    return torch.stack(list(stems.values()))


@pytest.mark.parametrize("n_iter", [1, 2])
def test_stems_at_different_places_get_better(level, n_iter):
    truth = sources()
    separated = {
        n: stacked(Separator(LeakyNet(), wiener=n).separate(truth.sum(0), RATE))
        for n in (0, n_iter)
    }
    for j in range(2):
        assert level(separated[n_iter][j], truth[j]) < level(separated[0][j], truth[j]) - 3


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("residual", [False, True])
def test_stems_sum_to_the_mixture(level, noise, channels, residual):
    mixture = noise(channels, 3 * RATE)
    separator = Separator(
        LeakyNet(gain=0.7), wiener=2, residual=residual, mixture_consistency=False
    )
    stems = stacked(separator.separate(mixture, RATE))
    assert stems.shape == (2 + residual, channels, 3 * RATE)
    assert level(stems.sum(0), mixture) < -100


def test_the_residual_is_refined_like_a_stem(level):
    truth = sources()
    plain, refined = (
        Separator(LeakyNet(leak=0.0, gain=0.5), wiener=n, residual=True).separate(
            truth.sum(0), RATE
        )
        for n in (0, 1)
    )
    assert set(refined) == {"left", "right", "residual"}
    # Half of everything is left over, at the place of no source in particular.
    torch.testing.assert_close(plain["residual"], 0.5 * truth.sum(0))
    assert -15 < level(refined["residual"], plain["residual"]) < -3


def test_each_segment_is_filtered_by_itself():
    truth = sources(2.0)
    mixture = truth.sum(0)
    separator = Separator(LeakyNet(), wiener=1, overlap=0, mixture_consistency=False)
    found = stacked(separator.separate(mixture, RATE))
    for at in range(0, 2 * RATE, RATE):
        part = mixture[:, at : at + RATE]
        n_fft = WienerRefinement(1, RATE, 2).n_fft
        y, x = (
            stft(z, n_fft=n_fft, pad_mode="constant") for z in (LeakyNet()(part[None])[0], part)
        )
        refined = expectation_maximization(y, x, n_iter=1)[0]
        expected = istft(refined, n_fft=n_fft, length=RATE)
        torch.testing.assert_close(found[..., at : at + RATE], expected, atol=1e-6, rtol=0)


def test_streams_of_any_blocks_are_refined_alike():
    mixture = sources(2.5).sum(0)
    separator = Separator(LeakyNet(), wiener=1)
    whole = stacked(separator.separate(mixture, RATE))
    streamed = torch.cat(list(separator.stream(mixture.split(777, -1), RATE, 2)), -1)
    torch.testing.assert_close(streamed, whole, atol=1e-6, rtol=0)


def test_other_rates_shifts_and_batches_go_with_it(level):
    mixture = sources(2.0).sum(0)
    stems = stacked(
        Separator(LeakyNet(), wiener=1, shifts=2, batch_size=2).separate(mixture, 11025)
    )
    assert level(stems.sum(0), mixture) < -100


@pytest.mark.parametrize("length", [0, 1, 100, 3000])
def test_short_signals_and_silence(length):
    for mixture in (torch.zeros(2, length), sources(1.0).sum(0)[:, :length]):
        stems = Separator(LeakyNet(), wiener=1, segment=0.05).separate(mixture, RATE)
        total = stacked(stems).sum(0)
        torch.testing.assert_close(total, mixture, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("rate", "n_fft"), [(44100, 4096), (48000, 4096), (8000, 1024), (22050, 2048)]
)
def test_frames_last_as_long_at_any_rate(rate, n_fft):
    assert WienerRefinement(1, rate, 2).n_fft == n_fft


def test_no_iterations_are_the_network_itself():
    network = LeakyNet()
    assert WienerRefinement(0, RATE, 2).after(network) is network


@pytest.mark.parametrize("wiener", [-1, 101, 1.5, True, "1"])
def test_other_numbers_are_refused(wiener):
    with pytest.raises(ParameterError, match="wiener="):
        Separator(LeakyNet(), wiener=wiener)
