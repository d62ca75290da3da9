"""Products of a factor with V or the quotient V / (W H), compiled: W H is never kept.

Tile after tile of the quotient is made in registers, and its products are added to where they
belong: two multiplications for each value and component, one for V itself, at the processor's full
speed, and no traffic but V. (BLAS reaches half of that speed with so few components.) Tiles lie
along the axis of V that is contiguous. Sums over the other axis are kept as vectors for that axis;
sums along it as one vector each, whose lanes are added in the end.

Numba notices changes of this file only: after changing the tiles, remove `__pycache__/*.nb?`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np

from unweave.decomposition._tiles import VECTORS, add_lanes, add_rows, put_logarithms
from unweave.decomposition._vectors import BYTES, ROWS, sum_of_lanes

Kernel = TypeVar("Kernel", bound=Callable[..., Any])
Array = np.ndarray[Any, np.dtype[Any]]

BLOCK = 4  # tiles whose sums and pieces of the factor fit in the fastest cache


def _kernel(function: Kernel) -> Kernel:
    """Compile a function when it is first called; keep the result where there is a place for it."""
    compiler: Callable[..., Any] = numba.njit
    options = {"nogil": True, "error_model": "numpy", "fastmath": {"contract", "reassoc"}}
    try:
        return cast("Kernel", compiler(cache=True, **options)(function))
    except RuntimeError:  # there is no file, or no folder that can be written
        return cast("Kernel", compiler(**options)(function))


@_kernel
def _edge(V: Array, step: int, shape: Any, row: int, column: int, out: Array) -> None:
    """Copy a tile that reaches over the end of V, with zeros there."""
    width = len(out) // ROWS
    size = min(width, shape[1] - column)
    for i in range(ROWS):
        within = size if row + i < shape[0] else 0
        start, to = (row + i) * step + column, i * width
        for j in range(within):
            out[to + j] = V[start + j]
        out[to + within : to + width] = 0


@_kernel
def _whole_lines(size: int, V: Array) -> Array:
    """Give memory that begins with a vector's boundary."""
    memory = np.empty(size + BYTES // V.itemsize, V.dtype)
    skip = -memory.ctypes.data % BYTES // V.itemsize
    return memory[skip : skip + size]


@_kernel
def sum_rows(
    data: Any, W: Array, H: Array, out: Array, shape: Any, floor: float | None, span: Any
) -> None:
    """Write W' (V / (W H + floor)), or W' V, of some tiles of columns to `out`.

    Args:
        data: Their memory, and the step from row to row.
        W: Columns of the first factor, its rows filled up to whole tiles (rows * components,).
        H: The second factor, cut in tiles and filled up (tiles * components * width,); not read
            where there is no floor.
        out: The sums (components, columns).
        shape: Rows and columns of V, and the number of components.
        floor: What is added to the model; None for products with V.
        span: The first tile, and that after the last.
    """
    (V, step), (rows, columns, count) = data, shape
    width = BYTES * VECTORS // V.itemsize
    edge = np.empty(ROWS * width, V.dtype)
    size = width * count
    sums = _whole_lines(BLOCK * size, V)
    for first in range(span[0], span[1], BLOCK):
        last = min(first + BLOCK, span[1])
        sums[:] = 0
        for row in range(0, rows, ROWS):
            w = row * count
            for tile in range(first, last):
                start, h, s = tile * width, tile * size, (tile - first) * size
                at, ahead, left = row * step + start, ROWS * step, columns - start
                if row + ROWS <= rows and width <= left:
                    add_rows((V, W, H, sums), (at, w, h, s), (step, count, ahead), floor)
                elif row + ROWS <= rows:
                    add_rows((V, W, H, sums), (at, w, h, s), (step, count, ahead, left), floor)
                else:
                    _edge(V, step, shape, row, start, edge)
                    add_rows((edge, W, H, sums), (0, w, h, s), (width, count, 0), floor)
        for tile in range(first, last):
            start, s = tile * width, (tile - first) * size
            for k in range(count):
                for j in range(min(width, columns - start)):
                    out[k, start + j] = sums[s + k * width + j]


@_kernel
def sum_lanes(
    data: Any, W: Array, H: Array, out: Array, shape: Any, floor: float | None, span: Any
) -> None:
    """Write H (V / (W H + floor))', or H V', of some rows to `out`.

    Args:
        data: Their memory, and the step from row to row.
        W: As `sum_rows` takes it; not read where there is no floor.
        H: As `sum_rows` takes it.
        out: The sums (components, rows).
        shape: Rows and columns of V, and the number of components.
        floor: What is added to the model; None for products with V.
        span: The first row of tiles, and that after the last.
    """
    (V, step), (rows, columns, count) = data, shape
    lanes = BYTES // V.itemsize
    width = lanes * VECTORS
    edge = np.empty(ROWS * width, V.dtype)
    sums = _whole_lines(ROWS * count * lanes, V)
    for row in range(span[0] * ROWS, span[1] * ROWS, ROWS):
        w = row * count
        sums[:] = 0
        for start in range(0, columns, width):
            h = start * count
            at, ahead, left = row * step + start, 4 * width, columns - start
            if row + ROWS <= rows and width <= left:
                add_lanes((V, W, H, sums), (at, w, h, 0), (step, count, ahead), floor)
            elif row + ROWS <= rows:
                add_lanes((V, W, H, sums), (at, w, h, 0), (step, count, ahead, left), floor)
            else:
                _edge(V, step, shape, row, start, edge)
                add_lanes((edge, W, H, sums), (0, w, h, 0), (width, count, 0), floor)
        for i in range(min(ROWS, rows - row)):
            for k in range(count):
                out[k, row + i] = sum_of_lanes(sums, (i * count + k) * lanes)


@_kernel
def sum_logarithms(data: Any, W: Array, H: Array, shape: Any, floor: float, span: Any) -> float:
    """Give the sum of V log(V / (W H + floor)) over some tiles of columns, in double precision.

    Args:
        data: Their memory, in single precision, and the step from row to row.
        W: As `sum_rows` takes it.
        H: As `sum_rows` takes it.
        shape: Rows and columns of V, and the number of components.
        floor: What is added to the model.
        span: The first tile, and that after the last.
    """
    (V, step), (rows, columns, count) = data, shape
    width = BYTES * VECTORS // V.itemsize
    edge, logs = np.empty(ROWS * width, V.dtype), np.empty(ROWS * width, V.dtype)
    total = 0.0
    for first in range(span[0], span[1], BLOCK):
        for row in range(0, rows, ROWS):
            w = row * count
            for tile in range(first, min(first + BLOCK, span[1])):
                start, h = tile * width, tile * width * count
                if row + ROWS <= rows and start + width <= columns:
                    at, ahead = row * step + start, ROWS * step
                    put_logarithms((V, W, H, logs), (at, w, h, 0), (step, count, ahead), floor)
                    for i in range(ROWS):
                        values = V[at + i * step : at + i * step + width]
                        total += _products(values, logs[i * width : (i + 1) * width])
                else:
                    _edge(V, step, shape, row, start, edge)
                    put_logarithms((edge, W, H, logs), (0, w, h, 0), (width, count, 0), floor)
                    total += _products(edge, logs)
    return total


@_kernel
def _products(values: Array, logs: Array) -> float:
    """Sum products in double precision."""
    total = 0.0
    for i in range(len(values)):
        total += np.float64(values[i]) * np.float64(logs[i])
    return total


@_kernel
def totals(data: Any, columns: int, span: Any) -> tuple[float, float]:
    """Give the sum and the sum of squares of some rows in double precision.

    Args:
        data: Memory of V, and the step from row to row.
        columns: How long rows are.
        span: The first row, and that after the last.
    """
    V, step = data
    total, square = 0.0, 0.0
    for row in range(span[0], span[1]):
        values = V[row * step : row * step + columns]
        for j in range(columns):
            total += np.float64(values[j])
        for j in range(columns):
            square += np.float64(values[j]) * np.float64(values[j])
    return total, square
