"""Quantization: levels to whole numbers of n bits, and back to within half a step."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from unweave._core.arrays import array_function
from unweave.errors import ParameterError

Bounds = tuple[float, float]
ROUNDINGS = ("nearest", "floor")
MAX_BITS = 16


@array_function
def level_bounds(
    levels: Tensor,
    *,
    percentiles: Bounds = (0.0, 100.0),
    dynamic_range: float | None = None,
) -> Bounds:
    """Find the levels that the lowest and the highest code shall stand for.

    Args:
        levels: Levels; what lies outside the bounds will be clipped to them.
        percentiles: Between which percentiles of the levels the bounds lie: (0, 100) is their
            whole range, (40, 100) what norbert 0.1.0c took.
        dynamic_range: If given, the lower bound lies this far below the upper: 80 dB of a
            logarithmic law in norbert's README era.

    Returns:
        The lower and the upper bound; the upper is larger, even where all levels are equal.

    Raises:
        ParameterError: The levels are empty or not finite, or a parameter is out of range.

    Shape:
        levels: (..., freq, frames)

    Example:
        >>> level_bounds(torch.tensor([-90.0, -20.0, -10.0]), dynamic_range=60.0)
        (-70.0, -10.0)
    """
    low, high = percentiles
    if not 0 <= low < high <= 100:
        raise ParameterError(f"percentiles={percentiles} must rise, from 0 to 100 at most")
    if dynamic_range is not None and not 0 < dynamic_range < math.inf:
        raise ParameterError(f"dynamic_range={dynamic_range!r} must be a positive number")
    if levels.numel() == 0:
        raise ParameterError("levels are empty: bounds cannot be found")
    lower, upper = (_percentile(levels, part) for part in (low, high))
    if not math.isfinite(lower) or not math.isfinite(upper):
        raise ParameterError("levels must be finite: they hold NaN or infinity")
    if dynamic_range is not None:
        lower = upper - dynamic_range
    return lower, upper if upper > lower else lower + 1.0


def _percentile(levels: Tensor, percent: float) -> float:
    """Interpolate linearly between order statistics, of any number of levels."""
    flat = levels.detach().flatten()
    if percent in (0, 100):
        return float(flat.min() if percent == 0 else flat.max())
    place = percent / 100 * (flat.numel() - 1)
    below = math.floor(place)
    first = float(flat.kthvalue(below + 1).values)
    second = float(flat.kthvalue(min(below + 2, flat.numel())).values)
    return first + (place - below) * (second - first)


@array_function
def quantize(levels: Tensor, *, bounds: Bounds, bits: int = 8, rounding: str = "nearest") -> Tensor:
    """Bring levels to whole numbers from 0, the lower bound, to 2^bits - 1, the upper.

    Args:
        levels: Levels; those outside the bounds are clipped to them.
        bounds: The levels of the lowest and of the highest code; see `level_bounds`.
        bits: Bits of a code, 1 to 16.
        rounding: "nearest", or "floor" as in norbert, which loses 3 dB and makes all quieter.

    Returns:
        Codes: uint8 up to 8 bits, int32 above.

    Raises:
        ParameterError: A parameter is out of range, or the levels are not floating numbers.

    Shape:
        levels: (..., freq, frames)
        returns: (..., freq, frames)

    Example:
        >>> quantize(torch.tensor([0.0, 0.5, 1.0]), bounds=(0.0, 1.0)).tolist()
        [0, 128, 255]
    """
    lower, upper = check_bounds(bounds)
    top = check_bits(bits)
    _check_rounding(rounding)
    if not levels.is_floating_point():
        raise ParameterError(f"levels of dtype {levels.dtype} must be floating numbers")
    unit = (levels - lower).clamp(0, upper - lower) / (upper - lower)
    codes = unit * top
    codes = codes.round() if rounding == "nearest" else codes.floor()
    return codes.to(torch.uint8 if bits <= 8 else torch.int32)


@array_function
def dequantize(
    codes: Tensor, *, bounds: Bounds, bits: int = 8, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Give the levels that codes stand for.

    Args:
        codes: What `quantize` gave, or a lossy image coder made of it.
        bounds: As they were for `quantize`.
        bits: As they were for `quantize`.
        dtype: Floating type of the levels.

    Returns:
        Levels, within `quantization_error` of those quantized where none was clipped.

    Raises:
        ParameterError: A parameter is out of range.

    Shape:
        codes: (..., freq, frames)
        returns: (..., freq, frames)

    Example:
        >>> dequantize(torch.tensor([0, 51, 255]), bounds=(0.0, 1.0))
        tensor([0.0000, 0.2000, 1.0000])
    """
    lower, upper = check_bounds(bounds)
    return codes.to(dtype) * ((upper - lower) / check_bits(bits)) + lower


