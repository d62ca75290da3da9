"""The files of a data set of spectrogram images: checked to be alike, measured, read."""

import hashlib
import json
import math
import os
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import platformdirs
import torch
from torch import Tensor

from unweave._core.windows import get_window
from unweave.audio._partfile import PartFile
from unweave.codec import SpectrogramCodec, SpectrogramInfo
from unweave.codec._jpeg import Pixels
from unweave.codec.images import ImageData, ImageHeader
from unweave.datasets.drawing import Signals
from unweave.datasets.layouts import MIXTURE, Listing
from unweave.datasets.pcm import Decoded, Progress
from unweave.errors import AudioFileError, CodecError, DatasetError

VERSION = 1
_HEAD = 1 << 16  # bytes that hold all that a JPEG file says of itself
_THREADS = 4
_AT_ONCE = 4096  # frames whose energies are summed together
_TOLERANCE = 0.5  # seconds by which the images of a track may differ in length
_ALIKE = ("sample_rate", "channels", "n_fft", "hop_length", "window", "center")
_CODEC = SpectrogramCodec()  # any reads the files of all


def probe(path: Path) -> SpectrogramInfo:
    """Read what an image says of itself, of a JPEG file without reading the rest.

    Args:
        path: The file.

    Raises:
        DatasetError: It is no spectrogram image, or is damaged.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
            if not head.startswith(b"\xff\xd8"):
                head += file.read()
        return _CODEC.info(head)
    except CodecError as error:
        raise DatasetError(f"{str(path)!r} is no image for training: {error}") from error
    except OSError as error:
        raise DatasetError(f"{str(path)!r} cannot be read: {error.strerror}") from error


class ImageReader(SpectrogramCodec):
    """Read frames of images; each process keeps the pixels of its own.

    Args:
        frames: How many each image has.
        fill: What stands in the bins that were left out; see `SpectrogramCodec.decode`.
        memory: Bytes of pixels that are kept; 0 decodes what is wanted each time.
    """

    def __init__(self, frames: Mapping[Path, int], fill: str, memory: int) -> None:
        super().__init__()
        self.frames, self.fill, self.memory = frames, fill, memory
        self.used = 0
        self._heads: dict[tuple[Path, int], tuple[ImageHeader, SpectrogramInfo]] = {}
        self._kept: OrderedDict[tuple[Path, int], Pixels] = OrderedDict()

    def __getstate__(self) -> dict[str, object]:
        # other processes decode for themselves
        return {**self.__dict__, "_heads": {}, "_kept": OrderedDict(), "used": 0}

    def read(self, path: Path, first: int, out: Tensor) -> None:
        """Read frames.

        Args:
            path: The image.
            first: The first frame wanted.
            out: Where the frames go; those beyond the end become silence.

        Raises:
            DatasetError: The image is damaged or gone.

        Shape:
            out: (channels, freq, frames)
        """
        frames = min(out.shape[-1], self.frames[path] - first)
        try:
            if frames == out.shape[-1]:
                self.decode(path, start=first, frames=frames, fill=self.fill, out=out)
            else:
                out[..., :frames] = self.decode(path, start=first, frames=frames, fill=self.fill)
                out[..., frames:] = 0
        except (CodecError, AudioFileError) as error:
            raise DatasetError(f"{str(path)!r} cannot be used: {error}") from error

    def _open(self, source: bytes | Path, part: int = 0) -> tuple[ImageData, SpectrogramInfo]:
        """Give an image whose pixels will be kept once they are decoded."""
        if not self.memory or not isinstance(source, Path):
            return super()._open(source, part)
        key = source, part
        if key not in self._heads:
            image, info = super()._open(source, part)
            self._heads[key] = image.header, info
        header, info = self._heads[key]
        return ImageData(header, partial(self._pixels, key)), info

    def _pixels(self, key: tuple[Path, int], first: int, last: int) -> tuple[Pixels, int]:
        """Give pixels of an image, and their first column; the least recently used make room."""
        if key not in self._kept:
            image, info = super()._open(*key)
            if info.channels * info.rows * (info.span[1] - info.span[0]) > self.memory:
                return image.pixels(first, last), first
            pixels = image.pixels(0, info.span[1] - info.span[0])
            while self._kept and self.used + pixels.nbytes > self.memory:
                self.used -= self._kept.popitem(last=False)[1].nbytes
            self.used += pixels.nbytes
            self._kept[key] = pixels
        self._kept.move_to_end(key)
        return self._kept[key], 0


def require_alike(infos: Sequence[tuple[Path, SpectrogramInfo]]) -> None:
    """Raise unless images were made with one rate, one number of channels and the same frames.

    Args:
        infos: The files and what they say of themselves.

    Raises:
        DatasetError: One differs from the first.
    """
    first, wanted = infos[0]
    for path, info in infos:
        for name in _ALIKE:
            if getattr(info, name) != getattr(wanted, name):
                raise DatasetError(
                    f"{str(path)!r} has {name}={getattr(info, name)!r}, but {str(first)!r} has"
                    f" {getattr(wanted, name)!r}: encode all files with the same settings"
                )


def open_tracks(
    listings: Sequence[Listing],
    infos: dict[Path, SpectrogramInfo],
    *,
    folder: str | os.PathLike[str] | None,
    progress: Progress | None,
    levels: bool,
) -> list[Signals]:
    """Give the signals of tracks, with their levels.

    Args:
        listings: The images of each track.
        infos: What they say of themselves.
        folder: Where levels are kept; None is `unweave/levels` in the user's cache folder.
        progress: Called with the number of images measured so far and that of all.
        levels: Whether levels are needed: to measure them, every image is decoded once.

    Returns:
        The signals of each track.

    Raises:
        DatasetError: Images of a track differ in length, or one is damaged.
    """
    default = platformdirs.user_cache_path("unweave") / "levels"
    paths = [part.path for listing in listings for part in listing.parts.values()]
    found: dict[Path, tuple[float, ...]] = dict.fromkeys(paths, ())
    if levels:
        measure = partial(_levels, folder=default if folder is None else Path(folder))
        pairs = ((path, infos[path]) for path in paths)
        for path, values in zip(paths, _in_threads(measure, pairs), strict=True):
            found[path] = values
            if progress is not None:
                progress(sum(map(bool, found.values())), len(paths))
    return [_signals(listing, infos, found) for listing in listings]


def _in_threads(
    work: Callable[[tuple[Path, SpectrogramInfo]], tuple[float, ...]],
    pairs: Iterator[tuple[Path, SpectrogramInfo]],
) -> Iterator[tuple[float, ...]]:
    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:
        try:
            yield from pool.map(work, pairs)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _signals(
    listing: Listing,
    infos: dict[Path, SpectrogramInfo],
    levels: dict[Path, tuple[float, ...]],
) -> Signals:
    signals = {}
    for name, part in listing.parts.items():
        info = infos[part.path]
        rate = round(info.sample_rate)
        signals[name] = Decoded(part.path, rate, info.channels, info.length, 1.0, levels[part.path])
    mixture = signals.pop(MIXTURE)
    for other in signals.values():
        if abs(other.frames - mixture.frames) > _TOLERANCE * mixture.sample_rate:
            seconds = [one.frames / mixture.sample_rate for one in (other, mixture)]
            raise DatasetError(
                f"track {listing.name!r}: {str(other.path)!r} is {seconds[0]:.2f} s long, the"
                f" mixture {seconds[1]:.2f} s: stems must be aligned and equally long"
            )
    frames = min(one.frames for one in (mixture, *signals.values()))
    return Signals(listing.name, signals, mixture, frames)


def _levels(pair: tuple[Path, SpectrogramInfo], folder: Path) -> tuple[float, ...]:
    """Give the root mean square of each second, as kept if the file is the same as then."""
    path, info = pair
    kept = folder / f"{_key(path)}.json"
    try:
        head = json.loads(kept.read_text("utf-8"))
        if head["version"] == VERSION:
            return tuple(map(float, head["levels"]))
    except (OSError, ValueError, KeyError, TypeError):
        pass  # it is not there or not whole: measured anew
    try:
        levels = measured_levels(_by_image(path, info), info)
    except (CodecError, AudioFileError) as error:
        raise DatasetError(f"{str(path)!r} cannot be used: {error}") from error
    _keep(kept, {"version": VERSION, "source": str(path), "levels": levels})
    return levels


def _key(path: Path) -> str:
    facts = path.stat()
    text = json.dumps([VERSION, os.path.realpath(path), facts.st_mtime_ns, facts.st_size])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _keep(path: Path, head: dict[str, object]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = PartFile(path)
        try:
            part.path.write_text(json.dumps(head), "utf-8")
        except BaseException:
            part.discard()
            raise
        part.commit()
    except OSError as error:
        raise DatasetError(
            f"cannot keep levels in the cache folder {str(path.parent)!r}: "
            f"{error.strerror or error}; give another by cache_dir"
        ) from error


def _by_image(path: Path, info: SpectrogramInfo) -> Iterator[Tensor]:
    for first, last in info.spans:
        yield _CODEC.decode(path, start=first, frames=last - first)


def measured_levels(magnitudes: Iterable[Tensor], info: SpectrogramInfo) -> tuple[float, ...]:
    """Give the root mean square of the audio of a spectrogram, second by second.

    By Parseval's theorem the energy of a frame is that of its spectrum; divided by the energy of
    the window it is the mean square of its samples, weighted by the window.

    Args:
        magnitudes: All frames, in one piece or in several.
        info: How they were made.

    Returns:
        One level a second, the last one being cut short.

    Shape:
        magnitudes: (channels, freq, frames) each
    """
    weights = torch.full((info.freq_bins, 1), 2.0)
    weights[0] = 1
    if info.n_fft % 2 == 0:
        weights[-1] = 1
    energies = [
        part.square().mul_(weights).sum(1).mean(0)
        for magnitude in magnitudes
        for part in torch.split(magnitude, _AT_ONCE, -1)
    ]
    energy = torch.cat(energies)
    window = get_window(info.window, info.n_fft).double()
    square = energy.double().numpy() / (info.n_fft * float(window.square().sum()))
    starts = np.arange(info.frames) * info.hop_length - (info.n_fft // 2 if info.center else 0)
    count = max(1, math.ceil(info.length / info.sample_rate))
    seconds = np.clip((starts + info.n_fft // 2) // info.sample_rate, 0, count - 1).astype(np.int64)
    # a loud second must not be heard in its neighbours, unless no frame lies within one alone
    within = starts // info.sample_rate == (starts + info.n_fft - 1) // info.sample_rate
    weight = np.where(within, 1.0, 1e-9)
    sums = np.bincount(seconds, weight * square, count) / np.maximum(
        1e-9, np.bincount(seconds, weight, count)
    )
    return tuple(float(f"{level:.4g}") for level in np.sqrt(sums))
