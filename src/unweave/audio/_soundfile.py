"""libsndfile back end: wav, flac, ogg, opus, mp3, aiff, caf, rf64, w64, au and older kin."""

import os
import re
import sys
from pathlib import Path

import numpy as np
import soundfile

from unweave.audio._mp3 import begins_somewhere, shortfall
from unweave.audio._source import Source
from unweave.audio._types import TAGS, AudioInfo, Samples
from unweave.audio.formats import Format
from unweave.errors import AudioFileError, ParameterError

# libsndfile keeps encoder state on its stack: long Vorbis writes in one call overflow it.
_WRITE_FRAMES = 1 << 14
# Where Vorbis and Opus put the channels of L R C LFE (back) (side), the order of all other formats
_XIPH_ORDER = {
    3: [0, 2, 1],
    5: [0, 2, 1, 3, 4],
    6: [0, 2, 1, 5, 3, 4],
    7: [0, 2, 1, 6, 5, 3, 4],
    8: [0, 2, 1, 7, 5, 6, 3, 4],
}
# Of the containers that `container_of` tells, those that libsndfile reads
_KNOWN = ("FLAC", "OGG", "RF64", "W64", "CAF", "AU", "MP3", "WAV", "AIFF")
_PREROLL_SECONDS = 0.5
_LONGEST_PAGE = 255 * 4096  # samples: an Ogg page holds at most 255 packets
_SKIP_FRAMES = 1 << 16
_PROBE_BYTES = 1 << 20
_MALFORMED = 3  # libsndfile's code: the container is known, but this file of it is broken
_UNKNOWN_LENGTH = 1 << 62
_DATA_CHUNK = re.compile(r"^\s*(?:data|SSND|Data Size)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE)
_DS64_FRAMES = re.compile(r"does not match value from 'ds64' chunk of (\d+)")


class NotForSoundFile(Exception):
    """libsndfile does not know this container, or not this coding in it."""


class _SequentialFile(soundfile.SoundFile):  # type: ignore[misc]  # soundfile has no types
    """A file whose blocks are read one after the other.

    Of a seekable file, soundfile asks libsndfile to jump after each block, to where it is already.
    MP3 and Opus decoders lose their state by that, which is heard at each block's start.
    """

    def seekable(self) -> bool:
        return False


def _native(path: Path) -> str | bytes:
    # bytes name any file on POSIX, also one whose name is not valid UTF-8
    return str(path) if sys.platform == "win32" else os.fsencode(path)


class SoundFileDecoder:
    """Decodes one file by libsndfile.

    Args:
        source: The file to decode.

    Raises:
        NotForSoundFile: Another back end may know the file.
        AudioFileError: The file is broken.
    """

    def __init__(self, source: Source) -> None:
        if source.container == "MP3" and (short := shortfall(source.path)) is not None:
            raise AudioFileError(
                f"{source.name!r} is truncated: its header states {short[1]} bytes of audio, "
                f"{short[0]} are there: copy or download it again"
            )
        # libsndfile goes by the name of what it does not know, and its decoder searches aloud.
        if source.path.suffix.lower() == ".mp3" and source.container not in _KNOWN:
            if source.container is not None:
                raise NotForSoundFile(f"it is {source.container}, whatever its name says")
            if not begins_somewhere(source.path):
                raise NotForSoundFile("no two MPEG frames follow one another at its start")
        try:
            self._file = _SequentialFile(_native(source.path))
        except soundfile.LibsndfileError as error:
            if error.code == _MALFORMED:
                raise source.unknown("its chunks do not fit its length") from error
            raise NotForSoundFile(error.error_string) from error
        self._path = source.path
        self._position = 0
        file = self._file
        if file.frames >= _UNKNOWN_LENGTH:
            file.close()
            raise NotForSoundFile("its header states no length")
        tags = {key: value for key, value in file.copy_metadata().items() if key in TAGS and value}
        self.info = AudioInfo(
            path=source.name,
            sample_rate=file.samplerate,
            channels=file.channels,
            frames=_promised_frames(file),
            format="WAV" if file.format == "WAVEX" else str(file.format),
            subtype=file.subtype,
            tags=tags,
        )
        # the last frames that an MP3's header counts may lack: they are read as silence
        self.slack: int | None = 4 * 1152 if file.format == "MP3" else 0
        self._order = _xiph_order(file.subtype, file.channels)

    def read(self, frames: int) -> Samples:
        """Return up to `frames` samples of shape (time, channels); fewer only at the end."""
        try:
            block: Samples = self._file.read(frames, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError:
            # libsndfile reports a stream that breaks off as a failed seek
            return np.empty((0, self.info.channels), np.float32)
        self._position += len(block)
        return block if self._order is None else block[:, self._order]

    def seek(self, frame: int) -> None:
        """Go to a sample index between 0 and the file's length."""
        try:
            if self.info.format in ("OGG", "MP3"):
                self._seek_lossy(frame)
            else:
                self._file.seek(min(frame, self._file.frames))
                self._position = frame
        except soundfile.LibsndfileError as error:
            raise AudioFileError(
                f"{self.info.path!r} is damaged: cannot go to {frame / self.info.sample_rate:.2f} s"
            ) from error

    def _seek_lossy(self, frame: int) -> None:
        """Jump to some place before the sample and decode up to it.

        What libsndfile returns right after a jump is wrong until the codec has warmed up; jumps
        into the last page of an Ogg file miss altogether, and those to the start of an MP3.
        """
        start = frame - round(_PREROLL_SECONDS * self.info.sample_rate)
        if self.info.format == "OGG":
            start = min(start, self._file.frames - _LONGEST_PAGE)
        here = self._position
        if not start <= here <= frame:
            if start > 0:
                self._file.seek(start)
                self._position = start
            else:
                self._file.close()
                self._file = _SequentialFile(_native(self._path))
                self._position = 0
        missing = frame - self._position
        while missing > 0 and len(skipped := self.read(min(missing, _SKIP_FRAMES))):
            missing -= len(skipped)

    def close(self) -> None:
        """Release the file."""
        self._file.close()


def _xiph_order(subtype: str, channels: int) -> list[int] | None:
    return _XIPH_ORDER.get(channels) if subtype in ("VORBIS", "OPUS") else None


def _promised_frames(file: soundfile.SoundFile) -> int:
    """Return the length that the header states, where libsndfile has cut it to the file's size."""
    frames = int(file.frames)
    log = file.extra_info
    if (found := _DS64_FRAMES.search(log)) is not None:
        return max(frames, int(found[1]))
    if (found := _DATA_CHUNK.search(log)) is not None:
        stated, present = int(found[1]), int(found[2])
        # what programs write into the size field when they stream to a pipe
        streamed = stated >= 0xFFFFFF00 or 0x7FFFF000 <= stated <= 0x80000000
        if not streamed and 0 < present < stated:
            return frames * stated // present
    return frames


class SoundFileEncoder:
    """Encodes one file by libsndfile.

    Args:
        path: The file to create.
        sample_rate: Samples per second.
        channels: Channels of each block.
        format: What to write.
        subtype: libsndfile's name of the sample coding.
        tags: Text to keep in the file.
    """

    def __init__(
        self,
        path: Path,
        *,
        sample_rate: int,
        channels: int,
        format: Format,
        subtype: str,
        tags: dict[str, str],
    ) -> None:
        self._path = path
        self._written = 0
        self._failed = False
        order = _xiph_order(subtype, channels)
        self._order = None if order is None else np.argsort(order)
        try:
            self._file = _SequentialFile(
                _native(path),
                "w",
                samplerate=sample_rate,
                channels=channels,
                format=format.major,
                subtype=subtype,
                compression_level=format.compression,
                bitrate_mode=format.bitrate_mode,
            )
        except soundfile.LibsndfileError as error:
            raise ParameterError(
                f"{format.name} cannot hold {channels} channels at {sample_rate} Hz as {subtype}: "
                f"{error.error_string}"
            ) from error
        for key, value in tags.items():
            try:
                setattr(self._file, key, value)
            except soundfile.LibsndfileError:
                continue  # this container has no place for this tag

    def write(self, block: Samples) -> None:
        """Append samples of shape (time, channels)."""
        for start in range(0, len(block), _WRITE_FRAMES):
            part = block[start : start + _WRITE_FRAMES]
            if self._order is not None:
                part = np.ascontiguousarray(part[:, self._order])
            try:
                self._file.write(part)
            except (soundfile.LibsndfileError, AssertionError) as error:
                # AssertionError: soundfile's word for a write that came out short
                raise self._failure() from error
            self._written += len(part)

    def close(self) -> None:
        """Finish the file and make sure that all of it arrived."""
        try:
            self._file.close()
            if self._failed or shortfall(self._path) is not None:
                raise self._failure()
            with _SequentialFile(_native(self._path)) as check:
                arrived = check.frames
        except soundfile.LibsndfileError as error:
            raise self._failure() from error
        if arrived < self._written:
            raise self._failure()

    def _failure(self) -> OSError:
        """Ask the system why a write failed, which libsndfile does not tell: by another write."""
        self._failed = True
        try:
            with self._path.open("ab") as file:
                file.write(bytes(_PROBE_BYTES))
        except OSError as error:
            return error
        return OSError("not all samples arrived (is the disk full?)")
