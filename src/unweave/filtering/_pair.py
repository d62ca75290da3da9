"""The compiled local Gaussian filter of two channels.

A Hermitian 2 x 2 matrix is four rows of lanes: M00, M11 and the real and imaginary part of M10.
Mixture covariances are nearly singular wherever one source prevails. Their determinants are
differences of nearly equal products, so spatial covariances and all that follows from them are
float64; only the power spectral densities, sums of positive terms, are in the mixture's precision.
"""

from __future__ import annotations

import numpy as np

from unweave.filtering._lanes import (
    FOUR,
    LEAST,
    LIFT,
    ONE,
    QUIET,
    THREE,
    TINY,
    TWO,
    ZERO,
    Array,
    Index,
    L,
    Places,
    clear,
    gather,
    kernel,
    load_mixture,
    load_model,
    spread,
    steady,
    store_pairs,
    unit,
)
from unweave.filtering._stream import complete_stores


@kernel
def model_sums(
    v: Array, v_at: Places, x: Array, x_at: Places, span: Places, start: Places, sums: Array
) -> float:
    """Sum the covariances of initial estimates over frames; return how many models are negative."""
    first, last, lanes, per_row = span
    size = np.uint64(len(v_at[0])) * FOUR
    models = np.uint64(len(v_at[0]) * len(v_at[1]))
    model = np.zeros(models * L, v.dtype)
    mixture = np.zeros(FOUR * L, x.dtype)
    tile = np.zeros(size * L)
    wrong = 0.0
    for row in range(first, last):
        if per_row:
            clear(tile, size)
        for lane in range(ZERO, lanes, L):
            count = min(L, lanes - lane)
            wrong += load_model(v, v_at, row * v_at[2] + lane * v_at[3], count, model)
            place = row * x_at[1] + lane * x_at[2]
            channels = TWO * (place + x_at[0][0]), TWO * (place + x_at[0][1])
            source = x
            if x_at[2] != ONE or len(start) == 2:
                load_mixture(x, x_at, place, count, mixture)
                source = mixture
                channels = ZERO, TWO * L
            if len(start) == 2:
                unit(mixture, TWO, count)
            out = (tile, ZERO) if per_row else (sums, lane * size)
            _add_model(model, v_at, (source, *channels), start, count, out)
        if per_row:
            gather(tile, size, lanes, sums, row * size)
    return wrong


@kernel
def _add_model(
    v: Array, v_at: Places, mixture: Places, start: Places, count: Index, sums: Places
) -> None:
    x, first, second = mixture
    out, at = sums
    sources, step = np.uint64(len(v_at[0])), np.uint64(len(v_at[1])) * L
    other = step - L  # where the model of the second channel is: with the first, if there is one
    soft = len(start) == 1
    for i in range(count):
        s0 = start[0]
        s1 = start[0]
        for j in range(sources):
            s0 += v[j * step + i]
            s1 += v[j * step + other + i]
        m0 = (1.0 / s0 if s0 > LEAST else 0.0) if soft else 1.0
        m1 = (1.0 / s1 if s1 > LEAST else 0.0) if soft else 1.0
        x0r, x0i = np.float64(x[first + TWO * i]), np.float64(x[first + TWO * i + ONE])
        x1r, x1i = np.float64(x[second + TWO * i]), np.float64(x[second + TWO * i + ONE])
        e0 = (x0r * x0r + x0i * x0i) * m0 * m0
        e1 = (x1r * x1r + x1i * x1i) * m1 * m1
        cr = (x1r * x0r + x1i * x0i) * m0 * m1
        ci = (x1i * x0r - x1r * x0i) * m0 * m1
        for j in range(sources):
            v0, v1 = np.float64(v[j * step + i]), np.float64(v[j * step + other + i])
            k = at + j * FOUR * L + i
            out[k] += v0 * v0 * e0
            out[k + L] += v1 * v1 * e1
            out[k + TWO * L] += v0 * v1 * cr
            out[k + THREE * L] += v0 * v1 * ci


@kernel
def estimate_sums(y: Array, y_at: Places, span: Places, sums: Array) -> None:
    """Sum the covariances of estimates over frames."""
    first, last, lanes, per_row = span
    sources, channels, step, _ = y_at
    size = np.uint64(len(sources)) * FOUR
    tile = np.zeros(size * L)
    for row in range(first, last):
        if per_row:
            clear(tile, size)
        for lane in range(ZERO, lanes, L):
            count = min(L, lanes - lane)
            out = tile if per_row else sums
            at = ZERO if per_row else lane * size
            for j in range(np.uint64(len(sources))):
                a = TWO * (row * step + lane + sources[j])
                _add_pair(y, a + TWO * channels[0], a + TWO * channels[1], count, out, at)
                at += FOUR * L
        if per_row:
            gather(tile, size, lanes, sums, row * size)


