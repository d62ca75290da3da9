"""Combined frequency and periodicity: the pitch that both a spectrum and a cepstrum show [Su2015].

A spectrum has peaks at the multiples of a fundamental frequency, a cepstrum at the multiples of its
period, that is at the subharmonics of the frequency. Laid on one logarithmic scale of frequency and
multiplied, only the fundamentals stay. Roots instead of logarithms make weak partials count, and
each transform of the result of the last one takes away what is not periodic [Su2018]:

    Z0 = |X|^g0,   Z1 = relu(F Z0)^g1 (cepstrum),   Z2 = relu(F Z1)^g2 (spectrum),   ...

with F the unitary Fourier transform. All of these are even, so half of each is kept, and F gives
real numbers.

References:
    [Su2015] Combining spectral and temporal representations for multipitch estimation of polyphonic
    music, IEEE/ACM TASLP 23(10).
    [Su2018] Vocal melody extraction using patch-based CNN, ICASSP.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from unweave._core.arrays import NumpyArray, array_function
from unweave._core.checks import non_negative, positive_int
from unweave._core.constants import Constant
from unweave._core.windows import get_window
from unweave.errors import ParameterError
from unweave.transforms._analysis import Analysis, analysis, check_audio, like, power, safe_sqrt
from unweave.transforms.melbank import frequency_range

_LOG_FLOOR = 1e-8


class Periodicity(NamedTuple):
    """What `cfp` gives: four pictures of a sound on one logarithmic scale of frequency.

    Args:
        salience: How likely each frequency is a fundamental: spectrum times cepstrum.
        magnitude: The magnitudes of the short-time spectrum.
        spectrum: The generalised spectrum, in which partials of all strengths show.
        cepstrum: The generalised cepstrum, in which subharmonics show, at the frequencies that
            belong to its periods.

    Shape:
        salience, magnitude, spectrum, cepstrum: (..., bins, frames)

    Example:
        >>> features = cfp(torch.zeros(16000), sample_rate=16000)
        >>> features.salience.shape
        torch.Size([174, 51])
    """

    salience: Tensor
    magnitude: Tensor
    spectrum: Tensor
    cepstrum: Tensor


@array_function
def cfp(
    x: Tensor,
    *,
    sample_rate: float,
    hop_length: int = 320,
    win_length: int = 2049,
    resolution: float = 2.0,
    fmin: float = 80.0,
    fmax: float = 1000.0,
    gamma: Sequence[float] = (0.24, 0.6, 1.0),
    bins_per_octave: int = 48,
) -> Periodicity:
    """Show the fundamental frequencies of a sound by combined frequency and periodicity.

    Bin k stands for fmin * 2^(k / bins_per_octave). It sums the frequencies, and the periods, up to
    its neighbours with triangular weights; the first bin, which has no neighbour below, is zero.
    Where bins are closer than the frequencies of the spectrum they take the nearest one; where they
    are closer than the periods, which are whole samples, those that meet none are zero in
    `cepstrum` and `salience`: a higher sample rate, or fewer bins, fills them.

    Args:
        x: Real audio, float32 or float64; half precision is worked on in float32.
        sample_rate: Of the audio, in hertz; 16000 and the other defaults are those of [Su2018].
        hop_length: Samples from one frame to the next; frame t is centred on t * hop_length.
        win_length: Samples of the window (Blackman-Harris), odd to have a middle.
        resolution: Distance of the frequencies of the spectrum, in hertz.
        fmin: Frequency of the first bin, in hertz; longer periods are ignored.
        fmax: Frequency that the bins stay below, in hertz; periods shorter than its own are
            ignored, which keeps the spectral envelope out of the cepstrum.
        gamma: Exponents of the spectrum, the cepstrum, the spectrum of that, and so on by turns; 0
            stands for a logarithm, save in the first place. The last two are shown.
        bins_per_octave: Bins of an octave.

    Returns:
        The salience, and the magnitude, spectrum and cepstrum from which it comes.

    Raises:
        ParameterError: A parameter is out of range or does not fit the others.

    Shape:
        x: (..., time)
        returns: (..., bins, frames) each; frames is 1 + time // hop_length

    Example:
        >>> t = torch.arange(16000) / 16000
        >>> sound = sum(torch.sin(2 * torch.pi * 200 * k * t) / k for k in range(1, 6))
        >>> salience = cfp(sound, sample_rate=16000).salience
        >>> 80 * 2 ** (int(salience[:, 25].argmax()) / 48)  # a bin beside 200 Hz
        201.58...

    References:
        [Su2015] Combining spectral and temporal representations for multipitch estimation of
        polyphonic music, IEEE/ACM TASLP 23(10).
        [Su2018] Vocal melody extraction using patch-based CNN, ICASSP.
    """
    check_audio(x)
    setting = _setting(sample_rate, resolution, fmin, fmax, tuple(gamma), bins_per_octave)
    return _features(x, setting, _plan(setting, hop_length, win_length))


class CFP(nn.Module):
    """Hold the parameters of `cfp`, for use in front of models that read pitch.

    There is nothing to save or move.

    Args:
        sample_rate: Of the audio, in hertz.
        hop_length: Samples from one frame to the next.
        win_length: Samples of the window.
        resolution: Distance of the frequencies of the spectrum, in hertz.
        fmin: Frequency of the first bin, in hertz.
        fmax: Frequency that the bins stay below, in hertz.
        gamma: Exponents of spectrum, cepstrum, spectrum and so on.
        bins_per_octave: Bins of an octave.

    Raises:
        ParameterError: A parameter is out of range or does not fit the others.

    Example:
        >>> layer = CFP(sample_rate=16000)
        >>> layer(torch.zeros(2, 16000)).salience.shape, layer.n_bins
        (torch.Size([2, 174, 51]), 174)
    """

    def __init__(
        self,
        *,
        sample_rate: float,
        hop_length: int = 320,
        win_length: int = 2049,
        resolution: float = 2.0,
        fmin: float = 80.0,
        fmax: float = 1000.0,
        gamma: Sequence[float] = (0.24, 0.6, 1.0),
        bins_per_octave: int = 48,
    ) -> None:
        super().__init__()
        setting = _setting(sample_rate, resolution, fmin, fmax, tuple(gamma), bins_per_octave)
        self._setting, self._plan = setting, _plan(setting, hop_length, win_length)
        _ = setting.banks  # built here: compilers and exporters could not
        self.sample_rate, self.hop_length, self.win_length = sample_rate, hop_length, win_length
        self.n_bins = len(setting.centres) - 1

    def forward(self, x: Tensor) -> Periodicity:
        """Show the fundamental frequencies of a sound; see `cfp`.

        Args:
            x: Real audio.

        Returns:
            The salience, and the magnitude, spectrum and cepstrum from which it comes.

        Shape:
            x: (..., time)
            returns: (..., n_bins, frames) each

        Example:
            >>> CFP(sample_rate=8000, win_length=1025)(torch.zeros(4000)).salience.shape
            torch.Size([174, 13])
        """
        check_audio(x)
        return _features(x, self._setting, self._plan)

    def extra_repr(self) -> str:
        """Show the parameters in `print(model)`.

        Returns:
            Names and values, separated by commas.

        Example:
            >>> CFP(sample_rate=16000)
            CFP(sample_rate=16000, hop_length=320, win_length=2049, fmin=80, fmax=1000, n_bins=174)
        """
        return (
            f"sample_rate={self.sample_rate:g}, hop_length={self.hop_length},"
            f" win_length={self.win_length}, fmin={self._setting.fmin:g},"
            f" fmax={self._setting.fmax:g}, n_bins={self.n_bins}"
        )


@dataclass(frozen=True)
class _Setting:
    """Everything but the frames."""

    sample_rate: float
    resolution: float
    fmin: float
    fmax: float
    gamma: tuple[float, ...]
    bins_per_octave: int

    @property
    def n_fft(self) -> int:
        return int(self.sample_rate / self.resolution)

    @property
    def cutoffs(self) -> tuple[int, int]:
        """The first cepstral and the first spectral element that count."""
        return round(self.sample_rate / self.fmax), round(self.fmin / self.resolution)

    @cached_property
    def centres(self) -> NumpyArray:
        steps = math.ceil(math.log2(self.fmax / self.fmin)) * self.bins_per_octave
        centres = self.fmin * 2.0 ** (np.arange(steps) / self.bins_per_octave)
        return centres[centres < self.fmax]

    @cached_property
    def banks(self) -> tuple[Constant, Constant]:
        """Weights of the frequencies and of the periods in each bin: (elements, bins)."""
        # The published feature takes the last frequency for Nyquist's, half a bin above its own.
        count = min(round(self.fmax / self.resolution) + 1, self.n_fft // 2)
        frequencies = self.sample_rate * np.linspace(0, 0.5, self.n_fft // 2)[:count]
        spectral = _triangles(self.centres, frequencies)
        # A bin whose neighbours are both nearest to one frequency takes that one alone.
        nearest = np.round(self.centres / self.resolution).astype(int)
        alone = 1 + np.flatnonzero(nearest[:-2] == nearest[2:])
        spectral[:, alone] = np.arange(count)[:, None] == nearest[alone - 1]
        periods = np.arange(1, round(self.sample_rate / self.fmin) + 1) / self.sample_rate
        cepstral = np.concatenate(
            [np.zeros_like(spectral[:1]), _triangles(self.centres, 1 / periods)]
        )
        return Constant(torch.from_numpy(spectral)), Constant(torch.from_numpy(cepstral))


def _triangles(centres: NumpyArray, places: NumpyArray) -> NumpyArray:
    """Give triangles from neighbour to neighbour over places in hertz: (places, bins)."""
    low, centre, high = centres[:-2], centres[1:-1], centres[2:]
    place = places[:, None]
    sides = np.minimum((place - low) / (centre - low), (high - place) / (high - centre))
    return np.concatenate([np.zeros((len(places), 1)), np.maximum(sides, 0)], 1)


@lru_cache(maxsize=32)
def _setting(
    sample_rate: float,
    resolution: float,
    fmin: float,
    fmax: float,
    gamma: tuple[float, ...],
    bins_per_octave: int,
) -> _Setting:
    sample_rate, fmin, fmax = frequency_range(sample_rate, fmin, fmax)
    resolution = non_negative("resolution", resolution)
    if resolution == 0 or fmin < 2 * resolution:
        raise ParameterError(
            f"fmin={fmin:g} Hz must be at least twice the resolution of {resolution:g} Hz, which"
            " must be above 0: the longest period must fit into the transform"
        )
    if len(gamma) < 2:
        raise ParameterError(f"gamma={gamma} must hold an exponent for spectrum and cepstrum each")
    exponents = tuple(non_negative("gamma", exponent) for exponent in gamma)
    if exponents[0] == 0:
        raise ParameterError(f"gamma={gamma} must begin above 0: a power, not a logarithm")
    bins_per_octave = positive_int("bins_per_octave", bins_per_octave)
    setting = _Setting(sample_rate, resolution, fmin, fmax, exponents, bins_per_octave)
    if len(setting.centres) < 3:
        raise ParameterError(
            f"fmin={fmin:g}, fmax={fmax:g} and bins_per_octave={bins_per_octave} give no bin with"
            " two neighbours: use a wider range or more bins"
        )
    return setting


@lru_cache(maxsize=32)
def _plan(setting: _Setting, hop_length: int, win_length: int) -> Analysis:
    win_length = positive_int("win_length", win_length)
    if win_length > setting.n_fft:
        raise ParameterError(
            f"win_length={win_length} must not be longer than sample_rate / resolution ="
            f" {setting.n_fft}"
        )
    # A symmetric window is a periodic one, of one sample less, that begins anew.
    window = get_window("blackmanharris", max(1, win_length - 1))
    window = torch.cat([window, window[:1]])[:win_length]
    window /= torch.linalg.vector_norm(window)
    return analysis(setting.n_fft, hop_length, win_length, window, True, "constant")


def _features(x: Tensor, setting: _Setting, plan: Analysis) -> Periodicity:
    spectral, cepstral = (bank(x) for bank in setting.banks)

    def finish(spectra: Tensor) -> Tensor:
        square = power(spectra)
        spectrum, cepstrum = _layers(square, setting)
        shown = safe_sqrt(square[..., : len(spectral)])
        return torch.cat(
            [
                shown @ spectral,
                spectrum[..., : len(spectral)] @ spectral,
                cepstrum[..., : len(cepstral)] @ cepstral,
            ],
            -1,
        )

    bins = spectral.shape[1]
    parts = torch.split(like(plan.spectra(x, finish), x), bins, -2)
    return Periodicity(parts[1] * parts[2], *parts)


def _layers(square: Tensor, setting: _Setting) -> tuple[Tensor, Tensor]:
    """Give the last generalised spectrum and cepstrum of squared magnitudes."""
    n_fft, size = setting.n_fft, square.shape[-1]
    shown = [_power(square, setting.gamma[0] / 2)]
    even = shown[0]
    place = torch.arange(size, device=square.device)
    for layer, exponent in enumerate(setting.gamma[1:]):
        cutoff = setting.cutoffs[layer % 2]
        # Of even numbers, the transform and its inverse are one up to scale.
        change = torch.fft.irfft(torch.complex(even, torch.zeros_like(even)), n_fft, norm="ortho")
        change = change[..., :size].relu()
        change = _power(change, exponent) if exponent else (change + _LOG_FLOOR).log()
        change = torch.where(place < cutoff, 0.0, change)
        shown.append(change)
        # The published feature keeps the element at the cutoff but clears its mirror image; the
        # even part of that, which alone makes real numbers, has half of it on either side.
        even = torch.where(place == cutoff, change / 2, change) if cutoff else change
    last, before = shown[-1], shown[-2]
    return (last, before) if len(shown) % 2 else (before, last)


def _power(x: Tensor, exponent: float) -> Tensor:
    """Give x^exponent of what is not negative, with a gradient of zero at zero."""
    none = x < torch.finfo(x.dtype).tiny
    return torch.where(none, 0.0, torch.where(none, 1.0, x).pow(exponent))
