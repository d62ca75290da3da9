"""The compiled local Gaussian filter of any number of channels.

A Hermitian matrix M of C x C is C * C rows of lanes: the rows of the lower triangle one after the
other, each with its diagonal element (real) first and then real and imaginary part of M[c, 0],
M[c, 1] and so on. Row c so begins at c * c. Everything is float64, as in the kernels of two
channels; the mixture covariances are factored as L D L^H, in place and for all lanes at once.
"""

from __future__ import annotations

import numpy as np

from unweave.filtering._lanes import (
    LEAST,
    ONE,
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
    store_pairs,
    unit,
)
from unweave.filtering._ldl import factor, solve
from unweave.filtering._stream import complete_stores


@kernel
def model_sums(
    v: Array, v_at: Places, x: Array, x_at: Places, span: Places, start: Places, sums: Array
) -> float:
    """Sum the covariances of initial estimates over frames; return how many models are negative."""
    first, last, lanes, per_row = span
    sources, channels = np.uint64(len(v_at[0])), np.uint64(len(x_at[0]))
    models = np.uint64(len(v_at[1]))
    size = channels * channels
    model = np.zeros(sources * models * L, v.dtype)
    mixture = np.zeros(TWO * channels * L, x.dtype)
    rows = np.zeros((TWO * channels + size + ONE + sources * models) * L)
    cross, weight = TWO * channels * L, (TWO * channels + size) * L
    masks = weight + L
    tile = np.zeros(sources * size * L)
    wrong = 0.0
    for row in range(first, last):
        if per_row:
            clear(tile, sources * size)
        for lane in range(ZERO, lanes, L):
            count = min(L, lanes - lane)
            wrong += load_model(v, v_at, row * v_at[2] + lane * v_at[3], count, model)
            load_mixture(x, x_at, row * x_at[1] + lane * x_at[2], count, mixture)
            if len(start) == 2:
                unit(mixture, channels, count)
            _part(mixture, channels, count, rows)
            _mask(model, v_at, start, count, rows, masks, weight)
            _products(rows, channels, count, cross)
            out = (tile, ZERO) if per_row else (sums, lane * sources * size)
            for j in range(sources):
                at = out[1] + j * size * L
                mask = masks + j * models * L
                _add_weighted(rows, mask, models, (channels, cross, weight, count), out[0], at)
        if per_row:
            gather(tile, sources * size, lanes, sums, row * sources * size)
    return wrong


@kernel
def estimate_sums(y: Array, y_at: Places, span: Places, sums: Array) -> None:
    """Sum the covariances of estimates over frames."""
    first, last, lanes, per_row = span
    sources, channels = np.uint64(len(y_at[0])), np.uint64(len(y_at[1]))
    size = channels * channels
    estimate = np.zeros(TWO * channels * L, y.dtype)
    rows = np.zeros((TWO * channels + size + ONE) * L)
    cross, weight = TWO * channels * L, (TWO * channels + size) * L
    for i in range(L):
        rows[weight + i] = 1.0
    tile = np.zeros(sources * size * L)
    for row in range(first, last):
        if per_row:
            clear(tile, sources * size)
        for lane in range(ZERO, lanes, L):
            count = min(L, lanes - lane)
            out = (tile, ZERO) if per_row else (sums, lane * sources * size)
            for j in range(sources):
                _load_estimate(y, y_at, row * y_at[2] + lane + y_at[0][j], count, estimate)
                _part(estimate, channels, count, rows)
                _products(rows, channels, count, cross)
                _add_scaled(rows, weight, cross, size, count, out[0], out[1] + j * size * L)
        if per_row:
            gather(tile, sources * size, lanes, sums, row * sources * size)


@kernel
def model_filter(
    v: Array, v_at: Places, x: Array, x_at: Places, span: Places, start: Places, out: Places
) -> None:
    """Filter with the densities of initial estimates; out: (covariances, ridge, y, places of y)."""
    first, last, lanes, per_row = span
    covariances, ridge, y, y_at = out
    sources, channels = np.uint64(len(v_at[0])), np.uint64(len(x_at[0]))
    models = np.uint64(len(v_at[1]))
    size = sources * channels * channels
    model = np.zeros(sources * models * L, v.dtype)
    mixture = np.zeros(TWO * channels * L, x.dtype)
    rows = np.zeros((TWO * channels + sources + ONE + sources * models) * L)
    psd = TWO * channels * L
    work = np.zeros(channels * (channels + TWO) * L)
    tile = np.zeros(size * L)
    for row in range(first, last):
        if per_row:
            spread(covariances, row * size, size, lanes, tile)
        for lane in range(ZERO, lanes, L):
            count = min(L, lanes - lane)
            load_model(v, v_at, row * v_at[2] + lane * v_at[3], count, model)
            load_mixture(x, x_at, row * x_at[1] + lane * x_at[2], count, mixture)
            _part(mixture, channels, count, rows)
            _mask(model, v_at, start, count, rows, psd + (sources + ONE) * L, psd + sources * L)
            _weigh(rows, sources, channels, models, count, len(start) == 1)
            matrices = (tile, ZERO) if per_row else (covariances, lane * size)
            place = row * y_at[2] + lane
            _filter(rows, (*matrices, ridge), work, y, y_at, place, count)
    complete_stores()


