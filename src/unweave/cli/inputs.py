"""Which songs the words on the command line mean."""

import glob
import os
import re
import shutil
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from unweave.separation.layout import Track

OTHER_SUFFIXES = {".aif", ".aifc", ".wave", ".oga"}


def seconds(given: object) -> float:
    """Read a time: seconds, or minutes and hours with colons.

    Args:
        given: the word on the command line.

    Returns:
        Seconds.

    Raises:
        typer.BadParameter: it is no time.

    Example:
        >>> seconds("1:02:03.5"), seconds("1:30"), seconds("-2")
        (3723.5, 90.0, -2.0)
    """
    parts = str(given).split(":")
    try:
        if len(parts) == 1:
            return float(parts[0])
        if len(parts) > 3 or not all(re.fullmatch(r"\d+(\.\d*)?", part) for part in parts):
            raise ValueError
    except ValueError:
        raise typer.BadParameter(f"{given!r} is no time: give seconds, or 1:30") from None
    return sum(float(part) * 60.0**power for power, part in enumerate(reversed(parts)))


def find_tracks(
    given: str,
    *,
    avoid: Path,
    refuse: Callable[[str, Exception], object],
    suffixes: Collection[str] | None = None,
) -> "list[Track]":
    """Turn one word into songs.

    Args:
        given: a file, a folder that is searched with all its folders, or a glob.
        avoid: the output folder; stems of an earlier run are not separated again.
        refuse: called with a folder that cannot be searched, and why; the others are searched.
        suffixes: of the files wanted in folders, in lower case; those of audio if not given.

    Returns:
        The songs. Those of a folder are named by their place in it, so that the output mirrors it.

    Raises:
        AudioFileError: no file matches, or the folder holds no audio.
        OSError: the path cannot be looked at.
    """
    from unweave.errors import AudioFileError

    path = Path(given).expanduser()
    if os.path.lexists(path) or not glob.has_magic(given):
        return _file_or_folder(path, avoid, refuse, suffixes)
    matches = [
        Path(match)
        for match in sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207 (absolute too)
    ]
    skipped = avoid.resolve()
    # Unless nothing but stems is meant
    matches = [m for m in matches if not m.resolve().is_relative_to(skipped)] or matches
    if not matches:
        raise AudioFileError(f"no file matches {given!r}")
    return [track for match in matches for track in _file_or_folder(match, avoid, refuse, suffixes)]


def _file_or_folder(
    path: Path,
    avoid: Path,
    refuse: Callable[[str, Exception], object],
    suffixes: Collection[str] | None,
) -> "list[Track]":
    from unweave.separation.layout import Track

    return _search(path, avoid, refuse, suffixes) if path.is_dir() else [Track.of(path)]


def _search(
    folder: Path,
    avoid: Path,
    refuse: Callable[[str, Exception], object],
    wanted: Collection[str] | None,
) -> "list[Track]":
    from unweave.audio import supported_formats
    from unweave.errors import AudioFileError
    from unweave.separation.layout import Track

    suffixes = wanted or {f".{name}" for name in supported_formats()} | OTHER_SUFFIXES
    skipped = avoid.resolve()
    tracks = []
    refused = []

    def pass_over(error: OSError) -> None:
        refused.append(error)
        reason = (error.strerror or str(error)).lower()
        refuse(
            str(error.filename),
            AudioFileError(f"cannot search the folder {str(error.filename)!r}: {reason}"),
        )

    for place, folders, files in os.walk(folder, onerror=pass_over):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        folders[:] = [f for f in folders if (Path(place) / f).resolve() != skipped]
        for file in sorted(files):
            path = Path(place) / file
            if path.suffix.lower() in suffixes and not file.startswith("."):
                name = path.relative_to(folder).with_suffix("").as_posix()
                tracks.append(Track(path, name.removesuffix(".stem")))
    if not tracks and not refused:
        raise AudioFileError(
            f"the folder {str(folder)!r} holds no {'audio' if wanted is None else 'image'} files"
        )
    return tracks


def spooled_stdin(folder: Path) -> "list[Track]":
    """Copy standard input into a file, since most formats need to be read out of order.

    Args:
        folder: where the copy is kept.

    Returns:
        One song, named "stdin".

    Raises:
        AudioFileError: standard input is a terminal, or cannot be copied.
    """
    from unweave.errors import AudioFileError
    from unweave.separation.layout import Track

    if sys.stdin is None or sys.stdin.isatty():
        raise AudioFileError("'-' reads an audio file from standard input: pipe one in")
    path = folder / "stdin"
    try:
        with path.open("wb") as copy:
            shutil.copyfileobj(sys.stdin.buffer, copy)
    except OSError as error:
        raise AudioFileError(
            f"standard input cannot be kept in {str(folder)!r}: {error.strerror or error}"
            " (TMPDIR names another folder)"
        ) from error
    return [Track(path, "stdin")]
