"""Gaussian smoothing of spectrograms along time and frequency.

Along an axis of n values smoothing is a product with a matrix of n x n weights that vanish away
from the diagonal. It is computed block by block: each block of neighbouring results is the product
of one small dense matrix with the values within reach. At the ends the values are mirrored
(d c b a | a b c d | d c b a); the matrix then holds the weights of the mirrored values, too.

What is beyond reach of the precision is left out of the reach: e^-z^2/2 < eps / 4.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unweave._core.arrays import array_function
from unweave._core.forms import needs_plain_form
from unweave._core.memory import fresh
from unweave.errors import ParameterError

Taps = np.ndarray[Any, np.dtype[np.float64]]
Places = np.ndarray[Any, np.dtype[np.int64]]

_ROWS = 64  # results of a block at least; then as many as the reach, which costs the least
_FEW = 9  # weights, up to which shifted copies are faster than products
_CACHED = 2**17  # values that stay in the processor's cache
_WIDE = 32  # columns that are worth a product of their own
_PRODUCT = 1024  # rows of a product otherwise


@array_function
def smooth(
    v: Tensor, *, width: float = 1.0, temporal: bool = False, truncate: float = 4.0
) -> Tensor:
    """Smooth spectrograms with a Gaussian along time and frequency.

    Channels, sources and other leading axes never mix.

    Args:
        v: Spectrograms of any real dtype; whole numbers are smoothed in the default dtype.
        width: The standard deviation of the Gaussian, in frames and in frequency bins.
        temporal: Whether to smooth along time only.
        truncate: How far the Gaussian reaches, in widths; rounded to whole frames and bins.

    Returns:
        Smoothed spectrograms, whose sums along both axes are those of v.

    Raises:
        ParameterError: v is complex or has fewer than two axes, or the width or the reach is no
            finite number of at least 0.

    Shape:
        v: (..., freq, frames)
        returns: (..., freq, frames)

    Example:
        >>> v = torch.zeros(3, 5)
        >>> v[1, 2] = 1
        >>> smooth(v, temporal=True)[1]
        tensor([0.0584, 0.2421, 0.3989, 0.2421, 0.0584])
    """
    if v.is_complex() or v.ndim < 2:
        raise ParameterError(
            f"v of shape {tuple(v.shape)} and {v.dtype} must be a real spectrogram of shape"
            " (..., freq, frames)"
        )
    for name, value in (("width", width), ("truncate", truncate)):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or value < 0:
            raise ParameterError(f"{name}={value!r} must be a finite number of at least 0")
    x = v if v.is_floating_point() else v.to(torch.get_default_dtype())
    single = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    taps = gaussian(width, truncate, torch.finfo(single.dtype).eps)
    if len(taps) == 1 or not x.numel():
        return x.clone()
    out = _along(single, -1, taps)
    return (out if temporal else _along(out, -2, taps)).to(x.dtype)


def gaussian(width: float, truncate: float, eps: float) -> Taps:
    """Give the weights of a Gaussian, which sum to 1.

    Args:
        width: Standard deviation.
        truncate: Reach in standard deviations.
        eps: The precision; weights far below it are left out.

    Returns:
        Weights at whole numbers, an odd number of them.

    Example:
        >>> gaussian(1.0, 1.0, 1e-16).round(3)
        array([0.274, 0.452, 0.274])
    """
    reach = int(truncate * width + 0.5)
    reach = min(reach, math.ceil(width * math.sqrt(2 * math.log(4 / eps))))
    places = np.arange(-reach, reach + 1, dtype=np.float64)
    weights = np.exp(-0.5 * (places / max(width, 1e-300)) ** 2)
    unit: Taps = weights / weights.sum()
    return unit


def _along(x: Tensor, axis: int, taps: Taps) -> Tensor:
    """Smooth along one of the last two axes; the result lies in memory as x does."""
    strides = x.stride()
    order = sorted(range(x.ndim), key=lambda i: (-strides[i], i))
    place = order.index(x.ndim + axis)
    lain = x.permute(order).contiguous()
    count = x.shape[axis]
    rows = lain.reshape(math.prod(lain.shape[:place]), count, math.prod(lain.shape[place + 1 :]))
    if needs_plain_form(x):
        out = torch.cat(
            [block.weights(x) @ rows[:, block.seen] for block in _blocks(count, taps)], 1
        )
    elif len(taps) <= _FEW and rows[0].numel() <= _CACHED // 2:
        out = _by_shifts(rows, taps)
    else:
        out = _by_products(rows, _blocks(count, taps))
    return out.reshape(lain.shape).permute([order.index(i) for i in range(x.ndim)])


def _by_shifts(rows: Tensor, taps: Taps) -> Tensor:
    """Smooth (outer, count, inner) by adding up shifted copies: for few weights."""
    outer, count, inner = rows.shape
    reach = len(taps) // 2
    some = max(1, _CACHED // (count * inner))
    out, padded = fresh(rows, *rows.shape), rows.new_empty(some, count + 2 * reach, inner)
    ends = [*range(reach), *range(count + reach, count + 2 * reach)]
    mirrored = _mirrored(np.array(ends) - reach, count).tolist()
    for first in range(0, outer, some):
        here, x = out[first : first + some], rows[first : first + some]
        wide = padded[: len(x)]
        wide[:, reach : reach + count] = x
        for end, place in zip(ends, mirrored, strict=True):
            wide[:, end] = x[:, place]
        torch.mul(wide[:, :count], float(taps[0]), out=here)
        for shift, weight in enumerate(taps[1:].tolist(), 1):
            here.add_(wide[:, shift : shift + count], alpha=weight)
    return out


def _by_products(rows: Tensor, blocks: list[_Block]) -> Tensor:
    """Smooth (outer, count, inner) by products with the blocks of the matrix."""
    outer, count, inner = rows.shape
    out = fresh(rows, *rows.shape)
    weights = [block.weights(rows) for block in blocks]
    if inner >= _WIDE:
        for source, target in zip(rows, out, strict=True):
            for block, w in zip(blocks, weights, strict=True):
                torch.mm(w, source[block.seen], out=target[block.made])
        return out
    some = max(1, _PRODUCT // inner)  # few columns are better made rows
    lines = rows.new_empty(some * inner, count)
    for first in range(0, outer, some):
        x = rows[first : first + some].mT.reshape(-1, count)
        made = lines[: len(x)] if inner > 1 else out[first : first + some, :, 0]
        for block, w in zip(blocks, weights, strict=True):
            torch.mm(x[:, block.seen], w.mT, out=made[:, block.made])
        if inner > 1:
            out[first : first + some] = made.reshape(-1, inner, count).mT
    return out


@dataclass(frozen=True)
class _Block:
    """Some neighbouring results, the values that they are made of, and the weights of those."""

    made: slice
    seen: slice
    values: np.ndarray[tuple[int, int], np.dtype[np.float64]]

    def weights(self, like: Tensor) -> Tensor:
        return torch.from_numpy(self.values).to(like)


def _blocks(count: int, taps: Taps) -> list[_Block]:
    """Cut an axis into blocks."""
    reach = len(taps) // 2
    step = count if reach >= count else max(_ROWS, reach)
    found = []
    for first in range(0, count, step):
        last = min(count, first + step)
        low, high = max(0, first - reach), min(count, last + reach)
        seen = np.arange(first, last)[:, None] + np.arange(-reach, reach + 1)
        values = np.zeros((last - first, high - low))
        rows = np.broadcast_to(np.arange(last - first)[:, None], seen.shape)
        np.add.at(values, (rows, _mirrored(seen, count) - low), np.broadcast_to(taps, seen.shape))
        found.append(_Block(slice(first, last), slice(low, high), values))
    return found


def _mirrored(places: Places, count: int) -> Places:
    """Give the places inside (0 ... count - 1) whose values stand at any places."""
    places = places % (2 * count)
    return np.where(places < count, places, 2 * count - 1 - places)