def quantization_error(*, bounds: Bounds, bits: int = 8, rounding: str = "nearest") -> float:
    """Give the largest error that quantization makes of levels within the bounds.

    Args:
        bounds: The levels of the lowest and of the highest code.
        bits: Bits of a code.
        rounding: "nearest" or "floor".

    Returns:
        Half a step, or a whole one with "floor", in the unit of the levels (dB for "log").

    Raises:
        ParameterError: A parameter is out of range.

    Example:
        >>> round(quantization_error(bounds=(-80.0, 0.0)), 3)  # dB
        0.157
    """
    lower, upper = check_bounds(bounds)
    _check_rounding(rounding)
    step = (upper - lower) / check_bits(bits)
    return step / 2 if rounding == "nearest" else step


class Quantization(nn.Module):
    """Hold the parameters of `quantize` and its inverse.

    Args:
        bounds: The levels of the lowest and of the highest code.
        bits: Bits of a code, 1 to 16.
        rounding: "nearest" or "floor".

    Attributes:
        error_bound: The largest error of levels within the bounds.

    Raises:
        ParameterError: A parameter is out of range.

    Example:
        >>> layer = Quantization(bounds=(0.0, 1.0), bits=4)
        >>> layer.inverse(layer(torch.tensor([0.3]))), round(layer.error_bound, 4)
        (tensor([0.2667]), 0.0333)
    """

    def __init__(self, *, bounds: Bounds, bits: int = 8, rounding: str = "nearest") -> None:
        super().__init__()
        self.error_bound = quantization_error(bounds=bounds, bits=bits, rounding=rounding)
        self.bounds, self.bits, self.rounding = bounds, bits, rounding

    def forward(self, levels: Tensor) -> Tensor:
        """Bring levels to codes.

        Args:
            levels: Levels.

        Returns:
            Codes: uint8 up to 8 bits, int32 above.

        Shape:
            levels: (..., freq, frames)
            returns: (..., freq, frames)
        """
        return quantize(levels, bounds=self.bounds, bits=self.bits, rounding=self.rounding)

    def inverse(self, codes: Tensor) -> Tensor:
        """Give the levels that codes stand for.

        Args:
            codes: Codes.

        Returns:
            Levels, in float32.

        Shape:
            codes: (..., freq, frames)
            returns: (..., freq, frames)
        """
        return dequantize(codes, bounds=self.bounds, bits=self.bits)

    def extra_repr(self) -> str:
        """Name the parameters."""
        return f"bounds={self.bounds}, bits={self.bits}, rounding={self.rounding!r}"


def check_bits(bits: int) -> int:
    """Give the highest code of so many bits."""
    if isinstance(bits, bool) or not isinstance(bits, int) or not 1 <= bits <= MAX_BITS:
        raise ParameterError(f"bits={bits!r} must be an integer from 1 to {MAX_BITS}")
    return (1 << bits) - 1


def check_bounds(bounds: Bounds) -> Bounds:
    """Return bounds, or raise unless they are finite and rise."""
    lower, upper = bounds
    if not (math.isfinite(lower) and math.isfinite(upper) and lower < upper):
        raise ParameterError(f"bounds={bounds} must be two finite numbers that rise")
    return lower, upper


def _check_rounding(rounding: str) -> None:
    if rounding not in ROUNDINGS:
        raise ParameterError(f"rounding={rounding!r} must be one of {ROUNDINGS}")
