"""JPEG files taken apart: their header without Pillow, and columns cut out without decoding.

A baseline JPEG with restart markers is a row of segments that can be decoded one by one. If an
interval divides the width, then the segments of some columns, put in a file of their own, are the
JPEG of just these columns: the rest of the scan need not be decoded. The segments of some rows are
the JPEG of these rows in the same way, so that threads can decode an image together.
"""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from unweave.codec._shares import count_shares, in_shares
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
_MARKERS = 8  # restart markers are numbered modulo 8
_BLOCK_COST = 6  # a block takes as long as so many bytes more
_NONE = np.empty(0, np.int64)
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


def columns(data: bytes, header: Header, first: int, last: int) -> tuple[bytes, Header, int]:
    """Cut out of a file the segments that hold columns first ... last - 1.

    Returns:
        A JPEG file, its header and its first column; the file itself where it cannot be cut.

    Raises:
        CodecError: Restart markers are missing.
    """
    across = _across(header)
    if not across:
        return data, header, 0
    size = header.width // across
    left, right = first // size, -(-last // size)
    if right - left == across:
        return data, header, 0
    down = -(-header.height // BLOCK)
    ends = _segment_ends(data, header.scan)
    if len(ends) != across * down:
        raise CodecError("the JPEG file is damaged: restart markers are missing")
    begins = np.concatenate([[header.scan], ends[:-1] + 2])
    wanted = (np.arange(down)[:, None] * across + np.arange(left, right)).ravel()
    cut = replace(header, width=(right - left) * size)
    parts = [_head(data, cut)]
    for number, index in enumerate(wanted):
        if number:
            parts.append(bytes([0xFF, 0xD0 + (number - 1) % _MARKERS]))
        parts.append(data[begins[index] : ends[index]])
    parts.append(bytes([0xFF, _EOI]))
    return b"".join(parts), cut, left * size


def _across(header: Header) -> int:
    """Count the segments that stand side by side; 0 if the file cannot be cut."""
    size = header.interval * BLOCK
    if not size or header.width % size or header.components != 1 or header.frame < 0:
        return 0
    return header.width // size


def _row_groups(data: bytes, header: Header, count: int) -> list[tuple[int, bytes]]:
    """Cut a file into files of rows that take equally long to decode.

    Returns:
        The first row and the file of each; the file itself where it cannot be cut.
    """
    across, down = _across(header), -(-header.height // BLOCK)
    # A group begins where the markers' numbers begin anew
    step = _MARKERS // math.gcd(across, _MARKERS)
    starts = np.arange(step, down, step)
    ends = _segment_ends(data, header.scan) if across and count > 1 and len(starts) else _NONE
    markers = np.frombuffer(data, np.uint8)[ends[:-1] + 1] - 0xD0
    if not len(ends) or len(ends) != across * down:
        return [(0, data)]
    if (markers != np.arange(len(markers)) % _MARKERS).any():
        return [(0, data)]  # the decoder says what is wrong
    bytes_ahead = ends[across - 1 :: across] - header.scan
    costs = bytes_ahead + _BLOCK_COST * across * header.interval * np.arange(1, down + 1)
    wanted = np.searchsorted(costs[starts - 1], costs[-1] * np.arange(1, count) / count)
    cuts = np.unique(starts[np.minimum(wanted, len(starts) - 1)])
    groups = []
    for first, last in zip([0, *cuts], [*cuts, down], strict=True):
        height = min(header.height, last * BLOCK) - first * BLOCK
        begin = ends[first * across - 1] + 2 if first else header.scan
        scan = data[begin : ends[last * across - 1]]
        head = _head(data, replace(header, height=height))
        groups.append((first * BLOCK, head + scan + bytes([0xFF, _EOI])))
    return groups


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


def _head(data: bytes, header: Header) -> bytes:
    """Give what stands before the scan, with the size of another header."""
    at = header.frame + 5  # marker 2, length 2, precision 1
    size = struct.pack(">HH", header.height, header.width)
    return data[:at] + size + data[at + 4 : header.scan]


def decode(data: bytes, header: Header) -> Pixels:
    """Decode a file to (height, width) or (height, width, 3), in as many threads as pay.

    Raises:
        CodecError: The coded data are damaged or break off.
    """
    fast = _simplejpeg()
    if fast is not None and header.components == 1:
        try:
            return _grey(data, header, fast.decode_jpeg)
        except ValueError as error:
            raise CodecError(f"the JPEG file is damaged: {error}") from error
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
            return np.asarray(image)
    except FAULTS as error:
        raise CodecError(f"the JPEG file is damaged: {error}") from error


def _grey(data: bytes, header: Header, decoder: Callable[..., Pixels]) -> Pixels:
    groups = _row_groups(data, header, count_shares(header.width * header.height))
    if len(groups) == 1:
        return decoder(data, colorspace="GRAY")[:, :, 0]
    pixels = np.empty((header.height, header.width), np.uint8)

    def one(index: int) -> None:
        first, file = groups[index]
        rows = pixels[first : groups[index + 1][0] if index + 1 < len(groups) else None]
        decoder(file, colorspace="GRAY", buffer=rows.reshape(-1))

    in_shares(one, len(groups))
    return pixels


@cache
def _simplejpeg() -> ModuleType | None:
    try:
        import simplejpeg
    except ImportError:
        return None
    module: ModuleType = simplejpeg
    return module
