"""The local Gaussian filter by compiled kernels: the CPU's fast form, without gradients.

Each function gives what the one of the same name in the plain form gives. Rows are shared among as
many threads as torch uses, in parts that do not depend on how many those are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from unweave._core.pool import share
from unweave.errors import ParameterError
from unweave.filtering._layout import (
    Array,
    empty_estimates,
    flat,
    from_lanes,
    lanes_are_bins,
    pack,
    places,
    rows_first,
    to_lanes,
    unpack,
)
from unweave.filtering._regular import Start

_SHARE = 2**17  # values that are worth a part of their own
_PARTS = 8  # at most; their sums are made apart from each other
_COPIED = 2**18  # values that are put in order at a time
_REAL = (torch.float32, torch.float64)

Span = tuple[Any, ...]
Work = Callable[..., Any]


@cache
def available() -> bool:
    """Tell whether numba can be imported.

    Returns:
        Whether the kernels can run.

    Example:
        >>> available() in (True, False)
        True
    """
    try:
        import_module("numba")
    except ImportError:
        return False
    return True


def initial(v: Tensor, x: Tensor, start: Start) -> Tensor:
    """Give initial estimates in the precision of the mixture."""
    by_bin = lanes_are_bins(v)
    kernel = import_module("unweave.filtering._soft").initial
    out = empty_estimates((*v.shape[:2], *x.shape[1:]), x, by_bin)
    for vs, xs, ys in _items(by_bin, v, x, out):

        def work(block: Block, ys: Tensor = ys) -> float:
            y = ys[..., block.first : block.last, :]
            target = (flat(y), places(y, False), np.uint64(start.rounds))
            return float(kernel(*block.tensors, block.span, _start(start), target))

        _check(_shared(work, _Like(by_bin, False), vs, xs))
    return out


def model_sums(v: Tensor, x: Tensor, start: Start) -> Tensor:
    """Sum y y^H of initial estimates over frames: (batch, sources, freq, channels, channels)."""
    by_bin = lanes_are_bins(v)
    kernel = _kernels(x.shape[1]).model_sums
    done = []
    for vs, xs in _items(by_bin, v, x):
        sums = _Sums(v.shape[1], x.shape[1:], by_bin)

        def work(block: Block, sums: _Sums = sums) -> float:
            return float(kernel(*block.tensors, block.span, _start(start), sums.of(block)))

        _check(_shared(work, _Like(by_bin, x.shape[1] == 2), vs, xs))
        done.append(sums.matrices())
    return torch.stack(done)


def estimate_sums(y: Tensor) -> Tensor:
    """Sum y y^H of estimates over frames: (batch, sources, freq, channels, channels)."""
    by_bin = lanes_are_bins(y)
    kernel = _kernels(y.shape[2]).estimate_sums
    done = []
    for (ys,) in _items(by_bin, y):
        sums = _Sums(y.shape[1], y.shape[2:], by_bin)

        def work(block: Block, sums: _Sums = sums) -> None:
            kernel(*block.tensors, block.span, sums.of(block))

        _shared(work, _Like(by_bin, y.shape[2] == 2), ys)
        done.append(sums.matrices())
    return torch.stack(done)


def model_filter(v: Tensor, x: Tensor, start: Start, model: Tensor, ridge: Tensor) -> Tensor:
    """Filter the mixture with the densities of initial estimates and spatial covariances."""
    by_bin = lanes_are_bins(v)
    kernel = _kernels(x.shape[1]).model_filter
    out = empty_estimates((*v.shape[:2], *x.shape[1:]), x, by_bin)
    for item, (vs, xs, ys) in enumerate(_items(by_bin, v, x, out)):
        packed, floor = _packed(model[item], by_bin), float(ridge[item])

        def work(
            block: Block, ys: Tensor = ys, packed: Array = packed, floor: float = floor
        ) -> None:
            y = ys[..., block.first : block.last, :]
            matrices = packed if by_bin else packed[block.first :]
            target = (matrices.reshape(-1), floor, flat(y), places(y, block.unrolled))
            kernel(*block.tensors, block.span, _start(start), target)

        _shared(work, _Like(by_bin, x.shape[1] == 2), vs, xs)
    return out


def owned(y: Tensor, x: Tensor) -> Tensor:
    """Copy estimates, in the mixture's order and precision, to where they may be overwritten."""
    copy = empty_estimates(tuple(y.shape), x, lanes_are_bins(x))
    return copy.copy_(y.detach())


def estimate_filter(y: Tensor, x: Tensor, model: Tensor, ridge: Tensor) -> tuple[Tensor, Tensor]:
    """Filter the mixture, into the estimates' own memory, with their densities; give those, too."""
    by_bin = lanes_are_bins(y)
    kernel = _kernels(x.shape[1]).estimate_filter
    sources, freq, frames = y.shape[1], *y.shape[-2:]
    rows = (frames, freq) if by_bin else (freq, frames)
    psd = torch.empty(len(y), sources, *rows, dtype=x.real.dtype)
    for item, (ys, xs) in enumerate(_items(by_bin, y, x)):
        packed, floor = _packed(model[item], by_bin), float(ridge[item])

        def work(
            block: Block, item: int = item, packed: Array = packed, floor: float = floor
        ) -> None:
            matrices = packed if by_bin else packed[block.first :]
            found = np.empty((sources, block.last - block.first, rows[1]), _kind(psd))
            kernel(*block.tensors, block.span, (matrices.reshape(-1), floor), found.reshape(-1))
            psd[item, :, block.first : block.last] = torch.from_numpy(found)

        _shared(work, _Like(by_bin, x.shape[1] == 2), ys, xs)
    return y, (psd.mT if by_bin else psd)[:, :, None]


