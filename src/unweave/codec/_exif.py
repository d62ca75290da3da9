"""The user comment of an Exif block: the one slot of text that all our image formats have.

An Exif block is a small TIFF file: a header, and tables of entries (tag, type, count, value or
place of the value).
"""

from __future__ import annotations

import struct

from unweave.errors import CodecError

_PREFIX = b"Exif\0\0"
_EXIF_TABLE, _USER_COMMENT = 0x8769, 0x9286
_LONG, _UNDEFINED = 4, 7
_ENTRY = 12
_CODES = {b"ASCII\0\0\0": "ascii", b"UNICODE\0": "utf-16-be", b"\0" * 8: "utf-8"}


def build(comment: str) -> bytes:
    """Give an Exif block, with its prefix, that holds one user comment in ASCII."""
    text = b"ASCII\0\0\0" + comment.encode("ascii")
    first, second = 8, 8 + 2 + _ENTRY + 4
    place = second + 2 + _ENTRY + 4
    return (
        _PREFIX
        + struct.pack(">2sHI", b"MM", 42, first)
        + struct.pack(">HHHIII", 1, _EXIF_TABLE, _LONG, 1, second, 0)
        + struct.pack(">HHHIII", 1, _USER_COMMENT, _UNDEFINED, len(text), place, 0)
        + text
    )


def user_comment(block: bytes) -> str | None:
    """Read the user comment of an Exif block, or None if it has none.

    Raises:
        CodecError: The block is damaged.
    """
    tiff = block.removeprefix(_PREFIX)
    order = {b"MM": ">", b"II": "<"}.get(tiff[:2])
    if order is None:
        return None
    try:
        (first,) = struct.unpack_from(order + "4xI", tiff)
        entry = _find(tiff, order, first, _EXIF_TABLE)
        if entry is None:
            return None
        entry = _find(tiff, order, entry[1], _USER_COMMENT)
        if entry is None:
            return None
        count, place = entry
        if place + count > len(tiff):
            raise CodecError("the image's Exif block is damaged: its comment goes beyond its end")
        text = tiff[place : place + count]
        return text[8:].decode(_CODES.get(text[:8], "ascii"))
    except (struct.error, UnicodeDecodeError) as error:
        raise CodecError(f"the image's Exif block is damaged: {error}") from error


def _find(tiff: bytes, order: str, table: int, tag: int) -> tuple[int, int] | None:
    """Give count and value of the entry of a tag."""
    (entries,) = struct.unpack_from(order + "H", tiff, table)
    for index in range(entries):
        found, _, count, value = struct.unpack_from(
            order + "HHII", tiff, table + 2 + _ENTRY * index
        )
        if found == tag:
            return count, value
    return None