@kernel
def _add_pair(y: Array, a: Index, b: Index, count: Index, out: Array, at: Index) -> None:
    for i in range(count):
        ar, ai = np.float64(y[a + TWO * i]), np.float64(y[a + TWO * i + ONE])
        br, bi = np.float64(y[b + TWO * i]), np.float64(y[b + TWO * i + ONE])
        out[at + i] += ar * ar + ai * ai
        out[at + L + i] += br * br + bi * bi
        out[at + TWO * L + i] += br * ar + bi * ai
        out[at + THREE * L + i] += bi * ar - br * ai


@kernel
def model_filter(
    v: Array, v_at: Places, x: Array, x_at: Places, span: Places, start: Places, out: Places
) -> None:
    """Filter with the densities of initial estimates; out: (covariances, ridge, y, places of y)."""
    first, last, lanes, per_row = span
    covariances, ridge, y, y_at = out
    sources = np.uint64(len(v_at[0]))
    model = np.zeros(sources * np.uint64(len(v_at[1])) * L, v.dtype)
    mixture = np.zeros(FOUR * L, x.dtype)
    psd = np.zeros(sources * L, x.dtype)
    tile = np.zeros(sources * FOUR * L)
    estimates = np.zeros(sources * FOUR * L, x.dtype)
    for done in range(last - first):
        row = last - ONE - done  # backwards: what was summed last is in the cache still
        if per_row:
            spread(covariances, row * sources * FOUR, sources * FOUR, lanes, tile)
        for lane in range(ZERO, lanes, L):
            count = min(L, lanes - lane)
            load_model(v, v_at, row * v_at[2] + lane * v_at[3], count, model)
            place = row * x_at[1] + lane * x_at[2]
            channels = TWO * (place + x_at[0][0]), TWO * (place + x_at[0][1])
            source = x
            if x_at[2] != ONE:
                load_mixture(x, x_at, place, count, mixture)
                source = mixture
                channels = ZERO, TWO * L
            _weigh(model, v_at, (source, *channels), start, count, psd)
            matrices = (tile, ZERO) if per_row else (covariances, lane * sources * FOUR)
            _filter(psd, (source, *channels), count, (*matrices, ridge), y_at, estimates)
            _store(estimates, y, y_at, row * y_at[2] + lane, count)
    complete_stores()


@steady
def _weigh(
    v: Array, v_at: Places, mixture: Places, start: Places, count: Index, psd: Array
) -> None:
    """Give the power spectral densities of initial estimates."""
    x, first, second = mixture
    sources, step = np.uint64(len(v_at[0])), np.uint64(len(v_at[1])) * L
    other = step - L
    one, half, eps = psd.dtype.type(1), psd.dtype.type(0.5), psd.dtype.type(start[0])
    quiet, lift = v.dtype.type(QUIET), v.dtype.type(LIFT)
    least = v.dtype.type(TINY if v.itemsize == 4 else LEAST)
    for i in range(count):
        s0, s1 = eps, eps
        for j in range(sources):
            s0 += v[j * step + i]
            s1 += v[j * step + other + i]
        l0 = lift if s0 < quiet and len(start) == 1 else one
        l1 = lift if s1 < quiet and len(start) == 1 else one
        m0 = one / max(s0 * l0, least) if len(start) == 1 else one
        m1 = one / max(s1 * l1, least) if len(start) == 1 else one
        x0r, x0i = x[first + TWO * i], x[first + TWO * i + ONE]
        x1r, x1i = x[second + TWO * i], x[second + TWO * i + ONE]
        e0 = (x0r * x0r + x0i * x0i) * half if len(start) == 1 else half
        e1 = (x1r * x1r + x1i * x1i) * half if len(start) == 1 else half
        for j in range(sources):
            g0, g1 = v[j * step + i] * l0 * m0, v[j * step + other + i] * l1 * m1
            psd[j * L + i] = g0 * g0 * e0 + g1 * g1 * e1


