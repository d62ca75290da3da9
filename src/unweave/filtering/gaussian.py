"""The pieces of the multichannel Wiener filter, one by one.

They build the large arrays that `wiener` and `expectation_maximization` never hold: a matrix for
every bin. All of them take any number of leading axes, and broadcast them.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from unweave._core.arrays import array_function, two_array_function
from unweave.errors import ParameterError
from unweave.filtering._checks import check_eps, check_mixture
from unweave.filtering._plain import densities, mixture_covariance
from unweave.filtering._regular import Regularisation


@array_function
def get_local_gaussian_model(y: Tensor, *, eps: float | None = None) -> tuple[Tensor, Tensor]:
    """Estimate the local Gaussian model of a source, or of several at once, from its spectrogram.

    Args:
        y: Complex spectrogram of the source.
        eps: Added to the sum of the power over frames that the covariances are divided by; None
            adds nothing, and gives zero where the source is silent.

    Returns:
        The power spectral density v, the mean power of the channels, and the spatial covariance R
        of each frequency, sum_t y y^H / sum_t v.

    Raises:
        ParameterError: `y` is no complex spectrogram with channels, or `eps` is negative.

    Shape:
        y: (..., channels, freq, frames)
        returns: (..., 1, freq, frames) and (..., freq, channels, channels)

    Example:
        >>> import torch
        >>> v, R = get_local_gaussian_model(torch.ones(2, 5, 10, dtype=torch.complex64))
        >>> v.shape, R[0].real
        (torch.Size([1, 5, 10]), tensor([[1., 1.],
                [1., 1.]]))

    References:
        [Duong2010] Under-determined reverberant audio source separation using a full-rank spatial
        covariance model, IEEE TASLP 18(7).
    """
    check_mixture(y, "y")
    rows = y.movedim(-3, -2)  # (..., freq, channels, frames)
    sums = rows @ rows.mH
    covariances = Regularisation(check_eps(eps)).covariances(sums)
    return densities(y), covariances


@two_array_function
def get_mix_model(v: Tensor, R: Tensor) -> Tensor:
    """Give the covariance of the mixture in every bin: sum_j v_j R_j.

    Args:
        v: Power spectral densities of the sources.
        R: Spatial covariances of the sources.

    Returns:
        A matrix for each bin.

    Raises:
        ParameterError: The shapes do not fit.

    Shape:
        v: (..., sources, 1, freq, frames)
        R: (..., sources, freq, channels, channels)
        returns: (..., freq, frames, channels, channels)

    Example:
        >>> import torch
        >>> y = torch.randn(4, 2, 5, 10, dtype=torch.complex64)
        >>> get_mix_model(*get_local_gaussian_model(y)).shape
        torch.Size([5, 10, 2, 2])
    """
    _check_densities(v, R)
    if v.ndim < 4 or v.shape[-4] != R.shape[-4]:
        raise ParameterError(
            f"v of shape {tuple(v.shape)} and R of shape {tuple(R.shape)} must have the same number"
            " of sources: (..., sources, 1, freq, frames), (..., sources, freq, channels, channels)"
        )
    lead = np.broadcast_shapes(v.shape[:-4], R.shape[:-4])
    vs = v.squeeze(-3).expand(*lead, *v.squeeze(-3).shape[-3:])
    rs = R.expand(*lead, *R.shape[-4:])
    out = mixture_covariance(
        vs.reshape(-1, *vs.shape[-3:]), rs.reshape(-1, *rs.shape[-4:]), vs.new_zeros(1, 1, 1)
    )
    return out.reshape(*lead, *out.shape[1:])


@array_function
def wiener_gain(v_j: Tensor, R_j: Tensor, inv_Cxx: Tensor) -> Tensor:
    """Give the filter that estimates a source from the mixture: v_j R_j Cxx^-1 in every bin.

    Args:
        v_j: Power spectral density of the source.
        R_j: Spatial covariance of the source.
        inv_Cxx: Inverse covariance of the mixture, as torch.linalg.inv gives of `get_mix_model`.

    Returns:
        A matrix for each bin, for `apply_filter`.

    Raises:
        ParameterError: The shapes do not fit.

    Shape:
        v_j: (..., 1, freq, frames)
        R_j: (..., freq, channels, channels)
        inv_Cxx: (..., freq, frames, channels, channels)
        returns: (..., freq, frames, channels, channels)

    Example:
        >>> import torch
        >>> v, R = get_local_gaussian_model(torch.randn(4, 2, 5, 10, dtype=torch.complex128))
        >>> gains = wiener_gain(v, R, torch.linalg.inv(get_mix_model(v, R)))
        >>> torch.allclose(gains.sum(0), torch.eye(2, dtype=gains.dtype))
        True
    """
    _check_densities(v_j, R_j)
    channels = R_j.shape[-1]
    if inv_Cxx.ndim < 4 or inv_Cxx.shape[-4:] != (*v_j.shape[-2:], channels, channels):
        raise ParameterError(
            f"inv_Cxx of shape {tuple(inv_Cxx.shape)} must be (..., freq, frames, channels,"
            f" channels), here (..., {', '.join(map(str, (*v_j.shape[-2:], channels, channels)))})"
        )
    density = v_j.squeeze(-3)[..., None, None]
    return density * (R_j.unsqueeze(-3) @ inv_Cxx)


@two_array_function
def apply_filter(x: Tensor, W: Tensor) -> Tensor:
    """Apply a filter to a mixture: W x in every bin.

    Args:
        x: Complex spectrogram.
        W: A matrix for each bin.

    Returns:
        The filtered spectrogram.

    Raises:
        ParameterError: The shapes do not fit.

    Shape:
        x: (..., channels, freq, frames)
        W: (..., freq, frames, channels, channels)
        returns: (..., channels, freq, frames)

    Example:
        >>> import torch
        >>> x = torch.randn(2, 5, 10, dtype=torch.complex64)
        >>> torch.equal(apply_filter(x, torch.eye(2).expand(5, 10, 2, 2)), x)
        True
    """
    check_mixture(x)
    if W.ndim < 4 or W.shape[-4:-2] != x.shape[-2:] or W.shape[-1] != x.shape[-3]:
        raise ParameterError(
            f"W of shape {tuple(W.shape)} does not fit x of shape {tuple(x.shape)}: it must be"
            " (..., freq, frames, channels, channels)"
        )
    filtered = W.to(x.dtype) @ x.movedim(-3, -1)[..., None]
    return filtered[..., 0].movedim(-1, -3)


def _check_densities(v: Tensor, R: Tensor) -> None:
    fits = (
        v.ndim >= 3
        and R.ndim >= 3
        and v.shape[-3] == 1
        and v.shape[-2] == R.shape[-3]
        and R.shape[-1] == R.shape[-2]
    )
    if not fits:
        raise ParameterError(
            f"densities of shape {tuple(v.shape)} and covariances of shape {tuple(R.shape)} must be"
            " (..., 1, freq, frames) and (..., freq, channels, channels)"
        )
