"""The local Gaussian filter as plain tensor operations, which autograd can follow.

It is the reference for the compiled kernels, and what runs on accelerators. Tensors have a batch
axis: models (batch, sources, channels or 1, freq, frames), mixtures (batch, channels, freq,
frames). Everything is computed in double precision; where no gradient is wanted, in blocks of
frames, so that this takes little memory.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from unweave._core.forms import is_traced
from unweave.errors import ParameterError
from unweave.filtering._checks import may_be_negative
from unweave.filtering._regular import Start

_BLOCK = {"cpu": 2**18}  # values of all sources and channels that are worked on at once; elsewhere:
_LARGE_BLOCK = 2**25
_STEEP = 2.0**26  # times the least normal number: sums of models that shares have no gradient below


def check_model(v: Tensor) -> None:
    """Refuse models with negative values, where values may be looked at.

    Args:
        v: Models.

    Raises:
        ParameterError: One is negative.
    """
    if may_be_negative(v) and bool((v < 0).any()):
        raise ParameterError(
            "v has negative values: models are magnitudes or powers; use v.clamp(min=0) or v.abs()"
        )


def initial(v: Tensor, x: Tensor, start: Start) -> Tensor:
    """Give initial estimates in the precision of the mixture."""
    check_model(v)
    work = torch.float64 if v.dtype == torch.float64 else x.real.dtype
    return _initial(v.to(work), x, start).to(x.dtype)


def _initial(v: Tensor, x: Tensor, start: Start) -> Tensor:
    if not start.soft:
        return v * _phase(x)[:, None]
    mask = _shares(v, start.eps)
    for _ in range(start.rounds):
        mask = _shares(mask.square(), start.eps)
    return mask * x[:, None]


def _shares(v: Tensor, eps: float) -> Tensor:
    total = v.sum(1, keepdim=True) + eps
    if v.requires_grad:  # shares of nearly nothing are right, but their slopes exceed the range
        steep = total < _STEEP * torch.finfo(v.dtype).tiny
        v, total = torch.where(steep, v.detach(), v), torch.where(steep, total.detach(), total)
    return v / torch.where(total == 0, 1, total)


def _phase(x: Tensor) -> Tensor:
    """Give x / |x|, one where x is zero, with a gradient that is finite there."""
    silent = x == 0
    safe = torch.where(silent, 1, x)
    return torch.where(silent, 1, safe / safe.abs())


def model_sums(v: Tensor, x: Tensor, start: Start) -> Tensor:
    """Sum y y^H of initial estimates over frames: (batch, sources, freq, channels, channels)."""
    check_model(v)

    def work(at: slice) -> Tensor:
        return _sums(_initial(v[..., at].double(), _double(x[..., at]), start))

    blocks = [work(at) for at in _blocks(x.shape[-1], v, x)]
    return torch.stack(blocks).sum(0) if len(blocks) > 1 else blocks[0]


def estimate_sums(y: Tensor) -> Tensor:
    """Sum y y^H of estimates over frames: (batch, sources, freq, channels, channels)."""
    blocks = [_sums(_double(y[..., at])) for at in _blocks(y.shape[-1], y)]
    return torch.stack(blocks).sum(0) if len(blocks) > 1 else blocks[0]


def _sums(y: Tensor) -> Tensor:
    y = y.movedim(2, 3)  # (batch, sources, freq, channels, frames)
    return y @ y.mH


def model_filter(v: Tensor, x: Tensor, start: Start, model: Tensor, ridge: Tensor) -> Tensor:
    """Filter the mixture with the densities of initial estimates and spatial covariances."""

    def work(at: slice) -> Tensor:
        mixture = _double(x[..., at])
        psd = densities(_initial(v[..., at].double(), mixture, start))
        return gaussian_filter(psd, model, mixture, ridge).to(x.dtype)

    return _joined(work, _blocks(x.shape[-1], v, x, model))


def owned(y: Tensor, x: Tensor) -> Tensor:
    """Give estimates in the mixture's precision."""
    return y.to(x.dtype)


def estimate_filter(y: Tensor, x: Tensor, model: Tensor, ridge: Tensor) -> tuple[Tensor, Tensor]:
    """Filter the mixture with the densities of estimates; give those, too."""
    psd = densities(y)

    def work(at: slice) -> Tensor:
        mixture = _double(x[..., at])
        again = densities(_double(y[..., at]))
        return gaussian_filter(again, model, mixture, ridge).to(x.dtype)

    return _joined(work, _blocks(x.shape[-1], y, x, model)), psd


