"""The curve that makes soft masks harder, and the check of the values it and its kin are given."""

from __future__ import annotations

import torch
from torch import Tensor

from unweave.errors import ParameterError
from unweave.filtering._checks import check_range, may_be_negative

SLOPE = 15.0
"""The slope of the curve where nothing else is asked for, that of norbert's."""


def harden(mask: Tensor, thresh: float, slope: float = SLOPE) -> Tensor:
    """Bring masks above a threshold closer to 1 and those below closer to 0.

    The curve is 1 / (1 + exp(-slope (mask - thresh))): 1/2 at the threshold.

    Args:
        mask: Gains between 0 and 1.
        thresh: Where the curve is steepest.
        slope: Four times its slope there.

    Returns:
        Gains between 0 and 1.

    Example:
        >>> harden(torch.tensor([0.0, 0.6, 1.0]), 0.6)
        tensor([1.2339e-04, 5.0000e-01, 9.9753e-01])
    """
    return torch.sigmoid(slope * (mask - thresh))


def check_curve(
    thresh: float, slope: float = SLOPE, *, name: str = "thresh"
) -> tuple[float, float]:
    """Return the parameters of the curve, or raise where it would not be one.

    Args:
        thresh: Between 0 and 1.
        slope: Positive.
        name: What the caller calls the threshold.

    Raises:
        ParameterError: One is out of range.
    """
    thresh = check_range(name, thresh, 0.0, 1.0)
    if isinstance(slope, bool) or not isinstance(slope, int | float) or not slope > 0:
        raise ParameterError(f"slope={slope!r} must be a positive number")
    return thresh, float(slope)


def check_values(v: Tensor, name: str = "v") -> None:
    """Refuse models with NaN or negative values, where values may be looked at.

    Args:
        v: Real models.
        name: The argument's name, quoted in the error.

    Raises:
        ParameterError: One is negative or no number.
    """
    if not may_be_negative(v):
        return
    least = v.detach().amin().item()  # a NaN anywhere makes this NaN
    if least >= 0:
        return
    wrong = "negative values" if least < 0 else "values that are no numbers (NaN)"
    raise ParameterError(
        f"{name} has {wrong}: models are magnitudes or powers; use {name}.abs(),"
        f" {name}.clamp(min=0) or {name}.nan_to_num()"
    )
