"""Writes all stems of one song: measured, at one common level, and all of them or none.

Formats that clip need to know the loudest sample before the first one is written. Their stems are
kept as plain floats in unnamed temporary files in the output folder (8 bytes a stereo frame and
stem) and encoded at the end, several at a time; float formats are written directly.
"""

import math
import os
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import IO, Protocol, Self

import torch
from torch import Tensor

from unweave.audio import AudioWriter, LoudnessMeter, StemWriter
from unweave.audio.formats import check_limits, resolve_format
from unweave.errors import AudioFileError, Cancelled
from unweave.separation.layout import STEM_MP4, OutputOptions
from unweave.separation.network import Cancel
from unweave.separation.workfolder import work_folder

# Where all stems are scaled down because one would clip, its peak comes to lie here. Lossy codecs
# overshoot by some tenths of a decibel.
_LOSSLESS_PEAK, _LOSSY_PEAK = 0.9999, 0.95


@dataclass(frozen=True, slots=True)
class StemResult:
    """A stem as it was written.

    Attributes:
        name: of the stem.
        path: of its file.
        peak: largest magnitude of its samples; full scale is 1.
        loudness: integrated loudness in LUFS; -inf for silence.
    """

    name: str
    path: Path
    peak: float
    loudness: float


class _Writer(Protocol):
    def write(self, block: Tensor) -> None: ...
    def close(self) -> None: ...
    def discard(self) -> None: ...


