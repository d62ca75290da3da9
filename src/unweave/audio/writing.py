"""Writes audio files whole or in blocks; nothing half-written ever bears the final name."""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from unweave.audio import _id3, _riff
from unweave.audio._partfile import PartFile
from unweave.audio._soundfile import SoundFileEncoder
from unweave.audio._types import TAGS, Encoder, Samples
from unweave.audio.formats import Format, check_limits, has_av, resolve_format
from unweave.errors import AudioFileError, DependencyError, ParameterError

Audio = Tensor | npt.NDArray[np.floating[Any]]
"""A signal as torch tensor or NumPy array of floats."""


class FileWriter(ABC):
    """What all writers share: the part file, and how it ends.

    Args:
        path: File to create or replace.

    Attributes:
        frames: Samples per channel written so far.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.frames = 0
        self._closed = False
        self._encoder: Encoder | None = None
        self._part = PartFile(path)

    @abstractmethod
    def _finish(self) -> None:
        """Complete the part file."""

    @contextmanager
    def _guard(self) -> Iterator[None]:
        """Give the file up on any error, and name the file in those of the system."""
        try:
            yield
        except BaseException as error:
            self._closed = False
            self.discard()
            if isinstance(error, OSError) and not isinstance(error, AudioFileError):
                raise self._part.error(error) from error
            raise

    def _require_open(self) -> Encoder:
        if self._closed or self._encoder is None:
            raise ParameterError("the writer is closed: open a new one")
        return self._encoder

    def close(self) -> None:
        """Finish the file and give it its final name.

        Raises:
            AudioFileError: The file could not be completed; nothing is left of it.
        """
        if self._closed:
            return
        self._closed = True
        with self._guard():
            self._finish()
        self._part.commit()

    def discard(self) -> None:
        """Give the file up: remove what was written and keep what stood under its name."""
        if self._closed:
            return
        self._closed = True
        try:
            if self._encoder is not None:
                self._encoder.close()
        except OSError:
            pass  # it is thrown away in any case
        finally:
            self._part.discard()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()


class AudioWriter(FileWriter):
    """Encode a file piece by piece, in memory that does not grow with its length.

    The file is written under a temporary name in its folder and renamed by a clean `close`; an
    exception inside the `with` block removes it. WAV files beyond 4 GiB become RF64. Integer
    formats clip at full scale; nothing is rescaled.

    Args:
        path: File to create or replace.
        sample_rate: Samples per second.
        channels: Channels of every block.
        format: 'wav', 'flac', 'ogg', 'opus', 'mp3', 'aiff', 'caf' or 'm4a'; None goes by suffix.
        subtype: Coding of the samples ('PCM_16', 'PCM_24', 'FLOAT', ...); None is the format's
            default: FLOAT for wav, aiff and caf, PCM_24 for flac.
        tags: Text to keep, by the names that `info` uses; each container keeps those it can.

    Raises:
        ParameterError: The format cannot hold this rate, channel count or subtype.
        AudioFileError: The file cannot be written.
        DependencyError: The format needs `unweave[av]`.

    Example:
        >>> with AudioWriter("silence.wav", sample_rate=8000, channels=1) as writer:
        ...     for _ in range(3):
        ...         writer.write(torch.zeros(1, 1000))
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        sample_rate: int,
        channels: int,
        format: str | None = None,
        subtype: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        target = resolve_format(_as_path(path), format)
        rate, self.channels, coding = check_limits(
            target, sample_rate=sample_rate, channels=channels, subtype=subtype
        )
        kept = check_tags(tags)
        if target.av and not has_av():
            raise DependencyError(
                f"writing {target.name} needs PyAV: pip install 'unweave[av]', or write flac"
            )
        self._any_float = coding in ("FLOAT", "DOUBLE")
        self._format = target
        self._tags = kept
        super().__init__(path)
        with self._guard():
            self._encoder = self._start(rate, coding)

    def _start(self, sample_rate: int, subtype: str) -> Encoder:
        format, path = self._format, self._part.path
        if format.av:
            from unweave.audio._av import AvEncoder

            return AvEncoder(
                path,
                sample_rate=sample_rate,
                channels=self.channels,
                container=format.major,
                titles=[""],
                tags=self._tags,
            )
        return SoundFileEncoder(
            path,
            sample_rate=sample_rate,
            channels=self.channels,
            format=format,
            subtype=subtype,
            tags={} if format.name == "mp3" else self._tags,
        )

    def write(self, block: Audio) -> None:
        """Append a block of samples.

        Args:
            block: Samples as floats with full scale at 1.

        Raises:
            ParameterError: The shape or dtype does not fit, or NaN or infinite samples are given
                to a format that cannot hold them.
            AudioFileError: The file cannot be written, for example because the disk is full.

        Shape:
            (channels, time)
        """
        encoder = self._require_open()
        samples = to_samples(block, self.channels)
        if not self._any_float:
            require_finite(samples, self._format.name)
        with self._guard():
            encoder.write(samples)
        self.frames += len(samples)

    def _finish(self) -> None:
        require_some(self.frames, self._format)
        if self._encoder is not None:
            self._encoder.close()
        if self._format.name == "wav":
            _riff.downgrade(self._part.path)
        elif self._format.name == "mp3" and (tag := _id3.id3_tag(self._tags)):
            _id3.prepend(self._part.path, tag)


