"""Windows by the names that nnAudio hands to scipy.signal.get_window, without scipy.

All are periodic: the first N samples of a symmetric window of N + 1.

References:
    [Harris1978] On the use of windows for harmonic analysis with the discrete Fourier transform,
    Proc. IEEE 66(1).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TypeAlias

import numpy as np

from unweave._core.arrays import NumpyArray
from unweave.errors import ParameterError

WindowName: TypeAlias = "str | float | tuple[str | float, ...]"

# w(t) = sum of a_k cos(k t) for t from -pi to pi   [Harris1978]
_COSINE_SUMS = {
    "hann": (0.5, 0.5),
    "hamming": (0.54, 0.46),
    "blackman": (0.42, 0.5, 0.08),
    "nuttall": (0.3635819, 0.4891775, 0.1365995, 0.0106411),
    "blackmanharris": (0.35875, 0.48829, 0.14128, 0.01168),
    "flattop": (0.21557895, 0.41663158, 0.277263158, 0.083578947, 0.006947368),
}
_ALIASES = {
    "hanning": "hann",
    "boxcar": "ones",
    "box": "ones",
    "rect": "ones",
    "rectangular": "ones",
    "sine": "cosine",
    "triangle": "triang",
    "blackharr": "blackmanharris",
    "barthan": "barthann",
}


def scipy_window(window: WindowName, length: int) -> NumpyArray:
    """Give a periodic window in float64, by the name that scipy has for it.

    Args:
        window: A name, (name, parameter) such as ("gaussian", deviation in samples) or
            ("tukey", share of the slopes), or the beta of a Kaiser window.
        length: Samples of the window.

    Returns:
        The window.

    Raises:
        ParameterError: The name is unknown, or lacks its parameter.

    Shape:
        returns: (length,)

    Example:
        >>> scipy_window("hann", 4).round(3).tolist()
        [0.0, 0.5, 1.0, 0.5]
    """
    if isinstance(window, int | float):
        window = ("kaiser", float(window))
    name, *parameters = (window,) if isinstance(window, str) else window
    numbers = [float(parameter) for parameter in parameters]
    return _build(_ALIASES.get(str(name), str(name)), tuple(numbers), int(length)).copy()


def symmetric_cosine_sum(name: str, length: int) -> NumpyArray:
    """Give a symmetric window that is a sum of cosines, with both its end points.

    Args:
        name: hann, hamming, blackman, nuttall, blackmanharris or flattop.
        length: Samples of the window.

    Returns:
        The window in float64.

    Shape:
        returns: (length,)

    Example:
        >>> symmetric_cosine_sum("hann", 3).round(3).tolist()
        [0.0, 1.0, 0.0]
    """
    turns = np.linspace(-np.pi, np.pi, length)
    window = np.zeros(length)
    for order, weight in enumerate(_COSINE_SUMS[name]):
        window += weight * np.cos(order * turns)
    return window


@lru_cache(maxsize=256)
def _build(name: str, parameters: tuple[float, ...], length: int) -> NumpyArray:
    if name not in _COSINE_SUMS and name not in _SHAPES:
        raise ParameterError(
            f"unknown window {name!r}: choose from {sorted([*_COSINE_SUMS, *_SHAPES])}"
        )
    if length < 1:
        raise ParameterError(f"a window of {length} samples was asked for: it needs at least 1")
    if length == 1:
        return np.ones(1)
    try:
        if name in _COSINE_SUMS:
            return symmetric_cosine_sum(name, length + 1, *parameters)[:-1]
        return _SHAPES[name](length + 1, *parameters)[:-1]
    except TypeError as error:
        raise ParameterError(
            f"window {name!r} does not take the parameters {parameters}: give, for example,"
            " ('kaiser', 8.0), ('gaussian', 100.0) or ('tukey', 0.5)"
        ) from error


def _centred(size: int) -> NumpyArray:
    """Samples from the centre."""
    return np.arange(size) - (size - 1) / 2


def _triangle(size: int) -> NumpyArray:
    return 1 - 2 * np.abs(_centred(size)) / (size + size % 2)


def _bohman(size: int) -> NumpyArray:
    place = np.abs(np.linspace(-1, 1, size))
    window = (1 - place) * np.cos(np.pi * place) + np.sin(np.pi * place) / np.pi
    window[[0, -1]] = 0
    return window


def _barthann(size: int) -> NumpyArray:
    place = np.abs(np.arange(size) / (size - 1) - 0.5)
    return 0.62 - 0.48 * place + 0.38 * np.cos(2 * np.pi * place)


def _parzen(size: int) -> NumpyArray:
    place = np.abs(_centred(size))
    scaled = place / (size / 2)
    inner = 1 - 6 * scaled**2 + 6 * scaled**3
    return np.where(place <= (size - 1) / 4, inner, 2 * (1 - scaled) ** 3)


def _tukey(size: int, share: float = 0.5) -> NumpyArray:
    if share <= 0:
        return np.ones(size)
    edge = np.minimum(np.arange(size), np.arange(size)[::-1]) * 2 / (min(share, 1.0) * (size - 1))
    return 0.5 * (1 - np.cos(np.pi * np.minimum(edge, 1)))


def _gaussian(size: int, deviation: float) -> NumpyArray:
    return np.exp(-(_centred(size) ** 2) / (2 * deviation**2))


def _general_gaussian(size: int, power: float, deviation: float) -> NumpyArray:
    return np.exp(-0.5 * np.abs(_centred(size) / deviation) ** (2 * power))


_SHAPES: dict[str, Callable[..., NumpyArray]] = {
    "ones": np.ones,
    "bartlett": lambda size: 1 - np.abs(2 * np.arange(size) / (size - 1) - 1),
    "triang": _triangle,
    "cosine": lambda size: np.sin(np.pi / size * (np.arange(size) + 0.5)),
    "bohman": _bohman,
    "barthann": _barthann,
    "parzen": _parzen,
    "tukey": _tukey,
    "exponential": lambda size, tau=1.0: np.exp(-np.abs(_centred(size)) / tau),
    "gaussian": _gaussian,
    "general_gaussian": _general_gaussian,
    "kaiser": lambda size, beta: np.kaiser(size, beta),
}
