"""The size of a JPEG XL image from its first bytes: its decoder decodes before it can be asked.

References:
    ISO/IEC 18181-1, section on the size header; ISO/IEC 18181-2, section on boxes.
"""

from __future__ import annotations

import struct

from unweave.errors import CodecError

SIGNATURES = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
_WIDTHS = (9, 13, 18, 30)


def size(data: bytes) -> tuple[int, int]:
    """Give width and height.

    Raises:
        CodecError: The file is damaged.
    """
    stream = data if data[:2] == SIGNATURES[0] else _codestream(data)
    if stream[:2] != SIGNATURES[0] or len(stream) < 12:
        raise CodecError("the JPEG XL file is damaged: it holds no image")
    bits = _Bits(int.from_bytes(stream[2:12], "little"))
    small = bits.take(1)
    height = _length(bits, small)
    ratio = bits.take(3)
    if ratio:
        over, under = _RATIOS[ratio - 1]
        return height * over // under, height
    return _length(bits, small), height


def _length(bits: _Bits, small: int) -> int:
    return 8 * (bits.take(5) + 1) if small else bits.take(_WIDTHS[bits.take(2)]) + 1


class _Bits:
    """Bits of a number, the lowest first."""

    def __init__(self, value: int) -> None:
        self.value = value

    def take(self, count: int) -> int:
        low = self.value & ((1 << count) - 1)
        self.value >>= count
        return low


def _codestream(data: bytes) -> bytes:
    """Give the beginning of the coded image in a file of boxes."""
    at = 0
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if length == 1 and at + 16 <= len(data):
            (length,) = struct.unpack_from(">Q", data, at + 8)
            head = 16
        if kind == b"jxlc":
            return data[at + head : at + head + 12]
        if kind == b"jxlp":  # a part of the image, numbered
            return data[at + head + 4 : at + head + 16]
        if length < head:
            break
        at += length
    return b""
