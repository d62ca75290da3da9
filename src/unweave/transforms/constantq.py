"""Constant-Q and variable-Q transforms: spectra whose bins are notes, equal to librosa's."""

from __future__ import annotations

import math

from torch import Tensor

from unweave._core.arrays import array_function
from unweave.transforms._analysis import (
    FINISHES,
    OUTPUTS,
    PAD_MODES,
    check_audio,
    check_choice,
    like,
    single,
)
from unweave.transforms._cq_filterbank import filterbank
from unweave.transforms._cq_kernels import Bins, WindowName
from unweave.transforms._cq_plan import Plan, checked_plan


@array_function
def cqt(
    x: Tensor,
    *,
    sample_rate: float,
    hop_length: int = 512,
    fmin: float | None = None,
    n_bins: int = 84,
    bins_per_octave: int = 12,
    tuning: float = 0.0,
    filter_scale: float = 1.0,
    norm: float | None = 1.0,
    sparsity: float = 0.01,
    window: WindowName = "hann",
    scale: bool = True,
    pad_mode: str = "constant",
    algorithm: str = "auto",
    output: str = "complex",
    normalization: str = "librosa",
) -> Tensor:
    """Analyse audio in bins spaced like notes, each with a filter as long as its pitch is low.

    Bin k lies at fmin * 2^(k / bins_per_octave) Hz, and all filters last the same number of periods
    (17 with 12 bins an octave). With the same parameters it equals `librosa.cqt`, magnitude and
    phase, edges included, within 2e-6 of the maximum; librosa's resampler is reproduced for that.

    Args:
        x: Real audio, float32 or float64; half precision is worked on in float32.
        sample_rate: Of the audio, in hertz.
        hop_length: Samples from one frame to the next; frame t is centred on sample t * hop_length.
            Any hop is allowed; the more often 2 divides it, the quicker.
        fmin: Centre of the lowest bin in hertz; the note C1, 32.703 Hz, if not given.
        n_bins: Number of bins; 84 are seven octaves of semitones.
        bins_per_octave: Bins in an octave; 12 for semitones.
        tuning: Shift of all bins, in bins, where the music is not tuned to A = 440 Hz.
        filter_scale: Factor on the lengths of the filters: below 1 for better resolution in time.
        norm: Order of the vector norm that is 1 for each filter; None leaves the windows' size.
        sparsity: Part of the sum of magnitudes of each filter's spectrum that is cut: an error of
            half a percent at 0.01, which is librosa's default; 0 cuts nothing.
        window: Name of the filters' window, or ("kaiser", beta).
        scale: Whether values are divided by the root of the filters' lengths (only for librosa's
            normalization).
        pad_mode: What continues the signal at its ends: "constant" is silence, "reflect" mirrors
            it, "replicate" repeats its last sample.
        algorithm: "downsample" halves the sample rate from octave to octave, as librosa does;
            "direct" applies every filter at the full rate: the ideal transform, from which
            librosa's differs by 1 to 2 % because its filters have whole numbers of samples at the
            lower rates. "auto" is librosa's result, that of "downsample", which is also several
            times faster; with an odd hop, or one octave, the two are the same.
        output: "complex", "magnitude", "phase" (radians) or "power".
        normalization: "librosa"; "convolutional" for filters of L1 norm 1, where a unit sine reads
            one half; "wrap" for twice that, where it reads one.

    Returns:
        The transform; complex, or real of the audio's dtype. An empty signal has no frames.

    Raises:
        ParameterError: A parameter is out of range; the bins reach beyond half the sample rate (the
            text names the number that fits); the signal is too short to be mirrored.

    Shape:
        x: (..., time)
        returns: (..., n_bins, frames); frames is 1 + time // hop_length, or one more where the rate
            is lowered before the top octave

    Example:
        >>> import torch
        >>> tone = torch.sin(2 * torch.pi * 440 / 22050 * torch.arange(22050))
        >>> spec = cqt(tone, sample_rate=22050, output="magnitude", normalization="wrap")
        >>> spec.shape, int(spec[:, 20].argmax())  # A4 is 45 semitones above C1
        (torch.Size([84, 44]), 45)
        >>> round(float(spec[45, 20]), 2)
        1.0

    References:
        [Brown1991] Calculation of a constant Q spectral transform, JASA 89(1).
        [Brown1992] An efficient algorithm for the calculation of a constant Q transform, JASA
        92(5).
        [Schoerkhuber2010] Constant-Q transform toolbox for music processing, SMC conference.
    """
    bins = Bins(
        sample_rate=sample_rate,
        fmin=fmin,
        n_bins=n_bins,
        bins_per_octave=bins_per_octave,
        tuning=tuning,
        filter_scale=filter_scale,
        gamma=0.0,
        norm=norm,
        sparsity=sparsity,
        window=window,
    )
    plan = checked_plan(bins, hop_length, algorithm, normalization, scale)
    return transform(x, plan, pad_mode, output)


