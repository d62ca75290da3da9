"""PyAV (FFmpeg) back end: m4a, mp4, webm, wma and what else libsndfile does not know."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from unweave.audio._source import Source
from unweave.audio._types import TAGS, AudioInfo, Samples
from unweave.errors import AudioFileError, ParameterError

# FFmpeg's demuxers for audio files. Play lists, devices and network streams are left out: a file
# must never make us open another one.
_DEMUXERS = (
    "mov,matroska,webm,asf,aac,ac3,eac3,ogg,wav,w64,mp3,flac,aiff,caf,amr,ape,wv,tta,dsf,flv,avi,"
    "mpegts,mpeg,tak,mpc,mpc8,dts,au,voc"
)
_NAMES = {"matroska,webm": "WEBM", "asf": "WMA", "mpegts": "MPEG-TS"}
# Containers that state a duration, but some files count what the encoder put before and behind the
# sound, or milliseconds; of other containers FFmpeg guesses the duration by the bit rate
_STATED_DURATION = ("mov", "matroska", "asf", "avi", "flv")
_SLACK_SECONDS = 0.5
_TAG_NAMES = {"track": "tracknumber", "encoder": "software"}
_FULL_SCALE = {"u8": 128.0, "s16": 32768.0, "s32": 2147483648.0}
# Transform codecs and bit reservoirs need some frames before the first right one
_PREROLL_SECONDS = 0.5
_MAX_CHANNELS = 1024
# A frame's list of planes has this many entries and no end mark: PyAV reads beyond it
_PLANES = 8


class AvDecoder:
    """Decodes one audio stream of a file by FFmpeg.

    Args:
        source: The file to decode.
        stream: Index among its audio streams.

    Raises:
        AudioFileError: FFmpeg does not know the file, or it has no such audio stream.
    """

    def __init__(self, source: Source, stream: int) -> None:
        self._source = source
        self._index = stream
        self._open()
        try:
            self.info = self._facts()
            self.slack = self._slack()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        source = self._source
        try:
            self._container = av.open(
                f"file:{source.path}",
                options={"format_whitelist": _DEMUXERS, "protocol_whitelist": "file"},
                metadata_errors="replace",
            )
        except (av.error.FFmpegError, ValueError) as error:
            raise source.unknown(getattr(error, "strerror", None) or str(error)) from error
        streams = self._container.streams.audio
        if len(streams) <= self._index:
            found = len(streams)
            self.close()
            if not found:
                raise AudioFileError(f"{source.name!r} holds no audio stream")
            raise ParameterError(
                f"stream={self._index}: {source.name!r} has {found} audio streams, numbered from 0"
            )
        self._stream = streams[self._index]
        self._frames = self._decode()
        self._spare: Samples | None = None
        self._position: int | None = 0

    def _facts(self) -> AudioInfo:
        container, stream = self._container, self._stream
        codec = stream.codec_context
        if codec is None:
            raise self._source.unknown("no decoder knows the coding of its samples")
        rate, channels = codec.sample_rate, codec.channels
        if not rate or not 0 < channels <= _MAX_CHANNELS:
            raise self._source.unknown("its audio stream states no sample rate or channels")
        name = container.format.name
        seconds: Fraction | None = None
        if stream.duration is not None and stream.time_base is not None:
            seconds = stream.duration * stream.time_base
        elif container.duration is not None:
            seconds = Fraction(container.duration, av.time_base)
        frames = self._count() if seconds is None else max(0, round(seconds * rate))
        mp4 = name.startswith("mov")
        return AudioInfo(
            path=self._source.name,
            sample_rate=rate,
            channels=channels,
            frames=frames,
            format=(self._source.container or "MP4") if mp4 else _NAMES.get(name, name.upper()),
            subtype=codec.name.upper(),
            tags=_known_tags({**stream.metadata, **container.metadata}),
            streams=len(container.streams.audio),
            exact=seconds is None or (mp4 and stream.duration is not None),
        )

    def _count(self) -> int:
        try:
            frames = sum(int(frame.samples) for frame in self._decode())
        except (av.error.FFmpegError, ValueError, IndexError) as error:
            raise self._source.unknown(str(error)) from error
        self.close()
        self._open()
        return frames

    def _slack(self) -> int | None:
        stated = self._container.format.name.startswith(_STATED_DURATION)
        return round(_SLACK_SECONDS * self.info.sample_rate) if stated else None

    def _decode(self) -> Iterator[Any]:
        started = False
        for packet in self._container.demux(self._stream):
            try:
                frames = packet.decode()
            except av.error.EOFError:
                return
            except av.error.FFmpegError:
                if started:
                    raise
                continue  # a recorded broadcast may begin in the middle of a frame
            for frame in frames:
                started = True
                yield frame

    def _next(self) -> Samples | None:
        """Return the next decoded frame as (time, channels), or None at the end."""
        try:
            frame = next(self._frames, None)
            if frame is None:
                return None
            samples = _to_float(frame)
        # PyAV raises ValueError for sample types, and IndexError for streams that appear late
        except (av.error.FFmpegError, ValueError, IndexError) as error:
            seconds = (self._position or 0) / self.info.sample_rate
            why = getattr(error, "strerror", None) or error
            raise AudioFileError(
                f"{self.info.path!r} is truncated or damaged after {seconds:.2f} s: {why}"
            ) from error
        if samples.shape[1] != self.info.channels:
            raise AudioFileError(
                f"{self.info.path!r} is damaged: it changes from {self.info.channels} to "
                f"{samples.shape[1]} channels"
            )
        if self._position is None and frame.pts is not None:
            # after a jump: the time stamp says where we are
            ticks = frame.pts - (self._stream.start_time or 0)
            self._position = round(float(ticks * frame.time_base) * self.info.sample_rate)
        return samples

    def read(self, frames: int) -> Samples:
        """Return up to `frames` samples of shape (time, channels); fewer only at the end."""
        parts: list[Samples] = []
        missing = frames
        while missing:
            block = self._spare if self._spare is not None else self._next()
            if block is None:
                break
            part, rest = block[:missing], block[missing:]
            self._spare = rest if len(rest) else None
            parts.append(part)
            missing -= len(part)
            self._position = (self._position or 0) + len(part)
        if not parts:
            return np.empty((0, self.info.channels), np.float32)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def seek(self, frame: int) -> None:
        """Go to a sample index between 0 and the file's length."""
        if not (self._jump(frame) and self._skip_to(frame)):
            # Time stamps in milliseconds do not name a sample: decode from the start instead
            self.close()
            self._open()
            self._skip_to(frame)

    def _skip_to(self, frame: int) -> bool:
        """Decode up to a sample; False if the decoder does not know where it is, or is behind."""
        while True:
            block = self._next()
            if block is None:
                return True  # the file ends before: there is nothing to read
            if self._position is None or self._position > frame:
                return False
            if self._position + len(block) > frame:
                self._spare = block[frame - self._position :]
                self._position = frame
                return True
            self._position += len(block)

    def _jump(self, frame: int) -> bool:
        """Go some way before the wanted sample, if the container's time stamps are exact."""
        rate = self.info.sample_rate
        base = self._stream.time_base
        back = frame - round(_PREROLL_SECONDS * rate)
        if back <= 0 or not self.info.exact or base is None or base.denominator % rate:
            return False
        try:
            ticks = int(back / rate / base) + (self._stream.start_time or 0)
            self._container.seek(ticks, stream=self._stream)
        except av.error.FFmpegError:
            return False
        self._frames = self._decode()
        self._spare = None
        self._position = None
        return True

    def close(self) -> None:
        """Release the file."""
        self._container.close()


