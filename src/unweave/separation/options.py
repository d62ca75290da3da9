"""What a separation can be asked for beyond its model."""

import difflib
import math
from dataclasses import dataclass, fields
from typing import Self, TypedDict, Unpack

from unweave.errors import ParameterError

MAX_SEGMENT = 600.0


class OptionKeywords(TypedDict, total=False):
    """The fields of `SeparationOptions` as keyword arguments."""

    segment: float | None
    overlap: float
    shifts: int
    seed: int
    mixture_consistency: bool
    residual: bool
    batch_size: int
    wiener: int


@dataclass(frozen=True, slots=True)
class SeparationOptions:
    """How a signal is cut up, run through the network and put together again.

    Args:
        segment: seconds of signal the network sees at once; None takes the network's own figure.
            Memory grows with it.
        overlap: share of a segment that its successor repeats, 0 to 0.95. The outer parts of it
            only give the network context, the middle is cross-faded.
        shifts: average this many runs, each displaced by a random time of up to half a second; 0
            makes one run in place. Computing time grows with it.
        seed: of the random displacements.
        mixture_consistency: share what the stems lack of the mixture equally among them, so that
            they sum to it; stems of a model that does not know all sources stay as they are.
        residual: give what the stems lack of the mixture as one more stem, named "residual",
            instead of sharing it.
        batch_size: segments that are run at once: useful on a GPU; memory grows with it.
        wiener: iterations of the multichannel Wiener filter that refines the stems of each segment;
            0 leaves them as the network made them. It helps stems whose places in the stereo
            picture differ; see docs/filtering.md.

    Raises:
        ParameterError: a value is out of range.

    Example:
        >>> SeparationOptions(overlap=2)
        Traceback (most recent call last):
        unweave.errors.ParameterError: overlap=2 must lie between 0 and 0.95
    """

    segment: float | None = None
    overlap: float = 0.1
    shifts: int = 0
    seed: int = 0
    mixture_consistency: bool = True
    residual: bool = False
    batch_size: int = 1
    wiener: int = 0

    def __post_init__(self) -> None:
        if self.segment is not None and not 0 < self.segment <= MAX_SEGMENT:
            raise ParameterError(
                f"segment={self.segment} must be seconds above 0 and up to {MAX_SEGMENT:g}"
            )
        if not (math.isfinite(self.overlap) and 0 <= self.overlap <= 0.95):
            raise ParameterError(f"overlap={self.overlap} must lie between 0 and 0.95")
        if not 0 <= self.shifts <= 100:
            raise ParameterError(f"shifts={self.shifts} must lie between 0 and 100")
        if self.batch_size < 1:
            raise ParameterError(f"batch_size={self.batch_size} must be a positive integer")
        whole = isinstance(self.wiener, int) and not isinstance(self.wiener, bool)
        if not whole or not 0 <= self.wiener <= 100:
            raise ParameterError(f"wiener={self.wiener!r} must be a whole number from 0 to 100")

    @classmethod
    def of(cls, **keywords: Unpack[OptionKeywords]) -> Self:
        """Build options from keyword arguments, with a helpful error for an unknown one.

        Args:
            **keywords: fields of this class.

        Returns:
            The options.

        Raises:
            ParameterError: an option is unknown or out of range.

        Example:
            >>> SeparationOptions.of(overlp=0.2)
            Traceback (most recent call last):
            unweave.errors.ParameterError: unknown option 'overlp': did you mean 'overlap'?
        """
        known = [field.name for field in fields(cls)]
        for name in keywords:
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}"
                raise ParameterError(f"unknown option {name!r}: {hint}")
        return cls(**keywords)
