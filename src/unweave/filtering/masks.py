"""Masks: a gain for every bin of a mixture, and the ideal ones that the true sources would allow.

Where several sources sound at the same place no mask can tell them apart. What masks made from the
true sources achieve is therefore the limit of what masks made from models of them can; see also
`oracle_wiener`, which is that limit for filters of several channels.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from unweave._core.arrays import array_function
from unweave.errors import ParameterError
from unweave.filtering._checks import check_mixture, check_models
from unweave.filtering._logit import check_values


@array_function
def binary_mask(v: Tensor, x: Tensor | None = None) -> Tensor:
    """Give every bin of a mixture to its loudest source.

    Args:
        v: Models of the sources, not negative, of every channel or of all channels together.
        x: Complex spectrogram of the mixture; None gives the masks themselves.

    Returns:
        Estimates, which sum to the mixture wherever a model is not zero, in the mixture's dtype; or
        masks of 0 and 1 of the models' shape. Of sources equally loud, the first has the bin.

    Raises:
        ParameterError: Shapes or dtypes do not fit, a model is negative or NaN, or there are no
            sources.

    Shape:
        v: (..., sources, 1 or channels, freq, frames)
        x: (..., channels, freq, frames)
        returns: (..., sources, channels, freq, frames)

    Example:
        >>> v = torch.tensor([3.0, 1.0]).reshape(2, 1, 1, 1)
        >>> binary_mask(v, torch.full((1, 1, 1), 2 + 2j)).flatten()
        tensor([2.+2.j, 0.+0.j])
    """
    _check_sources(v, "v")
    if v.is_complex():
        raise ParameterError(f"v has dtype {v.dtype}, but models are real: use v.abs()")
    if x is not None:
        check_mixture(x)
        check_models(v, x)
    check_values(v)
    if v.stride(-2) < v.stride(-1):  # work on what lies together in memory
        v, x = v.mT, None if x is None else x.mT
        return _applied(_loudest(v), v, x).mT
    return _applied(_loudest(v), v, x)


@array_function
def ideal_ratio_mask(references: Tensor, x: Tensor | None = None, *, alpha: float = 1.0) -> Tensor:
    """Mask a mixture by the share that each true source has of the sum of all: an upper bound.

    Args:
        references: Spectrograms of the true sources, complex or magnitudes.
        x: Complex spectrogram of the mixture; None gives the masks themselves, which networks can
            learn.
        alpha: The power of the magnitudes that are compared: 2 is the Wiener filter of one channel,
            1 suits the heavy tails of music better.

    Returns:
        Estimates, in the mixture's dtype; or masks between 0 and 1, which sum to 1 wherever a
        source is not zero.

    Raises:
        ParameterError: Shapes do not fit, alpha is not positive, or there are no sources.

    Shape:
        references: (..., sources, channels, freq, frames)
        x: (..., channels, freq, frames)
        returns: (..., sources, channels, freq, frames)

    Example:
        >>> references = torch.tensor([3.0, 4j]).reshape(2, 1, 1, 1)
        >>> ideal_ratio_mask(references, alpha=2).flatten()
        tensor([0.3600, 0.6400])

    References:
        [Liutkus2015] A. Liutkus, R. Badeau, "Generalized Wiener filtering with fractional power
        spectrograms", ICASSP 2015.
    """
    check_alpha(alpha)
    _check_references(references, x)
    # Powers of very large and small numbers leave the range; those of shares of the largest do not.
    peak = references.detach().abs().amax(-4, keepdim=True)
    v = powered(references / torch.where(peak == 0, 1, peak), alpha)
    total = v.sum(-4, keepdim=True)
    return _applied(v / torch.where(total == 0, 1, total), v, x)


@array_function
def ideal_binary_mask(
    references: Tensor, x: Tensor | None = None, *, threshold: float | None = None
) -> Tensor:
    """Mask a mixture by where each true source is louder than the others: an upper bound.

    Args:
        references: Spectrograms of the true sources, complex or magnitudes.
        x: Complex spectrogram of the mixture; None gives the masks themselves.
        threshold: None gives every bin to its loudest source. A number gives it to every source
            whose level exceeds that of the sum of the others by more than this many decibels, the
            local criterion of [Wang2005]: masks may overlap below 0 dB and leave bins out above.

    Returns:
        Estimates, in the mixture's dtype; or masks of 0 and 1.

    Raises:
        ParameterError: Shapes do not fit, the threshold is no number, or there are no sources.

    Shape:
        references: (..., sources, channels, freq, frames)
        x: (..., channels, freq, frames)
        returns: (..., sources, channels, freq, frames)

    Example:
        >>> references = torch.tensor([3.0, 4j]).reshape(2, 1, 1, 1)
        >>> masks = [ideal_binary_mask(references, threshold=t) for t in (None, -6)]
        >>> masks[0].flatten(), masks[1].flatten()
        (tensor([0., 1.]), tensor([1., 1.]))

    References:
        [Wang2005] D. Wang, "On ideal binary mask as the computational goal of auditory scene
        analysis", Speech Separation by Humans and Machines, 2005.
    """
    _check_references(references, x)
    v = references.detach().abs()
    if threshold is None:
        return _applied(_loudest(v), v, x)
    if isinstance(threshold, bool) or not isinstance(threshold, int | float):
        raise ParameterError(f"threshold={threshold!r} must be None or a number of decibels")
    if not math.isfinite(threshold):
        raise ParameterError(f"threshold={threshold!r} must be finite")
    whole = references.detach()
    rest = (whole.sum(-4, keepdim=True) - whole).abs()
    return _applied(v > 10 ** (threshold / 20) * rest, v, x)


def powered(x: Tensor, alpha: float) -> Tensor:
    """Give |x|^alpha, with a gradient of zero where x is zero.

    Args:
        x: Real or complex values.
        alpha: Any positive number.
    """
    if alpha == 1:
        return x.abs()
    if alpha == 2:
        return x.real.square() + x.imag.square() if x.is_complex() else x.square()
    size = x.abs()
    silent = size == 0
    return torch.where(silent, 0, torch.where(silent, 1, size) ** alpha)


def check_alpha(alpha: float) -> None:
    """Refuse exponents that are not positive.

    Args:
        alpha: What the caller gave.

    Raises:
        ParameterError: It is no positive finite number.
    """
    number = isinstance(alpha, int | float) and not isinstance(alpha, bool)
    if not number or not 0 < alpha < math.inf:
        raise ParameterError(
            f"alpha={alpha!r} must be a positive number: 1 of magnitudes, 2 of powers"
        )


def _loudest(v: Tensor) -> Tensor:
    """Tell where each source is the loudest, the first of equals; nowhere where all are zero."""
    if v.dtype in (torch.bool, torch.uint16, torch.uint32, torch.uint64):
        v = v.double()  # torch orders none of them
    top = v.amax(-4)
    free, masks = top != 0, []
    for source in v.unbind(-4):
        masks.append((source == top) & free)
        free = free & ~masks[-1]
    return torch.stack(masks, -4)


def _applied(mask: Tensor, v: Tensor, x: Tensor | None) -> Tensor:
    """Mask the mixture; without one, give the masks in the floating dtype of the models."""
    if x is None:
        return mask.to(v.dtype if v.is_floating_point() else torch.get_default_dtype())
    if mask.dtype == torch.bool:
        return torch.where(mask, x.unsqueeze(-4), 0)
    return mask.to(x.real.dtype) * x.unsqueeze(-4)


def _check_references(references: Tensor, x: Tensor | None) -> None:
    if not (references.is_complex() or references.is_floating_point()):
        raise ParameterError(
            f"references have dtype {references.dtype} but must be complex spectrograms or"
            " magnitudes"
        )
    _check_sources(references, "references")
    if x is None:
        return
    check_mixture(x)
    if references.shape != (*x.shape[:-3], references.shape[-4], *x.shape[-3:]):
        raise ParameterError(
            f"references of shape {tuple(references.shape)} do not fit a mixture of shape"
            f" {tuple(x.shape)}: with a mixture (..., channels, freq, frames) they must be"
            " (..., sources, channels, freq, frames)"
        )


def _check_sources(v: Tensor, name: str) -> None:
    if v.ndim < 4 or not v.shape[-4]:
        raise ParameterError(
            f"{name} of shape {tuple(v.shape)} must be (..., sources, channels, freq, frames) with"
            " at least one source"
        )
