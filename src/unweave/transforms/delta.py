"""Delta features: how features change from frame to frame."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor, nn

from unweave._core.arrays import array_function
from unweave._core.checks import positive_int
from unweave.errors import ParameterError
from unweave.transforms._analysis import check_choice, like, single
from unweave.transforms.compression import check_real

_MODES = ("interp", "nearest", "mirror", "constant", "wrap")


@array_function
def delta(features: Tensor, *, width: int = 9, order: int = 1, mode: str = "interp") -> Tensor:
    """Give the derivative of features along the frames, from polynomials fitted to a few of them.

    At each frame a polynomial of degree `order` is fitted to the `width` frames around it by least
    squares, and its derivative is taken [Savitzky1964]. It equals librosa's.

    Args:
        features: Features such as cepstral coefficients.
        width: Number of frames that a polynomial is fitted to, odd and at least 3.
        order: Order of the derivative: 1 for the speed of change, 2 for its acceleration.
        mode: What is done at the ends: "interp" fits to the first and last `width` frames;
            otherwise the features are continued, by their last value ("nearest"), mirrored about it
            ("mirror"), by zero ("constant") or from the other end ("wrap").

    Returns:
        The derivative, in features per frame (to the power of `order`).

    Raises:
        ParameterError: A parameter is out of range, or there are fewer than `width` frames for
            "interp".

    Shape:
        features: (..., frames)
        returns: (..., frames)

    Example:
        >>> delta(torch.arange(0.0, 20.0, 2.0)).round(decimals=3)
        tensor([2., 2., 2., 2., 2., 2., 2., 2., 2., 2.])

    References:
        [Savitzky1964] Smoothing and differentiation of data by simplified least squares
        procedures, Analytical Chemistry 36(8).
    """
    width, order = _check(width, order, mode)
    return _delta(features, _weights(width, order), mode)


class Delta(nn.Module):
    """Hold the parameters of `delta`, for use inside models.

    Args:
        width: Number of frames that a polynomial is fitted to, odd and at least 3.
        order: Order of the derivative.
        mode: What is done at the ends; see `delta`.

    Raises:
        ParameterError: A parameter is out of range.

    Example:
        >>> Delta(width=3)(torch.tensor([0.0, 1.0, 4.0, 9.0]))
        tensor([2., 2., 4., 4.])
    """

    def __init__(self, *, width: int = 9, order: int = 1, mode: str = "interp") -> None:
        super().__init__()
        self.width, self.order = _check(width, order, mode)
        self.mode = mode
        self._weights = _weights(self.width, self.order)

    def forward(self, features: Tensor) -> Tensor:
        """Give the derivative of features; see `delta`.

        Args:
            features: Features.

        Returns:
            The derivative.

        Shape:
            features: (..., frames)
            returns: (..., frames)

        Example:
            >>> Delta()(torch.ones(20, 30)).shape
            torch.Size([20, 30])
        """
        return _delta(features, self._weights, self.mode)


def _check(width: int, order: int, mode: str) -> tuple[int, int]:
    check_choice("mode", mode, _MODES)
    width, order = positive_int("width", width), positive_int("order", order)
    if width < 3 or width % 2 == 0:
        raise ParameterError(f"width={width} must be odd and at least 3")
    if order >= width:
        raise ParameterError(
            f"order={order} must be below width={width}: that many frames do not determine the"
            " derivative"
        )
    return width, order


def _delta(features: Tensor, weights: tuple[float, ...], mode: str) -> Tensor:
    check_real("features", features)
    if features.ndim == 0:
        raise ParameterError("features must be of shape (..., frames)")
    values, frames, half = single(features), features.shape[-1], len(weights) // 2
    if frames == 0:
        return features
    if mode != "interp":
        return like(_slide(_continued(values, half, mode), weights), features)
    if frames < len(weights):
        raise ParameterError(
            f"width={len(weights)} frames are more than the {frames} that there are: use a smaller"
            " width, or mode='nearest', which continues the features at their ends"
        )
    # One polynomial serves all frames near an end; its derivative of its own degree is constant.
    inner = _slide(values, weights)
    before = inner[..., :1].expand(*inner.shape[:-1], half)
    after = inner[..., -1:].expand(*inner.shape[:-1], half)
    return like(torch.cat([before, inner, after], -1), features)


@lru_cache(maxsize=32)
def _weights(width: int, order: int) -> tuple[float, ...]:
    """Give what each frame counts in the derivative at the middle one."""
    with torch.inference_mode(False), torch.no_grad():
        half = width // 2
        time = torch.arange(-half, half + 1, dtype=torch.float64, device="cpu") / half
        powers = time[:, None] ** torch.arange(order + 1, device="cpu")
        highest = torch.linalg.pinv(powers)[-1] * (math.factorial(order) / half**order)
        return tuple(highest.tolist())


def _slide(values: Tensor, weights: tuple[float, ...]) -> Tensor:
    """Weigh each frame and its neighbours, without the frames at the ends that lack some."""
    count = values.shape[-1] - len(weights) + 1
    out = values[..., :count] * weights[0]
    for shift, weight in enumerate(weights[1:], start=1):
        out.add_(values[..., shift : shift + count], alpha=weight)
    return out


def _continued(values: Tensor, margin: int, mode: str) -> Tensor:
    """Continue features at both ends, however short they are."""
    frames = values.shape[-1]
    place = torch.arange(-margin, frames + margin, device=values.device)
    if mode == "constant":
        return torch.nn.functional.pad(values, (margin, margin))
    if mode == "nearest":
        place = place.clamp(0, frames - 1)
    elif mode == "wrap":
        place = place % frames
    else:
        period = max(1, 2 * (frames - 1))
        place = place % period
        place = torch.minimum(place, period - place)
    return values[..., place]
