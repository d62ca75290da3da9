"""Groups of points around their means, the best of several starts.

References:
    [Arthur2007] k-means++: the advantages of careful seeding, ACM-SIAM Symposium on Discrete
        Algorithms.
"""

from __future__ import annotations

import torch
from torch import Tensor

_STARTS, _ROUNDS = 16, 100


def kmeans(x: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Give the group of each point, numbered in the order in which the points bring them up.

    Args:
        x: Points, at least as many as there are groups.
        count: Number of groups; a group may stay empty where points coincide.
        generator: Of the starts.

    Returns:
        Numbers from 0.

    Shape:
        x: (points, dimensions)
        returns: (points,)

    Example:
        >>> x = torch.tensor([[5.0], [0.0], [5.1], [0.1]])
        >>> kmeans(x, 2, torch.Generator().manual_seed(0))
        tensor([0, 1, 0, 1])
    """
    best, least = torch.zeros(len(x), dtype=torch.long, device=x.device), torch.inf
    for _ in range(_STARTS):
        labels, spread = _lloyd(x, _start(x, count, generator))
        if spread < least:
            best, least = labels, spread
    order: dict[int, int] = {}
    numbers = [order.setdefault(label, len(order)) for label in best.tolist()]
    return torch.tensor(numbers, dtype=torch.long, device=x.device)


def _start(x: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Draw points, each with odds by its squared distance to those drawn before [Arthur2007]."""
    odds, drawn = torch.ones(len(x), dtype=torch.float64), list[int]()
    for _ in range(count):
        drawn.append(int(torch.multinomial(odds, 1, generator=generator)))
        odds = _distances(x, x[drawn]).amin(1).double().cpu()
        if not odds.sum() > 0:  # every point has been drawn, or one like it
            odds = torch.ones(len(x), dtype=torch.float64)
    return x[drawn]


def _lloyd(x: Tensor, centres: Tensor) -> tuple[Tensor, float]:
    """Move centres to the means of the points nearest to them until nothing changes."""
    labels = _distances(x, centres).argmin(1)
    for _ in range(_ROUNDS):
        members = torch.nn.functional.one_hot(labels, len(centres)).to(x.dtype)
        sizes = members.sum(0)[:, None]
        means = members.mT @ x / sizes.clamp_min(1)
        centres = torch.where(sizes > 0, means, centres)
        moved = _distances(x, centres).argmin(1)
        if torch.equal(moved, labels):
            break
        labels = moved
    return labels, float(_distances(x, centres).amin(1).sum())


def _distances(x: Tensor, centres: Tensor) -> Tensor:
    """Give the squared distance of every point to every centre."""
    return torch.stack([(x - centre).square().sum(1) for centre in centres], 1)
