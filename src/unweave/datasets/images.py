"""Random excerpts of a folder of spectrogram images, as `unweave encode` makes them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict, Unpack, cast

import torch
from torch import Tensor

from unweave._core.checks import non_negative
from unweave.codec.bandwidth import FILLS
from unweave.codec.folders import IMAGE_SUFFIXES
from unweave.datasets.drawing import Place
from unweave.datasets.folder import AudioFolder, check_length, check_targets
from unweave.datasets.imagefiles import ImageReader, open_tracks, probe, require_alike
from unweave.datasets.layouts import MIXTURE, Listing, Part, list_dataset
from unweave.datasets.options import FolderOptions, require_known, whole_number
from unweave.datasets.passes import Passes
from unweave.datasets.pcm import Decoded, Progress
from unweave.errors import DatasetError, ParameterError

_MEGABYTE = 1_000_000


class ImageWords(TypedDict, total=False):
    """The words beyond those that say what lies where."""

    seed: int
    samples_per_epoch: float | None
    max_num_tracks: int | None
    active: float
    missing: str
    cache_dir: str | Path | None
    progress: Progress | None
    fill: str
    memory: float


class SpectrogramImageFolder(AudioFolder):
    """Draw random excerpts of spectrogram images, magnitudes of a mixture and its targets.

    The folder holds a folder for each track, `<root>/[train|val|test]/<track>/<stem>.jpg`, with an
    image of the mixture among them: magnitudes of stems do not sum to those of their mixture
    (`unweave encode --mixtures` makes its image). All images must have been made with the same
    frames; their formats and qualities may differ. Of JPEG files only the frames wanted are
    decoded.

    Excerpts are drawn as `AudioFolder` draws them: of the same music, excerpt `i` of epoch `e` of
    the same seed lies in the same place, to the nearest frame.

    Args:
        dataset_path: The folder.
        targets: Stems to give, in this order; ["vocals"] if not given.
        sample_length: Of an excerpt, in seconds.
        subset: "train", "val" or "test".
        **options: `fill`, what stands in bins that were left out: "zeros" or "extend"; `memory`,
            megabytes of pixels that each process keeps (a minute of stereo takes 4), 0 if not
            given; `seed`, `samples_per_epoch`, `max_num_tracks`,
            `active`, `missing` and `progress` as in `FolderOptions`; `cache_dir`, where the levels
            of all images are kept, which tell where a target sounds.

    Attributes:
        targets: Names of the targets.
        sources: Names of all stems of the data set, targets first.
        sample_rate: Of the audio, in Hz.
        num_channels: Of every spectrogram.
        length: Of an excerpt, in samples.
        frames: Of an excerpt: as many as the frames of a spectrogram of `length` samples.
        info: How the first image was made: `info.n_fft`, `info.hop_length`, `info.window`, ...
        tracks: The signals by track.
        options: All other options.

    Raises:
        DatasetError: The data set is missing, empty, lacks a stem or a mixture, or holds an image
            that is foreign, damaged or made with other settings; the text names it.
        ParameterError: An argument is out of range.

    Shape:
        yields (channels, freq, frames) and (targets, channels, freq, frames), float32

    Example:
        >>> from unweave.codec import SpectrogramCodec
        >>> Path("images/song").mkdir(parents=True)
        >>> encode, sound = SpectrogramCodec().encode, torch.rand(2, 44100)
        >>> for stem in ("mixture", "vocals"):
        ...     file = encode(sound, sample_rate=44100, path=f"images/song/{stem}.jpg")
        >>> folder = SpectrogramImageFolder("images", sample_length=0.5, cache_dir="levels")
        >>> [magnitudes.shape for magnitudes in next(iter(folder))]
        [torch.Size([2, 1025, 22]), torch.Size([1, 2, 1025, 22])]
    """

    def __init__(
        self,
        dataset_path: str | Path,
        targets: Sequence[str] | None = None,
        sample_length: float = 3.0,
        subset: str = "train",
        **options: Unpack[ImageWords],
    ) -> None:
        require_known(options, ImageWords.__annotations__)
        fill = options.pop("fill", "zeros")
        memory = non_negative("memory", options.pop("memory", 0))
        if fill not in FILLS:
            raise ParameterError(f"fill={fill!r} must be one of {FILLS}")
        self.options = FolderOptions.of(options)
        self.targets, self.lone = check_targets(targets), False
        listings = _listings(dataset_path, subset, self.targets, self.options)
        there = {name for listing in listings for name in listing.parts} - {MIXTURE, *self.targets}
        self.sources = [*self.targets, *sorted(there)]
        wanted = [_only(listing, self.targets) for listing in listings]
        paths = [part.path for listing in wanted for part in listing.parts.values()]
        infos = {path: probe(path) for path in paths}
        require_alike(list(infos.items()))
        self.info = infos[paths[0]]
        self.sample_rate, self.num_channels = round(self.info.sample_rate), self.info.channels
        self.length = check_length("sample_length", sample_length, self.sample_rate)
        self.frames = self._frames(self.length)
        total = self.options.samples_per_epoch
        self._total = None if total is None else whole_number("samples_per_epoch", total)
        self._passes = Passes(fixed=subset != "train")
        frames = {path: info.frames for path, info in infos.items()}
        self._reader = ImageReader(frames, fill, round(memory * _MEGABYTE))
        self._use(
            open_tracks(
                wanted,
                infos,
                folder=self.options.cache_dir,
                progress=self.options.progress,
                levels=self.options.active > 0,
            )
        )
        self.options = FolderOptions.of({**options, "progress": None})

    def _frames(self, length: int) -> int:
        reach = 0 if self.info.center else self.info.n_fft
        if length < reach:
            raise ParameterError(
                f"an excerpt of {length} samples is shorter than a frame of {reach}"
            )
        return 1 + (length - reach) // self.info.hop_length

    def excerpt(self, index: int, *, epoch: int = 0) -> tuple[Tensor, Tensor]:
        """Read one excerpt; the same for the same arguments, wherever it is read.

        Args:
            index: Of the excerpt in its epoch.
            epoch: Number of the epoch.

        Returns:
            Magnitudes of the mixture and the targets.

        Raises:
            DatasetError: An image is damaged or gone.

        Shape:
            (channels, freq, frames) and (targets, channels, freq, frames)

        Example:
            >>> from unweave.codec import SpectrogramCodec
            >>> Path("song").mkdir()
            >>> encode, sound = SpectrogramCodec().encode, torch.rand(1, 8000)
            >>> for stem in ("mixture", "vocals"):
            ...     file = encode(sound, sample_rate=8000, path=f"song/{stem}.jpg")
            >>> folder = SpectrogramImageFolder(".", sample_length=0.5, cache_dir=".levels")
            >>> folder.excerpt(7)[1].shape
            torch.Size([1, 1, 1025, 4])
        """
        return super().excerpt(index, epoch=epoch)

    def whole(self, index: int) -> tuple[Tensor, Tensor]:
        """Read a whole track.

        Args:
            index: Of the track in `tracks`.

        Returns:
            Magnitudes of the mixture and the targets.

        Raises:
            DatasetError: An image is damaged or gone.

        Shape:
            (channels, freq, frames) and (targets, channels, freq, frames)

        Example:
            >>> from unweave.codec import SpectrogramCodec
            >>> Path("song").mkdir()
            >>> encode, sound = SpectrogramCodec().encode, torch.rand(1, 8000)
            >>> for stem in ("mixture", "vocals"):
            ...     file = encode(sound, sample_rate=8000, path=f"song/{stem}.jpg")
            >>> SpectrogramImageFolder(".", cache_dir=".levels").whole(0)[0].shape
            torch.Size([1, 1025, 8])
        """
        return super().whole(index)

    def _as_recorded(self, mixture: Decoded, place: Place, length: int) -> tuple[Tensor, Tensor]:
        info, frames = self.info, self._frames(length)
        track = self.tracks[place.track]
        # the last start of audio may lie half a hop behind that of the last frames
        start = min(round(place.start / info.hop_length), self._last(track.frames, frames))
        both = torch.empty(1 + len(self.targets), info.channels, info.freq_bins, frames)
        signals = [mixture, *(track.stems.get(name) for name in self.targets)]
        for out, signal in zip(both, signals, strict=True):
            if signal is None:
                out.zero_()
            else:
                self._reader.read(signal.path, start, out)
        return both[0], both[1:]

    def _last(self, samples: int, frames: int) -> int:
        """Give the last frame that an excerpt of a track may begin with."""
        return max(0, self._frames(max(samples, self.length)) - frames)

    def split(
        self, fraction: float = 0.2, *, samples: float | None = None
    ) -> "SpectrogramImageFolder":
        """Move some of the tracks into a folder of their own, for validation.

        The tracks are those that `AudioFolder.split` takes.

        Args:
            fraction: Share of the tracks to take; at least one is taken and one is left.
            samples: Excerpts in one pass; None is as many as the tracks are long.

        Returns:
            A folder with the tracks that this one has lost. Its excerpts are the same in every
            pass.

        Raises:
            DatasetError: There are too few tracks.
            ParameterError: `fraction` is not between 0 and 1.

        Example:
            >>> from unweave.codec import SpectrogramCodec
            >>> encode, sound = SpectrogramCodec().encode, torch.rand(1, 8000)
            >>> for path in ("a/mixture.jpg", "a/vocals.jpg", "b/mixture.jpg", "b/vocals.jpg"):
            ...     Path(path).parent.mkdir(exist_ok=True)
            ...     file = encode(sound, sample_rate=8000, path=path)
            >>> train = SpectrogramImageFolder(".", cache_dir=".levels")
            >>> validation = train.split(0.5)
            >>> len(train.tracks), len(validation.tracks)
            (1, 1)
        """
        return cast("SpectrogramImageFolder", super().split(fraction, samples=samples))


def _listings(
    dataset_path: str | Path, subset: str, targets: Sequence[str], options: FolderOptions
) -> list[Listing]:
    """Find the images of each track, and raise where one is missing."""
    try:
        _, listings = list_dataset(
            dataset_path, subset=subset, layout="tracks", suffixes=IMAGE_SUFFIXES
        )
    except DatasetError as error:
        raise DatasetError(
            f"{error} (spectrogram images are wanted, as `unweave encode` makes them)"
        ) from error
    if options.max_num_tracks is not None:
        listings = listings[: int(options.max_num_tracks)]
    for listing in listings:
        has = ", ".join(sorted(listing.parts))
        if MIXTURE not in listing.parts:
            raise DatasetError(
                f"track {listing.name!r} has no image of its mixture (it has {has}):"
                " `unweave encode --mixtures --skip-existing` makes it"
            )
        for name in targets if options.missing == "error" else ():
            if name not in listing.parts:
                raise DatasetError(
                    f"track {listing.name!r} lacks the stem {name!r} (it has {has}): encode it, or"
                    " pass missing='silent' if it is not played there"
                )
    for name in targets:
        if not any(name in listing.parts for listing in listings):
            raise DatasetError(f"nothing in the data set {str(dataset_path)!r} is named {name!r}")
    return listings


def _only(listing: Listing, targets: Sequence[str]) -> Listing:
    parts: dict[str, Part] = {
        name: part for name, part in listing.parts.items() if name in (MIXTURE, *targets)
    }
    return Listing(listing.name, parts)
