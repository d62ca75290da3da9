"""Constant-Q and variable-Q transforms: the spectra whose bins are notes, equal to librosa's."""

from __future__ import annotations

import math

from torch import Tensor

from unweave._core.arrays import array_function
from unweave._core.checks import positive_int
from unweave.errors import ParameterError
from unweave.transforms._analysis import (
    FINISHES,
    OUTPUTS,
    PAD_MODES,
    check_audio,
    check_choice,
    like,
    single,
)
from unweave.transforms._cq_filterbank import filterbank
from unweave.transforms._cq_kernels import Bins, WindowName, check_bins
from unweave.transforms._cq_plan import ALGORITHMS, NORMALIZATIONS, Plan, plan


@array_function
def cqt(
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
    output: str = "complex",
    normalization: str = "librosa",
) -> Tensor:
    """Give the constant-Q transform.

    Example:
        >>> cqt(torch.zeros(22050), sample_rate=22050).shape
        torch.Size([84, 44])
    """
    bins = Bins(
        sample_rate,
        fmin,
        n_bins,
        bins_per_octave,
        tuning,
        filter_scale,
        0.0,
        norm,
        sparsity,
        window,
    )
    made = _plan(bins, hop_length, algorithm, normalization, scale)
    return transform(x, made, pad_mode, output)


@array_function
def vqt(
    x: Tensor,
    *,
    sample_rate: float,
    hop_length: int = 512,
    fmin: float | None = None,
    n_bins: int = 84,
    bins_per_octave: int = 12,
    gamma: float | None = None,
    tuning: float = 0.0,
    filter_scale: float = 1.0,
    norm: float | None = 1.0,
    sparsity: float = 0.01,
    window: WindowName = "hann",
    scale: bool = True,
    pad_mode: str = "constant",
    algorithm: str = "auto",
    output: str = "complex",
    normalization: str = "librosa",
) -> Tensor:
    """Give the variable-Q transform.

    Example:
        >>> vqt(torch.zeros(22050), sample_rate=22050).shape
        torch.Size([84, 44])
    """
    bins = Bins(
        sample_rate,
        fmin,
        n_bins,
        bins_per_octave,
        tuning,
        filter_scale,
        gamma,
        norm,
        sparsity,
        window,
    )
    made = _plan(bins, hop_length, algorithm, normalization, scale)
    return transform(x, made, pad_mode, output)


def _plan(bins: Bins, hop_length: int, algorithm: str, normalization: str, scale: bool) -> Plan:
    hop_length = positive_int("hop_length", hop_length)
    check_choice("algorithm", algorithm, ALGORITHMS)
    check_choice("normalization", normalization, NORMALIZATIONS)
    check_bins(bins)
    return plan(bins, hop_length, algorithm, normalization, bool(scale))


def transform(
    x: Tensor,
    made: Plan,
    pad_mode: str,
    output: str,
    kernels: tuple[Tensor, ...] = (),
) -> Tensor:
    check_choice("pad_mode", pad_mode, PAD_MODES)
    check_choice("output", output, OUTPUTS)
    check_audio(x)
    if x.shape[-1] == 0:
        raise ParameterError("x has no samples: a constant-Q transform needs at least one")
    rows = single(x).reshape(math.prod(x.shape[:-1]), x.shape[-1])
    out = filterbank(rows, made, pad_mode=pad_mode, finish=FINISHES[output], kernels=kernels)
    return like(out.reshape(*x.shape[:-1], *out.shape[1:]).mT, x)
