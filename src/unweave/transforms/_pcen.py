"""The mathematics of per-channel energy normalisation and of its inverse."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import softplus

from unweave._core.checks import non_negative
from unweave._core.forms import is_transformed
from unweave.errors import ParameterError
from unweave.transforms._analysis import like, single
from unweave.transforms._recursion import first_order
from unweave.transforms.compression import check_positive, check_real, safe_power

_STEPS = 12  # of Newton's method: more change nothing in float64


@dataclass(frozen=True, eq=False)
class Curve:
    """Parameters of a normalisation, numbers or tensors of shape (channels, 1).

    Args:
        smoothing: The b of the recursion; if a tensor, of shape (channels,).
        gain: How much of the recent energy is divided away.
        bias: What is added before the root.
        power: The root.
        eps: What keeps silence from being divided by zero.
    """

    smoothing: float | Tensor
    gain: float | Tensor
    bias: float | Tensor
    power: float | Tensor
    eps: float


def check_curve(curve: Curve) -> Curve:
    """Return parameters that are numbers, or raise if one is out of range.

    Args:
        curve: What the caller gave.

    Raises:
        ParameterError: A parameter is negative, or eps is not positive.

    Example:
        >>> check_curve(Curve(0.5, 0.98, 2.0, 0.5, 1e-6)).gain
        0.98
    """
    for name in ("gain", "bias", "power"):
        non_negative(name, getattr(curve, name))
    check_positive("eps", curve.eps)
    if curve.bias == 0 and curve.power == 0:
        raise ParameterError("bias=0 and power=0 make everything 1: give one of them")
    return curve


def compress(S: Tensor, curve: Curve, state: Tensor | None) -> tuple[Tensor, Tensor]:
    """Normalise a spectrogram.

    Args:
        S: The spectrogram.
        curve: Checked parameters.
        state: The recent energy before the first frame; 1 if not given.

    Returns:
        The normalised spectrogram, and the recent energy after the last frame.

    Shape:
        S: (..., channels, frames)
        state: (..., channels)
        returns: (..., channels, frames) and (..., channels)

    Example:
        >>> compress(torch.zeros(1, 3), Curve(0.5, 0.98, 2.0, 0.5, 1e-6), None)[1]
        tensor([0.1250])
    """
    values, state = _ready("S", S, state)
    if values.shape[-1] == 0:
        return S, like(state, S)
    b = _tensor(curve.smoothing, values)
    energy = first_order(values * (b[:, None] if b.ndim else b), 1 - b, state)
    level = math.log(curve.eps) + torch.log1p(energy / curve.eps)
    out = _root(values * torch.exp(-level * curve.gain), curve)
    return like(out, S), like(energy[..., -1], S)


def expand(compressed: Tensor, curve: Curve, state: Tensor | None) -> Tensor:
    """Give back the spectrogram that was normalised.

    With c = eps + (1 - b) M before the frame and w = log(b S / c), the equation
    S = G (c + b S)^gain becomes w - gain log(1 + e^w) = log(G b c^(gain - 1)) = k. Its left side is
    increasing and concave, so Newton's method climbs to the root from max(k, k / (1 - gain)), which
    is below it.

    Args:
        compressed: The normalised spectrogram.
        curve: Checked parameters; the gain must be below 1.
        state: The recent energy before the first frame; 1 if not given.

    Returns:
        The spectrogram.

    Raises:
        ParameterError: The gain is not below 1.

    Shape:
        compressed: (..., channels, frames)
        state: (..., channels)
        returns: (..., channels, frames)

    Example:
        >>> curve = Curve(0.5, 0.98, 2.0, 0.5, 1e-6)
        >>> expand(compress(torch.ones(1, 3), curve, None)[0], curve, None)
        tensor([[1.0000, 1.0000, 1.0000]])
    """
    values, state = _ready("compressed", compressed, state)
    if values.shape[-1] == 0:
        return compressed
    wide = values if values.device.type == "mps" else values.double()
    gain, b = _tensor(curve.gain, wide), _tensor(curve.smoothing, wide)
    gain = gain.squeeze(-1) if gain.ndim else gain
    followed = torch.compiler.is_compiling() or is_transformed()  # then values cannot be asked for
    if not followed and bool((gain >= 1).any()):
        raise ParameterError("the gain must be below 1 to be undone: with 1 or more it is lost")
    ratio = _unroot(wide, curve)
    energy, found = state.to(wide), []
    for quotient in ratio.unbind(-1):
        offset = curve.eps + (1 - b) * energy
        heard = quotient > 0
        k = torch.where(heard, quotient, 1.0).log() + b.log() + (gain - 1) * offset.log()
        w = torch.maximum(k, k / (1 - gain))
        for _ in range(_STEPS):
            w = w - (w - gain * softplus(w, threshold=40) - k) / (1 - gain * torch.sigmoid(w))
        frame = torch.where(heard, w.exp() * offset / b, 0.0)
        energy = (1 - b) * energy + b * frame
        found.append(frame)
    return like(torch.stack(found, -1).to(values.dtype), compressed)


def _root(ratio: Tensor, curve: Curve) -> Tensor:
    bias, power = curve.bias, curve.power
    if not isinstance(power, Tensor) and power == 0:
        return torch.log1p(ratio)
    if not isinstance(bias, Tensor) and bias == 0:
        return safe_power(ratio, power)
    return bias**power * torch.expm1(power * torch.log1p(ratio / bias))


def _unroot(out: Tensor, curve: Curve) -> Tensor:
    bias, power = curve.bias, curve.power
    if not isinstance(power, Tensor) and power == 0:
        return torch.expm1(out)
    if not isinstance(bias, Tensor) and bias == 0:
        return safe_power(out, 1 / power)
    return bias * torch.expm1(torch.log1p(out / bias**power) / power)


def _ready(name: str, S: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
    check_real(name, S)
    if S.ndim < 2:
        raise ParameterError(f"{name} of shape {tuple(S.shape)} must be (..., channels, frames)")
    values = single(S)
    if state is None:
        return values, values.new_ones(S.shape[:-1])
    if state.shape != S.shape[:-1]:
        raise ParameterError(
            f"state of shape {tuple(state.shape)} must have the shape {tuple(S.shape[:-1])} of one"
            " frame"
        )
    return values, state.to(values)


def _tensor(value: float | Tensor, like_this: Tensor) -> Tensor:
    if isinstance(value, Tensor):
        return value.to(like_this)
    return like_this.new_full((), value)
