"""The kernels of nnAudio's constant-Q transforms, and the filters before them.

Bin k has the frequency f_k = fmin 2^(k / b) with b bins per octave, and a kernel of

    L_k = ceil(Q sr / (f_k + gamma / alpha)),    alpha = 2^(1/b) - 1,    Q = filter_scale / alpha

samples: a window times exp(2 pi i f_k n / sr), scaled to a norm of 1 and centred in a frame whose
length is a power of two. (librosa's Q is 3 % larger and its L_k are no whole numbers.)

References:
    [Brown1992] An efficient algorithm for the calculation of a constant Q transform, JASA 92.
    [Schoerkhuber2010] Constant-Q transform toolbox for music processing, SMC.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from unweave._core.arrays import NumpyArray
from unweave._core.checks import positive_int
from unweave.compat.nnaudio._windows import WindowName, scipy_window, symmetric_cosine_sum
from unweave.errors import ParameterError

LOWPASS_TAPS = 256
_HANN_BANDWIDTH = 1.5  # of a main lobe, in bins


class AsManyAsFit(int):
    """A default number of bins, of which those above the Nyquist frequency are left out.

    Example:
        >>> AsManyAsFit(84)
        84
    """


@dataclass(frozen=True)
class Bank:
    """What the kernels of a constant-Q transform are made of.

    Args:
        sr: Sample rate in Hz.
        fmin: Lowest frequency in Hz.
        n_bins: Number of bins.
        bins_per_octave: Bins of an octave.
        filter_scale: Length of the kernels relative to that of ordinary ones.
        norm: Norm that is 1 for every kernel: 1, 2 or infinity; 0 or None leaves them as they are.
        window: Window of the kernels, by its name in scipy; ("gaussian", dB) gives the attenuation
            at its ends.
        gamma: What makes low kernels shorter, in Hz; 0 is constant Q.
    """

    sr: float
    fmin: float
    n_bins: int
    bins_per_octave: int
    filter_scale: float = 1.0
    norm: float | None = 1
    window: WindowName = "hann"
    gamma: float = 0.0

    @property
    def quality(self) -> float:
        """Centre frequency over bandwidth."""
        return float(self.filter_scale) / (2 ** (1 / self.bins_per_octave) - 1)

    @property
    def frequencies(self) -> NumpyArray:
        """Centre frequencies of the bins in Hz."""
        return self.fmin * 2.0 ** (np.arange(self.n_bins) / float(self.bins_per_octave))

    @property
    def lengths(self) -> NumpyArray:
        """Samples of each kernel: whole numbers in float64."""
        alpha = 2.0 ** (1.0 / self.bins_per_octave) - 1.0
        lengths: NumpyArray = self.quality * self.sr / (self.frequencies + self.gamma / alpha)
        return np.ceil(lengths)

    @property
    def width(self) -> int:
        """Samples of the frames that the kernels are centred in."""
        return int(2 ** np.ceil(np.log2(self.lengths.max())))

    def kernels(self) -> NumpyArray:
        """Build the kernels in complex64, of shape (n_bins, width)."""
        width = self.width
        kernels = np.zeros((self.n_bins, width), dtype=np.complex64)
        for row, frequency, samples in zip(kernels, self.frequencies, self.lengths, strict=True):
            size = int(samples)
            first = -size // 2
            turns = np.arange(first, first + size) * 1j * 2 * np.pi * frequency / self.sr
            wave = self._window(size) * np.exp(turns) / size
            if self.norm:
                wave = wave / np.linalg.norm(wave, self.norm)
            row[width // 2 + first : width // 2 + first + size] = wave
        return kernels

    def _window(self, size: int) -> NumpyArray:
        if isinstance(self.window, tuple) and self.window[0] == "gaussian":
            decay = math.log(10.0 ** (-float(self.window[1]) / 20.0))
            return scipy_window(("gaussian", math.floor(-size / 2 / math.sqrt(-2 * decay))), size)
        return scipy_window(self.window, size)


def checked_bank(bank: Bank, fmax: float | None, n_bins: int | None) -> Bank:
    """Settle the number of bins, and make sure that all are below the Nyquist frequency.

    Args:
        bank: What the kernels are made of, apart from the number of bins.
        fmax: Where the frequencies end, in Hz; decides the number of bins if given.
        n_bins: Number of bins.

    Returns:
        The bank with its number of bins.

    Raises:
        ParameterError: A parameter is out of range, or a bin is above the Nyquist frequency.

    Example:
        >>> checked_bank(Bank(22050, 220, 0, 12), fmax=None, n_bins=AsManyAsFit(84)).n_bins
        68
    """
    positive_int("bins_per_octave", bank.bins_per_octave)
    for name in ("sr", "fmin", "filter_scale"):
        if not getattr(bank, name) > 0:
            raise ParameterError(f"{name}={getattr(bank, name)!r} must be above 0")
    if bank.gamma < 0:
        raise ParameterError(f"gamma={bank.gamma!r} must be at least 0")
    fitting = math.floor(bank.bins_per_octave * math.log2(bank.sr / 2 / bank.fmin) + 1e-9) + 1
    if fmax is not None:
        if fmax <= bank.fmin:
            raise ParameterError(f"fmax={fmax} Hz must be above fmin={bank.fmin} Hz")
        n_bins = int(np.ceil(bank.bins_per_octave * np.log2(fmax / bank.fmin)))
    elif n_bins is None:
        raise ParameterError("n_bins=None needs fmax: give either of them")
    elif isinstance(n_bins, AsManyAsFit):
        n_bins = min(int(n_bins), max(1, fitting))
    bank = replace(bank, n_bins=positive_int("n_bins", n_bins))
    top = bank.frequencies[-1]
    if top > bank.sr / 2:
        raise ParameterError(
            f"the top bin, of {top:.1f} Hz, is above the Nyquist frequency of {bank.sr / 2:.1f} Hz:"
            f" from fmin={bank.fmin} Hz on, at most {max(fitting, 0)} bins fit"
        )
    return bank


def split(kernels: NumpyArray) -> tuple[Tensor, Tensor]:
    """Give the real and the imaginary part of kernels as tensors.

    Args:
        kernels: Complex kernels.

    Returns:
        Both parts, contiguous.

    Example:
        >>> split(np.array([1 + 2j], dtype=np.complex64))
        (tensor([1.]), tensor([2.]))
    """
    real, imag = (np.ascontiguousarray(part) for part in (kernels.real, kernels.imag))
    return torch.from_numpy(real), torch.from_numpy(imag)


def lowpass_filter(cutoff: float, transition: float) -> Tensor:
    """Design a low-pass filter of 256 taps by sampling the frequency response.

    The response is 1 up to cutoff / (1 + transition) and 0 from cutoff * (1 + transition) on, with
    a straight line between. It is sampled at 257 frequencies, given the delay of half the length,
    transformed back, and weighted by a Hamming window.

    Args:
        cutoff: Middle of the transition, as a share of the Nyquist frequency.
        transition: Half the width of the transition, as a share of the cutoff.

    Returns:
        The taps in float32.

    Shape:
        returns: (1, 1, 256)

    Example:
        >>> round(float(lowpass_filter(0.5, 0.001).sum()), 3)
        1.0
    """
    places = np.linspace(0.0, 1.0, LOWPASS_TAPS + 1)
    corners = [0.0, cutoff / (1 + transition), cutoff * (1 + transition), 1.0]
    response = np.interp(places, corners, [1.0, 1.0, 0.0, 0.0])
    delay = np.exp(-1j * np.pi * places * (LOWPASS_TAPS - 1) / 2)
    taps = np.fft.irfft(response * delay)[:LOWPASS_TAPS]
    taps *= symmetric_cosine_sum("hamming", LOWPASS_TAPS)
    return torch.from_numpy(taps.astype(np.float32))[None, None]


@dataclass(frozen=True)
class Octaves:
    """How a constant-Q transform is cut into octaves of one another's half rate.

    Args:
        bank: The kernels of the top octave, at the rate after the early downsampling.
        count: Number of octaves.
        factor: Early downsampling: 1, or a power of two.
    """

    bank: Bank
    count: int
    factor: int


def octaves(bank: Bank, hop_length: int, early: bool) -> Octaves:
    """Plan the octaves of a constant-Q transform.

    Args:
        bank: All the bins at the rate of the signal.
        hop_length: Samples from one frame to the next.
        early: Whether to lower the rate at once as far as the top bin allows.

    Returns:
        The plan.

    Example:
        >>> octaves(Bank(22050, 32.7, 24, 12), 512, early=True).factor
        32
    """
    hop_length = positive_int("hop_length", hop_length)
    per_octave = bank.bins_per_octave
    count = -(-bank.n_bins // per_octave)
    last = (bank.n_bins - 1) % per_octave  # place of the top bin in an octave that starts at fmin
    top = bank.fmin * 2 ** (count - 1) * 2 ** (last / per_octave)
    factor = 1
    if early:
        cutoff = top * (1 + 0.5 * _HANN_BANDWIDTH / bank.quality)
        room = math.ceil(math.log2(0.85 * (bank.sr // 2) / cutoff)) - 2
        factor = 2 ** max(0, min(room, math.ceil(math.log2(hop_length)) - count + 1))
    lowest = top / 2 ** (1 - 1 / per_octave) if bank.n_bins >= per_octave else bank.fmin
    bins = min(per_octave, bank.n_bins)
    rate = bank.sr / factor
    return Octaves(replace(bank, sr=rate, fmin=lowest, n_bins=bins), count, factor)
