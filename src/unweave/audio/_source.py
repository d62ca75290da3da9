"""Opens what the caller names, path or stream, and tells containers by their first bytes."""

import os
import shutil
import stat
import string
import tempfile
from pathlib import Path
from typing import BinaryIO

from unweave.errors import AudioFileError, ParameterError

AudioSource = str | os.PathLike[str] | BinaryIO
"""A path, or a binary file object such as `sys.stdin.buffer` or `io.BytesIO`."""

_HEAD = 64

_AT_START = (
    (b"fLaC", "FLAC"),
    (b"OggS", "OGG"),
    (b"RF64", "RF64"),
    (b"riff", "W64"),
    (b"caff", "CAF"),
    (b".snd", "AU"),
    (b"ID3", "MP3"),
    (b"\x1aE\xdf\xa3", "WEBM"),
    (b"0&\xb2u", "WMA"),
    (b"\x0bw", "AC3"),
    (b"#!AMR", "AMR"),
    (b"MAC ", "APE"),
    (b"wvpk", "WAVPACK"),
    (b"TTA1", "TTA"),
    (b"DSD ", "DSF"),
    (b"FLV", "FLV"),
    (b"MThd", "MIDI"),
)
_MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")


class Source:
    """A readable file on disk, with its size and first bytes.

    Streams and pipes are copied to a temporary file first, in blocks: decoders seek, and a pipe
    cannot.

    Args:
        given: Path or binary file object.
    """

    def __init__(self, given: AudioSource) -> None:
        self._temporary: Path | None = None
        if isinstance(given, str | os.PathLike):
            self.name = os.fspath(given)
            self.path = Path(self.name)
        elif hasattr(given, "read"):
            self.name = str(getattr(given, "name", "<stream>"))
            self.path = self._spool(given)
        else:
            raise ParameterError(f"path={given!r} must be a path or a binary file object")
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        try:
            kind = self.path.stat().st_mode
            if stat.S_ISDIR(kind):
                raise AudioFileError(f"{self.name!r} is a folder: name an audio file in it")
            if stat.S_ISCHR(kind) or stat.S_ISBLK(kind):
                raise AudioFileError(f"{self.name!r} is a device, not an audio file")
            if not stat.S_ISREG(kind):
                with self.path.open("rb") as pipe:
                    self.path = self._spool(pipe)
            self.size = self.path.stat().st_size
            with self.path.open("rb") as file:
                self.head = file.read(_HEAD)
        except AudioFileError:
            raise
        except (OSError, ValueError) as error:  # ValueError: a null byte in the name
            raise AudioFileError(_why_unreadable(self.name, error)) from error
        if not self.size:
            raise AudioFileError(f"{self.name!r} is empty (0 bytes)")

    def _spool(self, stream: BinaryIO) -> Path:
        descriptor, name = tempfile.mkstemp(prefix="unweave-", suffix=".audio")
        self._temporary = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as copy:
                shutil.copyfileobj(stream, copy, 1 << 20)
        except (OSError, TypeError) as error:
            self.close()
            why = "it gives text, not bytes" if isinstance(error, TypeError) else error
            raise AudioFileError(f"{self.name!r} cannot be read to its end: {why}") from error
        except BaseException:
            self.close()
            raise
        return self._temporary

    def close(self) -> None:
        """Remove the temporary copy, if one was made."""
        if self._temporary is not None:
            self._temporary.unlink(missing_ok=True)
            self._temporary = None

    @property
    def container(self) -> str | None:
        """The container named by the first bytes, or None if they are unknown."""
        return container_of(self.head)

    def unknown(self, detail: str = "") -> AudioFileError:
        """Build the error for a file that no decoder understands."""
        if self.container is None:
            text = all(chr(byte) in string.printable for byte in self.head)
            what = "holds text, not audio" if text else "is no audio format that unweave knows"
            return AudioFileError(f"{self.name!r} {what} (`unweave info` lists the formats)")
        return AudioFileError(
            f"{self.name!r} looks like {self.container} but cannot be decoded"
            f"{f' ({detail})' if detail else ''}: it is truncated, damaged or holds no audio"
        )


def container_of(head: bytes) -> str | None:
    """Name the container of a file from its first bytes, or return None.

    Args:
        head: The first 64 bytes of the file, or all of a shorter one.

    Example:
        >>> container_of(b"fLaC" + bytes(60))
        'FLAC'
    """
    for magic, name in _AT_START:
        if head.startswith(magic):
            return name
    if head[:4] in (b"RIFF", b"RIFX"):
        return {b"WAVE": "WAV", b"AVI ": "AVI"}.get(head[8:12])
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return "AIFF"
    if head[4:8] in _MP4_BOXES:
        return "M4A" if head[8:11] == b"M4A" else "MP4"
    if len(head) > 2 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:
        return "AAC" if head[1] & 0xF6 == 0xF0 else "MP3"
    return None


def _why_unreadable(name: str, error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return f"{name!r} does not exist"
    if isinstance(error, PermissionError):
        return f"{name!r} may not be read: permission denied"
    reason = getattr(error, "strerror", None) or str(error)
    return f"{name!r} cannot be read: {reason}"
