"""Audio from its constant-Q or variable-Q transform, by least squares.

With A the transform and W weights of the bins, the audio x wanted is nearest to the values c where

    (A' W A + damping) x = A' W c.

Sampled often enough, bin k of a transform multiplies frequency f by |H_k(f)|^2 / (2 hop) on the way
there and back. Neighbours lie f ln(2) / bins_per_octave apart, so that sums over bins are integrals
over frequency, and by Parseval's theorem they come to 1 with

    W_k = 2 hop * f_k ln(2) / bins_per_octave / (rate * sum over n of |h_k[n]|^2).

A' W alone then nearly undoes the transform; what is left (bins sampled too rarely, and the ends of
the spectrum) is done by conjugate gradients [Hestenes1952], which these weights also make several
times faster: unweighted, low bins count a hundred times as much as high ones.

References:
    [Hestenes1952] Methods of conjugate gradients for solving linear systems, J. Res. NBS 49.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from unweave._core.arrays import array_function
from unweave._core.checks import non_negative, positive_int
from unweave._core.constants import Constant
from unweave._core.forms import needs_plain_form
from unweave._core.frames import evenly
from unweave._core.memory import fresh
from unweave._core.pool import share
from unweave.errors import ParameterError
from unweave.transforms._analysis import check_choice
from unweave.transforms._cq_filterbank import TOGETHER, adjoint, filterbank
from unweave.transforms._cq_kernels import Bins, WindowName
from unweave.transforms._cq_plan import Plan, checked_plan

METHODS = ("least_squares", "transpose")


@dataclass(frozen=True)
class Search:
    """How audio is sought, and how much of it.

    Args:
        method: "least_squares" or "transpose".
        n_iter: Steps of conjugate gradients.
        damping: How much energy beyond need counts against audio.
        length: Samples wanted, or None.
    """

    method: str = "least_squares"
    n_iter: int = 20
    damping: float = 1e-3
    length: int | None = None

    def __post_init__(self) -> None:
        check_choice("method", self.method, METHODS)
        positive_int("n_iter", self.n_iter)
        non_negative("damping", self.damping)
        if self.length is not None:
            positive_int("length", self.length)


@array_function
def icqt(
    spec: Tensor,
    *,
    sample_rate: float,
    hop_length: int = 512,
    fmin: float | None = None,
    bins_per_octave: int = 12,
    gamma: float | None = 0.0,
    tuning: float = 0.0,
    filter_scale: float = 1.0,
    norm: float | None = 1.0,
    sparsity: float = 0.01,
    window: WindowName = "hann",
    scale: bool = True,
    algorithm: str = "auto",
    normalization: str = "librosa",
    method: str = "least_squares",
    n_iter: int = 20,
    damping: float = 1e-3,
    length: int | None = None,
) -> Tensor:
    """Restore audio from its constant-Q or variable-Q transform: the inverse of `cqt` and `vqt`.

    What the bins do not hold does not come back: frequencies above the highest bin and below the
    lowest, and what happens between the frames where the hop is longer than the filters of the high
    bins. With 84 bins, music that lies below 4 kHz comes back at some 20 dB with hop_length 512 at
    22050 Hz, at some 35 dB with 128. Where audio must come back to the last sample, use `nsgt` and
    `insgt`.

    Args:
        spec: Complex transform, complex64 or complex128, of audio with silence beyond its ends
            (`pad_mode` "constant").
        sample_rate: Samples a second, in Hz.
        hop_length: Samples from one frame to the next.
        fmin: Centre of the lowest bin in Hz; C1 if not given.
        bins_per_octave: Bins in an octave.
        gamma: Widening of all bins in Hz, as given to `vqt`, where None is its default; 0 for
            `cqt`.
        tuning: Shift of all bins, in bins.
        filter_scale: Factor on the lengths of all filters.
        norm: Order of the vector norm that is made 1 of each filter.
        sparsity: Part of the sum of magnitudes that is cut from each filter's spectrum.
        window: Name of the window of the filters.
        scale: Whether the values are divided by the root of the filters' lengths.
        algorithm: How the transform was made: "auto", "direct" or "downsample".
        normalization: "librosa", "convolutional" or "wrap", as given to `cqt`.
        method: "least_squares" seeks the audio whose transform is nearest; "transpose" only adds
            the filters up: a linear map that is some twenty times faster, and good where the hop is
            short.
        n_iter: Steps of the search; from 5 on, each adds little.
        damping: Counts energy that the bins hardly see against audio, so that changed or noisy
            values are not blown up: 1 weighs it as much as the values themselves.
        length: Samples wanted: those of the analysed signal, which only the caller knows; by
            default those up to the last frame, (frames - 1) * hop_length.

    Returns:
        The audio, float32 for complex64.

    Raises:
        ParameterError: A parameter is out of range, or `length` goes beyond the frames.

    Shape:
        spec: (..., n_bins, frames)
        returns: (..., length)

    Example:
        >>> from unweave.transforms.constantq import cqt
        >>> tone = torch.sin(2 * torch.pi * 440 / 22050 * torch.arange(22050))
        >>> spec = cqt(tone, sample_rate=22050)
        >>> again = icqt(spec, sample_rate=22050, length=22050)
        >>> bool((again - tone)[5000:-5000].norm() < 0.02 * tone[5000:-5000].norm())
        True

    References:
        [Schoerkhuber2010] Constant-Q transform toolbox for music processing, SMC conference.
    """
    _check(spec)
    search = Search(method, n_iter, damping, length)
    bins = Bins(
        sample_rate,
        fmin,
        spec.shape[-2],
        bins_per_octave,
        tuning,
        filter_scale,
        gamma,
        norm,
        sparsity,
        window,
    )
    made = checked_plan(bins, hop_length, algorithm, normalization, scale)
    return invert(spec, made, bins, hop_length, search)


def invert(spec: Tensor, made: Plan, bins: Bins, hop_length: int, search: Search) -> Tensor:
    """Restore audio from the transform that a plan makes.

    Args:
        spec: Complex transform.
        made: The plan of the transform.
        bins: Its bins.
        hop_length: Samples from one frame to the next.
        search: How audio is sought.

    Returns:
        The audio.

    Raises:
        ParameterError: The values are no transform by this plan, or the length wanted goes beyond
            the frames.

    Shape:
        spec: (..., n_bins, frames)
        returns: (..., length)

    Example:
        >>> bins = Bins(22050, None, 84, 12)
        >>> made = checked_plan(bins, 512, "auto", "librosa", True)
        >>> invert(torch.zeros(84, 9, dtype=torch.complex64), made, bins, 512, Search()).shape
        torch.Size([4096])
    """
    _check(spec)
    if spec.shape[-2] != made.n_bins:
        raise ParameterError(f"spec has {spec.shape[-2]} bins, but the transform {made.n_bins}")
    frames = spec.shape[-1]
    known = max(0, frames - 1) * hop_length
    length = known if search.length is None else search.length
    if length >= known + hop_length:
        raise ParameterError(
            f"length={length} goes beyond the {frames} frames of hop_length={hop_length}: use"
            f" length={known + hop_length - 1} or less"
        )
    if spec.numel() == 0 or length == 0:
        return spec.real.new_zeros(*spec.shape[:-2], length)
    values = spec.mT.reshape(math.prod(spec.shape[:-2]), frames, spec.shape[-2])
    values = values[:, : made.count(length)]
    weights = _weights(made, bins, hop_length)(values)

    def restored(values: Tensor) -> Tensor:
        if search.method == "transpose":
            return adjoint(values * weights, made, length)
        return _solve(values, made, weights, length, search)

    if needs_plain_form(values) or length > TOGETHER:
        return restored(values).reshape(*spec.shape[:-2], length)
    out = fresh(values.real, len(values), length)

    def fill(rows: slice) -> None:
        out[rows] = restored(values[rows])

    size = len(values) * length * len(made.stages)
    share(fill, list(evenly(len(values), TOGETHER // length)), size=size)
    return out.reshape(*spec.shape[:-2], length)


def _check(spec: Tensor) -> None:
    if spec.dtype not in (torch.complex64, torch.complex128) or spec.ndim < 2 or not spec.shape[-2]:
        raise ParameterError(
            f"spec of shape {tuple(spec.shape)} and dtype {spec.dtype} must be a complex transform"
            " (..., n_bins, frames), as cqt gives with output='complex'"
        )


def _solve(values: Tensor, made: Plan, weights: Tensor, length: int, search: Search) -> Tensor:
    """Solve the normal equations by conjugate gradients."""
    rest = adjoint(values * weights, made, length)
    step, x = rest, torch.zeros_like(rest)
    size = rest.square().sum(1, keepdim=True)
    # Below rounding, steps have no direction.
    enough = size.detach() * torch.finfo(rest.dtype).eps ** 2
    for _ in range(search.n_iter):
        moved = adjoint(filterbank(step, made) * weights, made, length) + search.damping * step
        done = size <= enough
        along = _ratio(size, (step * moved).sum(1, keepdim=True), done)
        x = x + along * step
        rest = rest - along * moved
        before, size = size, rest.square().sum(1, keepdim=True)
        step = rest + _ratio(size, before, done) * step
    return x


def _ratio(a: Tensor, b: Tensor, done: Tensor) -> Tensor:
    """Divide, giving 0 without an undefined gradient where there is nothing left to do."""
    return torch.where(done, 0.0, a / torch.where(done, 1.0, b))


@lru_cache(maxsize=16)
def _weights(made: Plan, bins: Bins, hop_length: int) -> Constant:
    """Give the weight of each bin, W_k above."""
    rate = bins.sample_rate / 2 ** len(made.steps)
    energies: list[Tensor] = []
    for stage in made.stages:
        kernels = stage.kernels.values
        energy = kernels.square().reshape(len(kernels), -1, 2).sum((0, 2))
        energies.insert(0, rate * energy)
        rate /= 2 ** len(stage.steps)
    with torch.inference_mode(False):  # what inference makes, training could not use
        spacing = torch.from_numpy(bins.frequencies) * (math.log(2) / bins.bins_per_octave)
        return Constant(2 * hop_length * spacing / torch.cat(energies))
