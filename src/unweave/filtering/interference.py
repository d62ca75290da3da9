"""Takes what leaks from one source into the model or the filter of another away again."""

from __future__ import annotations

import torch
from torch import Tensor

from unweave._core.arrays import array_function
from unweave._core.forms import needs_plain_form
from unweave.errors import ParameterError
from unweave.filtering._logit import SLOPE, check_curve, check_values, harden
from unweave.filtering.smoothing import smooth

GAINS = ("weighted", "trace")
_WHOLE = 10.0  # widths of a Gaussian that hold all of it, even in double precision


@array_function
def reduce_interferences(
    v: Tensor, *, thresh: float = 0.6, slope: float = SLOPE, width: float = 10.0
) -> Tensor:
    """Attenuate the models of sources where, in their surroundings, other sources are louder.

    Sources are seldom all loud at the same place. Each model is smoothed; its share of the sum of
    all smoothed models, hardened by 1 / (1 + exp(-slope (share - thresh))), is the gain.

    Args:
        v: Models of the sources, not negative, of any real dtype.
        thresh: The share that halves a model, between 0 and 1: nearer to 1, more of the
            interferences go and more of the sources with them.
        slope: How hard the decision is: larger, nearer to all or nothing.
        width: Standard deviation of the Gaussian, in frames and frequency bins.

    Returns:
        Attenuated models, shaped like v.

    Raises:
        ParameterError: A parameter is out of range, v has no sources, or is complex, negative or
            NaN.

    Shape:
        v: (..., sources, channels, freq, frames)
        returns: (..., sources, channels, freq, frames)

    Example:
        >>> v = torch.tensor([0.9, 0.1]).reshape(2, 1, 1, 1).expand(2, 1, 8, 8)
        >>> (reduce_interferences(v) / v)[:, 0, 0, 0].round(decimals=3)
        tensor([0.9890, 0.0010])

    References:
        [Prätzlich2015] Kernel additive modeling for interference reduction in multi-channel music
        recordings, ICASSP 2015.
    """
    thresh, slope = check_curve(thresh, slope)
    if v.is_complex() or v.ndim < 4 or not v.shape[-4]:
        raise ParameterError(
            f"v of shape {tuple(v.shape)} and {v.dtype} must be real models of shape (..., sources,"
            " channels, freq, frames) with at least one source"
        )
    check_values(v)
    x = v if v.is_floating_point() else v.to(torch.get_default_dtype())
    surroundings = smooth(x, width=width, truncate=_WHOLE)
    total = surroundings.sum(-4, keepdim=True)
    total = torch.where(total == 0, 1, total)
    if needs_plain_form(v):
        return x * harden(surroundings / total, thresh, slope)
    share = surroundings.div_(total).sub_(thresh).mul_(slope)
    return share.sigmoid_().mul_(x)


@array_function
def compress_filter(
    W: Tensor, *, thresh: float = 0.6, slope: float = SLOPE, gain: str = "weighted"
) -> Tensor:
    """Make a filter harder, nearer to passing everything or nothing: less interference, more gaps.

    A filter of several channels is taken as a mask times a beamformer, which has no gain of its
    own; only the mask g is hardened to 1 / (1 + exp(-slope (g - thresh))).

    Args:
        W: Filters, as `wiener_gain` gives, whose eigenvalues lie between 0 and 1; with one channel
            they are masks.
        thresh: The mask that becomes 1/2, between 0 and 1: nearer to 1, less interference and more
            distortion.
        slope: How hard the decision is.
        gain: What the mask of a filter is: "weighted" for tr(W W) / tr(W), the mean of the
            eigenvalues weighted by themselves, so that a filter that lets all directions pass
            equally has the gain it looks like; "trace" for tr(W), norbert's, equal for filters that
            pick one direction, but up to the number of channels for others, which it attenuates.

    Returns:
        Hardened filters, shaped like W; zero stays zero with several channels.

    Raises:
        ParameterError: A parameter is out of range, or the matrices are not square.

    Shape:
        W: (..., channels, channels)
        returns: (..., channels, channels)

    Example:
        >>> compress_filter(torch.diag(torch.tensor([0.9, 0.0])))
        tensor([[0.9890, 0.0000],
                [0.0000, 0.0000]])

    References:
        [Prätzlich2015] Kernel additive modeling for interference reduction in multi-channel music
        recordings, ICASSP 2015.
    """
    thresh, slope = check_curve(thresh, slope)
    if gain not in GAINS:
        raise ParameterError(f"gain={gain!r} must be one of {', '.join(GAINS)}")
    if not (W.is_complex() or W.is_floating_point()):
        raise ParameterError(f"W has dtype {W.dtype} but must be floating or complex")
    if W.ndim < 2 or W.shape[-1] != W.shape[-2] or not W.shape[-1]:
        raise ParameterError(f"W of shape {tuple(W.shape)} must be (..., channels, channels)")
    if W.shape[-1] == 1:
        return harden(W.real, thresh, slope).to(W.dtype)
    trace = W.diagonal(dim1=-2, dim2=-1).sum(-1).real
    silent = trace == 0
    safe = torch.where(silent, 1, trace)
    mask = trace if gain == "trace" else _squared_trace(W) / safe
    silent = silent | (mask == 0)
    factor = harden(mask, thresh, slope) / torch.where(silent, 1, mask)
    return torch.where(silent, 0, factor)[..., None, None] * W


def _squared_trace(W: Tensor) -> Tensor:
    """Give the real part of tr(W W), entry by entry: products of small matrices are slow."""
    total = torch.zeros((), dtype=W.real.dtype, device=W.device)
    for i in range(W.shape[-1]):
        total = total + (W[..., i, i] * W[..., i, i]).real
        for k in range(i):
            total = total + 2 * (W[..., i, k] * W[..., k, i]).real
    return total
