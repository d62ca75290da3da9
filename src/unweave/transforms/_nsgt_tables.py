"""A non-stationary Gabor transform of a whole signal: its tables, and the two linear maps.

With X[j] the Fourier transform of a real signal of `frames * step` samples, and g_k[j] the window
of band k, the transform is the inverse Fourier transform, over `frames` points, of

    Y_k[j mod frames] = g_k[j] X[j],

the output of the filter g_k at every `step`-th sample. No band is wider than `frames` bins, so that
no two of its bins meet in one place. The frame operator is then the multiplication of X[j] by S[j],
the sum over k of g_k[j]^2, and the canonical dual windows are g_k / S [Velasco2011].

The bands around 0 Hz and half the rate need the spectrum beyond these frequencies, which repeats
what is before them, mirrored and conjugated; they come out real, and weigh 1 / sqrt(2) as they see
everything twice. With the factor sqrt(2) on all bands, |c|^2 is the mean power of a tone.

References:
    [Velasco2011] Velasco, Holighaus, Doerfler, Grill: Constructing an invertible constant-Q
    transform with nonstationary Gabor frames, DAFx-11.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import pad

from unweave._core.forms import needs_plain_form
from unweave.transforms._nsgt_bands import Bands, slope

_LONG = 2**20  # samples of a signal from which on tables are too large to keep many


@dataclass(frozen=True)
class Grid:
    """The bands, samples and frames that a transform works on.

    Args:
        bands: All bands.
        rows: Those that are worked on.
        step: Samples from one frame to the next.
        frames: Number of frames.
    """

    bands: Bands
    rows: range
    step: int
    frames: int

    @property
    def samples(self) -> int:
        """Length of the signal."""
        return self.frames * self.step

    @property
    def half(self) -> int:
        """Highest bin of the Fourier transform that is not above half the rate."""
        return self.samples // 2

    @property
    def spacing(self) -> float:
        """Hz from one bin of the Fourier transform to the next."""
        return self.bands.frame_rate / self.frames

    @property
    def first(self) -> int:
        """Lowest bin of the Fourier transform that a band covers."""
        return math.floor(self.bands.start[self.rows[0]] / self.spacing) + 1

    @property
    def last(self) -> int:
        """Highest bin of the Fourier transform that a band covers."""
        return math.ceil(self.bands.stop[self.rows[-1]] / self.spacing) - 1


@dataclass(frozen=True, eq=False)
class Table:
    """Where each bin of the Fourier transform goes, and with what weight.

    A bin belongs to several bands; in each layer to one at most. Bins that belong to none in a
    layer go to one row beyond the bands, with no weight.

    Args:
        grid: What is worked on.
        places: Place of each bin among the frames of all bands, of shape (layers, bins).
        weights: Weights of the analysis, float64, of shape (layers, bins).
        duals: Weights of the synthesis, float64, of shape (layers, bins).
    """

    grid: Grid
    places: Tensor
    weights: Tensor
    duals: Tensor
    _made: dict[tuple[torch.device, torch.dtype], tuple[Tensor, Tensor, Tensor]] = field(
        default_factory=dict
    )

    def like(self, spectra: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Give places, weights and duals in the precision and on the device of spectra."""
        key = spectra.device, spectra.real.dtype
        if torch.compiler.is_compiling():  # a compiler's tensors hold no values to keep
            return self._to(*key)
        if key not in self._made:
            with torch.inference_mode(False):  # what inference makes, training could not use
                self._made[key] = self._to(*key)
        return self._made[key]

    def _to(self, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
        weights, duals = self.weights.to(device, dtype), self.duals.to(device, dtype)
        return self.places.to(device), weights, duals


def table(grid: Grid) -> Table:
    """Give the tables of a grid; a few are kept, of long signals only the last."""
    if torch.compiler.is_compiling():
        return _build(grid)
    with torch.inference_mode(False):  # what inference makes, training could not use
        return _kept(grid) if grid.samples < _LONG else _last(grid)


def analyse(x: Tensor, grid: Grid) -> Tensor:
    """Transform signals of shape (rows, time), of at most all samples, to (rows, bands, frames)."""
    return spread(torch.fft.rfft(x, grid.samples), table(grid))


def synthesise(spec: Tensor, grid: Grid) -> Tensor:
    """Give signals (rows, time) whose transform is the nearest to `spec` (rows, bands, frames)."""
    samples: Tensor = torch.fft.irfft(gather(spec, table(grid)), grid.samples)
    return samples


def spread(spectra: Tensor, table: Table) -> Tensor:
    """Give the bands of Fourier transforms: (rows, half + 1) to (rows, bands, frames)."""
    grid = table.grid
    places, weights, _ = table.like(spectra)
    parts = (_extended(spectra, grid).unsqueeze(1) * weights).flatten(1)
    bands = len(grid.rows) + 1
    out = spectra.new_zeros(spectra.shape[0], bands * grid.frames)
    if needs_plain_form(spectra):
        out = out.index_copy(1, places.flatten(), parts)
    else:
        out.index_copy_(1, places.flatten(), parts)
    rows = torch.unflatten(out, 1, (bands, grid.frames))
    frames: Tensor = torch.fft.ifft(rows, norm="forward")
    return frames[:, : bands - 1]


def gather(spec: Tensor, table: Table) -> Tensor:
    """Give Fourier transforms of bands: (rows, bands, frames) to (rows, half + 1)."""
    grid = table.grid
    places, _, duals = table.like(spec)
    parts = torch.fft.fft(spec).flatten(1)
    places = places.clamp(max=parts.shape[1] - 1)  # those beyond the bands have no weight
    total = parts.index_select(1, places[0]) * duals[0]
    for place, dual in zip(places[1:], duals[1:], strict=True):
        total = total + parts.index_select(1, place) * dual
    return _folded(total, grid)


def _extended(spectra: Tensor, grid: Grid) -> Tensor:
    """Give the bins from `first` to `last`, those below 0 and above half the rate included."""
    first, last, half = grid.first, grid.last, grid.half
    parts = [spectra[:, max(first, 0) : min(last, half) + 1]]
    if first < 0:
        parts.insert(0, spectra[:, 1 : 1 - first].flip(1).conj())
    if last > half:
        parts.append(spectra[:, grid.samples - last : grid.samples - half].flip(1).conj())
    return torch.cat(parts, 1) if len(parts) > 1 else parts[0]


def _folded(total: Tensor, grid: Grid) -> Tensor:
    """Add what lies below 0 and above half the rate onto what it mirrors: the adjoint."""
    first, last, half = grid.first, grid.last, grid.half
    low, high = max(first, 0), min(last, half)
    out = pad(total[:, low - first : high - first + 1], (low, half - high))
    if first <= 0:
        mirrored = total[:, : 1 - first].flip(1).conj().resolve_conj()
        out = out + pad(mirrored, (0, half + first))
    if last >= grid.samples - half:
        mirrored = total[:, grid.samples - half - first :].flip(1).conj().resolve_conj()
        out = out + pad(mirrored, (grid.samples - last, 0))
    return out


def _build(grid: Grid) -> Table:
    bands, frames = grid.bands, grid.frames
    bins = torch.arange(grid.first, grid.last + 1)
    frequency = bins.double() * grid.spacing
    places, windows, total = [], [], torch.zeros_like(frequency)
    layers = bands.overlap()
    for layer in range(layers):
        row, window = _layer(frequency, bands, range(layer, len(bands), layers))
        total = total + window.square()
        inside = (window > 0) & (row >= grid.rows[0]) & (row <= grid.rows[-1])
        row = torch.where(inside, row - grid.rows[0], len(grid.rows))
        places.append(row * frames + bins.remainder(frames))
        windows.append(torch.where(inside, window, 0.0))
    # Beyond 0 Hz and half the rate the frame operator is that of the frequency mirrored.
    mirrored = torch.minimum(bins.abs(), grid.samples - bins) - grid.first
    total = total[mirrored]
    weight = torch.stack(windows)
    # Bands that see both sides of 0 Hz or of half the rate.
    row = torch.stack(places) // frames + grid.rows[0]
    weight = torch.where((row == 0) | (row == len(bands) - 1), weight * math.sqrt(0.5), weight)
    scale = math.sqrt(2) / grid.samples
    return Table(grid, torch.stack(places), weight * scale, weight / (total * scale * frames))


def _layer(frequency: Tensor, bands: Bands, rows: range) -> tuple[Tensor, Tensor]:
    """Give the only one of some bands that may cover each frequency, and its window there."""
    start, top, bottom, stop = (
        torch.tensor([edge[row] for row in rows], dtype=torch.float64)
        for edge in (bands.start, bands.top, bands.bottom, bands.stop)
    )
    index = torch.searchsorted(stop, frequency, right=True).clamp(max=len(rows) - 1)
    rise = (frequency - start[index]) / (top - start)[index]
    fall = (stop[index] - frequency) / (stop - bottom)[index]
    return rows[0] + rows.step * index, slope(rise) * slope(fall)


_kept, _last = lru_cache(maxsize=16)(_build), lru_cache(maxsize=1)(_build)
