"""Constant-Q transforms that halve the rate from one octave down to the next.

One octave's worth of kernels serves all octaves, each at half the rate of the one above it. Frame t
of the octave i lies at sample t h / 2^i, h being the hop at the first rate. Where that is no whole
number, the nearest sample p is taken, and the phase of a bin of frequency f is carried over the
rest of the way by exp(2 pi i f (t h / 2^i - p)).

References:
    [Schoerkhuber2010] Constant-Q transform toolbox for music processing, SMC.
"""

from __future__ import annotations

import math
import warnings
from abc import abstractmethod
from fractions import Fraction

import torch
from torch import Tensor, nn
from torch.nn.functional import conv1d, pad

from unweave._core.constants import Constant
from unweave.compat.nnaudio._kernels import Octaves, lowpass_filter


class OctaveTransform(nn.Module):
    """Take signals down the octaves, and put the octaves together.

    Example:
        >>> OctaveTransform().training
        True
    """

    lowpass_filter: Tensor
    early_downsample_filter: Tensor | None
    pad_mode: str
    _conjugated = False  # whether the phase runs backwards

    def _prepare(self, plan: Octaves, hop_length: int, lowered: int, factor: int) -> None:
        """Register the filters, and settle the hops of the octaves in samples of their own rate.

        The rate of the top octave is `lowered` times lower than that of the signal; the filter
        that is stored is for `factor`.
        """
        self.n_octaves = plan.count
        self.register_buffer("lowpass_filter", lowpass_filter(0.5, 0.001))
        taps = lowpass_filter(1 / factor, 0.03) if factor > 1 else None
        self.register_buffer("early_downsample_filter", taps)
        hops = [Fraction(hop_length, lowered * 2**octave) for octave in range(plan.count)]
        self._hops = [(hop.numerator, hop.denominator) for hop in hops]
        self._pitch = Constant(torch.from_numpy(plan.bank.frequencies / plan.bank.sr))

    @abstractmethod
    def _sliding_octave(self, padded: Tensor, octave: int) -> tuple[Tensor, Tensor]:
        """Analyse an octave in frames whole hops apart; each part is (rows, bins, frames)."""

    @abstractmethod
    def _single_octave(self, frames: Tensor, octave: int) -> tuple[Tensor, Tensor]:
        """Analyse frames of one octave, of shape (rows, frames, width), likewise."""

    def _bins(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Give both parts of all octaves, of shape (rows, octaves * bins, frames)."""
        hop, per = self._hops[0]
        count = 1 + rows.shape[-1] * per // hop
        reals: list[Tensor] = []
        imags: list[Tensor] = []
        for octave in range(self.n_octaves):
            if octave:
                rows = downsampled(rows, self.lowpass_filter.to(rows), 2)
            padded = _continued(rows, self._width(octave) // 2, self.pad_mode)
            if self._hops[octave][1] == 1:
                real, imag = self._sliding_octave(padded, octave)
            else:
                real, imag = self._between(padded, octave, count)
            reals.insert(0, real[..., :count])
            imags.insert(0, imag[..., :count])
        return torch.cat(reals, 1), torch.cat(imags, 1)

    def _between(self, padded: Tensor, octave: int, count: int) -> tuple[Tensor, Tensor]:
        """Analyse an octave whose frames lie between its samples."""
        frame = torch.arange(count, device=padded.device)
        hop, per = self._hops[octave]
        place = (2 * hop * frame + per) // (2 * per)
        rest = (hop * frame - per * place).to(padded) / per
        width = self._width(octave)
        samples = place[:, None] + torch.arange(width, device=padded.device)
        real, imag = self._single_octave(pad(padded, (0, 2))[:, samples], octave)
        turn = torch.outer(2 * math.pi * self._pitch(padded), rest)
        cosine, sine = turn.cos(), turn.sin()
        if self._conjugated:
            sine = -sine
        return real * cosine - imag * sine, real * sine + imag * cosine

    @abstractmethod
    def _width(self, octave: int) -> int:
        """Samples of the kernels of an octave."""


def downsampled(rows: Tensor, taps: Tensor, factor: int) -> Tensor:
    """Lower the rate of signals.

    Args:
        rows: Signals.
        taps: Low-pass filter; of an even length, it shifts the signal by half a sample.
        factor: Samples of which one is kept.

    Returns:
        The signals at the lower rate.

    Shape:
        rows: (batch, time)
        taps: (1, 1, length)
        returns: (batch, time // factor), or one sample more

    Example:
        >>> downsampled(torch.ones(1, 6), torch.ones(1, 1, 2) / 2, 2)
        tensor([[1., 1., 1.]])
    """
    margin = (taps.shape[-1] - 1) // 2
    return conv1d(rows[:, None], taps, stride=factor, padding=margin)[:, 0]


def _continued(rows: Tensor, amount: int, pad_mode: str) -> Tensor:
    """Continue signals at both ends; those too short to be mirrored, by silence."""
    if pad_mode == "reflect":
        if rows.shape[-1] > amount:
            return pad(rows[:, None], (amount, amount), mode="reflect")[:, 0]
        warnings.warn(
            f"an octave of {rows.shape[-1]} samples is too short to be mirrored by {amount}"
            " samples: it is continued by silence, as with pad_mode='constant'",
            UserWarning,
            stacklevel=2,
        )
    return pad(rows, (amount, amount))
