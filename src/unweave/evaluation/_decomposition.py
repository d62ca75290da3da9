"""What BSSEval measures in windows of time: energies of the true, filtered and estimated sources.

In a window, the true sources are silenced outside of it and then filtered, so the results ring on
for the length of the filters. With s_j the true source, e_j its estimate, P_j s_j the part of e_j
that filtering s_j explains and P s the part that all sources explain,

    e_j = s_j + (P_j s_j - s_j) + (P s - P_j s_j) + (e_j - P s)
              spatial distortion   interference     artifacts
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from unweave.evaluation._distortion import Filters
from unweave.evaluation._signals import Signals

_WHOLE = 2**18  # samples of the longest window that is transformed at once
_SIZE = 2**15  # of the FFT of a piece of a longer window
_VALUES = 2**21  # samples of all signals that are worked on at once
_SLICE = 2**14  # values of one kind at once: they stay in the cache


class Energies(NamedTuple):
    """Energies of parts of the estimates, each of shape (sources, windows).

    Attributes:
        true: Of s_j.
        error: Of e_j - s_j.
        image: Of P_j s_j.
        spatial: Of P_j s_j - s_j.
        projected: Of P s.
        interference: Of P s - P_j s_j.
        artifacts: Of e_j - P s.
    """

    true: Tensor
    error: Tensor
    image: Tensor
    spatial: Tensor
    projected: Tensor
    interference: Tensor
    artifacts: Tensor


class Decomposition:
    """Filters, ready for windows of one length.

    Args:
        filters: The distortion filters of the whole signals.
        window: Samples of a window.
    """

    def __init__(self, filters: Filters, window: int) -> None:
        self.sources, self.channels, self.taps, _ = filters.own.shape
        self.window, self.at_once = window, window <= _WHOLE
        full = window + self.taps - 1
        self.size = _fast_size(full) if self.at_once else max(_SIZE, 8 * self.taps)
        self.room: Tensor | None = None  # the same memory for all windows
        own = torch.fft.rfft(filters.own, self.size, dim=2)
        self.own = own.permute(2, 0, 3, 1).contiguous()  # (freq, source, to, from)
        self.full = torch.fft.rfft(filters.full, self.size, dim=1).permute(1, 2, 0).contiguous()

    def energies(self, signals: Signals, starts: Sequence[int]) -> Energies:
        """Measure windows that begin at given samples; silent ones have none (nan)."""
        if self.at_once:
            some = max(1, _VALUES // (2 * signals.rows * self.size))
            groups = [starts[n : n + some] for n in range(0, len(starts), some)]
            parts = [self._in_frequency(signals, group) for group in groups]
            return Energies(*(torch.cat(values, -1) for values in zip(*parts, strict=True)))
        parts = [self._in_time(signals.cut(start, start + self.window)) for start in starts]
        return Energies(*(torch.stack(values, -1) for values in zip(*parts, strict=True)))

    def _in_frequency(self, signals: Signals, starts: Sequence[int]) -> Energies:
        """Sum energies over frequencies (Parseval): nothing need be transformed back."""
        if self.room is None:  # its end stays the silence behind the windows
            shape = 2 * signals.rows, len(starts), self.size
            self.room = self.own.real.new_zeros(shape)
        both = self.room[:, : len(starts)]
        for number, start in enumerate(starts):
            signals.read(start, self.window, both[:, number, : self.window])
        reference, estimate = both.unflatten(0, (2, -1)).unbind()
        spectra = [torch.fft.rfft(x) for x in (reference, estimate)]
        twice = torch.full_like(spectra[0].real[0, 0], 2 / self.size)
        twice[0] = 1 / self.size
        if self.size % 2 == 0:
            twice[-1] = 1 / self.size
        sums = twice.new_zeros(5, self.sources, reference.shape[1])
        step = max(1, _SLICE // max(1, reference.shape[0] * reference.shape[1]))
        for start in range(0, len(twice), step):
            part = slice(start, start + step)
            s, e = (x[..., part].permute(2, 0, 1).contiguous() for x in spectra)
            weights = twice[part]
            sums += torch.stack([self._power(z, weights) for z in self._parts(s, e, part)])
        found = self._energy(reference), self._energy(estimate - reference), *sums
        silent = signals.silent(both[..., : self.window]).any(0)
        return Energies(*(x.masked_fill(silent, torch.nan) for x in found))

    def _parts(self, s: Tensor, e: Tensor, part: slice) -> tuple[Tensor, ...]:
        """Give P_j s_j, its spatial distortion, P s, interference, artifacts of some frequencies.

        Spectra have shape (freq, sources * channels, windows).
        """
        sources = torch.unflatten(s, 1, (self.sources, self.channels))
        image = (self.own[part] @ sources).flatten(1, 2)
        projected = self.full[part] @ s
        return image, image - s, projected, projected - image, e - projected

    def _power(self, spectra: Tensor, weights: Tensor) -> Tensor:
        squares = torch.view_as_real(spectra).flatten(1).square_()
        sums = (weights @ squares).view(self.sources, self.channels, -1, 2)
        return sums.sum((1, 3))

    def _energy(self, signals: Tensor) -> Tensor:
        energies = signals.square().sum(-1)
        return torch.unflatten(energies, 0, (self.sources, self.channels)).sum(1)

    def _in_time(self, signals: Signals) -> Energies:
        """Sum energies over pieces of one long window, each filtered by overlap-save."""
        margin, rows = self.taps - 1, signals.rows
        step = self.size - margin
        end = signals.length + margin
        sums = torch.zeros(7, self.sources, dtype=torch.float64, device=self.own.device)
        for start in range(0, end, step):
            piece = signals.read(start - margin, self.size)
            spectra = torch.fft.rfft(piece[:rows]).T[..., None]
            s, e = piece[:rows, margin:], piece[rows:, margin:]
            image, _, projected, *_ = self._parts(spectra, spectra, slice(None))
            image, projected = (
                torch.fft.irfft(z[..., 0].T, self.size)[:, margin:] for z in (image, projected)
            )
            found = (s, e - s, image, image - s, projected, projected - image, e - projected)
            sums += torch.stack([self._energy(x) for x in found])
        silent = signals.silent_throughout().any()
        return Energies(*sums.masked_fill(silent, torch.nan))


def _fast_size(size: int) -> int:
    """Give the next size of an FFT that has small factors only: 2^a 3^b 5^c with a >= 6."""
    units = -(-size // 64)
    while not _smooth(units):
        units += 1
    return 64 * units


def _smooth(number: int) -> bool:
    for factor in (2, 3, 5):
        while number % factor == 0:
            number //= factor
    return number == 1
