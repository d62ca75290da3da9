"""Separators made of the networks: a mixture in, a stem for each source out.

They follow `SeparationNetwork`, so that `unweave.separation.Separator` runs them, and their
arguments are such that a weights file can name them.

References:
    [Williamson2016] Complex ratio masking for monaural speech separation, IEEE/ACM TASLP 24(3).
"""

from collections.abc import Sequence
from typing import Unpack

import torch
from torch import Tensor, nn

from unweave.errors import ParameterError
from unweave.models import audio_nets, hybrid, spectrogram_nets
from unweave.models.blocks import LEVELS, LINE, PLANE
from unweave.models.openunmix import OpenUnmix
from unweave.models.settings import HybridWords, MaskRecurrentWords, spelled_out
from unweave.models.tfc_tdf import TFCTDFUNet, joined, parts
from unweave.transforms.stft import istft, stft

STEMS = ("vocals", "drums", "bass", "other")
MASK_NETWORKS: dict[str, type[spectrogram_nets.SpectrogramNetSimple]] = {
    "SpectrogramNetSimple": spectrogram_nets.SpectrogramNetSimple,
    "SpectrogramNetLSTM": spectrogram_nets.SpectrogramNetLSTM,
    "SpectrogramNetVAE": spectrogram_nets.SpectrogramNetVAE,
}
WAVE_NETWORKS: dict[str, type[audio_nets.AudioNetSimple]] = {
    "AudioNetSimple": audio_nets.AudioNetSimple,
    "AudioNetLSTM": audio_nets.AudioNetLSTM,
    "AudioNetVAE": audio_nets.AudioNetVAE,
}


def _complete(sources: Sequence[str]) -> bool:
    """Tell whether one of several sources is named like the rest of a mixture."""
    return len(sources) > 1 and not {"other", "accompaniment"}.isdisjoint(sources)


class SpectralSeparator(nn.Module):
    """What separators that work on the spectrogram share.

    Args:
        sources: Names of the stems.
        sample_rate: In hertz.
        channels: Audio channels.
        n_fft: Samples of a frame.
        stft_hop: Samples from one frame to the next.
        group: Frames that the network sees as one, counted from the first.
        segment: Seconds that are best given at once.
    """

    def __init__(
        self,
        sources: Sequence[str],
        sample_rate: int,
        channels: int,
        n_fft: int,
        stft_hop: int,
        group: int,
        segment: float,
    ) -> None:
        super().__init__()
        self.sources = tuple(sources)
        self.sums_to_mixture = _complete(sources)
        self.sample_rate, self.channels, self.segment = sample_rate, channels, segment
        self.n_fft, self.stft_hop = n_fft, stft_hop
        self.hop_length = stft_hop * group  # segments start where a group of frames does

    def spectrum(self, mixture: Tensor) -> Tensor:
        """Give the complex spectrogram of a mixture.

        Args:
            mixture: Samples.

        Returns:
            Its spectrogram, in single precision for half precision.

        Shape:
            (batch, channels, time) -> (batch, channels, freq, frames)
        """
        if mixture.dtype in (torch.float16, torch.bfloat16):
            mixture = mixture.float()
        made: Tensor = stft(
            mixture, n_fft=self.n_fft, hop_length=self.stft_hop, pad_mode="constant"
        )
        return made

    def audio(self, stems: Tensor, mixture: Tensor) -> Tensor:
        """Give the samples of stems.

        Args:
            stems: Their complex spectrograms.
            mixture: The mixture, for length and dtype.

        Returns:
            Samples.

        Shape:
            stems: (batch, sources, channels, freq, frames)
            returns: (batch, sources, channels, time)
        """
        made: Tensor = istft(
            stems, n_fft=self.n_fft, hop_length=self.stft_hop, length=mixture.shape[-1]
        )
        return made.to(mixture.dtype)

    def _working(self, values: Tensor) -> Tensor:
        return values.to(next(self.parameters()).dtype)


