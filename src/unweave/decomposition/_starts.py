"""Where a factorisation starts: random factors, singular vectors, or frames of the data."""

from __future__ import annotations

from importlib import import_module

import torch
from torch import Tensor

from unweave.decomposition._divergence import mean

INITS = ("random", "nndsvd", "nndsvda", "separable")
_OVERSAMPLING, _POWERS = 10, 5  # of the randomised singular value decomposition
_LIFT = 1e-2  # of a factor's mean: what multiplicative updates get in place of zeros


def initial(
    V: Tensor, n_components: int, init: str, generator: torch.Generator | None
) -> tuple[Tensor, Tensor]:
    """Make initial factors.

    Args:
        V: The spectrogram.
        n_components: Number of templates.
        init: One of INITS.
        generator: Source of random factors.

    Shape:
        V: (freq, frames)
        returns: (freq, components) and (components, frames)
    """
    if init == "random":
        return _random(V, n_components, generator)
    if init == "separable":
        return _separable(V, n_components)
    W, H = _nndsvd(V, n_components)
    if init == "nndsvda":
        W, H = _filled(W, float(W.mean())), _filled(H, float(H.mean()))
    return W, H


def lifted(X: Tensor) -> Tensor:
    """Put small values in place of zeros, which multiplicative updates never leave.

    Args:
        X: A factor.
    """
    return _filled(X, _LIFT * float(X.mean()))


def _filled(X: Tensor, value: float) -> Tensor:
    return X.masked_fill(X == 0, value)


def _random(V: Tensor, count: int, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
    device = V.device if generator is None else generator.device
    level = (mean(V) / count) ** 0.5

    def draw(*shape: int) -> Tensor:
        noise = torch.randn(shape, generator=generator, dtype=V.dtype, device=device)
        return noise.abs_().to(V.device).mul_(level)

    return draw(V.shape[0], count), draw(count, V.shape[1])


def _separable(V: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Take frames that the others are mixtures of, and non-negative least squares."""
    separable_nmf = import_module("unweave.decomposition.separable").separable_nmf
    _, W, H = separable_nmf(V, min(count, *V.shape), method="snpa")[:3]
    missing = count - W.shape[1]
    if missing:  # fewer frames differ than components are asked for
        W = torch.cat([W, W.mean(1, keepdim=True).expand(-1, missing)], 1)
        H = torch.cat([H, (_LIFT * H.mean(0, keepdim=True)).expand(missing, -1)])
    return W.contiguous(), H.contiguous()


def _nndsvd(V: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Keep, of each pair of singular vectors, the positive or negative parts that are louder.

    Components beyond the rank get what `random` would give them on average.
    """
    left, values, right = _svd(V, min(count, *V.shape))
    W, H = V.new_zeros(V.shape[0], count), V.new_zeros(count, V.shape[1])
    for k, value in enumerate(values.tolist()):
        u, v = left[:, k], right[k]
        if k == 0:
            parts = [(u.abs(), v.abs())]  # of a non-negative matrix both have one sign
        else:
            parts = [(u.clamp_min(0), v.clamp_min(0)), ((-u).clamp_min(0), (-v).clamp_min(0))]
        loudness, u, v = max(
            ((float(a.norm() * b.norm()), a, b) for a, b in parts), key=lambda part: part[0]
        )
        if loudness > 0:
            scale = (value * loudness) ** 0.5
            W[:, k], H[k] = scale * u / u.norm(), scale * v / v.norm()
    if count > len(values):
        W[:, len(values) :], H[len(values) :] = W.mean(), H.mean()
    return W, H


def _svd(V: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Give the largest singular values and vectors, the same at every call."""
    size = min(count + _OVERSAMPLING, *V.shape)
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(V.shape[1], size, generator=generator, dtype=V.dtype).to(V.device)
    basis = torch.linalg.qr(V @ noise)[0]
    for _ in range(_POWERS):
        basis = torch.linalg.qr((basis.mT @ V).mT)[0]
        basis = torch.linalg.qr(V @ basis)[0]
    u, s, v = torch.linalg.svd(basis.mT @ V, full_matrices=False)
    return (basis @ u)[:, :count], s[:count], v[:count]
