"""The output formats and normalisations that nnAudio's layers share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from unweave._core.forms import is_traced
from unweave.errors import ParameterError
from unweave.transforms._analysis import safe_sqrt

if TYPE_CHECKING:
    from unweave.compat.nnaudio.features.stft import STFT

EPSILON = 1e-8  # what nnAudio adds to the power wherever kernels are trained


def root(power: Tensor, epsilon: float = 0.0) -> Tensor:
    """Give the magnitude of a power, with a gradient of zero instead of infinity at zero.

    Args:
        power: Squared magnitudes.
        epsilon: Added to them.

    Returns:
        The square roots.

    Example:
        >>> root(torch.tensor([0.0, 4.0]))
        tensor([0., 2.])
    """
    if epsilon:
        return (power + epsilon).sqrt()
    if torch.compiler.is_compiling() or is_traced(power):
        return safe_sqrt(power)
    return power.sqrt()


def angle(real: Tensor, imag: Tensor) -> Tensor:
    """Give the angle of complex numbers in radians, zero with a zero gradient where they are zero.

    Args:
        real: Real part.
        imag: Imaginary part.

    Returns:
        The angle, from -pi to pi.

    Example:
        >>> angle(torch.tensor([0.0, -1.0]), torch.tensor([0.0, -0.0]))
        tensor([0.0000, 3.1416])
    """
    imag = imag + 0.0  # makes -0 a 0, whose angle is that of the upper half plane
    if torch.compiler.is_compiling() or is_traced(real, imag):
        real = torch.where((real == 0) & (imag == 0), 1.0, real)
    return torch.atan2(imag, real.contiguous())  # ten times faster than strided


def present(real: Tensor, imag: Tensor, output_format: str, epsilon: float = 0.0) -> Tensor:
    """Give a constant-Q transform in one of nnAudio's formats.

    Args:
        real: Real part.
        imag: Imaginary part.
        output_format: "Magnitude"; "Complex", real and imaginary part along a last axis; or
            "Phase", cosine and sine of the angle along a last axis.
        epsilon: Added to the power before its root is taken.

    Returns:
        The transform in that format.

    Raises:
        ParameterError: There is no such format.

    Shape:
        real: (batch, bins, frames)
        imag: (batch, bins, frames)
        returns: (batch, bins, frames), or (batch, bins, frames, 2)

    Example:
        >>> present(torch.tensor([3.0]), torch.tensor([4.0]), "Magnitude")
        tensor([5.])
    """
    if output_format == "Magnitude":
        return root(real.square() + imag.square(), epsilon)
    if output_format == "Complex":
        return torch.stack((real, imag), -1)
    if output_format == "Phase":
        turned = angle(real, imag)
        return torch.stack((turned.cos(), turned.sin()), -1)
    raise ParameterError(
        f"output_format={output_format!r} must be 'Magnitude', 'Complex' or 'Phase'"
    )


def bands(stft: STFT, x: Tensor, basis: Tensor, exponent: float, epsilon: float = 0.0) -> Tensor:
    """Give sums of powers of the magnitudes of a spectrogram.

    Args:
        stft: The layer that gives the spectrogram.
        x: Audio.
        basis: Weights of the sums.
        exponent: Power of the magnitudes.
        epsilon: Added to the squared magnitudes.

    Returns:
        The sums.

    Shape:
        x: (time), (batch, time) or (batch, 1, time)
        basis: (bands, freq)
        returns: (batch, bands, frames)

    Example:
        >>> from unweave.compat.nnaudio.features.stft import STFT
        >>> bands(STFT(n_fft=256), torch.zeros(1000), torch.ones(3, 129), 2.0).shape
        torch.Size([1, 3, 16])
    """
    weights = basis.T

    def finish(real: Tensor, imag: Tensor) -> Tensor:
        power = real.square() + imag.square() + epsilon
        if exponent != 2:
            power = root(power) if exponent == 1 else safe_power(power, exponent / 2)
        return power @ weights.to(power)

    return stft.finished(x, finish, (basis,))


def safe_power(power: Tensor, exponent: float) -> Tensor:
    """Raise numbers that are not negative to a power, with a gradient of zero at zero.

    Args:
        power: The numbers.
        exponent: The exponent, above 0.

    Returns:
        Their powers.

    Example:
        >>> safe_power(torch.tensor([0.0, 4.0]), 1.5)
        tensor([0., 8.])
    """
    zero = power == 0
    return torch.where(zero, 0.0, torch.where(zero, 1.0, power).pow(exponent))


def gain(normalization_type: str, lengths: Tensor) -> Tensor | float:
    """Give the factor of each bin of a constant-Q transform made with unit L1 kernels.

    Args:
        normalization_type: "librosa", whose factor is the root of the length of the kernel;
            "convolutional", none; "wrap", 2, so that a sine of amplitude 1 gives 1.
        lengths: Samples of the kernels.

    Returns:
        The factors.

    Raises:
        ParameterError: There is no such normalisation.

    Shape:
        lengths: (bins,)
        returns: (bins, 1), or a number

    Example:
        >>> gain("librosa", torch.tensor([4.0, 16.0])).tolist(), gain("wrap", torch.ones(1))
        ([[2.0], [4.0]], 2.0)
    """
    if normalization_type == "librosa":
        return lengths.sqrt()[:, None]
    if normalization_type in ("convolutional", "wrap"):
        return 2.0 if normalization_type == "wrap" else 1.0
    raise ParameterError(
        f"normalization_type={normalization_type!r} must be 'librosa', 'convolutional' or 'wrap'"
    )
