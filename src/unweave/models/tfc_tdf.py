"""The TFC-TDF U-Net of KUIELab's MDX-Net: convolutions, and dense layers along frequency.

References:
    [Choi2020] Investigating U-Nets with various intermediate blocks for spectrogram-based singing
        voice separation, ISMIR 2020.
    [Kim2021] KUIELab-MDX-Net: a two-stream neural network for music demixing, MDX workshop,
        ISMIR 2021, arXiv:2111.12203.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from unweave._core.checks import positive_int
from unweave.errors import ParameterError
from unweave.models.blocks import check_map


class TFCTDFUNet(nn.Module):
    """Estimate spectra from spectra with a U-Net of TFC-TDF blocks.

    It is usual to give the real and the imaginary parts of all audio channels as `num_channels`
    maps and to read the source's from the answer [Kim2021]. 7.4 million parameters with
    num_fft_bins=2048.

    Args:
        num_fft_bins: Frequencies of a spectrum; filled up to a multiple of 2**num_levels inside.
        num_channels: Maps in and, unless `num_outputs` says otherwise, out.
        num_outputs: Maps out.
        hidden_channels: Channels of the first level; each level below has as many more.
        num_levels: How often the resolution is halved.
        num_convolutions: Convolutions of a block.
        bottleneck: How much narrower than the spectrum the dense layers along it are inside.

    Raises:
        ParameterError: A parameter is out of range.

    Shape:
        (batch, num_channels, num_fft_bins, frames) -> (batch, num_outputs, num_fft_bins, frames)

    Example:
        >>> net = TFCTDFUNet(65, hidden_channels=4, num_levels=2).eval()
        >>> net(torch.zeros(3, 4, 65, 21)).shape
        torch.Size([3, 4, 65, 21])

    References:
        [Choi2020], [Kim2021]
    """

    def __init__(
        self,
        num_fft_bins: int,
        num_channels: int = 4,
        num_outputs: int | None = None,
        hidden_channels: int = 32,
        num_levels: int = 5,
        num_convolutions: int = 3,
        bottleneck: int = 8,
    ) -> None:
        super().__init__()
        self.num_fft_bins = positive_int("num_fft_bins", num_fft_bins)
        self.num_channels = positive_int("num_channels", num_channels)
        outputs = num_channels if num_outputs is None else positive_int("num_outputs", num_outputs)
        self.grid = 1 << positive_int("num_levels", num_levels)
        positive_int("hidden_channels", hidden_channels)
        bins = num_fft_bins + -num_fft_bins % self.grid
        widths = [hidden_channels * (level + 1) for level in range(num_levels + 1)]

        def block(level: int) -> Block:
            return Block(
                widths[level],
                bins >> level,
                convolutions=num_convolutions,
                bottleneck=bottleneck,
            )

        pairs = list(pairwise(widths))
        self.enter = nn.Sequential(nn.Conv2d(num_channels, widths[0], 1), *_bent(widths[0]))
        self.encoders = nn.ModuleList(block(level) for level in range(num_levels))
        self.down = nn.ModuleList(
            nn.Sequential(nn.Conv2d(fine, coarse, 2, 2), *_bent(coarse)) for fine, coarse in pairs
        )
        self.middle = block(num_levels)
        self.up = nn.ModuleList(
            nn.Sequential(nn.ConvTranspose2d(coarse, fine, 2, 2), *_bent(fine))
            for fine, coarse in pairs
        )
        self.decoders = nn.ModuleList(block(level) for level in range(num_levels))
        self.leave = nn.Conv2d(widths[0], outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Estimate spectra.

        Args:
            x: Spectra, as real maps.

        Returns:
            Spectra, as real maps.
        """
        check_map(x, "batch, channels, freq, frames", self.num_channels, self.num_fft_bins, -1)
        bins, frames = x.shape[2:]
        x = pad(x, (0, -frames % self.grid, 0, -bins % self.grid))
        x = self.enter(x.transpose(-1, -2))  # dense layers want frequency last
        maps = []
        for encoder, down in zip(self.encoders, self.down, strict=True):
            x = encoder(x)
            maps.append(x)
            x = down(x)
        x = self.middle(x)
        for up, decoder, finer in zip(
            reversed(self.up), reversed(self.decoders), reversed(maps), strict=True
        ):
            x = decoder(up(x) * finer)
        spectra: Tensor = self.leave(x).transpose(-1, -2)
        return spectra[:, :, :bins, :frames]


class Block(nn.Module):
    """Convolutions over time and frequency (TFC), then dense layers along frequency (TDF).

    Args:
        channels: Of input and output.
        bins: Length of the frequency axis.
        convolutions: Their number.
        bottleneck: How much narrower than `bins` the dense layers are inside.

    Shape:
        (batch, channels, frames, bins) in and out

    References:
        [Choi2020]
    """

    def __init__(self, channels: int, bins: int, *, convolutions: int, bottleneck: int) -> None:
        super().__init__()
        hidden = max(1, bins // positive_int("bottleneck", bottleneck))
        layers: list[nn.Module] = []
        for _ in range(positive_int("num_convolutions", convolutions)):
            layers += [nn.Conv2d(channels, channels, 3, padding=1, bias=False), *_bent(channels)]
        self.along_both = nn.Sequential(*layers)
        self.along_frequency = nn.Sequential(
            nn.Linear(bins, hidden, bias=False),
            *_bent(channels),
            nn.Linear(hidden, bins, bias=False),
            *_bent(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Refine a map.

        Args:
            x: The map.

        Returns:
            One of the same shape.
        """
        x = self.along_both(x)
        along: Tensor = self.along_frequency(x)
        return x + along


def _bent(channels: int) -> tuple[nn.Module, nn.Module]:
    return nn.BatchNorm2d(channels), nn.ReLU()


def parts(spec: Tensor) -> Tensor:
    """Lay out complex spectra as real maps.

    Args:
        spec: Complex spectra.

    Returns:
        The real and the imaginary part of each channel in turn.

    Raises:
        ParameterError: The spectra are not complex.

    Shape:
        (batch, channels, freq, frames) -> (batch, 2 * channels, freq, frames)
    """
    if not spec.is_complex():
        raise ParameterError(f"complex spectra are expected, not {spec.dtype}")
    return torch.view_as_real(spec).permute(0, 1, 4, 2, 3).flatten(1, 2)


def joined(maps: Tensor) -> Tensor:
    """Read real maps as complex spectra, the inverse of `parts`.

    Args:
        maps: The real and the imaginary part of each channel in turn.

    Returns:
        Complex spectra.

    Shape:
        (batch, 2 * channels, freq, frames) -> (batch, channels, freq, frames)
    """
    return torch.complex(maps[:, 0::2].contiguous(), maps[:, 1::2].contiguous())
