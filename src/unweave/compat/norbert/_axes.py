"""norbert's order of axes and ours."""

from __future__ import annotations

import torch
from torch import Tensor

from unweave.errors import ParameterError


def sources_first(v: Tensor, name: str) -> Tensor:
    """Turn (frames, bins, channels, sources) into (sources, channels, bins, frames).

    Args:
        v: What the caller gave.
        name: The argument's name, quoted in the error.

    Raises:
        ParameterError: It has another number of axes.
    """
    check_axes(v, name, "nb_frames, nb_bins, nb_channels, nb_sources")
    return v.permute(3, 2, 1, 0)


def sources_last(y: Tensor) -> Tensor:
    """Turn (sources, channels, bins, frames) into (frames, bins, channels, sources)."""
    return y.permute(3, 2, 1, 0)


def channels_first(x: Tensor, name: str) -> Tensor:
    """Turn (frames, bins, channels) into (channels, bins, frames).

    Args:
        x: What the caller gave.
        name: The argument's name, quoted in the error.

    Raises:
        ParameterError: It has another number of axes.
    """
    check_axes(x, name, "nb_frames, nb_bins, nb_channels")
    return x.permute(2, 1, 0)


def as_complex(x: Tensor) -> Tensor:
    """Give a mixture the imaginary part that ours need: norbert's functions take magnitudes, too.

    Args:
        x: What the caller gave, of any dtype.
    """
    if x.is_complex():
        return x
    double = x.dtype == torch.float64 or not x.dtype.is_floating_point
    return x.to(torch.complex128 if double else torch.complex64)


def check_axes(x: Tensor, name: str, axes: str) -> None:
    """Refuse arrays that have another number of axes.

    Args:
        x: What the caller gave.
        name: The argument's name, quoted in the error.
        axes: Names of the axes, separated by commas.

    Raises:
        ParameterError: The number is another.
    """
    if x.ndim != axes.count(",") + 1:
        raise ParameterError(f"{name} of shape {tuple(x.shape)} must be ({axes})")
