"""Products with a spectrogram, and sums of Kullback-Leibler's, by compiled code on the CPU."""

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
_MANY = 32  # components for which BLAS makes products as fast
_SHARE = 2**24  # values times components that are worth a thread of their own
_VALUES = 2**22  # values that are worth a thread where they are only summed


def worthwhile(V: Tensor) -> bool:
    """Tell whether compiled code can do it, and pays.

    Args:
        V: Data (freq, frames).
    """
    enough = V.device.type == "cpu" and V.numel() >= _WORTHWHILE and 1 in V.stride()
    return enough and compiled_available()


def product(V: Tensor, W: Tensor) -> Tensor:
    """Give W' V; with the transposes of V and H it is H V'.

    Args:
        V: Data.
        W: A factor.

    Shape:
        V: (rows, columns)
        W: (rows, components)
        returns: (components, columns)
    """
    if W.shape[1] > _MANY or not worthwhile(V):
        return W.mT @ V
    cut, out = Cut(V, W.shape[1]), W.new_empty(W.shape[1], V.shape[1])
    nothing = W.new_empty(0).numpy()
    if cut.along:
        kernel, arrays, parts = cut.kernels.sum_rows, (cut.columns(W), nothing), cut.tiles
    else:
        kernel, arrays, parts = cut.kernels.sum_lanes, (nothing, cut.rows(W.mT)), cut.tall
    cut.run(partial(kernel, cut.memory, *arrays, out.numpy(), cut.shape, None), parts)
    return out


def quotient_product(V: Tensor, W: Tensor, H: Tensor, floor: float) -> Tensor:
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
    cut, out = Cut(V, W.shape[1]), torch.empty_like(H, memory_format=torch.contiguous_format)
    if cut.along:
        kernel, arrays, parts = cut.kernels.sum_rows, (cut.columns(W), cut.rows(H)), cut.tiles
    else:
        kernel, arrays, parts = cut.kernels.sum_lanes, (cut.columns(H.mT), cut.rows(W.mT)), cut.tall
    lowest = cut.floor(floor)
    cut.run(partial(kernel, cut.memory, *arrays, out.numpy(), cut.shape, lowest), parts)
    return out


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
    cut = Cut(V, W.shape[1])
    if not cut.along:
        W, H = H.mT, W.mT
    arrays, lowest = (cut.columns(W), cut.rows(H)), cut.floor(floor)
    kernel = partial(cut.kernels.sum_logarithms, cut.memory, *arrays, cut.shape, lowest)
    return float(sum(cut.run(kernel, cut.tiles)))


def totals(V: Tensor) -> tuple[float, float]:
    """Give the sum and the sum of squares of data in double precision.

    Args:
        V: Data, contiguous along one axis, on the CPU.

    Shape:
        V: (rows, columns)
    """
    cut = Cut(V, 1)
    rows, columns, _ = cut.shape
    kernel = partial(cut.kernels.totals, cut.memory, columns)
    parts = over_threads(kernel, rows, rows * columns // _VALUES)
    total, square = (sum(values) for values in zip(*parts, strict=True))
    return float(total), float(square)


class Cut:
    """Data and factors as the kernels take them: memory, and tiles that are filled up with zeros.

    Args:
        V: Data; where not its rows but its columns are contiguous, its transpose is cut.
        count: Number of components.
    """

    def __init__(self, V: Tensor, count: int) -> None:
        self.kernels = import_module("unweave.decomposition._quotient")
        self.along = V.stride(1) == 1
        V = V if self.along else V.mT
        (rows, columns), step = V.shape, V.stride(0)
        self.shape = rows, columns, count
        self.width = self.kernels.BYTES * self.kernels.VECTORS // V.itemsize
        self.tall, self.tiles = -(-rows // self.kernels.ROWS), -(-columns // self.width)
        self.memory = V.as_strided(((rows - 1) * step + columns,), (1,)).numpy(), step
        self.tiny = torch.finfo(V.dtype).tiny

    def columns(self, W: Tensor) -> Any:
        """Fill up the rows of the first factor.

        Args:
            W: The factor (rows, components).
        """
        filled = W.new_zeros(self.tall * self.kernels.ROWS, W.shape[1])
        filled[: len(W)] = W
        return filled.view(-1).numpy()

    def rows(self, H: Tensor) -> Any:
        """Cut the second factor in tiles.

        Args:
            H: The factor (components, columns).
        """
        padded = torch.nn.functional.pad(H, (0, self.tiles * self.width - H.shape[1]))
        cut = padded.view(len(H), self.tiles, self.width).transpose(0, 1).contiguous()
        return cut.view(-1).numpy()

    def floor(self, value: float) -> Any:
        """Give the floor of the model in the data's precision, so that there are no zeros.

        Args:
            value: The floor.
        """
        return self.memory[0].dtype.type(max(value, self.tiny))

    def run(self, kernel: Callable[..., Any], parts: int) -> list[Any]:
        """Run a kernel over all parts, on the threads torch uses.

        Args:
            kernel: Takes the first part, and that after the last.
            parts: How many there are.
        """
        rows, columns, count = self.shape
        return over_threads(kernel, parts, rows * columns * count // _SHARE)


def over_threads(kernel: Callable[..., Any], parts: int, shares: int) -> list[Any]:
    """Run a kernel over parts, on the threads torch uses.

    Args:
        kernel: Takes the first part, and that after the last.
        parts: How many there are.
        shares: How many threads the work is worth.
    """
    threads = max(1, min(torch.get_num_threads(), parts, shares))
    first, *others = pairwise(parts * i // threads for i in range(threads + 1))
    if not others:
        return [kernel(first)]
    with ThreadPoolExecutor(len(others)) as pool:
        waiting = [pool.submit(kernel, span) for span in others]
        return [kernel(first), *(future.result() for future in waiting)]
