"""Turns a finished RF64 file into the plainest WAV header that can hold it."""

import struct
from pathlib import Path
from typing import BinaryIO

_LARGEST_RIFF = 2**32 - 1
_EXTENSIBLE_FMT = 40
_PLAIN_FMT = 16
_CHUNK_HEAD = 8
# Which speakers 3, 4, ... 8 channels mean (bits of the WAVE format): 3.0, quad, 5.0, 5.1, 6.1, 7.1
_SPEAKERS = {3: 0x7, 4: 0x33, 5: 0x37, 6: 0x3F, 7: 0x70F, 8: 0x63F}


def downgrade(path: Path) -> None:
    """Turn an RF64 file below 4 GiB into a plain WAV, in place.

    A writer that does not know the length must reserve room for 64-bit sizes at the start. What
    EBU Tech 3306 does at the end: if the sizes fit in 32 bits, the `ds64` chunk becomes `JUNK`
    and the 32-bit fields are filled in.

    Args:
        path: File with the chunks `RF64`, `ds64`, `fmt `, ..., `data`.
    """
    size = path.stat().st_size
    if size - _CHUNK_HEAD > _LARGEST_RIFF:
        return
    with path.open("r+b") as file:
        file.seek(28)
        (data_size,) = struct.unpack("<Q", file.read(8))
        position = 12
        while position + _CHUNK_HEAD <= size:
            file.seek(position)
            name, length = struct.unpack("<4sI", file.read(_CHUNK_HEAD))
            if name == b"data":
                file.seek(position + 4)
                file.write(struct.pack("<I", data_size))
                break
            if name == b"fmt " and length == _EXTENSIBLE_FMT:
                _settle_format(file, position)
            position += _CHUNK_HEAD + length + length % 2
        file.seek(12)
        file.write(_junk(28))
        file.seek(0)
        file.write(struct.pack("<4sI", b"RIFF", size - _CHUNK_HEAD))


def _settle_format(file: BinaryIO, position: int) -> None:
    """Give mono and stereo the format chunk that the oldest players know, others their speakers."""
    chunk = file.read(_EXTENSIBLE_FMT)
    (channels,) = struct.unpack_from("<H", chunk, 2)
    if channels > 2:
        # libsndfile leaves the speakers open, or names front ones for the sides
        file.seek(position + _CHUNK_HEAD + 20)
        file.write(struct.pack("<I", _SPEAKERS.get(channels, 0)))
        return
    tag = chunk[24:26]
    file.seek(position + 4)
    file.write(struct.pack("<I", _PLAIN_FMT) + tag + chunk[2:_PLAIN_FMT])
    file.write(_junk(_EXTENSIBLE_FMT - _PLAIN_FMT - _CHUNK_HEAD))


def _junk(length: int) -> bytes:
    return struct.pack("<4sI", b"JUNK", length) + bytes(length)
