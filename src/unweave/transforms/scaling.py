"""Levels of spectrograms in decibels, and back."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn

from unweave._core.arrays import array_function
from unweave._core.checks import non_negative
from unweave.errors import ParameterError
from unweave.transforms._analysis import like, single
from unweave.transforms.compression import check_positive, check_real

Reference: TypeAlias = "float | str | Tensor | Callable[[Tensor], Tensor]"


@array_function
def power_to_db(
    S: Tensor,
    *,
    ref: Reference = 1.0,
    amin: float = 1e-10,
    top_db: float | None = 80.0,
    axes: tuple[int, ...] | None = (-2, -1),
) -> Tensor:
    """Give the level of powers in decibels: 10 log10(S / ref).

    Of a single spectrogram it gives what librosa gives. Of a batch, the loudest value of each
    spectrogram counts, so that no item depends on the others; librosa's is `axes=None`.

    Args:
        S: Powers, not negative.
        ref: The power of 0 dB: a number, a tensor that broadcasts, "max" for the largest power over
            `axes`, or a function of the powers, such as torch.median.
        amin: Powers below it, and references below it, count as it.
        top_db: Levels more than this below the loudest are raised to that; None raises nothing.
        axes: The axes over which the loudest is sought; None for all.

    Returns:
        Levels in decibels; where a power was raised to `amin`, the gradient is zero.

    Raises:
        ParameterError: A parameter is out of range, or S is not real and floating.

    Shape:
        S: (..., freq, frames)
        returns: (..., freq, frames)

    Example:
        >>> power_to_db(torch.tensor([[1.0, 10.0, 1e-20]]))
        tensor([[  0.,  10., -70.]])
    """
    return like(_level(single(S), _Levels(10, ref, amin, top_db, axes)), S)


@array_function
def amplitude_to_db(
    S: Tensor,
    *,
    ref: Reference = 1.0,
    amin: float = 1e-5,
    top_db: float | None = 80.0,
    axes: tuple[int, ...] | None = (-2, -1),
) -> Tensor:
    """Give the level of magnitudes in decibels: 20 log10(|S| / ref).

    Args:
        S: Magnitudes, or a signal; the sign does not count.
        ref: The magnitude of 0 dB: a number, a tensor that broadcasts, "max" for the largest
            magnitude over `axes`, or a function of the magnitudes.
        amin: Magnitudes below it, and references below it, count as it.
        top_db: Levels more than this below the loudest are raised to that; None raises nothing.
        axes: The axes over which the loudest is sought; None for all. See `power_to_db`.

    Returns:
        Levels in decibels; where a magnitude was raised to `amin`, the gradient is zero.

    Raises:
        ParameterError: A parameter is out of range, or S is not real and floating.

    Shape:
        S: (..., freq, frames)
        returns: (..., freq, frames)

    Example:
        >>> amplitude_to_db(torch.tensor([[0.5, 5.0]]), ref="max")
        tensor([[-20.,   0.]])
    """
    check_real("S", S)
    return like(_level(single(S).abs(), _Levels(20, ref, amin, top_db, axes)), S)


@array_function
def db_to_power(S_db: Tensor, *, ref: float = 1.0) -> Tensor:
    """Give the powers of levels in decibels: the inverse of `power_to_db`.

    Args:
        S_db: Levels in decibels.
        ref: The power of 0 dB.

    Returns:
        ref * 10^(S_db / 10).

    Raises:
        ParameterError: S_db is not real and floating.

    Shape:
        S_db: any
        returns: the same

    Example:
        >>> db_to_power(torch.tensor([0.0, 10.0]))
        tensor([ 1., 10.])
    """
    check_real("S_db", S_db)
    return like(ref * torch.pow(10.0, single(S_db) * 0.1), S_db)


@array_function
def db_to_amplitude(S_db: Tensor, *, ref: float = 1.0) -> Tensor:
    """Give the magnitudes of levels in decibels: the inverse of `amplitude_to_db`.

    Args:
        S_db: Levels in decibels.
        ref: The magnitude of 0 dB.

    Returns:
        ref * 10^(S_db / 20).

    Raises:
        ParameterError: S_db is not real and floating.

    Shape:
        S_db: any
        returns: the same

    Example:
        >>> db_to_amplitude(torch.tensor([0.0, 20.0]))
        tensor([ 1., 10.])
    """
    check_real("S_db", S_db)
    return like(ref * torch.pow(10.0, single(S_db) * 0.05), S_db)


class PowerToDB(nn.Module):
    """Hold the parameters of `power_to_db`, for use inside models.

    Args:
        ref: The power of 0 dB, or "max".
        amin: Powers below it count as it.
        top_db: Levels more than this below the loudest are raised to that; None raises nothing.

    Raises:
        ParameterError: A parameter is out of range.

    Example:
        >>> PowerToDB(ref="max")(torch.tensor([[1.0, 0.1]]))
        tensor([[  0., -10.]])
    """

    def __init__(
        self, *, ref: float | str = 1.0, amin: float = 1e-10, top_db: float | None = 80.0
    ) -> None:
        super().__init__()
        self._levels = _Levels(10, ref, amin, top_db)

    def forward(self, S: Tensor) -> Tensor:
        """Give levels in decibels; see `power_to_db`.

        Args:
            S: Powers.

        Returns:
            Levels.

        Shape:
            S: (..., freq, frames)
            returns: (..., freq, frames)

        Example:
            >>> PowerToDB()(torch.ones(1, 2))
            tensor([[0., 0.]])
        """
        return like(_level(single(S), self._levels), S)


@dataclass(frozen=True, eq=False)
class _Levels:
    """Parameters of a scale in decibels: 10 of them are a factor 10, or 20 of them are."""

    per_ten: int
    ref: Reference = 1.0
    amin: float = 1e-10
    top_db: float | None = 80.0
    axes: tuple[int, ...] | None = (-2, -1)

    def __post_init__(self) -> None:
        check_positive("amin", self.amin)
        if isinstance(self.ref, str) and self.ref != "max":
            raise ParameterError(
                f"ref={self.ref!r} must be a number, a tensor, 'max' or a function"
            )
        if self.top_db is not None:
            non_negative("top_db", self.top_db)


def _level(S: Tensor, levels: _Levels) -> Tensor:
    check_real("S", S)
    if S.numel() == 0:
        return S
    axes = tuple(range(-S.ndim, 0)) if levels.axes is None else levels.axes
    axes = tuple(axis for axis in axes if -axis <= S.ndim)
    ref, amin = levels.ref, levels.amin
    if isinstance(ref, str):
        ref = S.amax(axes, keepdim=True)
    elif not isinstance(ref, Tensor) and callable(ref):
        ref = ref(S)
    if isinstance(ref, Tensor):
        zero: float | Tensor = ref.abs().clamp(min=amin).log10()
    else:
        zero = math.log10(max(abs(ref), amin))
    level = levels.per_ten * (S.clamp(min=amin).log10() - zero)
    if levels.top_db is None:
        return level
    return torch.maximum(level, level.amax(axes, keepdim=True) - levels.top_db)
