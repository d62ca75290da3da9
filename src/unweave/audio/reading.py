"""Reads audio files: facts, whole signals, and blocks in constant memory."""

from collections.abc import Iterator
from types import TracebackType
from typing import Self

import numpy as np
import torch
from torch import Tensor

from unweave._core.checks import non_negative, positive_int
from unweave.audio._soundfile import NotForSoundFile, SoundFileDecoder
from unweave.audio._source import AudioSource, Source
from unweave.audio._types import AudioInfo, Decoder, Samples
from unweave.audio.formats import has_av
from unweave.errors import AudioFileError, DependencyError, ParameterError

# Samples (all channels together) that are decoded, and believed of a header, at a time
_BLOCK = 1 << 18
_TRUSTED = 1 << 24


def _open_decoder(source: Source, stream: int) -> Decoder:
    why = ""
    if stream == 0:
        try:
            return SoundFileDecoder(source)
        except NotForSoundFile as error:
            why = str(error)
    if has_av():
        from unweave.audio._av import AvDecoder

        return AvDecoder(source, stream)
    if source.container in ("M4A", "MP4", "WEBM", "WMA", "AAC", "AC3", "AVI", "FLV", "AMR", "APE"):
        raise DependencyError(
            f"{source.name!r} is {source.container}: install the reader for it with "
            "pip install 'unweave[av]'"
        )
    raise source.unknown(why)


