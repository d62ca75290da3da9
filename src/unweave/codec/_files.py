"""Files of images: reading one image of them, writing all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO, TypeAlias

from unweave.audio._partfile import PartFile
from unweave.codec import _mpf
from unweave.errors import AudioFileError, CodecError

Source: TypeAlias = "bytes | str | os.PathLike[str] | BinaryIO"
_HEAD = 1 << 16  # bytes that hold the header of a JPEG image; its index may need two of them
_SMALL = 1 << 20  # bytes that are quicker read at once than in two parts


def loaded(source: Source) -> bytes | Path:
    """Give what can be read more than once: of an open file its bytes."""
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source)
    return Path(source) if isinstance(source, str | os.PathLike) else source.read()


def read_image(source: bytes | Path, part: int) -> bytes:
    """Read one image of a file, and no more of it if it holds several.

    Raises:
        AudioFileError: The file cannot be read.
        CodecError: It has fewer images, or breaks off.
    """
    if isinstance(source, bytes):
        return _image(source, part)
    try:
        with source.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size <= _SMALL:
                return _image(file.read(), part)
            head = file.read(2 * _HEAD)
            places = _mpf.places(head)
            if not places and not part:
                return head + file.read()
            begin, end = _place(places, part, size)
            file.seek(begin)
            return file.read(end - begin)
    except OSError as error:
        reason = error.strerror or error
        raise AudioFileError(f"cannot read {os.fspath(source)!r}: {reason}") from error


def _image(file: bytes, part: int) -> bytes:
    begin, end = _place(_mpf.places(file[: 2 * _HEAD]), part, len(file))
    return file[begin:end]


def _place(places: list[tuple[int, int]], part: int, size: int) -> tuple[int, int]:
    """Say where an image stands in a file of some bytes."""
    if not part and not places:
        return 0, size
    if part >= len(places):
        raise CodecError(
            f"the file has no index of image {part + 1}: another program has written it anew,"
            " and without the images after the first"
        )
    begin, end = places[part]
    if part and end > size:
        raise CodecError(f"the file breaks off: image {part + 1} of {len(places)} is not whole")
    return begin, min(end, size)


def write(file: bytes, path: str | os.PathLike[str]) -> None:
    """Write a file that appears complete or not at all.

    Raises:
        AudioFileError: It cannot be written.
    """
    part = PartFile(path)
    try:
        part.path.write_bytes(file)
    except OSError as error:
        part.discard()
        raise part.error(error) from error
    part.commit()
