"""Spectra of frames at any frequencies, fast: a longer FFT, and a few of its bins for each.

The spectrum of a frame y of N samples at the frequency f (cycles per sample) is

    X(f) = sum over n < N of y[n] exp(-2 pi i f n).

The FFT of the frame, divided by s and lengthened by zeros to M samples, holds X on the grid j / M.
A few neighbours weighted by the Kaiser-Bessel kernel phi give X between them, where s[n] is the
Fourier transform of phi at (n - N / 2) / M [Fessler2003]:

    X(f) = sum over |f M - j| < J / 2 of phi(f M - j) exp(-pi i (f - j / M) N) F[j].

Neighbouring frequencies share most of their bins, so each group of them is one small matrix
product. Where there are few frequencies, one product with their cosines and sines is faster.

References:
    [Fessler2003] Nonuniform fast Fourier transforms using min-max interpolation, IEEE Trans. SP 51.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from unweave._core.arrays import NumpyArray
from unweave._core.constants import Constant
from unweave._core.fourier import rfft
from unweave.transforms._bank import product
from unweave.transforms._scale import Scale

# (bins that are weighted, least M / N): errors of 4e-7 and 3e-13 of the largest X, whatever the
# window; more of either would be slower, and a smaller M / N would magnify rounding errors. M is a
# power of two, which every runtime that a model may be exported to transforms exactly.
_FINE = {torch.float32: (10, 1.5), torch.float64: (20, 2.0)}
_GROUP = 64  # the most frequencies of a group, and bins of the longer FFT that it reads
_FFT_COST = 7.0  # multiplications that take as long as one step of an FFT of M log2(M) steps


class Spectra:
    """Transform frames at given frequencies.

    Args:
        scale: The frequencies.
        dtype: The real dtype whose precision is wanted.
    """

    def __init__(self, scale: Scale, dtype: torch.dtype) -> None:
        n_fft, turns = scale.n_fft, scale.frequencies().numpy()
        taps, least = _FINE[dtype]
        self.size = 1 << (math.ceil(least * n_fft) - 1).bit_length()
        steps = _FFT_COST * self.size * math.log2(self.size)
        self._dense = Constant(basis_at(turns, n_fft)) if 2 * len(turns) * n_fft < steps else None
        self._groups: list[tuple[slice, Constant]] = []
        if self._dense is None:
            kernel = _Kernel(n_fft, self.size, taps)
            self._correction = Constant(torch.from_numpy(1 / kernel.transform()))
            self._groups = [_group(turns[part], kernel) for part in _parts(turns, kernel)]

    def __call__(self, frames: Tensor, window: Tensor) -> Tensor:
        """Give the complex spectra (..., bins) of frames (..., n_fft) that are weighted here."""
        if self._dense is not None:
            out = product(frames * window, self._dense(frames).flatten(0, 1).T)
            return torch.complex(*out.chunk(2, -1))
        frames = frames * (window * self._correction(frames))
        grid = torch.view_as_real(rfft(frames, self.size))
        parts = [
            product(grid[..., bins, :].flatten(-2), weights(frames))
            for bins, weights in self._groups
        ]
        return torch.view_as_complex(torch.cat(parts, -1).reshape(*frames.shape[:-1], -1, 2))

    def adjoint(self, spectra: Tensor, window: Tensor) -> Tensor:
        """Give the real frames (..., n_fft) that the transposed operation makes of spectra."""
        pairs = torch.view_as_real(spectra)
        if self._dense is not None:
            flat = pairs.mT.flatten(-2)
            return product(flat, self._dense(window).flatten(0, 1)) * window
        grid = pairs.new_zeros(*spectra.shape[:-1], self.size // 2 + 1, 2)
        start = 0
        for bins, weights in self._groups:
            matrix = weights(window)
            count = matrix.shape[1] // 2
            part = pairs[..., start : start + count, :].flatten(-2)
            grid[..., bins, :] += product(part, matrix.T).reshape(*part.shape[:-1], -1, 2)
            start += count
        grid[..., 1:-1, :] *= 0.5  # `irfft` counts the inner bins twice
        whole = torch.view_as_complex(grid)
        frames: Tensor = torch.fft.irfft(whole, self.size, norm="forward")[..., : len(window)]
        return frames * (window * self._correction(window))


class Frequencies:
    """What transforms and least squares at the frequencies of a scale need, built in advance."""

    reads: tuple[Tensor, ...] = ()

    def __init__(self, scale: Scale) -> None:
        self._made = {dtype: Spectra(scale, dtype) for dtype in _FINE}
        self._widths = Constant(scale.widths())
        # A' D A adds up D cos(2 pi f (n - m)): it convolves the weighted frame with these sums.
        n_fft = scale.n_fft
        ones = torch.ones(n_fft, dtype=torch.float64)
        widths = torch.complex(scale.widths(), torch.zeros(scale.bins, dtype=torch.float64))
        sums = self._made[torch.float64].adjoint(widths, ones)
        sums = torch.cat([sums, sums.new_zeros(1), sums[1:].flip(0)])
        self._response = Constant(torch.fft.rfft(sums).real.contiguous())

    def spectra(self, frames: Tensor, window: Tensor) -> Tensor:
        """Give the complex spectra (..., bins) of frames (..., n_fft) that are weighted here."""
        return self._made[frames.dtype](frames, window)

    def adjoint(self, spectra: Tensor, window: Tensor) -> Tensor:
        """Give A' D X: frames (..., n_fft) of spectra that are weighted by their widths here."""
        return self._made[window.dtype].adjoint(spectra * self._widths(window), window)

    def normal(self, window: Tensor) -> Callable[[Tensor], Tensor]:
        """Give what turns frames (..., n_fft) into A' D A x."""
        n_fft, response = len(window), self._response(window)

        def work(frames: Tensor) -> Tensor:
            spectra = torch.fft.rfft(frames * window, 2 * n_fft) * response
            out: Tensor = torch.fft.irfft(spectra, 2 * n_fft)[..., :n_fft]
            return out * window

        return work


