"""Correlations of signals at short lags, from one pass over blocks of time.

The lags k = 0 ... taps - 1 of a block of the true signals reach `taps - 1` samples past its end, so
it is multiplied, in frequency, with a block of all signals that is longer by as much. Spectra of
the blocks of a span are summed, and the sum alone is transformed back: the working memory does not
depend on the length.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from unweave.evaluation._signals import Signals

_SIZE = 2**10  # of the FFT of a block, at least; it is no less than four times the taps
_VALUES = 2**21  # samples of blocks at once
_SLICE = 2**7  # frequencies at once: their products stay in the processor's cache


class Span(NamedTuple):
    """What one pass over a span of time finds.

    Attributes:
        lags: Correlations, (rows, 2 * rows, taps).
        energy: Of the channels of the estimates, (rows,).
        silent: Which sources are silent; true ones and then estimates, (2 * sources,).
    """

    lags: Tensor
    energy: Tensor
    silent: Tensor


class Tiles(NamedTuple):
    """What one pass over windows that lie end to end finds.

    Attributes:
        total: Correlations of the whole signals, (rows, 2 * rows, taps).
        lags: Those inside of windows, (windows, rows, 2 * rows, taps).
        energy: Of the channels of the estimates, (windows, rows).
        silent: Which sources are silent, (windows, 2 * sources).
    """

    total: Tensor
    lags: Tensor
    energy: Tensor
    silent: Tensor


class Correlations:
    """Find sum_m s_i[m] y_j[m + k] for k = 0 ... taps - 1 in double precision.

    s are the true signals, y the true signals followed by the estimates.

    Args:
        signals: What is correlated.
        taps: Number of lags.
    """

    def __init__(self, signals: Signals, taps: int) -> None:
        self.signals, self.taps, self.margin = signals, taps, taps - 1
        self.size = max(_SIZE, 1 << (4 * taps - 1).bit_length())
        self.step = self.size - self.margin
        self.at_once = max(1, _VALUES // (3 * signals.rows * self.size))
        self.rooms: dict[str, Tensor] = {}

    def of(self, start: int, stop: int) -> Span:
        """Correlate a span of time, as if there were silence around it.

        Args:
            start: Its first sample.
            stop: The sample behind its last.
        """
        rows, device = self.signals.rows, self.signals.reference.device
        energy = torch.zeros(rows, dtype=torch.float64, device=device)
        silent = torch.ones(2 * self.signals.sources, dtype=torch.bool, device=device)
        sums = self._room("sums", torch.complex128, self.size // 2 + 1, rows, 2 * rows).zero_()
        for late in self._pieces(start, stop):
            early = late[:, : late.shape[-1] - self.margin]
            energy += torch.linalg.vecdot(early[rows:], early[rows:])
            silent &= self.signals.silent(early)
            self._add(sums, self._spectra(late))
        by_pair = self._moved("by pair", sums.flatten(1))
        lags = self._room("lags", torch.float64, len(by_pair), self.size)
        torch.fft.irfft(by_pair, self.size, out=lags)
        return Span(lags[:, : self.taps].clone().view(rows, 2 * rows, -1), energy, silent)

    def _spectra(self, signals: Tensor) -> Tensor:
        """Transform blocks of the true signals, and the longer ones of all: (3 rows, n, freq)."""
        rows, count = self.signals.rows, (signals.shape[-1] - self.margin) // self.step
        shape = 3 * rows, count, self.size // 2 + 1
        spectra = self._room("spectra", torch.complex128, *shape)
        blocks = self._room("blocks", torch.float64, count, self.size)
        for row, signal in enumerate(signals):  # one by one: they stay in the cache
            blocks.copy_(signal.unfold(-1, self.size, self.step))
            spectra[rows + row] = torch.fft.rfft(blocks)
            if row < rows:
                blocks[:, self.step :] = 0
                spectra[row] = torch.fft.rfft(blocks)
        return spectra

    def _add(self, sums: Tensor, spectra: Tensor) -> None:
        """Add products of spectra, some frequencies at a time, summed over blocks."""
        rows = self.signals.rows
        for start in range(0, len(sums), _SLICE):
            part = spectra[..., start : start + _SLICE].permute(2, 0, 1)
            both = self._room("slice", spectra.dtype, *part.shape).copy_(part)
            some = sums[start : start + _SLICE]
            some.baddbmm_(both[:, :rows].conj_physical_(), both[:, rows:].mT)

    def _moved(self, name: str, values: Tensor) -> Tensor:
        """Transpose a matrix; torch does so by blocks, unlike moving the axes of other tensors."""
        return self._room(name, values.dtype, *values.T.shape).copy_(values.T)

    def _room(self, name: str, dtype: torch.dtype, *shape: int) -> Tensor:
        """Give the same memory every time: fresh pages would take longer than the work in them."""
        count = math.prod(shape)
        if name not in self.rooms or len(self.rooms[name]) < count:
            device = self.signals.reference.device
            self.rooms[name] = torch.empty(count, dtype=dtype, device=device)
        return self.rooms[name][:count].view(shape)

    def of_tiles(self, window: int) -> Tiles:
        """Correlate windows that lie end to end, and from them the whole.

        Args:
            window: Their length in samples, no less than the number of lags.
        """
        signals = self.signals
        rest = self.of(signals.length // window * window, signals.length)
        shape = signals.length // window, *rest.lags.shape
        lags = rest.lags.new_empty(shape)  # filled one by one: stacking would need them twice
        total, spans = rest.lags, []
        for number, inside in enumerate(lags):
            start = number * window
            found = self.of(start, start + window)
            inside.copy_(found.lags)
            total = total + inside + self.across(start + window)
            spans.append(found)
        energy, silent = (torch.stack(x) for x in zip(*(s[1:] for s in spans), strict=True))
        return Tiles(total, lags, energy, silent)

    def across(self, place: int) -> Tensor:
        """Correlate what lies before a place with what lies behind it.

        Args:
            place: The first sample behind it.

        Shape:
            returns: (rows, 2 * rows, taps)
        """
        margin, rows, size = self.margin, self.signals.rows, 1 << (2 * self.taps - 1).bit_length()
        piece = self.signals.read(place - margin, 2 * margin)
        early = torch.fft.rfft(piece[:rows, :margin], size)
        late = torch.fft.rfft(piece[:, margin:], size)
        lags: Tensor = torch.fft.irfft(early.conj()[:, None] * late, size)
        # Both excerpts are `margin` long, so lag k of the signals is lag k - margin between them.
        lags = lags[..., torch.arange(-margin, 1, device=lags.device)]
        lags[..., 0] = 0
        return lags

    def _pieces(self, start: int, stop: int) -> Iterator[Tensor]:
        """Give whole blocks, and the margin behind the last; a piece lasts until the next comes."""
        whole = -(-(stop - start) // self.step)
        shape = 2 * self.signals.rows, min(self.at_once, whole) * self.step + self.margin
        room = self._room("piece", torch.float64, *shape)
        for first in range(0, whole, self.at_once):
            count = min(self.at_once, whole - first) * self.step + self.margin
            begin = start + first * self.step
            piece = self.signals.read(begin, count, room[:, :count])
            piece[:, max(0, stop - begin) :] = 0
            yield piece
