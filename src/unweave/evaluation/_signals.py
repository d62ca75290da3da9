"""The signals of a track as BSSEval reads them: rounded, in double precision, a piece at a time."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

_GLANCE = 100  # samples from one that is looked at to the next
_PIECE = 2**18  # samples of a channel that are searched for sound at once


@dataclass(frozen=True)
class Signals:
    """True sources and their estimates.

    Attributes:
        reference: True signals, (sources * channels, time).
        estimate: Estimates of the same shape.
        sources: How many sources there are; each has as many channels.
        bits: Round to so many bits, as files do; None leaves the samples.
    """

    reference: Tensor
    estimate: Tensor
    sources: int
    bits: int | None = None

    @property
    def rows(self) -> int:
        """Channels of all sources."""
        return len(self.reference)

    @property
    def length(self) -> int:
        """Samples of a signal."""
        return self.reference.shape[-1]

    def read(self, start: int, count: int, room: Tensor | None = None) -> Tensor:
        """Give samples of the true signals and then of the estimates, with silence around them.

        Args:
            start: The first sample; may be negative.
            count: Number of samples.
            room: Where to write them; new memory if not given.

        Shape:
            returns: (2 * rows, count), in double precision
        """
        first, last = max(0, start), max(0, min(start + count, self.length))
        if room is None:
            shape = 2 * self.rows, count
            room = torch.empty(shape, dtype=torch.float64, device=self.reference.device)
        room[:, : first - start] = 0
        room[:, max(0, last - start) :] = 0
        if last > first:
            inside = room[:, first - start : last - start]
            inside[: self.rows].copy_(self.reference[:, first:last])
            inside[self.rows :].copy_(self.estimate[:, first:last])
            if self.bits is not None:
                steps = 2.0 ** (self.bits - 1)
                inside.mul_(steps).round_().div_(steps)
        return room

    def cut(self, start: int, stop: int) -> Signals:
        """Give a span of time.

        Args:
            start: Its first sample.
            stop: The sample behind its last.
        """
        part = slice(start, stop)
        return replace(self, reference=self.reference[:, part], estimate=self.estimate[:, part])

    def silent(self, samples: Tensor) -> Tensor:
        """Tell which sources are silent: the sum of their channels is zero.

        Args:
            samples: Some of all signals: (2 * rows, ..., time).

        Shape:
            returns: (2 * sources, ...); true sources, then estimates
        """
        parts = torch.unflatten(samples, 0, (2 * self.sources, -1))
        silent = (parts[..., ::_GLANCE].sum(1) == 0).all(-1)
        if bool(silent.any()):  # a glance shows most that sound
            silent &= (parts.sum(1) == 0).all(-1)
        return silent

    def silent_throughout(self) -> Tensor:
        """Tell which sources are silent from beginning to end; shape (2 * sources,)."""
        silent = self.silent(self.read(0, min(_PIECE, self.length)))
        for start in range(_PIECE, self.length, _PIECE):
            if not bool(silent.any()):
                break
            silent &= self.silent(self.read(start, _PIECE))
        return silent
