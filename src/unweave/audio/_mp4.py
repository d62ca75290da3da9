"""The one box of an MP4 file that FFmpeg neither reads nor writes: the list of stems."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

_COLORS = ("#009E73", "#D55E00", "#CC79A7", "#56B4E9")
_LARGEST_LIST = 1 << 16
_NO_MASTERING = {
    "compressor": {
        "enabled": False,
        "ratio": 3,
        "output_gain": 0.5,
        "release": 0.3,
        "attack": 0.003,
        "input_gain": 0.5,
        "threshold": 0,
        "hp_cutoff": 300,
        "dry_wet": 50,
    },
    "limiter": {"enabled": False, "release": 0.05, "threshold": 0, "ceiling": -0.35},
}


@dataclass(frozen=True)
class _Box:
    name: bytes
    start: int
    body: int
    end: int


def _boxes(file: BinaryIO, start: int, end: int) -> Iterator[_Box]:
    """Walk over the boxes between two offsets, as far as their sizes make sense."""
    while start + 8 <= end:
        file.seek(start)
        head = file.read(16)
        size, name, body = int.from_bytes(head[:4], "big"), head[4:8], start + 8
        if size == 1:  # 64-bit size
            size, body = int.from_bytes(head[8:16], "big"), start + 16
        elif size == 0:
            size = end - start
        if body > start + size or start + size > end:
            return
        yield _Box(name, start, body, start + size)
        start += size


def _find(file: BinaryIO, names: list[bytes], end: int) -> _Box | None:
    box = _Box(b"", 0, 0, end)
    for name in names:
        inner = next((b for b in _boxes(file, box.body, box.end) if b.name == name), None)
        if inner is None:
            return None
        box = inner
    return box


def stem_names(path: Path) -> list[str]:
    """Read the stems' names from `moov/udta/stem`; none if the file has no such list.

    Args:
        path: An MP4 file.
    """
    with path.open("rb") as file:
        box = _find(file, [b"moov", b"udta", b"stem"], path.stat().st_size)
        if box is None or box.end - box.body > _LARGEST_LIST:
            return []
        file.seek(box.body)
        content = file.read(box.end - box.body)
    try:
        stems: Any = json.loads(content)["stems"]
        return [str(stem["name"]) for stem in stems]
    except (ValueError, KeyError, TypeError, RecursionError):
        return []


def add_stem_names(path: Path, names: list[str]) -> None:
    """Write the list of stems into a finished MP4 file whose `moov` box comes last.

    `moov` behind the samples means that no sample offset changes when it grows.

    Args:
        path: The file, changed in place.
        names: One name for each stem, without the mixture.
    """
    stems = [
        {"name": name, "color": _COLORS[index % len(_COLORS)]} for index, name in enumerate(names)
    ]
    content = json.dumps({"version": 1, "mastering_dsp": _NO_MASTERING, "stems": stems}).encode()
    stem = _box(b"stem", content)
    size = path.stat().st_size
    with path.open("r+b") as file:
        moov = _find(file, [b"moov"], size)
        if moov is None or moov.end != size:
            raise OSError("the MP4 file has no index at its end to add the stems' names to")
        udta = _find(file, [b"moov", b"udta"], size)
        file.seek(moov.body)
        body = bytearray(file.read(moov.end - moov.body))
        if udta is None:
            body += _box(b"udta", stem)
        else:
            start, end = udta.start - moov.body, udta.end - moov.body
            body[start:end] = _box(b"udta", bytes(body[udta.body - moov.body : end]) + stem)
        file.seek(moov.start)
        file.write(_box(b"moov", bytes(body)))


def _box(name: bytes, body: bytes) -> bytes:
    return (8 + len(body)).to_bytes(4, "big") + name + body
