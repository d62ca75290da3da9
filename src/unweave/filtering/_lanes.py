"""Building blocks of the compiled kernels: rows of lanes, loaded, stored and summed.

A lane is one time-frequency bin. The kernels do the same for `LANES` neighbours in memory at a
time, so that the processor's vector units do eight or sixteen of them at once and everything stays
in its fastest cache. They read tensors of any order through a flat view of their memory:
`(source places, channel places, row step, lane step)`. The kernels of two channels get these places
as tuples, whose lengths are part of the types that numba compiles for, so that loops over sources
unroll; the others get arrays, and are compiled once for all numbers.
All integers are unsigned, which spares the test for Python's negative indices.

Numba keeps what it compiled beside this file (or in the user's cache where that cannot be written)
and notices changes of the file that holds the outermost kernel only: after changing this one,
remove `__pycache__/*.nb?`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np

from unweave.filtering._stream import LINE, before_line, store_lines

Kernel = TypeVar("Kernel", bound=Callable[..., Any])
Array = np.ndarray[Any, np.dtype[Any]]
Index = Any  # numpy.uint64
Places = Any  # a tuple of numpy.uint64

# Sums may be reordered and multiplications fused, but NaN and infinity keep their meaning.
_FASTMATH = {"contract", "reassoc", "nsz", "arcp"}
LANES = 384
L = np.uint64(LANES)
ZERO, ONE, TWO, THREE, FOUR = (np.uint64(n) for n in range(5))
TINY = 1e-37  # divisors below it are taken for it, so that float32 quotients stay finite;
LEAST = 1e-100  # the same of float64, where squares of quotients must be finite
# Models whose sum is below the one are multiplied by the other first: 1 / 1e-40 is no float32.
QUIET, LIFT = 2.0**-60, 2.0**75


def kernel(function: Kernel) -> Kernel:
    """Compile a function when it is first called, and keep the result for later processes.

    Args:
        function: What numba can compile without Python objects.

    Returns:
        The compiled function, which runs without Python's global lock.

    Example:
        >>> kernel(lambda x: x + 1)(1)
        2
    """
    return _compiled(function, _FASTMATH)


def steady(function: Kernel) -> Kernel:
    """Compile a function whose products must keep their order: a * b * b may overflow as a * b**2.

    Args:
        function: What to compile.

    Returns:
        The compiled function.

    Example:
        >>> steady(lambda x: x + 1)(1)
        2
    """
    return _compiled(function, _FASTMATH - {"reassoc"})


def _compiled(function: Kernel, fastmath: set[str]) -> Kernel:
    compiler: Callable[..., Any] = numba.njit
    options = {"nogil": True, "fastmath": fastmath, "error_model": "numpy"}
    try:
        return cast("Kernel", compiler(cache=True, **options)(function))
    except RuntimeError:  # there is no file, or no folder that can be written
        return cast("Kernel", compiler(**options)(function))


@kernel
def load_pairs(
    source: Array, start: Index, step: Index, count: Index, out: Array, row: Index
) -> None:
    """Copy complex values, real and imaginary parts in turns, to two rows."""
    first = TWO * start
    if step == ONE:
        for i in range(TWO * count):
            out[row + i] = source[first + i]
    else:
        for i in range(count):
            out[row + TWO * i] = source[first + TWO * i * step]
            out[row + TWO * i + ONE] = source[first + TWO * i * step + ONE]


@kernel
def store_pairs(rows: Array, row: Index, out: Array, start: Index, count: Index) -> None:
    """Join a row of real parts and the next of imaginary parts to complex values."""
    first, other = TWO * start, row + L
    size = np.uint64(out.itemsize)
    whole = np.uint64(LINE) // size
    i = min(before_line(out, first) // (TWO * size), count)
    _join(rows, row, ZERO, i, out, first)
    if before_line(out, first + TWO * i) == 0:
        while i + whole <= count:
            store_lines(rows, row + i, other + i, out, first + TWO * i)
            i += whole
    _join(rows, row, i, count, out, first)


@kernel
def _join(rows: Array, row: Index, start: Index, end: Index, out: Array, first: Index) -> None:
    for i in range(start, end):
        out[first + TWO * i] = rows[row + i]
        out[first + TWO * i + ONE] = rows[row + L + i]


@kernel
def load_model(v: Array, places: Places, at: Index, count: Index, out: Array) -> float:
    """Copy the model of some lanes, a row for each source and channel; count negative values."""
    sources, channels, _, step = places
    row, negative = ZERO, 0.0
    for j in range(np.uint64(len(sources))):
        for c in range(np.uint64(len(channels))):
            first = at + sources[j] + channels[c]
            if step == ONE:
                for i in range(count):
                    out[row + i] = v[first + i]
                    negative += 1.0 if v[first + i] < 0 else 0.0
            else:
                for i in range(count):  # apart from the test, which vectorises only by itself
                    out[row + i] = v[first + i * step]
                for i in range(count):
                    negative += 1.0 if out[row + i] < 0 else 0.0
            row += L
    return negative


@kernel
def load_mixture(x: Array, places: Places, at: Index, count: Index, out: Array) -> None:
    """Copy the mixture of some lanes: two rows for each channel."""
    channels, _, step = places
    for c in range(np.uint64(len(channels))):
        load_pairs(x, at + channels[c], step, count, out, TWO * c * L)


@kernel
def clear(rows: Array, number: Index) -> None:
    """Set the first rows to zero."""
    for i in range(number * L):
        rows[i] = 0.0


@kernel
def spread(values: Array, first: Index, number: Index, lanes: Index, rows: Array) -> None:
    """Fill the lanes of each row with one value."""
    for k in range(number):
        value = values[first + k]
        for i in range(min(lanes, L)):
            rows[k * L + i] = value


@kernel
def gather(rows: Array, number: Index, lanes: Index, values: Array, first: Index) -> None:
    """Sum the lanes of each row to one value."""
    for k in range(number):
        total = 0.0
        for i in range(min(lanes, L)):
            total += rows[k * L + i]
        values[first + k] = total


@kernel
def unit(rows: Array, channels: Index, count: Index) -> None:
    """Divide complex values by their magnitudes; zero becomes one, whose phase is zero."""
    for c in range(channels):
        row = TWO * c * L
        for i in range(row, row + TWO * count, TWO):
            re = np.float64(rows[i])
            im = np.float64(rows[i + ONE])
            size = np.sqrt(re * re + im * im)
            rows[i] = re / size if size != 0 else 1.0
            rows[i + ONE] = im / size if size != 0 else 0.0
