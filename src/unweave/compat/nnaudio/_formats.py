"""The output formats and normalisations that nnAudio's layers share."""

from __future__ import annotations

import torch
from torch import Tensor

from unweave._core.forms import is_traced
from unweave.errors import ParameterError
from unweave.transforms._analysis import safe_sqrt

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
