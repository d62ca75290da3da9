"""What the doors of this package accept, and errors that say what was wrong."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from unweave._core.forms import is_transformed
from unweave.errors import ParameterError

_COMPLEX = (torch.complex64, torch.complex128)
_UNSIGNED = (torch.bool, torch.uint8, torch.uint16, torch.uint32, torch.uint64)


def check_mixture(x: Tensor, name: str = "x") -> None:
    """Refuse what is no complex spectrogram of some channels.

    Args:
        x: What the caller gave.
        name: The argument's name, quoted in the error.

    Raises:
        ParameterError: It is none.
    """
    if x.dtype not in _COMPLEX:
        raise ParameterError(
            f"{name} has dtype {x.dtype} but must be a complex spectrogram, complex64 or complex128"
            " (..., channels, freq, frames), as stft gives"
        )
    if x.ndim < 3 or not x.shape[-3]:
        raise ParameterError(
            f"{name} of shape {tuple(x.shape)} must be (..., channels, freq, frames) with at least"
            " one channel: give mono a channel axis with x[None]"
        )


def check_models(v: Tensor, x: Tensor) -> None:
    """Refuse models that do not fit the mixture.

    Args:
        v: Models of the sources.
        x: Mixture, already checked.

    Raises:
        ParameterError: They are complex, or their shape does not fit.
    """
    if v.is_complex():
        raise ParameterError(
            f"v has dtype {v.dtype} but models are real: magnitudes or powers, as v.abs() gives"
        )
    _check_axes(v, x, "v", "(..., sources, 1 or channels, freq, frames)", (1, x.shape[-3]))


def check_estimates(y: Tensor, x: Tensor, name: str = "y") -> None:
    """Refuse estimates that do not fit the mixture.

    Args:
        y: Complex estimates of the sources.
        x: Mixture, already checked.
        name: The argument's name, quoted in the error.

    Raises:
        ParameterError: They are real, or their shape does not fit.
    """
    if y.dtype not in _COMPLEX:
        raise ParameterError(
            f"{name} has dtype {y.dtype} but must be complex spectrograms of the sources, as"
            " softmask gives"
        )
    _check_axes(y, x, name, "(..., sources, channels, freq, frames)", (x.shape[-3],))


def _check_axes(v: Tensor, x: Tensor, name: str, axes: str, channels: tuple[int, ...]) -> None:
    fits = (
        v.ndim == x.ndim + 1
        and v.shape[:-4] == x.shape[:-3]
        and v.shape[-3] in channels
        and v.shape[-2:] == x.shape[-2:]
    )
    if not fits:
        raise ParameterError(
            f"{name} of shape {tuple(v.shape)} does not fit a mixture of shape {tuple(x.shape)}:"
            f" with a mixture (..., channels, freq, frames) it must be {axes}"
        )


def may_be_negative(v: Tensor) -> bool:
    """Tell whether values have to be looked at, and can be: traced ones and those of "meta" cannot.

    Args:
        v: Real models.
    """
    if torch.compiler.is_compiling() or is_transformed() or v.device.type == "meta":
        return False
    return v.dtype not in _UNSIGNED and v.numel() > 0


def as_items(x: Tensor, axes: int) -> Tensor:
    """Make one axis of all leading ones.

    Args:
        x: Any tensor.
        axes: How many axes at the end stay.
    """
    return x[None] if x.ndim == axes else x.flatten(0, -axes - 1)


def check_n_iter(n_iter: object) -> int:
    """Return the number of iterations, or raise if it is not an integer of at least 0.

    Args:
        n_iter: What the caller gave.

    Raises:
        ParameterError: It is none.
    """
    if isinstance(n_iter, bool) or not isinstance(n_iter, int) or n_iter < 0:
        raise ParameterError(f"n_iter={n_iter!r} must be an integer of at least 0")
    return n_iter


def check_eps(eps: object) -> float | None:
    """Return the absolute regularisation, None for the relative one.

    Args:
        eps: What the caller gave; zero means the relative one, too.

    Raises:
        ParameterError: It is no finite number of at least 0.
    """
    if eps is None:
        return None
    if isinstance(eps, bool) or not isinstance(eps, int | float):
        raise ParameterError(f"eps={eps!r} must be None or a number of at least 0")
    if not math.isfinite(eps) or eps < 0:
        raise ParameterError(f"eps={eps!r} must be finite and at least 0")
    return float(eps) or None


def check_range(name: str, value: float, low: float, high: float) -> float:
    """Return a number that lies in a range, or raise.

    Args:
        name: The argument's name, quoted in the error.
        value: What the caller gave.
        low: The least that is allowed.
        high: The most that is allowed.

    Raises:
        ParameterError: It does not lie there.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        allowed = f"between {low:g} and {high:g}" if high < math.inf else f"at least {low:g}"
        raise ParameterError(f"{name}={value!r} must be a number {allowed}")
    return float(value)
