"""Losses of sources in no given order: that of the best assignment of estimates to references."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import torch
from torch import Tensor

from unweave._core.assignment import assign
from unweave.errors import ParameterError
from unweave.losses._shared import reduce

_EXHAUSTIVE = 6  # sources up to which all (720) orders are tried


def permutation_invariant(
    estimate: Tensor,
    reference: Tensor,
    *,
    loss: Callable[..., Tensor],
    reduction: str = "mean",
) -> tuple[Tensor, Tensor]:
    """Take a loss under the order of the estimates that makes it smallest.

        L = min_p 1/J sum_j loss(e_p(j), s_j)

    over the permutations p of the J sources. Up to 6 sources all are tried; for more the Hungarian
    method finds the best [Kuhn1955].

    Args:
        estimate: Estimated sources.
        reference: True sources; as many.
        loss: Of one estimate and one reference: `loss(estimate, reference, reduction="none")`
            must keep the leading axes, as all losses of this package do.
        reduction: "mean" over examples, "sum", or "none".

    Returns:
        The loss, and for each reference the index of its estimate: estimates are brought in order
        by `estimate[order]`, or `torch.take_along_dim` for a batch.

    Raises:
        ParameterError: The shapes differ, `loss` does not keep the leading axes, or the reduction
            is unknown.

    Shape:
        estimate: (..., sources, channels, time)
        reference: (..., sources, channels, time)
        returns: () or (...), and (..., sources)

    Example:
        >>> from unweave.losses import l1_loss
        >>> reference = torch.arange(3.0)[:, None, None].expand(3, 1, 8)
        >>> permutation_invariant(reference[[2, 0, 1]], reference, loss=l1_loss)
        (tensor(0.), tensor([1, 2, 0]))

    References:
        [Yu2017] Permutation invariant training of deep models for speaker-independent multi-talker
        speech separation, ICASSP 2017.
        [Kuhn1955] The Hungarian method for the assignment problem, Naval Research Logistics 2.
    """
    if estimate.shape != reference.shape or estimate.ndim < 3:
        raise ParameterError(
            f"estimate {tuple(estimate.shape)} and reference {tuple(reference.shape)} must have"
            " the same shape (..., sources, channels, time)"
        )
    sources = reference.shape[-3]
    shape = (*reference.shape[:-2], sources)
    # Entry (i, j) of the costs compares reference i with estimate j.
    every = (*shape, *reference.shape[-2:])
    pairs = estimate.unsqueeze(-4).expand(every), reference.unsqueeze(-3).expand(every)
    costs = loss(*pairs, reduction="none")
    if costs.shape != shape:
        raise ParameterError(
            f"loss gave the shape {tuple(costs.shape)} where it must keep the leading axes {shape}"
        )
    order = _best(costs.detach())
    best = costs.gather(-1, order.unsqueeze(-1)).squeeze(-1).mean(-1)
    return reduce(best, reduction, costs.dtype), order


def _best(costs: Tensor) -> Tensor:
    """Give the cheapest column of each row, every column used once."""
    sources = costs.shape[-1]
    # Costs that are not finite outweigh all others together, but do not swallow their digits.
    finite = costs.isfinite()
    huge = 2 * sources * (1 + torch.where(finite, costs, 0.0).abs().amax((-2, -1), keepdim=True))
    costs = torch.where(finite, costs, torch.where(costs == -torch.inf, -huge, huge))
    if sources > _EXHAUSTIVE:
        flat = costs.reshape(-1, sources, sources).double().cpu()
        orders = torch.tensor([assign(matrix) for matrix in flat.tolist()], device=costs.device)
        return orders.reshape(costs.shape[:-1])
    orders = torch.tensor(list(permutations(range(sources))), device=costs.device)
    rows = torch.arange(sources, device=costs.device)
    return orders[costs[..., rows, orders].sum(-1).argmin(-1)]
