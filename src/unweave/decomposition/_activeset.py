"""Non-negative weights of atoms, frame by frame, by a compiled active-set method.

Each frame v is to be the nearest sum of atoms a_i with weights h_i >= 0, either unbounded (a cone)
or of sum at most one (the hull of the atoms and the origin). All that is needed are the inner
products A_ij = <a_i, a_j> and b_i = <a_i, v>. Atoms of positive weight are passive; on them the
weights solve a linear system. The others are at zero, and one joins as long as that would bring the
frame nearer [Lawson1974]. A weight that would become negative stops at zero and leaves.

The hull has one more atom, the origin, so that the sum of all weights is one. A constant c is added
to all products: on that plane this changes nothing but a constant, and the system of affinely
independent atoms becomes positive definite even where the atoms are linearly dependent [Wolfe1976].

References:
    [Lawson1974] C. L. Lawson, R. J. Hanson, Solving least squares problems, chapter 23.
    [Wolfe1976] P. Wolfe, Finding the nearest point in a polytope, Mathematical Programming 11.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np

Kernel = TypeVar("Kernel", bound=Callable[..., Any])
Array = np.ndarray[Any, np.dtype[Any]]

_OPTIMAL = 1e-11  # of the norms of atom and frame: products below it bring the frame no nearer
_DEPENDENT = 1e-13  # of an atom's energy: what is left of it outside the span of the passive ones


def _kernel(function: Kernel) -> Kernel:
    """Compile a function when it is first called; keep the result where there is a place for it."""
    compiler: Callable[..., Any] = numba.njit
    options = {"nogil": True, "error_model": "numpy", "fastmath": {"contract", "reassoc"}}
    try:
        return cast("Kernel", compiler(cache=True, **options)(function))
    except RuntimeError:  # there is no file, or no folder that can be written
        return cast("Kernel", compiler(**options)(function))


@_kernel
def solve_frames(
    Q: Array, b: Array, energy: Array, h: Array, left: Array, span: Any, hull: float
) -> None:
    """Improve weights until they are optimal.

    Args:
        Q: Products of the atoms; of a hull with c added, and the origin as the last atom.
        b: Products of frames with atoms (frames, atoms without the origin).
        energy: Of each frame.
        h: Weights (frames, atoms), optimal among those that have the same zeros; overwritten.
        left: Energy of what remains of each frame; written.
        span: First frame, and that after the last.
        hull: c, or 0 for a cone.
    """
    atoms, every = b.shape[1], len(Q)
    work = np.zeros((every + 3, every))  # the Cholesky factor, and three rows for its solutions
    passive, free = np.zeros(every, np.int64), np.zeros(every, np.bool_)
    weights, products = np.zeros(every), np.zeros(every)
    for frame in range(span[0], span[1]):
        products[:atoms] = b[frame]
        weights[:atoms] = h[frame]
        if every > atoms:
            origin = 1 - weights[:atoms].sum()
            weights[atoms] = origin if origin > 1e-12 else 0.0
        count, shift = _begin(Q, products, weights, passive, free, every > atoms)
        factored = 0
        for _ in range(4 * every + 8):
            found = _nearest(Q, products, weights, passive[:count], free, shift, energy[frame])
            if found < 0:
                break
            free[found] = False
            passive[count] = found
            if not _factor(Q, work, passive, factored, count + 1):
                factored = 0  # the atom stays out of this frame
                continue
            count, shift = _descend(Q, products, weights, passive, count + 1, work, every > atoms)
            factored = max(count, 0)
            count = abs(count)
            for i in range(every):
                free[i] = weights[i] <= 0 and i != found
        h[frame] = weights[:atoms]
        left[frame] = _left(Q, products, weights, passive[:count], energy[frame], hull)


@_kernel
def _begin(
    Q: Array, b: Array, h: Array, passive: Array, free: Array, hull: bool
) -> tuple[int, float]:
    """Collect the passive atoms; give their number, and the multiplier of the sum."""
    count, shift = 0, 0.0
    for i in range(len(Q)):
        free[i] = h[i] <= 0
        if not free[i]:
            passive[count] = i
            count += 1
    if hull:
        p = passive[0]
        shift = b[p]
        for q in passive[:count]:
            shift -= Q[p, q] * h[q]
    return count, shift


@_kernel
def _nearest(
    Q: Array, b: Array, h: Array, passive: Array, free: Array, shift: float, energy: float
) -> int:
    """Give the free atom that brings the frame nearer the quickest, or -1."""
    best, found = 0.0, -1
    for i in range(len(Q)):
        if free[i]:
            gain = b[i] - shift
            for p in passive:
                gain -= Q[i, p] * h[p]
            if gain > best and gain > _OPTIMAL * np.sqrt(Q[i, i] * energy):
                best, found = gain, i
    return found


@_kernel
def _factor(Q: Array, L: Array, passive: Array, first: int, count: int) -> bool:
    """Add rows to the Cholesky factor; tell whether all atoms are independent."""
    for i in range(first, count):
        pi = passive[i]
        for j in range(i):
            total = Q[pi, passive[j]]
            for k in range(j):
                total -= L[i, k] * L[j, k]
            L[i, j] = total / L[j, j]
        total = Q[pi, pi]
        for k in range(i):
            total -= L[i, k] * L[i, k]
        if not total > _DEPENDENT * Q[pi, pi]:
            return False
        L[i, i] = np.sqrt(total)
    return True


@_kernel
def _descend(
    Q: Array, b: Array, h: Array, passive: Array, count: int, work: Array, hull: bool
) -> tuple[int, float]:
    """Solve for the passive weights; atoms whose weights would be negative leave, one by one.

    Returns:
        The number of passive atoms, negative if the factor is of no more use, and the multiplier.
    """
    while True:
        shift = _solve(b, passive, count, work, hull)
        z = work[-1]
        step, leaving = 1.0, -1
        for i in range(count):
            if z[i] <= 0:
                weight = h[passive[i]]
                reach = weight / (weight - z[i]) if weight > z[i] else 0.0
                if leaving < 0 or reach < step:
                    step, leaving = reach, i
        if leaving < 0:
            for i in range(count):
                h[passive[i]] = z[i]
            return count, shift
        for i in range(count):
            p = passive[i]
            h[p] = max(0.0, h[p] + step * (z[i] - h[p]))
        h[passive[leaving]] = 0.0
        count -= 1
        for i in range(leaving, count):
            passive[i] = passive[i + 1]
        if count == 0 or not _factor(Q, work, passive, leaving, count):
            return -count, shift


@_kernel
def _solve(b: Array, passive: Array, count: int, L: Array, hull: bool) -> float:
    """Write the weights that solve the system into the last row; give the multiplier of the sum."""
    u, v, z = L[-3], L[-2], L[-1]
    ones, both = 0.0, 0.0
    for i in range(count):
        first, second = 1.0, b[passive[i]]
        for k in range(i):
            first -= L[i, k] * u[k]
            second -= L[i, k] * v[k]
        u[i], v[i] = first / L[i, i], second / L[i, i]
        ones += u[i] * u[i]
        both += u[i] * v[i]
    shift = (both - 1) / ones if hull else 0.0
    for i in range(count - 1, -1, -1):
        total = v[i] - shift * u[i]
        for k in range(i + 1, count):
            total -= L[k, i] * z[k]
        z[i] = total / L[i, i]
    return shift


@_kernel
def _left(Q: Array, b: Array, h: Array, passive: Array, energy: float, hull: float) -> float:
    """Give the energy of what the atoms leave of the frame."""
    total = energy
    for p in passive:
        inner = -2 * b[p]
        for q in passive:
            inner += (Q[p, q] - hull) * h[q]
        total += h[p] * inner
    return max(0.0, total)
