"""JPEG files taken apart: their header without Pillow, and columns cut out without decoding.

A baseline JPEG with restart markers is a row of segments that can be decoded one by one. If an
interval divides the width, then the segments of some columns, put in a file of their own, are the
JPEG of just these columns: the rest of the scan need not be decoded.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from unweave.errors import CodecError

Pixels = npt.NDArray[Any]
FAULTS = (  # what decoders raise of damaged files
    ArithmeticError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    UserWarning,  # where warnings are errors
    ValueError,
)
BLOCK = 8
# 4 to 9 s at 44.1 kHz with a hop of 1024; each marker costs some 3 bytes.
_SEGMENT_BLOCKS = range(48, 23, -1)
_UNCUT_BLOCKS = 64  # what is no wider is one segment
_SOS, _EOI, _DRI, _APP1, _SOF0 = 0xDA, 0xD9, 0xDD, 0xE1, 0xC0
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # all kinds of frame headers


@dataclass(frozen=True)
class Header:
    """What stands before the first scan.

    Args:
        width: Columns of the image.
        height: Rows of the image.
        components: 1 for grey, 3 for colours.
        interval: Blocks between restart markers, or 0.
        exif: The Exif block.
        frame: Where the frame header stands; negative unless it is baseline.
        scan: Where the coded data begin.
    """

    width: int
    height: int
    components: int
    interval: int
    exif: bytes
    frame: int
    scan: int


def parse(data: bytes) -> Header:
    """Read the markers up to the first scan.

    Raises:
        CodecError: The file breaks off, or its markers are damaged.
    """
    at, interval, exif = 2, 0, b""
    frame: tuple[int, int, int] | None = None
    place = -1
    try:
        while True:
            lead, marker, size = struct.unpack_from(">BBH", data, at)
            if lead != 0xFF or size < 2:
                raise CodecError("the JPEG file is damaged: a marker is missing")
            if marker in _FRAMES:
                precision, height, width, components = struct.unpack_from(">BHHB", data, at + 4)
                if precision != 8:
                    raise CodecError(f"the JPEG file has {precision} bits; 8 are wanted")
                frame, place = (width, height, components), at if marker == _SOF0 else -1
            elif marker == _DRI:
                (interval,) = struct.unpack_from(">H", data, at + 4)
            elif marker == _APP1 and data[at + 4 : at + 10] == b"Exif\0\0":
                exif = data[at + 4 : at + 2 + size]
            at += 2 + size
            if marker == _SOS:
                break
    except struct.error as error:
        raise CodecError("the JPEG file breaks off in its header") from error
    if frame is None:
        raise CodecError("the JPEG file has no frame header")
    return Header(*frame, interval, exif, place, at)


def interval(width: int) -> tuple[int, int]:
    """Choose the blocks of a segment, and the width they fill, for an image of some columns.

    The width given is its own: asked for it again, the answer is the same width.
    """
    blocks = -(-width // BLOCK)
    if blocks <= _UNCUT_BLOCKS:
        return blocks, blocks * BLOCK
    size = min(_SEGMENT_BLOCKS, key=lambda size: -blocks % size)
    return size, -(-blocks // size) * size * BLOCK


def columns(data: bytes, header: Header, first: int, last: int) -> tuple[bytes, int]:
    """Cut out of a file the segments that hold columns first ... last - 1.

    Returns:
        A JPEG file and its first column; the file itself where it cannot be cut.

    Raises:
        CodecError: Restart markers are missing.
    """
    size = header.interval * BLOCK
    whole = header.width % size == 0 if size else False
    if not whole or header.components != 1 or header.frame < 0:
        return data, 0
    across, down = header.width // size, -(-header.height // BLOCK)
    left, right = first // size, -(-last // size)
    if right - left == across:
        return data, 0
    ends = _segment_ends(data, header.scan)
    if len(ends) != across * down:
        raise CodecError("the JPEG file is damaged: restart markers are missing")
    begins = np.concatenate([[header.scan], ends[:-1] + 2])
    wanted = (np.arange(down)[:, None] * across + np.arange(left, right)).ravel()
    parts = [_with_width(data[: header.scan], header, (right - left) * size)]
    for number, index in enumerate(wanted):
        if number:
            parts.append(bytes([0xFF, 0xD0 + (number - 1) % 8]))
        parts.append(data[begins[index] : ends[index]])
    parts.append(bytes([0xFF, _EOI]))
    return b"".join(parts), left * size


def _segment_ends(data: bytes, scan: int) -> npt.NDArray[np.int64]:
    """Find where the segments of a scan end: before the markers RST0 ... RST7 and EOI."""
    codes = np.frombuffer(data, np.uint8)[scan:]
    leads = np.flatnonzero(codes[:-1] == 0xFF)
    markers = codes[leads + 1]
    ends = leads[(markers >= 0xD0) & (markers <= _EOI) & (markers != 0xD8)]
    stop = np.flatnonzero(codes[ends + 1] == _EOI)
    ends = ends[: stop[0] + 1] if len(stop) else ends
    places: npt.NDArray[np.int64] = scan + ends
    return places


def _with_width(head: bytes, header: Header, width: int) -> bytes:
    at = header.frame + 7  # marker 2, length 2, precision 1, height 2
    return head[:at] + struct.pack(">H", width) + head[at + 2 :]


def decode(data: bytes, components: int) -> Pixels:
    """Decode a file to (height, width) or (height, width, 3).

    Raises:
        CodecError: The coded data are damaged or break off.
    """
    fast = _simplejpeg()
    if fast is not None and components == 1:
        try:
            grey: Pixels = fast.decode_jpeg(data, colorspace="GRAY")
        except ValueError as error:
            raise CodecError(f"the JPEG file is damaged: {error}") from error
        return grey[:, :, 0]
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
            return np.asarray(image)
    except FAULTS as error:
        raise CodecError(f"the JPEG file is damaged: {error}") from error


@cache
def _simplejpeg() -> ModuleType | None:
    try:
        import simplejpeg
    except ImportError:
        return None
    module: ModuleType = simplejpeg
    return module
