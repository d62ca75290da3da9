"""A network that works on the spectrogram and on the waveform, and joins what both say.

References:
    [Defossez2021] Hybrid spectrogram and waveform source separation, arXiv:2111.03600.
"""

from typing import Unpack

import torch
from torch import Tensor, nn

from unweave._core.checks import positive_int
from unweave.models.audio_nets import AudioNetLSTM
from unweave.models.blocks import check_map
from unweave.models.settings import (
    HybridWords,
    MaskRecurrentWords,
    NetSettings,
    RecurrentWords,
    only,
    spelled_out,
)
from unweave.models.spectrogram_nets import SpectrogramNetLSTM
from unweave.transforms.stftlayer import STFT


@spelled_out(HybridWords)
class HybridNet(nn.Module):
    """Estimate a source's waveform from the spectrogram and from the waveform of a mixture.

    A `SpectrogramNetLSTM` masks the mixture's spectrogram, an `AudioNetLSTM` draws a waveform. Each
    frequency of the result is between the two, nearer to the one that training has found better
    there: masks are sharp where harmonics are, waveforms keep their own phase [Defossez2021].

    65.8 million parameters at the defaults; auralflow's documents say 65.5 (no code of it was ever
    published).

    Args:
        n_fft: Samples of a frame.
        hop_length: Samples from one frame to the next.
        num_channels: Audio channels, 1 for mono and 2 for stereo.
        hidden_channels: Channels of the first level of both; each level below has twice as many.
        mask_act_fn: What makes the mask; see `SpectrogramNetSimple`.
        leak_factor: Slope of leaky ReLU below 0; 0 chooses SELU.
        dropout_p: Probability of dropping a channel in the three lowest levels of the decoders, and
            a value between recurrent layers.
        normalize_input: Whether to normalise what enters; see `SpectrogramNetSimple` and
            `AudioNetSimple`.
        normalize_output: Whether to normalise what leaves.
        recurrent_depth: Number of stacked LSTMs of each.
        hidden_size: Features of each, half of them in each direction.

    Raises:
        ParameterError: A parameter is out of range.

    Shape:
        (batch, num_channels, time) in and out

    Example:
        >>> net = HybridNet(n_fft=128, hop_length=64, hidden_channels=2, hidden_size=8).eval()
        >>> net(torch.zeros(3, 1, 5001)).shape
        torch.Size([3, 1, 5001])

    References:
        [Defossez2021]
    """

    def __init__(
        self,
        n_fft: int = 2048,
        hop_length: int = 512,
        num_channels: int = 1,
        **options: Unpack[HybridWords],
    ) -> None:
        super().__init__()
        NetSettings.of(HybridWords, options)
        self.n_fft = positive_int("n_fft", n_fft)
        self.hop_length = positive_int("hop_length", hop_length)
        # As a layer its plan is made here, once, and not while the network is traced
        self.transform = STFT(n_fft=n_fft, hop_length=hop_length, pad_mode="constant")
        self.num_channels = num_channels
        bins = n_fft // 2 + 1
        self.spectral = SpectrogramNetLSTM(
            bins, 1, num_channels, **only(MaskRecurrentWords, options)
        )
        self.temporal = AudioNetLSTM(num_channels, **only(RecurrentWords, options))
        self.trust = nn.Parameter(torch.zeros(bins, 1))  # logit of the mask's part

    def forward(self, x: Tensor) -> Tensor:
        """Estimate the waveform of a source.

        Args:
            x: Samples of the mixture.

        Returns:
            Samples of the source.
        """
        check_map(x, "batch, channels, time", self.num_channels, -1)
        spec = self.transform(x)
        magnitude = spec.abs().to(x.dtype)
        masked = self.spectral(magnitude) * spec
        drawn = self.transform(self.temporal(x))
        joined = drawn + torch.sigmoid(self.trust) * (masked - drawn)
        estimate: Tensor = self.transform.inverse(joined, length=x.shape[-1])
        return estimate.to(x.dtype)
