"""Pixels to magnitudes by a table, compiled: one pass from the decoded image to the result."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, cast

import numpy as np

from unweave.codec._jpeg import Pixels

Fill = Callable[[Pixels, Pixels, Pixels, int], None]


@cache
def fills() -> tuple[Fill, Fill] | None:
    """Give the compiled forms of `plain` and `mid_side`, or None without numba."""
    try:
        import numba
    except ImportError:
        return None
    compiler: Callable[..., Any] = numba.njit

    def compiled(function: Fill) -> Fill:
        try:
            return cast("Fill", compiler(nogil=True, cache=True)(function))
        except RuntimeError:  # there is no folder that can be written
            return cast("Fill", compiler(nogil=True)(function))

    return compiled(plain), compiled(mid_side)


def plain(planes: Pixels, table: Pixels, out: Pixels, bins: int) -> None:
    """Fill channels (channels, freq, frames) from planes whose lowest row is their last."""
    rows = planes.shape[1]
    for channel in range(planes.shape[0]):
        for k in range(bins):
            pixels, values = planes[channel, rows - 1 - k], out[channel, k]
            for t in range(len(pixels)):
                values[t] = table[pixels[t]]


def mid_side(planes: Pixels, table: Pixels, out: Pixels, bins: int) -> None:
    """Fill two channels from the planes m and s: entry m + s, and m - s + 256.

    Entry i of the table, of 512, is the magnitude of code i - 128; both channels are
    m +- (s - 128).
    """
    rows = planes.shape[1]
    for k in range(bins):
        mid, side = planes[0, rows - 1 - k], planes[1, rows - 1 - k]
        left, right = out[0, k], out[1, k]
        for t in range(len(mid)):
            m, s = np.int64(mid[t]), np.int64(side[t])
            left[t] = table[m + s]
            right[t] = table[m - s + 256]
