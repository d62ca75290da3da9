"""Bases that are trained: dense products of frames with cosines and sines."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from unweave.transforms._bank import product
from unweave.transforms._nonuniform import basis_at
from unweave.transforms._scale import Scale

_RIDGE = 1e-4  # of the largest response: what frames hold between the frequencies is not magnified


class TrainedBasis:
    """Multiply frames with a basis that already holds the window.

    Args:
        wcos: Cosines, of shape (bins, n_fft).
        wsin: Sines, of the same shape.
        widths: Part of the spectrum that each bin stands for, of shape (bins,).
    """

    def __init__(self, wcos: Tensor, wsin: Tensor, widths: Tensor) -> None:
        self.reads = (wcos, wsin)
        self.widths = widths

    def spectra(self, frames: Tensor, window: Tensor) -> Tensor:
        """Give the complex spectra of frames; see `Basis`."""
        flat = frames.flatten(0, -2)
        # Frequencies first: the other order is slow where their number is odd, which it is.
        real, imaginary = (product(part, flat.mT).mT for part in self.reads)
        spectra = torch.complex(real, -imaginary)
        return spectra.reshape(*frames.shape[:-1], -1)

    def adjoint(self, spectra: Tensor, window: Tensor) -> Tensor:
        """Give the frames of spectra; see `Basis`."""
        wcos, wsin = self.reads
        spectra = spectra * self.widths
        return product(spectra.real, wcos) - product(spectra.imag, wsin)

    def normal(self, window: Tensor) -> Callable[[Tensor], Tensor]:
        """Give what analyses frames and gives them back; see `Basis`."""
        both = torch.cat(self.reads)
        matrix = product((both * self.widths.repeat(2)[:, None]).mT, both)
        return lambda frames: product(frames, matrix)


def analysis_basis(scale: Scale) -> tuple[Tensor, Tensor]:
    """Give the cosines and sines of a scale, without a window, in float64: (bins, n_fft) each."""
    cosines, sines = basis_at(scale.frequencies().numpy(), scale.n_fft)
    return cosines, -sines


def synthesis_basis(scale: Scale) -> tuple[Tensor, Tensor]:
    """Give what turns real and imaginary parts of spectra back to frames: (bins, n_fft) each.

    It is exact where the frequencies are those of an FFT, else least-squares for single frames.
    """
    cosines, sines = analysis_basis(scale)
    if scale.kind == "no":
        twice = torch.full((scale.bins, 1), 2.0 / scale.n_fft, dtype=torch.float64)
        twice[0] /= 2  # the other bins stand for their negative twins too
        if scale.n_fft % 2 == 0 and scale.is_whole and scale.bins > 1:
            twice[-1] /= 2
        return cosines * twice, -sines * twice
    both = torch.cat([cosines, -sines])
    weighted = both * scale.widths().repeat(2)[:, None]
    normal = weighted.mT @ both
    normal.diagonal().add_(_RIDGE)
    kernels = torch.linalg.solve(normal, weighted.mT).mT
    real, imaginary = kernels.chunk(2)
    return real.contiguous(), imaginary.contiguous()
