"""Bases that are trained: dense products of frames with cosines and sines."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from unweave._core.forms import is_traced, is_transformed
from unweave._core.fourier import LIGHT_SAMPLES, Finish
from unweave._core.frames import Framing, blocks
from unweave._core.memory import fresh
from unweave.transforms._analysis import magnitude, power, safe_sqrt
from unweave.transforms._bank import product
from unweave.transforms._nonuniform import basis_at
from unweave.transforms._scale import Scale
from unweave.transforms._slidingproduct import pays, sliding_products

_FEW = 32  # frames of a signal that are too few for tricks
_BLOCKS = 8  # blocks that would stay in the cache, taken at once because the basis does not anyway
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
        wcos, wsin = self.reads
        if torch.compiler.is_compiling():
            # A copy, for exporters to see its layout whatever the sizes.
            frames = frames.clone(memory_format=torch.contiguous_format)
            return torch.complex(product(frames, wcos.mT), -product(frames, wsin.mT))
        flat = frames.flatten(0, -2)
        # Frequencies first: the other order is slow where their number is odd, which it is.
        spectra = torch.complex(product(wcos, flat.mT).mT, -product(wsin, flat.mT).mT)
        return spectra.reshape(*frames.shape[:-1], -1)

    def slides(self, x: Tensor, framing: Framing) -> bool:
        """Tell whether `slid` is of use: fast on the CPU, but nothing that a compiler likes."""
        if x.device.type != "cpu" or torch.compiler.is_compiling() or is_transformed():
            return False
        count = framing.count(x.shape[-1])
        if (
            is_traced(x, *self.reads)
            and x.shape[:-1].numel() * count * framing.n_fft > LIGHT_SAMPLES
        ):
            return False  # the frames are made anew for the gradient, in blocks
        return x.numel() > 0 and count >= _FEW and pays(framing.n_fft, framing.hop_length)

    def slid(self, rows: Tensor, framing: Framing, count: int, finish: Finish | None) -> Tensor:
        """Give what `finish` makes of all frames of padded signals, (rows, n_frames, bins)."""
        if is_traced(rows, *self.reads):
            return self._slid(rows, framing, count, finish)
        made = []
        for row, frame in blocks(len(rows), count, -(-framing.n_fft // _BLOCKS)):
            begin, some = frame.start * framing.hop_length, frame.stop - frame.start
            samples = rows[row, begin : begin + framing.span(some)]
            made.append(((row, frame), self._slid(samples, framing, some, finish)))
        first = made[0][1]
        out = fresh(first, len(rows), count, *first.shape[2:])
        for place, part in made:
            out[place] = part
        return out

    def _slid(self, rows: Tensor, framing: Framing, count: int, finish: Finish | None) -> Tensor:
        cosines, sines = sliding_products(rows, self.reads, framing.hop_length, count)
        fourths = [_finished(*parts, finish=finish) for parts in zip(cosines, sines, strict=True)]
        whole = torch.stack([part.mT for part in fourths], 1)
        return whole.reshape(len(rows), -1, whole.shape[-1])[:, :count]

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


def _finished(cosines: Tensor, sines: Tensor, *, finish: Finish | None) -> Tensor:
    """Give what `finish` makes of both products of frames."""
    if finish is power or finish is magnitude:  # spares a copy
        squares = cosines.square() + sines.square()
        return squares if finish is power else safe_sqrt(squares)
    spectra = torch.complex(cosines, -sines)
    return spectra if finish is None else finish(spectra)


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
