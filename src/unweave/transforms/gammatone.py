"""Gammatone spectrograms: the energies of audio in bands shaped as the ear's filters."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from unweave._core.arrays import array_function
from unweave._core.checks import non_negative, positive_int
from unweave._core.windows import Window
from unweave.transforms._analysis import analysis, check_audio, like
from unweave.transforms._bank import Bank, bank_spectrogram
from unweave.transforms._banklayer import BankLayer
from unweave.transforms.mel import check_power
from unweave.transforms.melbank import frequency_range

_EAR_Q = 9.26449  # bandwidths of the ear at high frequencies [Glasberg1990]
_LEAST_BANDWIDTH = 24.7  # at low frequencies, in hertz
_OFFSET = _EAR_Q * _LEAST_BANDWIDTH


def gammatone_frequencies(n_bins: int = 64, *, fmin: float = 20.0, fmax: float) -> Tensor:
    """Give the centres of gammatone filters, evenly spaced by the bandwidths of the ear.

    Args:
        n_bins: Number of filters.
        fmin: The lowest centre, in hertz.
        fmax: One step above the highest centre, in hertz.

    Returns:
        The frequencies in hertz, rising, in float64.

    Raises:
        ParameterError: A parameter is out of range.

    Shape:
        returns: (n_bins,)

    Example:
        >>> gammatone_frequencies(4, fmin=100, fmax=4000).round()
        tensor([ 100.,  394.,  950., 2004.], dtype=torch.float64)

    References:
        [Glasberg1990] Derivation of auditory filter shapes from notched-noise data, Hearing
        Research 47.
        [Slaney1993] An efficient implementation of the Patterson-Holdsworth auditory filter bank,
        Apple Computer Technical Report 35.
    """
    n_bins = positive_int("n_bins", n_bins)
    _, fmin, fmax = frequency_range(2 * non_negative("fmax", fmax), fmin, fmax)
    steps = torch.arange(n_bins, dtype=torch.float64, device="cpu") / n_bins
    return (fmin + _OFFSET) * ((fmax + _OFFSET) / (fmin + _OFFSET)) ** steps - _OFFSET


def gammatone_filter_bank(
    *,
    sample_rate: float,
    n_fft: int,
    n_bins: int = 64,
    fmin: float = 20.0,
    fmax: float | None = None,
) -> Tensor:
    """Give the magnitude responses of gammatone filters at the bins of a spectrum.

    The filters are Slaney's: four sections of second order each, with a gain of 1 at the centre,
    then divided by `n_fft`. The bank equals nnAudio's.

    Args:
        sample_rate: Of the audio, in hertz.
        n_fft: Samples of a frame.
        n_bins: Number of filters.
        fmin: Centre of the lowest filter, in hertz.
        fmax: One step above the centre of the highest filter, in hertz; half the sample rate if not
            given.

    Returns:
        The weights, in float64.

    Raises:
        ParameterError: A parameter is out of range.

    Shape:
        returns: (n_bins, n_fft // 2 + 1)

    Example:
        >>> bank = gammatone_filter_bank(sample_rate=16000, n_fft=512)
        >>> bank.shape, round(float(bank.max()) * 512, 2)
        (torch.Size([64, 257]), 1.06)

    References:
        [Slaney1993] An efficient implementation of the Patterson-Holdsworth auditory filter bank,
        Apple Computer Technical Report 35.
    """
    return _checked_bank(sample_rate, n_fft, n_bins, fmin, fmax).copy()


@array_function
def gammatonegram(
    x: Tensor,
    *,
    sample_rate: float,
    n_fft: int = 2048,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Window = "hann",
    center: bool = True,
    pad_mode: str = "reflect",
    power: float = 2.0,
    n_bins: int = 64,
    fmin: float = 20.0,
    fmax: float | None = None,
) -> Tensor:
    """Give the energies of audio in bands shaped and spaced as the filters of the ear.

    Args:
        x: Real audio, float32 or float64; half precision is worked on in float32.
        sample_rate: Of the audio, in hertz.
        n_fft: Samples of a frame.
        hop_length: Samples from one frame to the next; a quarter of `win_length` if not given.
        win_length: Samples of the window, which is centred in the frame; `n_fft` if not given.
        window: A name, ("kaiser", beta), or the `win_length` samples of the window; see `stft`.
        center: Whether frame t is centred on sample t * hop_length, or starts there.
        pad_mode: What continues the signal at its ends: "reflect", "constant" or "replicate".
        power: Exponent of the magnitudes before they are summed: 2 for energies, 1 for magnitudes.
        n_bins: Number of bands.
        fmin: Centre of the lowest band, in hertz.
        fmax: One step above the centre of the highest band, in hertz; half the sample rate if not
            given.

    Returns:
        The gammatone spectrogram.

    Raises:
        ParameterError: A parameter is out of range, or the signal is too short for it.

    Shape:
        x: (..., time)
        returns: (..., n_bins, frames)

    Example:
        >>> tone = torch.sin(2 * torch.pi * 440 / 22050 * torch.arange(22050))
        >>> gammatonegram(tone, sample_rate=22050).shape
        torch.Size([64, 44])

    References:
        [Slaney1993] An efficient implementation of the Patterson-Holdsworth auditory filter bank,
        Apple Computer Technical Report 35.
    """
    check_audio(x)
    plan = analysis(n_fft, hop_length, win_length, window, center, pad_mode)
    bank = _checked_bank(sample_rate, n_fft, n_bins, fmin, fmax)
    return like(bank_spectrogram(x, plan, bank, check_power(power)), x)


class Gammatonegram(BankLayer):
    """Hold the parameters of a gammatone spectrogram, for use inside models.

    Trained weights may take any value but are used as if those below zero were zero.

    Args:
        sample_rate: Of the audio, in hertz.
        n_fft: Samples of a frame.
        hop_length: Samples from one frame to the next; a quarter of `win_length` if not given.
        win_length: Samples of the window, which is centred in the frame; `n_fft` if not given.
        window: A name, ("kaiser", beta), or the `win_length` samples of the window; see `stft`.
        center: Whether frame t is centred on sample t * hop_length, or starts there.
        pad_mode: What continues the signal at its ends: "reflect", "constant" or "replicate".
        power: Exponent of the magnitudes before they are summed.
        n_bins: Number of bands.
        fmin: Centre of the lowest band, in hertz.
        fmax: One step above the centre of the highest band, in hertz; half the sample rate if not
            given.
        trainable_bins: Whether the weights (`gammatone_basis`) are trained.
        trainable_STFT: True trains the windowed cosines and sines of the analysis (`wcos`, `wsin`),
            "window" only the window (`window`), which costs far less.

    Raises:
        ParameterError: A parameter is out of range.

    Example:
        >>> Gammatonegram(sample_rate=16000, n_fft=512)(torch.zeros(2, 16000)).shape
        torch.Size([2, 64, 126])
    """

    def __init__(
        self,
        *,
        sample_rate: float,
        n_fft: int = 2048,
        hop_length: int | None = None,
        win_length: int | None = None,
        window: Window = "hann",
        center: bool = True,
        pad_mode: str = "reflect",
        power: float = 2.0,
        n_bins: int = 64,
        fmin: float = 20.0,
        fmax: float | None = None,
        trainable_bins: bool = False,
        trainable_STFT: bool | str = False,
    ) -> None:
        super().__init__(
            analysis(n_fft, hop_length, win_length, window, center, pad_mode),
            _checked_bank(sample_rate, n_fft, n_bins, fmin, fmax),
            check_power(power),
            weights="gammatone_basis" if trainable_bins else None,
            trainable_STFT=trainable_STFT,
        )
        self.sample_rate, self.n_bins = sample_rate, n_bins

    def forward(self, x: Tensor) -> Tensor:
        """Give the gammatone spectrogram of audio; see `gammatonegram`.

        Args:
            x: Real audio.

        Returns:
            The gammatone spectrogram.

        Shape:
            x: (..., time)
            returns: (..., n_bins, frames)

        Example:
            >>> Gammatonegram(sample_rate=8000, n_fft=256, n_bins=20)(torch.zeros(1000)).shape
            torch.Size([20, 16])
        """
        return super().forward(x)

    def extra_repr(self) -> str:
        """Show the parameters in `print(model)`.

        Returns:
            Names and values, separated by commas.

        Example:
            >>> Gammatonegram(sample_rate=8000, n_fft=256, n_bins=20)
            Gammatonegram(sample_rate=8000, n_fft=256, hop_length=64, n_bins=20, power=2)
        """
        return (
            f"sample_rate={self.sample_rate}, n_fft={self.n_fft}, hop_length={self.hop_length},"
            f" n_bins={self.n_bins}, power={self.power:g}"
        )


def _checked_bank(
    sample_rate: float, n_fft: int, n_bins: int, fmin: float, fmax: float | None
) -> Bank:
    sample_rate, fmin, fmax = frequency_range(sample_rate, fmin, fmax)
    n_fft, n_bins = positive_int("n_fft", n_fft), positive_int("n_bins", n_bins)
    return _bank(sample_rate, n_fft, n_bins, fmin, fmax)


@lru_cache(maxsize=16)
def _bank(sample_rate: float, n_fft: int, n_bins: int, fmin: float, fmax: float) -> Bank:
    with torch.inference_mode(False), torch.no_grad():
        centres = gammatone_frequencies(n_bins, fmin=fmin, fmax=fmax)[:, None]
        bins = torch.arange(n_fft // 2 + 1, dtype=torch.float64, device="cpu")
        turns = 2 * torch.pi / n_fft * bins
        gain = _response(centres, 2 * torch.pi * centres / sample_rate, sample_rate)
        return Bank(_response(centres, turns, sample_rate) / gain / n_fft)


def _response(centres: Tensor, turns: Tensor, sample_rate: float) -> Tensor:
    """Give the magnitude of the filters at frequencies in radians per sample [Slaney1993].

    Each of the four sections has the poles r e^(+-i theta), and one real zero of its own at
    r (cos theta +- sqrt(3 +- 2^1.5) sin theta).
    """
    bandwidths = 1.019 * 2 * torch.pi * (centres / _EAR_Q + _LEAST_BANDWIDTH)
    radius, theta = torch.exp(-bandwidths / sample_rate), 2 * torch.pi * centres / sample_rate
    point = torch.polar(torch.ones_like(turns), turns)
    pole = torch.polar(radius, theta)
    response = ((pole - point) * (pole.conj() - point)).abs() ** -4.0
    for root in (math.sqrt(3 + 2**1.5), math.sqrt(3 - 2**1.5)):
        for sign in (1, -1):
            zero = radius * (theta.cos() + sign * root * theta.sin())
            response = response * (point - zero).abs()
    return response
