"""The successive nonnegative projection algorithm: the frame farthest from the hull of the chosen.

The hull is that of the chosen frames and the origin. Where the frames sought are no combinations of
each other with weights that are not negative and sum to one at most, they are found, though they be
linearly dependent: it is there that the successive projection algorithm ends too early.

References:
    [Gillis2014b] N. Gillis, Successive nonnegative projection algorithm for robust nonnegative
        blind source separation, SIAM J. Imaging Sci. 7(2).
"""

from __future__ import annotations

from torch.nn.functional import pad

from unweave.decomposition._gram import Chosen, Frames
from unweave.decomposition._spa import STOP, longest
from unweave.decomposition._weights import solve


def select(frames: Frames, count: int) -> list[int]:
    """Choose frames whose hull is near the others.

    Args:
        frames: What is chosen from.
        count: How many at most.

    Returns:
        The indices, fewer where all frames are in the hull of those chosen.

    Example:
        >>> import torch
        >>> select(Frames(torch.eye(3, 4), torch.ones(4).double()), 4)
        [0, 1, 2]
    """
    chosen, left = Chosen(frames, count), frames.energy.clone()
    h = left.new_zeros(len(left), 0)
    enough = STOP * float(left.max())
    while len(chosen.indices) < count and float(left.max()) > enough:
        best = longest(left, frames.energy)
        chosen.add(best)
        h = pad(h, (0, 1))
        h, left = solve(chosen.A, chosen.b, frames.energy, h, hull=True)
        left[chosen.indices] = 0
    return chosen.indices
