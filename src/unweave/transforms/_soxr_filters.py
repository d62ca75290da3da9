"""The filters with which soxr's quality HQ lowers the sample rate by a power of two.

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
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

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
    "0.31154654 -0.08734494 0.03681444 -0.01518917 0.00545409 -0.00156442 0.00031818 -3.48e-5",
    "0.31227035 -0.08922154 0.03913969 -0.01725053 0.00685895 -0.00230453 0.00060963 -0.0001132"
    " 1.118e-5",
)
OUTPUTS = 64  # columns of a matrix: more of them cost zeros, fewer of them copies
BLOCK = 2**12  # samples of a Fourier transform: longer ones leave the fastest cache


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
    side = np.array([float(tap) for tap in _HALF_BAND[long].split()])
    kernel = np.zeros(4 * len(side) - 1)
    middle = 2 * len(side) - 1
    kernel[middle] = 0.5
    kernel[middle + 1 :: 2] = kernel[middle - 1 :: -2] = side * (0.25 / side.sum())
    return kernel


@dataclass(frozen=True, eq=False)
class Halving:
    """One halving of the sample rate, ready to run in either form.

    Args:
        matrix: Turns a stretch of a signal into `OUTPUTS` samples at half its rate.
        reach: Taps on either side of the middle one.
        response: The filter's (real) spectrum, where it ends well below the old Nyquist frequency
            so that nothing folds; None where it does not.
        last: Whether no other halving follows in the conversion.
    """

    matrix: Constant
    reach: int
    response: Constant | None
    last: bool


@lru_cache(maxsize=16)
def halvings(factor: int) -> tuple[Halving, ...]:
    """Give the steps of a conversion, in order.

    Args:
        factor: A power of two from 1 to 1024.

    Example:
        >>> [step.last for step in halvings(8)]
        [False, False, True]
    """
    if factor == 1:
        return ()
    first = _halving(half_band_taps(factor > 8), last=False)
    return (first,) * (factor.bit_length() - 2) + (_halving(last_taps(factor), last=True),)


def _halving(kernel: NumpyArray, last: bool) -> Halving:
    matrix = np.zeros((len(kernel) + 2 * (OUTPUTS - 1), OUTPUTS))
    for column in range(OUTPUTS):
        matrix[2 * column : 2 * column + len(kernel), column] = kernel
    reach = len(kernel) // 2
    centred = np.roll(np.pad(kernel, (0, BLOCK - len(kernel))), -reach)
    response = np.fft.rfft(centred).real[: BLOCK // 4 + 1] / 2
    with torch.inference_mode(False):  # what inference makes, training could not use
        held = Constant(torch.from_numpy(response)) if last else None
        return Halving(Constant(torch.from_numpy(matrix)), reach, held, last)