@lru_cache(maxsize=16)
def frequencies(scale: Scale) -> Frequencies:
    """Give the transforms at the frequencies of a scale, built once.

    Example:
        >>> made = frequencies(Scale("linear", 2, 4, (0.0, 0.5)))
        >>> made.spectra(torch.ones(1, 4), torch.ones(4)).abs().round(decimals=3)
        tensor([[4., 0.]])
    """
    with torch.inference_mode(False):
        return Frequencies(scale)


def basis_at(turns: NumpyArray, n_fft: int) -> Tensor:
    """Give cosines and negative sines, float64, of shape (2, bins, n_fft)."""
    time = np.arange(n_fft)
    cycles = np.outer(turns, time)
    angles = 2 * np.pi * (cycles - np.rint(cycles))  # whole turns would only cost precision
    return torch.from_numpy(np.stack([np.cos(angles), -np.sin(angles)]))


class _Kernel:
    """The Kaiser-Bessel kernel over `taps` bins of an FFT of `size` samples."""

    def __init__(self, n_fft: int, size: int, taps: int) -> None:
        self.n_fft, self.size, self.taps = n_fft, size, taps
        ratio = size / n_fft
        self.beta = math.pi * math.sqrt((taps / ratio) ** 2 * (ratio - 0.5) ** 2 - 0.8)

    def __call__(self, distance: NumpyArray) -> NumpyArray:
        inside = np.maximum(0.0, 1 - (2 * distance / self.taps) ** 2)
        out: NumpyArray = np.where(inside > 0, np.i0(self.beta * np.sqrt(inside)), 0.0)
        return out

    def transform(self) -> NumpyArray:
        """Give the Fourier transform of the kernel at the samples of a frame."""
        time = np.arange(self.n_fft) - self.n_fft / 2
        root = np.sqrt(self.beta**2 - (np.pi * self.taps * time / self.size) ** 2 + 0j)
        # sinh(z) / z, and its limit where z vanishes.
        out = np.where(root == 0, 1.0, np.sinh(root) / np.where(root == 0, 1.0, root))
        return self.taps * out.real

    def first(self, turns: NumpyArray) -> NumpyArray:
        """Give the lowest bin that each frequency reads; it may be negative."""
        return np.ceil(turns * self.size - self.taps / 2).astype(int)


def _parts(turns: NumpyArray, kernel: _Kernel) -> list[slice]:
    """Cut frequencies into groups that read few bins."""
    first, parts, start = kernel.first(turns), [], 0
    for stop in range(1, len(turns) + 1):
        if (
            stop == len(turns)
            or stop - start == _GROUP
            or first[stop] + kernel.taps - first[start] > _GROUP
        ):
            parts.append(slice(start, stop))
            start = stop
    return parts


def _group(turns: NumpyArray, kernel: _Kernel) -> tuple[slice, Constant]:
    """Give the bins that some frequencies read, and the matrix from them to the spectra.

    Both are pairs of real and imaginary parts. Bins below 0 and above M / 2 are the conjugates of
    those mirrored there.
    """
    size = kernel.size
    bins = np.arange(kernel.first(turns)[0], kernel.first(turns)[-1] + kernel.taps)
    distance = turns[:, None] * size - bins
    shift = np.exp(-1j * np.pi * kernel.n_fft / size * distance)
    weights = kernel(distance) * shift
    place = bins % size
    mirrored = place > size // 2
    place = np.where(mirrored, size - place, place)
    low, high = place.min(), place.max() + 1
    out = np.zeros((high - low, 2, len(turns), 2))
    sign = np.where(mirrored, -1.0, 1.0)[:, None]
    np.add.at(out[:, 0, :, 0], place - low, weights.real.T)
    np.add.at(out[:, 0, :, 1], place - low, weights.imag.T)
    np.add.at(out[:, 1, :, 0], place - low, -sign * weights.imag.T)
    np.add.at(out[:, 1, :, 1], place - low, sign * weights.real.T)
    matrix = torch.from_numpy(out.reshape(2 * (high - low), 2 * len(turns)))
    return slice(int(low), int(high)), Constant(matrix)
