"""Products of sliding frames with a dense basis, with nine sixteenths of the multiplications.

Cut into hops, a basis of four hops B0 ... B3 slides over a signal X0, X1, ... in whole hops:
Y[t] = sum over r of B[r] X[t + r]. Two taps and two outputs need three products instead of four,

    Y[0] = B0 (X0 - X1) + (B0 + B1) X1,    Y[1] = (B0 + B1) X1 - B1 (X1 - X2),

and so, once for even and odd taps and once within them, four taps and four outputs need nine
instead of sixteen [Winograd1980]. Rounding errors are about twice those of plain products.

References:
    [Winograd1980] Arithmetic complexity of computations, SIAM CBMS-NSF 33.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from unweave.transforms._bank import product

_TAPS = 4


def pays(n_fft: int, hop_length: int) -> bool:
    """Tell whether frames of this size and distance are worth the additions."""
    return 9 * _hops(n_fft, hop_length) * hop_length <= 12 * n_fft


def sliding_products(
    rows: Tensor, bases: tuple[Tensor, ...], hop_length: int, count: int
) -> list[list[Tensor]]:
    """Multiply every frame of signals with some bases.

    Args:
        rows: Signals.
        bases: What frames are multiplied with; all of one size of frames.
        hop_length: Samples from one frame to the next.
        count: Number of frames of each signal.

    Returns:
        For each basis, the products of the frames 0, 4, 8, ..., of the frames 1, 5, 9, ..., and so
        on; where `count` is no multiple of 4, some more than there are frames.

    Shape:
        rows: (rows, time)
        bases: each (bins, n_fft)
        returns: for each 4 of (bins, rows * ceil(count / 4))

    Example:
        >>> signal, basis = torch.arange(12.0)[None], torch.ones(1, 8)
        >>> [part.tolist() for part in sliding_products(signal, (basis,), 2, 3)[0]][:3]
        [[[28.0]], [[44.0]], [[60.0]]]
    """
    hops, groups = _hops(bases[0].shape[1], hop_length), -(-count // _TAPS)
    needed = (_TAPS * groups + hops - 1) * hop_length
    rows = pad(rows, (0, max(0, needed - rows.shape[1])))[:, :needed]
    signal = rows.reshape(len(rows), -1, hop_length)
    reach = signal.shape[1] - (hops - _TAPS)
    # Taps r, r + 4, r + 8, ... are one tap over as many hops.
    wide = torch.cat([signal[:, r : r + reach] for r in range(0, hops, _TAPS)], -1)
    inputs = [part.flatten(0, 1).mT for part in _inputs(wide)]
    return [_outputs(_weights(basis, hops, hop_length), inputs) for basis in bases]


def _outputs(weights: list[Tensor], inputs: list[Tensor]) -> list[Tensor]:
    """Multiply, and put the outputs of every fourth frame together."""
    inner = [product(a, b) for a, b in zip(weights, inputs, strict=True)]
    outer = [(a + b, b - c) for a, b, c in zip(inner[::3], inner[1::3], inner[2::3], strict=True)]
    (a0, a1), (b0, b1), (c0, c1) = outer
    return [a0 + b0, b0 - c0, a1 + b1, b1 - c1]


def _hops(n_fft: int, hop_length: int) -> int:
    """Give the hops of a frame, rounded up to whole groups of taps."""
    return -(-n_fft // (_TAPS * hop_length)) * _TAPS


def _weights(basis: Tensor, hops: int, hop_length: int) -> list[Tensor]:
    """Give B0, B0 + B1, B1 of even and odd taps, and of the taps within them."""
    basis = pad(basis, (0, hops * hop_length - basis.shape[1]))
    taps = basis.reshape(len(basis), -1, _TAPS, hop_length).transpose(1, 2).flatten(2)
    b0, b1, b2, b3 = taps.unbind(1)
    even, odd = (b0, b0 + b2, b2), (b1, b1 + b3, b3)
    return [*even, *(a + b for a, b in zip(even, odd, strict=True)), *odd]


def _inputs(signal: Tensor, taps: int = _TAPS) -> list[Tensor]:
    """Give X0 - X1, X1, X1 - X2 of even and odd hops, and of the hops within them."""
    if taps == 1:
        return [signal]
    even, odd = signal[:, 0::2], signal[:, 1::2]
    size = odd.shape[1]
    later = even[:, 1 : size + 1]
    parts = (even[:, :size] - odd, odd, odd[:, : later.shape[1]] - later)
    shortest = taps // 2
    return [part for whole in parts for part in _inputs(whole, shortest)]
