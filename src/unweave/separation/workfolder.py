"""The hidden folder that a song's files are made in, and what a killed process left of one.

A process that is killed outright (kill -9, a power cut, too little memory) cannot remove its
folder. While a process lives it holds a lock on its folder; so the next one that writes to the same
place can tell the folders that nobody uses any more. Where locks do not exist, or do not reach (the
folder was made by another computer, on a shared disk), nothing is removed.
"""

import contextlib
import os
import platform
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

fcntl: Any = import_module("fcntl") if os.name == "posix" else None

_GRACE = 60.0  # seconds in which a new folder gets its lock


@contextmanager
def work_folder(folder: Path) -> Iterator[Path]:
    """Make a hidden folder within another one, and remove it with all that it holds.

    Args:
        folder: where the finished files will go.

    Yields:
        The new folder, whose files can be renamed into `folder`.

    Raises:
        OSError: it cannot be made.

    Example:
        >>> with work_folder(Path()) as place:
        ...     place.name.startswith(".unweave-")
        True
    """
    with tempfile.TemporaryDirectory(dir=folder, prefix=_prefix()) as name:
        lock = _lock(Path(name), shared=True)
        try:
            yield Path(name)
        finally:
            if lock is not None:
                os.close(lock)


def remove_leftovers(folder: Path) -> list[Path]:
    """Remove the work folders in a folder that belong to no living process.

    Args:
        folder: that songs were written to; it may be missing.

    Returns:
        The folders that were removed.

    Example:
        >>> remove_leftovers(Path("no such folder"))
        []
    """
    removed = []
    with contextlib.suppress(OSError):  # a folder that cannot be searched is told of when written
        for path in folder.glob(f"{_prefix()}*"):
            if path.is_dir() and not path.is_symlink() and _abandoned(path):
                shutil.rmtree(path, ignore_errors=True)
                removed.append(path)
    return removed


def _prefix() -> str:
    return f".unweave-{re.sub('[^A-Za-z0-9.]', '', platform.node())[:64]}-"


def _abandoned(path: Path) -> bool:
    try:
        if time.time() - path.stat().st_mtime < _GRACE:
            return False
    except OSError:  # it has just been removed by its owner
        return False
    lock = _lock(path, shared=False)
    if lock is None:
        return False
    os.close(lock)
    return True


def _lock(path: Path, *, shared: bool) -> int | None:
    """Lock a folder and return the descriptor that holds the lock, or None if that cannot be."""
    if fcntl is None:
        return None
    try:
        descriptor: int = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
