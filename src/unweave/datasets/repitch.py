"""Plays stems faster or slower, as a tape does: pitch, formants and tempo move together.

The excerpt is resampled by its Fourier transform: cutting or extending the spectrum of N samples to
that of M gives the band-limited signal at N / M times the pace. The transform takes the signal for
periodic, so the joint between its end and its beginning is faded out over a mirrored edge.

References:
    [CohenHadria2019] Improving singing voice separation using deep U-net and wave-U-net with data
    augmentation, EUSIPCO.
"""

import math
from bisect import bisect_left
from functools import cache

import torch
from torch import Tensor

from unweave._core.checks import non_negative
from unweave.datasets.augment import Augmentation, uniform
from unweave.errors import ParameterError

_EDGE = 1024  # samples over which the mirrored ends are faded out
_LARGEST = 1 << 24
_PRIMES = (2, 3, 5, 7, 11)
_CHOICES = 5


class Repitch(Augmentation):
    """Transpose songs by resampling, each by its own interval.

    Of the stems, only time / context samples come back, transposed or not: an upward transposition
    needs more samples than it gives. `AudioFolder` reads that much more by itself.

    Args:
        semitones: Largest interval, upwards and downwards; at most 12.
        p: Probability that a song, or a stem, is transposed.
        apart: Whether each stem has its own interval, for mixtures of stems that do not belong
            together, rather than each song. The pace of the stems then differs as well.

    Raises:
        ParameterError: The interval is too large, or `p` is no probability.

    Example:
        >>> augment = Repitch(2.0)
        >>> stems = torch.rand(4, 2, 44100)
        >>> augment(stems, torch.Generator().manual_seed(0)).shape
        torch.Size([4, 2, 39288])
    """

    def __init__(self, semitones: float = 4.0, p: float = 0.3, *, apart: bool = False) -> None:
        super().__init__(p)
        if non_negative("semitones", semitones) > 12:
            raise ParameterError(f"semitones={semitones} must be at most 12, an octave")
        self.semitones, self.apart = semitones, apart
        self.context = 2 ** (semitones / 12)

    def change(self, stems: Tensor, generator: torch.Generator) -> Tensor:
        """Draw an interval for each song, or each stem.

        Args:
            stems: Stems of one or many songs.
            generator: Draws.

        Returns:
            The new stems.

        Shape:
            stems: (..., sources, channels, time)
            returns: (..., sources, channels, time / context)
        """
        length = math.floor(stems.shape[-1] / self.context)
        axes = 2 if self.apart else 3
        flat = stems.reshape(-1, *stems.shape[-axes:])
        count = (len(flat),)
        chosen = self.chosen(count, stems, generator)
        drawn = uniform(count, -self.semitones, self.semitones, stems, generator)
        pace = torch.where(chosen, drawn, torch.zeros_like(drawn)).div(12).exp2().tolist()
        parts = [play(part, ratio, length) for part, ratio in zip(flat, pace, strict=True)]
        return torch.stack(parts).reshape(*stems.shape[:-1], length)


def play(audio: Tensor, pace: float, length: int) -> Tensor:
    """Play the beginning of a signal at another pace.

    Args:
        audio: Real signals.
        pace: Samples of `audio` for each sample of the result, at most time / length; it is met to
            within a few cents, from below, where lengths of fast Fourier transforms allow.
        length: Samples wanted.

    Returns:
        The signals, transposed by log2(pace) octaves.

    Shape:
        audio: (..., time)
        returns: (..., length)
    """
    if pace == 1:
        return audio[..., :length]
    used = audio[..., : math.ceil(length * pace)]
    edge = min(_EDGE, used.shape[-1] - 1)
    fade = torch.linspace(0, torch.pi / 2, edge, dtype=audio.dtype, device=audio.device).cos()
    fade = fade.square()
    before = used[..., 1 : edge + 1].flip(-1) * fade.flip(0)
    after = used[..., -edge - 1 : -1].flip(-1) * fade
    size, other = _lengths(used.shape[-1] + 2 * edge, pace)
    gap = used.new_zeros(*used.shape[:-1], size - used.shape[-1] - 2 * edge)
    # the circle is cut open at the first sample: what comes before it stands at the end
    circle = torch.cat([used, after, gap, before], -1)
    spectrum: Tensor = torch.fft.rfft(circle)[..., : (other + 1) // 2] * (other / size)
    played: Tensor = torch.fft.irfft(spectrum, other)
    return played[..., :length]


def _lengths(least: int, pace: float) -> tuple[int, int]:
    """Choose lengths of fast transforms whose ratio is next below the pace."""
    sizes = [smooth(least)]
    while len(sizes) < _CHOICES:
        sizes.append(smooth(sizes[-1] + 1))
    pairs = [(size, smooth(math.ceil(size / pace))) for size in sizes]
    return max(pairs, key=lambda pair: pair[0] / pair[1])


def smooth(size: int) -> int:
    """Give the next length whose Fourier transform is fast.

    Args:
        size: At least so much.

    Returns:
        A number without prime factors above 11.

    Example:
        >>> smooth(44101)
        44352
    """
    sizes = _smooth_sizes()
    return sizes[bisect_left(sizes, size)] if size <= _LARGEST else size


@cache
def _smooth_sizes() -> list[int]:
    sizes = [1]
    for prime in _PRIMES:
        for size in sizes:
            if size * prime <= _LARGEST:
                sizes.append(size * prime)  # which is walked over, too
    return sorted(sizes)
