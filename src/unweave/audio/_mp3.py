"""Tells what is no MP3, or a truncated one, before the decoder wonders aloud on stderr."""

from pathlib import Path

_XING_BYTES = 0x2
_SLACK = 0.99
_SEARCHED = 1 << 16  # bytes in which the first frames must begin
_KBITS = {
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),  # MPEG 1, layer III
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),  # MPEG 2 and 2.5
}
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}


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


def begins_somewhere(path: Path) -> bool:
    """Tell whether two MPEG frames of layer III follow one another near the start of a file.

    Args:
        path: A file that is called an MP3 but does not begin like one.
    """
    with path.open("rb") as file:
        head = file.read(_SEARCHED)
    at = head.find(b"\xff")
    while at >= 0:
        length = _frame_length(head[at : at + 4])
        if length and _frame_length(head[at + length : at + length + 4]):
            return True
        at = head.find(b"\xff", at + 1)
    return False


def _frame_length(header: bytes) -> int:
    """Give the bytes of the frame that a header of four bytes begins, or 0 if it is none."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2:
        return 0
    version, kbits, rate = header[1] >> 3 & 3, header[2] >> 4, header[2] >> 2 & 3
    if version not in _RATES or kbits in (0, 15) or rate == 3:
        return 0
    mpeg1 = version == 3
    size = (144_000 if mpeg1 else 72_000) * _KBITS[mpeg1][kbits]
    return size // _RATES[version][rate] + (header[2] >> 1 & 1)
