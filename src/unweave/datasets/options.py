"""The words of `AudioFolder` beyond those that say what lies where."""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, TypedDict

import torch
from torch import Tensor

from unweave._core.checks import non_negative
from unweave.datasets.layouts import LAYOUTS
from unweave.datasets.pcm import Progress
from unweave.datasets.tracks import MISSING
from unweave.errors import ParameterError

Augment = Callable[[Tensor, torch.Generator], Tensor]
"""Changes stems of shape (sources, channels, time), drawing from the generator."""


class FolderWords(TypedDict, total=False):
    """The words, for type checkers; `FolderOptions` explains them."""

    seed: int
    samples_per_epoch: float | None
    max_num_tracks: int | None
    active: float
    remix: float
    augment: Augment | None
    resample: bool
    missing: str
    layout: str
    cache_dir: str | os.PathLike[str] | None
    progress: Progress | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderOptions:
    """How excerpts are drawn from a folder, and how the folder is read.

    Attributes:
        seed: Excerpt `i` of epoch `e` depends on it, on `e` and `i`, and on nothing else.
        samples_per_epoch: Excerpts in one pass, over all workers and ranks together; None never
            ends.
        max_num_tracks: Read only the first so many tracks.
        active: Share of excerpts in which a target that is drawn by lot surely sounds; the others
            are taken from anywhere.
        remix: Share of excerpts whose stems come from different places of different tracks.
        augment: Called with the stems, targets first, and a seeded `torch.Generator`; gives stems
            that may be shorter if it has an attribute `context` that says how many times longer
            they must be at first. The mixture is then their sum.
        resample: Whether files at another rate than `sample_rate` are resampled or refused.
        missing: "error" refuses a track without one of the stems, "silent" takes it as silent.
        layout: "tracks", "sources", "stem.mp4", or "auto".
        cache_dir: Where decoded signals are kept; None is `unweave/stems` in the user's cache.
        progress: Called with the number of signals decoded so far and that of all.

    Raises:
        ParameterError: A value is out of range.
    """

    seed: int = 0
    samples_per_epoch: float | None = None
    max_num_tracks: int | None = None
    active: float = 0.85
    remix: float = 0.0
    augment: Augment | None = None
    resample: bool = False
    missing: str = "error"
    layout: str = "auto"
    cache_dir: str | os.PathLike[str] | None = None
    progress: Progress | None = None

    def __post_init__(self) -> None:
        for name in ("active", "remix"):
            if non_negative(name, getattr(self, name)) > 1:
                raise ParameterError(f"{name}={getattr(self, name)} is a share: from 0 to 1")
        for name in ("samples_per_epoch", "max_num_tracks"):
            value = getattr(self, name)
            if value is not None:
                whole_number(name, value)
        if self.layout not in ("auto", *LAYOUTS):
            raise ParameterError(f"layout={self.layout!r} must be auto, {', '.join(LAYOUTS)}")
        if self.missing not in MISSING:
            raise ParameterError(f"missing={self.missing!r} must be error or silent")
        if not isinstance(self.seed, int) or self.seed < 0:
            raise ParameterError(f"seed={self.seed!r} must be an integer of at least 0")

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> "FolderOptions":
        """Give the options, or raise for an unknown one.

        Args:
            given: What the caller of `AudioFolder` said.

        Raises:
            ParameterError: A word is unknown or its value out of range.
        """
        require_known(given, [field.name for field in fields(cls)])
        return cls(**given)


def require_known(given: Iterable[str], known: Iterable[str]) -> None:
    """Raise for the first unknown argument.

    Args:
        given: Names of the arguments.
        known: Those that are allowed.

    Raises:
        ParameterError: One is unknown.
    """
    known = list(known)
    for name in given:
        if name not in known:
            raise ParameterError(f"unknown argument {name!r}: known are {', '.join(known)}")


def whole_number(name: str, value: object) -> int:
    """Return a positive whole number as an int, also one written as 1e5.

    Args:
        name: Of the argument, for the error.
        value: What the caller gave.

    Raises:
        ParameterError: It is not whole or not positive.

    Example:
        >>> whole_number("num_chunks", 1e5)
        100000
    """
    fits = isinstance(value, int | float) and not isinstance(value, bool)
    if not fits or value < 1 or value != value // 1:  # type: ignore[operator]
        raise ParameterError(f"{name}={value!r} must be a positive whole number")
    return int(value)
