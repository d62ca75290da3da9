"""Inner products of long signals in double precision, block by block.

A metric needs a few inner products of long signals. Formulas on whole tensors write every
intermediate result to memory and read it again, which takes far longer than the arithmetic; here a
block is read once, widened to double precision and multiplied while it lies in the cache.

Energies of errors follow from inner products too, |e - s|^2 = |e|^2 + |s|^2 - 2 <e, s>, unless the
error is so small that the terms cancel; then it is summed itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from unweave._core.forms import needs_plain_form

_BLOCK = 2**18  # samples of all signals at once: two megabytes in double precision
_CANCELLED = 1e-6  # of the terms: of 16 digits, 9 or so are left


def blockwise(estimate: Tensor, reference: Tensor) -> bool:
    """Tell whether sums may be taken block by block: on the CPU, with no gradient in sight.

    Args:
        estimate: Of a metric.
        reference: Of a metric.
    """
    return reference.numel() > 0 and not needs_plain_form(estimate, reference)


def products(estimate: Tensor, reference: Tensor) -> Tensor:
    """Give the energies of pairs of signals and the products between the two.

    Args:
        estimate: Signals.
        reference: Signals of the same shape.

    Returns:
        |e|^2, |s|^2 and <e, s>.

    Shape:
        estimate: (signals, channels, time)
        reference: (signals, channels, time)
        returns: (3, signals), in double precision
    """
    sums = torch.zeros(3, len(reference), dtype=torch.float64)
    for number, pair in enumerate(zip(estimate, reference, strict=True)):
        for e, s in _blocks(pair):  # of two rows, products take longer than three dots
            sums[:, number] += torch.stack((torch.dot(e, e), torch.dot(s, s), torch.dot(e, s)))
    return sums


def gram(signals: tuple[Tensor, ...]) -> Tensor:
    """Give the inner products of signals with each other.

    Args:
        signals: Each of shape (channels, time).

    Returns:
        A matrix in double precision.
    """
    sums = torch.zeros(len(signals), len(signals), dtype=torch.float64)
    for block in _blocks(signals):
        sums.addmm_(block, block.mT)
    return sums


Mix = tuple[tuple[Tensor, ...], Tensor]
"""Signals of shape (channels, time), and a weight for each."""


def refined(energy: Tensor, terms: Tensor, mixes: Sequence[Mix]) -> Tensor:
    """Sum those energies of errors themselves whose terms cancel.

    Args:
        energy: By inner products; shape (signals,).
        terms: The size of what was subtracted; shape (signals,).
        mixes: What each error is made of.
    """
    energy = energy.clone()
    for place in torch.nonzero(energy < _CANCELLED * terms).flatten().tolist():
        signals, weights = mixes[place]
        total = torch.zeros((), dtype=torch.float64)
        for block in _blocks(signals):
            error = weights @ block
            total += torch.dot(error, error)
        energy[place] = total
    return energy


def _blocks(signals: tuple[Tensor, ...]) -> Iterator[Tensor]:
    """Cut signals into pieces, a row each; a piece lasts until the next comes."""
    channels, length = signals[0].shape
    step = min(max(1, _BLOCK // max(1, len(signals) * channels)), max(1, length))
    room = torch.empty(len(signals), channels * step, dtype=torch.float64)
    for start in range(0, length, step):
        count = min(step, length - start)
        piece = room[:, : channels * count]
        for row, signal in zip(piece, signals, strict=True):
            row.view(channels, count).copy_(signal[:, start : start + count])
        yield piece