@kernel
def estimate_filter(
    y: Array, y_at: Places, x: Array, x_at: Places, span: Places, model: Places, densities: Array
) -> None:
    """Filter anew, in place, with the densities of estimates; model: (covariances, ridge).

    The densities are written to (sources, rows, lanes) unless that array is empty.
    """
    first, last, lanes, per_row = span
    covariances, ridge = model
    sources, channels = np.uint64(len(y_at[0])), np.uint64(len(x_at[0]))
    size = sources * channels * channels
    mixture = np.zeros(TWO * channels * L, x.dtype)
    rows = np.zeros((TWO * channels + sources) * L)
    psd = TWO * channels * L
    work = np.zeros(channels * (channels + TWO) * L)
    tile = np.zeros(size * L)
    for row in range(first, last):
        if per_row:
            spread(covariances, row * size, size, lanes, tile)
        for lane in range(ZERO, lanes, L):
            count = min(L, lanes - lane)
            load_mixture(x, x_at, row * x_at[1] + lane * x_at[2], count, mixture)
            _part(mixture, channels, count, rows)
            place = row * y_at[2] + lane
            _measure(y, y_at, place, count, rows, psd)
            if len(densities):
                step = np.uint64(len(densities)) // sources
                _write(rows, psd, sources, densities, (row * lanes + lane, step, count))
            matrices = (tile, ZERO) if per_row else (covariances, lane * size)
            _filter(rows, (*matrices, ridge), work, y, y_at, place, count)
    complete_stores()


@kernel
def _load_estimate(y: Array, y_at: Places, at: Index, count: Index, out: Array) -> None:
    channels = y_at[1]
    for c in range(np.uint64(len(channels))):
        first = TWO * (at + channels[c])
        for i in range(TWO * count):
            out[TWO * c * L + i] = y[first + i]


@kernel
def _part(pairs: Array, channels: Index, count: Index, rows: Array) -> None:
    """Part complex values into a row of real and a row of imaginary parts for each channel."""
    for c in range(channels):
        row = TWO * c * L
        for i in range(count):
            rows[row + i] = pairs[row + TWO * i]
            rows[row + L + i] = pairs[row + TWO * i + ONE]


@kernel
def _mask(
    v: Array, v_at: Places, start: Places, count: Index, rows: Array, masks: Index, total: Index
) -> None:
    """Divide models by their sum over the sources, or copy them if the start is the phase."""
    sources, models = np.uint64(len(v_at[0])), np.uint64(len(v_at[1]))
    for c in range(models):
        for i in range(count):
            rows[total + i] = start[0] if len(start) == 1 else 1.0
        if len(start) == 1:
            for j in range(sources):
                for i in range(count):
                    rows[total + i] += v[(j * models + c) * L + i]
        for i in range(count):
            rows[total + i] = 1.0 / max(rows[total + i], LEAST)
        for j in range(sources):
            row = (j * models + c) * L
            for i in range(count):
                rows[masks + row + i] = v[row + i] * rows[total + i]


@kernel
def _products(rows: Array, channels: Index, count: Index, cross: Index) -> None:
    """Give u u^H of the values u in the first rows."""
    for c in range(channels):
        a, k = TWO * c * L, cross + c * c * L
        for i in range(count):
            rows[k + i] = rows[a + i] * rows[a + i] + rows[a + L + i] * rows[a + L + i]
        for d in range(c):
            b = TWO * d * L
            k = cross + (c * c + ONE + TWO * d) * L
            for i in range(count):
                ar, ai, br, bi = rows[a + i], rows[a + L + i], rows[b + i], rows[b + L + i]
                rows[k + i] = ar * br + ai * bi
                rows[k + L + i] = ai * br - ar * bi


@kernel
def _add_scaled(
    rows: Array, weight: Index, cross: Index, number: Index, count: Index, out: Array, at: Index
) -> None:
    for k in range(number):
        for i in range(count):
            out[at + k * L + i] += rows[weight + i] * rows[cross + k * L + i]


