"""Mel spectrograms and their cepstral coefficients, by nnAudio's names."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from unweave._core.checks import positive_int
from unweave._core.constants import Constant
from unweave.compat.nnaudio._audio import announced
from unweave.compat.nnaudio._formats import EPSILON, bands
from unweave.compat.nnaudio._windows import WindowName
from unweave.compat.nnaudio.features.stft import STFT
from unweave.errors import ParameterError
from unweave.transforms.melbank import mel_filter_bank


class MelSpectrogram(nn.Module):
    """Give mel spectrograms, as `nnAudio.features.MelSpectrogram` does.

    Args:
        sr: Sample rate in Hz.
        n_fft: Samples of a frame.
        win_length: Samples of the window, centred in the frame; `n_fft` if not given.
        n_mels: Number of mel bands.
        hop_length: Samples from one frame to the next.
        window: A window by its name in scipy.
        center: Whether frame t is centred on sample t * hop_length, or starts there.
        pad_mode: What continues the signal at its ends: "reflect" or "constant".
        power: Exponent of the magnitudes that are summed: 2 for power, 1 for magnitude.
        htk: Whether the mel scale is that of HTK instead of Slaney's.
        fmin: Where the lowest band starts, in Hz.
        fmax: Where the highest band ends, in Hz; half the sample rate if not given.
        norm: 1 for bands of equal area; None for bands of height 1.
        trainable_mel: Whether `mel_basis` is a parameter.
        trainable_STFT: Whether `stft.wsin` and `stft.wcos` are parameters.
        verbose: Whether to print how long the filters took.
        **kwargs: Further arguments of `STFT`, such as iSTFT.

    Raises:
        ParameterError: A parameter is out of range.

    Example:
        >>> MelSpectrogram()(torch.zeros(2, 22050)).shape
        torch.Size([2, 128, 44])
    """

    mel_basis: Tensor

    def __init__(
        self,
        sr: float = 22050,
        n_fft: int = 2048,
        win_length: int | None = None,
        n_mels: int = 128,
        hop_length: int = 512,
        window: WindowName = "hann",
        center: bool = True,
        pad_mode: str = "reflect",
        power: float = 2.0,
        htk: bool = False,
        fmin: float = 0.0,
        fmax: float | None = None,
        norm: float | None = 1,
        trainable_mel: bool = False,
        trainable_STFT: bool = False,
        verbose: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        self.stride, self.center, self.pad_mode = hop_length, center, pad_mode
        self.n_fft, self.power = n_fft, power
        self.trainable_mel, self.trainable_STFT = trainable_mel, trainable_STFT
        own: dict[str, Any] = {"n_fft": n_fft, "win_length": win_length, "hop_length": hop_length}
        own |= {"window": window, "center": center, "pad_mode": pad_mode, "sr": sr}
        own |= {"trainable": trainable_STFT, "output_format": "Magnitude", "verbose": verbose}
        self.stft = STFT(**own, **kwargs)
        with announced("Mel filter", verbose):
            basis = mel_basis(sr, n_fft, n_mels, fmin, fmax, htk, norm)
        if trainable_mel:
            self.register_parameter("mel_basis", nn.Parameter(basis))
        else:
            self.register_buffer("mel_basis", basis)

    def forward(self, x: Tensor) -> Tensor:
        """Give the mel spectrogram of audio.

        Args:
            x: Audio.

        Returns:
            The mel spectrogram.

        Raises:
            ParameterError: The audio is too short or of another shape.

        Shape:
            x: (time), (batch, time) or (batch, 1, time)
            returns: (batch, n_mels, frames)

        Example:
            >>> MelSpectrogram(n_fft=512, n_mels=40)(torch.zeros(1000)).shape
            torch.Size([1, 40, 2])
        """
        epsilon = EPSILON if self.trainable_STFT else 0.0
        return bands(self.stft, x, self.mel_basis, self.power, epsilon)


class MFCC(nn.Module):
    """Give mel-frequency cepstral coefficients, as `nnAudio.features.MFCC` does.

    Args:
        sr: Sample rate in Hz.
        n_mfcc: Number of coefficients.
        norm: "ortho" for an orthonormal cosine transform, None for the plain one.
        verbose: Whether to print how long the filters took.
        ref: Power that is 0 dB.
        amin: Smallest power that is told apart.
        top_db: Range below the peak of a clip, in dB; None for no limit.
        **kwargs: Further arguments of `MelSpectrogram`, such as n_fft, n_mels and hop_length.

    Raises:
        ParameterError: A parameter is out of range.

    Example:
        >>> MFCC()(torch.zeros(2, 22050)).shape
        torch.Size([2, 20, 44])

    References:
        [Davis1980] Comparison of parametric representations for monosyllabic word recognition,
        IEEE Trans. ASSP 28.
    """

    amin: Tensor
    ref: Tensor

    def __init__(
        self,
        sr: float = 22050,
        n_mfcc: int = 20,
        norm: str | None = "ortho",
        verbose: bool = False,
        ref: float = 1.0,
        amin: float = 1e-10,
        top_db: float | None = 80.0,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        if not amin > 0:
            raise ParameterError(f"amin={amin!r} must be above 0")
        if top_db is not None and top_db < 0:
            raise ParameterError(f"top_db={top_db!r} must be at least 0, or None for no limit")
        if norm not in ("ortho", None):
            raise ParameterError(f"norm={norm!r} must be 'ortho' or None")
        self.melspec_layer = MelSpectrogram(sr=sr, verbose=verbose, **kwargs)
        self.n_mfcc = self.m_mfcc = positive_int("n_mfcc", n_mfcc)
        self.norm, self.top_db = norm, top_db
        self.register_buffer("amin", torch.tensor([amin]))
        self.register_buffer("ref", torch.tensor([ref]).abs())
        rows = len(self.melspec_layer.mel_basis)
        self._cosines = Constant(_cosine_transform(min(n_mfcc, rows), rows, norm == "ortho"))

    def forward(self, x: Tensor) -> Tensor:
        """Give the cepstral coefficients of audio.

        Args:
            x: Audio.

        Returns:
            The coefficients.

        Raises:
            ParameterError: The audio is too short or of another shape.

        Shape:
            x: (time), (batch, time) or (batch, 1, time)
            returns: (batch, n_mfcc, frames)

        Example:
            >>> MFCC(n_mfcc=13, n_fft=512, n_mels=40)(torch.zeros(1000)).shape
            torch.Size([1, 13, 2])
        """
        power = self.melspec_layer(x)
        amin, ref = self.amin.to(power), self.ref.to(power)
        level = 10 * torch.maximum(power, amin).log10() - 10 * torch.maximum(amin, ref).log10()
        if self.top_db is not None:
            peak = level.amax((1, 2), keepdim=True)
            level = torch.maximum(level, peak - self.top_db)
        return self._cosines(level).to(level.dtype) @ level


def mel_basis(
    sr: float,
    n_fft: int,
    n_mels: int,
    fmin: float,
    fmax: float | None,
    htk: bool,
    norm: float | None,
) -> Tensor:
    """Build the mel filters in float32.

    Args:
        sr: Sample rate in Hz.
        n_fft: Samples of a frame.
        n_mels: Number of mel bands.
        fmin: Where the lowest band starts, in Hz.
        fmax: Where the highest band ends, in Hz; half the sample rate if None.
        htk: Whether the mel scale is that of HTK instead of Slaney's.
        norm: 1 for bands of equal area; None or infinity for bands of height 1.

    Returns:
        The filters.

    Raises:
        ParameterError: A parameter is out of range.

    Shape:
        returns: (n_mels, n_fft // 2 + 1)

    Example:
        >>> mel_basis(22050, 2048, 40, 0.0, None, False, 1).shape
        torch.Size([40, 1025])
    """
    if norm not in (None, 1, math.inf):
        raise ParameterError(f"norm={norm!r} must be 1 (bands of equal area) or None")
    scale = "slaney" if norm == 1 else None
    bank = mel_filter_bank(
        sample_rate=sr, n_fft=n_fft, n_mels=n_mels, fmin=fmin, fmax=fmax, htk=htk, norm=scale
    )
    return bank.float()


def _cosine_transform(rows: int, size: int, ortho: bool) -> Tensor:
    """Give the first rows of the cosine transform of type II: 2 cos(pi k (2 n + 1) / (2 size))."""
    order = torch.arange(rows, dtype=torch.float64)[:, None]
    place = 2 * torch.arange(size, dtype=torch.float64) + 1
    matrix = 2 * torch.cos(math.pi * order * place / (2 * size))
    if ortho:
        matrix *= math.sqrt(0.5 / size)
        matrix[0] *= math.sqrt(0.5)
    return matrix
