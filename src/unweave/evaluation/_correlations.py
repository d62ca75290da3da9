"""Correlations of signals at short lags, from one pass over blocks of time.

Blocks are correlated inside by the FFT, and what crosses from the end of one block to the start of
the next is added by a second, much shorter FFT: every sample is transformed about once, whatever
the length of the signals, and the working memory does not depend on it.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

_SIZE = 2**12  # of the FFT of a block; three quarters of it at least are new samples
_AT_ONCE = 4  # blocks, so that their spectra stay in the processor's cache


def correlations(reference: Tensor, estimate: Tensor, taps: int) -> Tensor:
    """Give sum_m reference_i[m] y_j[m + k] for k = 0 ... taps - 1 in double precision.

    y are the references followed by the estimates; signals are silent outside of their length.

    Args:
        reference: Signals that are delayed.
        estimate: Other signals of the same length.
        taps: Number of lags.

    Shape:
        reference: (references, time)
        estimate: (estimates, time)
        returns: (references, references + estimates, taps)
    """
    size = max(_SIZE, 1 << (4 * taps - 1).bit_length())
    step, margin = size - (taps - 1), taps - 1
    inside = _Products(reference, estimate, size)
    across = _Products(reference, estimate, 1 << (2 * taps - 1).bit_length())
    length = reference.shape[-1]
    room = reference.new_zeros(len(reference) + len(estimate), _AT_ONCE, size, dtype=torch.float64)
    for start in range(0, length, step * _AT_ONCE):
        count = min(_AT_ONCE, -(-(length - start) // step))
        piece = excerpt(reference, estimate, start - margin, margin + count * step)
        blocks = torch.unflatten(piece[:, margin:], -1, (count, step))
        padded = room[:, :count]
        padded[..., :step].copy_(blocks)
        inside.add(padded, padded)
        if margin:
            across.add(piece.unfold(-1, margin, step)[:, :count], blocks[..., :margin])
    lags = inside.lags()[..., :taps].clone()
    if margin:
        # Both excerpts are `margin` long, so lag k of the signal is lag k - margin between them.
        lags[..., 1:] += across.lags()[..., torch.arange(1, taps) - margin]
    return lags


def excerpt(reference: Tensor, estimate: Tensor, start: int, count: int) -> Tensor:
    """Give samples of all signals in double precision, with silence around them.

    Shape:
        reference: (references, time)
        estimate: (estimates, time)
        returns: (references + estimates, count)
    """
    length = reference.shape[-1]
    part = slice(max(0, start), max(0, min(start + count, length)))
    piece = torch.cat([x[:, part].to(torch.float64) for x in (reference, estimate)])
    before = min(count, max(0, -start))
    return pad(piece, (before, count - before - piece.shape[-1]))


class _Products:
    """Sum conj(X_i) Y_j over blocks, X being spectra of references and Y of all signals."""

    def __init__(self, reference: Tensor, estimate: Tensor, size: int) -> None:
        self.size, self.rows = size, len(reference)
        shape = size // 2 + 1, self.rows, self.rows + len(estimate)
        self.sums = torch.zeros(shape, dtype=torch.complex128, device=reference.device)

    def add(self, early: Tensor, late: Tensor) -> None:
        """Add blocks of shape (signals, blocks, time)."""
        second: Tensor = torch.fft.rfft(late, self.size)
        first = second if early is late else torch.fft.rfft(early[: self.rows], self.size)
        left = first[: self.rows].permute(2, 0, 1).contiguous().conj_physical_()
        self.sums.baddbmm_(left, second.permute(2, 0, 1).contiguous().mT)

    def lags(self) -> Tensor:
        """Give the circular correlations, of shape (references, signals, size)."""
        lags: Tensor = torch.fft.irfft(self.sums.permute(1, 2, 0), self.size)
        return lags
