"""Gammatone spectrograms, by nnAudio's name."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from unweave._core.checks import positive_int
from unweave.compat.nnaudio._audio import announced
from unweave.compat.nnaudio._formats import EPSILON, bands
from unweave.compat.nnaudio._windows import WindowName
from unweave.compat.nnaudio.features.stft import STFT
from unweave.errors import ParameterError

_EAR_Q, _LEAST_BANDWIDTH = 9.26449, 24.7  # of an auditory filter; the latter in Hz


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
            basis = gammatone_basis(sr, n_fft, n_bins, fmin, sr / 2 if fmax is None else fmax)
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
            >>> Gammatonegram(n_fft=512)(torch.zeros(1000)).shape
            torch.Size([1, 64, 2])
        """
        epsilon = EPSILON if self.trainable_STFT else 0.0
        return bands(self.stft, x, self.gammatone_basis, self.power, epsilon)


def gammatone_basis(sr: float, n_fft: int, n_bins: int, fmin: float, fmax: float) -> Tensor:
    """Build the responses of gammatone filters at the frequencies of a Fourier transform.

    A filter of centre frequency f and bandwidth b = 1.019 (f / 9.26449 + 24.7) Hz has four times
    the pole pair p, p* and four zeros, with r = exp(-2 pi b / sr), c = 2 pi f / sr:

        p = r exp(i c),    z = r (cos c +- sqrt(3 +- 2^1.5) sin c)

    Its magnitude at u = exp(2 pi i k / n_fft), relative to that at its centre, over n_fft.

    Args:
        sr: Sample rate in Hz.
        n_fft: Samples of a frame.
        n_bins: Number of filters, evenly spaced in bandwidths.
        fmin: Lowest centre frequency in Hz.
        fmax: Where the centre frequencies end, in Hz.

    Returns:
        The responses in float32.

    Raises:
        ParameterError: A parameter is out of range.

    Shape:
        returns: (n_bins, n_fft // 2 + 1)

    Example:
        >>> basis = gammatone_basis(16000, 512, 10, 100, 8000)
        >>> int(basis[0].argmax()) * 16000 / 512
        93.75
    """
    n_bins = positive_int("n_bins", n_bins)
    if not 0 <= fmin < fmax <= sr / 2:
        raise ParameterError(
            f"fmin={fmin} Hz must be below fmax={fmax} Hz, which must be at most half of sr={sr}"
        )
    least = _EAR_Q * _LEAST_BANDWIDTH
    step = math.log((fmin + least) / (fmax + least)) / n_bins
    centres = (fmax + least) * np.exp(np.arange(n_bins, 0, -1)[:, None] * step) - least
    radius = np.exp(-2 * np.pi * 1.019 * (centres / _EAR_Q + _LEAST_BANDWIDTH) / sr)
    turn = 2 * np.pi * centres / sr
    spread = np.array([1.0, -1.0, 1.0, -1.0]) * np.sqrt(3 + np.array([1, 1, -1, -1]) * 2**1.5)
    zeros = radius * (np.cos(turn) + spread * np.sin(turn))
    pole = radius * np.exp(1j * turn)

    def magnitude(places: Any) -> Any:
        numerator = np.abs(places[..., None] - zeros[:, None]).prod(-1)
        return numerator / np.abs((pole - places) * (pole.conj() - places)) ** 4

    bins = np.exp(2j * np.pi * np.arange(n_fft // 2 + 1) / n_fft)[None]
    response = magnitude(bins) / magnitude(np.exp(1j * turn)) / n_fft
    return torch.from_numpy(response.astype(np.float32))
