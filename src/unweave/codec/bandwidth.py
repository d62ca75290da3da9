"""Bandwidth reduction: leave out the bins above a frequency, and make up for them afterwards."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from unweave._core.arrays import array_function
from unweave._core.checks import non_negative, positive_int
from unweave.errors import ParameterError

FILLS = ("zeros", "extend")
MAX_FREQUENCY = 16_000.0
_NEIGHBOURS = 32  # bins whose energy is continued above the cut
_SLOPE = 4.0  # how it falls: amplitude by the fourth power of frequency, 24 dB an octave


def kept_bins(*, n_fft: int, sample_rate: float, max_frequency: float | None) -> int:
    """Count the bins of a spectrum that lie at a frequency or below it.

    Args:
        n_fft: Samples of a frame.
        sample_rate: Samples per second.
        max_frequency: The highest frequency that is kept, in Hz; None keeps all.

    Returns:
        Number of bins, at least 1.

    Raises:
        ParameterError: A parameter is out of range.

    Example:
        >>> kept_bins(n_fft=2048, sample_rate=44100, max_frequency=16000)
        744
    """
    full = positive_int("n_fft", n_fft) // 2 + 1
    rate = non_negative("sample_rate", sample_rate)
    if rate == 0:
        raise ParameterError(f"sample_rate={sample_rate!r} must be a positive number")
    if max_frequency is None:
        return full
    highest = non_negative("max_frequency", max_frequency)
    return min(full, 1 + int(highest * n_fft / rate))


@array_function
def limit_bandwidth(
    S: Tensor,
    *,
    sample_rate: float,
    max_frequency: float | None = MAX_FREQUENCY,
    n_fft: int | None = None,
) -> Tensor:
    """Leave out the bins of a spectrogram above a frequency.

    Args:
        S: Spectrogram, real or complex.
        sample_rate: Samples per second.
        max_frequency: The highest frequency that is kept, in Hz; None keeps all.
        n_fft: Samples of a frame; 2 * (freq - 1) if not given.

    Returns:
        The lowest bins: a view of the spectrogram.

    Raises:
        ParameterError: A parameter is out of range.

    Shape:
        S: (..., freq, frames)
        returns: (..., bins, frames)

    Example:
        >>> limit_bandwidth(torch.zeros(2, 1025, 9), sample_rate=44100).shape
        torch.Size([2, 744, 9])
    """
    _check(S)
    n_fft = max(1, 2 * (S.shape[-2] - 1)) if n_fft is None else n_fft
    bins = kept_bins(n_fft=n_fft, sample_rate=sample_rate, max_frequency=max_frequency)
    return S[..., :bins, :]


@array_function
def restore_bandwidth(S: Tensor, *, freq_bins: int, fill: str = "zeros") -> Tensor:
    """Give a spectrogram all its bins again.

    Args:
        S: What `limit_bandwidth` left.
        freq_bins: Bins wanted, n_fft // 2 + 1.
        fill: What stands in the bins that were left out. "zeros": silence. "extend", for
            magnitudes: in every frame and channel, the root mean square of the 32 highest bins
            kept, falling from there with the fourth power of frequency (24 dB an octave).

    Returns:
        A new spectrogram; S itself where no bin is missing.

    Raises:
        ParameterError: `freq_bins` is less than S has, or a parameter is unknown.

    Shape:
        S: (..., bins, frames)
        returns: (..., freq_bins, frames)

    Example:
        >>> restore_bandwidth(torch.ones(2, 1), freq_bins=4, fill="extend").flatten()
        tensor([1.0000, 1.0000, 0.0625, 0.0123])
    """
    _check(S)
    if fill not in FILLS:
        raise ParameterError(f"fill={fill!r} must be one of {FILLS}")
    bins = S.shape[-2]
    missing = positive_int("freq_bins", freq_bins) - bins
    if missing < 0:
        raise ParameterError(f"freq_bins={freq_bins} must be at least the {bins} that S has")
    if missing == 0:
        return S
    if fill == "zeros":
        above = S.new_zeros(*S.shape[:-2], missing, S.shape[-1])
    else:
        above = extension(S, freq_bins)
    return torch.cat([S, above], -2)


def extension(S: Tensor, freq_bins: int) -> Tensor:
    """Give the bins above those of S that `restore_bandwidth` adds to extend it."""
    if not S.is_floating_point():
        raise ParameterError(f"fill='extend' continues magnitudes, not values of {S.dtype}")
    bins = S.shape[-2]
    top = S[..., -_NEIGHBOURS:, :]
    count = top.shape[-2]
    level = torch.linalg.vector_norm(top, dim=-2, keepdim=True) / math.sqrt(max(1, count))
    places = torch.arange(bins, freq_bins, device=S.device, dtype=S.dtype)
    falling: Tensor = ((bins - 1) / places).pow(_SLOPE)
    above: Tensor = level * falling[:, None]
    return above


class BandwidthLimit(nn.Module):
    """Hold the parameters of `limit_bandwidth` and its inverse.

    Args:
        n_fft: Samples of a frame.
        sample_rate: Samples per second.
        max_frequency: The highest frequency that is kept, in Hz; None keeps all.
        fill: What the inverse puts above it: "zeros" or "extend".

    Raises:
        ParameterError: A parameter is out of range.

    Example:
        >>> limit = BandwidthLimit(n_fft=2048, sample_rate=44100)
        >>> kept = limit(torch.rand(2, 1025, 9))
        >>> kept.shape, limit.inverse(kept).shape
        (torch.Size([2, 744, 9]), torch.Size([2, 1025, 9]))
    """

    def __init__(
        self,
        *,
        n_fft: int,
        sample_rate: float,
        max_frequency: float | None = MAX_FREQUENCY,
        fill: str = "zeros",
    ) -> None:
        super().__init__()
        self.bins = kept_bins(n_fft=n_fft, sample_rate=sample_rate, max_frequency=max_frequency)
        if fill not in FILLS:
            raise ParameterError(f"fill={fill!r} must be one of {FILLS}")
        self.freq_bins, self.fill = n_fft // 2 + 1, fill

    def forward(self, S: Tensor) -> Tensor:
        """Leave out the highest bins.

        Args:
            S: Spectrogram with all bins.

        Returns:
            A view of the lowest bins.

        Raises:
            ParameterError: The spectrogram has other bins than n_fft // 2 + 1.

        Shape:
            S: (..., freq, frames)
            returns: (..., bins, frames)
        """
        _check(S)
        if S.shape[-2] != self.freq_bins:
            raise ParameterError(f"S has {S.shape[-2]} bins and must have {self.freq_bins}")
        return S[..., : self.bins, :]

    def inverse(self, S: Tensor) -> Tensor:
        """Give all bins again.

        Args:
            S: What the layer left.

        Returns:
            A spectrogram with n_fft // 2 + 1 bins.

        Shape:
            S: (..., bins, frames)
            returns: (..., freq, frames)
        """
        return restore_bandwidth(S, freq_bins=self.freq_bins, fill=self.fill)


def _check(S: Tensor) -> None:
    if S.ndim < 2 or S.shape[-2] == 0:
        raise ParameterError(f"S of shape {tuple(S.shape)} must be (..., freq, frames)")
