"""The sweeps of HALS over the rows of a factor, compiled: the CPU's fast form."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
_COLUMNS = 256  # columns that have all their sweeps while they lie in the fastest cache


def _sweeps(A: Array, B: Array, X: Array, sweeps: int, first: int) -> None:
    """Minimise <A, X X'> / 2 - <B, X> over X >= 0 by turns of rows, in place."""
    rows, count = X.shape
    zero = X.dtype.type(0)
    b = np.zeros((rows, _COLUMNS), X.dtype)
    x = np.zeros((rows, _COLUMNS), X.dtype)
    rest = np.empty(_COLUMNS, X.dtype)
    for start in range(0, count, _COLUMNS):
        size = min(_COLUMNS, count - start)
        for k in range(rows):
            for j in range(size):
                b[k, j], x[k, j] = B[k, start + j], X[k, start + j]
        for _ in range(sweeps):
            for k in range(first, rows):
                if A[k, k] <= zero:
                    continue
                for j in range(_COLUMNS):
                    rest[j] = b[k, j]
                for other in range(rows):
                    a = A[k, other]
                    if other != k:
                        for j in range(_COLUMNS):
                            rest[j] -= a * x[other, j]
                scale = X.dtype.type(1) / A[k, k]
                for j in range(_COLUMNS):
                    x[k, j] = max(rest[j] * scale, zero)
        for k in range(first, rows):
            for j in range(size):
                X[k, start + j] = x[k, j]


# Sums may be reordered and multiplications fused, but infinity keeps its meaning.
_OPTIONS: dict[str, Any] = {
    "nogil": True,
    "fastmath": {"contract", "reassoc", "nsz", "arcp"},
    "error_model": "numpy",
}
try:
    sweeps = numba.njit(cache=True, **_OPTIONS)(_sweeps)
except RuntimeError:  # there is no folder that can be written
    sweeps = numba.njit(**_OPTIONS)(_sweeps)
