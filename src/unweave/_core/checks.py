"""Argument checks shared by all layers: each returns the checked value or raises ParameterError."""

import math
from numbers import Integral, Real

from unweave.errors import ParameterError


def positive_int(name: str, value: object) -> int:
    """Return `value` as an int, or raise if it is not a positive integer.

    Args:
        name: The argument's name, quoted in the error.
        value: What the caller gave.

    Raises:
        ParameterError: `value` is not an integer of at least 1.

    Example:
        >>> positive_int("hop_length", 512)
        512
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise ParameterError(f"{name}={value!r} must be a positive integer")
    return int(value)


def non_negative(name: str, value: object) -> float:
    """Return `value` as a float, or raise if it is not a finite number of at least 0.

    Args:
        name: The argument's name, quoted in the error.
        value: What the caller gave.

    Raises:
        ParameterError: `value` is negative, not finite or not a number.

    Example:
        >>> non_negative("start", 1.5)
        1.5
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ParameterError(f"{name}={value!r} must be a number of at least 0")
    if not math.isfinite(value) or value < 0:
        raise ParameterError(f"{name}={value!r} must be finite and at least 0")
    return float(value)
