"""The state of a training in a file that a killed run leaves whole."""

import os
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from unweave.errors import UnweaveError, WeightsError
from unweave.training.files import replacing

FORMAT_VERSION = 1
_FORMAT = "unweave.training"
_REMEDY = (
    "move it away to start the training anew, or put the last.ckpt of an `unweave train` there"
)


def cannot_write(path: Path, error: BaseException) -> UnweaveError:
    """Put the error of a writer into one line.

    Args:
        path: What was to be written.
        error: What stopped it.

    Returns:
        An error that names the file, and the reason where the system gave one.
    """
    cause: BaseException | None = error
    while cause is not None and not (isinstance(cause, OSError) and cause.strerror):
        cause = cause.__cause__ or cause.__context__
    reason = getattr(cause, "strerror", None) or " ".join(str(error).split())[:200]
    return UnweaveError(
        f"cannot write {str(path)!r}: {str(reason).lower()}; what was there before is kept"
    )


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write the state of a training: tensors, numbers and text in lists and dictionaries.

    Args:
        path: Of the file, which appears complete or not at all.
        state: What to keep.

    Raises:
        UnweaveError: The file cannot be written; what was there is untouched.
    """
    try:
        with replacing(path) as part, part.open("wb") as file:
            torch.save({"format": f"{_FORMAT} {FORMAT_VERSION}"} | dict(state), file)
            file.flush()
    except (OSError, RuntimeError) as error:  # torch tells of a full disk by a RuntimeError
        raise cannot_write(path, error) from error


def load_state(path: Path) -> dict[str, Any]:
    """Read what `save_state` wrote, on the CPU. No code in the file is run.

    Args:
        path: Of the file.

    Returns:
        The state.

    Raises:
        WeightsError: The file is missing, damaged, of another program or of a newer format.
    """
    try:
        with path.open("rb") as file:
            if not zipfile.is_zipfile(file):
                raise WeightsError(f"{path}: is damaged or no training state: {_REMEDY}")
        state = torch.load(path, map_location="cpu", weights_only=True)
    except WeightsError:
        raise
    except OSError as error:
        raise WeightsError(
            f"{path}: {(error.strerror or str(error)).lower()}: {_REMEDY}"
        ) from error
    except Exception as error:  # whatever a foreign file makes the reader say
        raise WeightsError(f"{path}: {_what(error)}: {_REMEDY}") from error
    told = state.pop("format", "") if isinstance(state, dict) else ""
    kind, _, version = str(told).partition(" ")
    if kind != _FORMAT:
        raise WeightsError(f"{path}: is a checkpoint of another program: {_REMEDY}")
    if version != str(FORMAT_VERSION):
        raise WeightsError(
            f"{path}: has format {version[:20]}, this version of unweave reads {FORMAT_VERSION}:"
            " update unweave"
        )
    found: dict[str, Any] = state
    return found


def _what(error: Exception) -> str:
    text = " ".join(str(error).split())
    if "weights_only" in text or "Unsupported" in text:
        return "holds objects that could run code (a foreign pickle), which are never loaded"
    return f"is damaged ({text[:100] or type(error).__name__})"


def sweep(folder: Path) -> None:
    """Remove what a killed run left half written; nothing under a final name is touched.

    Args:
        folder: Of the checkpoints.
    """
    for leftover in [*folder.glob(".*.part-*"), *folder.glob(".weights-*")]:
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Let no second training write to a folder; a killed one does not leave it locked.

    Args:
        folder: Of the checkpoints.

    Yields:
        While the lock is held.

    Raises:
        UnweaveError: Another training holds the lock, or the folder cannot be written to.
    """
    path = folder / ".lock"
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
    except OSError as error:
        raise cannot_write(path, error) from error
    try:
        _take(descriptor, folder.parent)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, model: Path) -> None:
    try:
        import fcntl
    except ImportError:  # Windows has no such locks: two trainings are then the user's affair
        return
    try:
        # A lock of this process alone: processes that load data do not inherit it
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise UnweaveError(
            f"{str(model)!r} is being trained by another process: wait for it, or stop it"
        ) from error
