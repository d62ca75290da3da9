"""Tells a truncated MP3 by its Xing header, before the decoder wonders aloud on stderr."""

from pathlib import Path

_XING_BYTES = 0x2
_SLACK = 0.99


def shortfall(path: Path) -> tuple[int, int] | None:
    """Return the bytes that a truncated MP3 has and should have, or None if it looks whole.

    Only a file with a Xing (or Info) header states its size; others are taken as they are.

    Args:
        path: A file that may be an MP3.
    """
    with path.open("rb") as file:
        head = file.read(10)
        start = 0
        if head[:3] == b"ID3" and len(head) == 10:
            length = sum(
                (byte & 0x7F) << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True)
            )
            start = 10 + length
        file.seek(start)
        frame = file.read(192)
        present = path.stat().st_size - start
    if len(frame) < 64 or frame[0] != 0xFF or frame[1] & 0xE6 != 0xE2:  # sync and layer III
        return None
    mpeg1, mono = frame[1] & 0x18 == 0x18, frame[3] & 0xC0 == 0xC0
    side = {(True, False): 32, (True, True): 17, (False, False): 17, (False, True): 9}[mpeg1, mono]
    xing = frame[4 + side :]
    if xing[:4] not in (b"Xing", b"Info") or not xing[7] & _XING_BYTES:
        return None
    at = 8 + 4 * (xing[7] & 1)
    stated = int.from_bytes(xing[at : at + 4], "big")
    return (present, stated) if present < _SLACK * stated else None
