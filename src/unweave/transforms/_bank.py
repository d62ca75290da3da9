"""Filter banks: sums of the energies of short-time spectra in bands.

On the CPU, where no gradient is wanted, the sums of a block of frames are made while its spectra
are in the cache, and bands that are zero almost everywhere are multiplied with the few bins that
they see, 16 at a time: the width that matrix products like best. Everywhere else it is one product.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import relu

from unweave._core.constants import Constant
from unweave._core.forms import needs_plain_form
from unweave.transforms._analysis import Analysis, magnitude, power, single
from unweave.transforms.compression import safe_power

_TOGETHER = 16  # bands of one product
_SPARSE = 0.6  # share of the whole product below which products of a few bands pay


class _Piece(NamedTuple):
    """A few bands, and the bins that they see."""

    bands: slice
    bins: slice
    weights: Constant  # (bands, bins)
    twice: Constant  # (2 * bins, bands): for the squares of real and of imaginary parts


def product(a: Tensor, b: Tensor) -> Tensor:
    """Multiply matrices, in full precision under autocast too.

    Args:
        a: Left factor.
        b: Right factor.

    Returns:
        a @ b in the dtype of the factors: spectra span more than bfloat16 can add up.

    Shape:
        a: (..., n, k)
        b: (..., k, m)
        returns: (..., n, m)

    Example:
        >>> product(torch.ones(2, 3), torch.ones(3, 2))
        tensor([[3., 3.],
                [3., 3.]])
    """
    if torch.is_autocast_enabled(a.device.type):
        with torch.autocast(a.device.type, enabled=False):
            return a @ b
    return a @ b


class Bank:
    """A fixed filter bank.

    Args:
        weights: Weight of each bin in each band, in float64; must not be changed afterwards.

    Shape:
        weights: (bands, bins)

    Example:
        >>> bank = Bank(torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.5, 0.5]]))
        >>> bank(torch.tensor([[1.0, 2.0, 4.0]]))
        tensor([[3., 3.]])
    """

    def __init__(self, weights: Tensor) -> None:
        self.weights = Constant(weights)
        self._pieces = _pieces(weights)

    def __call__(self, energies: Tensor) -> Tensor:
        """Sum energies in bands.

        Args:
            energies: Energies of the bins.

        Shape:
            energies: (..., bins)
            returns: (..., bands)
        """
        if not self._pieces or needs_plain_form(energies):
            return product(energies, self.weights(energies).T)
        parts = (
            product(energies[..., piece.bins], piece.weights(energies).T) for piece in self._pieces
        )
        return torch.cat(tuple(parts), -1)

    def of_spectra(self, exponent: float, x: Tensor, window: Tensor) -> Callable[[Tensor], Tensor]:
        """Give what sums |z|^exponent in bands.

        Args:
            exponent: 2 for powers, 1 for magnitudes, or any positive number.
            x: What the spectra are made of, in their precision.
            window: Weights of a frame of it.

        Returns:
            A function of complex spectra (..., bins), which it may overwrite unless gradients are
            followed, that gives (..., bands).
        """
        plain = needs_plain_form(x, window) or torch.is_autocast_enabled(x.device.type)
        if exponent != 2 or plain or not self._pieces:
            return lambda spectra: self(energies(spectra, exponent))
        # Looked up once for all blocks. The products add the squares of real and imaginary parts
        # too, which is faster than adding them before.
        factors = [
            (slice(2 * piece.bins.start, 2 * piece.bins.stop), piece.twice(x))
            for piece in self._pieces
        ]

        def work(spectra: Tensor) -> Tensor:
            squares = torch.view_as_real(spectra).square_().flatten(-2)
            return torch.cat([squares[..., bins] @ weights for bins, weights in factors], -1)

        return work

    def copy(self) -> Tensor:
        """Give weights of the bands that may be changed, of shape (bands, bins), in float64."""
        return self.weights.values.clone()

    def spread(self, bands: Tensor) -> Tensor:
        """Give each bin the weighted sum of its bands: the adjoint of the call.

        Args:
            bands: Energies of the bands.

        Shape:
            bands: (..., bands)
            returns: (..., bins)
        """
        weights = self.weights(bands)
        if not self._pieces or needs_plain_form(bands):
            return product(bands, weights)
        out = bands.new_zeros(*bands.shape[:-1], weights.shape[1])
        for piece in self._pieces:
            out[..., piece.bins] += product(bands[..., piece.bands], piece.weights(bands))
        return out


def _pieces(weights: Tensor) -> tuple[_Piece, ...]:
    """Cut a bank into products of a few bands; none if it is no sparser than one product."""
    pieces: list[_Piece] = []
    area = 0
    for first in range(0, len(weights), _TOGETHER):
        rows = slice(first, min(first + _TOGETHER, len(weights)))
        seen = weights[rows].any(0).nonzero().flatten().tolist() or [0]
        bins = slice(seen[0], seen[-1] + 1)
        area += (rows.stop - rows.start) * (bins.stop - bins.start)
        part = weights[rows, bins].contiguous()
        pieces.append(_Piece(rows, bins, Constant(part), Constant(part.T.repeat_interleave(2, 0))))
    return tuple(pieces) if area < _SPARSE * weights.numel() else ()


def energies(spectra: Tensor, exponent: float) -> Tensor:
    """Give |z|^exponent with gradients that are finite everywhere.

    Args:
        spectra: Complex spectra.
        exponent: 1 for magnitudes, 2 for powers, or any positive number.

    Returns:
        The energies, in the real dtype of the spectra.

    Example:
        >>> energies(torch.tensor([3 + 4j, 0j]), 2.0)
        tensor([25.,  0.])
    """
    if exponent == 1:
        return magnitude(spectra)
    squares = power(spectra)
    return squares if exponent == 2 else safe_power(squares, exponent / 2)


def non_negative_weights(weights: Tensor) -> Tensor:
    """Give trained weights with zero in place of what an optimiser made negative.

    The gradient passes as if nothing had been replaced, so a weight that fell below zero is still
    pulled up by data that want it.

    Args:
        weights: Trained weights of any sign.

    Returns:
        The weights that are used; those not negative are unchanged to the last bit.

    Example:
        >>> weights = torch.tensor([-1.0, 0.0, 2.0], requires_grad=True)
        >>> non_negative_weights(weights).tolist()
        [0.0, 0.0, 2.0]
    """
    return weights + (relu(weights) - weights).detach()


def bank_spectrogram(x: Tensor, plan: Analysis, bank: Bank, exponent: float) -> Tensor:
    """Give the energies of audio in the bands of a fixed bank.

    Args:
        x: Checked audio.
        plan: The short-time analysis.
        bank: The filter bank.
        exponent: Of the magnitudes, before they are summed.

    Returns:
        Energies, in float32 for half precision.

    Shape:
        x: (..., time)
        returns: (..., bands, frames)

    Example:
        >>> from unweave.transforms._analysis import analysis
        >>> plan = analysis(4, 2, None, "ones", True, "constant")
        >>> bank_spectrogram(torch.ones(4), plan, Bank(torch.ones(1, 3)), 2.0).shape
        torch.Size([1, 3])
    """
    x = single(x)
    return plan.spectra(x, bank.of_spectra(exponent, x, plan.window(x)))
