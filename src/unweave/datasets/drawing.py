"""Decides where excerpts are cut: mostly where a target sounds, sometimes anywhere.

The levels of a stem, second by second, say where it sounds: within 35 dB of its own loud places and
60 dB of those of its track, whatever the level of the recording.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unweave.datasets.pcm import Decoded

Ints = npt.NDArray[np.int64]

_BELOW_OWN = 10 ** (-35 / 20)
_BELOW_TRACK = 10 ** (-60 / 20)
_LOUD = 95  # percentile: single loud seconds do not set the scale
_ALL = -1  # in place of a source: all tracks
_LEAST = 1e-4  # -80 dB of full scale, the noise of 16 bits, is never taken for sound


@dataclass(frozen=True, slots=True)
class Signals:
    """The decoded signals of a track.

    Attributes:
        name: Of the track.
        stems: By source; sources that are silent throughout the track are left out.
        mixture: None if it is the sum of the stems.
        frames: Samples that all of them have.
    """

    name: str
    stems: Mapping[str, Decoded]
    mixture: Decoded | None
    frames: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where an excerpt is cut.

    Attributes:
        track: Index of the track.
        start: First sample.
    """

    track: int
    start: int


def active_seconds(levels: Sequence[float], loudest: float) -> Ints:
    """Give the seconds in which a stem sounds.

    Args:
        levels: Its root mean square, second by second.
        loudest: Loud level of the loudest stem of the same track, 0 if it stands alone.

    Returns:
        Indices of seconds.

    Shape:
        levels: (seconds,)
        returns: (active,)

    Example:
        >>> active_seconds([0.1, 0.0, 0.05, 0.0001], loudest=0.2)
        array([0, 2])
    """
    values = np.asarray(levels)
    least = max(_BELOW_OWN * loud_level(levels), _BELOW_TRACK * loudest, _LEAST)
    return np.flatnonzero(values >= least)


def loud_level(levels: Sequence[float]) -> float:
    """Give the level of a stem's loud places.

    Args:
        levels: Its root mean square, second by second.

    Returns:
        The 95th percentile.

    Example:
        >>> loud_level([0.0, 0.5])
        0.475
    """
    return float(np.percentile(levels, _LOUD)) if len(levels) else 0.0


class Places:
    """The places to choose from.

    Args:
        tracks: The tracks.
        sources: All sources of which excerpts are made, targets first.
        targets: How many of them are targets.
        sample_rate: In Hz.
    """

    def __init__(
        self, tracks: Sequence[Signals], sources: Sequence[str], targets: int, sample_rate: int
    ) -> None:
        self._frames = np.array([track.frames for track in tracks], np.int64)
        self._rate, self._targets = sample_rate, targets
        self._whole = np.arange(len(tracks))
        self._ends: dict[tuple[int, int], Ints] = {}
        self._having = [
            np.flatnonzero([source in track.stems for track in tracks]) for source in sources
        ]
        self._active = [_all_active(tracks, source, sample_rate) for source in sources]

    def together(self, rng: np.random.Generator, length: int, active: float) -> Place:
        """Draw one place for all stems.

        Args:
            rng: Draws.
            length: Samples of the excerpt.
            active: Probability that a target, drawn by lot, surely sounds.
        """
        lively = rng.random() < active
        target = int(rng.integers(self._targets))
        if lively and len(self._active[target]):
            return self._sounding(rng, target, length)
        return self._anywhere(rng, _ALL, length)

    def alone(self, rng: np.random.Generator, source: int, length: int, active: float) -> Place:
        """Draw a place for one stem.

        Args:
            rng: Draws.
            source: Index of the source.
            length: Samples of the excerpt.
            active: Probability that it surely sounds.
        """
        if rng.random() < active and len(self._active[source]):
            return self._sounding(rng, source, length)
        if not len(self._having[source]):
            return Place(0, 0)  # no track has it: silence, as in the first
        return self._anywhere(rng, source, length)

    def many(self, rng: np.random.Generator, length: int, count: int) -> tuple[Ints, Ints]:
        """Draw many places at once, each where a target sounds.

        Args:
            rng: Draws.
            length: Samples of each excerpt.
            count: How many.

        Returns:
            Their tracks and first samples; none where no target ever sounds.

        Shape:
            (count,) each
        """
        sounding = [active for active in self._active[: self._targets] if len(active)]
        if not sounding:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        lot = rng.integers(len(sounding), size=count)
        picks = [active[rng.integers(len(active), size=count)] for active in sounding]
        track, second = np.stack(picks)[lot, np.arange(count)].T
        low, high = self._around(track, second, length)
        return track, rng.integers(low, high + 1)

    def _sounding(self, rng: np.random.Generator, source: int, length: int) -> Place:
        """Lay the excerpt so that it meets a sounding second somewhere within."""
        track, second = self._active[source][rng.integers(len(self._active[source]))]
        low, high = self._around(track, second, length)
        return Place(int(track), int(rng.integers(low, high + 1)))

    def _around(self, track: Ints, second: Ints, length: int) -> tuple[Ints, Ints]:
        """Give the first and the last start of excerpts that hold the middle of a second."""
        frames = self._frames[track]
        middle = np.minimum(second * self._rate + self._rate // 2, frames - 1)
        low = np.maximum(0, middle - length + 1)
        # where the track is shorter than the excerpt, only its beginning is left
        return low, np.maximum(low, np.minimum(middle, frames - length))

    def _anywhere(self, rng: np.random.Generator, source: int, length: int) -> Place:
        """Draw from all moments of all tracks that have the source alike."""
        among = self._whole if source == _ALL else self._having[source]
        ends = self._ends.get((source, length))
        if ends is None:
            ends = np.cumsum(np.maximum(self._frames[among] - length, 0) + 1)
            self._ends[source, length] = ends
        moment = int(rng.integers(ends[-1]))
        index = int(np.searchsorted(ends, moment, side="right"))
        return Place(int(among[index]), moment - int(ends[index - 1] if index else 0))


def _all_active(tracks: Sequence[Signals], source: str, sample_rate: int) -> Ints:
    """List the (track, second) in which a source sounds."""
    found = [np.empty((0, 2), np.int64)]
    for index, track in enumerate(tracks):
        if source not in track.stems:
            continue
        loudest = max(loud_level(stem.levels) for stem in track.stems.values())
        seconds = active_seconds(track.stems[source].levels, loudest)
        seconds = seconds[seconds * sample_rate < track.frames]
        found.append(np.stack([np.full_like(seconds, index), seconds], axis=1))
    return np.concatenate(found)
