"""Shows how far iterations have come."""

from __future__ import annotations

from collections.abc import Iterable


def steps(number: int, text: str, verbose: bool) -> Iterable[int]:
    """Count steps, with a bar on standard error if wanted.

    Args:
        number: Of steps.
        text: What the bar is about.
        verbose: Whether there is a bar.
    """
    if not verbose:
        return range(number)
    from rich.console import Console
    from rich.progress import track

    return track(range(number), text, console=Console(stderr=True), transient=False)
