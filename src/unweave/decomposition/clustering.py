"""Which components belong together: many components, few sources."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from unweave._core.arrays import array_function
from unweave._core.checks import positive_int
from unweave.decomposition._kmeans import kmeans
from unweave.errors import ParameterError
from unweave.transforms import mel_filter_bank, power_to_db

FEATURES = ("timbre", "activation")
_MELS = 40


@array_function
def cluster_components(
    W: Tensor,
    H: Tensor,
    *,
    n_clusters: int,
    features: str = "timbre",
    sample_rate: float | None = None,
    n_mfcc: int = 13,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Group components into sources, by what they sound like or by when they sound.

    The notes of one instrument are often components of their own. Their timbres, as told by the
    mel-frequency cepstral coefficients of the templates without the first one, the level, resemble
    each other more than those of other instruments do [Spiertz2009]. The parts of one sound, such
    as the attack and the body of a drum, rather have activations that correlate. Either is a guess:
    listen.

    Groups are found by k-means from 16 starts drawn by k-means++.

    Args:
        W: Templates, not negative.
        H: Activations, not negative.
        n_clusters: Number of groups; at most as many as components.
        features: "timbre" compares templates, "activation" the course of activations, whatever
            their level.
        sample_rate: Of the audio, in hertz; "timbre" needs it.
        n_mfcc: Number of coefficients that are compared, at most 39: few for the broad shape of
            the spectrum.
        generator: Of the starts; the same every time by default.

    Returns:
        For each component the number of its group, from 0 in the order of the components: what
        `resynthesise` takes as `groups`.

    Raises:
        ParameterError: Shapes do not fit, factors are negative or not finite, or an option is out
            of range.

    Shape:
        W: (..., freq, components)
        H: (..., components, frames)
        returns: (..., components)

    Example:
        >>> low = torch.linspace(0, 9, 129)
        >>> W = torch.stack([torch.exp(-low), torch.exp(-low * 0.1), torch.exp(-low * 0.9)], 1)
        >>> cluster_components(W, torch.ones(3, 10), n_clusters=2, sample_rate=22050)
        tensor([0, 1, 0])

    References:
        [Spiertz2009] Source-filter based clustering for monaural blind source separation, DAFx.
    """
    _check(W, H)
    components = W.shape[-1]
    if positive_int("n_clusters", n_clusters) > components:
        raise ParameterError(
            f"n_clusters={n_clusters} must be at most the number of components, {components}"
        )
    if features not in FEATURES:
        raise ParameterError(f"features={features!r} must be one of {', '.join(FEATURES)}")
    if features == "timbre":
        described = _timbre(W.detach(), sample_rate, positive_int("n_mfcc", n_mfcc))
    else:
        described = _course(H.detach())
    if generator is None:
        generator = torch.Generator().manual_seed(0)
    flat = described.reshape(-1, *described.shape[-2:])
    labels = [kmeans(x, n_clusters, generator) for x in flat]
    return torch.stack(labels).reshape((*W.shape[:-2], components))


def _timbre(W: Tensor, sample_rate: float | None, count: int) -> Tensor:
    """Give the cepstral coefficients of templates, without the first: (..., components, count)."""
    number = isinstance(sample_rate, int | float) and not isinstance(sample_rate, bool)
    if sample_rate is None or not number or not 0 < sample_rate < math.inf:
        raise ParameterError(
            f"sample_rate={sample_rate!r} must be the positive rate of the audio in hertz, by which"
            " features='timbre' knows the frequencies of the templates"
        )
    if count >= _MELS:
        raise ParameterError(f"n_mfcc={count} must be at most {_MELS - 1}")
    n_fft = 2 * (W.shape[-2] - 1)
    bank = mel_filter_bank(sample_rate=sample_rate, n_fft=n_fft, n_mels=_mels(n_fft))
    # Templates of the same peak: the level, and the 80 dB below it that count, are each one's own.
    peak = W.double().amax(-2, keepdim=True)
    power = (W.double() / torch.where(peak == 0, 1, peak)).square()
    mel = bank.to(W.device) @ power
    level = power_to_db(mel, axes=(-2,))
    bands = torch.arange(len(bank), dtype=torch.float64, device=W.device) + 0.5
    order = torch.arange(1, min(count, len(bank) - 1) + 1, dtype=torch.float64, device=W.device)
    cosines = torch.cos(torch.pi / len(bank) * order[:, None] * bands) * (2 / len(bank)) ** 0.5
    coefficients: Tensor = cosines @ level
    return coefficients.mT


def _mels(n_fft: int) -> int:
    """Give as many bands as each have a bin of their own."""
    return max(2, min(_MELS, n_fft // 16))


def _course(H: Tensor) -> Tensor:
    """Give activations of mean zero and norm one, whose distances are those of correlation."""
    centred = H.double() - H.double().mean(-1, keepdim=True)
    norm = centred.norm(dim=-1, keepdim=True)
    return centred / torch.where(norm == 0, 1, norm)


def _check(W: Tensor, H: Tensor) -> None:
    floating = W.is_floating_point() and H.is_floating_point()
    fits = W.ndim >= 2 and W.shape[:-2] == H.shape[:-2] and W.shape[-1] == H.shape[-2]
    if not fits or not floating or not W.numel() or not H.numel():
        raise ParameterError(
            f"W {tuple(W.shape)} ({W.dtype}) and H {tuple(H.shape)} ({H.dtype}) must be real"
            " floating (..., freq, components) and (..., components, frames), and not empty"
        )
    for name, factor in (("W", W), ("H", H)):
        low, high = factor.detach().aminmax()
        if not (low >= 0 and high.isfinite()):
            raise ParameterError(f"{name} must be finite and not negative")