@array_function
def vqt(
    x: Tensor,
    *,
    sample_rate: float,
    hop_length: int = 512,
    fmin: float | None = None,
    n_bins: int = 84,
    bins_per_octave: int = 12,
    gamma: float | None = None,
    tuning: float = 0.0,
    filter_scale: float = 1.0,
    norm: float | None = 1.0,
    sparsity: float = 0.01,
    window: WindowName = "hann",
    scale: bool = True,
    pad_mode: str = "constant",
    algorithm: str = "auto",
    output: str = "complex",
    normalization: str = "librosa",
) -> Tensor:
    """Analyse audio in bins spaced like notes, whose filters are shorter in the bass than `cqt`'s.

    Bandwidths are alpha * f + gamma: a constant fraction of the frequency, plus a constant that
    matters in the bass, where it buys resolution in time. With the same parameters it equals
    `librosa.vqt` as `cqt` equals `librosa.cqt`.

    Args:
        x: Real audio, float32 or float64; half precision is worked on in float32.
        sample_rate: Of the audio, in hertz.
        hop_length: Samples from one frame to the next; frame t is centred on sample t * hop_length.
        fmin: Centre of the lowest bin in hertz; the note C1, 32.703 Hz, if not given.
        n_bins: Number of bins.
        bins_per_octave: Bins in an octave.
        gamma: Widening of all filters in hertz. 0 gives `cqt`; if not given, bandwidths are a
            constant fraction of the ear's, 24.7 + 0.108 f (gamma is 26.4 Hz for semitones).
        tuning: Shift of all bins, in bins, where the music is not tuned to A = 440 Hz.
        filter_scale: Factor on the lengths of the filters.
        norm: Order of the vector norm that is 1 for each filter; None leaves the windows' size.
        sparsity: Part of the sum of magnitudes of each filter's spectrum that is cut.
        window: Name of the filters' window, or ("kaiser", beta).
        scale: Whether values are divided by the root of the filters' lengths (only for librosa's
            normalization).
        pad_mode: What continues the signal at its ends: "constant" is silence, "reflect" mirrors
            it, "replicate" repeats its last sample.
        algorithm: "downsample", "direct" or "auto"; see `cqt`.
        output: "complex", "magnitude", "phase" (radians) or "power".
        normalization: "librosa", "convolutional" or "wrap"; see `cqt`.

    Returns:
        The transform; complex, or real of the audio's dtype. An empty signal has no frames.

    Raises:
        ParameterError: A parameter is out of range; the bins reach beyond half the sample rate (the
            text names the number that fits); the signal is too short to be mirrored.

    Shape:
        x: (..., time)
        returns: (..., n_bins, frames)

    Example:
        >>> import torch
        >>> click = torch.zeros(22050)
        >>> click[10240] = 1.0
        >>> spec = vqt(click, sample_rate=22050, output="power")
        >>> int((spec[0] > 1e-3 * spec[0].max()).sum())  # frames that see it in the lowest bin
        3

    References:
        [Schoerkhuber2014] A Matlab toolbox for efficient perfect reconstruction time-frequency
        transforms with log-frequency resolution, AES 53rd International Conference.
    """
    bins = Bins(
        sample_rate=sample_rate,
        fmin=fmin,
        n_bins=n_bins,
        bins_per_octave=bins_per_octave,
        tuning=tuning,
        filter_scale=filter_scale,
        gamma=gamma,
        norm=norm,
        sparsity=sparsity,
        window=window,
    )
    plan = checked_plan(bins, hop_length, algorithm, normalization, scale)
    return transform(x, plan, pad_mode, output)


def transform(
    x: Tensor, plan: Plan, pad_mode: str, output: str, kernels: tuple[Tensor, ...] = ()
) -> Tensor:
    """Run a plan on audio of any leading axes.

    Args:
        x: Real audio.
        plan: The transform.
        pad_mode: What continues the signal at its ends.
        output: "complex", "magnitude", "phase" or "power".
        kernels: Trained filters that stand for those of the plan's stages.

    Raises:
        ParameterError: The audio or a parameter is not what it must be.

    Shape:
        x: (..., time)
        returns: (..., bins, frames)

    Example:
        >>> import torch
        >>> plan = checked_plan(Bins(22050, None, 84, 12), 512, "auto", "librosa", True)
        >>> transform(torch.zeros(2, 1, 1000), plan, "constant", "power").shape
        torch.Size([2, 1, 84, 2])
    """
    check_choice("pad_mode", pad_mode, PAD_MODES)
    check_choice("output", output, OUTPUTS)
    check_audio(x)
    if x.shape[-1] == 0:
        dtype = single(x).dtype.to_complex() if output == "complex" else x.dtype
        return x.new_zeros(*x.shape[:-1], plan.n_bins, 0, dtype=dtype)
    rows = single(x).reshape(math.prod(x.shape[:-1]), x.shape[-1])
    out = filterbank(rows, plan, pad_mode=pad_mode, finish=FINISHES[output], kernels=kernels)
    return like(out.reshape(*x.shape[:-1], *out.shape[1:]).mT, x)