@spelled_out(MaskRecurrentWords)
class MaskSeparator(SpectralSeparator):
    """Mask the mixture's spectrogram with one network a source; the stems keep its phase.

    Args:
        network: "SpectrogramNetSimple", "SpectrogramNetLSTM" or "SpectrogramNetVAE".
        sources: Names of the stems.
        sample_rate: In hertz.
        channels: Audio channels.
        n_fft: Samples of a frame.
        hop_length: Samples from one frame to the next.
        segment: Seconds that are best given at once; they set the network's `num_frames`.
        hidden_channels: See the network, as for all that follow.
        mask_act_fn: Of the mask.
        leak_factor: Of the nonlinearities.
        dropout_p: While training.
        normalize_input: By trained values for each frequency.
        normalize_output: By trained values for each frequency.
        recurrent_depth: Number of LSTMs.
        hidden_size: Of the LSTMs.
        input_axis: Of the LSTMs.

    Raises:
        ParameterError: The network is unknown, or does not know a word.

    Shape:
        (batch, channels, time) -> (batch, sources, channels, time)

    Example:
        >>> net = MaskSeparator(n_fft=256, hop_length=64, hidden_channels=2).eval()
        >>> net(torch.zeros(3, 2, 1000)).shape
        torch.Size([3, 1, 2, 1000])
    """

    def __init__(
        self,
        *,
        network: str = "SpectrogramNetSimple",
        sources: Sequence[str] = ("vocals",),
        sample_rate: int = 44100,
        channels: int = 2,
        n_fft: int = 2048,
        hop_length: int = 512,
        segment: float = 10.0,
        **options: Unpack[MaskRecurrentWords],
    ) -> None:
        group = PLANE.step**LEVELS
        super().__init__(sources, sample_rate, channels, n_fft, hop_length, group, segment)
        if network not in MASK_NETWORKS:
            raise ParameterError(f"network={network!r} must be one of {', '.join(MASK_NETWORKS)}")
        frames = round(segment * sample_rate) // hop_length + 1
        kind: type[nn.Module] = MASK_NETWORKS[network]
        self.networks = nn.ModuleList(
            kind(n_fft // 2 + 1, frames, channels, **options) for _ in self.sources
        )

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate a batch of mixtures.

        Args:
            mixture: Samples.

        Returns:
            One signal a source.
        """
        spec = self.spectrum(mixture)
        magnitude = self._working(spec.abs())
        masks = torch.stack([network(magnitude) for network in self.networks], 1)
        return self.audio(masks.to(spec.real.dtype) * spec[:, None], mixture)


class OpenUnmixSeparator(SpectralSeparator):
    """Mask the mixture's spectrogram with one `OpenUnmix` a source; the stems keep its phase.

    Args:
        sources: Names of the stems.
        sample_rate: In hertz.
        channels: Audio channels.
        n_fft: Samples of a frame.
        hop_length: Samples from one frame to the next.
        hidden_size: Features between the layers of each network.
        bandwidth: How far the networks look, in hertz.

    Shape:
        (batch, channels, time) -> (batch, sources, channels, time)

    Example:
        >>> net = OpenUnmixSeparator(n_fft=256, hop_length=64, hidden_size=8).eval()
        >>> net(torch.zeros(1, 2, 1000)).shape
        torch.Size([1, 4, 2, 1000])
    """

    def __init__(
        self,
        *,
        sources: Sequence[str] = STEMS,
        sample_rate: int = 44100,
        channels: int = 2,
        n_fft: int = 4096,
        hop_length: int = 1024,
        hidden_size: int = 512,
        bandwidth: float = 16000.0,
    ) -> None:
        super().__init__(sources, sample_rate, channels, n_fft, hop_length, 1, 20.0)
        max_bin = int(bandwidth * n_fft / sample_rate) + 1
        self.networks = nn.ModuleList(
            OpenUnmix(n_fft // 2 + 1, channels, hidden_size, max_bin=max_bin) for _ in self.sources
        )

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate a batch of mixtures.

        Args:
            mixture: Samples.

        Returns:
            One signal a source.
        """
        spec = self.spectrum(mixture)
        magnitude = self._working(spec.abs())
        masks = [network.mask(magnitude) for network in self.networks]  # type: ignore[operator]
        return self.audio(torch.stack(masks, 1).to(spec.real.dtype) * spec[:, None], mixture)


class TFCTDFSeparator(SpectralSeparator):
    """Multiply the mixture's spectrogram by complex masks [Williamson2016] of one `TFCTDFUNet`.

    Complex masks turn phases too. The level of the mixture does not matter.

    Args:
        sources: Names of the stems.
        sample_rate: In hertz.
        channels: Audio channels.
        n_fft: Samples of a frame.
        hop_length: Samples from one frame to the next.
        hidden_channels: Channels of the first level; each level below has as many more.
        num_levels: How often the resolution is halved.

    Shape:
        (batch, channels, time) -> (batch, sources, channels, time)

    Example:
        >>> net = TFCTDFSeparator(n_fft=256, hop_length=64, hidden_channels=2, num_levels=2).eval()
        >>> net(torch.zeros(1, 2, 1000)).shape
        torch.Size([1, 4, 2, 1000])

    References:
        [Williamson2016]
    """

    def __init__(
        self,
        *,
        sources: Sequence[str] = STEMS,
        sample_rate: int = 44100,
        channels: int = 2,
        n_fft: int = 4096,
        hop_length: int = 1024,
        hidden_channels: int = 32,
        num_levels: int = 5,
    ) -> None:
        group = 1 << num_levels
        super().__init__(sources, sample_rate, channels, n_fft, hop_length, group, 6.0)
        self.network = TFCTDFUNet(
            n_fft // 2 + 1,
            2 * channels,
            2 * channels * len(self.sources),
            hidden_channels,
            num_levels,
        )
        # Training starts near equal shares of the mixture, which sum to it.
        share = torch.tensor([1 / max(1, len(self.sources)), 0.0])
        with torch.no_grad():
            self.network.leave.weight.mul_(0.1)
            if self.network.leave.bias is not None:
                self.network.leave.bias.copy_(share.repeat(channels * len(self.sources)))

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate a batch of mixtures.

        Args:
            mixture: Samples.

        Returns:
            One signal a source.
        """
        spec = self.spectrum(mixture)
        level = spec.abs().mean((1, 2, 3), keepdim=True).clamp_min(1e-12)
        masks = joined(self.network(self._working(parts(spec / level))).to(spec.real.dtype))
        masks = torch.unflatten(masks, 1, (len(self.sources), self.channels))
        return self.audio(masks * spec[:, None], mixture)


@spelled_out(HybridWords)
class WaveSeparator(nn.Module):
    """Draw the stems' waveforms with one network a source.

    Args:
        network: "AudioNetSimple", "AudioNetLSTM", "AudioNetVAE" or "HybridNet".
        sources: Names of the stems.
        sample_rate: In hertz.
        channels: Audio channels.
        segment: Seconds that are best given at once.
        n_fft: Samples of a frame of `HybridNet`.
        stft_hop: Samples from one of its frames to the next.
        hidden_channels: See the network, as for all that follow.
        mask_act_fn: Of the mask of `HybridNet`.
        leak_factor: Of the nonlinearities.
        dropout_p: While training.
        normalize_input: Whether to normalise what enters.
        normalize_output: Whether to learn the scale of what leaves.
        recurrent_depth: Number of LSTMs.
        hidden_size: Of the LSTMs.

    Raises:
        ParameterError: The network is unknown, or does not know a word.

    Shape:
        (batch, channels, time) -> (batch, sources, channels, time)

    Example:
        >>> net = WaveSeparator(sources=["vocals", "rest"], hidden_channels=2).eval()
        >>> net(torch.zeros(1, 2, 1000)).shape
        torch.Size([1, 2, 2, 1000])
    """

    def __init__(
        self,
        *,
        network: str = "AudioNetSimple",
        sources: Sequence[str] = ("vocals",),
        sample_rate: int = 44100,
        channels: int = 2,
        segment: float = 10.0,
        n_fft: int = 2048,
        stft_hop: int = 512,
        **options: Unpack[HybridWords],
    ) -> None:
        super().__init__()
        self.sources = tuple(sources)
        self.sums_to_mixture = _complete(sources)
        self.sample_rate, self.channels, self.segment = sample_rate, channels, segment
        self.hop_length = LINE.step**LEVELS  # segments start where a group of samples does
        if network == "HybridNet":
            self.hop_length = max(self.hop_length, stft_hop * PLANE.step**LEVELS)
            self.networks = nn.ModuleList(
                hybrid.HybridNet(n_fft, stft_hop, channels, **options) for _ in self.sources
            )
            return
        if network not in WAVE_NETWORKS:
            known = ", ".join([*WAVE_NETWORKS, "HybridNet"])
            raise ParameterError(f"network={network!r} must be one of {known}")
        kind: type[nn.Module] = WAVE_NETWORKS[network]
        self.networks = nn.ModuleList(kind(channels, **options) for _ in self.sources)

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate a batch of mixtures.

        Args:
            mixture: Samples.

        Returns:
            One signal a source.
        """
        inputs = mixture.to(next(self.parameters()).dtype)
        return torch.stack([network(inputs) for network in self.networks], 1).to(mixture.dtype)