def densities(y: Tensor) -> Tensor:
    """Give power spectral densities, the mean power of the channels: (batch, sources, 1, ...)."""
    return (y.real.square() + y.imag.square()).mean(-3, keepdim=True)


def gaussian_filter(psd: Tensor, model: Tensor, x: Tensor, ridge: Tensor) -> Tensor:
    """Give v_j R_j C^-1 x with C = sum_j v_j R_j + ridge I; zero where C is.

    Args:
        psd: Densities v, (batch, sources, 1, freq, frames).
        model: Spatial covariances R, (batch, sources, freq, channels, channels).
        x: Mixture, (batch, channels, freq, frames).
        ridge: One value an item.

    Returns:
        Estimates, (batch, sources, channels, freq, frames).
    """
    v = psd.squeeze(2)
    ridge = ridge[:, None, None]
    z = solve(mixture_covariance(v, model, ridge), x.movedim(1, -1))  # (batch, freq, frames, chan.)
    images = z[:, None] @ model.mT  # (batch, sources, freq, frames, channels)
    return (v[..., None] * images).movedim(-1, 2)


def mixture_covariance(v: Tensor, model: Tensor, ridge: Tensor) -> Tensor:
    """Give sum_j v_j R_j + ridge I: (batch, freq, frames, channels, channels)."""
    channels = model.shape[-1]
    flat = model.flatten(-2).permute(0, 2, 1, 3)  # (batch, freq, sources, channels**2)
    mixture = v.permute(0, 2, 3, 1).to(flat.dtype) @ flat
    mixture = mixture.reshape(*mixture.shape[:-1], channels, channels)
    eye = torch.eye(channels, dtype=model.dtype, device=model.device)
    return mixture + ridge[..., None, None] * eye


def solve(covariance: Tensor, x: Tensor) -> Tensor:
    """Give C^-1 x of Hermitian positive matrices; zero where the matrix is zero.

    Args:
        covariance: Matrices C, (..., channels, channels).
        x: Vectors, (..., channels).

    Returns:
        Vectors, the same shape.
    """
    channels = x.shape[-1]
    level = covariance.diagonal(dim1=-2, dim2=-1).real.sum(-1) / channels
    silent = level == 0
    level = torch.where(silent, 1, level)
    eye = torch.eye(channels, dtype=covariance.dtype, device=covariance.device)
    unit = covariance / level[..., None, None] + silent[..., None, None] * eye
    if channels == 1:
        z = x / unit[..., 0].real
    elif channels == 2:
        a, b, c = unit[..., 0, 0].real, unit[..., 1, 1].real, unit[..., 1, 0]
        det = a * b - (c.real.square() + c.imag.square())
        x0, x1 = x[..., 0], x[..., 1]
        z = torch.stack([b * x0 - c.conj() * x1, a * x1 - c * x0], -1) / det[..., None]
    else:
        factor = torch.linalg.cholesky_ex(unit)[0]
        z = torch.cholesky_solve(x[..., None], factor)[..., 0]
    return z * torch.where(silent, 0, 1 / level)[..., None]


def _double(x: Tensor) -> Tensor:
    return x.to(torch.complex128)


def _blocks(frames: int, *tensors: Tensor) -> list[slice]:
    """Cut frames into blocks, or leave them whole where a graph must be kept."""
    if torch.compiler.is_compiling() or is_traced(*tensors) or frames == 0:
        return [slice(0, frames)]
    size = max(tensor.numel() for tensor in tensors) // frames
    block = max(1, _BLOCK.get(tensors[0].device.type, _LARGE_BLOCK) // max(1, size))
    return [slice(first, min(frames, first + block)) for first in range(0, frames, block)]


def _joined(work: Callable[[slice], Tensor], blocks: list[slice]) -> Tensor:
    if len(blocks) == 1:
        return work(blocks[0])
    first = work(blocks[0])
    out = first.new_empty(*first.shape[:-1], blocks[-1].stop)
    out[..., blocks[0]] = first
    for at in blocks[1:]:
        out[..., at] = work(at)
    return out
