"""Constant-Q magnitudes from short-time spectra: quick where filters are shorter than the hop."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from unweave._core.arrays import array_function
from unweave._core.checks import positive_int
from unweave._core.constants import Constant
from unweave.transforms._analysis import (
    PAD_MODES,
    Analysis,
    analysis,
    check_audio,
    check_choice,
    like,
    magnitude,
)
from unweave.transforms._bank import product
from unweave.transforms._cq_kernels import Bins, WindowName, check_bins, filter_spectra
from unweave.transforms._cq_plan import checked_plan
from unweave.transforms.constantq import transform


@array_function
def pseudo_cqt(
    x: Tensor,
    *,
    sample_rate: float,
    hop_length: int = 512,
    fmin: float | None = None,
    n_bins: int = 84,
    bins_per_octave: int = 12,
    tuning: float = 0.0,
    filter_scale: float = 1.0,
    norm: float | None = 1.0,
    sparsity: float = 0.01,
    window: WindowName = "hann",
    scale: bool = True,
    pad_mode: str = "constant",
) -> Tensor:
    """Sum the magnitudes of a short-time Fourier transform under those of constant-Q filters.

    All bins share one frame, as long as the longest filter or two hops, so that no sound falls
    between frames; the resolution in time is that of the frame. Equals `librosa.pseudo_cqt` within
    2e-6 of the maximum (4e-5 with other windows, where the rounding of librosa's filters adds up).

    Args:
        x: Real audio, float32 or float64; half precision is worked on in float32.
        sample_rate: Of the audio, in hertz.
        hop_length: Samples from one frame to the next.
        fmin: Centre of the lowest bin in hertz; the note C1, 32.703 Hz, if not given.
        n_bins: Number of bins.
        bins_per_octave: Bins in an octave.
        tuning: Shift of all bins, in bins.
        filter_scale: Factor on the lengths of the filters.
        norm: Order of the vector norm that is 1 for each filter; None leaves the windows' size.
        sparsity: Part of the sum of magnitudes of each filter's spectrum that is cut.
        window: Name of the filters' window, or ("kaiser", beta); frames have a hann window.
        scale: Whether values are divided by the root of the frame's length, otherwise multiplied
            by the root of the filters' share of it.
        pad_mode: What continues the signal at its ends: "constant", "reflect" or "replicate".

    Returns:
        Magnitudes, real and not negative. An empty signal has no frames.

    Raises:
        ParameterError: A parameter is out of range, the bins reach beyond half the sample rate, or
            the signal is too short to be mirrored.

    Shape:
        x: (..., time)
        returns: (..., n_bins, 1 + time // hop_length)

    Example:
        >>> pseudo_cqt(torch.zeros(22050), sample_rate=22050, fmin=440.0, n_bins=36).shape
        torch.Size([36, 44])
    """
    bins = Bins(
        sample_rate=sample_rate,
        fmin=fmin,
        n_bins=n_bins,
        bins_per_octave=bins_per_octave,
        tuning=tuning,
        filter_scale=filter_scale,
        norm=norm,
        sparsity=sparsity,
        window=window,
    )
    check_audio(x)
    check_choice("pad_mode", pad_mode, PAD_MODES)
    hop_length = positive_int("hop_length", hop_length)
    check_bins(bins)
    return like(_pseudo(x, bins, hop_length, bool(scale), pad_mode), x)


@array_function
def hybrid_cqt(
    x: Tensor,
    *,
    sample_rate: float,
    hop_length: int = 512,
    fmin: float | None = None,
    n_bins: int = 84,
    bins_per_octave: int = 12,
    tuning: float = 0.0,
    filter_scale: float = 1.0,
    norm: float | None = 1.0,
    sparsity: float = 0.01,
    window: WindowName = "hann",
    scale: bool = True,
    pad_mode: str = "constant",
    algorithm: str = "auto",
) -> Tensor:
    """Take magnitudes from `pseudo_cqt` where filters are shorter than two hops, else from `cqt`.

    With a large hop the short filters of high notes miss what happens between frames; the frames of
    `pseudo_cqt` do not. Equals `librosa.hybrid_cqt` within 2e-6 of the maximum.

    Args:
        x: Real audio, float32 or float64; half precision is worked on in float32.
        sample_rate: Of the audio, in hertz.
        hop_length: Samples from one frame to the next.
        fmin: Centre of the lowest bin in hertz; the note C1, 32.703 Hz, if not given.
        n_bins: Number of bins.
        bins_per_octave: Bins in an octave.
        tuning: Shift of all bins, in bins.
        filter_scale: Factor on the lengths of the filters.
        norm: Order of the vector norm that is 1 for each filter; None leaves the windows' size.
        sparsity: Part of the sum of magnitudes of each filter's spectrum that is cut.
        window: Name of the filters' window, or ("kaiser", beta).
        scale: Whether values are scaled by the root of the filters' or the frame's length.
        pad_mode: What continues the signal at its ends: "constant", "reflect" or "replicate".
        algorithm: "downsample", "direct" or "auto", for the bins from `cqt`.

    Returns:
        Magnitudes, real and not negative. An empty signal has no frames.

    Raises:
        ParameterError: A parameter is out of range, the bins reach beyond half the sample rate, or
            the signal is too short to be mirrored.

    Shape:
        x: (..., time)
        returns: (..., n_bins, frames)

    Example:
        >>> hybrid_cqt(torch.zeros(22050), sample_rate=22050).shape
        torch.Size([84, 44])
    """
    bins = Bins(
        sample_rate=sample_rate,
        fmin=fmin,
        n_bins=n_bins,
        bins_per_octave=bins_per_octave,
        tuning=tuning,
        filter_scale=filter_scale,
        norm=norm,
        sparsity=sparsity,
        window=window,
    )
    check_audio(x)
    check_choice("pad_mode", pad_mode, PAD_MODES)
    hop_length = positive_int("hop_length", hop_length)
    check_bins(bins)
    short = int((2 ** np.ceil(np.log2(bins.lengths)) < 2 * hop_length).sum())
    parts = []
    if short < n_bins:
        low = replace(bins, n_bins=n_bins - short)
        plan = checked_plan(low, hop_length, algorithm, "librosa", scale)
        parts.append(transform(x, plan, pad_mode, "magnitude"))
    if short:
        lowest = float(bins.frequencies[n_bins - short])
        high = replace(bins, fmin=lowest, tuning=0.0, n_bins=short)
        parts.append(like(_pseudo(x, high, hop_length, bool(scale), pad_mode), x))
    frames = min(part.shape[-1] for part in parts)
    return torch.cat([part[..., :frames] for part in parts], -2)


def _pseudo(x: Tensor, bins: Bins, hop_length: int, scale: bool, pad_mode: str) -> Tensor:
    plan, held = _frames(bins, hop_length, scale, pad_mode)

    def finish(spectra: Tensor) -> Tensor:
        sizes = magnitude(spectra)
        return product(sizes, held(sizes))

    return plan.spectra(x, finish)


@lru_cache(maxsize=16)
def _frames(bins: Bins, hop_length: int, scale: bool, pad_mode: str) -> tuple[Analysis, Constant]:
    """Give the analysis that all bins share, and the weights of its frequencies in each bin."""
    rate, choice = bins.sample_rate, slice(None)
    least = 2 ** (1 + math.ceil(math.log2(hop_length)))
    weights = np.abs(filter_spectra(bins, choice, rate, least)).astype(np.float64)
    n_fft = 2 * (weights.shape[1] - 1)
    if scale:
        weights /= n_fft**0.5
    else:
        weights *= np.sqrt(bins.lengths / n_fft)[:, None]
    with torch.inference_mode(False):  # what inference makes, training could not use
        held = Constant(torch.from_numpy(np.ascontiguousarray(weights.T)))
    return analysis(n_fft, hop_length, None, "hann", True, pad_mode), held
