"""What the command line says, and where: results on stdout, everything else on stderr."""

import json
import sys
import traceback
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def complain(message: str) -> None:
    """Print an error on stderr, in one line.

    Args:
        message: what went wrong and what to do about it.
    """
    print(f"unweave: {' '.join(message.split())}", file=sys.stderr, flush=True)


def show_traceback() -> None:
    """Print the traceback of the error at hand on stderr."""
    traceback.print_exc()


def console(*, stderr: bool = False) -> "Console":
    """Return a rich console, which obeys NO_COLOR and a redirected output.

    Args:
        stderr: write there instead of stdout.
    """
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=not sys.stdout.isatty())


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
    print(json.dumps(_finite(row), ensure_ascii=False), flush=True)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not abs(value) < float("inf"):
        return None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