@kernel
def estimate_filter(
    y: Array, y_at: Places, x: Array, x_at: Places, span: Places, model: Places, densities: Array
) -> None:
    """Filter anew, in place, with the densities of estimates; model: (covariances, ridge).

    The densities are written to (sources, rows, lanes) unless that array is empty.
    """
    first, last, lanes, per_row = span
    covariances, ridge = model
    sources = np.uint64(len(y_at[0]))
    mixture = np.zeros(FOUR * L, x.dtype)
    psd = np.zeros(sources * L, x.dtype)
    tile = np.zeros(sources * FOUR * L)
    estimates = np.zeros(sources * FOUR * L, x.dtype)
    for row in range(first, last):
        if per_row:
            spread(covariances, row * sources * FOUR, sources * FOUR, lanes, tile)
        for lane in range(ZERO, lanes, L):
            count = min(L, lanes - lane)
            place = row * x_at[1] + lane * x_at[2]
            channels = TWO * (place + x_at[0][0]), TWO * (place + x_at[0][1])
            source = x
            if x_at[2] != ONE:
                load_mixture(x, x_at, place, count, mixture)
                source = mixture
                channels = ZERO, TWO * L
            _measure(y, y_at, row * y_at[2] + lane, count, psd)
            if len(densities):
                for j in range(sources):
                    place = (j * np.uint64(len(densities)) // sources) + row * lanes + lane
                    for i in range(count):
                        densities[place + i] = psd[j * L + i]
            matrices = (tile, ZERO) if per_row else (covariances, lane * sources * FOUR)
            _filter(psd, (source, *channels), count, (*matrices, ridge), y_at, estimates)
            _store(estimates, y, y_at, row * y_at[2] + lane, count)
    complete_stores()


@kernel
def _measure(y: Array, y_at: Places, at: Index, count: Index, psd: Array) -> None:
    """Give the power spectral densities of estimates."""
    sources, channels, _, _ = y_at
    half = psd.dtype.type(0.5)
    for j in range(np.uint64(len(sources))):
        a = TWO * (at + sources[j] + channels[0])
        b = TWO * (at + sources[j] + channels[1])
        for i in range(count):
            ar, ai, br, bi = (
                y[a + TWO * i],
                y[a + TWO * i + ONE],
                y[b + TWO * i],
                y[b + TWO * i + ONE],
            )
            psd[j * L + i] = (ar * ar + ai * ai + br * br + bi * bi) * half


@kernel
def _filter(
    psd: Array, mixture: Places, count: Index, model: Places, y_at: Places, estimates: Array
) -> None:
    """Give v_j R_j (sum_k v_k R_k + ridge)^-1 x of all sources; model: (all R_j, place, ridge)."""
    sources = np.uint64(len(y_at[0]))
    x, first, second = mixture
    matrices, at, ridge = model
    for i in range(count):
        c00, c11, cr, ci = ridge, ridge, 0.0, 0.0
        for j in range(sources):
            p, k = np.float64(psd[j * L + i]), at + j * FOUR * L + i
            c00 += p * matrices[k]
            c11 += p * matrices[k + L]
            cr += p * matrices[k + TWO * L]
            ci += p * matrices[k + THREE * L]
        det = c00 * c11 - cr * cr - ci * ci
        scale = 1.0 / det if det > 0.0 else 0.0
        x0r, x0i = np.float64(x[first + TWO * i]), np.float64(x[first + TWO * i + ONE])
        x1r, x1i = np.float64(x[second + TWO * i]), np.float64(x[second + TWO * i + ONE])
        z0r = scale * (c11 * x0r - cr * x1r - ci * x1i)
        z0i = scale * (c11 * x0i - cr * x1i + ci * x1r)
        z1r = scale * (c00 * x1r - cr * x0r + ci * x0i)
        z1i = scale * (c00 * x1i - cr * x0i - ci * x0r)
        for j in range(sources):
            p, k, o = psd[j * L + i], at + j * FOUR * L + i, j * FOUR * L + i
            r00, r11 = matrices[k], matrices[k + L]
            rr, ri = matrices[k + TWO * L], matrices[k + THREE * L]
            estimates[o] = p * psd.dtype.type(r00 * z0r + rr * z1r + ri * z1i)
            estimates[o + L] = p * psd.dtype.type(r00 * z0i + rr * z1i - ri * z1r)
            estimates[o + TWO * L] = p * psd.dtype.type(r11 * z1r + rr * z0r - ri * z0i)
            estimates[o + THREE * L] = p * psd.dtype.type(r11 * z1i + rr * z0i + ri * z0r)


@kernel
def _store(estimates: Array, y: Array, y_at: Places, at: Index, count: Index) -> None:
    sources, channels, _, _ = y_at
    row = ZERO
    for j in range(np.uint64(len(sources))):
        for c in range(TWO):
            store_pairs(estimates, row, y, at + sources[j] + channels[c], count)
            row += TWO * L
