"""Fast ways to the spectra that nnAudio gets from its bases."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache, partial

import torch
from torch import Tensor

from unweave.transforms._nonuniform import Spectra
from unweave.transforms._scale import Scale

# A basis of fewer frequencies than this many FFTs are worth is best used as it is.
_FFT_COST = 7.0

Transform = Callable[[Tensor, Tensor], Tensor]


def fast_spectra(
    n_fft: int, freq_scale: str, freq_bins: int, fmin: float, fmax: float, sr: float
) -> Transform | None:
    """Give what turns frames (..., n_fft) and their window into spectra (..., freq_bins).

    Args:
        n_fft: Samples of a frame.
        freq_scale: "no", "linear", "log" or "log2".
        freq_bins: Number of frequencies.
        fmin: Lowest frequency in Hz; unused with freq_scale "no".
        fmax: Where the frequencies end, in Hz; unused with freq_scale "no".
        sr: Sample rate in Hz.

    Returns:
        The transform, or None where there is nothing faster than the basis itself.

    Example:
        >>> transform = fast_spectra(8, "no", 3, 0, 0, 8000)
        >>> transform(torch.ones(2, 8), torch.ones(8)).real
        tensor([[8., 0., 0.],
                [8., 0., 0.]])
    """
    if freq_scale == "no":
        return partial(_first, freq_bins) if freq_bins <= n_fft // 2 + 1 else None
    size = 2 * n_fft
    if 2 * freq_bins * n_fft < _FFT_COST * size * math.log2(size):
        return None
    kind = "linear" if freq_scale == "linear" else "log"
    return _Between(Scale(kind, freq_bins, n_fft, (fmin / sr, fmax / sr)))


def _first(bins: int, frames: Tensor, window: Tensor) -> Tensor:
    spectra: Tensor = torch.fft.rfft(frames * window)
    return spectra[..., :bins]


class _Between:
    """Transform frames at frequencies between those of the FFT."""

    def __init__(self, scale: Scale) -> None:
        self.scale = scale
        self.single = _spectra(scale, torch.float32)  # in advance: compilers cannot build it

    def __call__(self, frames: Tensor, window: Tensor) -> Tensor:
        if frames.dtype == torch.float32:
            return self.single(frames, window)
        return _spectra(self.scale, frames.dtype)(frames, window)


@lru_cache(maxsize=16)
def _spectra(scale: Scale, dtype: torch.dtype) -> Spectra:
    return Spectra(scale, dtype)
