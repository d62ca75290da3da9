"""PNG files of few grey levels: rows stored without filters, so that inflating is decoding.

Filters make neighbours alike before they are deflated. Of coarse codes, most of which are equal to
their neighbours already, they save little, and undoing them takes most of a decoder's time.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np

from unweave.codec._jpeg import Pixels
from unweave.errors import CodecError

MAX_LEVELS = 64  # of more, filters save a tenth and more
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY = (8, 0, 0, 0, 0)  # bits, kind of colour, and the only methods without interlacing
_KNOWN = (b"IHDR", b"IDAT", b"IEND")


def is_coarse(pixels: Pixels) -> bool:
    """Tell whether pixels are better stored without filters."""
    if pixels.dtype != np.uint8 or pixels.ndim != 2:
        return False
    return int(np.count_nonzero(np.bincount(pixels.ravel()))) <= MAX_LEVELS


def encode(pixels: Pixels, exif: bytes) -> bytes:
    """Write grey pixels (height, width) without filters."""
    height, width = pixels.shape
    rows = np.zeros((height, 1 + width), np.uint8)  # each begins with its filter: none
    rows[:, 1:] = pixels
    # Z_FILTERED takes no short matches, which are worth little and take long to copy
    deflate = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS, 9, zlib.Z_FILTERED)
    data = deflate.compress(rows.tobytes()) + deflate.flush()
    head = struct.pack(">II5B", width, height, *_GREY)
    # what Exif calls its block's name is no part of PNG's chunk
    wanted = ((b"IHDR", head), (b"eXIf", exif.removeprefix(b"Exif\0\0")), (b"IDAT", data))
    chunks = [_chunk(name, body) for name, body in wanted if body]
    return b"".join([_SIGNATURE, *chunks, _chunk(b"IEND", b"")])


def _chunk(name: bytes, body: bytes) -> bytes:
    sum_ = zlib.crc32(body, zlib.crc32(name))
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", sum_)


def decode(file: bytes, width: int, height: int) -> Pixels | None:
    """Decode grey pixels that were stored without filters.

    Args:
        file: A PNG file.
        width: Columns that it states.
        height: Rows that it states.

    Returns:
        The pixels, (height, width); None if it is a file of another kind.

    Raises:
        CodecError: It is damaged.
    """
    data = []
    for name, body in _chunks(file):
        if name == b"IHDR" and bytes(body[8:]) != bytes(_GREY):
            return None
        if name[:1].isupper() and name not in _KNOWN:
            return None
        if name == b"IDAT":
            data.append(body)
    packed = data[0] if len(data) == 1 else b"".join(data)
    size = height * (1 + width)
    fast = _inflater()
    try:
        if zlib.decompressobj().decompress(packed[:1000], 1) != b"\0":
            return None
        inflate = fast.decompressobj()
        flat = inflate.decompress(packed, size + 1)  # no more, whatever a bomb holds
    except (zlib.error, fast.error) as error:
        raise CodecError(f"the png image is damaged: {error}") from error
    if len(flat) != size or not inflate.eof:
        raise CodecError("the png image is damaged: its pixels do not have the size it states")
    rows = np.frombuffer(flat, np.uint8).reshape(height, 1 + width)
    return None if rows[:, 0].any() else rows[:, 1:]


def _chunks(file: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Give the names and bodies of chunks up to the last."""
    view, at, name = memoryview(file), len(_SIGNATURE), b""
    crc32 = _inflater().crc32
    try:
        while name != b"IEND":
            size, name = struct.unpack_from(">I4s", file, at)
            (stated,) = struct.unpack_from(">I", file, at + 8 + size)
            if crc32(view[at + 4 : at + 8 + size]) != stated:
                raise CodecError(f"the png image is damaged: chunk {name!r} has another checksum")
            yield name, view[at + 8 : at + 8 + size]
            at += 12 + size
    except struct.error as error:
        raise CodecError("the png image breaks off") from error


@cache
def _inflater() -> Any:
    """Give what inflates: isal does it three times as fast as zlib."""
    try:
        from isal import isal_zlib
    except ImportError:
        return zlib
    return isal_zlib
