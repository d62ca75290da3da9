"""What the losses share: checks of shapes, silence after the end of short signals, reductions."""

from __future__ import annotations

import torch
from torch import Tensor

from unweave.errors import ParameterError

REDUCTIONS = ("mean", "sum", "none")


def check_waveforms(estimate: Tensor, reference: Tensor) -> None:
    """Raise unless both are floating tensors of one shape (..., channels, time)."""
    if estimate.shape != reference.shape or estimate.ndim < 2:
        raise ParameterError(
            f"estimate {tuple(estimate.shape)} and reference {tuple(reference.shape)} must have"
            " the same shape (..., channels, time)"
        )
    check_floating("estimate", estimate)
    check_floating("reference", reference)


def check_floating(name: str, x: Tensor) -> None:
    """Raise unless a tensor is real and floating point."""
    if not x.is_floating_point():
        raise ParameterError(
            f"{name} has dtype {x.dtype} and must be floating point: convert it, for example with"
            " .float()"
        )


def single(x: Tensor) -> Tensor:
    """Give half precision as float32, in which sums over a signal neither overflow nor stall."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def trimmed(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Silence what follows the end of signals of shape (..., channels, time)."""
    if lengths is None:
        return x
    return torch.where(valid(x, lengths), x, torch.zeros_like(x))


def valid(x: Tensor, lengths: Tensor) -> Tensor:
    """Tell which samples lie before the end of their signal; shape (..., 1, time)."""
    if lengths.shape != x.shape[:-2]:
        raise ParameterError(
            f"lengths {tuple(lengths.shape)} must have one entry a signal: {tuple(x.shape[:-2])}"
        )
    return torch.arange(x.shape[-1], device=x.device) < lengths[..., None, None]


def sample_counts(x: Tensor, lengths: Tensor | None) -> Tensor | int:
    """Count the samples of all channels of a signal, at least one."""
    if lengths is None:
        return max(1, x.shape[-2] * x.shape[-1])
    return (lengths.clamp(min=0, max=x.shape[-1]) * x.shape[-2]).clamp(min=1)


def reduce(values: Tensor, reduction: str, dtype: torch.dtype) -> Tensor:
    """Give the mean or the sum of a loss's values, or all of them, in the dtype of its input."""
    if reduction not in REDUCTIONS:
        raise ParameterError(f"reduction={reduction!r} must be one of {REDUCTIONS}")
    if reduction == "mean":
        values = values.mean()
    elif reduction == "sum":
        values = values.sum()
    return values.to(dtype)
