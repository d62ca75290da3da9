"""The exact EM algorithm for the local Gaussian model, which never lowers the likelihood.

The posterior covariance of a source joins the outer product of its posterior mean [Duong2010]. With
C = sum_j v_j R_j + ridge I and u = C^-1 x, so that the mean is y_j = v_j R_j u, the expectation of
the source's outer product, given the mixture, is

    E_j = y_j y_j^H + v_j R_j - v_j^2 R_j C^-1 R_j,

and the maximisation, first over v_j, then over R_j given the new v_j, is

    v_j' = tr(R_j^-1 E_j) / channels = v_j + v_j^2 (u^H R_j u - tr(C^-1 R_j)) / channels,
    R_j' = mean_t E_j / v_j' + LOADING I.

The loading is that of an inverse Wishart prior: what never falls is the log-likelihood minus
LOADING * frames * sum_j tr R_j^-1 for each frequency.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from unweave.filtering._plain import densities, gaussian_filter, mixture_covariance
from unweave.filtering._regular import LOADING, Regularisation


def exact_steps(
    y: Tensor, x: Tensor, regular: Regularisation, iterations: Iterable[int]
) -> tuple[Tensor, Tensor, Tensor]:
    """Run the algorithm from initial estimates, whose model the first iteration takes as it is.

    Args:
        y: Initial estimates, (batch, sources, channels, freq, frames).
        x: Mixture, (batch, channels, freq, frames).
        regular: Its ridge is noise of known level.
        iterations: As many as are wanted, at least one.

    Returns:
        Estimates, densities and spatial covariances, in double precision.
    """
    y, x = y.to(torch.complex128), x.to(torch.complex128)
    v, covariances = densities(y), y.new_zeros(())
    for index in iterations:
        if index == 0:
            outer = y.movedim(2, 3)
            covariances = regular.covariances(outer @ outer.mH)
            covariances = Regularisation().loaded(covariances)
            ridge = regular.ridge(covariances)
        else:
            v, covariances = _maximise(v, covariances, x, ridge)
        y = gaussian_filter(v, covariances, x, ridge)
    return y, v, covariances


def _maximise(v: Tensor, model: Tensor, x: Tensor, ridge: Tensor) -> tuple[Tensor, Tensor]:
    channels = x.shape[1]
    old = v.squeeze(2)  # (batch, sources, freq, frames)
    eye = torch.eye(channels, dtype=x.dtype, device=x.device)
    mixture = mixture_covariance(old, model, ridge[:, None, None])
    silent = mixture.diagonal(dim1=-2, dim2=-1).real.sum(-1) == 0
    mixture = torch.where(silent[..., None, None], eye, mixture)
    inverse = torch.linalg.inv(mixture)  # (batch, freq, frames, channels, channels)
    u = inverse @ x.movedim(1, -1)[..., None]
    images = model[:, :, :, None] @ u[:, None]  # R_j u
    gain = (u[:, None].mH @ images)[..., 0, 0].real
    spread = torch.einsum("bftcd,bjfdc->bjft", inverse, model).real
    new = (old + old.square() * (gain - spread) / channels).clamp(min=0)
    moments = []
    for j in range(model.shape[1]):  # one source at a time: this is the largest array
        r, w = model[:, j, :, None], old[:, j, ..., None, None]
        mean = w * images[:, j]
        moment = mean @ mean.mH + w * r - w.square() * (r @ inverse @ r)
        active = new[:, j] > 0
        share = torch.where(active, 1 / torch.where(active, new[:, j], 1), 0)
        moments.append(
            (moment * share[..., None, None]).sum(2) / active.sum(-1).clamp(min=1)[..., None, None]
        )
    covariances = torch.stack(moments, 1)
    return new[:, :, None], covariances + LOADING * eye
