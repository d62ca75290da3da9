"""Fresh memory for large results, which the system gives much faster in huge pages."""

from __future__ import annotations

import contextlib
import math
import mmap
import sys
import weakref
from collections import deque

import numpy as np
import torch
from torch import Tensor

from unweave._core.pool import share

_DTYPES = {
    torch.float32: np.float32,
    torch.float64: np.float64,
    torch.complex64: np.complex64,
    torch.complex128: np.complex128,
}
_LARGE = 2**22  # bytes; from here on NumPy asks Linux for huge pages
_PART = 2**18  # numbers that are copied at a time
_SPARE: deque[mmap.mmap] = deque(maxlen=1)  # its steps are atomic: finalizers run in any thread


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


def copy(source: Tensor, target: Tensor) -> None:
    """Copy rows into memory of the CPU, parts of them at once.

    Args:
        source: What is copied.
        target: Where to.

    Shape:
        source: (rows, time)
        target: (rows, time)

    Example:
        >>> target = torch.zeros(1, 3)
        >>> copy(torch.ones(1, 2), target[:, 1:])
        >>> target
        tensor([[0., 1., 1.]])
    """
    rows, size = source.shape

    def part(place: tuple[slice, slice]) -> None:
        target[place] = source[place]

    places = [
        (slice(row, row + max(1, _PART // max(size, 1))), slice(first, first + _PART))
        for row in range(0, rows, max(1, _PART // max(size, 1)))
        for first in range(0, size, _PART)
    ]
    share(part, places, size=source.numel())


def recycled(like: Tensor, *shape: int) -> Tensor:
    """Give uninitialised memory as `fresh` does: that of the last result that is gone, if it fits.

    Even in huge pages the system clears what it gives, which takes as long as the filter that
    fills it. One block at most waits to be used again; Linux may take it at any time, as memory
    that is free, and it goes before another is asked for.

    Args:
        like: A tensor of the wanted device and dtype.
        shape: Size of each axis.

    Returns:
        A tensor whose values are arbitrary.

    Shape:
        like: (...)
        returns: (*shape)

    Example:
        >>> recycled(torch.zeros(1), 2, 3).shape
        torch.Size([2, 3])
    """
    count = math.prod(shape)
    size = count * like.dtype.itemsize
    known = like.device.type == "cpu" and like.dtype in _DTYPES
    if not known or size < _LARGE or not hasattr(mmap, "MADV_FREE") or sys.platform != "linux":
        return fresh(like, *shape)
    block = _block(size)
    owner = np.frombuffer(block, _DTYPES[like.dtype], count)
    # Tensors and arrays on this memory hold its owner, so it goes with the last of them
    weakref.finalize(owner, _keep, block).atexit = False
    return torch.from_numpy(owner.reshape(shape))


def _block(size: int) -> mmap.mmap:
    try:
        spare = _SPARE.pop()
    except IndexError:
        pass
    else:
        if size <= len(spare) <= size * 1.1:
            return spare
        del spare  # before there is another, so that memory never holds both
    block = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with contextlib.suppress(OSError):  # a system without huge pages
        block.madvise(mmap.MADV_HUGEPAGE)
    return block


def _keep(block: mmap.mmap) -> None:
    with contextlib.suppress(OSError):
        block.madvise(mmap.MADV_FREE)
        _SPARE.append(block)
