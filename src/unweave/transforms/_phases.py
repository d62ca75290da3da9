"""The iterations of Griffin-Lim: from magnitudes and first phases to audio.

With C the spectrogram of the audio that is nearest to a spectrogram, and P the return to the given
magnitudes S, an iteration with momentum m is [Perraudin2013]

    t[n] = C(c[n - 1]),   c[n] = P(t[n] + m (t[n] - t[n - 1])),   P(z) = S z / |z|

P does not heed the scale of its argument, so t[n] - m / (1 + m) t[n - 1] serves as well.

References:
    [Perraudin2013] A fast Griffin-Lim algorithm, WASPAA.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from unweave._core.forms import needs_plain_form
from unweave._core.fourier import analyse, synthesise
from unweave._core.frames import add_frames, evenly
from unweave._core.pool import share
from unweave.transforms._analysis import Analysis, magnitude, power

_BLOCK_SAMPLES = 2**19  # of frames worked on at once: a few seconds of audio stay in the cache


@dataclass(frozen=True)
class Search:
    """How phases are sought.

    Args:
        n_iter: Iterations.
        momentum: How far each goes beyond its result, in units of the last change.
        tol: Change of the relative error that is too small to go on.
    """

    n_iter: int
    momentum: float
    tol: float | None

    @property
    def weight(self) -> float:
        """Share of the last but one result that is taken off the last."""
        return self.momentum / (1 + self.momentum)


@dataclass(frozen=True, eq=False)
class Maps:
    """From spectra (rows, count, freq) to audio (rows, length), and back.

    Args:
        plan: The analysis.
        window: Weights of a frame.
        envelope: Divisors of the samples of the audio that the frames reach.
        count: Number of frames.
        length: Number of samples.
    """

    plan: Analysis
    window: Tensor
    envelope: Tensor
    count: int
    length: int

    def audio(self, spectra: Tensor) -> Tensor:
        """Give the audio whose spectra are the nearest to some."""
        framing = self.plan.framing
        samples = synthesise(spectra, framing, self.window, self.envelope, framing.margin)
        return pad(samples, (0, self.length - samples.shape[1]))

    def spectra(self, audio: Tensor) -> Tensor:
        """Give the spectra of audio."""
        padded, _ = self.plan.rows(audio)
        return analyse(padded, self.plan.framing, self.window, self.count)


def find_audio(goal: Tensor, angles: Tensor | None, maps: Maps, search: Search) -> Tensor:
    """Give audio whose magnitudes are nearly those wanted.

    Args:
        goal: The magnitudes, at most about 1.
        angles: First phases in radians; zero if not given.
        maps: The way to audio and back.
        search: The parameters of the iterations.

    Returns:
        The audio.

    Shape:
        goal: (rows, frames, freq)
        angles: (rows, frames, freq)
        returns: (rows, time)
    """
    plain = needs_plain_form(goal, maps.window, *(() if angles is None else (angles,)))
    if search.tol is not None:
        at_once = 1  # each signal stops by itself
    elif plain:
        at_once = len(goal)
    else:
        at_once = max(1, _frames_at_once(maps) // maps.count)
    iterate = _iterate_plainly if plain else _iterate_in_blocks
    parts: dict[int, Tensor] = {}

    def work(row: slice) -> None:
        wanted = goal[row]
        if angles is None:
            first = torch.complex(wanted, torch.zeros_like(wanted))
        else:
            turned = angles[row]
            first = torch.complex(wanted * turned.cos(), wanted * turned.sin())
        parts[row.start] = iterate(first, wanted, maps, search)

    # What is followed, or on a device of its own, is the caller's.
    share(work, list(evenly(len(goal), at_once)), size=0 if plain else goal.numel())
    return torch.cat([parts[row] for row in sorted(parts)]) if len(parts) > 1 else parts[0]


def _iterate_plainly(estimate: Tensor, goal: Tensor, maps: Maps, search: Search) -> Tensor:
    previous, error = None, math.inf
    tiny = torch.finfo(goal.dtype).tiny
    for _ in range(search.n_iter):
        rebuilt = maps.spectra(maps.audio(estimate))
        target = rebuilt if previous is None else rebuilt - search.weight * previous
        square = power(target)
        unknown = square < tiny  # no direction, and no gradient
        gain = torch.where(unknown, 0.0, goal) / torch.where(unknown, 1.0, square).sqrt()
        estimate, previous = target * gain, rebuilt
        if search.tol is not None:
            last, error = error, _convergence((rebuilt.detach(),), (goal.detach(),))
            if abs(last - error) < search.tol:
                break
    return maps.audio(estimate)


def _iterate_in_blocks(first: Tensor, goal: Tensor, maps: Maps, search: Search) -> Tensor:
    """Do the same a few frames at a time, in memory that is used again and again."""
    work = _Blocks(first, goal, maps)
    error = math.inf
    for _ in range(search.n_iter):
        work.iterate(search.weight)
        if search.tol is not None:
            last, error = error, _convergence(work.rebuilt, work.goals)
            if abs(last - error) < search.tol:
                break
    return work.audio()


class _Blocks:
    """The state of some signals, cut into blocks of frames."""

    def __init__(self, first: Tensor, goal: Tensor, maps: Maps) -> None:
        rows, count, bins = goal.shape
        framing = maps.plan.framing
        # Blocks of about the same size, so that none is short.
        size = -(-count // -(-rows * count // _frames_at_once(maps)))
        self.maps, self.size = maps, size
        self.estimates, self.goals = torch.split(first, size, 1), torch.split(goal, size, 1)
        self.rebuilt: list[Tensor] = []
        self.factors = maps.envelope.reciprocal()
        self.overlap = -(-framing.n_fft // framing.hop_length) - 1
        self.sums = goal.new_empty(rows, count + self.overlap, framing.hop_length)
        self.frames = goal.new_empty(rows, size, framing.n_fft)
        self.target = torch.empty_like(first[:, :size])
        self.squares = goal.new_empty(rows, size, bins, 2)
        self.gain = torch.empty_like(goal[:, :size])

    def audio(self) -> Tensor:
        """Give the audio of the estimates."""
        framing = self.maps.plan.framing
        self.sums.zero_()
        for index, block in enumerate(self.estimates):
            frames = torch.fft.irfft(block, framing.n_fft).mul_(self.maps.window)
            begin = index * self.size
            add_frames(self.sums[:, begin : begin + frames.shape[1] + self.overlap], frames)
        start = framing.margin
        audio = self.sums.flatten(1)[:, start : start + len(self.factors)] * self.factors
        return pad(audio, (0, self.maps.length - len(self.factors)))

    def iterate(self, weight: float) -> None:
        """Improve the estimates, in place."""
        framing = self.maps.plan.framing
        padded, _ = self.maps.plan.rows(self.audio())
        frames = padded.unfold(1, framing.n_fft, framing.hop_length)[:, : self.maps.count]
        previous, self.rebuilt = self.rebuilt, []
        for index, block in enumerate(torch.split(frames, self.size, 1)):
            weighted = torch.mul(block, self.maps.window, out=self.frames[:, : block.shape[1]])
            target = torch.fft.rfft(weighted)
            self.rebuilt.append(target)
            if previous and weight:
                out = self.target[:, : block.shape[1]]
                target = torch.sub(target, previous[index], alpha=weight, out=out)
            self._return(target, self.goals[index], self.estimates[index])

    def _return(self, target: Tensor, goal: Tensor, out: Tensor) -> None:
        """Write what has the phases of the target and the magnitudes wanted; zeros stay zero."""
        count = target.shape[1]
        parts = torch.view_as_real(target)
        real, imaginary = torch.mul(parts, parts, out=self.squares[:, :count]).unbind(-1)
        gain = torch.add(real, imaginary, out=self.gain[:, :count])
        gain.add_(torch.finfo(goal.dtype).tiny).rsqrt_().mul_(goal)
        torch.mul(target, gain, out=out)


def _frames_at_once(maps: Maps) -> int:
    return max(1, _BLOCK_SAMPLES // maps.plan.framing.n_fft)


def _convergence(rebuilt: Sequence[Tensor], goal: Sequence[Tensor]) -> float:
    """Give the relative error of the magnitudes."""
    pairs = zip(rebuilt, goal, strict=True)
    error = sum(float((magnitude(z) - wanted).square().sum()) for z, wanted in pairs)
    norm = sum(float(wanted.square().sum()) for wanted in goal)
    return math.sqrt(error / norm) if norm else 0.0
