"""Medians of many short rows."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from unweave._core.forms import needs_plain_form


def median(x: Tensor) -> Tensor:
    """Give the median along the last axis: of an even number, the mean of the two in the middle.

    NumPy sorts short rows with vector instructions, more than ten times as fast as torch sorts or
    selects.

    Args:
        x: Numbers, none of which is a NaN.

    Returns:
        The medians.

    Shape:
        x: (..., count)
        returns: (...)

    Example:
        >>> median(torch.tensor([[3.0, 1.0, 2.0, 9.0], [5.0, 5.0, 5.0, 0.0]]))
        tensor([2.5000, 5.0000])
    """
    count = x.shape[-1]
    if needs_plain_form(x):
        ordered = x.sort(-1).values
    else:
        ordered = torch.from_numpy(np.sort(x.detach().numpy(), axis=-1))
    upper = ordered[..., count // 2]
    return upper if count % 2 else (ordered[..., count // 2 - 1] + upper) / 2