@kernel
def _add_weighted(
    rows: Array, mask: Index, models: Index, shape: Places, out: Array, at: Index
) -> None:
    """Add a masked mixture's covariance; shape: (channels, cross, weight, count)."""
    channels, cross, weight, count = shape
    if models == ONE:
        for i in range(count):
            rows[weight + i] = rows[mask + i] * rows[mask + i]
        _add_scaled(rows, weight, cross, channels * channels, count, out, at)
        return
    for c in range(channels):
        for d in range(c + ONE):
            for i in range(count):
                rows[weight + i] = rows[mask + c * L + i] * rows[mask + d * L + i]
            k, number = (c * c + ONE + TWO * d) * L, TWO
            if c == d:
                k, number = c * c * L, ONE
            _add_scaled(rows, weight, cross + k, number, count, out, at + k)


@kernel
def _weigh(
    rows: Array, sources: Index, channels: Index, models: Index, count: Index, soft: bool
) -> None:
    """Give power spectral densities of masked mixtures, or of models with the mixture's phase."""
    psd = TWO * channels * L
    power, masks = psd + sources * L, psd + (sources + ONE) * L
    share = 1.0 / channels
    for j in range(sources):
        for i in range(count):
            rows[psd + j * L + i] = 0.0
    for c in range(channels):
        a = TWO * c * L
        for i in range(count):
            energy = rows[a + i] * rows[a + i] + rows[a + L + i] * rows[a + L + i]
            rows[power + i] = share * energy if soft else share
        for j in range(sources):
            out, mask = psd + j * L, masks + (j * models + min(c, models - ONE)) * L
            for i in range(count):
                rows[out + i] += rows[mask + i] * rows[mask + i] * rows[power + i]


@kernel
def _measure(y: Array, y_at: Places, at: Index, count: Index, rows: Array, psd: Index) -> None:
    """Give power spectral densities of estimates."""
    sources, channels, _, _ = y_at
    share = 1.0 / len(channels)
    for j in range(np.uint64(len(sources))):
        out = psd + j * L
        for i in range(count):
            rows[out + i] = 0.0
        for c in range(np.uint64(len(channels))):
            first = TWO * (at + sources[j] + channels[c])
            for i in range(count):
                re, im = np.float64(y[first + TWO * i]), np.float64(y[first + TWO * i + ONE])
                rows[out + i] += share * (re * re + im * im)


@kernel
def _write(rows: Array, psd: Index, sources: Index, densities: Array, place: Places) -> None:
    at, step, count = place
    for j in range(sources):
        for i in range(count):
            densities[j * step + at + i] = rows[psd + j * L + i]


@kernel
def _filter(
    rows: Array, model: Places, work: Array, y: Array, y_at: Places, at: Index, count: Index
) -> None:
    """Give v_j R_j (sum_k v_k R_k + ridge)^-1 x of all sources; model: (all R_j, place, ridge)."""
    matrices, first, ridge = model
    sources, channels = np.uint64(len(y_at[0])), np.uint64(len(y_at[1]))
    size, psd, z = channels * channels, TWO * channels * L, channels * channels * L
    clear(work, size)
    for c in range(channels):
        for i in range(count):
            work[c * c * L + i] = ridge
    for j in range(sources):
        for k in range(size):
            out, matrix = k * L, first + (j * size + k) * L
            for i in range(count):
                work[out + i] += rows[psd + j * L + i] * matrices[matrix + i]
    for k in range(TWO * channels):
        for i in range(count):
            work[z + k * L + i] = rows[k * L + i]
    factor(work, channels, count)
    solve(work, channels, z, count)
    for j in range(sources):
        matrix = first + j * size * L
        for c in range(channels):
            place = at + y_at[0][j] + y_at[1][c]
            _apply(work, channels, (matrices, matrix, c), rows, psd + j * L, count)
            store_pairs(rows, ZERO, y, place, count)


@kernel
def _apply(
    work: Array, channels: Index, model: Places, rows: Array, psd: Index, count: Index
) -> None:
    """Give one channel of v R z in the first two rows; model: (all R, place of R, channel)."""
    matrices, first, c = model
    z = channels * channels * L
    a = z + TWO * c * L
    k = first + c * c * L
    for i in range(count):
        rows[i] = matrices[k + i] * work[a + i]
        rows[L + i] = matrices[k + i] * work[a + L + i]
    for d in range(channels):
        a = z + TWO * d * L
        sign = 1.0 if d < c else -1.0  # above the diagonal: the conjugate of what is below
        k = first + (max(c, d) * max(c, d) + ONE + TWO * min(c, d)) * L
        if d != c:
            for i in range(count):
                mr, mi = matrices[k + i], sign * matrices[k + L + i]
                rows[i] += mr * work[a + i] - mi * work[a + L + i]
                rows[L + i] += mr * work[a + L + i] + mi * work[a + i]
    for i in range(count):
        rows[i] *= rows[psd + i]
        rows[L + i] *= rows[psd + i]
