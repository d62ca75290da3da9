"""BSSEval version 4: which part of an estimate's error is distortion, interference, artifacts.

Estimates are compared with what filters of a given length can make of the true sources, so that a
delay or a change of timbre counts as distortion of the source, the other sources shining through as
interference, and what no filter explains as artifacts:

    SDR = |s|^2 / |e - s|^2                     of the source to all distortion
    ISR = |s|^2 / |P_j s - s|^2                 of the image to its spatial distortion
    SIR = |P_j s|^2 / |P s - P_j s|^2           of the source to interference
    SAR = |P s|^2 / |e - P s|^2                 of all sources to artifacts

in dB, where s is the true source with all its channels, e its estimate, P_j s what filtering s can
explain of e, and P s what filtering all sources can. The filters are those of the whole track;
energies are measured in windows [Stoter2018].

The filters solve normal equations that are made of correlations at short lags alone; these come
from FFTs of blocks [Scheibler2022]. The energies in a window, too, are sums of its correlations, so
that windows that lie end to end cost nothing more; only where the sums cancel are they filtered.

References:
    [Vincent2006] E. Vincent, R. Gribonval, C. Fevotte, "Performance measurement in blind audio
        source separation", IEEE Trans. Audio, Speech and Language Processing 14(4).
    [Stoter2018] F.-R. Stoter, A. Liutkus, N. Ito, "The 2018 signal separation evaluation campaign",
        LVA/ICA 2018.
    [Scheibler2022] R. Scheibler, "SDR - medium rare with fast computations", ICASSP 2022.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from unweave._core.arrays import array_function, two_array_function
from unweave._core.checks import non_negative, positive_int
from unweave.errors import ParameterError
from unweave.evaluation._correlations import Correlations
from unweave.evaluation._decomposition import Decomposition, Energies
from unweave.evaluation._distortion import distortion_filters
from unweave.evaluation._quadratic import QuadraticForms
from unweave.evaluation._signals import Signals

_LONG = 16  # times the taps: windows whose correlations need less memory than themselves


class BSSScores(NamedTuple):
    """Ratios in dB of every source in every window, each of shape (..., sources, windows).

    Attributes:
        sdr: Source to distortion ratio.
        isr: Source image to spatial distortion ratio.
        sir: Source to interference ratio.
        sar: Sources to artifacts ratio.

    Example:
        >>> ratios = torch.zeros(2, 3)
        >>> BSSScores(sdr=ratios, isr=ratios, sir=ratios + 10, sar=ratios).median().sir
        tensor([10., 10.])
    """

    sdr: Tensor
    isr: Tensor
    sir: Tensor
    sar: Tensor

    def median(self) -> BSSScores:
        """Give the medians over windows, as separation campaigns report them.

        Windows without a result (nan, where a source is silent) or with an infinite one do not
        count; nan remains where none counts.

        Returns:
            The ratios, each of shape (..., sources).

        Example:
            >>> ratios = torch.tensor([[1.0, torch.nan, 3.0, 8.0]])
            >>> BSSScores(ratios, ratios, ratios, ratios).median().sdr
            tensor([3.])
        """
        return BSSScores(*(_median(values) for values in self))


@two_array_function
def bss_eval(
    estimate: Tensor,
    reference: Tensor,
    *,
    sample_rate: float,
    window: float | None = 1.0,
    hop: float | None = None,
    filter_length: int = 512,
    bits: int | None = None,
) -> BSSScores:
    """Measure SDR, ISR, SIR and SAR of BSSEval version 4.

    The results are museval's with the same windows. Windows in which a source or an estimate is
    silent have no result (nan) for any source. A signal counts as silent where the sum of its
    channels is zero.

    Sources without any energy in some band, such as lossy files decoded to floating point, leave
    the filters there undetermined: ISR, SIR and SAR in windows then hang on rounding errors, here
    and in museval, and may be absurdly low. The noise of 16 bits is enough to prevent it, and it is
    what campaigns measured with: use bits=16.

    Work is done in double precision. Besides the signals it needs about five matrices of the size
    of the normal equations, 40 (sources * channels * filter_length)^2 bytes (700 MB for four stereo
    sources), and, where windows lie end to end, the correlations inside of each of them: half a
    megabyte a second there, a fifth of the signals in single precision.

    Args:
        estimate: Estimated sources.
        reference: True sources of the same shape and in the same order.
        sample_rate: Samples per second.
        window: Length of a window in seconds; None measures the whole signals at once.
        hop: Seconds from one window to the next; `window` if not given. Samples after the last
            whole window are in none; a signal shorter than a window is one window.
        filter_length: Samples of the filters.
        bits: Round both signals to so many bits first, as 16-bit files do; None leaves them.

    Returns:
        The ratios in dB, in float64 for float64 signals and otherwise in float32.

    Raises:
        ParameterError: The shapes differ or have too few axes, a parameter is out of range, or a
            source or an estimate is silent from beginning to end.

    Shape:
        estimate: (..., sources, channels, time)
        reference: (..., sources, channels, time)
        returns: each (..., sources, windows)

    Example:
        >>> sources = torch.randn(2, 1, 9000, generator=torch.Generator().manual_seed(0))
        >>> estimates = sources + 0.1 * sources.flip(0)
        >>> scores = bss_eval(estimates, sources, sample_rate=3000, filter_length=32)
        >>> scores.sir.shape, scores.median().sir.round()
        (torch.Size([2, 3]), tensor([20., 20.]))
    """
    _check(estimate, reference)
    length = reference.shape[-1]
    size = length if window is None else min(_samples("window", window, sample_rate), length)
    step = size
    if window is not None:
        step = _samples("hop", window if hop is None else hop, sample_rate)
    taps = positive_int("filter_length", filter_length)
    leading = reference.shape[:-3]
    if bits is not None:
        positive_int("bits", bits)
    pairs = zip(
        estimate.detach().reshape(-1, *estimate.shape[-3:]),
        reference.detach().reshape(-1, *reference.shape[-3:]),
        strict=True,
    )
    with torch.no_grad():
        tracks = [Signals(s.flatten(0, 1), e.flatten(0, 1), len(s), bits) for e, s in pairs]
        scores = torch.stack([_scores(track, size, step, taps) for track in tracks])
    dtype = torch.float64 if reference.dtype == torch.float64 else torch.float32
    scores = scores.to(dtype).reshape(*leading, *scores.shape[1:])
    return BSSScores(*scores.unbind(-3))


def _scores(signals: Signals, size: int, step: int, taps: int) -> Tensor:
    """Score one track; give (4, sources, windows)."""
    _refuse_silence(signals)
    starts = range(0, signals.length - size + 1, step)
    correlations = Correlations(signals, taps)
    if size < signals.length and (step != size or size < _LONG * taps):
        filters = distortion_filters(correlations.of(0, signals.length).lags, signals.sources)
        return _ratios(Decomposition(filters, size).energies(signals, starts))
    found = correlations.of_tiles(size)
    filters = distortion_filters(found.total, signals.sources)
    energies, cancelled = QuadraticForms(filters).energies(found.lags, found.energy)
    ratios, silent = _ratios(energies), found.silent.any(-1)
    again = torch.nonzero(cancelled & ~silent).flatten().tolist()
    if again:
        direct = Decomposition(filters, size)
        ratios[..., again] = _ratios(direct.energies(signals, [starts[n] for n in again]))
    return ratios.masked_fill(silent, torch.nan)


def _refuse_silence(signals: Signals) -> None:
    for number in torch.nonzero(signals.silent_throughout()).flatten().tolist():
        name = "estimate" if number >= signals.sources else "reference"
        raise ParameterError(
            f"source {number % signals.sources} of {name} is silent from beginning to end (the sum"
            " of its channels is zero), so BSSEval is not defined: leave this source out of both"
        )


def _ratios(found: Energies) -> Tensor:
    pairs = (
        (found.true, found.error),
        (found.true, found.spatial),
        (found.image, found.interference),
        (found.projected, found.artifacts),
    )
    ratios = torch.stack([10 * torch.log10(good / bad) for good, bad in pairs])
    perfect = torch.stack([bad == 0 for _, bad in pairs])
    return ratios.masked_fill(perfect, torch.inf)


@array_function
def _median(values: Tensor) -> Tensor:
    # torch's own median of an even number is the lower of the two in the middle.
    finite = values.masked_fill(values.isinf(), torch.nan)
    return finite.nanquantile(0.5, dim=-1)


def _samples(name: str, seconds: float, sample_rate: float) -> int:
    samples = int(_positive(name, seconds) * _positive("sample_rate", sample_rate))
    if samples < 1:
        raise ParameterError(f"{name}={seconds!r} seconds is shorter than a sample")
    return samples


def _positive(name: str, value: object) -> float:
    if not non_negative(name, value):
        raise ParameterError(f"{name}={value!r} must be a positive number")
    return non_negative(name, value)


def _check(estimate: Tensor, reference: Tensor) -> None:
    shape = tuple(reference.shape)
    if estimate.shape != reference.shape or reference.ndim < 3 or 0 in shape:
        raise ParameterError(
            f"estimate {tuple(estimate.shape)} and reference {shape} must have the same shape"
            " (..., sources, channels, time), none of it zero"
        )
    if not (estimate.is_floating_point() and reference.is_floating_point()):
        raise ParameterError(
            f"estimate ({estimate.dtype}) and reference ({reference.dtype}) must be floating point:"
            " convert them, for example with .float()"
        )