class SongWriter:
    """Write the stems of one song.

    Args:
        targets: final path of each stem; or of one "stem.mp4" for all of them.
        names: of the stems, in the order of the blocks.
        folder: the output folder, created if missing.
        sample_rate: in hertz.
        channels: of each stem.
        options: format and subtype are taken from here.
        tags: text to keep in every file.

    Attributes:
        gain: factor that all stems were scaled by so that none clips; 1 if none would.

    Raises:
        ParameterError: the format cannot hold the rate or the channels.
        AudioFileError: the folder cannot be written to.
    """

    def __init__(
        self,
        targets: Mapping[str, Path],
        *,
        names: list[str],
        folder: Path,
        sample_rate: int,
        channels: int,
        options: OutputOptions,
        tags: Mapping[str, str],
    ) -> None:
        self.gain = 1.0
        self._targets = dict(targets)
        self._names = names
        self._rate, self._channels = sample_rate, channels
        self._tags = dict(tags)
        self._together = STEM_MP4 in targets
        self._format = resolve_format(Path(), "m4a" if self._together else options.format)
        _, _, self._subtype = check_limits(
            self._format, sample_rate=sample_rate, channels=channels, subtype=options.subtype
        )
        self._meters = [LoudnessMeter(sample_rate, channels) for _ in names]
        self._stack = ExitStack()
        with _named(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._parts = self._stack.enter_context(work_folder(folder))
        clips = self._subtype not in ("FLOAT", "DOUBLE")
        try:
            self._spool = self._stack.enter_context(_Spool(folder, len(names))) if clips else None
            self._writers = [] if clips else [self._open(name) for name in names]
        except BaseException:
            self._stack.close()
            raise

    def write(self, block: Tensor) -> None:
        """Append a block.

        Args:
            block: samples of all stems.

        Raises:
            AudioFileError: the disk is full, or the like.

        Shape:
            (stems, channels, time)
        """
        for meter, stem in zip(self._meters, block, strict=True):
            meter.update(stem)
        if self._spool is not None:
            with _named(self._parts.parent):
                self._spool.write(block)
        for name, writer, stem in zip(self._names, self._writers, block, strict=False):
            with self._final_name(name):
                writer.write(stem)

    def finish(self, *, cancel: Cancel | None = None) -> list[StemResult]:
        """Encode what is still to be encoded, and give all files their final names.

        Args:
            cancel: asked between blocks; True stops, and nothing is left.

        Returns:
            What was written, in the order of the stems.

        Raises:
            AudioFileError: a file could not be completed; then none is there.
            Cancelled: `cancel` said so.
        """
        if self._spool is not None:
            peak = max(meter.peak for meter in self._meters)
            if peak > 1:
                lossless = self._format.name in ("wav", "flac", "aiff", "caf")
                self.gain = (_LOSSLESS_PEAK if lossless else _LOSSY_PEAK) / peak
            self._encode(self._spool, cancel)
        for name, writer in zip(self._names, self._writers, strict=False):
            with self._final_name(name):
                writer.close()
        for target in self._targets.values():
            with _named(target):
                target.parent.mkdir(parents=True, exist_ok=True)
                if target.is_dir():
                    raise AudioFileError(f"cannot write to {str(target)!r}: it is a folder")
        for name, target in self._targets.items():
            with _named(target):
                self._part(name).replace(target.resolve())
        change = 20 * math.log10(self.gain)
        return [
            StemResult(
                name,
                self._targets[STEM_MP4 if self._together else name],
                meter.peak * self.gain,
                meter.integrated + change,
            )
            for name, meter in zip(self._names, self._meters, strict=True)
        ]

    def _encode(self, spool: "_Spool", cancel: Cancel | None) -> None:
        stop = Event()

        def stopped() -> bool:
            return stop.is_set() or (cancel is not None and cancel())

        if self._together:
            self._encode_together(spool, stopped)
            return
        workers = min(len(self._names), os.cpu_count() or 1)
        with ThreadPoolExecutor(workers, thread_name_prefix="unweave-encode") as pool:
            try:
                done = pool.map(
                    lambda index: self._encode_one(spool, index, stopped), range(len(self._names))
                )
                list(done)
            finally:
                stop.set()

    def _encode_one(self, spool: "_Spool", index: int, stopped: Cancel) -> None:
        name = self._names[index]
        with self._final_name(name):
            writer = self._open(name)
            with _closing(writer):
                for block in spool.read(index, self._channels):
                    if stopped():
                        raise Cancelled("the separation was cancelled")
                    writer.write(block.mul_(self.gain))

    def _encode_together(self, spool: "_Spool", stopped: Cancel) -> None:
        with self._final_name(STEM_MP4):
            writer = StemWriter(
                self._part(STEM_MP4),
                sample_rate=self._rate,
                channels=self._channels,
                stems=self._names,
                tags=self._tags,
            )
            with _closing(writer):
                readers = [spool.read(i, self._channels) for i in range(len(self._names))]
                for stems in zip(*readers, strict=True):
                    if stopped():
                        raise Cancelled("the separation was cancelled")
                    block = torch.stack(stems).mul_(self.gain)
                    writer.write(torch.cat([block.sum(0, keepdim=True), block]))

    def _open(self, name: str) -> AudioWriter:
        with self._final_name(name):
            writer = AudioWriter(
                self._part(name),
                sample_rate=self._rate,
                channels=self._channels,
                format=self._format.name,
                subtype=self._subtype,
                tags=self._tags,
            )
            self._stack.callback(writer.discard)
            return writer

    def _part(self, name: str) -> Path:
        position = 0 if self._together else self._names.index(name)
        return self._parts / f"{position}{self._targets[name].suffix}"

    @contextmanager
    def _final_name(self, name: str) -> Iterator[None]:
        """Speak of the final file in errors, not of the temporary one."""
        try:
            yield
        except AudioFileError as error:
            text = str(error).replace(str(self._part(name)), str(self._targets[name]))
            raise AudioFileError(text.replace(str(self._parts), str(self._parts.parent))) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()


class _Spool:
    """Keeps stems as plain floats, one unnamed file a stem."""

    def __init__(self, folder: Path, stems: int) -> None:
        self._lengths: list[int] = []
        self._stack = ExitStack()
        self._files: list[IO[bytes]] = []
        with _named(folder):
            for _ in range(stems):
                file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115
                self._files.append(self._stack.enter_context(file))

    def write(self, block: Tensor) -> None:
        """Append a block of shape (stems, channels, time)."""
        self._lengths.append(block.shape[-1])
        for file, stem in zip(self._files, block, strict=True):
            data = memoryview(stem.contiguous().numpy()).cast("B")
            while len(data):  # an unbuffered file may take less than it is given
                data = data[file.write(data) :]

    def read(self, stem: int, channels: int) -> Iterator[Tensor]:
        """Give one stem back, in the blocks it was written in."""
        file = self._files[stem]
        file.seek(0)
        for length in self._lengths:
            data = file.read(4 * channels * length)
            if len(data) < 4 * channels * length:
                raise AudioFileError("a temporary file of the separation was cut short")
            yield torch.frombuffer(bytearray(data), dtype=torch.float32).reshape(channels, length)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()


@contextmanager
def _closing(writer: _Writer) -> Iterator[None]:
    try:
        yield
    except BaseException:
        writer.discard()
        raise
    writer.close()


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Turn an error of the operating system into one line that names a path."""
    try:
        yield
    except AudioFileError:
        raise
    except OSError as error:
        raise AudioFileError(f"cannot write to {str(path)!r}: {error.strerror or error}") from error
