"""Order statistics of sliding windows by sorting networks that neighbouring windows share.

The 2 * half windows that follow each other have a common core: it is sorted once, and only those of
its elements are kept that can still become the wanted one. Halving the group adds `half` new
elements to each of the two smaller cores, of which the kept elements lose as many at either end:

    kept (2 half, ascending) + new (half, descending)  ->  the middle half of them

until each window stands alone with one element. A window of 31 costs about 40 minima or maxima
instead of some 250 for a network of its own, and all lanes go through the network at once.

References:
    [Batcher1968] Sorting networks and their applications, AFIPS Spring Joint Computer Conference.
    [Adams2021] Fast median filters using separable sorting networks, ACM Trans. Graphics 40(4).
"""

from __future__ import annotations

import torch
from torch import Tensor

from unweave._core.forms import is_transformed


def group_of(size: int) -> int:
    """Give the number of neighbouring windows that share a core: a power of two above size // 2.

    Args:
        size: Positions of a window.

    Returns:
        The number; counts of windows that are multiples of it waste nothing.

    Example:
        >>> group_of(31)
        16
    """
    return 1 << (size // 2).bit_length()


def reach(count: int, size: int) -> int:
    """Give how many positions `sliding_medians` wants to see for `count` windows.

    Args:
        count: Number of windows.
        size: Positions of a window.

    Returns:
        The number, a little more than count + size - 1.

    Example:
        >>> reach(3, 3)
        6
    """
    return _whole_groups(count, size) * group_of(size) + size - 1


def sliding_medians(x: Tensor, count: int, size: int) -> Tensor:
    """Give the element of rank size // 2 (from 0) of each window of `size` positions.

    A window that holds a NaN gives NaN.

    Args:
        x: Numbers; those after the last window may be anything.
        count: Number of windows; window i starts at position i.
        size: Positions of a window.

    Returns:
        One number for each window.

    Shape:
        x: (rows, reach(count, size), lanes)
        returns: (rows, count, lanes)

    Example:
        >>> x = torch.tensor([5.0, 1.0, 3.0, 2.0, 9.0, 0.0]).view(1, 6, 1)
        >>> sliding_medians(x, 3, 3).flatten()
        tensor([3., 2., 3.])
    """
    group, groups = group_of(size), _whole_groups(count, size)
    core, below = size - group + 1, group - 1 - size // 2
    kept = _elements(x, group - 1, core, group, groups)
    # Infinities stand for the ranks that a core shorter than the group lacks.
    low = kept.new_full((below, *kept.shape[1:]), -torch.inf)
    high = kept.new_full((group - core - below, *kept.shape[1:]), torch.inf)
    kept = _sort(torch.cat([low, kept, high]), ascending=True)
    while group > 1:
        half = group // 2
        before = _elements(x, half - 1, half, group, groups)
        after = _elements(x, size, half, group, groups)
        new = _sort(torch.stack([before, after], 3), ascending=False)
        lower = torch.minimum(kept[half:].unsqueeze(3), new)
        upper = torch.maximum(kept[:half].unsqueeze(3), _merge(lower, ascending=False))
        kept = _merge(upper, ascending=True).flatten(2, 3)
        group, groups = half, 2 * groups
    return kept[0, :, :count]


def _whole_groups(count: int, size: int) -> int:
    return -(-count // group_of(size))


def _elements(x: Tensor, start: int, length: int, every: int, groups: int) -> Tensor:
    """Give elements start ... start + length of each group, as (length, rows, groups, lanes)."""
    return x[:, start:].unfold(1, length, every)[:, :groups].permute(3, 0, 1, 2)


def _sort(x: Tensor, *, ascending: bool) -> Tensor:
    """Sort along the first axis, a power of two long: ever longer runs, up and down in turn."""
    size = 2
    while size < len(x):
        runs = torch.unflatten(x, 0, (-1, 2, size))
        x = _merged(runs, (True, False)).flatten(0, 2)
        size *= 2
    return _merge(x, ascending=ascending)


def _merge(x: Tensor, *, ascending: bool) -> Tensor:
    """Sort along the first axis what rises and then falls, or falls and then rises."""
    return _merged(torch.unflatten(x, 0, (1, 1, -1)), (ascending,)).flatten(0, 2)


def _merged(runs: Tensor, ascending: tuple[bool, ...]) -> Tensor:
    """Merge bitonic runs (blocks, directions, size, ...), each direction as it is told."""
    size = runs.shape[2]
    step = size // 2
    while step:
        pairs = torch.unflatten(runs, 2, (size // (2 * step), 2, step))
        runs = _exchange(pairs, ascending).flatten(2, 4)
        step //= 2
    return runs


def _exchange(pairs: Tensor, ascending: tuple[bool, ...]) -> Tensor:
    """Order pairs (blocks, directions, runs, 2, step, ...) along the fourth axis."""
    first, second = pairs.unbind(3)
    if torch.compiler.is_compiling() or is_transformed():
        low, high = torch.minimum(first, second), torch.maximum(first, second)
        ordered = [
            torch.stack((low[:, i], high[:, i]) if up else (high[:, i], low[:, i]), 2)
            for i, up in enumerate(ascending)
        ]
        return torch.stack(ordered, 1)
    out = torch.empty_like(pairs, memory_format=torch.contiguous_format)
    for i, up in enumerate(ascending):
        torch.minimum(first[:, i], second[:, i], out=out[:, i, :, 1 - up])
        torch.maximum(first[:, i], second[:, i], out=out[:, i, :, int(up)])
    return out
