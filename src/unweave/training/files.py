"""Files that appear complete or not at all, whenever the process is killed."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name in the folder of a file, and the file's own name once it is written.

    What was there stays until then. A process that is killed leaves at most a hidden
    `.name.part-*` file.

    Args:
        path: Of the file.

    Yields:
        Where to write.

    Raises:
        OSError: The folder is missing, full or may not be written.

    Example:
        >>> with replacing(Path("config.json")) as part:
        ...     _ = part.write_text("{}")
        >>> Path("config.json").read_text()
        '{}'
    """
    part = path.with_name(f".{path.name}.part-{secrets.token_hex(4)}")
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
