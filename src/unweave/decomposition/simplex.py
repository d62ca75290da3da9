"""The nearest point of a simplex: non-negative weights of a bounded, or of a fixed, sum."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from unweave._core.arrays import array_function
from unweave.decomposition._sorting import ascending
from unweave.errors import ParameterError


@array_function
def simplex_projection(
    x: Tensor, *, dim: int = -1, total: float = 1.0, with_origin: bool = True
) -> Tensor:
    """Give the nearest vectors of non-negative elements whose sum is at most, or exactly, a total.

    Where the sum of the positive elements is greater than the total, all elements are lowered by
    the one threshold that makes the sum right, and what falls below zero becomes zero [Held1974].

    Args:
        x: Vectors of real numbers.
        dim: The axis along which the vectors lie.
        total: The sum that is allowed.
        with_origin: Whether the sum may be less, so that the origin belongs to the simplex.

    Returns:
        The nearest points; differentiable almost everywhere.

    Raises:
        ParameterError: The vectors are not real floating numbers or have no elements, or the total
            is not a positive number.

    Shape:
        x: (...)
        returns: (...)

    Example:
        >>> simplex_projection(torch.tensor([[0.9, 0.5, -1.0], [0.2, 0.1, -0.5]]))
        tensor([[0.7000, 0.3000, 0.0000],
                [0.2000, 0.1000, 0.0000]])

    References:
        [Held1974] Validation of subgradient optimization, Mathematical Programming 6.
    """
    if not x.is_floating_point() or x.ndim == 0 or not -x.ndim <= dim < x.ndim or not x.shape[dim]:
        raise ParameterError(
            f"x of shape {tuple(x.shape)} and dtype {x.dtype} must hold real floating vectors along"
            f" dim={dim}"
        )
    number = isinstance(total, int | float) and not isinstance(total, bool)
    if not number or not 0 < total < math.inf:
        raise ParameterError(f"total={total!r} must be a positive number")
    vectors = x.movedim(dim, -1)
    descending = ascending(vectors).flip(-1)
    places = torch.arange(1, vectors.shape[-1] + 1, device=x.device, dtype=x.dtype)
    thresholds = (descending.cumsum(-1) - total) / places
    # The elements above the threshold that they make are the first ones, and at least one.
    count = (descending > thresholds).sum(-1, keepdim=True).clamp_min(1)
    threshold = thresholds.gather(-1, count - 1)
    if with_origin:  # vectors of a sum small enough keep their positive elements
        inside = vectors.clamp_min(0).sum(-1, keepdim=True) <= total
        threshold = torch.where(inside, 0, threshold)
    return (vectors - threshold).clamp_min(0).movedim(-1, dim)