class AudioReader:
    """Decode a file piece by piece, in memory that does not grow with its length.

    Args:
        path: Path, or binary file object (which is copied to a temporary file first).
        stream: Which audio stream of the container; 1 to 4 are the stems of a stem.mp4.

    Attributes:
        info: The file's facts.
        position: Index of the sample that the next `read` starts with.

    Raises:
        AudioFileError: The file cannot be opened or is no audio.
        DependencyError: The container needs `unweave[av]`.

    Example:
        >>> from unweave import audio
        >>> audio.write("song.wav", torch.zeros(2, 100), 8000)
        >>> with audio.AudioReader("song.wav") as reader:
        ...     reader.read(64).shape
        torch.Size([2, 64])
    """

    def __init__(self, path: AudioSource, *, stream: int = 0) -> None:
        self._source = Source(path)
        try:
            self._decoder = _open_decoder(self._source, stream)
        except BaseException:
            self._source.close()
            raise
        self.info: AudioInfo = self._decoder.info
        self.position = 0

    def read(self, frames: int) -> Tensor:
        """Decode the next samples.

        Args:
            frames: How many samples per channel are wanted.

        Returns:
            float32 of shape (channels, time); shorter at the end of the file, time = 0 after it.

        Raises:
            AudioFileError: The file breaks off before the length that its header states.
        """
        wanted = positive_int("frames", frames)
        info = self.info
        if info.exact:
            wanted = min(wanted, info.frames - self.position)
        step = max(1, _BLOCK // info.channels)
        room = max(0, min(wanted, _TRUSTED // info.channels))
        out = np.empty((info.channels, room), np.float32)
        done = 0
        while done < wanted:
            block = self._decoder.read(min(step, wanted - done))
            if not len(block):
                block = self._ending(wanted - done)
            if not len(block):
                break
            if done + len(block) > out.shape[1]:
                grown = np.empty((info.channels, min(wanted, 2 * out.shape[1] + step)), np.float32)
                grown[:, :done] = out[:, :done]
                out = grown
            out[:, done : done + len(block)] = block.T
            done += len(block)
            self.position += len(block)
        if done < out.shape[1]:
            out = np.ascontiguousarray(out[:, :done])
        return torch.from_numpy(out)

    def _ending(self, missing: int) -> Samples:
        """Return what comes when the decoder has no more, or raise if much is missing."""
        info, rate, slack = self.info, self.info.sample_rate, self._decoder.slack
        if slack is not None and info.frames - self.position > slack:
            whole = self.position * 100 // rate / 100
            raise AudioFileError(
                f"{info.path!r} is truncated or damaged: its header states "
                f"{info.frames / rate:.2f} s, only {self.position / rate:.2f} s can be decoded"
                + (f" (a duration of {whole:.2f} s takes these)" if whole else "")
            )
        return np.zeros((missing if info.exact else 0, info.channels), np.float32)

    def seek(self, frame: int) -> None:
        """Go to a sample, so that the next `read` starts with it.

        Args:
            frame: Sample index from 0 to `info.frames`.

        Raises:
            ParameterError: `frame` lies outside the file.
            AudioFileError: The file is damaged there.
        """
        if not 0 <= frame <= self.info.frames and (frame < 0 or self.info.exact):
            raise ParameterError(f"frame={frame} must be between 0 and {self.info.frames}")
        if frame != self.position:
            self._decoder.seek(frame)
            self.position = frame

    def close(self) -> None:
        """Release the file; reading is over."""
        self._decoder.close()
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def info(path: AudioSource) -> AudioInfo:
    """Return the facts about an audio file without decoding it.

    Args:
        path: Path, or binary file object.

    Returns:
        Sample rate, channels, length, format and tags.

    Raises:
        AudioFileError: The file cannot be opened or is no audio.
        DependencyError: The container needs `unweave[av]`.

    Example:
        >>> from unweave import audio
        >>> audio.write("song.flac", torch.zeros(1, 4000), 8000)
        >>> audio.info("song.flac").duration
        0.5
    """
    with AudioReader(path) as reader:
        return reader.info


def read(
    path: AudioSource, *, start: float = 0.0, duration: float | None = None, stream: int = 0
) -> tuple[Tensor, int]:
    """Read an audio file, or a part of it, into memory.

    Samples come as the file holds them: never resampled, mixed down or normalised; NaN and
    infinite samples of a float file are handed on.

    Args:
        path: Path, or binary file object.
        start: Where to begin, in seconds.
        duration: How many seconds to read; None reads to the end.
        stream: Which audio stream of the container; 1 to 4 are the stems of a stem.mp4.

    Returns:
        The signal, float32, and its sample rate in Hz.

    Raises:
        AudioFileError: The file cannot be opened, is no audio, or is truncated.
        DependencyError: The container needs `unweave[av]`.
        ParameterError: `start` lies behind the end, or an argument is negative.

    Shape:
        (channels, time)

    Example:
        >>> from unweave import audio
        >>> audio.write("song.wav", torch.zeros(2, 8000), 8000)
        >>> signal, rate = audio.read("song.wav", start=0.25)
        >>> tuple(signal.shape), rate
        ((2, 6000), 8000)
    """
    with AudioReader(path, stream=stream) as reader:
        frames = _go_to(reader, start, duration)
        if frames == 0:
            return torch.empty(reader.info.channels, 0), reader.info.sample_rate
        return reader.read(frames), reader.info.sample_rate


def blocks(
    path: AudioSource,
    block_size: int,
    *,
    start: float = 0.0,
    duration: float | None = None,
    stream: int = 0,
) -> Iterator[Tensor]:
    """Read an audio file block by block, in constant memory.

    Args:
        path: Path, or binary file object.
        block_size: Samples per channel in each block; the last one may be shorter.
        start: Where to begin, in seconds.
        duration: How many seconds to read; None reads to the end.
        stream: Which audio stream of the container; 1 to 4 are the stems of a stem.mp4.

    Yields:
        float32 blocks that joined give what `read` returns.

    Raises:
        AudioFileError: The file cannot be opened, is no audio, or is truncated.
        DependencyError: The container needs `unweave[av]`.
        ParameterError: `start` lies behind the end, or an argument is negative.

    Shape:
        (channels, block_size)

    Example:
        >>> from unweave import audio
        >>> audio.write("song.wav", torch.zeros(1, 100), 8000)
        >>> [block.shape[1] for block in audio.blocks("song.wav", 40)]
        [40, 40, 20]
    """
    size = positive_int("block_size", block_size)
    with AudioReader(path, stream=stream) as reader:
        remaining = _go_to(reader, start, duration)
        while remaining > 0:
            block = reader.read(min(size, remaining))
            if not block.shape[1]:
                return
            remaining -= block.shape[1]
            yield block


def _go_to(reader: AudioReader, start: float, duration: float | None) -> int:
    """Seek to `start` seconds and return how many samples are wanted from there."""
    facts = reader.info
    first = round(non_negative("start", start) * facts.sample_rate)
    if first > facts.frames and facts.exact:
        raise ParameterError(
            f"start={start:g} s lies behind the end of {facts.path!r} ({facts.duration:.2f} s)"
        )
    if first:
        reader.seek(first)
    rest = facts.frames - first if facts.exact else 1 << 62
    if duration is None:
        return rest
    return min(rest, round(non_negative("duration", duration) * facts.sample_rate))
