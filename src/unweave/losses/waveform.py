"""Losses of waveforms: absolute and squared errors, and ratios in decibels.

All take (estimate, reference) of shape (..., channels, time), where the channels of a signal belong
together; mono signals have an axis of one channel. `lengths` tells how many samples of each signal
count, in batches of signals of several lengths.
"""

from __future__ import annotations

import torch
from torch import Tensor

from unweave.losses._shared import check_waveforms, reduce, sample_counts, single, trimmed


def l1_loss(
    estimate: Tensor, reference: Tensor, *, lengths: Tensor | None = None, reduction: str = "mean"
) -> Tensor:
    """Give the mean absolute error of waveforms: L = mean |e - s|.

    Args:
        estimate: Estimated signals e.
        reference: True signals s.
        lengths: Samples of each signal that count; all if not given.
        reduction: "mean" or "sum" over signals, or "none".

    Returns:
        The loss, in the unit of the signals.

    Raises:
        ParameterError: The shapes differ, or the reduction is unknown.

    Shape:
        estimate: (..., channels, time)
        reference: (..., channels, time)
        lengths: (...)
        returns: (), or (...) without reduction

    Example:
        >>> l1_loss(torch.ones(3, 2, 10), torch.zeros(3, 2, 10))
        tensor(1.)
    """
    error, count = _error(estimate, reference, lengths)
    return reduce(error.abs().sum((-2, -1)) / count, reduction, estimate.dtype)


def l2_loss(
    estimate: Tensor, reference: Tensor, *, lengths: Tensor | None = None, reduction: str = "mean"
) -> Tensor:
    """Give the mean squared error of waveforms: L = mean (e - s)^2.

    Args:
        estimate: Estimated signals e.
        reference: True signals s.
        lengths: Samples of each signal that count; all if not given.
        reduction: "mean" or "sum" over signals, or "none".

    Returns:
        The loss, in the squared unit of the signals.

    Raises:
        ParameterError: The shapes differ, or the reduction is unknown.

    Shape:
        estimate: (..., channels, time)
        reference: (..., channels, time)
        lengths: (...)
        returns: (), or (...) without reduction

    Example:
        >>> l2_loss(torch.full((3, 2, 10), 2.0), torch.zeros(3, 2, 10))
        tensor(4.)
    """
    error, count = _error(estimate, reference, lengths)
    return reduce(error.square().sum((-2, -1)) / count, reduction, estimate.dtype)


def sdr_loss(
    estimate: Tensor,
    reference: Tensor,
    *,
    lengths: Tensor | None = None,
    eps: float = 1e-7,
    reduction: str = "mean",
) -> Tensor:
    """Give the negative signal-to-distortion ratio in dB.

        L = -10 log10( (|s|^2 + eps) / (|e - s|^2 + eps) )

    Args:
        estimate: Estimated signals e.
        reference: True signals s.
        lengths: Samples of each signal that count; all if not given.
        eps: Energy that keeps the loss finite where signals are silent or equal.
        reduction: "mean" or "sum" over signals, or "none".

    Returns:
        The loss in dB; smaller is better.

    Raises:
        ParameterError: The shapes differ, or the reduction is unknown.

    Shape:
        estimate: (..., channels, time)
        reference: (..., channels, time)
        lengths: (...)
        returns: (), or (...) without reduction

    Example:
        >>> sdr_loss(torch.full((1, 2, 50), 0.9), torch.ones(1, 2, 50)).round()
        tensor(-20.)

    References:
        [Fabbro2024] The sound demixing challenge 2023, Trans. ISMIR 7(1): its SDR and eps.
    """
    e, s = _pair(estimate, reference, lengths)
    loss = _decibels(_energy(e - s) + eps, _energy(s) + eps)
    return reduce(loss, reduction, estimate.dtype)


