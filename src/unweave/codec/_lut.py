"""Pixels to magnitudes, compiled: one pass from the decoded image to the result.

Any law is a table of what its codes stand for; codes of fewer than 8 bits are the highest bits of
pixels. Of the power 1/3, the default, they are cubes: arithmetic that processors do in vectors
takes half the time of looking up, and gives the same numbers, for 255^3 is a whole number of
float32 and quotients are rounded correctly.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, cast

import numpy as np

from unweave.codec._jpeg import Pixels

Fill = Callable[[Pixels, Pixels, Pixels, int, int], None]


@cache
def fills() -> dict[tuple[bool, bool], Fill] | None:
    """Give the compiled kernels by whether planes are mid and side, and codes stand for cubes.

    None without numba.
    """
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

    return {
        (False, False): compiled(plain),
        (True, False): compiled(mid_side),
        (False, True): compiled(plain_cubes),
        (True, True): compiled(mid_side_cubes),
    }


def plain(planes: Pixels, table: Pixels, out: Pixels, first: int, last: int) -> None:
    """Fill bins first ... last - 1 of (channels, freq, frames) from planes.

    The lowest row of a plane is its last.
    """
    rows = planes.shape[1]
    for channel in range(planes.shape[0]):
        for k in range(first, last):
            pixels, values = planes[channel, rows - 1 - k], out[channel, k]
            for t in range(len(pixels)):
                values[t] = table[pixels[t]]


def mid_side(planes: Pixels, table: Pixels, out: Pixels, first: int, last: int) -> None:
    """Fill two channels from the planes m and s: entry m + s, and m - s + 256.

    Entry i of the table, of 512, is the magnitude of pixel i - 128; both channels are
    m +- (s - 128).
    """
    rows = planes.shape[1]
    for k in range(first, last):
        mid, side = planes[0, rows - 1 - k], planes[1, rows - 1 - k]
        left, right = out[0, k], out[1, k]
        for t in range(len(mid)):
            m, s = np.int64(mid[t]), np.int64(side[t])
            left[t] = table[m + s]
            right[t] = table[m - s + 256]


def plain_cubes(planes: Pixels, table: Pixels, out: Pixels, first: int, last: int) -> None:
    """Do as `plain` does of cubes: the table is the highest pixel and its magnitude."""
    rows, loudest, whole = planes.shape[1], table[1], table[0] * table[0] * table[0]
    for channel in range(planes.shape[0]):
        for k in range(first, last):
            pixels, values = planes[channel, rows - 1 - k], out[channel, k]
            for t in range(len(pixels)):
                code = np.int32(pixels[t])
                values[t] = np.float32(code * code * code) / whole * loudest


def mid_side_cubes(planes: Pixels, table: Pixels, out: Pixels, first: int, last: int) -> None:
    """Do as `mid_side` does of cubes: the table is the highest pixel and its magnitude."""
    rows, loudest, whole = planes.shape[1], table[1], table[0] * table[0] * table[0]
    none, full, half = np.int32(0), np.int32(table[0]), np.int32(128)
    for k in range(first, last):
        mid, side = planes[0, rows - 1 - k], planes[1, rows - 1 - k]
        left, right = out[0, k], out[1, k]
        for t in range(len(mid)):
            m, s = np.int32(mid[t]), np.int32(side[t]) - half
            a, b = min(max(m + s, none), full), min(max(m - s, none), full)
            left[t] = np.float32(a * a * a) / whole * loudest
            right[t] = np.float32(b * b * b) / whole * loudest
