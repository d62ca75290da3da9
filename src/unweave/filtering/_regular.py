"""How the local Gaussian model is kept invertible, and where its estimates start from.

By default every spatial covariance R_j, whose trace is the number of channels, is loaded:
R_j + LOADING * I. The loading follows the level of the signal and belongs to the sources, so
results scale with the input, and the estimates sum to the mixture exactly, for

    sum_j v_j (R_j + d I) C^-1 x = x   with   C = sum_j v_j (R_j + d I).

An explicit `eps` is norbert's instead, an absolute floor that is no part of the sources: it is
added to the sums that are divided by, and its square root to the diagonal of C.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

# The filter of a source that is alone changes by this much, -70 dB; rounding errors of 1e-16 are
# amplified by its inverse at most.
LOADING = 1e-7


@dataclass(frozen=True)
class Start:
    """Where the estimates start from.

    Attributes:
        soft: Whether from ratio masks; otherwise from the models with the phase of the mixture.
        eps: Added to the sum of the models that masks are divided by.
        rounds: How often masks are squared and made to sum to one again.
    """

    soft: bool = True
    eps: float = 0.0
    rounds: int = 0


@dataclass(frozen=True)
class Regularisation:
    """What keeps the model invertible.

    Attributes:
        eps: Norbert's regularisation, or None for one relative to the signal.
        scale: Of each item of the batch, the squared factor by which norbert would divide it.
    """

    eps: float | None = None
    scale: Tensor | None = None

    def covariances(self, sums: Tensor) -> Tensor:
        """Give the spatial covariances of sources from sums of y y^H over frames.

        Args:
            sums: Shape (batch, sources, freq, channels, channels).

        Returns:
            The same shape; zero where a source is silent.
        """
        channels = sums.shape[-1]
        weight = sums.diagonal(dim1=-2, dim2=-1).real.sum(-1) / channels
        if self.eps is not None:
            weight = weight + self.eps * self._scaled(weight)
        silent = weight == 0
        inverse = torch.where(silent, 0, 1 / torch.where(silent, 1, weight))
        return sums * inverse[..., None, None]

    def loaded(self, covariances: Tensor) -> Tensor:
        """Give the covariances that the filter is made of.

        Args:
            covariances: Those of the sources.
        """
        if self.eps is not None:
            return covariances
        channels = covariances.shape[-1]
        trace = covariances.diagonal(dim1=-2, dim2=-1).real.sum(-1)
        eye = torch.eye(channels, dtype=covariances.dtype, device=covariances.device)
        return covariances + (LOADING / channels * trace)[..., None, None] * eye

    def ridge(self, covariances: Tensor) -> Tensor:
        """Give what is added to the diagonal of mixture covariances.

        Args:
            covariances: Of shape (batch, sources, freq, channels, channels).

        Returns:
            One value an item, shape (batch,).
        """
        real = covariances.real
        zero = real.new_zeros(len(covariances))
        if self.eps is None:
            return zero
        # norbert inverts a single channel as 1 / (C + sqrt(eps) + eps)
        ridge = math.sqrt(self.eps) + (self.eps if covariances.shape[-1] == 1 else 0.0)
        return zero + ridge * self._scaled(real).reshape(-1)

    def _scaled(self, like: Tensor) -> Tensor:
        if self.scale is None:
            return torch.ones((), dtype=like.dtype, device=like.device)
        scale = torch.as_tensor(self.scale, dtype=like.dtype, device=like.device)
        return torch.reshape(scale, (-1, *[1] * (like.ndim - 1)))
