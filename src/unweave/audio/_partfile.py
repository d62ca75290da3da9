"""A file under a temporary name in its own folder, renamed when it is complete."""

import os
import secrets
import weakref
from pathlib import Path

from unweave.errors import AudioFileError

_LONGEST_NAME = 255


class PartFile:
    """Hold the temporary name of a file until it is complete.

    Whatever happens before `commit`, nothing appears under the final name; a process that is
    killed leaves at most a hidden `.name.part-*` file.

    Args:
        path: The final name; an existing file there stays until it is replaced.

    Raises:
        AudioFileError: The folder is missing or may not be written, or `path` is no plain file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.name = os.fspath(path)
        if "\0" in self.name:
            raise AudioFileError(f"cannot write {self.name!r}: the name holds a null character")
        self.target = Path(os.path.realpath(path))  # a link stays a link to the new content
        suffix = self.target.suffix
        ending = f".part-{secrets.token_hex(4)}{suffix}"
        room = _LONGEST_NAME - 1 - len(os.fsencode(ending))
        stem = os.fsdecode(os.fsencode(self.target.name.removesuffix(suffix))[:room])
        self.path = self.target.with_name(f".{stem}{ending}")
        try:
            if self.target.is_dir():
                raise AudioFileError(f"{self.name!r} is a folder: give a file name")
            if self.target.exists() and not self.target.is_file():
                raise AudioFileError(f"{self.name!r} is a device or pipe: give a file name")
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        except AudioFileError:
            raise
        except OSError as error:
            raise self.error(error) from error
        # also when the writer is dropped without being closed, or the interpreter exits
        self._remove = weakref.finalize(self, self.path.unlink, missing_ok=True)

    def commit(self) -> None:
        """Give the complete file its final name, in one step."""
        try:
            self.path.replace(self.target)
        except OSError as error:
            self.discard()
            raise self.error(error) from error
        self._remove.detach()

    def discard(self) -> None:
        """Remove the incomplete file."""
        self._remove()

    def error(self, error: Exception) -> AudioFileError:
        """Put an error of the operating system into one line that names the file."""
        folder = str(self.target.parent)
        if isinstance(error, FileNotFoundError):
            return AudioFileError(f"cannot write {self.name!r}: the folder {folder!r} is missing")
        if isinstance(error, PermissionError):
            return AudioFileError(f"cannot write {self.name!r}: no permission in {folder!r}")
        reason = getattr(error, "strerror", None) or str(error)
        return AudioFileError(f"cannot write {self.name!r}: {reason}")
