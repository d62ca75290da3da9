"""What callers give a factorisation: checked, and completed to factors to start from."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from numbers import Real

import torch
from torch import Tensor

from unweave.decomposition._starts import initial, lifted
from unweave.errors import ParameterError

_REAL = (torch.float32, torch.float64)
_NOTHING = (
    1e-9  # a beta nearer to zero is zero: data that are zero would cost more than floats hold
)


def check_spectrogram(V: Tensor) -> Tensor:
    """Return what can be factorised, or raise.

    Args:
        V: What the caller gave; integers become float32.

    Raises:
        ParameterError: It has no bins or frames, or values that cannot be factorised.

    Shape:
        V: (..., freq, frames)
        returns: that of V
    """
    if V.ndim < 2 or not V.numel():
        raise ParameterError(
            f"V of shape {tuple(V.shape)} must be (..., freq, frames) with at least one of each"
        )
    if V.is_complex():
        raise ParameterError(f"V has dtype {V.dtype} but must be real: give magnitudes, V.abs()")
    V = V.detach()
    if not V.is_floating_point():
        V = V.to(torch.float32)
    if V.dtype not in _REAL:
        raise ParameterError(f"V has dtype {V.dtype} but must be float32 or float64: V.float()")
    _check_values("V", V)
    return V


def _check_values(name: str, x: Tensor) -> None:
    low, high = (float(value) for value in torch.aminmax(x))
    if not low - low == high - high == 0:
        raise ParameterError(f"{name} has values that are NaN or infinite: remove them first")
    if low < 0:
        raise ParameterError(f"{name} has negative values ({low:g}): give magnitudes, {name}.abs()")


def check_beta(beta: object) -> float:
    """Return the divergence's number, or raise.

    Args:
        beta: What the caller gave.

    Raises:
        ParameterError: It is no finite number.
    """
    if isinstance(beta, bool) or not isinstance(beta, Real) or not math.isfinite(beta):
        raise ParameterError(
            f"beta={beta!r} must be a number: 2 for squared error, 1 for Kullback-Leibler, 0 for"
            " Itakura-Saito, or any other"
        )
    return 0.0 if abs(float(beta)) < _NOTHING else float(beta)


@dataclass(frozen=True)
class Start:
    """Factors to start from, and where they must stay zero."""

    W: Tensor
    H: Tensor
    W_zeros: Tensor | None
    H_zeros: Tensor | None


@dataclass(frozen=True)
class Given:
    """The factors that a caller gave, each with one leading axis of spectrograms, or None.

    Attributes:
        count: Number of components.
        W: Templates (spectrograms, freq, at most count), or None.
        H: Activations (spectrograms, count, frames), or None.
        n_fixed: How many leading templates stay as they are.
    """

    count: int
    W: Tensor | None
    H: Tensor | None
    n_fixed: int

    @classmethod
    def checked(
        cls, V: Tensor, count: int, W: Tensor | None, H: Tensor | None, n_fixed: int
    ) -> Given:
        """Check the factors against the spectrograms.

        Args:
            V: Spectrograms (..., freq, frames).
            count: Number of components.
            W: What the caller gave.
            H: What the caller gave.
            n_fixed: What the caller gave.

        Raises:
            ParameterError: They do not fit.
        """
        if isinstance(n_fixed, bool) or not isinstance(n_fixed, int) or not 0 <= n_fixed <= count:
            raise ParameterError(f"n_fixed={n_fixed!r} must be an integer from 0 to {count}")
        if n_fixed and (W is None or W.ndim < 2 or W.shape[-1] < n_fixed):
            shape = None if W is None else tuple(W.shape)
            raise ParameterError(
                f"{n_fixed} fixed templates need W with as many columns, not {shape}"
            )
        lead, (freq, frames) = V.shape[:-2], V.shape[-2:]
        columns = count if W is None or W.ndim < 2 else min(count, W.shape[-1])
        return cls(
            count,
            items_of("W", W, V, (*lead, freq, columns)),
            items_of("H", H, V, (*lead, count, frames)),
            n_fixed,
        )

    @property
    def chooses_templates(self) -> bool:
        """Whether no start is given, but for templates that stay."""
        some = 0 if self.W is None else self.W.shape[1]
        return self.H is None and some == self.n_fixed < self.count

    def louder(self, gain: float) -> Given:
        """Give the factors of louder data.

        Args:
            gain: Factor of the data.
        """
        return replace(self, H=None if self.H is None else self.H * gain)

    def items(self, V: Tensor) -> Iterator[tuple[Tensor, Given]]:
        """Give each spectrogram with its own factors.

        Args:
            V: Spectrograms (..., freq, frames).
        """
        for index, v in enumerate(V.reshape(-1, *V.shape[-2:]).unbind()):
            W = None if self.W is None else self.W[index]
            H = None if self.H is None else self.H[index]
            yield v, Given(self.count, W, H, self.n_fixed)

    def start(
        self, v: Tensor, init: str, *, positive: bool, generator: torch.Generator | None
    ) -> Start:
        """Complete the factors of one spectrogram.

        Args:
            v: The spectrogram (freq, frames).
            init: What the missing parts are taken from.
            positive: Whether no zeros may stay but those given.
            generator: Source of random factors.
        """
        some = 0 if self.W is None else self.W.shape[1]
        W, H = v.new_empty(len(v), 0), None
        if some < self.count:
            W, H = initial(v, self.count, init, generator)
            W, H = (lifted(W), lifted(H)) if positive else (W, H)
        W_zeros = H_zeros = None
        if self.W is not None:
            if not bool(self.W.all()):
                W_zeros = torch.cat([self.W == 0, W.new_zeros(len(v), self.count - some).bool()], 1)
            W = torch.cat([self.W, W[:, some:]], 1)
            level = v.mean() / self.W.sum(1).mean().clamp_min(torch.finfo(v.dtype).tiny)
            flat = level.expand(some, v.shape[1])  # as loud as the data on average
            H = flat if H is None else torch.cat([flat, H[some:]])
        if self.H is not None:
            H, H_zeros = self.H, None if bool(self.H.all()) else self.H == 0
        assert H is not None  # there are components without a template given, or templates given
        return Start(W.contiguous(), H.contiguous(), W_zeros, H_zeros)


def items_of(
    name: str, x: Tensor | None, V: Tensor, shape: tuple[int, ...], axes: int = 2
) -> Tensor | None:
    """Give every spectrogram its own view of a factor that a caller gave.

    Args:
        name: The argument's name, quoted in errors.
        x: What the caller gave.
        V: The spectrograms.
        shape: The shape of the factor with all leading axes.
        axes: How many axes at the end are not leading ones.

    Raises:
        ParameterError: It does not fit, or has values that it may not have.
    """
    if x is None:
        return None
    if tuple(x.shape) not in (shape, shape[-axes:]):
        allowed = " or ".join(str(each) for each in dict.fromkeys((shape, shape[-axes:])))
        raise ParameterError(f"{name} of shape {tuple(x.shape)} must be {allowed} for this V")
    x = x.detach().to(V)
    _check_values(name, x)
    return x.expand(shape).reshape(-1, *shape[-axes:])
