"""From mel spectrograms back to spectra: non-negative least squares.

Of the spectra s >= 0 it seeks one that minimises |B s - m|^2 for the bank B. Because no weight is
negative, the quadratic is nowhere above its separable surrogate of curvature d = B^T (B 1)
[DePierro1993]: a step of 1 / d in each bin never overshoots, and suits narrow and wide bands alike.
Nesterov's momentum makes steps count [Beck2009].
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from unweave._core.arrays import array_function
from unweave._core.checks import positive_int
from unweave._core.constants import Constant
from unweave._core.forms import needs_plain_form
from unweave._core.frames import evenly
from unweave._core.memory import fresh
from unweave._core.pool import share
from unweave.errors import ParameterError
from unweave.transforms._analysis import like, single
from unweave.transforms._bank import Bank, product
from unweave.transforms.compression import check_real, safe_power
from unweave.transforms.mel import check_power
from unweave.transforms.melbank import MelBands, Norm, mel_bands, mel_bank

_BLOCK_FRAMES = 64  # whose spectra, three times, stay in the cache


@array_function
def inverse_mel(
    mel: Tensor,
    *,
    sample_rate: float,
    n_fft: int,
    power: float = 2.0,
    fmin: float = 0.0,
    fmax: float | None = None,
    htk: bool = False,
    norm: Norm = "slaney",
    n_iter: int = 100,
) -> Tensor:
    """Give the magnitudes of a spectrogram whose mel spectrogram is the given one, or the nearest.

    Many spectrograms have the same bands; this starts from the smallest that fits and makes it
    non-negative. `griffinlim` turns the result into audio.

    Args:
        mel: Mel spectrogram, as `mel_spectrogram` gives with the same parameters.
        sample_rate: Of the audio, in hertz.
        n_fft: Samples of a frame.
        power: Exponent that the magnitudes had before they were summed.
        fmin: Where the lowest band begins, in hertz.
        fmax: Where the highest band ends, in hertz; half the sample rate if not given.
        htk: Whether the mel scale is HTK's instead of Slaney's.
        norm: How the bands are scaled; see `mel_filter_bank`.
        n_iter: Number of steps; 100 leave an error of about 1e-5 where an exact solution exists.

    Returns:
        Magnitudes, not negative.

    Raises:
        ParameterError: A parameter is out of range.

    Shape:
        mel: (..., n_mels, frames)
        returns: (..., n_fft // 2 + 1, frames)

    Example:
        >>> from unweave.transforms import mel_spectrogram
        >>> audio = torch.randn(8000, generator=torch.Generator().manual_seed(0))
        >>> mel = mel_spectrogram(audio, sample_rate=16000, n_fft=512, n_mels=40)
        >>> inverse_mel(mel, sample_rate=16000, n_fft=512).shape
        torch.Size([257, 63])

    References:
        [Beck2009] A fast iterative shrinkage-thresholding algorithm for linear inverse problems,
        SIAM J. Imaging Sciences 2(1).
        [DePierro1993] On the relation between the ISRA and the EM algorithm for positron emission
        tomography, IEEE Trans. Medical Imaging 12(2).
    """
    if mel.ndim < 2:
        raise ParameterError(f"mel of shape {tuple(mel.shape)} must be (..., n_mels, frames)")
    check_real("mel", mel)
    power, n_iter = check_power(power), positive_int("n_iter", n_iter)
    bands = mel_bands(sample_rate, n_fft, mel.shape[-2], fmin, fmax, htk, norm)
    wanted = single(mel).mT
    rows = wanted.reshape(math.prod(wanted.shape[:-1]), wanted.shape[-1])
    bank, (start, step) = mel_bank(bands), _first_step(bands)
    found = _least_squares(rows, bank, start(rows), step(rows), n_iter)
    spectra = found.reshape(*wanted.shape[:-1], found.shape[-1]).mT
    return like(safe_power(spectra, 1 / power), mel)


@lru_cache(maxsize=16)
def _first_step(bands: MelBands) -> tuple[Constant, Constant]:
    """Give the pseudoinverse (n_mels, bins), and the step of each bin."""
    weights = mel_bank(bands).weights.values
    with torch.inference_mode(False), torch.no_grad():
        curvature = weights.T @ weights.sum(1)
        step = torch.where(curvature > 0, 1 / curvature, 0.0)
        return Constant(torch.linalg.pinv(weights).T.contiguous()), Constant(step)


def _least_squares(rows: Tensor, bank: Bank, start: Tensor, step: Tensor, n_iter: int) -> Tensor:
    """Give the spectrum of each row of bands, in blocks where nothing follows the work."""
    if needs_plain_form(rows):
        return _descend(rows, bank, start, step, n_iter)
    out = fresh(rows, rows.shape[0], start.shape[1])

    def fill(block: slice) -> None:
        out[block] = _descend(rows[block], bank, start, step, n_iter)

    blocks = list(evenly(rows.shape[0], _BLOCK_FRAMES))
    share(fill, blocks, size=out.numel() * n_iter)
    return out


def _descend(rows: Tensor, bank: Bank, start: Tensor, step: Tensor, n_iter: int) -> Tensor:
    last = product(rows, start).clamp(min=0)
    ahead, pace = last, 1.0
    for _ in range(n_iter):
        found = (ahead - bank.spread(bank(ahead) - rows) * step).clamp(min=0)
        following = (1 + math.sqrt(1 + 4 * pace * pace)) / 2
        ahead = found + (found - last) * ((pace - 1) / following)
        last, pace = found, following
    return last
