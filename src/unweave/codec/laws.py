"""Scaling laws: the curves that bring magnitudes into the range of pixels, and their inverses."""

from __future__ import annotations

import math

from torch import Tensor, nn

from unweave._core.arrays import array_function
from unweave._core.checks import non_negative
from unweave.errors import ParameterError
from unweave.transforms import log_compress, log_expand, power_compress, power_expand

LAWS = ("power", "log", "log1p", "linear")
EXPONENT = 1 / 3
FACTOR = 1000.0
FLOOR = 2.0**-52  # the magnitude that stands for silence on the logarithmic law, as norbert's
_DB = 20 / math.log(10)


@array_function
def scale(
    S: Tensor, *, law: str = "power", exponent: float = EXPONENT, factor: float = FACTOR
) -> Tensor:
    """Bring magnitudes to levels, evenly spaced steps of which are about equally audible.

    Args:
        S: Magnitudes, not negative.
        law: "power" gives S^exponent, finest in relation to what is loud, and 0 for silence.
            "log" gives decibels, 20 log10(S), with a floor at 2^-52 (-313 dB). "log1p" gives
            log(1 + factor * S), between the two. "linear" gives S.
        exponent: Of the power law; 1/3 measured best by a model of hearing.
        factor: Where "log1p" bends: magnitudes well below 1 / factor are merely scaled.

    Returns:
        The levels.

    Raises:
        ParameterError: S is not real and floating, or a parameter is out of range.

    Shape:
        S: (..., freq, frames)
        returns: (..., freq, frames)

    Example:
        >>> import torch
        >>> scale(torch.tensor([0.0, 0.001, 8.0]))
        tensor([0.0000, 0.1000, 2.0000])
        >>> scale(torch.tensor([0.01, 1.0]), law="log")
        tensor([-40.,   0.])
    """
    check_law(law, exponent, factor)
    if law == "power":
        return power_compress(S, exponent=exponent)
    if law == "log1p":
        return log_compress(S, factor=factor)
    _check_real(S)
    return S.clamp_min(FLOOR).log() * _DB if law == "log" else S


@array_function
def unscale(
    levels: Tensor, *, law: str = "power", exponent: float = EXPONENT, factor: float = FACTOR
) -> Tensor:
    """Give back the magnitudes that `scale` brought to levels.

    Args:
        levels: Levels; negative ones of another law than "log" count as silence.
        law: As it was for `scale`.
        exponent: As it was for `scale`.
        factor: As it was for `scale`.

    Returns:
        Magnitudes, not negative.

    Raises:
        ParameterError: The levels are not real and floating, or a parameter is out of range.

    Shape:
        levels: (..., freq, frames)
        returns: (..., freq, frames)

    Example:
        >>> import torch
        >>> unscale(torch.tensor([0.0, 0.5, 2.0]))
        tensor([0.0000, 0.1250, 8.0000])
    """
    check_law(law, exponent, factor)
    _check_real(levels)
    if law == "log":
        return (levels / _DB).exp()
    levels = levels.clamp_min(0)
    if law == "power":
        return power_expand(levels, exponent=exponent)
    return log_expand(levels, factor=factor) if law == "log1p" else levels


class Scaling(nn.Module):
    """Hold a scaling law; see `scale`.

    Args:
        law: "power", "log", "log1p" or "linear".
        exponent: Of the power law.
        factor: Where "log1p" bends.

    Raises:
        ParameterError: A parameter is out of range.

    Example:
        >>> import torch
        >>> law = Scaling(law="log")
        >>> law.inverse(law(torch.tensor([0.5])))
        tensor([0.5000])
    """

    def __init__(
        self, *, law: str = "power", exponent: float = EXPONENT, factor: float = FACTOR
    ) -> None:
        super().__init__()
        check_law(law, exponent, factor)
        self.law, self.exponent, self.factor = law, exponent, factor

    def forward(self, S: Tensor) -> Tensor:
        """Bring magnitudes to levels.

        Args:
            S: Magnitudes, not negative.

        Returns:
            The levels.

        Shape:
            S: (..., freq, frames)
            returns: (..., freq, frames)
        """
        return scale(S, law=self.law, exponent=self.exponent, factor=self.factor)

    def inverse(self, levels: Tensor) -> Tensor:
        """Give magnitudes back.

        Args:
            levels: What the layer gave.

        Returns:
            Magnitudes, not negative.

        Shape:
            levels: (..., freq, frames)
            returns: (..., freq, frames)
        """
        return unscale(levels, law=self.law, exponent=self.exponent, factor=self.factor)

    def extra_repr(self) -> str:
        """Name the parameters."""
        return f"law={self.law!r}, exponent={self.exponent:g}, factor={self.factor:g}"


def check_law(law: str, exponent: float, factor: float) -> None:
    """Raise unless the law is known and its parameters are positive."""
    if law not in LAWS:
        raise ParameterError(f"law={law!r} must be one of {LAWS}")
    for name, value in (("exponent", exponent), ("factor", factor)):
        if non_negative(name, value) == 0:
            raise ParameterError(f"{name}={value!r} must be a positive number")


def _check_real(values: Tensor) -> None:
    if not values.is_floating_point():
        raise ParameterError(
            f"values of dtype {values.dtype} must be real and floating: take the magnitudes of a"
            " complex spectrogram with .abs(), convert integers with .float()"
        )
