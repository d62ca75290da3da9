"""Makes estimates of sources sum to their mixture."""

from __future__ import annotations

import torch
from torch import Tensor

from unweave._core.arrays import two_array_function
from unweave.errors import ParameterError
from unweave.filtering.masks import powered

WEIGHTS = ("uniform", "power")


@two_array_function
def mixture_consistency(
    y: Tensor, x: Tensor, *, weights: str | Tensor = "uniform", dim: int = -4
) -> Tensor:
    """Add what estimates lack of their mixture back to them, so that they sum to it.

    With equal shares this is the projection onto all estimates that sum to the mixture: the nearest
    ones there are [Wisdom2019]. It works on spectrograms and on audio.

    Args:
        y: Estimates of the sources, real or complex.
        x: Mixture.
        weights: Shares of each source: "uniform" for equal ones; "power" for shares that follow the
            power of the estimates, value by value, for spectrograms, so that silent sources stay
            silent; or a tensor of the shares that broadcasts with y, not negative, such as
            `y.square().mean(-1, keepdim=True)` for audio. Where all weights are zero shares are
            equal.
        dim: The axis of the sources in y: -4 for spectrograms, -3 for audio.

    Returns:
        Estimates that sum to the mixture, shaped like y.

    Raises:
        ParameterError: Shapes do not fit, there are no sources, or the weights are unknown, do not
            broadcast, or are negative.

    Shape:
        y: (..., sources, channels, freq, frames), or (..., sources, channels, time) with dim=-3
        x: the same without the sources
        returns: the shape of y

    Example:
        >>> y = torch.tensor([[[1.0, 0.0]], [[3.0, 0.0]]])
        >>> mixture_consistency(y, torch.tensor([[8.0, 2.0]]), weights="power", dim=-3)
        tensor([[[1.4000, 1.0000]],
                [[6.6000, 1.0000]]])

    References:
        [Wisdom2019] S. Wisdom et al., "Differentiable consistency constraints for improved deep
        speech enhancement", ICASSP 2019.
    """
    if isinstance(dim, bool) or not isinstance(dim, int) or not -y.ndim <= dim < y.ndim:
        raise ParameterError(f"dim={dim!r} must be one of the {y.ndim} axes of y")
    dim %= y.ndim
    if not y.shape[dim] or x.shape != (*y.shape[:dim], *y.shape[dim + 1 :]):
        raise ParameterError(
            f"y of shape {tuple(y.shape)} with sources along axis {dim - y.ndim} does not fit x of"
            f" shape {tuple(x.shape)}: x must have the shape of y without its sources, of which one"
            " is needed at least (dim=-4 for spectrograms, -3 for audio)"
        )
    rest = (x - y.sum(dim)).unsqueeze(dim)
    if isinstance(weights, str) and weights == "uniform":
        return y + rest / y.shape[dim]
    return y + _shares(weights, y, dim) * rest


def _shares(weights: str | Tensor, y: Tensor, dim: int) -> Tensor:
    if isinstance(weights, str):
        if weights not in WEIGHTS:
            raise ParameterError(f"weights={weights!r} must be {' or '.join(WEIGHTS)}, or a tensor")
        weights = powered(y / _peak(y), 2)
    else:
        weights = _checked(weights, y)
    total = weights.sum(dim, keepdim=True)
    silent = total == 0
    return torch.where(silent, 1 / y.shape[dim], weights / torch.where(silent, 1, total))


def _peak(y: Tensor) -> Tensor:
    """Give the largest magnitude, so that powers neither overflow nor vanish."""
    if not y.numel():
        return y.real.new_ones(())
    peak = y.detach().abs().amax()
    return torch.where(peak == 0, 1, peak)


def _checked(weights: Tensor, y: Tensor) -> Tensor:
    try:
        weights = weights.expand(y.shape)
    except RuntimeError as error:
        raise ParameterError(
            f"weights of shape {tuple(weights.shape)} do not broadcast with y of shape"
            f" {tuple(y.shape)}"
        ) from error
    traced = torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active()
    if weights.is_complex() or (not traced and bool((weights < 0).any())):
        raise ParameterError("weights must be real and not negative: they are shares of sources")
    return weights.to(y.real.dtype)
