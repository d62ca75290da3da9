"""What scores mean: those of doing nothing, and of masks that know the true sources."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor
from torch.nn.functional import pad

from unweave.errors import ParameterError
from unweave.filtering import ideal_binary_mask, ideal_ratio_mask
from unweave.transforms import istft, stft

BASELINES = ("mixture", "split", "irm", "ibm")
_N_FFT, _HOP = 4096, 1024
_FRAMES = 512  # at once; four stems are then half a gigabyte at most


def baseline(name: str, mixture: Tensor, references: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Estimate stems in a way that every separation should be measured against.

    Args:
        name: "mixture" takes the mixture for every stem; "split" an equal share of it, which SDR
            likes better and SI-SDR does not; "irm" lets every time and frequency through in
            proportion to the true powers, and "ibm" wholly where the stem is the loudest: bounds of
            what masks can do.
        mixture: The mixture.
        references: All its true stems by name; masks need those that are not scored, too.

    Returns:
        Estimates by name.

    Raises:
        ParameterError: There is no such baseline.

    Shape:
        each (channels, time)

    Example:
        >>> true = {"vocals": torch.ones(1, 9), "drums": torch.zeros(1, 9)}
        >>> float(baseline("split", torch.ones(1, 9), true)["vocals"][0, 0])
        0.5
    """
    if name == "mixture":
        return dict.fromkeys(references, mixture)
    if name == "split":
        return dict.fromkeys(references, mixture / max(1, len(references)))
    if name not in BASELINES:
        raise ParameterError(f"baseline {name!r} must be one of {', '.join(BASELINES)}")
    stems = torch.stack(list(references.values()))
    parts = [_masked(name, s, x)[..., keep] for s, x, keep in _pieces(stems, mixture)]
    return dict(zip(references, torch.cat(parts, -1), strict=True))


def _masked(name: str, stems: Tensor, mixture: Tensor) -> Tensor:
    s, x = (stft(sound, n_fft=_N_FFT, hop_length=_HOP) for sound in (stems, mixture))
    y = ideal_binary_mask(s, x) if name == "ibm" else ideal_ratio_mask(s, x, alpha=2.0)
    return istft(y, n_fft=_N_FFT, hop_length=_HOP, length=mixture.shape[-1])


def _pieces(stems: Tensor, mixture: Tensor) -> Iterator[tuple[Tensor, Tensor, slice]]:
    """Cut signals into pieces with a frame more on both sides, and tell what to keep of each.

    Masks depend on their own bin alone, so the pieces join without a trace.
    """
    length, step = mixture.shape[-1], _FRAMES * _HOP
    for start in range(0, length, step):
        low, high = start - _N_FFT, min(start + step, length) + _N_FFT
        part = slice(max(0, low), min(high, length))
        beside = max(0, -low), max(0, high - length)
        yield pad(stems[..., part], beside), pad(mixture[..., part], beside), slice(_N_FFT, -_N_FFT)
