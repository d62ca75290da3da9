"""The components loss of mask-based separation.

A mask M filters the magnitudes |Y| of the target and |R| of all that is not the target, which
training knows apart. With Y_f = M |Y|, R_f = M |R|, and n elements in an example,

    L = (1 - alpha - beta)/n |Y_f - |Y||^2  +  alpha/n |R_f|^2  +  beta/n |R_f/|R_f| - |R|/||R|| |^2
         the target is kept                   the rest goes        what is left of it sounds natural

Two components are the case beta = 0 [Xu2019].

References:
    [Xu2019] Z. Xu, S. Elshamy, Z. Zhao, T. Fingscheidt, "Components loss for neural networks in
        mask-based speech enhancement", arXiv:1908.05087.
"""

from __future__ import annotations

import math
import warnings

import torch
from torch import Tensor, nn

from unweave.errors import ParameterError
from unweave.losses._shared import check_floating, reduce, single


def component_loss(
    mask: Tensor,
    target: Tensor,
    residual: Tensor,
    *,
    alpha: float = 0.2,
    beta: float = 0.0,
    reduction: str = "mean",
) -> Tensor:
    """Weigh how a mask keeps the target against how it removes the rest.

        L = (1 - alpha - beta)/n |M Y - Y|^2 + alpha/n |M R|^2 + beta/n |M R/|M R| - R/|R||^2

    with the mask M, the target Y and the residual R. Where alpha + beta = 1 nothing asks for the
    target to be kept: the best mask is almost zero everywhere, and a warning says so.

    Args:
        mask: What the mixture's magnitudes are multiplied by.
        target: Magnitudes of the target.
        residual: Magnitudes of everything else: mixture minus target.
        alpha: Weight of the removal of the residual, from 0 to 1.
        beta: Weight of the third component, how alike the residual is before and after the mask,
            apart from its level; alpha + beta is at most 1. Residuals that are silent, before or
            after the mask, count as alike nothing, without a gradient.
        reduction: "mean" over the batch, "sum", or "none" for a value per example.

    Returns:
        The loss.

    Raises:
        ParameterError: The shapes differ, or the weights are out of range.

    Shape:
        mask: (batch, ...)
        target: (batch, ...)
        residual: (batch, ...)
        returns: (), or (batch,) without reduction

    Example:
        >>> ones = torch.ones(2, 1, 5, 4)
        >>> component_loss(0.5 * ones, ones, ones, alpha=0.5)
        tensor(0.2500)

    References:
        [Xu2019] Components loss for neural networks in mask-based speech enhancement.
    """
    _check(mask, target, residual)
    _check_weights(alpha, beta)
    m, y, r = (single(x).reshape(x.shape[0], -1) for x in (mask, target, residual))
    filtered, count = m * r, max(1, m.shape[1])
    loss = (1 - alpha - beta) * (m * y - y).square().sum(1) + alpha * filtered.square().sum(1)
    if beta:
        loss = loss + beta * (_unit(filtered) - _unit(r)).square().sum(1)
    return reduce(loss / count, reduction, mask.dtype)


class ComponentLoss(nn.Module):
    """Hold the weights of `component_loss`.

    Args:
        alpha: Weight of the removal of the residual.
        beta: Weight of the likeness of the residual.
        reduction: "mean", "sum" or "none".

    Raises:
        ParameterError: The weights are out of range.

    Example:
        >>> ones = torch.ones(2, 1, 5, 4)
        >>> ComponentLoss(alpha=0.5)(0.5 * ones, ones, ones)
        tensor(0.2500)
    """

    def __init__(self, *, alpha: float = 0.2, beta: float = 0.0, reduction: str = "mean") -> None:
        super().__init__()
        _check_weights(alpha, beta)
        self.alpha, self.beta, self.reduction = alpha, beta, reduction

    def forward(self, mask: Tensor, target: Tensor, residual: Tensor) -> Tensor:
        """Give the loss; see `component_loss`.

        Args:
            mask: What the mixture's magnitudes are multiplied by.
            target: Magnitudes of the target.
            residual: Magnitudes of everything else.

        Returns:
            The loss.

        Shape:
            mask: (batch, ...)
            target: (batch, ...)
            residual: (batch, ...)

        Example:
            >>> ComponentLoss()(torch.ones(2, 3), torch.ones(2, 3), torch.zeros(2, 3))
            tensor(0.)
        """
        weights = {"alpha": self.alpha, "beta": self.beta}
        return component_loss(mask, target, residual, reduction=self.reduction, **weights)


def _check(mask: Tensor, target: Tensor, residual: Tensor) -> None:
    if mask.ndim == 0 or not mask.shape == target.shape == residual.shape:
        raise ParameterError(
            f"mask {tuple(mask.shape)}, target {tuple(target.shape)} and residual"
            f" {tuple(residual.shape)} must have the same shape (batch, ...)"
        )
    for name, x in (("mask", mask), ("target", target), ("residual", residual)):
        check_floating(name, x)


def _check_weights(alpha: float, beta: float) -> None:
    if not (0 <= alpha <= 1 and 0 <= beta <= 1 and alpha + beta <= 1 + 1e-9):
        raise ParameterError(
            f"alpha={alpha!r} and beta={beta!r} must be at least 0, and at most 1 together"
        )
    if math.isclose(alpha + beta, 1, abs_tol=1e-9):
        warnings.warn(
            f"alpha={alpha} and beta={beta} sum to 1, so the target has no weight and the best mask"
            " is silence: choose a smaller alpha or beta",
            stacklevel=3,
        )


def _unit(rows: Tensor) -> Tensor:
    """Divide rows by their norms; silent rows stay silent and have no gradient."""
    energy = rows.square().sum(1, keepdim=True)
    silent = energy == 0
    return torch.where(silent, 0.0, rows) / torch.where(silent, 1.0, energy).sqrt()
