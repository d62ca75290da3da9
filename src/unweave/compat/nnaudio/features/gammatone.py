"""Gammatone spectrograms, by nnAudio's name."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from unweave.compat.nnaudio._audio import announced
from unweave.compat.nnaudio._formats import EPSILON, bands
from unweave.compat.nnaudio._windows import WindowName
from unweave.compat.nnaudio.features.stft import STFT
from unweave.transforms.gammatone import gammatone_filter_bank


class Gammatonegram(nn.Module):
    """Give gammatone spectrograms, as `nnAudio.features.Gammatonegram` does.

    Args:
        sr: Sample rate in Hz.
        n_fft: Samples of a frame.
        win_length: Samples of the window, centred in the frame; `n_fft` if not given.
        n_bins: Number of gammatone bands.
        hop_length: Samples from one frame to the next.
        window: A window by its name in scipy.
        center: Whether frame t is centred on sample t * hop_length, or starts there.
        pad_mode: What continues the signal at its ends: "reflect" or "constant".
        power: Exponent of the magnitudes that are summed: 2 for power, 1 for magnitude.
        htk: Unused, as in nnAudio.
        fmin: Lowest centre frequency in Hz.
        fmax: Where the centre frequencies end, in Hz; half the sample rate if not given.
        norm: Unused, as in nnAudio.
        trainable_bins: Whether `gammatone_basis` is a parameter.
        trainable_STFT: Whether `stft.wsin` and `stft.wcos` are parameters.
        verbose: Whether to print how long the filters took.
        **kwargs: Further arguments of `STFT`, such as iSTFT.

    Raises:
        ParameterError: A parameter is out of range.

    Example:
        >>> import torch
        >>> Gammatonegram()(torch.zeros(2, 22050)).shape
        torch.Size([2, 64, 44])

    References:
        [Slaney1993] An efficient implementation of the Patterson-Holdsworth auditory filter bank,
        Apple technical report 35.
        [Ellis2009] Gammatone-like spectrograms.
    """

    gammatone_basis: Tensor

    def __init__(
        self,
        sr: float = 22050,
        n_fft: int = 2048,
        win_length: int | None = None,
        n_bins: int = 64,
        hop_length: int = 512,
        window: WindowName = "hann",
        center: bool = True,
        pad_mode: str = "reflect",
        power: float = 2.0,
        htk: bool = False,
        fmin: float = 0.0,
        fmax: float | None = None,
        norm: float | None = 1,
        trainable_bins: bool = False,
        trainable_STFT: bool = False,
        verbose: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        self.stride, self.center, self.pad_mode = hop_length, center, pad_mode
        self.n_fft, self.power = n_fft, power
        self.trainable_bins, self.trainable_STFT = trainable_bins, trainable_STFT
        own: dict[str, Any] = {"n_fft": n_fft, "win_length": win_length, "hop_length": hop_length}
        own |= {"window": window, "center": center, "pad_mode": pad_mode, "sr": sr}
        own |= {"trainable": trainable_STFT, "output_format": "Magnitude", "verbose": verbose}
        self.stft = STFT(**own, **kwargs)
        with announced("Gammatone filter", verbose):
            basis = gammatone_filter_bank(
                sample_rate=sr, n_fft=n_fft, n_bins=n_bins, fmin=fmin, fmax=fmax
            ).float()
        if trainable_bins:
            self.register_parameter("gammatone_basis", nn.Parameter(basis))
        else:
            self.register_buffer("gammatone_basis", basis)

    def forward(self, x: Tensor) -> Tensor:
        """Give the gammatone spectrogram of audio.

        Args:
            x: Audio.

        Returns:
            The gammatone spectrogram.

        Raises:
            ParameterError: The audio is too short or of another shape.

        Shape:
            x: (time), (batch, time) or (batch, 1, time)
            returns: (batch, n_bins, frames)

        Example:
            >>> import torch
            >>> Gammatonegram(n_fft=512)(torch.zeros(1000)).shape
            torch.Size([1, 64, 2])
        """
        epsilon = EPSILON if self.trainable_STFT else 0.0
        return bands(self.stft, x, self.gammatone_basis, self.power, epsilon)
