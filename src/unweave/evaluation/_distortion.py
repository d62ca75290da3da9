"""The distortion filters of BSSEval: least squares on delayed copies of the true sources."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

_RIDGE = torch.finfo(torch.float64).eps


class Filters(NamedTuple):
    """Filters that make estimates of true sources, as well as they can.

    Attributes:
        own: From the channels of a source to those of its estimate: (sources, channels, taps,
            channels).
        full: From all channels of all sources to those of all estimates: (sources * channels, taps,
            sources * channels).
    """

    own: Tensor
    full: Tensor


def distortion_filters(lags: Tensor, sources: int) -> Filters:
    """Solve the normal equations, whose matrix is made of Toeplitz blocks.

    Args:
        lags: Correlations of true channels with true and then estimated channels.
        sources: Number of sources; each has as many channels.

    Shape:
        lags: (sources * channels, 2 * sources * channels, taps)
    """
    rows, _, taps = lags.shape
    channels = rows // sources
    true, crossed = lags[:, :rows], lags[:, rows:]
    own = []
    for source in range(sources):
        part = slice(source * channels, (source + 1) * channels)
        right = crossed[part, part].mT.reshape(channels * taps, channels)
        own.append(_solve(_normal(true[part, part]), right).view(channels, taps, channels))
    full = _solve(_normal(true), crossed.mT.reshape(rows * taps, rows))
    return Filters(torch.stack(own), full.view(rows, taps, rows))


def _normal(lags: Tensor) -> Tensor:
    """Give inner products of signals i, j delayed by a, b: the correlation at lag a - b."""
    rows, _, taps = lags.shape
    # Entry t of `falling` is the correlation at lag taps - 1 - t; negative lags swap the signals.
    falling = torch.cat((lags.flip(-1), lags.transpose(0, 1)[..., 1:]), -1)
    blocks = falling.unfold(-1, taps, 1).flip(-2)
    return blocks.transpose(1, 2).reshape(rows * taps, rows * taps)


def _solve(matrix: Tensor, right: Tensor) -> Tensor:
    """Solve a symmetric system; the matrix is spent.

    Where channels are alike, or parts of the spectrum empty, it is singular to within rounding. The
    least addition to its diagonal that lets it be factored then chooses among the solutions.
    """
    diagonal = matrix.diagonal()
    diagonal.add_(_RIDGE)
    if not bool(torch.isfinite(right).all() and torch.isfinite(diagonal).all()):
        return torch.full_like(right, torch.nan)
    ridge = float(diagonal.mean()) * _RIDGE
    factor, failed = torch.linalg.cholesky_ex(matrix)
    while int(failed):
        diagonal.add_(ridge)
        ridge *= 10
        factor, failed = torch.linalg.cholesky_ex(matrix)
    return torch.cholesky_solve(right, factor)
