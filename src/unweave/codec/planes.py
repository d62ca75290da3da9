"""Image planes: channels as pictures one above the other, stereo as its middle and its sides."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from unweave._core.arrays import array_function
from unweave.errors import ParameterError

STEREO = ("mid_side", "left_right")


@array_function
def to_planes(levels: Tensor, *, stereo: str = "mid_side", center: float = 0.0) -> Tensor:
    """Bring the channels of levels to planes that an image coder makes smaller.

    With "mid_side", two channels l and r become (l + r) / 2 and (l - r) / 2 + center: the same
    error of both planes is the same error of the channels, whatever the side holds, and no side
    leaves the range of the levels. Other numbers of channels stay as they are.

    Args:
        levels: Levels of channels.
        stereo: "mid_side" or "left_right".
        center: The level that stands for equal channels, in the middle of the range.

    Returns:
        As many planes as channels.

    Raises:
        ParameterError: `stereo` is unknown, or there is no axis of channels.

    Shape:
        levels: (..., channels, freq, frames)
        returns: (..., channels, freq, frames)

    Example:
        >>> to_planes(torch.tensor([4.0, 2.0]).view(2, 1, 1), center=5.0).flatten()
        tensor([3., 6.])
    """
    _check(levels, stereo)
    if stereo != "mid_side" or levels.shape[-3] != 2:
        return levels
    left, right = levels.unbind(-3)
    return torch.stack([(left + right) / 2, (left - right) / 2 + center], -3)


@array_function
def from_planes(planes: Tensor, *, stereo: str = "mid_side", center: float = 0.0) -> Tensor:
    """Give back the channels that `to_planes` brought to planes.

    Args:
        planes: Levels of planes.
        stereo: As it was for `to_planes`.
        center: As it was for `to_planes`.

    Returns:
        Levels of channels.

    Raises:
        ParameterError: `stereo` is unknown, or there is no axis of planes.

    Shape:
        planes: (..., channels, freq, frames)
        returns: (..., channels, freq, frames)

    Example:
        >>> from_planes(torch.tensor([3.0, 6.0]).view(2, 1, 1), center=5.0).flatten()
        tensor([4., 2.])
    """
    _check(planes, stereo)
    if stereo != "mid_side" or planes.shape[-3] != 2:
        return planes
    mid, side = planes.unbind(-3)
    side = side - center
    return torch.stack([mid + side, mid - side], -3)


class ImagePlanes(nn.Module):
    """Hold the parameters of `to_planes` and its inverse.

    Args:
        stereo: "mid_side" or "left_right".
        center: The level that stands for equal channels.

    Raises:
        ParameterError: `stereo` is unknown.

    Example:
        >>> planes = ImagePlanes(center=0.5)
        >>> levels = torch.rand(2, 8, 5)
        >>> torch.allclose(planes.inverse(planes(levels)), levels)
        True
    """

    def __init__(self, *, stereo: str = "mid_side", center: float = 0.0) -> None:
        super().__init__()
        check_stereo(stereo)
        self.stereo, self.center = stereo, center

    def forward(self, levels: Tensor) -> Tensor:
        """Bring channels to planes.

        Args:
            levels: Levels of channels.

        Returns:
            As many planes.

        Shape:
            levels: (..., channels, freq, frames)
            returns: (..., channels, freq, frames)
        """
        return to_planes(levels, stereo=self.stereo, center=self.center)

    def inverse(self, planes: Tensor) -> Tensor:
        """Give channels back.

        Args:
            planes: What the layer gave.

        Returns:
            Levels of channels.

        Shape:
            planes: (..., channels, freq, frames)
            returns: (..., channels, freq, frames)
        """
        return from_planes(planes, stereo=self.stereo, center=self.center)

    def extra_repr(self) -> str:
        """Name the parameters."""
        return f"stereo={self.stereo!r}, center={self.center:g}"


def check_stereo(stereo: str) -> None:
    """Raise unless the arrangement of two channels is known."""
    if stereo not in STEREO:
        raise ParameterError(f"stereo={stereo!r} must be one of {STEREO}")


def _check(levels: Tensor, stereo: str) -> None:
    check_stereo(stereo)
    if levels.ndim < 3:
        raise ParameterError(
            f"levels of shape {tuple(levels.shape)} must be (..., channels, freq, frames)"
        )
