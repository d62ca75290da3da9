"""norbert's order of axes and ours."""

from __future__ import annotations

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
