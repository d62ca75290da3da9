"""Signal-to-distortion ratios of whole signals.

With reference s and estimate e, both all channels and samples of a signal,

    SDR    = 10 log10( |s|^2 / |s - e|^2 )
    SI-SDR = 10 log10( |a s|^2 / |a s - e|^2 ),   a = <e, s> / |s|^2

so that SI-SDR [LeRoux2019] forgives a wrong level, and SDR does not. Both follow from the three
sums |s|^2, |e|^2 and <e, s>, which one pass over the signals gives. The subtraction of nearly equal
sums would lose what a good estimate is about, so there the error is summed itself.

References:
    [LeRoux2019] J. Le Roux, S. Wisdom, H. Erdogan, J. R. Hershey, "SDR - half-baked or well
        done?", ICASSP 2019.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from unweave._core.arrays import NumpyArray, to_tensor, two_array_function
from unweave.errors import ParameterError
from unweave.evaluation._sums import Mix, blockwise, products, refined


@two_array_function
def sdr(estimate: Tensor, reference: Tensor) -> Tensor:
    """Return the signal-to-distortion ratio in dB.

    Args:
        estimate: Estimated signals.
        reference: True signals of the same shape.

    Returns:
        One value a signal; inf for a perfect estimate, -inf where the reference is silent and the
        estimate is not, nan where both are silent.

    Raises:
        ParameterError: The shapes differ, or the axes channels and time are missing.

    Shape:
        (..., channels, time), (..., channels, time) -> (...)

    Example:
        >>> reference = torch.ones(2, 100)
        >>> round(float(sdr(0.9 * reference, reference)), 2)
        20.0
    """
    _check(estimate, reference)
    if not blockwise(estimate, reference):
        return _ratio(_energy(reference), _energy(reference - estimate))
    e, s = (x.reshape(-1, *x.shape[-2:]) for x in (estimate, reference))
    energy, true, crossed = products(e, s)
    errors = [
        ((a, b), torch.tensor([-1.0, 1.0], dtype=torch.float64)) for a, b in zip(e, s, strict=True)
    ]
    error = refined(energy + true - 2 * crossed, energy + true, errors)
    return _ratio(true, error).to(reference.dtype).reshape(reference.shape[:-2])


@two_array_function
def si_sdr(estimate: Tensor, reference: Tensor) -> Tensor:
    """Return the scale-invariant signal-to-distortion ratio in dB.

    One factor scales all channels, so a wrong balance between them counts as distortion. The mean
    is not removed.

    Args:
        estimate: Estimated signals.
        reference: True signals of the same shape.

    Returns:
        One value a signal; nan where the reference or the estimate is silent.

    Raises:
        ParameterError: The shapes differ, or the axes channels and time are missing.

    Shape:
        (..., channels, time), (..., channels, time) -> (...)

    Example:
        >>> reference = torch.tensor([[1.0, 1.0]])
        >>> round(float(si_sdr(torch.tensor([[3.0, 1.0]]), reference)), 2)
        6.02
    """
    _check(estimate, reference)
    if blockwise(estimate, reference):
        e, s = (x.reshape(-1, *x.shape[-2:]) for x in (estimate, reference))
        return _scale_invariant(e, s).to(reference.dtype).reshape(reference.shape[:-2])
    scale = (estimate * reference).sum((-2, -1), keepdim=True)
    scale = scale / _energy(reference)[..., None, None]
    return _ratio(_energy(scale * reference), _energy(scale * reference - estimate))


def _scale_invariant(e: Tensor, s: Tensor) -> Tensor:
    """Give SI-SDR of signals of shape (signals, channels, time), in one pass over blocks."""
    energy, true, crossed = products(e, s)
    scale, target = crossed / true, crossed.square() / true
    weights = torch.stack((torch.full_like(scale, -1), scale), -1)
    mixes: list[Mix] = [((a, b), w) for a, b, w in zip(e, s, weights, strict=True)]
    return _ratio(target, refined(energy - target, energy, mixes))


class SDRMeter:
    """Measure SDR and SI-SDR of signals that arrive in blocks.

    Sums are kept in float64. SI-SDR comes from the sums alone and is exact to about 120 dB.

    Attributes:
        sdr: Of all that was given, in dB.
        si_sdr: Of all that was given, in dB.

    Example:
        >>> meter = SDRMeter()
        >>> for _ in range(3):
        ...     meter.update(0.9 * torch.ones(2, 10), torch.ones(2, 10))
        >>> round(meter.sdr, 2)
        20.0
    """

    def __init__(self) -> None:
        self._reference = self._estimate = self._cross = self._error = 0.0

    def update(self, estimate: Tensor | NumpyArray, reference: Tensor | NumpyArray) -> None:
        """Add a block.

        Args:
            estimate: Shape (channels, time).
            reference: The same shape.

        Raises:
            ParameterError: The shapes differ.
        """
        pair = [x if isinstance(x, Tensor) else to_tensor(x) for x in (estimate, reference)]
        e, s = (x.to(torch.float64) for x in pair)
        _check(e, s)
        self._reference += float(_energy(s).sum())
        self._estimate += float(_energy(e).sum())
        self._cross += float((e * s).sum())
        self._error += float(_energy(s - e).sum())

    @property
    def sdr(self) -> float:
        """Signal-to-distortion ratio so far, in dB."""
        return _decibels(self._reference, self._error)

    @property
    def si_sdr(self) -> float:
        """Scale-invariant signal-to-distortion ratio so far, in dB."""
        if not self._reference:
            return math.nan
        target = self._cross**2 / self._reference
        return _decibels(target, max(self._estimate - target, 1e-16 * self._estimate))


def _check(estimate: Tensor, reference: Tensor) -> None:
    if estimate.shape != reference.shape or estimate.ndim < 2:
        raise ParameterError(
            f"estimate {tuple(estimate.shape)} and reference {tuple(reference.shape)} must have"
            " the same shape (..., channels, time)"
        )


def _energy(x: Tensor) -> Tensor:
    return x.square().sum((-2, -1))


def _ratio(signal: Tensor, noise: Tensor) -> Tensor:
    return 10 * torch.log10(signal / noise)


def _decibels(signal: float, noise: float) -> float:
    if not noise:
        return math.inf if signal else math.nan
    return 10 * math.log10(signal / noise) if signal else -math.inf
