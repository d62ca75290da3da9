"""The first-order recursion y[t] = d y[t-1] + x[t], without a step for each frame.

Within blocks of K frames it is a product with the triangular matrix of the powers of d; what a
block hands on to the next obeys the same recursion with d^K, for a K-th of the frames.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from unweave.transforms._bank import product

_BLOCK = 64


def first_order(x: Tensor, decay: Tensor, state: Tensor) -> Tensor:
    """Run the recursion along the last axis.

    Args:
        x: What is added at each frame.
        decay: The factor d, between 0 and 1, one or one per channel.
        state: The value y before the first frame.

    Returns:
        The values y.

    Shape:
        x: (..., channels, frames)
        decay: () or (channels,)
        state: (..., channels)
        returns: (..., channels, frames)

    Example:
        >>> first_order(torch.ones(1, 3), torch.tensor(0.5), torch.zeros(1))
        tensor([[1.0000, 1.5000, 1.7500]])
    """
    frames = x.shape[-1]
    size = _BLOCK if frames > _BLOCK else frames
    count = -(-frames // size)
    cut = pad(x, (0, count * size - frames)).reshape(*x.shape[:-1], count, size)
    steps = torch.arange(size, device=x.device)
    apart = steps[:, None] - steps  # frame of the value less that of its cause
    base = decay[..., None, None]
    matrix = torch.where(apart >= 0, base ** apart.clamp(min=0), torch.zeros_like(base))
    own = product(cut, matrix.mT)
    entering = state[..., None]
    if count > 1:
        handed = first_order(own[..., :-1, -1], decay**size, state)
        entering = torch.cat([entering, handed], -1)
    values = own + entering[..., None] * base ** (steps + 1)
    return values.flatten(-2)[..., :frames]
