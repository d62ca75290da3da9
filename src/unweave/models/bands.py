"""Frequency bands: narrow ones where pitch matters, constant-Q ones above."""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor


@lru_cache(maxsize=8)
def band_edges(
    n_fft: int, sample_rate: int, *, split: float, ratio: float, fmax: float
) -> tuple[int, ...]:
    """Return the first bin of every band, and the end of the last one.

    Below `split` one band is one bin; above, a band is two bins or `ratio` times its lower edge
    wide, whichever is more, so that high harmonics keep their spacing under transposition.

    Args:
        n_fft: transform length in samples.
        sample_rate: in hertz.
        split: up to here one band is one bin, in hertz.
        ratio: width of a high band relative to its lower edge.
        fmax: where the last band ends, in hertz.

    Returns:
        Increasing bin numbers; band i holds bins edges[i] ... edges[i + 1] - 1.

    Example:
        >>> edges = band_edges(4096, 44100, split=450, ratio=0.022, fmax=16000)
        >>> edges[:3], edges[-1], len(edges) - 1
        ((0, 1, 2), 1486, 195)
    """
    bin_width = sample_rate / n_fft
    last = min(round(fmax / bin_width), n_fft // 2 + 1)
    edges = list(range(round(split / bin_width)))
    position = float(len(edges))
    while round(position) < last:
        edges.append(round(position))
        position += max(2.0, position * ratio)
    return (*edges, last)


def band_index(edges: tuple[int, ...], bins: int) -> Tensor:
    """Return the band of every bin; bins above the last band belong to it too.

    Args:
        edges: as `band_edges` gives them.
        bins: number of bins of the spectrum.

    Returns:
        Shape (bins,), int64.

    Example:
        >>> band_index((0, 1, 3), 5).tolist()
        [0, 1, 1, 1, 1]
    """
    # NumPy's, for on the meta device these operations of torch's import its compiler.
    return torch.from_numpy(np.searchsorted(edges[1:-1], np.arange(bins), side="right"))


def band_matrix(edges: tuple[int, ...], bins: int) -> Tensor:
    """Return the 0-1 matrix that sums bins into bands; bins above the last band count nowhere.

    Args:
        edges: as `band_edges` gives them.
        bins: number of bins of the spectrum.

    Returns:
        Shape (bins, bands), float32.

    Example:
        >>> band_matrix((0, 1, 3), 4).tolist()
        [[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 0.0]]
    """
    matrix = np.equal.outer(band_index(edges, bins).numpy(), np.arange(len(edges) - 1))
    matrix[edges[-1] :] = False
    return torch.from_numpy(matrix.astype(np.float32))
