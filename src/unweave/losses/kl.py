"""The Kullback-Leibler divergence of a variational auto-encoder's latent variables."""

from __future__ import annotations

import torch
from torch import Tensor

from unweave.errors import ParameterError
from unweave.losses._shared import check_floating, single

_REDUCTIONS = ("sum", "batchmean", "mean", "none")


def kl_div_loss(mu: Tensor, sigma: Tensor, *, reduction: str = "sum") -> Tensor:
    """Give the divergence of normal distributions N(mu, sigma^2) from the standard one.

        L = 1/2 sum( mu^2 + sigma^2 - ln sigma^2 - 1 )

    To be added to a loss of reconstruction. Where that is a mean over elements, the sum over all
    latent variables outweighs it: use reduction="mean", or a factor.

    Args:
        mu: Means.
        sigma: Standard deviations, not their logarithms; where zero, the smallest normal number
            stands for them.
        reduction: "sum" over everything, "batchmean" for the sum over an example's variables and
            the mean over examples (the first axis), "mean" over everything, or "none".

    Returns:
        The divergence in nats, in the dtype of `mu`.

    Raises:
        ParameterError: The shapes differ, or the reduction is unknown.

    Shape:
        mu: (batch, ...)
        sigma: (batch, ...)
        returns: (), or the same shape without reduction

    Example:
        >>> kl_div_loss(torch.ones(4, 3), torch.ones(4, 3))
        tensor(6.)

    References:
        [Kingma2014] D. P. Kingma, M. Welling, "Auto-encoding variational Bayes", ICLR 2014.
    """
    if mu.shape != sigma.shape or mu.ndim == 0:
        raise ParameterError(
            f"mu {tuple(mu.shape)} and sigma {tuple(sigma.shape)} must have the same shape"
            " (batch, ...)"
        )
    if reduction not in _REDUCTIONS:
        raise ParameterError(f"reduction={reduction!r} must be one of {_REDUCTIONS}")
    check_floating("mu", mu)
    check_floating("sigma", sigma)
    m, s = single(mu), single(sigma)
    tiny = torch.finfo(s.dtype).tiny
    values = (m.square() + s.square() - 1) / 2 - s.abs().clamp(min=tiny).log()
    if reduction == "mean":
        values = values.mean()
    elif reduction != "none":
        values = values.sum() / (max(1, len(values)) if reduction == "batchmean" else 1)
    return values.to(mu.dtype)
