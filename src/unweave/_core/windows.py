"""Windows by name, built once in float64."""

from __future__ import annotations

from difflib import get_close_matches
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from unweave._core.arrays import NumpyArray, to_tensor
from unweave.errors import ParameterError

Window: TypeAlias = "str | tuple[str, float] | Tensor | NumpyArray"

# w[n] = a0 - a1 cos(2 pi n / N) + a2 cos(4 pi n / N) - ...   [Harris1978]
_COSINE_SUMS = {
    "hann": (0.5, 0.5),
    "hamming": (0.54, 0.46),
    "blackman": (0.42, 0.5, 0.08),
    "blackmanharris": (0.35875, 0.48829, 0.14128, 0.01168),
}
_OTHERS = ("bartlett", "kaiser", "ones", "rectangular", "sqrt_hann")
WINDOW_NAMES = tuple(sorted((*_COSINE_SUMS, *_OTHERS)))
_KAISER_BETA = 12.0


def get_window(window: Window, length: int) -> Tensor:
    """Give the window of a name, periodic and in float64, or check a window given as a tensor.

    Periodic means that the window repeated every `length` samples has no doubled zero: the form
    that spectral analysis wants.

    Args:
        window: A name (hann, hamming, blackman, blackmanharris, bartlett, kaiser, sqrt_hann,
            rectangular or ones), the pair ("kaiser", beta) where a larger beta means lower side
            lobes and a wider main lobe (12 where only the name is given), or the samples of the
            window themselves, which keep their dtype, device and gradient.
        length: Samples of the window.

    Returns:
        The window, of shape (length,).

    Raises:
        ParameterError: The name is unknown, or the samples are not `length` real numbers.

    Example:
        >>> get_window("hann", 4)
        tensor([0.0000, 0.5000, 1.0000, 0.5000], dtype=torch.float64)
        >>> get_window(("kaiser", 8.0), 512).shape
        torch.Size([512])

    References:
        [Harris1978] On the use of windows for harmonic analysis with the discrete Fourier
        transform, Proc. IEEE 66(1).
    """
    if isinstance(window, np.ndarray):
        window = to_tensor(window)
    if isinstance(window, Tensor):
        if window.shape != (length,):
            raise ParameterError(
                f"window of shape {tuple(window.shape)} must have the shape ({length},):"
                " one weight for each of the win_length samples"
            )
        if not window.is_floating_point():
            raise ParameterError(f"window of dtype {window.dtype} must hold real floating numbers")
        return window
    name, beta = (window, _KAISER_BETA) if isinstance(window, str) else window
    if name not in WINDOW_NAMES:
        guess = get_close_matches(name, WINDOW_NAMES, 1)
        hint = f"did you mean {guess[0]!r}? " if guess else ""
        raise ParameterError(f"unknown window {name!r}: {hint}choose from {WINDOW_NAMES}")
    if not isinstance(window, str) and name != "kaiser":
        raise ParameterError(f"window {name!r} takes no parameter: give the name alone")
    return torch.from_numpy(_build(name, float(beta), length).copy())


@lru_cache(maxsize=64)
def _build(name: str, beta: float, length: int) -> NumpyArray:
    if length == 1:
        return np.ones(1)
    turns = np.arange(length) / length
    if name in _COSINE_SUMS:
        window = np.zeros(length)
        for order, weight in enumerate(_COSINE_SUMS[name]):
            window += (-1) ** order * weight * np.cos(2 * np.pi * order * turns)
        # Blackman's first sample is 0 in theory; rounding must not make it negative.
        return np.maximum(window, 0.0)
    if name == "sqrt_hann":
        return np.sin(np.pi * turns)  # the square root of sin^2, without its rounding
    if name == "bartlett":
        return 1.0 - np.abs(2.0 * turns - 1.0)
    if name == "kaiser":
        return np.kaiser(length + 1, beta)[:-1]
    return np.ones(length)
