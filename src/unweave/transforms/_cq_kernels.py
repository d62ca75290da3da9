"""The filters of constant-Q and variable-Q transforms, in NumPy and float64.

Bin k of b bins an octave lies at f_k = fmin 2^(k / b). Its filter is a complex sinusoid under a
window of L_k = Q fs / (f_k + gamma / alpha) samples, alpha = (r^2 - 1) / (r^2 + 1) and r = 2^(1/b);
Q = filter_scale / alpha, so that neighbours of neighbours just touch. gamma in Hz widens the low
filters; where it is not 0 the Q is variable [Schoerkhuber2014].

librosa does not use these filters themselves but their spectra, cast to complex64, without negative
frequencies and without the smallest magnitudes that make up 1 % of each filter (`sparsity`). What
results is again a filter in time, as long as the transform, and that is what is used here.

References:
    [Schoerkhuber2014] A Matlab toolbox for efficient perfect reconstruction time-frequency
    transforms with log-frequency resolution, AES 53rd International Conference.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from numbers import Real
from typing import cast

import numpy as np

from unweave._core.arrays import NumpyArray
from unweave._core.checks import non_negative, positive_int
from unweave._core.windows import get_window
from unweave.errors import ParameterError

WindowName = str | tuple[str, float]
C1 = 440.0 * 2.0 ** (-45 / 12)  # 32.703 Hz


@dataclass(frozen=True)
class Bins:
    """The bins of a transform: where they lie and how their filters are shaped.

    Args:
        sample_rate: Rate of the audio in Hz.
        fmin: Centre of the lowest bin in Hz, before tuning; C1 where it is None.
        n_bins: Number of bins.
        bins_per_octave: Bins in an octave.
        tuning: Shift of all bins, in bins.
        filter_scale: Factor on the lengths of all filters.
        gamma: Widening in Hz; 0 for constant Q, None for a fraction of the ear's bandwidths.
        norm: Order of the vector norm that is made 1 of each filter; None leaves them.
        sparsity: Part of the sum of magnitudes that is cut from each filter's spectrum.
        window: Name of the window of the filters.
    """

    sample_rate: float
    fmin: float | None
    n_bins: int
    bins_per_octave: int
    tuning: float = 0.0
    filter_scale: float = 1.0
    gamma: float | None = 0.0
    norm: float | None = 1.0
    sparsity: float = 0.01
    window: WindowName = "hann"

    @property
    def lowest(self) -> float:
        """Centre of the lowest bin in Hz."""
        fmin = C1 if self.fmin is None else self.fmin
        return float(fmin * 2.0 ** (self.tuning / self.bins_per_octave))

    @property
    def frequencies(self) -> NumpyArray:
        """Centres of the bins in Hz."""
        out: NumpyArray = self.lowest * 2.0 ** (np.arange(self.n_bins) / self.bins_per_octave)
        return out

    @property
    def alpha(self) -> float:
        """Bandwidth of a filter of constant Q over its frequency, with `filter_scale` 1."""
        square: float = 2.0 ** (2 / self.bins_per_octave)
        return (square - 1) / (square + 1)

    @property
    def widening(self) -> float:
        """`gamma` in Hz, that of the ear's bandwidths 24.7 + 0.108 f included."""
        return self.alpha * 24.7 / 0.108 if self.gamma is None else self.gamma

    @property
    def lengths(self) -> NumpyArray:
        """Lengths of the filters in (fractional) samples."""
        quality = self.filter_scale / self.alpha
        return quality * self.sample_rate / (self.frequencies + self.widening / self.alpha)

    @property
    def cutoff(self) -> float:
        """Highest frequency in Hz that a filter passes within 3 dB."""
        width = 0.5 * _noise_bandwidth(self.window) * self.alpha / self.filter_scale
        return float(self.frequencies[-1]) * (1 + width) + 0.5 * self.widening

    def at_rate(self, sample_rate: float) -> Bins:
        """Give the same bins for audio of another rate."""
        return replace(self, sample_rate=sample_rate)


def check_bins(bins: Bins) -> None:
    """Raise where numbers make no sense or the highest filter exceeds half the sample rate.

    Args:
        bins: The bins of a transform.

    Raises:
        ParameterError: A parameter is out of range, or there are too many bins: the text names the
            number that fits.
    """
    positive_int("n_bins", bins.n_bins)
    positive_int("bins_per_octave", bins.bins_per_octave)
    for name in ("sample_rate", "fmin", "filter_scale"):
        value = getattr(bins, name)
        if not (name == "fmin" and value is None) and non_negative(name, value) == 0:
            raise ParameterError(f"{name}={value!r} must be above 0")
    if bins.gamma is not None:
        non_negative("gamma", bins.gamma)
    if non_negative("sparsity", bins.sparsity) >= 1:
        raise ParameterError(f"sparsity={bins.sparsity!r} must be below 1")
    tuning, order, window = cast("tuple[object, ...]", (bins.tuning, bins.norm, bins.window))
    if not isinstance(tuning, Real) or not math.isfinite(tuning):
        raise ParameterError(f"tuning={tuning!r} must be a number of bins, such as 0.25")
    if order is not None and (not isinstance(order, Real) or -math.inf < float(order) < 0):
        raise ParameterError(f"norm={order!r} must be None, 0, positive or infinite")
    if not isinstance(window, str | tuple):
        raise ParameterError("window must be a name or a pair such as ('kaiser', 8.0)")
    _check_top(bins)


