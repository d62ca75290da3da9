"""Random excerpts of a folder of stems, made on the fly."""

import math
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Unpack

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from unweave.datasets.cutting import Cutter
from unweave.datasets.drawing import Place, Places, Signals
from unweave.datasets.layouts import MIXTURE
from unweave.datasets.options import Augment, FolderOptions, FolderWords, whole_number
from unweave.datasets.passes import Passes
from unweave.datasets.pcm import Decoded
from unweave.datasets.signals import (
    RESIDUAL,
    all_sources,
    decode_tracks,
    limit_tracks,
    need_only,
    settle_shape,
)
from unweave.datasets.splitting import split_tracks
from unweave.datasets.tracks import scan_dataset
from unweave.errors import ParameterError

_LONGEST = 600.0  # seconds; beyond, the unit was surely mistaken


class AudioFolder(IterableDataset[tuple[Tensor, Tensor]]):
    """Draw random excerpts of the tracks of a folder, pairs of a mixture and its targets.

    The folder may hold a folder for each track, a folder for each source, or MUSDB18's stem.mp4
    files; see `scan_dataset`. All signals are decoded once, to int16 in a cache folder, and
    memory-mapped. The mixture is the track's own file; the sum of all stems where there is none,
    and wherever `remix` or `augment` change the stems. Then what stems such as lone vocals leave of
    their mixture counts as one more stem, "residual".

    Excerpt `i` of epoch `e` depends on `seed`, `e` and `i` alone. Workers of a `DataLoader` and
    ranks of `torch.distributed` share the indices out, so no two make the same excerpt. Each pass
    is a new epoch, except in the subsets "val" and "test" and after `split`, where all passes are
    alike. A track shorter than an excerpt is followed by silence.

    Args:
        dataset_path: The folder.
        targets: Stems to give, in this order; ["vocals"] if not given.
        sample_length: Of an excerpt, in seconds.
        subset: "train", "val" or "test".
        audio_format: The only file format that is allowed, such as "wav"; None allows all.
        sample_rate: In Hz; None takes that of the files, which must be the same for all.
        num_channels: 1 gives the mean of the files' channels, 2 repeats those of mono files; None
            takes that of the files, which must be the same for all.
        **options: Those of `FolderOptions`: seed, samples_per_epoch, max_num_tracks, active, remix,
            augment, resample, missing, layout, cache_dir, progress.

    Attributes:
        targets: Names of the targets.
        sources: Names of all stems of the data set, targets first.
        sample_rate: In Hz.
        num_channels: Of every signal.
        length: Of an excerpt, in samples.
        tracks: The signals by track.
        options: All other options.

    Raises:
        DatasetError: The data set is missing, empty, lacks a stem, or holds a file that is foreign,
            damaged, or of another rate or channel number; the text names it.
        ParameterError: An argument is out of range.

    Shape:
        yields (channels, length) and (targets, channels, length), float32

    Example:
        >>> from unweave import audio
        >>> for stem in ("vocals", "drums"):
        ...     Path("music/song").mkdir(parents=True, exist_ok=True)
        ...     audio.write(f"music/song/{stem}.wav", torch.rand(2, 16000) - 0.5, 8000)
        >>> folder = AudioFolder("music", ["vocals"], sample_length=0.5, cache_dir="cache")
        >>> mixture, targets = next(iter(folder))
        >>> mixture.shape, targets.shape
        (torch.Size([2, 4000]), torch.Size([1, 2, 4000]))
    """

    def __init__(
        self,
        dataset_path: str | Path,
        targets: Sequence[str] | None = None,
        sample_length: float = 3.0,
        subset: str = "train",
        audio_format: str | None = None,
        sample_rate: int | None = None,
        num_channels: int | None = None,
        **options: Unpack[FolderWords],
    ) -> None:
        self.options = FolderOptions.of(options)
        self.targets = check_targets(targets)
        tracks = scan_dataset(
            dataset_path,
            subset=subset,
            targets=self.targets,
            layout=self.options.layout,
            audio_format=audio_format,
            missing=self.options.missing,
        )
        self.lone = all(len(track.parts) == 1 for track in tracks)
        self.sources = all_sources(tracks, self.targets)
        limit = self.options.max_num_tracks
        tracks = limit_tracks(tracks, None if limit is None else int(limit), self.lone)
        tracks = [need_only(track, self.targets, self._sums) for track in tracks]
        shape = settle_shape(tracks, sample_rate, num_channels, self.options.resample)
        self.sample_rate, self.num_channels = shape.sample_rate, shape.channels
        self.length = check_length("sample_length", sample_length, self.sample_rate)
        self._total = _total(self.options.samples_per_epoch)
        self._passes = Passes(fixed=subset != "train")
        self._cutter = Cutter(self.num_channels)
        if self._sums and any(track.mixture is not None for track in tracks):
            self.sources.append(RESIDUAL)
        self._use(decode_tracks(tracks, shape, self.options, whole=self._sums))
        self.options = replace(self.options, progress=None)  # which workers could not be sent

    @property
    def _sums(self) -> bool:
        """Whether mixtures are always sums of stems."""
        return self.options.augment is not None or self.options.remix > 0 or self.lone

    def _use(self, tracks: list[Signals]) -> None:
        self.tracks = tracks
        self._places = Places(tracks, self.sources, len(self.targets), self.sample_rate)

    def __len__(self) -> int:
        """Give the number of excerpts of a pass of this rank."""
        if self._total is None:
            raise TypeError("this AudioFolder never ends: samples_per_epoch gives it a length")
        return self._total // self._passes.ranks[1]

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Begin a pass: from now on its number is settled."""
        epoch, share = self._passes.begin()
        return (self.excerpt(index, epoch=epoch) for index in share.indices(self._total))

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch the next pass is, for a training that is resumed.

        It reaches workers that are already running. Without it the passes count themselves.

        Args:
            epoch: The number, from 0.

        Example:
            >>> from unweave import audio
            >>> Path("drums").mkdir()
            >>> audio.write("drums/hit.wav", torch.rand(1, 800), 8000)
            >>> folder = AudioFolder(".", ["drums"], sample_length=0.05, cache_dir=".cache")
            >>> folder.set_epoch(3)
            >>> bool((next(iter(folder))[0] == folder.excerpt(0, epoch=3)[0]).all())
            True
        """
        self._passes.set_epoch(epoch)

    def excerpt(self, index: int, *, epoch: int = 0) -> tuple[Tensor, Tensor]:
        """Make one excerpt; the same for the same arguments, wherever it is made.

        Args:
            index: Of the excerpt in its epoch.
            epoch: Number of the epoch.

        Returns:
            The mixture and the targets.

        Shape:
            (channels, length) and (targets, channels, length)

        Example:
            >>> from unweave import audio
            >>> Path("vocals").mkdir()
            >>> audio.write("vocals/take.wav", torch.rand(1, 800), 8000)
            >>> folder = AudioFolder(".", sample_length=0.05, cache_dir=".cache")
            >>> folder.excerpt(7)[1].shape
            torch.Size([1, 1, 400])
        """
        rng = np.random.Generator(np.random.Philox([self.options.seed, epoch, index]))
        augment, active = self.options.augment, self.options.active
        context = 1.0 if augment is None else float(getattr(augment, "context", 1.0))
        length = math.ceil(self.length * context)
        if self.lone or rng.random() < self.options.remix:
            each = range(len(self.sources))
            places = [self._places.alone(rng, source, length, active) for source in each]
        else:
            place = self._places.together(rng, length, active)
            mixture = self.tracks[place.track].mixture
            if mixture is not None:
                return self._as_recorded(mixture, place, self.length)
            places = [place] * len(self.sources)
        signals = [
            self.tracks[place.track].stems.get(name)
            for name, place in zip(self.sources, places, strict=True)
        ]
        starts = [place.start for place in places]
        if augment is None:
            return self._cutter.mix(signals, starts, length, len(self.targets))
        stems = self._cutter.stack(signals, starts, length)
        return self._augmented(augment, stems, int(rng.integers(1 << 62)))

    def whole(self, index: int) -> tuple[Tensor, Tensor]:
        """Give a whole track, as it is.

        Args:
            index: Of the track in `tracks`.

        Returns:
            The mixture and the targets.

        Shape:
            (channels, time) and (targets, channels, time)

        Example:
            >>> from unweave import audio
            >>> Path("song").mkdir()
            >>> audio.write("song/vocals.wav", torch.rand(1, 800), 8000)
            >>> AudioFolder("song", sample_length=0.05, cache_dir=".cache").whole(0)[0].shape
            torch.Size([1, 800])
        """
        track = self.tracks[index]
        if track.mixture is not None:
            return self._as_recorded(track.mixture, Place(index, 0), track.frames)
        signals = [track.stems.get(name) for name in self.sources]
        return self._cutter.mix(signals, [0] * len(signals), track.frames, len(self.targets))

    def _augmented(self, augment: Augment, stems: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        changed = augment(stems, torch.Generator().manual_seed(seed))
        if changed.shape[-1] < self.length:
            raise ParameterError(
                f"augment={augment!r} gave {changed.shape[-1]} samples of {stems.shape[-1]}, fewer"
                f" than the {self.length} of an excerpt: it must say so by its `context`"
            )
        changed = changed[..., : self.length]
        return changed.sum(0), changed[: len(self.targets)]

    def _as_recorded(self, mixture: Decoded, place: Place, length: int) -> tuple[Tensor, Tensor]:
        stems = self.tracks[place.track].stems
        signals = [mixture, *(stems.get(name) for name in self.targets)]
        both = self._cutter.stack(signals, [place.start] * len(signals), length)
        return both[0], both[1:]

    def split(self, fraction: float = 0.2, *, samples: float | None = None) -> "AudioFolder":
        """Move some of the tracks into a folder of their own, for validation.

        MUSDB18's training set gives its 14 standard validation tracks, whatever the fraction. Else
        tracks are drawn by the seed; of a folder per source, files of every source.

        Args:
            fraction: Share of the tracks to take; at least one is taken and one is left.
            samples: Excerpts in one pass; None is as many as the tracks are long.

        Returns:
            A folder with the tracks that this one has lost. Its excerpts are the same in every
            pass; they are neither remixed nor augmented.

        Raises:
            DatasetError: There are too few tracks.
            ParameterError: `fraction` is not between 0 and 1.

        Example:
            >>> from unweave import audio
            >>> for song in "abcde":
            ...     Path(song).mkdir()
            ...     audio.write(f"{song}/vocals.wav", torch.rand(1, 800), 8000)
            >>> train = AudioFolder(".", sample_length=0.05, cache_dir=".cache")
            >>> validation = train.split(0.2)
            >>> len(train.tracks), len(validation.tracks), len(validation)
            (4, 1, 2)
        """
        kept, taken = split_tracks(self.tracks, fraction, seed=self.options.seed, lone=self.lone)
        other = copy(self)
        other.options = replace(self.options, augment=None, remix=0.0)
        other._passes = Passes(fixed=True)
        frames = sum(track.frames for track in taken)
        other._total = max(1, frames // self.length) if samples is None else _total(samples)
        other._use(taken)
        self._use(kept)
        return other


def check_targets(targets: Sequence[str] | None) -> list[str]:
    """Return the names of the targets, or raise unless they are different names.

    Args:
        targets: What the caller gave; None is ["vocals"].

    Raises:
        ParameterError: There are none, or one is named twice.

    Example:
        >>> check_targets(None)
        ['vocals']
    """
    names = ["vocals"] if targets is None else [targets] if isinstance(targets, str) else targets
    if not names or len(set(names)) != len(names) or not all(isinstance(n, str) for n in names):
        raise ParameterError(f"targets={targets!r} must be different names of stems")
    if MIXTURE in names:
        raise ParameterError(f"targets={names} may not hold {MIXTURE!r}, which is given anyway")
    return list(names)


def check_length(name: str, seconds: float, sample_rate: int) -> int:
    """Return a length in samples, or raise unless it is sensible.

    Args:
        name: Of the argument, for the error.
        seconds: What the caller gave.
        sample_rate: In Hz.

    Raises:
        ParameterError: It is less than a sample or more than ten minutes.

    Example:
        >>> check_length("chunk_size", 0.5, 44100)
        22050
    """
    fits = isinstance(seconds, int | float) and seconds * sample_rate >= 1
    if not fits or seconds > _LONGEST:
        raise ParameterError(f"{name}={seconds!r} must be seconds, up to {_LONGEST:.0f}")
    return round(seconds * sample_rate)


def _total(samples: float | None) -> int | None:
    return None if samples is None else whole_number("samples_per_epoch", samples)
