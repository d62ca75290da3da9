"""Signals decoded once: int16 memory maps in a cache folder, with their levels second by second.

Beside each `KEY.pcm`, planar int16 of shape (channels, frames), stands `KEY.json`: its
version, shape, scale and levels. The key is a hash of path, modification time, size, stream, rate
and channels, so a changed file is decoded anew. Both are written under temporary names and renamed,
the JSON last: what is there is whole, and processes that decode the same file at once do no harm.
"""

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt
import platformdirs

from unweave.audio import AudioReader, Resampler
from unweave.audio._partfile import PartFile
from unweave.datasets.passes import rank_and_world
from unweave.datasets.tracks import AudioPart
from unweave.errors import AudioFileError, DatasetError

VERSION = 1
_BLOCK = 1 << 18  # samples of a channel that are decoded at a time
_IN_MEMORY = 1 << 27  # bytes of a decoded signal that wait in memory rather than on disk
_FULL_SCALE = 32768
_LARGEST = 32767
_THREADS = 4
_ABANDONED = 86_400.0  # seconds after which an unfinished file is nobody's

Progress = Callable[[int, int], None]
Blocks = Iterator[npt.NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded signal in the cache.

    Attributes:
        path: Its samples, int16 of shape (channels, frames).
        sample_rate: In Hz.
        channels: Of the signal.
        frames: Samples of each channel.
        scale: What a sample is to be multiplied by; 1 / 32768 unless the signal is louder than 1.
        levels: Root mean square of each second, the last one being cut short; full scale is 1.
    """

    path: Path
    sample_rate: int
    channels: int
    frames: int
    scale: float
    levels: tuple[float, ...]

    def open(self) -> npt.NDArray[np.int16]:
        """Map the samples into memory, unread until they are used.

        Returns:
            The samples; what is written to them stays in memory.

        Raises:
            DatasetError: The cache was emptied meanwhile.

        Shape:
            (channels, frames)
        """
        try:
            return np.memmap(self.path, np.int16, "c", shape=(self.channels, self.frames))
        except (OSError, ValueError) as error:
            raise DatasetError(
                f"the decoded signal {str(self.path)!r} is gone from the cache: build the data set"
                " anew"
            ) from error


class PcmCache:
    """Decode signals once and keep them.

    Args:
        folder: Where; None is `unweave/stems` in the user's cache folder.
        sample_rate: Rate in Hz that all signals get.
        channels: Number that all signals get: 1 is the mean of all, and one channel may become
            several.

    Example:
        >>> from unweave import audio
        >>> audio.write("vocals.wav", np.full((2, 8000), 0.5), 8000)
        >>> part = AudioPart(Path("vocals.wav"), 0, 8000, 2, 8000)
        >>> decoded = PcmCache("cache", sample_rate=8000, channels=1).decode([part])[part]
        >>> decoded.open().shape, decoded.levels
        ((1, 8000), (0.5,))
    """

    def __init__(
        self, folder: str | os.PathLike[str] | None, *, sample_rate: int, channels: int
    ) -> None:
        default = platformdirs.user_cache_path("unweave") / "stems"
        self.folder = default if folder is None else Path(folder)
        self.sample_rate, self.channels = sample_rate, channels

    def decode(
        self, parts: Sequence[AudioPart], *, progress: Progress | None = None
    ) -> dict[AudioPart, Decoded]:
        """Give the decoded signals, those from the cache that are there.

        Ranks that do this at once begin at different places and so share the work.

        Args:
            parts: The signals.
            progress: Called with the number of signals that are ready, and of all.

        Returns:
            The decoded signals.

        Raises:
            DatasetError: A file is damaged, has other channels, or the disk is full.
        """
        wanted = list(dict.fromkeys(parts))
        rank, world = rank_and_world() or (os.getpid() % 97, 97)
        turn = len(wanted) * rank // world
        order = wanted[turn:] + wanted[:turn]
        self._make_folder()
        ready: dict[AudioPart, Decoded] = {}
        with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:
            try:
                for part, decoded in zip(order, pool.map(self._one, order), strict=True):
                    ready[part] = decoded
                    if progress is not None:
                        progress(len(ready), len(wanted))
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise
        return ready

    def _make_folder(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for left in self.folder.glob(".*.part-*"):  # of processes that were killed
                if left.stat().st_mtime < time.time() - _ABANDONED:
                    left.unlink(missing_ok=True)
        except FileNotFoundError:
            return  # another process was quicker
        except OSError as error:
            raise DatasetError(
                f"cannot make the cache folder {str(self.folder)!r}: {error.strerror}; "
                "give another by cache_dir"
            ) from error

    def _one(self, part: AudioPart) -> Decoded:
        data = self.folder / f"{self._key(part)}.pcm"
        found = self._load(data)
        return self._store(part, data, self._blocks(part)) if found is None else found

    def remainder(self, part: AudioPart, whole: Decoded, taken: Sequence[Decoded]) -> Decoded:
        """Give what is left of a mixture without some stems, as a signal of its own.

        Args:
            part: The mixture, for errors.
            whole: The mixture, decoded.
            taken: The stems, decoded.

        Returns:
            Their difference, from the cache if it is there.

        Raises:
            DatasetError: The disk is full.
        """
        names = [whole.path.name, *sorted(stem.path.name for stem in taken)]
        key = hashlib.sha256("-".join(names).encode()).hexdigest()[:32]
        data = self.folder / f"{key}.pcm"
        found = self._load(data)
        return self._store(part, data, _difference(whole, taken)) if found is None else found

    def _key(self, part: AudioPart) -> str:
        try:
            facts = part.path.stat()
        except OSError as error:
            raise DatasetError(f"{str(part.path)!r} cannot be read: {error.strerror}") from error
        text = json.dumps(
            [
                VERSION,
                sys.byteorder,
                os.path.realpath(part.path),
                part.stream,
                facts.st_mtime_ns,
                facts.st_size,
                self.sample_rate,
                self.channels,
            ]
        )
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def _load(self, data: Path) -> Decoded | None:
        """Give what is in the cache; None if that is missing, not whole or of another version."""
        try:
            head: dict[str, Any] = json.loads(data.with_suffix(".json").read_text("utf-8"))
            if head.pop("version") != VERSION:
                return None
            found = Decoded(data, levels=tuple(head.pop("levels")), **head["signal"])
            whole = data.stat().st_size == 2 * found.channels * found.frames
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return found if whole else None

    def _store(self, part: AudioPart, data: Path, blocks: Blocks) -> Decoded:
        try:
            with SpooledTemporaryFile(_IN_MEMORY, dir=str(self.folder)) as file:
                spool = cast("BinaryIO", file)
                frames, peak = self._spool(part, blocks, spool)
                decoded = self._write(data, spool, frames, peak)
                self._write_head(part, decoded)
                return decoded
        except OSError as error:
            megabytes = part.frames * self.channels * 2 / 1e6
            raise DatasetError(
                f"cannot keep {part.path.name!r} ({megabytes:.0f} MB) in the cache folder"
                f" {str(self.folder)!r}: {error.strerror or error}; make room or give another"
                " folder by cache_dir (--cache-dir)"
            ) from error

    def _spool(self, part: AudioPart, blocks: Blocks, spool: BinaryIO) -> tuple[int, float]:
        """Collect a whole signal as float32 of shape (frames, channels); give length and peak."""
        frames, highest = 0, 0.0
        for block in blocks:
            finite = np.isfinite(block).all(0)
            if not finite.all():
                second = (frames + int(finite.argmin())) / self.sample_rate
                raise DatasetError(
                    f"{str(part.path)!r} holds NaN or infinite samples (near {second:.1f} s)"
                )
            frames += block.shape[1]
            # 1.0 itself has no place in int16, -1.0 has
            highest = max(highest, float(block.max(initial=0)), -float(block.min(initial=0)) - 4e-5)
            spool.write(np.ascontiguousarray(block.T).tobytes())
        if not frames:
            raise DatasetError(f"{str(part.path)!r} holds no samples")
        return frames, highest

    def _blocks(self, part: AudioPart) -> Blocks:
        try:
            yield from self._signal(part)
        except AudioFileError as error:
            raise DatasetError(f"cannot use a file of the data set: {error}") from error

    def _signal(self, part: AudioPart) -> Blocks:
        if self.channels not in (1, part.channels) and part.channels != 1:
            raise DatasetError(
                f"{str(part.path)!r} has {part.channels} channels, not {self.channels}: only one"
                " channel can be made of several, or several of one"
            )
        resampler = Resampler(part.sample_rate, self.sample_rate, min(part.channels, self.channels))
        with AudioReader(part.path, stream=part.stream) as reader:
            last = False
            while not last:
                block = reader.read(_BLOCK)
                last = block.shape[1] < _BLOCK
                if self.channels == 1:
                    block = block.mean(0, keepdim=True)
                out = resampler.process(block, last=last)
                yield out.expand(self.channels, -1).numpy()

    def _write(self, data: Path, spool: BinaryIO, frames: int, peak: float) -> Decoded:
        scale = 1 / _FULL_SCALE if round(peak * _FULL_SCALE) <= _LARGEST else peak / _LARGEST
        part = PartFile(data)
        energy = np.zeros(-(-frames // self.sample_rate))
        spool.seek(0)
        try:
            with part.path.open("wb") as file:
                for start in range(0, frames, self.sample_rate):
                    size = min(self.sample_rate, frames - start)
                    raw = spool.read(4 * self.channels * size)
                    block = np.frombuffer(raw, np.float32).reshape(size, self.channels)
                    energy[start // self.sample_rate] = np.square(block, dtype=np.float64).mean()
                    whole = np.rint(block / np.float32(scale)).clip(-_FULL_SCALE, _LARGEST)
                    for channel, row in enumerate(whole.astype(np.int16).T):
                        file.seek(2 * (channel * frames + start))
                        file.write(row.tobytes())
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            part.discard()
            raise
        part.commit()
        levels = tuple(float(f"{level:.4g}") for level in np.sqrt(energy))
        return Decoded(data, self.sample_rate, self.channels, frames, scale, levels)

    def _write_head(self, part: AudioPart, decoded: Decoded) -> None:
        signal = asdict(decoded)
        del signal["path"]
        head = {
            "version": VERSION,
            "source": str(part.path),
            "stream": part.stream,
            "levels": signal.pop("levels"),
            "signal": signal,
        }
        out = PartFile(decoded.path.with_suffix(".json"))
        try:
            out.path.write_text(json.dumps(head), "utf-8")
        except BaseException:
            out.discard()
            raise
        out.commit()


def _difference(whole: Decoded, taken: Sequence[Decoded]) -> Blocks:
    signals = [(one.open(), np.float32(one.scale)) for one in (whole, *taken)]
    frames = min(one.frames for one in (whole, *taken))
    for start in range(0, frames, _BLOCK):
        first, *others = (
            samples[:, start : min(start + _BLOCK, frames)] * scale for samples, scale in signals
        )
        for other in others:
            first -= other
        yield first
