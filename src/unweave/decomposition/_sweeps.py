"""The sweeps of HALS over the rows of a factor, compiled: the CPU's fast form.

Numba notices changes of this file only: after changing the vectors, remove `__pycache__/*.nb?`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np

from unweave.decomposition._vectors import BYTES, LONG, renew_row

Array = np.ndarray[Any, np.dtype[Any]]
Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def columns(itemsize: int) -> int:
    """Give the columns of a block, which has all its sweeps while it lies in the fastest cache.

    Args:
        itemsize: Bytes of a value.
    """
    return BYTES * LONG // itemsize


def _kernel(function: Kernel) -> Kernel:
    """Compile a function; keep the result where there is a place for it.

    Sums may be reordered and multiplications fused, but infinity keeps its meaning.
    """
    options: dict[str, Any] = {
        "nogil": True,
        "fastmath": {"contract", "reassoc", "nsz", "arcp"},
        "error_model": "numpy",
    }
    compiler: Callable[..., Any] = numba.njit
    try:
        return cast("Kernel", compiler(cache=True, **options)(function))
    except RuntimeError:  # there is no folder that can be written
        return cast("Kernel", compiler(**options)(function))


@_kernel
def sweeps(A: Array, B: Array, X: Array, times: int, first: int, span: tuple[int, int]) -> None:
    """Minimise <A, X X'> / 2 - <B, X> over X >= 0 by turns of rows, in place.

    Args:
        A: Gram matrix of the other factor; rows without energy stay as they are.
        B: Products of the other factor and the data.
        X: The factor; overwritten.
        times: How often all rows have their turn.
        first: The first row that may change.
        span: The first block of columns, and that after the last.
    """
    rows, count = X.shape
    width = BYTES * LONG // X.itemsize
    step = np.zeros(rows * rows, X.dtype)
    scales = np.zeros(rows, X.dtype)
    for k in range(rows):
        if A[k, k] > 0:
            scales[k] = 1 / A[k, k]
            for other in range(rows):
                step[k * rows + other] = -A[k, other] * scales[k] if other != k else 0
    b, x = np.zeros(rows * width, X.dtype), np.zeros(rows * width, X.dtype)
    for start in range(span[0] * width, span[1] * width, width):
        size = min(width, count - start)
        for k in range(rows):
            for j in range(size):
                b[k * width + j] = B[k, start + j] * scales[k]
                x[k * width + j] = X[k, start + j]
        for _ in range(times):
            for k in range(first, rows):
                if A[k, k] > 0:
                    renew_row((step, b, x), k, rows)
        for k in range(first, rows):
            for j in range(size):
                X[k, start + j] = x[k * width + j]