@lru_cache(maxsize=64)
def _check_top(bins: Bins) -> None:
    nyquist = bins.sample_rate / 2
    if bins.cutoff <= nyquist:
        return
    fits = bins.n_bins - 1
    while fits > 0 and replace(bins, n_bins=fits).cutoff > nyquist:
        fits -= 1
    advice = f"use n_bins={fits} or less" if fits else "use a lower fmin"
    raise ParameterError(
        f"n_bins={bins.n_bins} from {bins.lowest:.5g} Hz reach {bins.cutoff:.0f} Hz, above half of"
        f" sample_rate={bins.sample_rate:g} Hz: {advice}, or audio of a higher rate"
    )


def wavelets(frequencies: NumpyArray, lengths: NumpyArray, bins: Bins, n_fft: int) -> NumpyArray:
    """Build windowed complex sinusoids, each in the middle of `n_fft` samples.

    Args:
        frequencies: Centres in Hz.
        lengths: Lengths in samples; they need not be whole.
        bins: Gives the sample rate, the window and the norm.
        n_fft: Samples of each row.

    Returns:
        The filters, complex128, of shape (frequencies, n_fft).
    """
    out = np.zeros((len(frequencies), n_fft), dtype=np.complex128)
    for row, frequency, length in zip(out, frequencies, lengths, strict=True):
        turns = np.arange(-length // 2, length // 2) * (frequency / bins.sample_rate)
        wave = np.exp(2j * np.pi * turns) * get_window(bins.window, len(turns)).numpy()
        start = (n_fft - len(turns)) // 2
        row[start : start + len(turns)] = wave / _norm(np.abs(wave), bins.norm)
    return out


def sparse_spectra(filters: NumpyArray, sparsity: float) -> NumpyArray:
    """Transform filters and cut the smallest magnitudes, in single precision as librosa does.

    Args:
        filters: Filters in time, complex64.
        sparsity: Part of the sum of each spectrum's magnitudes to cut.

    Returns:
        Spectra of the frequencies from 0 to Nyquist, complex64.
    """
    spectra = np.fft.fft(filters)[:, : filters.shape[1] // 2 + 1].astype(np.complex64)
    magnitudes = np.abs(spectra)
    ordered = np.sort(magnitudes, axis=1)
    share = np.cumsum(ordered / magnitudes.sum(axis=1, keepdims=True), axis=1)
    first = np.argmin(share < sparsity, axis=1)
    threshold = np.take_along_axis(ordered, first[:, None], axis=1)
    spectra[magnitudes < threshold] = 0
    return spectra


def filter_spectra(bins: Bins, choice: slice, sample_rate: float, least: int = 1) -> NumpyArray:
    """Give the spectra of some bins' filters, each as large as its filter is long.

    Args:
        bins: All bins of the transform.
        choice: Those wanted.
        sample_rate: Rate in Hz of the signal to analyse.
        least: Fewest samples of a frame.

    Returns:
        Spectra, complex64, of shape (bins, n_fft // 2 + 1) where n_fft is the power of two that
        holds the longest filter and `least`.
    """
    scaled = bins.at_rate(sample_rate)
    frequencies, lengths = scaled.frequencies[choice], scaled.lengths[choice]
    n_fft = power_of_two([*lengths, least])
    filters = wavelets(frequencies, lengths, scaled, n_fft).astype(np.complex64)
    filters *= (lengths / n_fft)[:, None]
    return sparse_spectra(filters, bins.sparsity)


def responses(bins: Bins, choice: slice, sample_rate: float) -> NumpyArray:
    """Give the filters of some bins as librosa applies them, turned back into time.

    The product of a frame with a row, summed, is the bin's value, not yet scaled: that of the
    filter normalised to `norm`, times its length.

    Args:
        bins: All bins of the transform.
        choice: Those wanted.
        sample_rate: Rate in Hz of the signal to analyse.

    Returns:
        Filters in time, complex128, of shape (bins, n_fft).
    """
    spectra = filter_spectra(bins, choice, sample_rate).astype(np.complex128)
    # sum_k B[k] X[k] = sum_n x[n] g[n] with g[n] = sum_k B[k] exp(-2 pi i k n / n_fft)
    out: NumpyArray = np.fft.fft(spectra, 2 * (spectra.shape[1] - 1))
    return out


def power_of_two(lengths: NumpyArray | Sequence[float]) -> int:
    """Give the smallest power of two that holds filters of these lengths."""
    return int(2 ** math.ceil(math.log2(max(lengths))))


def _norm(magnitudes: NumpyArray, order: float | None) -> float:
    if order is None:
        return 1.0
    if order == 0:
        size = float((magnitudes > 0).sum())
    elif math.isinf(order):
        size = float(magnitudes.max() if order > 0 else magnitudes.min())
    else:
        size = float((magnitudes**order).sum() ** (1 / order))
    return size if size > np.finfo(np.float64).tiny else 1.0


@lru_cache(maxsize=16)
def _noise_bandwidth(window: WindowName) -> float:
    """Give a window's equivalent noise bandwidth in bins, measured as librosa's table was."""
    samples = get_window(window, 8192)
    return float(8193 * samples.square().sum() / samples.sum().square())