def write(
    path: str | os.PathLike[str],
    audio: Audio,
    sample_rate: int,
    *,
    format: str | None = None,
    subtype: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> None:
    """Write a signal to an audio file.

    Args:
        path: File to create or replace; it appears complete or not at all.
        audio: Samples as floats with full scale at 1; integer formats clip, nothing is rescaled.
        sample_rate: Samples per second.
        format: 'wav', 'flac', 'ogg', 'opus', 'mp3', 'aiff', 'caf' or 'm4a'; None goes by suffix.
        subtype: Coding of the samples ('PCM_16', 'PCM_24', 'FLOAT', ...); None is the format's
            default: FLOAT for wav, aiff and caf, PCM_24 for flac.
        tags: Text to keep, by the names that `info` uses; each container keeps those it can.

    Raises:
        ParameterError: The format cannot hold this signal.
        AudioFileError: The file cannot be written.
        DependencyError: The format needs `unweave[av]`.

    Shape:
        (channels, time)

    Example:
        >>> write("rest.flac", torch.zeros(2, 8000), 8000, tags={"title": "Rest"})
    """
    if audio.ndim != 2:
        raise ParameterError(
            f"audio has shape {tuple(audio.shape)}: it must be (channels, time), "
            "for one channel x[None]"
        )
    with AudioWriter(
        path,
        sample_rate=sample_rate,
        channels=audio.shape[0],
        format=format,
        subtype=subtype,
        tags=tags,
    ) as writer:
        for start in range(0, audio.shape[1], 1 << 16):
            writer.write(audio[:, start : start + (1 << 16)])


def to_samples(block: Audio, channels: int) -> Samples:
    """Return a (channels, time) block as interleaved float32, or raise if it does not fit."""
    if isinstance(block, Tensor):
        floating = block.is_floating_point()
        array = block.detach().to("cpu", torch.float32).numpy() if floating else None
    else:
        floating = np.issubdtype(block.dtype, np.floating)
        array = block.astype(np.float32, copy=False) if floating else None
    if array is None:
        raise ParameterError(
            f"audio of dtype {block.dtype} must be floating point with full scale at 1"
        )
    if array.ndim != 2 or array.shape[0] != channels:
        raise ParameterError(
            f"audio block of shape {tuple(array.shape)} must be (channels={channels}, time)"
        )
    return np.ascontiguousarray(array.T)


def require_some(frames: int, format: Format) -> None:
    """Raise if nothing was written to a format that cannot hold nothing."""
    if not frames and not format.empty:
        raise ParameterError(f"{format.name} cannot hold a signal of zero samples: write wav")


def require_finite(samples: Samples, format: str) -> None:
    """Raise if samples are NaN or infinite, which only float formats keep."""
    if not np.isfinite(samples).all():
        raise ParameterError(
            f"block holds NaN or infinite samples, which {format} cannot keep: "
            "remove them, or write wav with subtype='FLOAT'"
        )


def check_tags(tags: Mapping[str, str] | None) -> dict[str, str]:
    """Return the tags that have text, or raise if a name is unknown."""
    unknown = sorted(set(tags or {}) - set(TAGS))
    if unknown:
        raise ParameterError(f"tags={unknown} must be among {', '.join(TAGS)}")
    return {key: str(value).replace("\0", "") for key, value in (tags or {}).items() if value}


def _as_path(path: str | os.PathLike[str]) -> Path:
    if not isinstance(path, str | os.PathLike):
        raise ParameterError(f"path={path!r} must be a path")
    return Path(path)
