"""Chroma features: the energies of the pitch classes, whatever their octave."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from unweave._core.arrays import array_function
from unweave._core.checks import non_negative, positive_int
from unweave._core.windows import Window
from unweave.errors import ParameterError
from unweave.transforms._analysis import analysis, check_audio, like, single
from unweave.transforms._bank import Bank, bank_spectrogram
from unweave.transforms.chromabank import chroma_bank, cq_chroma_bank
from unweave.transforms.compression import check_real
from unweave.transforms.constantq import cqt


@array_function
def chroma_stft(
    x: Tensor,
    *,
    sample_rate: float,
    n_fft: int = 2048,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Window = "hann",
    center: bool = True,
    pad_mode: str = "reflect",
    n_chroma: int = 12,
    tuning: float = 0.0,
    ctroct: float = 5.0,
    octwidth: float | None = 2.0,
    base_c: bool = True,
    norm: float | None = math.inf,
) -> Tensor:
    """Give the energies of the pitch classes of audio, from its short-time spectra.

    With the same parameters it equals librosa's, which pads with silence by default and guesses the
    tuning unless it is given.

    Args:
        x: Real audio, float32 or float64; half precision is worked on in float32.
        sample_rate: Of the audio, in hertz.
        n_fft: Samples of a frame.
        hop_length: Samples from one frame to the next; a quarter of `win_length` if not given.
        win_length: Samples of the window, which is centred in the frame; `n_fft` if not given.
        window: A name, ("kaiser", beta), or the `win_length` samples of the window; see `stft`.
        center: Whether frame t is centred on sample t * hop_length, or starts there.
        pad_mode: What continues the signal at its ends: "reflect", "constant" (silence, as in
            librosa) or "replicate".
        n_chroma: Number of classes in an octave.
        tuning: How far the music is tuned above A = 440 Hz, in classes.
        ctroct: The octave that counts most, in octaves above 27.5 Hz.
        octwidth: Standard deviation, in octaves, of the weights about it; None weighs all alike.
        base_c: Whether the first class is C; otherwise it is A.
        norm: The norm that each frame is brought to: infinity gives the strongest class 1, 2 the
            vector of the classes the length 1, None leaves the energies. Silent frames stay zero.

    Returns:
        The chroma features.

    Raises:
        ParameterError: A parameter is out of range, or the signal is too short for it.

    Shape:
        x: (..., time)
        returns: (..., n_chroma, frames)

    Example:
        >>> tone = torch.sin(2 * torch.pi * 440 / 22050 * torch.arange(22050))
        >>> chroma_stft(tone, sample_rate=22050)[:, 20].argmax()  # A
        tensor(9)

    References:
        [Ellis2007] Chroma feature analysis and synthesis, Columbia University.
    """
    check_audio(x)
    norm = check_norm(norm)
    plan = analysis(n_fft, hop_length, win_length, window, center, pad_mode)
    bank = chroma_bank(sample_rate, n_fft, n_chroma, tuning, ctroct, octwidth, base_c)
    return like(normalised(bank_spectrogram(x, plan, bank, 2.0), norm), x)


@array_function
def cq_to_chroma(
    C: Tensor,
    *,
    bins_per_octave: int = 36,
    n_chroma: int = 12,
    fmin: float | None = None,
    base_c: bool = True,
    threshold: float = 0.0,
    norm: float | None = math.inf,
) -> Tensor:
    """Fold the magnitudes of a constant-Q transform into pitch classes.

    Args:
        C: Magnitudes, not negative.
        bins_per_octave: Bins of an octave, a multiple of `n_chroma`.
        n_chroma: Number of classes in an octave.
        fmin: Frequency of the first bin, in hertz; C1, 32.7 Hz, if not given.
        base_c: Whether the first class is C; otherwise it is A.
        threshold: Classes below it are set to zero.
        norm: The norm that each frame is brought to; see `chroma_stft`.

    Returns:
        The chroma features.

    Raises:
        ParameterError: A parameter is out of range.

    Shape:
        C: (..., n_bins, frames)
        returns: (..., n_chroma, frames)

    Example:
        >>> magnitudes = torch.zeros(84, 1)
        >>> magnitudes[[12, 24]] = 1.0
        >>> cq_to_chroma(magnitudes, bins_per_octave=12)[:, 0]
        tensor([1., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0.])
    """
    check_real("C", C)
    norm, threshold = check_norm(norm), non_negative("threshold", threshold)
    if C.ndim < 2:
        raise ParameterError(f"C of shape {tuple(C.shape)} must be (..., n_bins, frames)")
    bank = cq_chroma_bank(C.shape[-2], bins_per_octave, n_chroma, fmin, base_c)
    return like(folded(single(C), bank, threshold, norm), C)


@array_function
def chroma_cqt(
    x: Tensor,
    *,
    sample_rate: float,
    hop_length: int = 512,
    fmin: float | None = None,
    n_octaves: int = 7,
    bins_per_octave: int = 36,
    n_chroma: int = 12,
    tuning: float = 0.0,
    base_c: bool = True,
    threshold: float = 0.0,
    norm: float | None = math.inf,
) -> Tensor:
    """Give the energies of the pitch classes of audio, from its constant-Q transform.

    With the same parameters it equals librosa's, which guesses the tuning unless it is given.

    Args:
        x: Real audio, float32 or float64; half precision is worked on in float32.
        sample_rate: Of the audio, in hertz.
        hop_length: Samples from one frame to the next.
        fmin: Frequency of the first bin, in hertz; C1, 32.7 Hz, if not given.
        n_octaves: Number of octaves.
        bins_per_octave: Bins of an octave, a multiple of `n_chroma`.
        n_chroma: Number of classes in an octave.
        tuning: How far the music is tuned above A = 440 Hz, in bins.
        base_c: Whether the first class is C; otherwise it is A.
        threshold: Classes below it are set to zero.
        norm: The norm that each frame is brought to; see `chroma_stft`.

    Returns:
        The chroma features.

    Raises:
        ParameterError: A parameter is out of range.

    Shape:
        x: (..., time)
        returns: (..., n_chroma, frames)

    Example:
        >>> tone = torch.sin(2 * torch.pi * 440 / 22050 * torch.arange(22050))
        >>> chroma_cqt(tone, sample_rate=22050)[:, 20].argmax()  # A
        tensor(9)

    References:
        [Müller2015] Fundamentals of Music Processing, section 3.1.2.
    """
    check_audio(x)
    bins_per_octave = positive_int("bins_per_octave", bins_per_octave)
    C = cqt(
        single(x),
        sample_rate=sample_rate,
        hop_length=hop_length,
        fmin=fmin,
        n_bins=positive_int("n_octaves", n_octaves) * bins_per_octave,
        bins_per_octave=bins_per_octave,
        tuning=tuning,
        output="magnitude",
    )
    classes = cq_to_chroma(
        C,
        bins_per_octave=bins_per_octave,
        n_chroma=n_chroma,
        fmin=fmin,
        base_c=base_c,
        threshold=threshold,
        norm=norm,
    )
    return like(classes, x)


def check_norm(norm: float | None) -> float | None:
    """Return the order of a norm, or raise unless it is positive or None.

    Args:
        norm: What the caller gave.

    Raises:
        ParameterError: It is not a positive number, infinity or None.

    Example:
        >>> check_norm(2)
        2.0
    """
    if norm is None:
        return None
    if isinstance(norm, bool) or not isinstance(norm, int | float) or not norm > 0:
        raise ParameterError(f"norm={norm!r} must be a positive number, infinity or None")
    return float(norm)


def normalised(classes: Tensor, norm: float | None) -> Tensor:
    """Bring each frame to a norm of 1, unless it is silent.

    Args:
        classes: Energies of pitch classes.
        norm: The checked order of the norm; None leaves the energies.

    Returns:
        The normalised energies.

    Shape:
        classes: (..., n_chroma, frames)
        returns: (..., n_chroma, frames)

    Example:
        >>> normalised(torch.tensor([[3.0, 0.0], [4.0, 0.0]]), 2.0)
        tensor([[0.6000, 0.0000],
                [0.8000, 0.0000]])
    """
    if norm is None:
        return classes
    size = torch.linalg.vector_norm(classes, norm, dim=-2, keepdim=True)
    return classes / torch.where(size < torch.finfo(size.dtype).tiny, 1.0, size)


def folded(C: Tensor, bank: Bank, threshold: float, norm: float | None) -> Tensor:
    """Fold magnitudes into pitch classes, and normalise them.

    Args:
        C: Magnitudes.
        bank: What folds them.
        threshold: Classes below it are set to zero.
        norm: The checked order of the norm.

    Returns:
        The chroma features.

    Shape:
        C: (..., n_bins, frames)
        returns: (..., n_chroma, frames)

    Example:
        >>> folded(torch.ones(24, 1), cq_chroma_bank(24, 12, 12, None, True), 0.0, None).sum()
        tensor(24.)
    """
    classes = bank(C.mT).mT
    if threshold > 0:
        classes = torch.where(classes < threshold, 0.0, classes)
    return normalised(classes, norm)
