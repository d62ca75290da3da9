"""The successive projection algorithm: the longest residual, and away with its direction.

The energy of what remains of frame j once the directions u_1 ... u_k are taken out is

    n_j = |v_j|^2 - sum_i <u_i, v_j>^2

so that the remainders themselves are never formed.

References:
    [Araujo2001] The successive projections algorithm for variable selection in spectroscopic
        multicomponent analysis, Chemometrics and Intelligent Laboratory Systems 57(2).
    [Gillis2014a] N. Gillis, S. Vavasis, Fast and robust recursive algorithms for separable
        nonnegative matrix factorization, IEEE Trans. PAMI 36(4).
"""

from __future__ import annotations

import torch
from torch import Tensor

from unweave.decomposition._gram import Frames, inner

STOP = 1e-9  # of the largest energy: when nothing is left above it, all frames are explained
_TIE = 1e-6


def longest(left: Tensor, energy: Tensor) -> int:
    """Give the frame of which most is left; of equals, the one that was the longest at first.

    Args:
        left: Energy of what is left of each frame.
        energy: Of each frame.

    Returns:
        Its index.

    Example:
        >>> longest(torch.tensor([1.0, 2.0, 2.0]), torch.tensor([9.0, 2.0, 3.0]))
        2
    """
    tied = left >= left.max() * (1 - _TIE)
    return int(torch.where(tied, energy, -torch.inf).argmax())


def select(frames: Frames, count: int) -> list[int]:
    """Choose frames whose directions explain the others.

    Args:
        frames: What is chosen from.
        count: How many at most.

    Returns:
        The indices, fewer where the frames chosen span all of them.

    Example:
        >>> select(Frames(torch.eye(3, 4), torch.ones(4).double()), 4)
        [0, 1, 2]
    """
    left, chosen = frames.energy.clone(), list[int]()
    directions = frames.energy.new_zeros(len(frames.V), 0)
    enough = STOP * float(left.max())
    while len(chosen) < count and float(left.max()) > enough:
        chosen.append(longest(left, frames.energy))
        u = frames.atom(chosen[-1])
        for _ in range(2):  # the second time removes what rounding left
            u = u - directions @ (directions.mT @ u)
        u = u / u.norm()
        directions = torch.cat([directions, u], 1)
        left -= (inner(frames.V, u)[:, 0] * frames.gains).square()
        left[chosen] = 0
    return chosen
