"""Medians along time and along frequency: what separates harmonic from percussive sound.

A tone is a line along the frames, a click a line along the frequencies. The median of a window that
follows a line keeps the line; that of a window across it removes it [FitzGerald2010].

References:
    [FitzGerald2010] Harmonic/percussive separation using median filtering, DAFx.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor

from unweave._core.arrays import array_function
from unweave._core.checks import positive_int
from unweave._core.forms import is_traced, is_transformed
from unweave._core.pool import share
from unweave.errors import ParameterError
from unweave.transforms._sliding import group_of, reach, sliding_medians

_BLOCK = {"cpu": 2**18}  # elements worked on at once: with what is made of them, some MiB
_BLOCK_ELSEWHERE = 2**24


class _Block(NamedTuple):
    """What some windows see, of shape (rows, places, lanes), and where that comes from."""

    seen: Tensor
    order: Tensor
    windows: int
    size: int


@array_function
def median_magnitudes(
    magnitude: Tensor, *, kernel_size: int | tuple[int, int] = 31
) -> tuple[Tensor, Tensor]:
    """Smooth a spectrogram by sliding medians, once along the frames and once along frequency.

    The medians are those that librosa.decompose.hpss compares: a window of size k around element i
    begins at i - k // 2, beyond the edges the spectrogram is mirrored (edge values twice), and of
    an even window the upper of the two middle elements is taken. A window that holds a NaN gives
    NaN. The gradient goes to the element that is the median.

    Args:
        magnitude: Magnitudes, or other real numbers, in any floating dtype.
        kernel_size: Size of the window; or the pair of its size along the frames, for the harmonic
            part, and along the frequencies, for the percussive part. Windows of 31 frames at a hop
            of 512 samples and 22.05 kHz last 0.7 s.

    Returns:
        The harmonic part (medians along the frames) and the percussive part (along frequency).

    Raises:
        ParameterError: `kernel_size` is not one or two positive integers, or the magnitudes are not
            real floating numbers of at least two axes.

    Shape:
        magnitude: (..., freq, frames)
        returns: (..., freq, frames) each

    Example:
        >>> magnitude = torch.zeros(5, 6)
        >>> magnitude[2] = 1.0  # a tone
        >>> magnitude[:, 4] += 2.0  # and a click
        >>> harmonic, percussive = median_magnitudes(magnitude, kernel_size=5)
        >>> harmonic[:, 0], percussive[0]
        (tensor([0., 0., 1., 0., 0.]), tensor([0., 0., 0., 0., 2., 0.]))

    References:
        [FitzGerald2010] Harmonic/percussive separation using median filtering, DAFx.
    """
    if not magnitude.is_floating_point() or magnitude.ndim < 2:
        raise ParameterError(
            f"magnitude of shape {tuple(magnitude.shape)} and dtype {magnitude.dtype} must be a"
            " real spectrogram (..., freq, frames): take .abs() of a complex one, .float() of"
            " integers"
        )
    sizes = kernel_size if isinstance(kernel_size, tuple | list) else (kernel_size, kernel_size)
    if len(sizes) != 2:
        raise ParameterError(
            f"kernel_size={kernel_size!r} must be one size, or the pair (harmonic, percussive)"
        )
    along_frames, along_frequency = (positive_int("kernel_size", size) for size in sizes)
    if magnitude.numel() == 0:
        return magnitude.clone(), magnitude.clone()
    rows = magnitude.reshape(-1, *magnitude.shape[-2:])
    harmonic = _medians(rows.mT, along_frames).mT
    percussive = _medians(rows, along_frequency)
    return harmonic.reshape(magnitude.shape), percussive.reshape(magnitude.shape)


def _medians(x: Tensor, size: int) -> Tensor:
    """Give the sliding medians along the second of three axes, whose ends are mirrored."""
    if not is_traced(x):
        return _in_blocks(x, size, _block_medians, x.dtype)
    # The medians are found without a history; taking them from their places has a short one.
    return x.gather(1, _in_blocks(x.detach(), size, _block_places, torch.long))


def _in_blocks(
    x: Tensor, size: int, work: Callable[[_Block], Tensor], dtype: torch.dtype
) -> Tensor:
    """Do the work on blocks that stay in the cache, whatever the size of the whole."""
    rows, count, lanes = x.shape
    order = _mirrored(count, size, x.device)
    if torch.compiler.is_compiling() or is_transformed():
        return work(_Block(x.index_select(1, order), order, count, size))
    at_once = _BLOCK.get(x.device.type, _BLOCK_ELSEWHERE)
    step = group_of(size) * max(4, 512 // group_of(size))
    lane_step = max(1, at_once // min(step, count))
    row_step = max(1, lane_step // lanes)
    out = x.new_empty(rows, count, lanes, dtype=dtype)

    def fill(place: tuple[int, int]) -> None:
        row, lane = place
        part = x[row : row + row_step, :, lane : lane + lane_step]
        for start in range(0, count, step):
            stop = min(start + step, count)
            seen = order[start : start + reach(stop - start, size)]
            block = _Block(part.index_select(1, seen), seen, stop - start, size)
            out[row : row + row_step, start:stop, lane : lane + lane_step] = work(block)

    places = list(product(range(0, rows, row_step), range(0, lanes, lane_step)))
    share(fill, places, size=x.numel() if x.device.type == "cpu" else 0)
    return out


def _mirrored(count: int, size: int, device: torch.device) -> Tensor:
    """Give where the elements of all windows come from: d c b a | a b c d | d c b a, and on."""
    order = (torch.arange(reach(count, size), device=device) - size // 2) % (2 * count)
    return torch.minimum(order, 2 * count - 1 - order)


def _block_medians(block: _Block) -> Tensor:
    return sliding_medians(block.seen, block.windows, block.size)


def _block_places(block: _Block) -> Tensor:
    """Give the place of the first element of each window that is its median."""
    medians = _block_medians(block)
    offset = torch.zeros(medians.shape, dtype=torch.int32, device=medians.device)
    for shift in reversed(range(block.size)):
        element = block.seen[:, shift : shift + block.windows]
        # Where the median is a NaN, the window holds one: that is then its place.
        offset = torch.where((element == medians) | element.isnan(), shift, offset)
    start = torch.arange(block.windows, device=medians.device)
    return block.order[start[:, None] + offset]