def si_sdr_loss(
    estimate: Tensor,
    reference: Tensor,
    *,
    lengths: Tensor | None = None,
    zero_mean: bool = False,
    eps: float = 1e-8,
    reduction: str = "mean",
) -> Tensor:
    """Give the negative scale-invariant signal-to-distortion ratio in dB.

        L = -10 log10( (|a s|^2 + eps) / (|a s - e|^2 + eps) ),   a = <e, s> / (|s|^2 + eps)

    One factor a scales all channels. A model trained with it alone is free to choose its level, and
    where the reference is silent the loss hardly depends on the estimate.

    Args:
        estimate: Estimated signals e.
        reference: True signals s.
        lengths: Samples of each signal that count; all if not given.
        zero_mean: Whether the mean of every channel is removed first.
        eps: Energy that keeps the loss finite where signals are silent or equal.
        reduction: "mean" or "sum" over signals, or "none".

    Returns:
        The loss in dB; smaller is better.

    Raises:
        ParameterError: The shapes differ, or the reduction is unknown.

    Shape:
        estimate: (..., channels, time)
        reference: (..., channels, time)
        lengths: (...)
        returns: (), or (...) without reduction

    Example:
        >>> round(float(si_sdr_loss(torch.tensor([[3.0, 1.0]]), torch.ones(1, 2))), 2)
        -6.02

    References:
        [LeRoux2019] SDR - half-baked or well done?, ICASSP 2019.
    """
    e, s = _pair(estimate, reference, lengths)
    if zero_mean:
        count = s.shape[-1] if lengths is None else lengths.clamp(min=1)[..., None, None]
        e, s = (trimmed(x - x.sum(-1, keepdim=True) / count, lengths) for x in (e, s))
    scale = (e * s).sum((-2, -1)) / (_energy(s) + eps)
    target = scale[..., None, None] * s
    loss = _decibels(_energy(target - e) + eps, _energy(target) + eps)
    return reduce(loss, reduction, estimate.dtype)


def l1_snr_loss(
    estimate: Tensor,
    reference: Tensor,
    *,
    lengths: Tensor | None = None,
    eps: float = 1e-3,
    reduction: str = "mean",
) -> Tensor:
    """Give the ratio of the absolute error to the absolute signal in dB.

        L = 20 log10( (mean |e - s| + eps) / (mean |s| + eps) )

    In decibels quiet sources count as much as loud ones; unlike the ratio of energies it does not
    let single large errors rule. The large eps bounds it where the reference is silent.

    Args:
        estimate: Estimated signals e.
        reference: True signals s.
        lengths: Samples of each signal that count; all if not given.
        eps: Level, in the unit of the signals, under which errors hardly count.
        reduction: "mean" or "sum" over signals, or "none".

    Returns:
        The loss in dB; smaller is better.

    Raises:
        ParameterError: The shapes differ, or the reduction is unknown.

    Shape:
        estimate: (..., channels, time)
        reference: (..., channels, time)
        lengths: (...)
        returns: (), or (...) without reduction

    Example:
        >>> l1_snr_loss(torch.full((1, 2, 9), 0.9), torch.ones(1, 2, 9), eps=0).round()
        tensor(-20.)

    References:
        [Watcharasupat2023] A generalized bandsplit neural network for cinematic audio source
        separation, IEEE Open Journal of Signal Processing 5.
    """
    e, s = _pair(estimate, reference, lengths)
    count = sample_counts(e, lengths)
    error, level = ((x.abs().sum((-2, -1)) / count + eps) for x in (e - s, s))
    return reduce(2 * _decibels(error, level), reduction, estimate.dtype)


def _pair(estimate: Tensor, reference: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
    check_waveforms(estimate, reference)
    return trimmed(single(estimate), lengths), trimmed(single(reference), lengths)


def _error(
    estimate: Tensor, reference: Tensor, lengths: Tensor | None
) -> tuple[Tensor, Tensor | int]:
    e, s = _pair(estimate, reference, lengths)
    return e - s, sample_counts(e, lengths)


def _energy(x: Tensor) -> Tensor:
    return x.square().sum((-2, -1))


def _decibels(noise: Tensor, signal: Tensor) -> Tensor:
    return 10 * (torch.log10(noise) - torch.log10(signal))
