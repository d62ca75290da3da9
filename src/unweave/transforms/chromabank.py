"""What folds frequencies into the pitch classes of an octave."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from unweave._core.checks import non_negative, positive_int
from unweave.errors import ParameterError
from unweave.transforms._bank import Bank
from unweave.transforms.compression import check_positive

LOWEST_C = 440 * 2 ** (-45 / 12)  # C1, at which constant-Q transforms begin


def chroma_filter_bank(
    *,
    sample_rate: float,
    n_fft: int,
    n_chroma: int = 12,
    tuning: float = 0.0,
    ctroct: float = 5.0,
    octwidth: float | None = 2.0,
    base_c: bool = True,
) -> Tensor:
    """Give the weights that fold the bins of a spectrum into pitch classes.

    Each bin goes to the classes around its pitch, by a bump as wide as the bin but at least as a
    class, of 2-norm 1 over the classes. It equals librosa's.

    Args:
        sample_rate: Of the audio, in hertz.
        n_fft: Samples of a frame, at least 2.
        n_chroma: Number of classes in an octave.
        tuning: How far the music is tuned above A = 440 Hz, in classes.
        ctroct: The octave that counts most, in octaves above 27.5 Hz.
        octwidth: Standard deviation, in octaves, of the weights about it; None weighs all alike.
        base_c: Whether the first class is C; otherwise it is A.

    Returns:
        The weights, in float64.

    Raises:
        ParameterError: A parameter is out of range.

    Shape:
        returns: (n_chroma, n_fft // 2 + 1)

    Example:
        >>> bank = chroma_filter_bank(sample_rate=44100, n_fft=4096)
        >>> int(bank[:, round(440 * 4096 / 44100)].argmax())  # A is nine classes above C
        9

    References:
        [Ellis2007] Chroma feature analysis and synthesis, Columbia University.
    """
    return chroma_bank(sample_rate, n_fft, n_chroma, tuning, ctroct, octwidth, base_c).copy()


def cq_chroma_filter_bank(
    n_bins: int,
    *,
    bins_per_octave: int = 12,
    n_chroma: int = 12,
    fmin: float | None = None,
    base_c: bool = True,
) -> Tensor:
    """Give the zeros and ones that fold the bins of a constant-Q transform into pitch classes.

    It equals librosa.filters.cq_to_chroma.

    Args:
        n_bins: Number of bins of the transform.
        bins_per_octave: Bins of an octave, a multiple of `n_chroma`.
        n_chroma: Number of classes in an octave.
        fmin: Frequency of the first bin, in hertz; C1, 32.7 Hz, if not given.
        base_c: Whether the first class is C; otherwise it is A.

    Returns:
        The weights, in float64.

    Raises:
        ParameterError: A parameter is out of range.

    Shape:
        returns: (n_chroma, n_bins)

    Example:
        >>> cq_chroma_filter_bank(84).sum(1)
        tensor([7., 7., 7., 7., 7., 7., 7., 7., 7., 7., 7., 7.], dtype=torch.float64)
    """
    return cq_chroma_bank(n_bins, bins_per_octave, n_chroma, fmin, base_c).copy()


@lru_cache(maxsize=16)
def chroma_bank(
    sample_rate: float,
    n_fft: int,
    n_chroma: int,
    tuning: float,
    ctroct: float,
    octwidth: float | None,
    base_c: bool,
) -> Bank:
    """Check the parameters of `chroma_filter_bank` and build it, once for the same ones.

    Args:
        sample_rate: Of the audio, in hertz.
        n_fft: Samples of a frame.
        n_chroma: Number of classes in an octave.
        tuning: How far the music is tuned above A = 440 Hz, in classes.
        ctroct: The octave that counts most.
        octwidth: Standard deviation, in octaves, of the weights about it.
        base_c: Whether the first class is C.

    Returns:
        The bank.

    Raises:
        ParameterError: A parameter is out of range.

    Example:
        >>> chroma_bank(8000, 256, 12, 0.0, 5.0, 2.0, True).weights.values.shape
        torch.Size([12, 129])
    """
    check_positive("sample_rate", sample_rate)
    n_fft, n_chroma = positive_int("n_fft", n_fft), positive_int("n_chroma", n_chroma)
    if n_fft == 1:
        raise ParameterError("n_fft=1 has no bin with a pitch: use at least 2")
    if octwidth is not None:
        check_positive("octwidth", octwidth)
    with torch.inference_mode(False), torch.no_grad():
        bins = torch.arange(1, n_fft, dtype=torch.float64, device="cpu")
        reference = 440 * 2 ** (tuning / n_chroma) / 16
        pitch = n_chroma * torch.log2(bins * (sample_rate / n_fft) / reference)
        # Bin 0 has no pitch: one is made up, an octave and a half below that of bin 1.
        pitch = torch.cat([pitch[:1] - 1.5 * n_chroma, pitch])
        width = torch.cat([pitch.diff().clamp(min=1.0), pitch.new_ones(1)])
        half = round(n_chroma / 2)
        away = pitch - torch.arange(n_chroma, device="cpu")[:, None]
        away = torch.remainder(away + half, n_chroma) - half
        weights = torch.exp(-0.5 * (2 * away / width).square())
        weights = weights / torch.linalg.vector_norm(weights, dim=0)
        if octwidth is not None:
            weights = weights * torch.exp(-0.5 * ((pitch / n_chroma - ctroct) / octwidth).square())
        if base_c:
            weights = weights.roll(-3 * (n_chroma // 12), 0)
        return Bank(weights[:, : n_fft // 2 + 1].contiguous())


@lru_cache(maxsize=16)
def cq_chroma_bank(
    n_bins: int, bins_per_octave: int, n_chroma: int, fmin: float | None, base_c: bool
) -> Bank:
    """Check the parameters of `cq_chroma_filter_bank` and build it, once for the same ones.

    Args:
        n_bins: Number of bins of the transform.
        bins_per_octave: Bins of an octave.
        n_chroma: Number of classes in an octave.
        fmin: Frequency of the first bin, in hertz.
        base_c: Whether the first class is C.

    Returns:
        The bank.

    Raises:
        ParameterError: A parameter is out of range.

    Example:
        >>> cq_chroma_bank(84, 12, 12, None, True).weights.values.shape
        torch.Size([12, 84])
    """
    n_bins, n_chroma = positive_int("n_bins", n_bins), positive_int("n_chroma", n_chroma)
    merged, rest = divmod(positive_int("bins_per_octave", bins_per_octave), n_chroma)
    if rest:
        raise ParameterError(
            f"bins_per_octave={bins_per_octave} must be a multiple of n_chroma={n_chroma}"
        )
    fmin = LOWEST_C if fmin is None else non_negative("fmin", fmin)
    if fmin == 0:
        raise ParameterError("fmin=0 must be a positive frequency: it has no pitch")
    # Semitones above C of the first bin, from MIDI's numbers, in which A = 440 Hz is 69.
    first = (12 * math.log2(fmin / 440) + 69) % 12 - (0 if base_c else 9)
    place = torch.arange(n_bins, device="cpu")
    # A class takes the bins around it: half of those merged before it, half after.
    classes = ((place + merged // 2) // merged + round(first * n_chroma / 12)) % n_chroma
    with torch.inference_mode(False):
        weights = torch.zeros(n_chroma, n_bins, dtype=torch.float64, device="cpu")
        weights[classes, place] = 1.0
        return Bank(weights)
