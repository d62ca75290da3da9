"""The multichannel Wiener filter made of the true sources: what its models can at best achieve."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool1d

from unweave._core.arrays import two_array_function
from unweave._core.forms import is_traced
from unweave.errors import ParameterError
from unweave.filtering._checks import check_estimates, check_mixture
from unweave.filtering._plain import solve
from unweave.filtering._regular import Regularisation
from unweave.filtering.em import expectation_maximization

_BLOCK = 2**20  # values of local covariances that are held at once


@two_array_function
def oracle_wiener(references: Tensor, x: Tensor, *, width: int | None = None) -> Tensor:
    """Separate a mixture by the Wiener filter of its true sources: a multichannel upper bound.

    Args:
        references: Complex spectrograms of the true sources, in every channel.
        x: Complex spectrogram of the mixture.
        width: None models each source as `wiener` does, by its true power in every bin and one
            spatial covariance a frequency: what better models of powers could make `wiener` reach.
            A number averages the spatial covariance over this many frames on either side only, so
            that it follows sources that move; 0 takes that of each bin, which separates as many
            sources as there are channels almost perfectly.

    Returns:
        Estimates, in the mixture's dtype, which sum to the mixture wherever a source is not zero.

    Raises:
        ParameterError: Shapes or dtypes do not fit, there are no sources, or the width is negative.

    Shape:
        references: (..., sources, channels, freq, frames)
        x: (..., channels, freq, frames)
        returns: (..., sources, channels, freq, frames)

    Example:
        >>> references = torch.randn(2, 2, 65, 20, dtype=torch.complex64)
        >>> y = oracle_wiener(references, references.sum(0), width=0)
        >>> bool((y - references).abs().median() < 1e-3)
        True

    References:
        [Duong2010] Under-determined reverberant audio source separation using a full-rank spatial
        covariance model, IEEE TASLP 18(7).
        [Vincent2007] E. Vincent, R. Gribonval, M. D. Plumbley, "Oracle estimators for the
        benchmarking of source separation algorithms", Signal Processing 87(8), 2007.
    """
    check_mixture(x)
    check_estimates(references, x, "references")
    if not references.shape[-4]:
        raise ParameterError(
            f"references of shape {tuple(references.shape)}: one is needed at least"
        )
    whole = isinstance(width, int) and not isinstance(width, bool)
    if width is not None and (not whole or width < 0):
        raise ParameterError(f"width={width!r} must be None or a number of frames of at least 0")
    if not references.numel():
        return references.to(x.dtype, copy=True)
    if width is None:
        return expectation_maximization(references, x, n_iter=1)[0]
    ys, xs = references.reshape(-1, *references.shape[-4:]), x.reshape(-1, *x.shape[-3:])
    channels, freq = xs.shape[1:3]
    step = max(1, _BLOCK * freq // (ys.numel() * channels))
    if is_traced(references, x):
        step = freq
    parts = [
        _filtered(ys[..., at : at + step, :], xs[..., at : at + step, :], width).to(x.dtype)
        for at in range(0, freq, step)
    ]
    return torch.cat(parts, -2).reshape(references.shape)


def _filtered(y: Tensor, x: Tensor, width: int) -> Tensor:
    """Filter (batch, sources, channels, freq, frames) in double precision, by local covariances."""
    y, x = y.to(torch.complex128).movedim(2, -1), x.to(torch.complex128).movedim(1, -1)
    outer = y[..., None] * y[..., None, :].conj()  # (batch, sources, freq, frames, chan., chan.)
    power = outer.diagonal(dim1=-2, dim2=-1).real.mean(-1)
    regular = Regularisation()
    spatial = regular.loaded(regular.covariances(_averaged(outer, width)))
    local = power[..., None, None] * spatial
    z = solve(local.sum(1), x)  # (batch, freq, frames, channels)
    return (local @ z[:, None, ..., None])[..., 0].movedim(-1, 2)


def _averaged(outer: Tensor, width: int) -> Tensor:
    """Average over frames nearby; the common factor at the edges cancels in the filter."""
    if width == 0:
        return outer
    rows = torch.view_as_real(outer.resolve_conj()).movedim(3, -1)
    mean = avg_pool1d(rows.reshape(-1, 1, rows.shape[-1]), 2 * width + 1, 1, width)
    return torch.view_as_complex(mean.reshape(rows.shape).movedim(-1, 3).contiguous())
