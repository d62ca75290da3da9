"""The compiled initial estimates: ratio masks, or models with the phase of the mixture."""

from __future__ import annotations

import numpy as np

from unweave.filtering._lanes import (
    LEAST,
    LIFT,
    ONE,
    QUIET,
    TINY,
    TWO,
    ZERO,
    Array,
    Index,
    L,
    Places,
    kernel,
    load_mixture,
    load_model,
    unit,
)


@kernel
def initial(
    v: Array, v_at: Places, x: Array, x_at: Places, span: Places, start: Places, out: Places
) -> float:
    """Write initial estimates to out; return how many models are negative.

    out is (y, places of y, how often masks are squared and made to sum to one again).
    """
    first, last, lanes, _ = span
    y, y_at, rounds = out
    sources, channels = np.uint64(len(v_at[0])), np.uint64(len(x_at[0]))
    models = np.uint64(len(v_at[1]))
    model = np.zeros(sources * models * L, v.dtype)
    mixture = np.zeros(TWO * channels * L, x.dtype)
    scale = np.zeros(models * L, v.dtype)
    wrong = 0.0
    for row in range(first, last):
        for lane in range(ZERO, lanes, L):
            count = min(L, lanes - lane)
            wrong += load_model(v, v_at, row * v_at[2] + lane * v_at[3], count, model)
            load_mixture(x, x_at, row * x_at[1] + lane * x_at[2], count, mixture)
            if len(start) == 2:
                unit(mixture, channels, count)
            _scales(model, v_at, start, count, scale)
            for _ in range(rounds):
                _square(model, scale, count, sources, models)
                _scales(model, v_at, start, count, scale)
            for j in range(sources):
                for c in range(channels):
                    place = TWO * (row * y_at[2] + lane + y_at[0][j] + y_at[1][c])
                    k = ZERO if models == ONE else c * L
                    _masked(model, j * models * L + k, (scale, k), (mixture, c), count, (y, place))
    return wrong


@kernel
def _scales(v: Array, v_at: Places, start: Places, count: Index, scale: Array) -> None:
    """Give what models are multiplied by."""
    sources, models = np.uint64(len(v_at[0])), np.uint64(len(v_at[1]))
    soft = len(start) == 1
    for c in range(models):
        quiet = 0.0
        for i in range(count):
            total = start[0]
            for j in range(sources):
                total += v[(j * models + c) * L + i]
            quiet += 1.0 if total < QUIET else 0.0
            scale[c * L + i] = 1.0 / max(total, TINY) if soft else 1.0
        if soft and quiet > 0.0:
            _lift(v, start[0], (sources, models, c), count, scale)


@kernel
def _lift(v: Array, eps: float, shape: Places, count: Index, scale: Array) -> None:
    """Make models larger whose sum is very small, and what they are multiplied by smaller."""
    sources, models, c = shape
    least = TINY if v.itemsize == 4 else LEAST
    for i in range(count):
        total = eps
        for j in range(sources):
            total += v[(j * models + c) * L + i]
        lift = LIFT if total < QUIET else 1.0
        for j in range(sources):
            v[(j * models + c) * L + i] *= lift
        scale[c * L + i] = 1.0 / max(total * lift, least)


@kernel
def _square(v: Array, scale: Array, count: Index, sources: Index, models: Index) -> None:
    for j in range(sources):
        for c in range(models):
            for i in range(count):
                mask = v[(j * models + c) * L + i] * scale[c * L + i]
                v[(j * models + c) * L + i] = mask * mask


@kernel
def _masked(
    v: Array, row: Index, scale: Places, mixture: Places, count: Index, out: Places
) -> None:
    factor, k = scale
    x, channel = mixture
    y, place = out
    first = TWO * channel * L
    for i in range(count):
        mask = v[row + i] * factor[k + i]
        y[place + TWO * i] = mask * x[first + TWO * i]
        y[place + TWO * i + ONE] = mask * x[first + TWO * i + ONE]