class AvEncoder:
    """Encodes AAC in an MP4 container, with one or more streams of the same length.

    Args:
        path: The file to create.
        sample_rate: Samples per second.
        channels: Channels of each stream.
        container: FFmpeg's name: 'ipod' for m4a, 'mp4'.
        titles: One title for each stream; "" for none.
        tags: Text to keep in the file.
        bit_rate: Bits per second for each channel of each stream.
    """

    def __init__(
        self,
        path: Path,
        *,
        sample_rate: int,
        channels: int,
        container: str,
        titles: list[str],
        tags: dict[str, str],
        bit_rate: int = 128_000,
    ) -> None:
        self._rate = sample_rate
        self._layout = _LAYOUTS[channels]
        self._position = 0
        # FFmpeg states the length to play in the movie's time scale: milliseconds, if not told
        self._container = av.open(
            f"file:{path}",
            "w",
            format=container,
            container_options={"movie_timescale": str(sample_rate)},
        )
        names = {ours: theirs for theirs, ours in _TAG_NAMES.items()}
        for key, text in tags.items():
            self._container.metadata[names.get(key, key)] = text
        self._streams = []
        for index, title in enumerate(titles):
            stream = self._container.add_stream("aac", rate=sample_rate, layout=self._layout)
            stream.bit_rate = bit_rate * channels
            if title:
                stream.metadata["title"] = stream.metadata["handler_name"] = title
            if index:  # players that know nothing of stems play the first stream alone
                stream.disposition = av.stream.Disposition(0)
            self._streams.append(stream)

    def write(self, block: Samples) -> None:
        """Append samples of shape (time, channels) to the only stream."""
        self.write_streams([block])

    def write_streams(self, blocks: list[Samples]) -> None:
        """Append one block of shape (time, channels) to each stream."""
        for stream, block in zip(self._streams, blocks, strict=True):
            if not len(block):
                continue
            packed = block.reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=self._layout)
            frame.sample_rate = self._rate
            frame.pts = self._position
            self._mux(stream, frame)
        self._position += len(blocks[0])

    def _mux(self, stream: Any, frame: Any) -> None:
        try:
            for packet in stream.encode(frame):
                self._container.mux(packet)
        except av.error.FFmpegError as error:
            raise OSError(error.errno, error.strerror) from error

    def close(self) -> None:
        """Finish the file."""
        try:
            for stream in self._streams:
                self._mux(stream, None)
        finally:
            try:
                self._container.close()
            except av.error.FFmpegError as error:
                raise OSError(error.errno, error.strerror) from error


_LAYOUTS = {
    1: "mono",
    2: "stereo",
    3: "3.0",
    4: "4.0",
    5: "5.0",
    6: "5.1",
    7: "6.1",
    8: "7.1",
}


def _to_float(frame: Any) -> Samples:
    """Return a decoded frame as float32 of shape (time, channels)."""
    channels = frame.layout.nb_channels
    if frame.format.is_planar and channels >= _PLANES:
        frame = av.AudioResampler(format="flt").resample(frame)[0]
    array: npt.NDArray[Any] = frame.to_ndarray()
    kind = frame.format.name.removesuffix("p")
    samples = array.T if frame.format.is_planar else array.reshape(-1, channels)
    if kind in _FULL_SCALE:
        scale = _FULL_SCALE[kind]
        shift = scale if kind == "u8" else 0.0
        return ((samples.astype(np.float32) - shift) / scale).astype(np.float32, copy=False)
    return samples.astype(np.float32, copy=False)


def _known_tags(metadata: dict[str, str]) -> dict[str, str]:
    tags = {}
    for key, text in metadata.items():
        name = key.lower()
        name = _TAG_NAMES.get(name, name)
        if name in TAGS and text:
            tags[name] = text
    return tags
