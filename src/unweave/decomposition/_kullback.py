"""Sums for the Kullback-Leibler divergence, by compiled code on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import import_module
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from unweave.decomposition._weights import compiled_available

_WORTHWHILE = 2**18  # values of V from which loading compiled code is worth its while
_SHARE = 2**24  # values times components that are worth a thread of their own


def worthwhile(V: Tensor) -> bool:
    """Tell whether compiled code can do it, and pays.

    Args:
        V: Data (freq, frames).
    """
    enough = V.device.type == "cpu" and V.numel() >= _WORTHWHILE and 1 in V.stride()
    return enough and compiled_available()


def quotient_sums(V: Tensor, W: Tensor, H: Tensor, floor: float) -> Tensor:
    """Give W' (V / (W H + floor)).

    With the transposes of V, H and W in the places of V, W and H it is H (V / (W H + floor))', the
    sums for the other factor.

    Args:
        V: Data, contiguous along one axis, on the CPU.
        W: First factor.
        H: Second factor.
        floor: What is added to the model, positive.

    Shape:
        V: (rows, columns)
        W: (rows, components)
        H: (components, columns)
        returns: (components, columns)
    """
    along = V.stride(1) == 1
    cut = _Cut(V, W, H, floor) if along else _Cut(V.mT, H.mT, W.mT, floor)
    if along:
        out = torch.zeros_like(cut.H)
        kernel = partial(cut.kernels.sum_rows, *cut.arrays, out.view(-1).numpy())
        cut.run(kernel, cut.tiles)
        return out.transpose(0, 1).flatten(1)[:, : V.shape[1]]
    out = torch.empty_like(cut.W)
    kernel = partial(cut.kernels.sum_lanes, *cut.arrays, out.view(-1).numpy())
    cut.run(kernel, cut.tall)
    return out[: V.shape[1]].mT


def logarithm_sum(V: Tensor, W: Tensor, H: Tensor, floor: float) -> float:
    """Give the sum of V log(V / (W H + floor)) in double precision.

    Args:
        V: Data in single precision, contiguous along one axis, on the CPU.
        W: First factor.
        H: Second factor.
        floor: What is added to the model, positive.

    Shape:
        V: (rows, columns)
        W: (rows, components)
        H: (components, columns)
    """
    if V.stride(1) != 1:
        V, W, H = V.mT, H.mT, W.mT
    cut = _Cut(V, W, H, floor)
    return float(sum(cut.run(partial(cut.kernels.sum_logarithms, *cut.arrays), cut.tiles)))


class _Cut:
    """Data and factors as the kernels take them: memory, and tiles that are filled up with zeros.

    Args:
        V: Data whose rows are contiguous.
        W: First factor.
        H: Second factor.
        floor: What is added to the model.
    """

    def __init__(self, V: Tensor, W: Tensor, H: Tensor, floor: float) -> None:
        self.kernels = import_module("unweave.decomposition._quotient")
        (rows, columns), count = V.shape, len(H)
        width = self.kernels.BYTES * self.kernels.VECTORS // V.itemsize
        self.tall, self.tiles = -(-rows // self.kernels.ROWS), -(-columns // width)
        self.W = W.new_zeros(self.tall * self.kernels.ROWS, count)
        self.W[:rows] = W
        padded = torch.nn.functional.pad(H, (0, self.tiles * width - columns))
        self.H = padded.view(count, self.tiles, width).transpose(0, 1).contiguous()
        memory = V.as_strided(((rows - 1) * V.stride(0) + columns,), (1,)).numpy()
        self.arrays = ((memory, V.stride(0)), self.W.view(-1).numpy(), self.H.view(-1).numpy())
        tiny = torch.finfo(V.dtype).tiny
        self.rest = ((rows, columns, count), memory.dtype.type(max(floor, tiny)))

    def run(self, kernel: Callable[..., Any], parts: int) -> list[Any]:
        """Run a kernel over all parts, on the threads torch uses."""
        rows, columns, count = self.rest[0]
        most = min(torch.get_num_threads(), parts, rows * columns * count // _SHARE)
        threads = max(1, most)
        edges = (parts * i // threads for i in range(threads + 1))
        jobs = [partial(kernel, *self.rest, span) for span in pairwise(edges)]
        if threads == 1:
            return [jobs[0]()]
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(lambda job: job(), jobs))
