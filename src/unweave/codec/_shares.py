"""One image shared among threads: decoder and kernels leave Python alone while they work."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch

_SHARE = 2**19  # pixels; to start a thread takes as long as to decode a tenth of them


def count_shares(pixels: int) -> int:
    """Give the number of threads that so many pixels are worth, at most torch's."""
    return max(1, min(torch.get_num_threads(), pixels // _SHARE))


def edges(size: int, shares: int) -> list[int]:
    """Cut a range into shares: the first begins at 0, the last ends at its size."""
    return [size * i // shares for i in range(shares + 1)]


def in_shares(work: Callable[[int], object], shares: int) -> None:
    """Do the work of every share, the first in this thread; what one raises is raised."""
    if shares == 1:
        work(0)
        return
    with ThreadPoolExecutor(shares - 1) as pool:
        others = [pool.submit(work, index) for index in range(1, shares)]
        work(0)
        for other in others:
            other.result()
