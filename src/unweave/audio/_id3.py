"""MP3 tags in Unicode: libsndfile would write UTF-8 text and call it Latin-1."""

import shutil
from pathlib import Path

_FRAMES = {
    "title": "TIT2",
    "artist": "TPE1",
    "album": "TALB",
    "date": "TDRC",
    "genre": "TCON",
    "tracknumber": "TRCK",
    "copyright": "TCOP",
    "software": "TSSE",
}
_UTF8 = b"\x03"


def id3_tag(tags: dict[str, str]) -> bytes:
    """Build an ID3v2.4 tag, or nothing if none of the tags has a frame.

    Args:
        tags: Text by the names that `unweave.audio.info` uses.

    Example:
        >>> id3_tag({"title": "Été"}).startswith(b"ID3")
        True
    """
    body = b"".join(
        _frame(_FRAMES[key], _UTF8 + text.encode(errors="replace"))
        for key, text in tags.items()
        if key in _FRAMES
    )
    if comment := tags.get("comment"):
        body += _frame("COMM", _UTF8 + b"eng\0" + comment.encode(errors="replace"))
    return b"ID3\x04\0\0" + _syncsafe(len(body)) + body if body else b""


def prepend(path: Path, tag: bytes) -> None:
    """Put a tag before a finished file; needs the file's size once more on the disk meanwhile.

    Args:
        path: The file, which is replaced.
        tag: What to put first.
    """
    longer = path.with_name(path.name + ".tag")
    try:
        with path.open("rb") as bare, longer.open("wb") as file:
            file.write(tag)
            shutil.copyfileobj(bare, file, 1 << 20)
        longer.replace(path)
    finally:
        longer.unlink(missing_ok=True)


def _frame(name: str, content: bytes) -> bytes:
    return name.encode() + _syncsafe(len(content)) + b"\0\0" + content


def _syncsafe(number: int) -> bytes:
    """Write a length in four bytes of seven bits, so that it never looks like an MPEG sync."""
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))
