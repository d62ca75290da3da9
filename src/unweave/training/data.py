"""Batches of a data set, the same ones whatever the number of workers, processes and pauses.

Excerpt i of epoch e is a function of the seed, e and i. Batch k of process r of w holds the
excerpts r + w (k b + j), j = 0 ... b - 1: all processes together see what one process would with
batches of w b.
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from unweave.datasets import (
    AudioFolder,
    ChannelSwap,
    Compose,
    Equaliser,
    Gain,
    Limiter,
    Polarity,
    Repitch,
)
from unweave.datasets.drawing import Signals
from unweave.datasets.options import Augment
from unweave.datasets.pcm import Decoded
from unweave.errors import DatasetError
from unweave.training.config import Config

Excerpt = tuple[Tensor, Tensor]
Key = tuple[int, int]
_LOSS_SETTINGS = (
    "criterion",
    "construction_loss",
    "alpha_constant",
    "beta_constant",
    "kl_weight",
    "stft_weight",
)


class _Excerpts(Dataset[Excerpt]):
    """Give excerpts by epoch and index.

    Args:
        folder: That makes them.
    """

    def __init__(self, folder: AudioFolder) -> None:
        self._folder = folder

    def __getitem__(self, key: Key) -> Excerpt:
        epoch, index = key
        return self._folder.excerpt(index, epoch=epoch)


@dataclass
class _Turns(Sampler[list[Key]]):
    """Say which excerpts make the batches of this process.

    Attributes:
        batch: Excerpts of a batch.
        total: Excerpts of an epoch over all processes.
        process: Gives the number of this process, and that of all.
        epoch: Number of the epoch.
    """

    batch: int
    total: int
    process: Callable[[], tuple[int, int]]
    epoch: int = 0

    def __len__(self) -> int:
        return -(-self._own // self.batch)

    @property
    def _own(self) -> int:
        """Excerpts of this process; all have the same number."""
        return -(-self.total // self.process()[1])

    def __iter__(self) -> Iterator[list[Key]]:
        rank, world = self.process()
        for first in range(0, self._own, self.batch):
            places = range(first, min(first + self.batch, self._own))
            yield [(self.epoch, rank + world * place) for place in places]


class Batches:
    """Batches of one epoch after the other, and how long they were waited for.

    Args:
        dataset: Gives an excerpt for (epoch, index).
        turns: Say which.
        options: More arguments of `DataLoader`.

    Attributes:
        epoch: Asked for the number of the epoch that begins.
        waited: Seconds in which no batch was ready.
        taken: Batches given.
    """

    def __init__(self, dataset: Dataset[Excerpt], turns: _Turns, options: dict[str, Any]) -> None:
        self._turns = turns
        self._loader: DataLoader[Excerpt] | None = DataLoader(
            dataset, batch_sampler=turns, **options
        )
        self.epoch: Callable[[], int] = int
        self.waited, self.taken = 0.0, 0

    def __len__(self) -> int:
        """Give the number of batches of an epoch."""
        return len(self._turns)

    def __iter__(self) -> Iterator[Excerpt]:
        """Begin an epoch."""
        assert self._loader is not None
        self._turns.epoch = self.epoch()
        batches = iter(self._loader)
        while True:
            begin = time.perf_counter()
            batch = next(batches, None)
            self.waited += time.perf_counter() - begin
            if batch is None:
                return
            self.taken += 1
            yield batch[0], batch[1]

    def close(self) -> None:
        """Let the processes that load data go, now rather than when memory is tidied up."""
        self._loader = None


def augmentation_of(config: Config) -> Compose | None:
    """Give the changes of stems that a configuration asks for.

    Args:
        config: `dataset_params` are taken from it.

    Returns:
        One after the other, those left out whose probability is 0; None if there are none.
    """
    data = config.dataset_params
    low, high = data.gain_range
    stages: list[tuple[float, Augment]] = [
        (data.repitch, Repitch(data.repitch_semitones, p=data.repitch)),
        (float(low != 1 or high != 1), Gain(low, high)),
        (data.channel_swap * (data.num_channels > 1), ChannelSwap(data.channel_swap)),
        (data.polarity, Polarity(data.polarity)),
        (data.equalizer, Equaliser(data.sample_rate, p=data.equalizer)),
        (data.limiter, Limiter(data.sample_rate, p=data.limiter)),
    ]
    wanted = [stage for probability, stage in stages if probability]
    return Compose(*wanted) if wanted else None


class Data:
    """What a model is trained and validated on.

    Args:
        config: `dataset_params` and `training_params` are taken from it.
        progress: Called with the number of signals decoded so far and that of all.

    Attributes:
        train: Excerpts to learn from.
        validation: Excerpts of other tracks, or None.

    Raises:
        DatasetError: The data set is broken, or lacks a target.
    """

    def __init__(
        self, config: Config, *, progress: Callable[[int, int], object] | None = None
    ) -> None:
        self._config = config
        data = config.dataset_params
        path = Path(data.dataset_path or "")
        more: dict[str, Any] = {}
        if data.augment:
            more = {"augment": augmentation_of(config), "remix": data.random_mixing}
        self.train = self._folder(path, "train", progress, **more)
        self.validation = self._validation(path, progress)
        _require_sound(self.train, path)
        for folder in (self.train, self.validation):
            # Workers that are not forked are sent the folder; a listener cannot be sent
            if folder is not None:
                folder.options = replace(folder.options, progress=None)

    def _folder(
        self,
        path: Path,
        subset: str,
        progress: Callable[[int, int], object] | None,
        **more: Any,
    ) -> AudioFolder:
        data, training = self._config.dataset_params, self._config.training_params

        def told(done: int, total: int) -> None:
            if progress is not None:
                progress(done, total)

        return AudioFolder(
            path,
            data.targets,
            sample_length=data.sample_length,
            subset=subset,
            sample_rate=data.sample_rate,
            num_channels=data.num_channels,
            seed=training.seed,
            max_num_tracks=data.max_num_tracks,
            active=1 - data.silent_share,
            resample=True,  # the configuration names the rate
            missing=data.missing,
            layout=data.layout,
            cache_dir=data.cache_dir,
            progress=told,
            **more,
        )

    def _validation(
        self, path: Path, progress: Callable[[int, int], object] | None
    ) -> AudioFolder | None:
        data = self._config.dataset_params
        if any((path / name).is_dir() for name in ("val", "valid", "validation")):
            return self._folder(path, "val", progress)
        if not data.validation_split:
            return None
        try:
            return self.train.split(data.validation_split)
        except DatasetError as error:
            raise DatasetError(
                f"{str(path)!r}: {error} (--validation-split 0 trains without)"
            ) from error

    def loaders(
        self, process: Callable[[], tuple[int, int]], *, pin: bool
    ) -> tuple[Batches, Batches | None]:
        """Give the batches of training and, where there is any, of validation.

        Args:
            process: Gives the number of this process, and that of all.
            pin: Whether to load into page-locked memory.

        Returns:
            Both.
        """
        training, data = self._config.training_params, self._config.dataset_params
        # More processes than cores only wait for each other, and torch warns of them
        workers = min(training.num_workers, os.cpu_count() or 1)
        options: dict[str, Any] = {
            "num_workers": workers,
            "pin_memory": pin and training.pin_memory,
        }
        if workers:
            options["prefetch_factor"] = training.pre_fetch
            options["persistent_workers"] = training.persistent_workers
        size = training.batch_size
        whole = size * process()[1]  # the last batch is as large as all others
        total = -(-data.max_num_samples // whole) * whole
        train = Batches(_Excerpts(self.train), _Turns(size, total, process), options)
        if self.validation is None:
            return train, None
        turns = _Turns(size, self.validation_count, process)
        return train, Batches(_Excerpts(self.validation), turns, options)

    @property
    def validation_count(self) -> int:
        """Excerpts of a validation: as many as the tracks are long, within the setting."""
        if self.validation is None:
            return 0
        frames = sum(track.frames for track in self.validation.tracks)
        natural = max(1, frames // self.validation.length)
        return min(natural, self._config.dataset_params.max_validation_samples)

    @property
    def yardstick(self) -> str:
        """A digest of what losses depend on but the network: only those of one can be compared."""
        training, data = self._config.training_params, self._config.dataset_params
        folder = self.train if self.validation is None else self.validation
        what = [getattr(training, name) for name in _LOSS_SETTINGS]
        what += [data.targets, data.sample_length, [track.name for track in folder.tracks]]
        return hashlib.sha256(json.dumps(what).encode()).hexdigest()

    def excerpts(self, number: int) -> list[Excerpt]:
        """Give the first excerpts of the validation, or of the training if there is none.

        Args:
            number: How many.

        Returns:
            Mixtures and sources.
        """
        folder = self.train if self.validation is None else self.validation
        return [folder.excerpt(index) for index in range(number)]

    def songs(self) -> Iterator[tuple[str, Tensor, Tensor]]:
        """Give the validation tracks whole; excerpts where each file is of one source only.

        Yields:
            Name, mixture (channels, time) and sources (sources, channels, time).
        """
        folder = self.validation
        if folder is None:
            return
        if folder.lone:
            for index in range(min(self.validation_count, 20)):
                yield (f"excerpt {index + 1}", *folder.excerpt(index))
            return
        for track in folder.tracks:
            yield (track.name, *_whole(track, folder))


def _require_sound(folder: AudioFolder, path: Path) -> None:
    """Raise for a target that there is nothing to learn of."""
    for name in folder.targets:
        found = [track.stems[name] for track in folder.tracks if name in track.stems]
        if not any(any(stem.levels) for stem in found):
            raise DatasetError(
                f"{str(path)!r}: {name!r} is silent in all {len(folder.tracks)} tracks to train on:"
                " there is nothing to learn of it, leave it out of targets (--targets)"
            )


def _whole(track: Signals, folder: AudioFolder) -> Excerpt:
    def read(signal: Decoded | None) -> Tensor:
        if signal is None:
            return torch.zeros(folder.num_channels, track.frames)
        samples = torch.from_numpy(signal.open())[:, : track.frames]
        return samples.float() * signal.scale

    stems = [read(track.stems.get(name)) for name in folder.targets]
    if track.mixture is not None:
        return read(track.mixture), torch.stack(stems)
    others = [read(one) for name, one in track.stems.items() if name not in folder.targets]
    return torch.stack([*stems, *others]).sum(0), torch.stack(stems)
