"""Hermitian systems of any size, factored and solved for all lanes at once.

The matrices are laid out as in the kernels of any number of channels: the rows of the lower
triangle one after the other, each with its diagonal element first.
"""

from __future__ import annotations

from unweave.filtering._lanes import ONE, TWO, Array, Index, L, kernel


@kernel
def factor(work: Array, channels: Index, count: Index) -> None:
    """Factor as L D L^H in place; the diagonal becomes 1 / D, zero where D is not positive."""
    for j in range(channels):
        pivot = j * j * L
        for i in range(count):
            d = work[pivot + i]
            work[pivot + i] = 1.0 / d if d > 0.0 else d * 0.0
        for n in range(channels - ONE - j):
            c = channels - ONE - n  # upwards from the last row, so that row j stays as it was
            left = (c * c + ONE + TWO * j) * L
            for k in range(j + ONE, c):
                other = (k * k + ONE + TWO * j) * L
                _downdate(work, (c * c + ONE + TWO * k) * L, left, other, pivot, count)
            for i in range(count):
                re, im = work[left + i], work[left + L + i]
                work[c * c * L + i] -= (re * re + im * im) * work[pivot + i]
        for c in range(j + ONE, channels):
            left = (c * c + ONE + TWO * j) * L
            for i in range(count):
                work[left + i] *= work[pivot + i]
                work[left + L + i] *= work[pivot + i]


@kernel
def _downdate(
    work: Array, out: Index, left: Index, other: Index, pivot: Index, count: Index
) -> None:
    for i in range(count):
        scale = work[pivot + i]
        ar, ai = work[left + i] * scale, work[left + L + i] * scale
        br, bi = work[other + i], work[other + L + i]
        work[out + i] -= ar * br + ai * bi
        work[out + L + i] -= ai * br - ar * bi


@kernel
def solve(work: Array, channels: Index, z: Index, count: Index) -> None:
    """Solve L D L^H z = x in place."""
    for j in range(channels):
        a = z + TWO * j * L
        for c in range(j + ONE, channels):
            out, m = z + TWO * c * L, (c * c + ONE + TWO * j) * L
            for i in range(count):
                mr, mi, ar, ai = work[m + i], work[m + L + i], work[a + i], work[a + L + i]
                work[out + i] -= mr * ar - mi * ai
                work[out + L + i] -= mr * ai + mi * ar
    for n in range(channels):
        j = channels - ONE - n
        out = z + TWO * j * L
        for i in range(count):
            work[out + i] *= work[j * j * L + i]
            work[out + L + i] *= work[j * j * L + i]
        for c in range(j + ONE, channels):
            a, m = z + TWO * c * L, (c * c + ONE + TWO * j) * L
            for i in range(count):
                mr, mi, ar, ai = work[m + i], work[m + L + i], work[a + i], work[a + L + i]
                work[out + i] -= mr * ar + mi * ai
                work[out + L + i] -= mr * ai - mi * ar
