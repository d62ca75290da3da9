"""How tensors lie in memory, told to the compiled kernels; and their packed matrices.

Bins that are neighbours in memory become the kernel's lanes: frequencies of one frame, as
short-time Fourier transforms leave them, or frames of one frequency. Covariances are then packed
lane by lane, or as the values of each row.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from unweave._core.memory import recycled

Array = np.ndarray[Any, np.dtype[Any]]
Places = tuple[Any, ...]


def lanes_are_bins(x: Tensor) -> bool:
    """Tell whether frequencies are nearer to each other in memory than frames.

    Args:
        x: Spectrograms (..., freq, frames).
    """
    freq, frames = x.stride()[-2:]
    if 1 in x.shape[-2:]:  # strides of single entries say nothing
        return x.shape[-1] == 1
    return freq < frames


def rows_first(x: Tensor, by_bin: bool) -> Tensor:
    """Give a view whose last axis are the lanes and whose last but one are the rows.

    Args:
        x: Spectrograms (..., freq, frames).
        by_bin: Whether lanes are frequencies.
    """
    return x.mT if by_bin else x


def flat(x: Tensor) -> Array:
    """Give all memory between the first and the last value of a tensor, as real numbers.

    Args:
        x: A tensor without gradient, on the CPU.
    """
    x = x.detach()
    reach = 1 + sum((n - 1) * step for n, step in zip(x.shape, x.stride(), strict=True))
    line = torch.as_strided(x, (reach,), (1,))
    if line.is_complex():
        line = torch.view_as_real(line).reshape(-1)
    return line.numpy()


def places(x: Tensor, unrolled: bool) -> Places:
    """Give the places of all sources and channels, and the steps of rows and lanes.

    Args:
        x: One item's (sources, channels, rows, lanes) or (channels, rows, lanes).
        unrolled: Whether the numbers of sources and channels are part of the type that a kernel is
            compiled for; otherwise one kernel serves any numbers.
    """
    kind = tuple if unrolled else np.array
    *outer, row, lane = (np.uint64(step) for step in x.stride())
    sizes = zip(x.shape, outer, strict=False)
    return (*[kind([np.uint64(i * int(step)) for i in range(n)]) for n, step in sizes], row, lane)


def empty_estimates(shape: tuple[int, ...], like: Tensor, by_bin: bool) -> Tensor:
    """Make (batch, sources, channels, freq, frames) whose neighbours are those of the mixture.

    With frequencies as lanes, all that belongs to one frame is kept together.

    Args:
        shape: Numbers of items, sources, channels, frequencies and frames.
        like: Gives the dtype.
        by_bin: Whether lanes are frequencies.
    """
    if not by_bin:
        return recycled(like, *shape)
    batch, sources, channels, freq, frames = shape
    return recycled(like, batch, frames, sources, channels, freq).permute(0, 2, 3, 4, 1)


def unpack(packed: Array, channels: int) -> Tensor:
    """Give Hermitian matrices from the rows of their lower triangles.

    Args:
        packed: Shape (sources, channels**2, freq).
        channels: Size of the matrices.

    Returns:
        Shape (sources, freq, channels, channels).
    """
    sources, _, freq = packed.shape
    out = np.empty((sources, freq, channels, channels), np.complex128)
    for c in range(channels):
        out[..., c, c] = packed[:, c * c]
        for d in range(c):
            k = c * c + 1 + 2 * d
            out[..., c, d] = packed[:, k] + 1j * packed[:, k + 1]
            out[..., d, c] = out[..., c, d].conj()
    return torch.from_numpy(out)


def pack(matrices: Tensor) -> Array:
    """Undo `unpack`."""
    values = matrices.detach().resolve_conj().numpy()
    sources, freq, channels, _ = values.shape
    out = np.empty((sources, channels * channels, freq))
    for c in range(channels):
        out[:, c * c] = values[..., c, c].real
        for d in range(c):
            k = c * c + 1 + 2 * d
            out[:, k], out[:, k + 1] = values[..., c, d].real, values[..., c, d].imag
    return out


def to_lanes(packed: Array, lanes: int) -> Array:
    """Lay (sources, values, freq) out in tiles of some lanes: (tiles, sources, values, lanes)."""
    sources, values, freq = packed.shape
    tiles = -(-freq // lanes)
    out = np.zeros((sources, values, tiles * lanes))
    out[..., :freq] = packed
    return np.ascontiguousarray(out.reshape(sources, values, tiles, lanes).transpose(2, 0, 1, 3))


def from_lanes(tiled: Array, freq: int) -> Array:
    """Undo `to_lanes`."""
    tiles, sources, values, lanes = tiled.shape
    return tiled.transpose(1, 2, 0, 3).reshape(sources, values, tiles * lanes)[..., :freq]
