"""Fourier bases as nnAudio stores them: rows of sines and cosines that may be trained or replaced.

Row k of a basis of N samples holds sin(2 pi f_k n / N) and cos(2 pi f_k n / N), where f_k counts
the cycles in N samples. As long as these are what they were built as, and f_k = k, a fast Fourier
transform gives their products with a signal; `Original` finds out whether they are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from unweave._core.arrays import NumpyArray
from unweave._core.checks import positive_int
from unweave.errors import ParameterError

Frequencies = tuple[str, int, float, float, float]
SCALES = ("no", "linear", "log", "log2")
_ROWS_AT_ONCE = 128


def cycles(
    n_fft: int, freq_bins: int, freq_scale: str, fmin: float, fmax: float, sr: float
) -> NumpyArray:
    """Give the frequency of each row of a basis, in cycles per frame.

    Args:
        n_fft: Samples of a frame.
        freq_bins: Number of rows.
        freq_scale: "no", one more cycle in each row; or from `fmin` up to but without `fmax`,
            "linear", "log" or "log2" (which are the same).
        fmin: Frequency of the first row in Hz.
        fmax: Frequency that one more row would have, in Hz.
        sr: Sample rate in Hz.

    Returns:
        The frequencies, in float64.

    Raises:
        ParameterError: A parameter is out of range.

    Shape:
        returns: (freq_bins,)

    Example:
        >>> cycles(1000, 4, "linear", 100, 500, sr=10000).tolist()
        [10.0, 20.0, 30.0, 40.0]
    """
    steps = np.arange(positive_int("freq_bins", freq_bins))
    if freq_scale == "no":
        return steps.astype(float)
    if freq_scale not in SCALES:
        raise ParameterError(f"freq_scale={freq_scale!r} must be one of {SCALES}")
    if not 0 <= fmin < fmax or (fmin == 0 and freq_scale != "linear"):
        raise ParameterError(
            f"fmin={fmin} Hz must be below fmax={fmax} Hz, and above 0 on a logarithmic scale"
        )
    first = fmin * n_fft / sr
    if freq_scale == "linear":
        return first + steps * (fmax - fmin) * (n_fft / sr) / freq_bins
    growth: NumpyArray = np.exp(steps * (np.log(fmax / fmin) / freq_bins))
    return first * growth


def fourier_basis(frequencies: NumpyArray, n_fft: int) -> tuple[Tensor, Tensor]:
    """Build the sines and cosines of a basis.

    Args:
        frequencies: Cycles per frame of each row.
        n_fft: Samples of a frame.

    Returns:
        Sines and cosines in float32.

    Shape:
        frequencies: (rows,)
        returns: (rows, n_fft) each

    Example:
        >>> sines, cosines = fourier_basis(np.array([1.0]), 4)
        >>> sines.round().int().tolist(), cosines.round().int().tolist()
        ([[0, 1, 0, -1]], [[1, 0, -1, 0]])
    """
    rows = len(frequencies)
    sines, cosines = torch.empty(2, rows, n_fft).unbind()
    whole = frequencies.astype(np.int64)
    if (whole == frequencies).all():
        # sin(2 pi k n / N) only depends on k n modulo N: no rounding of large arguments.
        turn = torch.arange(n_fft, dtype=torch.float64) * (2 * np.pi / n_fft)
        tables = turn.sin().float(), turn.cos().float()
        samples = torch.arange(n_fft)
        for first in range(0, rows, _ROWS_AT_ONCE):
            part = slice(first, first + _ROWS_AT_ONCE)
            place = torch.from_numpy(whole[part])[:, None] * samples % n_fft
            torch.take(tables[0], place, out=sines[part])
            torch.take(tables[1], place, out=cosines[part])
        return sines, cosines
    samples = torch.arange(n_fft, dtype=torch.float64)
    steps = torch.from_numpy(frequencies * (2 * np.pi / n_fft))
    for first in range(0, rows, _ROWS_AT_ONCE):
        part = slice(first, first + _ROWS_AT_ONCE)
        turns = torch.outer(steps[part], samples)
        sines[part] = turns.sin()
        cosines[part] = turns.cos()
    return sines, cosines


def windowed_basis(window: Tensor, *scale: *Frequencies) -> tuple[Tensor, Tensor]:
    """Build `wsin` and `wcos`: a basis each of whose rows is weighted by a window.

    Args:
        window: The weights, of shape (n_fft,).
        *scale: freq_scale, freq_bins, fmin, fmax and sr; see `cycles`.

    Returns:
        Sines and cosines in float32.

    Shape:
        returns: (freq_bins, 1, n_fft) each

    Example:
        >>> windowed_basis(torch.ones(8), "no", 5, 0, 0, 8000)[0].shape
        torch.Size([5, 1, 8])
    """
    sines, cosines = _rows(len(window), *scale)
    return sines.mul_(window)[:, None], cosines.mul_(window)[:, None]


def inverse_basis(n_fft: int, mirror: bool, *scale: *Frequencies) -> tuple[Tensor, Tensor]:
    """Build the basis of an inverse transform, without a window.

    Args:
        n_fft: Samples of a frame.
        mirror: Whether the rows but the first and the last are repeated, backwards and conjugated.
        *scale: freq_scale, freq_bins, fmin, fmax and sr; see `cycles`.

    Returns:
        Sines and cosines in float32.

    Shape:
        returns: (rows, 1, n_fft, 1) each

    Example:
        >>> inverse_basis(8, True, "no", 5, 0, 0, 8000)[0].shape
        torch.Size([8, 1, 8, 1])
    """
    sines, cosines = _rows(n_fft, *scale)
    if mirror:
        sines = torch.cat((sines, -sines[1:-1].flip(0)))
        cosines = torch.cat((cosines, cosines[1:-1].flip(0)))
    return sines[:, None, :, None], cosines[:, None, :, None]


def _rows(
    n_fft: int, freq_scale: str, freq_bins: int, fmin: float, fmax: float, sr: float
) -> tuple[Tensor, Tensor]:
    return fourier_basis(cycles(n_fft, freq_bins, freq_scale, fmin, fmax, sr), n_fft)


class Original:
    """Tell whether tensors of a module still hold what they were built as.

    Training, loading a checkpoint, writing into a tensor or replacing it may change them; moving
    the module does not. The values are only compared when a tensor was replaced or written to.
    Inside a compiled graph the last answer stands, which a loaded checkpoint renews.

    Args:
        names: Attributes of the module.
        build: Builds their original values, in the same order.

    Example:
        >>> layer = nn.Linear(2, 2)
        >>> original = Original(("bias",), lambda: (torch.zeros(2),))
        >>> layer.bias = nn.Parameter(torch.zeros(2), requires_grad=False)
        >>> original.holds(layer), original.holds(nn.Linear(2, 2))
        (True, False)
    """

    def __init__(self, names: tuple[str, ...], build: Callable[[], tuple[Tensor, ...]]) -> None:
        self.names = names
        self.build = build
        self.answer = True
        self._seen: list[tuple[Tensor, int]] = []

    def holds(self, module: nn.Module) -> bool:
        """Tell whether the tensors are the original ones, and need no gradient.

        Args:
            module: The module that has the tensors.

        Returns:
            Whether they are.

        Example:
            >>> Original((), lambda: ()).holds(nn.Identity())
            True
        """
        tensors = [getattr(module, name) for name in self.names]
        if any(tensor.requires_grad for tensor in tensors):
            return False
        if torch.compiler.is_compiling():
            return self.answer
        now = [(tensor, _version(tensor)) for tensor in tensors]
        same = len(now) == len(self._seen) and all(
            new[0] is old[0] and new[1] == old[1] for new, old in zip(now, self._seen, strict=True)
        )
        if not same:
            self.answer = all(map(_equal, tensors, self.build()))
            self._seen = now
        return self.answer

    def trust(self, module: nn.Module) -> None:
        """Take the present tensors for the original ones, and look at all that are loaded later.

        Args:
            module: The module that has just been built.

        Example:
            >>> Original((), lambda: ()).trust(nn.Identity())
        """
        tensors = [getattr(module, name) for name in self.names]
        self._seen = [(tensor, _version(tensor)) for tensor in tensors]
        listen = cast("Callable[[object], object]", module.register_load_state_dict_post_hook)
        listen(self._reloaded)

    def _reloaded(self, module: nn.Module, keys: object) -> None:
        self.holds(module)

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_seen": []}


def _version(tensor: Tensor) -> int:
    return -1 if tensor.is_inference() else tensor._version


def _equal(tensor: Tensor, original: Tensor) -> bool:
    if tensor.shape != original.shape:
        return False
    allowed = 4 * torch.finfo(tensor.dtype).eps if tensor.dtype != torch.float64 else 4e-7
    original = original.to(tensor.device)
    return bool((tensor - original).abs().max() <= max(allowed, 4e-7))
