"""Curves that compress the range of spectrograms, and their inverses."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from unweave._core.arrays import array_function
from unweave._core.checks import non_negative
from unweave.errors import ParameterError
from unweave.transforms._analysis import like, single


@array_function
def log_compress(S: Tensor, *, factor: float | Tensor = 1.0) -> Tensor:
    """Compress magnitudes or powers to log(1 + factor * S), which is 0 for silence.

    Args:
        S: Magnitudes or powers, not negative.
        factor: How far up the curve bends: values well below 1 / factor are merely scaled. A
            positive number, or a tensor that broadcasts.

    Returns:
        Compressed values, not negative.

    Raises:
        ParameterError: S is not real and floating, or the factor is not positive.

    Shape:
        S: (..., freq, frames)
        returns: (..., freq, frames)

    Example:
        >>> log_compress(torch.tensor([0.0, 0.01, 1.0]), factor=100)
        tensor([0.0000, 0.6931, 4.6151])

    References:
        [Müller2015] Fundamentals of Music Processing, section 3.1.2.1.
    """
    check_real("S", S)
    factor = check_positive("factor", factor)
    return like(torch.log1p(single(S) * factor), S)


@array_function
def log_expand(S: Tensor, *, factor: float | Tensor = 1.0) -> Tensor:
    """Give back what `log_compress` compressed.

    Args:
        S: Compressed values.
        factor: As it was for `log_compress`.

    Returns:
        (exp(S) - 1) / factor.

    Raises:
        ParameterError: S is not real and floating, or the factor is not positive.

    Shape:
        S: (..., freq, frames)
        returns: (..., freq, frames)

    Example:
        >>> log_expand(log_compress(torch.tensor([0.0, 0.25]), factor=100), factor=100)
        tensor([0.0000, 0.2500])
    """
    check_real("S", S)
    factor = check_positive("factor", factor)
    return like(torch.expm1(single(S)) / factor, S)


@array_function
def power_compress(S: Tensor, *, exponent: float | Tensor = 0.3) -> Tensor:
    """Compress magnitudes or powers to S^exponent.

    Args:
        S: Magnitudes or powers, not negative.
        exponent: A positive number, below 1 to compress, or a tensor that broadcasts. Loudness
            grows about as the power 0.3 of intensity [Stevens1957].

    Returns:
        Compressed values; the gradient at 0, infinite in theory, is 0.

    Raises:
        ParameterError: S is not real and floating, or the exponent is not positive.

    Shape:
        S: (..., freq, frames)
        returns: (..., freq, frames)

    Example:
        >>> power_compress(torch.tensor([0.0, 4.0]), exponent=0.5)
        tensor([0., 2.])

    References:
        [Stevens1957] On the psychophysical law, Psychological Review 64.
    """
    check_real("S", S)
    return like(safe_power(single(S), check_positive("exponent", exponent)), S)


@array_function
def power_expand(S: Tensor, *, exponent: float | Tensor = 0.3) -> Tensor:
    """Give back what `power_compress` compressed.

    Args:
        S: Compressed values, not negative.
        exponent: As it was for `power_compress`.

    Returns:
        S^(1 / exponent).

    Raises:
        ParameterError: S is not real and floating, or the exponent is not positive.

    Shape:
        S: (..., freq, frames)
        returns: (..., freq, frames)

    Example:
        >>> power_expand(torch.tensor([0.0, 2.0]), exponent=0.5)
        tensor([0., 4.])
    """
    check_real("S", S)
    return like(safe_power(single(S), 1 / check_positive("exponent", exponent)), S)


class LogCompress(nn.Module):
    """Compress magnitudes or powers to log(1 + factor * S), with a factor that may be trained.

    Args:
        factor: How far up the curve bends; see `log_compress`.
        trainable: Whether the factor is trained, by its logarithm, so that it stays positive.

    Raises:
        ParameterError: The factor is not positive.

    Example:
        >>> LogCompress(factor=100.0)(torch.tensor([0.0, 0.01]))
        tensor([0.0000, 0.6931])
    """

    def __init__(self, *, factor: float = 1.0, trainable: bool = False) -> None:
        super().__init__()
        self.factor = float(check_positive("factor", factor))
        self.log_scale = nn.Parameter(torch.zeros(())) if trainable else None

    def forward(self, S: Tensor) -> Tensor:
        """Compress a spectrogram; see `log_compress`.

        Args:
            S: Magnitudes or powers.

        Returns:
            Compressed values.

        Shape:
            S: (..., freq, frames)
            returns: (..., freq, frames)

        Example:
            >>> LogCompress(trainable=True)(torch.zeros(2)).detach()
            tensor([0., 0.])
        """
        check_real("S", S)
        return like(torch.log1p(single(S) * _scaled(self.factor, self.log_scale, S)), S)


class PowerCompress(nn.Module):
    """Compress magnitudes or powers to S^exponent, with an exponent that may be trained.

    Args:
        exponent: A positive number, below 1 to compress.
        trainable: Whether the exponent is trained, by its logarithm, so that it stays positive.

    Raises:
        ParameterError: The exponent is not positive.

    Example:
        >>> PowerCompress(exponent=0.5)(torch.tensor([0.0, 4.0]))
        tensor([0., 2.])
    """

    def __init__(self, *, exponent: float = 0.3, trainable: bool = False) -> None:
        super().__init__()
        self.exponent = float(check_positive("exponent", exponent))
        self.log_scale = nn.Parameter(torch.zeros(())) if trainable else None

    def forward(self, S: Tensor) -> Tensor:
        """Compress a spectrogram; see `power_compress`.

        Args:
            S: Magnitudes or powers.

        Returns:
            Compressed values.

        Shape:
            S: (..., freq, frames)
            returns: (..., freq, frames)

        Example:
            >>> PowerCompress(trainable=True)(torch.zeros(2)).detach()
            tensor([0., 0.])
        """
        check_real("S", S)
        return like(safe_power(single(S), _scaled(self.exponent, self.log_scale, S)), S)


def safe_power(x: Tensor, exponent: float | Tensor) -> Tensor:
    """Give x^exponent with a gradient of zero at zero, where it may be infinite.

    Args:
        x: Values, not negative.
        exponent: Positive.

    Returns:
        The powers.

    Example:
        >>> x = torch.zeros(1, requires_grad=True)
        >>> safe_power(x, 0.5).sum().backward()
        >>> x.grad
        tensor([0.])
    """
    zero = x == 0
    return torch.where(zero, torch.zeros_like(x), torch.where(zero, 1.0, x) ** exponent)


def check_real(name: str, values: Tensor) -> None:
    """Raise unless a spectrogram is real and floating.

    Args:
        name: The argument's name, quoted in the error.
        values: What the caller gave.

    Raises:
        ParameterError: The values are complex or integers.

    Example:
        >>> check_real("S", torch.ones(2))
    """
    if not values.is_floating_point():
        raise ParameterError(
            f"{name} of dtype {values.dtype} must be real and floating: take the magnitudes of a"
            " complex spectrogram with .abs(), convert integers with .float()"
        )


def check_positive(name: str, value: float | Tensor) -> float | Tensor:
    """Return a number or a tensor, or raise unless the number is positive.

    Args:
        name: The argument's name, quoted in the error.
        value: What the caller gave.

    Raises:
        ParameterError: The number is not positive.

    Example:
        >>> check_positive("factor", 2.0)
        2.0
    """
    if not isinstance(value, Tensor) and non_negative(name, value) == 0:
        raise ParameterError(f"{name}={value!r} must be a positive number")
    return value


def _scaled(value: float, log_scale: Tensor | None, S: Tensor) -> float | Tensor:
    """Give a parameter, times what was learnt of it."""
    return value if log_scale is None else value * log_scale.exp().to(single(S).dtype)
