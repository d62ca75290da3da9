"""The mel scale, and the triangular filters that are spaced evenly on it."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from unweave._core.checks import non_negative, positive_int
from unweave.errors import ParameterError
from unweave.transforms._bank import Bank

Norm = str | float | None

_HERTZ_PER_MEL = 200 / 3  # below 1000 Hz, where Slaney's scale is linear
_KNEE = 1000 / _HERTZ_PER_MEL
_LOG_STEP = math.log(6.4) / 27  # above: 27 mels for a factor of 6.4


def mel_frequencies(
    n_mels: int = 128, *, fmin: float = 0.0, fmax: float, htk: bool = False
) -> Tensor:
    """Give frequencies that are evenly spaced on the mel scale of pitch.

    Args:
        n_mels: Number of frequencies.
        fmin: The lowest, in hertz.
        fmax: The highest, in hertz.
        htk: Whether the scale is that of HTK, logarithmic in 1 + f / 700 Hz. Otherwise it is that
            of Slaney's Auditory Toolbox, linear up to 1000 Hz and logarithmic above.

    Returns:
        The frequencies in hertz, in float64.

    Raises:
        ParameterError: A parameter is out of range.

    Shape:
        returns: (n_mels,)

    Example:
        >>> mel_frequencies(5, fmax=8000).round(decimals=1)
        tensor([   0.0000,  754.1000, 1688.9000, 3675.8000, 8000.0000],
               dtype=torch.float64)

    References:
        [Slaney1998] Auditory Toolbox: a MATLAB toolbox for auditory modeling work, Interval.
        [Young2006] The HTK Book, section 5.4.
    """
    n_mels = positive_int("n_mels", n_mels)
    fmin, fmax = non_negative("fmin", fmin), non_negative("fmax", fmax)
    low, high = _to_mel(fmin, htk), _to_mel(fmax, htk)
    return _to_hertz(torch.linspace(low, high, n_mels, dtype=torch.float64, device="cpu"), htk)


def mel_filter_bank(
    *,
    sample_rate: float,
    n_fft: int,
    n_mels: int = 128,
    fmin: float = 0.0,
    fmax: float | None = None,
    htk: bool = False,
    norm: Norm = "slaney",
) -> Tensor:
    """Give triangular filters, evenly spaced on the mel scale, over the bins of a spectrum.

    Each filter rises from the centre of the one below and falls to the centre of the one above. The
    bank equals librosa's.

    Args:
        sample_rate: Of the audio, in hertz.
        n_fft: Samples of a frame.
        n_mels: Number of filters.
        fmin: Where the lowest filter begins, in hertz.
        fmax: Where the highest filter ends, in hertz; half the sample rate if not given.
        htk: Whether the mel scale is HTK's instead of Slaney's; see `mel_frequencies`.
        norm: "slaney" gives each filter the area 1 over the frequencies, so that noise of even
            density gives even bands. A positive number p gives it the p-norm 1, infinity the peak
            1. None leaves triangles of height 1.

    Returns:
        The weights, in float64.

    Raises:
        ParameterError: A parameter is out of range.

    Shape:
        returns: (n_mels, n_fft // 2 + 1)

    Example:
        >>> bank = mel_filter_bank(sample_rate=22050, n_fft=2048, n_mels=40)
        >>> bank.shape, bool((bank >= 0).all())
        (torch.Size([40, 1025]), True)
    """
    return mel_bank(mel_bands(sample_rate, n_fft, n_mels, fmin, fmax, htk, norm)).copy()


@dataclass(frozen=True)
class MelBands:
    """The checked parameters of a mel filter bank, which name it in a cache.

    Args:
        sample_rate: Of the audio, in hertz.
        n_fft: Samples of a frame.
        n_mels: Number of filters.
        fmin: Where the lowest filter begins, in hertz.
        fmax: Where the highest filter ends, in hertz.
        htk: Whether the mel scale is HTK's.
        norm: How the filters are scaled.
    """

    sample_rate: float
    n_fft: int
    n_mels: int
    fmin: float
    fmax: float
    htk: bool
    norm: Norm

    def weights(self, shares: Tensor | None = None) -> Tensor:
        """Give the filters, differentiable by the shares that the filters have of the scale.

        Args:
            shares: Shares of the mel scale between neighbouring edges, in float64 where there is
                such; even ones if not given.

        Returns:
            The weights, in the dtype of the shares.

        Shape:
            shares: (n_mels + 1,)
            returns: (n_mels, n_fft // 2 + 1)
        """
        low, high = _to_mel(self.fmin, self.htk), _to_mel(self.fmax, self.htk)
        if shares is None:
            count = self.n_mels + 2
            mels = torch.linspace(low, high, count, dtype=torch.float64, device="cpu")
        else:
            mels = torch.cat([shares.new_zeros(1), shares.cumsum(0)]) * (high - low) + low
        edges = _to_hertz(mels, self.htk)
        bins = torch.arange(self.n_fft // 2 + 1, dtype=edges.dtype, device=edges.device)
        return _triangles(edges, bins * (self.sample_rate / self.n_fft), self.norm)


def mel_bands(
    sample_rate: float,
    n_fft: int,
    n_mels: int,
    fmin: float,
    fmax: float | None,
    htk: bool,
    norm: Norm,
) -> MelBands:
    """Check the parameters of a mel filter bank.

    Args:
        sample_rate: Of the audio, in hertz.
        n_fft: Samples of a frame.
        n_mels: Number of filters.
        fmin: Where the lowest filter begins, in hertz.
        fmax: Where the highest filter ends, in hertz.
        htk: Whether the mel scale is HTK's.
        norm: How the filters are scaled.

    Returns:
        The parameters.

    Raises:
        ParameterError: A parameter is out of range.

    Example:
        >>> mel_bands(16000, 512, 40, 0.0, None, False, "slaney").fmax
        8000.0
    """
    sample_rate, fmin, fmax = frequency_range(sample_rate, fmin, fmax)
    if not (norm is None or norm == "slaney" or (isinstance(norm, int | float) and norm > 0)):
        raise ParameterError(
            f"norm={norm!r} must be 'slaney', None, or a positive number (infinity included)"
        )
    n_fft, n_mels = positive_int("n_fft", n_fft), positive_int("n_mels", n_mels)
    return MelBands(sample_rate, n_fft, n_mels, fmin, fmax, bool(htk), norm)


def frequency_range(
    sample_rate: float, fmin: float, fmax: float | None
) -> tuple[float, float, float]:
    """Check a range of frequencies.

    Args:
        sample_rate: Of the audio, in hertz.
        fmin: The lowest frequency.
        fmax: The highest frequency; half the sample rate if not given.

    Returns:
        The three as floats.

    Raises:
        ParameterError: Not 0 <= fmin < fmax <= sample_rate / 2.

    Example:
        >>> frequency_range(44100, 20, None)
        (44100.0, 20.0, 22050.0)
    """
    sample_rate, fmin = non_negative("sample_rate", sample_rate), non_negative("fmin", fmin)
    if sample_rate == 0:
        raise ParameterError("sample_rate=0 must be a positive number of hertz")
    fmax = sample_rate / 2 if fmax is None else non_negative("fmax", fmax)
    if fmax > sample_rate / 2:
        raise ParameterError(
            f"fmax={fmax:g} Hz is above the Nyquist frequency: at sample_rate={sample_rate:g} it"
            f" can be at most {sample_rate / 2:g} (fmax=None means that)"
        )
    if fmin >= fmax:
        raise ParameterError(f"fmin={fmin:g} Hz must be below fmax={fmax:g} Hz")
    return sample_rate, fmin, fmax


@lru_cache(maxsize=32)
def mel_bank(bands: MelBands) -> Bank:
    """Build a bank, once for the same parameters.

    Args:
        bands: Checked parameters.

    Returns:
        The bank; warns where filters are so narrow that they miss every bin.

    Example:
        >>> mel_bank(mel_bands(16000, 512, 40, 0.0, None, False, None)).weights.values.shape
        torch.Size([40, 257])
    """
    with torch.inference_mode(False), torch.no_grad():
        weights = bands.weights()
    empty = int((weights == 0).all(1).sum())
    if empty:
        warnings.warn(
            f"{empty} of {bands.n_mels} mel filters lie between two bins and are always zero:"
            f" use fewer than n_mels={bands.n_mels}, a longer n_fft than {bands.n_fft}, or a"
            " higher fmax",
            stacklevel=4,
        )
    return Bank(weights)


def _triangles(edges: Tensor, bins: Tensor, norm: Norm) -> Tensor:
    """Give filter i, which rises from edge i to i + 1 and falls to i + 2, at all bins."""
    ramps = edges[:, None] - bins
    steps = edges.diff()[:, None]
    rising, falling = -ramps[:-2] / steps[:-1], ramps[2:] / steps[1:]
    weights = torch.minimum(rising, falling).clamp(min=0)
    if norm is None:
        return weights
    if isinstance(norm, str):
        return weights * (2 / (edges[2:] - edges[:-2]))[:, None]
    sizes = torch.linalg.vector_norm(weights, norm, dim=1, keepdim=True)
    return weights / torch.where(sizes == 0, 1.0, sizes)


def _to_mel(frequency: float, htk: bool) -> float:
    if htk:
        return 2595 * math.log10(1 + frequency / 700)
    if frequency < 1000:
        return frequency / _HERTZ_PER_MEL
    return _KNEE + math.log(frequency / 1000) / _LOG_STEP


def _to_hertz(mels: Tensor, htk: bool) -> Tensor:
    if htk:
        return 700 * (torch.exp(mels * (math.log(10) / 2595)) - 1)
    above = 1000 * torch.exp(_LOG_STEP * (mels - _KNEE))
    return torch.where(mels >= _KNEE, above, mels * _HERTZ_PER_MEL)
