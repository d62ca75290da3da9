"""What the command line says, and where: results on stdout, everything else on stderr."""

import json
import os
import sys
import traceback
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_UNBROKEN = 10_000


def complain(message: str) -> None:
    """Print an error on stderr, in one line.

    Args:
        message: what went wrong and what to do about it.
    """
    print(f"unweave: {' '.join(message.split())}", file=sys.stderr, flush=True)


def describe(error: BaseException) -> str:
    """Put an error into words.

    Args:
        error: whose own text is for people, unless the operating system raised it.

    Returns:
        The text.

    Example:
        >>> describe(FileNotFoundError(2, "No such file or directory", "a.wav"))
        "'a.wav': no such file or directory"
    """
    if isinstance(error, OSError) and error.strerror:
        named = f"{os.fspath(error.filename)!r}: " if error.filename is not None else ""
        return named + error.strerror[:1].lower() + error.strerror[1:]
    if isinstance(error, MemoryError) and not str(error):
        return "too little memory: use a shorter --segment or fewer --workers"
    return str(error) or type(error).__name__


def show_traceback() -> None:
    """Print the traceback of the error at hand on stderr."""
    traceback.print_exc()


def console(*, stderr: bool = False) -> "Console":
    """Return a rich console, which obeys NO_COLOR and a redirected output.

    Args:
        stderr: write there instead of stdout.
    """
    from rich.console import Console

    # Song names may hold [brackets] and :colons:, which mean nothing here. What is read by a
    # program or from a file must not be broken at some width.
    terminal = (sys.stderr if stderr else sys.stdout).isatty()
    return Console(
        stderr=stderr,
        highlight=False,
        markup=False,
        emoji=False,
        width=None if terminal else _UNBROKEN,
        soft_wrap=not terminal,
    )


def table(*columns: str, right: tuple[str, ...] = ()) -> "Table":
    """Return an empty table in the house's plain style.

    Args:
        *columns: headings.
        right: headings of the columns that are set flush right.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    made = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(
            column, justify="right" if column in right else "left", overflow="fold", no_wrap=False
        )
    return made


def print_json(row: dict[str, Any]) -> None:
    """Print one JSON object on a line of stdout.

    Args:
        row: values that JSON knows; infinite or undefined numbers become null.
    """
    print(json_line(row, sys.stdout), flush=True)


def json_line(row: dict[str, Any], stream: TextIO) -> str:
    """Put an object into one line of JSON that a stream can hold.

    Args:
        row: values that JSON knows; infinite or undefined numbers become null.
        stream: where the line goes; letters that its encoding lacks are escaped.

    Returns:
        The line, without its end.

    Example:
        >>> print(json_line({"peak": float("nan")}, sys.stderr))
        {"peak": null}
    """
    # A lone surrogate, of a name that is no UTF-8, is escaped as JSON does it by the stream itself
    utf8 = (getattr(stream, "encoding", None) or "utf-8").lower().replace("-", "") == "utf8"
    return json.dumps(_finite(row), ensure_ascii=not utf8)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not abs(value) < float("inf"):
        return None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