class _Like(NamedTuple):
    """What all blocks of a call have in common."""

    by_bin: bool
    unrolled: bool


class Block:
    """Some rows of the tensors that a kernel reads.

    Attributes:
        first: The first row.
        last: The row after the last.
        span: The rows as the kernel counts them, the number of lanes, and whether each row has
            covariances of its own.
        share: Which part's it is.
        unrolled: Whether the kernel is compiled for these numbers of sources and channels.
        tensors: Of each tensor its memory and its places.
    """

    def __init__(self, rows: tuple[int, int], like: _Like, tensors: list[Tensor]) -> None:
        self.first, self.last = first, last = rows
        self.share, self.unrolled = 0, like.unrolled
        lanes = tensors[0].shape[-1]
        self.span = tuple(np.uint64(n) for n in (0, last - first, lanes, not like.by_bin))
        self.tensors = [part for t in tensors for part in (flat(t), places(t, like.unrolled))]


class _Sums:
    """Packed covariances of one item, as the kernels add them up."""

    def __init__(self, sources: int, shape: tuple[int, ...], by_bin: bool) -> None:
        self.channels, self.freq, _ = shape
        self.sources, self.by_bin, self.parts = sources, by_bin, dict[int, Array]()
        size = self.channels * self.channels
        if by_bin:
            lanes = _lanes()
            self.shape = (-(-self.freq // lanes), sources, size, lanes)
        else:
            self.rows = np.zeros((self.freq, sources, size))

    def of(self, block: Block) -> Array:
        """Give the memory that a block adds to, which blocks of other parts do not."""
        if self.by_bin:
            if block.share not in self.parts:
                self.parts[block.share] = np.zeros(self.shape)
            return self.parts[block.share].reshape(-1)
        return self.rows[block.first : block.last].reshape(-1)

    def matrices(self) -> Tensor:
        """Give the sums: (sources, freq, channels, channels)."""
        if not self.by_bin:
            return unpack(self.rows.transpose(1, 2, 0), self.channels)
        total = np.zeros(self.shape)
        for part in sorted(self.parts):  # in one order, whichever thread was the first
            total += self.parts[part]
        return unpack(from_lanes(total, self.freq), self.channels)


def _lanes() -> int:
    return int(import_module("unweave.filtering._lanes").LANES)


def _kernels(channels: int) -> ModuleType:
    return import_module(f"unweave.filtering.{'_pair' if channels == 2 else '_many'}")


def _kind(x: Tensor) -> type[np.floating[Any]]:
    return np.float64 if x.dtype == torch.float64 else np.float32


def _start(start: Start) -> tuple[float, ...]:
    """Tell the kernels by the length of a tuple, that is by its type, where estimates start."""
    return (start.eps,) if start.soft else (start.eps, start.eps)


def _packed(model: Tensor, by_bin: bool) -> Array:
    packed = pack(model)
    return to_lanes(packed, _lanes()) if by_bin else np.ascontiguousarray(packed.transpose(2, 0, 1))


def _items(by_bin: bool, *tensors: Tensor) -> Iterator[list[Tensor]]:
    """Give views of each item: rows last but one, lanes last."""
    for item in zip(*tensors, strict=True):
        yield [rows_first(x.detach().resolve_conj().resolve_neg(), by_bin) for x in item]


def _check(negative: float) -> None:
    if negative:
        raise ParameterError(
            "v has negative values: models are magnitudes or powers; use v.clamp(min=0) or v.abs()"
        )


def _shared(work: Callable[[Block], float | None], like: _Like, *tensors: Tensor) -> float:
    """Do work on all rows, in as many threads as pay; sum what it gives."""
    rows = tensors[0].shape[-2]
    size = sum(x.numel() for x in tensors)
    parts = max(1, min(_PARTS, rows, size // _SHARE))
    edges = [rows * i // parts for i in range(parts + 1)]
    done = [0.0] * parts

    def part(index: int) -> None:
        for block in _blocks(edges[index], edges[index + 1], like, tensors):
            block.share = index
            done[index] += work(block) or 0.0

    share(part, range(parts), size=size)
    return sum(done)


def _blocks(first: int, last: int, like: _Like, tensors: tuple[Tensor, ...]) -> Iterator[Block]:
    """Cut rows into blocks: one, unless tensors must be put in the kernels' order or type."""
    ordered = [_is_ordered(x) for x in tensors]
    step = last - first
    if not all(ordered):
        step = max(1, _COPIED * tensors[0].shape[-2] // sum(x.numel() for x in tensors))
    for a in range(first, last, max(1, step)):
        b = min(last, a + step)
        parts = [x[..., a:b, :] for x in tensors]
        pairs = zip(parts, ordered, strict=True)
        yield Block((a, b), like, [x if good else _put_in_order(x) for x, good in pairs])


def _is_ordered(x: Tensor) -> bool:
    row, lane = x.stride()[-2:]
    known = x.is_complex() or x.dtype in _REAL
    return known and (lane <= row or 1 in x.shape[-2:])


def _put_in_order(x: Tensor) -> Tensor:
    if not x.is_complex() and x.dtype not in _REAL:
        x = x.to(torch.float32 if x.dtype.is_floating_point else torch.float64)
    return x.contiguous()
