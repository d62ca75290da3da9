"""Constant-Q kernels that are multiplied with the Fourier transform of frames, as in 1992.

With K the transform of the kernels and X that of a frame, both up to the Nyquist frequency, the sum
of K conj(X) is n_fft times the product of kernel and frame in time [Brown1992].

References:
    [Brown1992] An efficient algorithm for the calculation of a constant Q transform, JASA 92.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import conv1d

from unweave._core.arrays import NumpyArray
from unweave._core.fourier import in_blocks
from unweave.compat.nnaudio._audio import exporting
from unweave.compat.nnaudio._basis import Original, fourier_basis
from unweave.compat.nnaudio._frames import BareFrames
from unweave.compat.nnaudio._kernels import split


class SpectralKernels(nn.Module):
    """Hold a Fourier basis and kernels in the frequency domain, by nnAudio's names.

    Example:
        >>> SpectralKernels().training
        True
    """

    wsin: Tensor
    wcos: Tensor
    cqt_kernels_real: Tensor
    cqt_kernels_imag: Tensor
    _basis: Original

    def _hold(self, kernels: NumpyArray, trainable_stft: bool, trainable_cqt: bool) -> None:
        """Register the bases of kernels that are given in the time domain."""
        width = kernels.shape[1]
        build = partial(_bare_basis, width)
        for name, rows in zip(("wsin", "wcos"), build(), strict=True):
            self._register(name, rows, trainable_stft)
        spectra = np.fft.fft(kernels.astype(complex))[:, : width // 2 + 1].astype(np.complex64)
        for name, part in zip(
            ("cqt_kernels_real", "cqt_kernels_imag"), split(spectra), strict=True
        ):
            self._register(name, part, trainable_cqt)
        self._basis = Original(("wsin", "wcos"), build)
        self._basis.trust(self)

    def _register(self, name: str, tensor: Tensor, trainable: bool) -> None:
        if trainable:
            self.register_parameter(name, nn.Parameter(tensor))
        else:
            self.register_buffer(name, tensor)

    def _sliding(self, padded: Tensor, framing: BareFrames, count: int) -> tuple[Tensor, Tensor]:
        """Give both parts of the products with frames, of shape (rows, bins, frames)."""
        rotation = self._rotation(padded)
        if exporting() or not self._basis.holds(self):
            signal, hop = padded[:, None], framing.hop_length
            real = conv1d(signal, self.wcos.to(padded), stride=hop)
            imag = conv1d(signal, self.wsin.to(padded), stride=hop)
            both = torch.cat((real, imag), 1).mT @ rotation
        else:
            both = in_blocks(padded, framing, count, lambda x: _product(x, rotation), (rotation,))
        real, imag = torch.split(both.mT, both.shape[-1] // 2, 1)
        return real, imag

    def _single(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Give both parts of the products with frames of shape (rows, frames, width)."""
        rotation = self._rotation(frames)
        if exporting() or not self._basis.holds(self):
            both = frames @ torch.cat((self.wcos, self.wsin))[:, 0].T.to(frames) @ rotation
        else:
            both = _product(frames, rotation)
        real, imag = torch.split(both.mT, both.shape[-1] // 2, 1)
        return real, imag

    def _rotation(self, like: Tensor) -> Tensor:
        """Give the kernels as a matrix that takes (re X, -im X) to the two parts of K conj(X)."""
        real, imag = self.cqt_kernels_real.T, self.cqt_kernels_imag.T
        upper, lower = torch.cat((real, imag), 1), torch.cat((-imag, real), 1)
        return torch.cat((upper, lower)).to(like)


def _product(frames: Tensor, rotation: Tensor) -> Tensor:
    parts = torch.view_as_real(torch.fft.rfft(frames))
    return torch.cat((parts[..., 0], -parts[..., 1]), -1) @ rotation


def _bare_basis(width: int) -> tuple[Tensor, Tensor]:
    sines, cosines = fourier_basis(np.arange(width // 2 + 1.0), width)
    return sines[:, None], cosines[:, None]
