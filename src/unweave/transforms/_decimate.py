"""Lowers the sample rate by a power of two with the very filters of soxr's quality HQ.

soxr, which librosa resamples with, filters with linear phase and takes the signal for silent beyond
its ends. A factor of 2 is one filter, a windowed sinc that passes 0.92 of the new Nyquist frequency
and stops at 0.997 of it:

    h[n] = c sinc(c n) kaiser(n; half, beta),   c = 0.478436,   |n| < half

Larger factors begin with cheap half-band filters, whose even taps but the middle one are zero, and
end with such a filter. What a half-band filter gives before the first sample is dropped, what it
gives behind the last is not. All numbers were found by least squares from soxr's responses to
impulses, which they match to 2e-7 of the peak.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from unweave._core.arrays import NumpyArray
from unweave._core.constants import Constant

_CUTOFF = 0.4784359
# factor: half-length and kaiser beta of the last filter
_LAST = {
    2: (194.5, 13.04004),
    4: (204.5, 13.71121),
    8: (210.5, 14.10419),
    16: (214.5, 14.38319),
    32: (216.5, 14.59968),
    64: (220.5, 14.77664),
    128: (222.5, 14.92630),
    256: (224.5, 15.05597),
    512: (224.5, 15.17037),
    1024: (226.5, 15.27260),
}
FACTORS = tuple(_LAST)
# Taps 1, 3, 5... of the half-band filters, for factors up to 8 and above; tap 0 is one half.
_HALF_BAND = (
    (0.31154654, -0.08734494, 0.03681444, -0.01518917, 0.00545409, -0.00156442, 3.1818e-4, -3.48e-5),
    (0.31227035, -0.08922154, 0.03913969, -0.01725053, 0.00685895, -0.00230453, 6.0963e-4, -1.132e-4, 1.118e-5),
)  # fmt: skip
_OUTPUTS = 64  # columns of a matrix: more of them cost zeros, fewer of them copies


@lru_cache(maxsize=16)
def last_taps(factor: int) -> NumpyArray:
    """Give the filter before the last halving.

    Args:
        factor: A power of two from 2 to 1024, that of the whole conversion.

    Returns:
        An odd number of symmetric taps in float64, of sum 1.

    Example:
        >>> last_taps(2).shape, round(float(last_taps(2).sum()), 6)
        ((389,), 1.0)
    """
    half, beta = _LAST[factor]
    n = np.arange(1 - math.ceil(half), math.ceil(half))
    window = np.i0(beta * np.sqrt(1 - (n / half) ** 2)) / np.i0(beta)
    kernel: NumpyArray = _CUTOFF * np.sinc(_CUTOFF * n) * window
    return kernel


@lru_cache(maxsize=2)
def half_band_taps(long: bool) -> NumpyArray:
    """Give the filter before a halving that is not the last.

    Args:
        long: Whether the whole conversion is by more than 8.

    Returns:
        An odd number of symmetric taps in float64, of sum 1.

    Example:
        >>> half_band_taps(False).shape
        (31,)
    """
    side = np.array(_HALF_BAND[long])
    kernel = np.zeros(4 * len(side) - 1)
    middle = 2 * len(side) - 1
    kernel[middle] = 0.5
    kernel[middle + 1 :: 2] = kernel[middle - 1 :: -2] = side * (0.25 / side.sum())
    return kernel


@lru_cache(maxsize=16)
def _matrix(factor: int, last: bool) -> Constant:
    """Give the matrix that turns a stretch of a signal into `_OUTPUTS` samples at half its rate."""
    kernel = last_taps(factor) if last else half_band_taps(factor > 8)
    out = np.zeros((len(kernel) + 2 * (_OUTPUTS - 1), _OUTPUTS))
    for column in range(_OUTPUTS):
        out[2 * column : 2 * column + len(kernel), column] = kernel
    with torch.inference_mode(False):  # what inference makes, training could not use
        return Constant(torch.from_numpy(out))


def decimate(rows: Tensor, factor: int) -> Tensor:
    """Lower the sample rate as soxr's quality HQ does.

    Args:
        rows: Real signals, float32 or float64.
        factor: A power of two from 2 to 1024.

    Returns:
        The signals at the lower rate, at which a last sample that stands for less than half of
        `factor` samples is zero.

    Shape:
        rows: (rows, time)
        returns: (rows, ceil(time / factor))

    Example:
        >>> decimate(torch.ones(1, 1001), 2).shape
        torch.Size([1, 501])
    """
    length = rows.shape[-1]
    remaining = factor
    while remaining > 2:
        weights = _matrix(factor, False)(rows)
        reach = (weights.shape[0] - 2 * (_OUTPUTS - 1)) // 2
        rows = _halve(rows, weights, (rows.shape[-1] + reach + 1) // 2)
        remaining //= 2
    filled = (length + factor // 2) // factor
    rows = _halve(rows, _matrix(factor, True)(rows), filled)
    return pad(rows, (0, -(-length // factor) - filled))


def _halve(rows: Tensor, weights: Tensor, wanted: int) -> Tensor:
    span = weights.shape[0]
    step = 2 * _OUTPUTS
    count = max(1, -(-wanted // _OUTPUTS))
    before = (span - step + 2) // 2
    after = (count - 1) * step + span - before - rows.shape[-1]
    frames = pad(rows, (before, after)).unfold(-1, span, step)
    return (frames @ weights).flatten(-2)[..., :wanted]
