"""The bands of the invertible constant-Q transform: where each lies and how it is shaped.

A band is a window over frequency: zero up to `start`, one from `top` to `bottom`, zero again from
`stop` on. Its slopes are sin(pi / 2 * B(u)) with B(u) + B(1 - u) = 1, so that the squares of two
crossing slopes add up to one; B is the integral of a cos^4 bump, whose smoothness makes the filter
short in time: after 10 / width seconds, width being that of its steeper slope in Hz, less than -130
dB of its energy is left, and after 3.4 / width less than -60 dB.

From low to high there are: a band around 0 Hz, more bands below `fmin` where the frame rate is too
low for one, the bins of constant Q, bands of constant width, and one around half the sample rate.
The widest are as wide as the frame rate, which is what makes the transform painless [Daubechies]:
shifted copies of a band's spectrum do not overlap, so all that happens is a weighting of spectra.

References:
    [Daubechies] Daubechies, Grossmann, Meyer: Painless nonorthogonal expansions, J. Math. Phys. 27
    (1986).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from unweave._core.checks import non_negative, positive_int
from unweave.errors import ParameterError

DECAY = 10.0  # product of slope and time after which a filter has faded away (-130 dB)
_STEEP = 6  # slopes of bands of constant width, which are this many times narrower than the bands
_OCTAVES = 7


@dataclass(frozen=True, eq=False)
class Bands:
    """The bands of one transform; frequencies in Hz, rising.

    Args:
        sample_rate: Rate of the audio in Hz.
        hop_length: Samples from one frame to the next.
        bins: Which bands are the bins of constant Q.
        start: Where each band begins to rise; negative for the first, which is symmetric.
        top: Where it has risen to one.
        bottom: Where it begins to fall.
        stop: Where it has fallen to zero; above half the sample rate for the last.
    """

    sample_rate: float
    hop_length: int
    bins: slice
    start: tuple[float, ...]
    top: tuple[float, ...]
    bottom: tuple[float, ...]
    stop: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.start)

    @property
    def frame_rate(self) -> float:
        """Frames a second."""
        return self.sample_rate / self.hop_length

    @property
    def centers(self) -> tuple[float, ...]:
        """Middle of the flat part of each band."""
        return tuple((a + b) / 2 for a, b in zip(self.top, self.bottom, strict=True))

    def slope(self, row: int) -> float:
        """Give the width of the steeper slope of a band."""
        return min(self.top[row] - self.start[row], self.stop[row] - self.bottom[row])

    def overlap(self) -> int:
        """Give the smallest P for which a band and the P-th above it never overlap."""
        size = 1
        for row, stop in enumerate(self.stop):
            while row + size < len(self) and self.start[row + size] < stop * (1 - 1e-12):
                size += 1
        return size


@dataclass(frozen=True)
class Spacing:
    """What a caller says of the bands, checked.

    Args:
        sample_rate: Rate of the audio in Hz.
        fmin: Lowest bin in Hz.
        fmax: Limit of the highest bin in Hz, or None.
        bins_per_octave: Bins in an octave.
        gamma: Widening of the bins in Hz.
        hop_length: Samples from one frame to the next, or None for as many as the bins allow.
    """

    sample_rate: float
    fmin: float
    fmax: float | None
    bins_per_octave: int
    gamma: float
    hop_length: int | None

    def __post_init__(self) -> None:
        for name in ("sample_rate", "fmin", "fmax"):
            value = getattr(self, name)
            if value is not None and non_negative(name, value) == 0:
                raise ParameterError(f"{name}={value!r} must be above 0 Hz")
        positive_int("bins_per_octave", self.bins_per_octave)
        non_negative("gamma", self.gamma)
        if self.hop_length is not None:
            positive_int("hop_length", self.hop_length)
        if self.fmax is not None and not self.fmin <= self.fmax <= self.nyquist:
            raise ParameterError(
                f"fmax={self.fmax:g} Hz must lie between fmin={self.fmin:g} Hz and half of"
                f" sample_rate={self.sample_rate:g} Hz"
            )

    @property
    def nyquist(self) -> float:
        """Half the sample rate."""
        return self.sample_rate / 2

    def frequency(self, index: int) -> float:
        """Give the centre of a bin, or of what would be one beyond either end."""
        return float(self.fmin * 2.0 ** (index / self.bins_per_octave))

    def width(self, index: int) -> float:
        """Give the support of a bin in Hz."""
        return self.frequency(index + 1) - self.frequency(index - 1) + self.gamma

    def count(self, fmax: float) -> int:
        """Give the number of bins up to a frequency whose upper neighbours exist."""
        octaves = math.log2(min(fmax, self.nyquist) / self.fmin) if fmax > 0 else -1.0
        count = max(0, math.floor(octaves * self.bins_per_octave + 1e-6) + 1)
        while count and self.frequency(count) > self.nyquist:
            count -= 1
        return count


def build_bands(spacing: Spacing) -> Bands:
    """Lay out the bands of a transform.

    Args:
        spacing: What the caller asked for.

    Raises:
        ParameterError: No bin fits below half the sample rate, or the frames are too far apart.
    """
    wanted = _wanted(spacing)
    hop_length = spacing.hop_length
    if hop_length is None:
        hop_length = _smooth_below(int(spacing.sample_rate / spacing.width(wanted - 1)))
    rate = spacing.sample_rate / hop_length
    count = wanted
    while count and spacing.width(count - 1) > rate * (1 + 1e-9):
        count -= 1
    if not count or (spacing.fmax is not None and count < wanted):
        _refuse(spacing, max(wanted, 1), hop_length)
    while count:
        above = _fill(spacing, count, rate)
        if above is not None:
            return _assemble(spacing, hop_length, count, above)
        count -= 1
    raise ParameterError(
        f"fmin={spacing.fmin:g} Hz leaves no room for a bin below half of"
        f" sample_rate={spacing.sample_rate:g} Hz: use a lower fmin"
    )


def frame_count(length: int, hop_length: int) -> int:
    """Give the number of frames of a signal: enough, and a number that is quick to transform.

    That is a product of 2, 3, 5 and 7, and of 8 where there are many: a few per cent too large at
    most.
    """
    count = -(-length // hop_length)
    eights = 8 if count > 64 else 1
    count = -(-count // eights)
    while not _is_smooth(count):
        count += 1
    return count * eights


def slope(u: Tensor) -> Tensor:
    """Rise smoothly from 0 at u <= 0 to 1 at u >= 1; squares of mirrored slopes add up to one."""
    turns = 2 * math.pi * u.clamp(0, 1)
    # The integral of cos^4: 8 / 3 times that of 3 / 8 - cos(2 pi u) / 2 + cos(4 pi u) / 8.
    return torch.sin((turns - 4 / 3 * turns.sin() + (2 * turns).sin() / 6) / 4)


def _wanted(spacing: Spacing) -> int:
    """Give the number of bins that the caller wants."""
    if spacing.fmax is not None:
        return spacing.count(spacing.fmax)
    if spacing.hop_length is not None:
        return spacing.count(spacing.nyquist)
    return min(_OCTAVES * spacing.bins_per_octave, spacing.count(spacing.nyquist))


def _refuse(spacing: Spacing, wanted: int, hop_length: int) -> None:
    index = wanted - 1 if spacing.fmax is not None else 0
    if spacing.frequency(index + 1) > spacing.nyquist:
        raise ParameterError(
            f"fmin={spacing.fmin:g} Hz leaves no room for a bin below half of"
            f" sample_rate={spacing.sample_rate:g} Hz: use a lower fmin"
        )
    width = spacing.width(index)
    most = int(spacing.sample_rate / width)
    advice = f"use hop_length={most} or less" if most else "use a smaller gamma"
    raise ParameterError(
        f"hop_length={hop_length} gives {spacing.sample_rate / hop_length:.1f} frames a second, but"
        f" the bin at {spacing.frequency(index):.1f} Hz is {width:.1f} Hz wide and needs as many:"
        f" {advice}, or a lower fmax"
    )


def _fill(spacing: Spacing, count: int, rate: float) -> list[tuple[float, float]] | None:
    """Give the crossings of the bands above the bins, or None where there is no room."""
    inner, outer = spacing.frequency(count - 1), spacing.frequency(count)
    return _crossings(inner, outer, spacing.nyquist, rate)


def _crossings(
    inner: float, outer: float, end: float, rate: float
) -> list[tuple[float, float]] | None:
    """Part what lies between the last bin and an end of the spectrum into bands.

    Neighbours cross where the one falls and the other rises. The first crossing is that of the last
    bin, from `inner` to `outer`; the last band is symmetric about `end`.
    """
    steep = rate / _STEEP
    bands = max(0, math.ceil((end - rate / 2 - inner) / (rate - steep) - 1e-9))
    if not bands:
        return [(inner, outer)] if outer <= end else None
    step = max((end - rate / 2 - inner) / bands, outer - inner)
    if inner + bands * step + steep > end:
        return None
    lower = [inner + index * step for index in range(1, bands + 1)]
    return [(inner, outer), *((at, at + steep) for at in lower)]


def _assemble(
    spacing: Spacing, hop_length: int, count: int, above: list[tuple[float, float]]
) -> Bands:
    first, before = spacing.frequency(0), spacing.frequency(-1)
    # Towards 0 Hz the layout is that towards the other end, seen in a mirror.
    mirrored = _crossings(-first, -before, 0.0, spacing.sample_rate / hop_length)
    below = [(-high, -low) for low, high in reversed(mirrored or [])]
    inside = [(spacing.frequency(i), spacing.frequency(i + 1)) for i in range(count - 1)]
    crossings = [*below, *inside, *above]
    low, high = crossings[0], crossings[-1]
    end = float(spacing.sample_rate)
    crossings = [(-low[1], -low[0]), *crossings, (end - high[1], end - high[0])]
    bins = slice(len(below), len(below) + count)
    start, top = zip(*crossings[:-1], strict=True)
    bottom, stop = zip(*crossings[1:], strict=True)
    widening = [spacing.gamma / 2 if bins.start <= i < bins.stop else 0.0 for i in range(len(top))]
    if spacing.gamma:  # within 0 Hz and half the sample rate
        pairs = zip(start, stop, widening, strict=True)
        inside = [(max(a - w, min(a, 0.0)), min(b + w, max(b, end / 2))) for a, b, w in pairs]
        start, stop = zip(*inside, strict=True)
    return Bands(end, hop_length, bins, start, top, bottom, stop)


def _is_smooth(number: int) -> bool:
    for prime in (2, 3, 5, 7):
        while number and number % prime == 0:
            number //= prime
    return number <= 1


def _smooth_below(number: int) -> int:
    """Give the largest product of 2, 3, 5 and 7 up to a number."""
    number = max(1, number)
    while not _is_smooth(number):
        number -= 1
    return number
