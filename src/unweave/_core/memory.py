"""Fresh memory for large results, which the system gives much faster in huge pages."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

_DTYPES = {
    torch.float32: np.float32,
    torch.float64: np.float64,
    torch.complex64: np.complex64,
    torch.complex128: np.complex128,
}
_LARGE = 2**22  # bytes; from here on NumPy asks Linux for huge pages


def fresh(like: Tensor, *shape: int, dtype: torch.dtype | None = None) -> Tensor:
    """Give uninitialised memory, as `like.new_empty(shape)` does, for results written only once.

    The first write to every small page of new memory costs a page fault: as much time, for a
    spectrogram, as its Fourier transforms. NumPy asks for huge pages, which torch does not.

    Args:
        like: A tensor of the wanted device and dtype.
        shape: Size of each axis.
        dtype: Another dtype than that of `like`.

    Returns:
        A tensor whose values are arbitrary.

    Shape:
        like: (...)
        returns: (*shape)

    Example:
        >>> fresh(torch.zeros(1), 2, 3).shape
        torch.Size([2, 3])
    """
    dtype = like.dtype if dtype is None else dtype
    size = math.prod(shape) * dtype.itemsize
    if like.device.type != "cpu" or size < _LARGE or dtype not in _DTYPES:
        return like.new_empty(shape, dtype=dtype)
    return torch.from_numpy(np.empty(shape, _DTYPES[dtype]))
