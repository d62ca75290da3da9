"""A fixed number of chunks of whole tracks, drawn beforehand."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict, Unpack

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset

from unweave.datasets.cutting import Cutter
from unweave.datasets.drawing import Places
from unweave.datasets.folder import check_length, check_targets
from unweave.datasets.options import FolderOptions, require_known, whole_number
from unweave.datasets.pcm import Progress
from unweave.datasets.signals import (
    all_sources,
    decode_tracks,
    need_only,
    settle_shape,
)
from unweave.datasets.tracks import Track, scan_dataset
from unweave.errors import DatasetError


class ChunkWords(TypedDict, total=False):
    """Further words of `AudioDataset`, explained there."""

    mono: bool
    seed: int
    cache_dir: str | os.PathLike[str] | None
    progress: Progress | None


class FileWords(ChunkWords, total=False):
    """Further words of `create_audio_dataset`, explained there."""

    layout: str
    missing: str


class AudioDataset(Dataset[tuple[Tensor, Tensor]]):
    """Hold chunks of tracks, drawn once by a seed, each of which has something to separate.

    In every chunk a target sounds, measured against its own loud places, so that quiet recordings
    are not taken for silence. Chunks may overlap, as they must where many are drawn of few tracks.
    Signals are decoded once and memory-mapped; only what is used is in memory.

    Args:
        dataset: The tracks, as `scan_dataset` gives them.
        targets: Stems to give, in this order.
        chunk_size: Length of a chunk in seconds.
        num_chunks: How many are drawn; may be written as 1e5.
        sample_rate: In Hz; files at another rate are resampled. None takes that of the files.
        **options: mono (False; True gives the mean of the channels), seed (0), cache_dir (None is
            the user's cache folder), progress (called with the number of signals decoded so far and
            that of all).

    Attributes:
        targets: Names of the targets.
        sample_rate: In Hz.
        length: Of a chunk, in samples.

    Raises:
        DatasetError: There are no tracks, no target ever sounds, or files do not fit.
        ParameterError: An argument is out of range.

    Shape:
        items are (channels, length) and (targets, channels, length), float32

    Example:
        >>> import torch
        >>> from unweave import audio
        >>> Path("song").mkdir()
        >>> audio.write("song/vocals.wav", torch.rand(2, 16000) - 0.5, 8000)
        >>> chunks = AudioDataset(
        ...     scan_dataset("song"), ["vocals"], 0.25, num_chunks=8, cache_dir="cache"
        ... )
        >>> len(chunks), chunks[7][0].shape
        (8, torch.Size([2, 2000]))
    """

    def __init__(
        self,
        dataset: Sequence[Track],
        targets: Sequence[str],
        chunk_size: float = 1,
        num_chunks: float = 1e6,
        sample_rate: int | None = None,
        **options: Unpack[ChunkWords],
    ) -> None:
        self.targets = check_targets(targets)
        count = whole_number("num_chunks", num_chunks)
        if not dataset:
            raise DatasetError("there are no tracks: scan_dataset finds them")
        require_known(options, ChunkWords.__annotations__)
        channels = 1 if options.get("mono", False) else None
        settings = FolderOptions(
            seed=options.get("seed", 0),
            cache_dir=options.get("cache_dir"),
            progress=options.get("progress"),
            resample=sample_rate is not None,
        )
        tracks = [need_only(track, self.targets, False) for track in dataset]
        shape = settle_shape(tracks, sample_rate, channels, settings.resample)
        self.sample_rate = shape.sample_rate
        self.length = check_length("chunk_size", chunk_size, self.sample_rate)
        self._sources = all_sources(tracks, self.targets)
        self._tracks = decode_tracks(tracks, shape, settings)
        self._cutter = Cutter(shape.channels)
        places = Places(self._tracks, self._sources, len(self.targets), self.sample_rate)
        rng = np.random.default_rng(settings.seed)
        self._track, self._start = places.many(rng, self.length, count)
        if not len(self._track):
            raise DatasetError(f"the targets {', '.join(self.targets)} are silent in all tracks")

    def __len__(self) -> int:
        """Give the number of chunks."""
        return len(self._track)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Give a chunk: the mixture and the targets."""
        track, start = self._tracks[int(self._track[index])], int(self._start[index])
        if track.mixture is None:
            signals = [track.stems.get(name) for name in self._sources]
            starts = [start] * len(signals)
            return self._cutter.mix(signals, starts, self.length, len(self.targets))
        signals = [track.mixture, *(track.stems.get(name) for name in self.targets)]
        both = self._cutter.stack(signals, [start] * len(signals), self.length)
        return both[0], both[1:]


def create_audio_dataset(
    dataset_path: str | Path,
    targets: Sequence[str],
    split: str = "train",
    chunk_size: float = 1,
    num_chunks: float = 1e6,
    max_num_tracks: int | None = None,
    sample_rate: int | None = None,
    **options: Unpack[FileWords],
) -> AudioDataset:
    """Draw chunks of the tracks of a folder.

    Args:
        dataset_path: The folder, with a folder for each track, or MUSDB18's stem.mp4 files.
        targets: Stems to give, in this order.
        split: "train", "val" or "test".
        chunk_size: Length of a chunk in seconds.
        num_chunks: How many are drawn; may be written as 1e5.
        max_num_tracks: Use only the first so many tracks.
        sample_rate: In Hz; files at another rate are resampled. None takes that of the files.
        **options: mono (True gives the mean of the channels, False all of them), seed (0),
            cache_dir and progress as in `AudioDataset`, layout and missing as in `scan_dataset`.

    Returns:
        The chunks.

    Raises:
        DatasetError: The data set is missing, empty, lacks a stem, or holds a foreign or damaged
            file; the text names it.
        ParameterError: An argument is out of range.

    Example:
        >>> import torch
        >>> from unweave import audio
        >>> Path("music/song").mkdir(parents=True)
        >>> audio.write("music/song/vocals.wav", torch.rand(2, 16000) - 0.5, 8000)
        >>> chunks = create_audio_dataset("music", ["vocals"], num_chunks=1e2, cache_dir="cache")
        >>> mix_audio, target_audio = next(iter(chunks))
        >>> len(chunks), mix_audio.shape
        (100, torch.Size([1, 8000]))
    """
    require_known(options, FileWords.__annotations__)
    limit = None if max_num_tracks is None else whole_number("max_num_tracks", max_num_tracks)
    names = check_targets(targets)
    tracks = scan_dataset(
        dataset_path,
        subset=split,
        targets=names,
        layout=options.get("layout", "auto"),
        missing=options.get("missing", "error"),
    )
    if all(len(track.parts) == 1 for track in tracks) and len(names) > 1:
        raise DatasetError(
            f"{str(dataset_path)!r} holds a folder for each source: chunks are cut out of whole"
            " tracks; AudioFolder mixes sources"
        )
    more = ChunkWords(
        mono=options.get("mono", True),
        seed=options.get("seed", 0),
        cache_dir=options.get("cache_dir"),
        progress=options.get("progress"),
    )
    return AudioDataset(tracks[:limit], names, chunk_size, num_chunks, sample_rate, **more)
