"""Several JPEG images in one file, by the multi-picture format of cameras.

The images follow each other, and the first has an index of all: any viewer shows the first, and
those that know the format, such as Pillow, show all.

References:
    CIPA DC-007, Multi-Picture Format.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from unweave.errors import CodecError

_PREFIX = b"MPF\0"
_APP0, _APP1, _APP2 = 0xE0, 0xE1, 0xE2
_VERSION, _COUNT, _ENTRIES = 0xB000, 0xB001, 0xB002
_UNDEFINED, _LONG = 7, 4
_ENTRY = 16  # bytes
_PANORAMA, _REPRESENTATIVE = 0x020001, 0x20000000  # images that go on where others end
MAX_IMAGES = 4000  # whose entries fit into one segment


def join(images: Sequence[bytes]) -> bytes:
    """Make one file of JPEG images."""
    first = images[0]
    place = _behind_exif(first)
    size = len(_segment([(0, 0)] * len(images)))
    # Offsets count from the byte order mark, which follows marker, length and prefix
    mark = place + 4 + len(_PREFIX)
    entries = [(len(first) + size, 0)]
    at = len(first) + size
    for image in images[1:]:
        entries.append((len(image), at - mark))
        at += len(image)
    return b"".join([first[:place], _segment(entries), first[place:], *images[1:]])


def _segment(entries: list[tuple[int, int]]) -> bytes:
    """Write the index: for each image its bytes and where it stands, 0 for the first."""
    rows = [
        struct.pack(">IIIHH", _PANORAMA | (0 if index else _REPRESENTATIVE), size, offset, 0, 0)
        for index, (size, offset) in enumerate(entries)
    ]
    tags = 3
    values = 8 + 2 + 12 * tags + 4
    tiff = (
        struct.pack(">2sHIH", b"MM", 42, 8, tags)
        + struct.pack(">HHI4s", _VERSION, _UNDEFINED, 4, b"0100")
        + struct.pack(">HHII", _COUNT, _LONG, 1, len(rows))
        + struct.pack(">HHII", _ENTRIES, _UNDEFINED, _ENTRY * len(rows), values)
        + struct.pack(">I", 0)
        + b"".join(rows)
    )
    return struct.pack(">HH", 0xFF00 | _APP2, 2 + len(_PREFIX) + len(tiff)) + _PREFIX + tiff


def _behind_exif(data: bytes) -> int:
    at = 2
    while data[at + 1] in (_APP0, _APP1):
        at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    return at


def places(head: bytes) -> list[tuple[int, int]]:
    """Find where the images of a file begin and end.

    Args:
        head: The file, or as much of it as holds the header of the first image.

    Returns:
        A place for each image; none if the file has no index.

    Raises:
        CodecError: The index is damaged.
    """
    at = head.find(_PREFIX)
    if head[:2] != b"\xff\xd8" or at < 0 or head[at - 4 : at - 2] != bytes([0xFF, _APP2]):
        return []
    mark = at + len(_PREFIX)
    try:
        order, _, first, tags = struct.unpack_from(">2sHIH", head, mark)
        if order != b"MM":
            return []  # a camera's
        for index in range(tags):
            tag, _, size, value = struct.unpack_from(">HHII", head, mark + first + 2 + 12 * index)
            if tag == _ENTRIES:
                return _places(head, mark, value, size // _ENTRY)
    except struct.error as error:
        raise CodecError("the JPEG file is damaged: its index breaks off") from error
    return []


def _places(head: bytes, mark: int, value: int, count: int) -> list[tuple[int, int]]:
    found = []
    for index in range(min(count, MAX_IMAGES)):
        _, size, offset, *_ = struct.unpack_from(">IIIHH", head, mark + value + _ENTRY * index)
        begin = mark + offset if index else 0
        found.append((begin, begin + size))
    return found
