"""Foreground and background by repetition: what comes back is accompaniment, what does not sings.

REPET [Rafii2013] takes the music to repeat with one period: the median over all repetitions is the
background. REPET-SIM [Rafii2012] does without a period: the background of a frame is the median
over the frames that are the most similar to it, wherever they are.

References:
    [Rafii2013] Z. Rafii, B. Pardo, REpeating Pattern Extraction Technique (REPET): a simple method
        for music/voice separation, IEEE Trans. ASLP 21(1).
    [Rafii2012] Z. Rafii, B. Pardo, Music/voice separation using the similarity matrix, ISMIR.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from unweave._core.arrays import array_function
from unweave._core.checks import positive_int
from unweave._core.memory import fresh
from unweave.decomposition._sorting import median
from unweave.decomposition.hpss import check_margins, check_power, soft_shares
from unweave.errors import ParameterError

_BLOCK = 2**20  # values that are sorted at once
_SPECTRA = 2**20  # values of the beat spectrum's transforms at once
_SIMILAR = 2**22  # similarities at once


class Repetition(NamedTuple):
    """What repeats in a spectrogram and what does not.

    Attributes:
        background: What repeats.
        foreground: What does not.

    Example:
        >>> background, foreground = repet(torch.ones(2, 9), period=3)
        >>> bool((background == 1).all()), bool((foreground == 0).all())
        (True, True)
    """

    background: Tensor
    foreground: Tensor


@array_function
def beat_spectrum(S: Tensor) -> Tensor:
    """Tell how much a spectrogram resembles itself, some frames later.

    It is the autocorrelation of the powers in each bin, averaged over bins and channels and divided
    by that of no lag [Foote2001]. Peaks are at the periods of the music.

    Args:
        S: Spectrogram, complex or magnitudes.

    Returns:
        One number for each lag in frames, the first of which is 1; zeros for silence.

    Raises:
        ParameterError: S is no spectrogram, or is not finite.

    Shape:
        S: (freq, frames) or (..., channels, freq, frames)
        returns: (frames) or (..., frames)

    Example:
        >>> S = torch.tensor([[1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0]])
        >>> beat_spectrum(S)[:4].round().abs()
        tensor([1., 0., 0., 1.])

    References:
        [Foote2001] The beat spectrum: a new approach to rhythm analysis, ICME.
    """
    magnitude = _magnitude(S)
    lead = magnitude.shape[:-3]
    items = magnitude.reshape(-1, _channels(magnitude) * magnitude.shape[-2], magnitude.shape[-1])
    frames = items.shape[-1]
    size = 1 << (2 * frames - 1).bit_length()
    step = max(1, _SPECTRA // size)
    out = []
    for item in items:
        total = magnitude.new_zeros(size // 2 + 1, dtype=torch.float64)
        for start in range(0, len(item), step):
            power = item[start : start + step].to(torch.float64).square()
            total = total + torch.fft.rfft(power, size).abs().square().sum(0)
        products = torch.fft.irfft(total, size)[:frames]
        means = products / torch.arange(frames, 0, -1, device=S.device)
        out.append(means / torch.where(means[0] == 0, 1, means[0]))
    return torch.stack(out).reshape(*lead, frames).to(magnitude.dtype)


@array_function
def repet(
    S: Tensor,
    *,
    period: int | tuple[int, int],
    background_bins: int = 0,
    margin: float | tuple[float, float] = 1.0,
    power: float = 2.0,
) -> Repetition:
    """Split a spectrogram into what repeats with a fixed period, and the rest.

    The median over all repetitions, as far as it does not exceed the spectrogram, is a model of the
    background; the rest of the magnitude is a model of the foreground. Masks compare them.

    Args:
        S: Spectrogram, complex or magnitudes.
        period: Of the repetition, in frames; or the pair of the shortest and the longest to seek,
            where the largest value of the beat spectrum is taken. At least two periods, for a
            useful median at least three, should be in the spectrogram.
        background_bins: How many of the lowest bins are all background: those below 100 Hz, where
            nobody sings, spare the bass much damage.
        margin: How many times the model of the background must exceed that of the foreground for
            its mask to be one half, and the other way round; see `hpss`.
        power: Exponent of the models whose shares are the masks.

    Returns:
        Background and foreground, which sum to S without margins.

    Raises:
        ParameterError: S is no spectrogram, or is not finite, or an option is out of range.

    Shape:
        S: (freq, frames) or (..., channels, freq, frames)
        returns: that of S, each

    Example:
        >>> S = torch.tensor([[4.0, 1.0, 4.0, 1.0, 4.0, 1.0, 4.0, 9.0]])
        >>> repet(S, period=2).foreground.round()
        tensor([[0., 0., 0., 0., 0., 0., 0., 9.]])
    """
    check_power(power)
    margins = check_margins(margin)
    magnitude = _magnitude(S)
    frames, channels = magnitude.shape[-1], _channels(magnitude)
    shortest, longest = _period(period, frames)
    low = _bins(background_bins)
    items = magnitude.reshape(-1, channels, *magnitude.shape[-2:])
    spectra = beat_spectrum(magnitude.detach()).reshape(-1, frames)
    out = fresh(S, *S.shape), fresh(S, *S.shape)
    targets = [x.view(items.shape) for x in out]
    whole = S.reshape(items.shape)
    rows = max(1, _BLOCK // (channels * frames))
    for item, spectrum in enumerate(spectra):
        lag = shortest + int(spectrum[shortest : longest + 1].argmax())
        for start in range(0, items.shape[-2], rows):
            part = (item, slice(None), slice(start, start + rows))
            model = _repeated(items[part], lag)
            done = _masked(whole[part], items[part], model, margins, power)
            for target, value in zip(targets, done, strict=True):
                target[part] = value
    return _with_low_bins(S, Repetition(*out), low)


@array_function
def repet_sim(
    S: Tensor,
    *,
    min_distance: int,
    n_neighbors: int | None = None,
    background_bins: int = 0,
    margin: float | tuple[float, float] = 1.0,
    power: float = 2.0,
) -> Repetition:
    """Split a spectrogram into what similar frames have in common, and the rest.

    Frames are compared by the cosine of the angle between them, all channels together. With margins
    of (2, 10), this is the vocal separation of librosa's gallery. Time grows with the square of the
    length, memory does not: it is some copies of S.

    Args:
        S: Spectrogram, complex or magnitudes.
        min_distance: Frames nearer in time than this are not compared, for they are similar
            anyway: those of one or two seconds are usual. At least 1 and less than half of the
            frames.
        n_neighbors: How many similar frames the median is over; by default twice the root of their
            number, as in librosa.
        background_bins: How many of the lowest bins are all background: those below 100 Hz, where
            nobody sings, spare the bass much damage.
        margin: How many times the model of the background must exceed that of the foreground for
            its mask to be one half, and the other way round; see `hpss`.
        power: Exponent of the models whose shares are the masks.

    Returns:
        Background and foreground, which sum to S without margins.

    Raises:
        ParameterError: S is no spectrogram, or is not finite, or an option is out of range.

    Shape:
        S: (freq, frames) or (..., channels, freq, frames)
        returns: that of S, each

    Example:
        >>> S = torch.tensor([[4.0, 0.0, 4.0, 0.0, 4.0, 0.0, 9.0]])
        >>> S = torch.cat([S, S == 0])
        >>> repet_sim(S, min_distance=1, n_neighbors=3).foreground[0, 6]
        tensor(5.4878)
    """
    check_power(power)
    margins = check_margins(margin)
    magnitude = _magnitude(S)
    frames, channels = magnitude.shape[-1], _channels(magnitude)
    low = _bins(background_bins)
    count = _neighbors(frames, positive_int("min_distance", min_distance), n_neighbors)
    items = magnitude.reshape(-1, channels * magnitude.shape[-2], frames)
    out = fresh(S, *S.shape), fresh(S, *S.shape)
    targets = [x.view(items.shape) for x in out]
    whole = S.reshape(items.shape)
    for item, rows in enumerate(items):
        by_frame = rows.mT.contiguous()
        norms = by_frame.norm(dim=1)
        step = max(1, min(_SIMILAR // frames, 8 * _BLOCK // (count * len(rows))))
        for start in range(0, frames, step):
            part = slice(start, min(start + step, frames))
            near = _similar(by_frame, norms, part, (min_distance, count))
            model = torch.stack([median(by_frame[places].mT.contiguous()) for places in near], 1)
            done = _masked(whole[item, :, part], rows[:, part], model, margins, power)
            for target, value in zip(targets, done, strict=True):
                target[item, :, part] = value
    return _with_low_bins(S, Repetition(*out), low)


def _with_low_bins(S: Tensor, parts: Repetition, count: int) -> Repetition:
    """Give the lowest bins to the background."""
    low = (..., slice(0, count), slice(None))
    parts.background[low] = S[low]
    parts.foreground[low] = 0
    return parts


def _magnitude(S: Tensor) -> Tensor:
    if S.ndim < 2 or not (S.is_floating_point() or S.is_complex()) or not S.numel():
        raise ParameterError(
            f"S of shape {tuple(S.shape)} and dtype {S.dtype} must be a spectrogram (freq, frames)"
            " or (..., channels, freq, frames), complex or real, with values"
        )
    magnitude = S.detach().abs() if S.is_complex() else S.detach()
    low, high = magnitude.aminmax()
    if not (low >= 0 and high.isfinite()):
        raise ParameterError(
            "S must be finite and not negative: give the complex spectrogram or its .abs()"
        )
    return magnitude


def _channels(magnitude: Tensor) -> int:
    return 1 if magnitude.ndim == 2 else magnitude.shape[-3]


def _bins(count: int) -> int:
    return positive_int("background_bins", count) if count != 0 else 0


def _period(period: int | tuple[int, int], frames: int) -> tuple[int, int]:
    """Give the shortest and the longest period to seek."""
    pair = period if isinstance(period, tuple | list) else (period, period)
    if len(pair) != 2:
        raise ParameterError(
            f"period={period!r} must be one number of frames, or (lowest, highest)"
        )
    shortest, longest = (positive_int("period", value) for value in pair)
    if shortest > longest or longest > frames // 2:
        raise ParameterError(
            f"period={period!r} must be at most half of the {frames} frames, and a pair in order"
        )
    return shortest, longest


def _neighbors(frames: int, width: int, count: int | None) -> int:
    """Give how many similar frames the median is over."""
    if not width < (frames - 1) / 2:
        raise ParameterError(
            f"min_distance={width} must be less than half of the {frames} frames minus one"
        )
    if count is None:
        count = 2 * math.ceil(math.sqrt(frames - 2 * width + 1))
    # Every frame has as many others at that distance, or more.
    return min(positive_int("n_neighbors", count), frames - 2 * width + 1)


def _repeated(magnitude: Tensor, lag: int) -> Tensor:
    """Give the median over the repetitions of each bin: (channels, freq, frames)."""
    frames = magnitude.shape[-1]
    whole, rest = divmod(frames, lag)
    # The first `rest` frames of the period come once more than the others.
    often = torch.unflatten(magnitude[..., : whole * lag], -1, (whole, lag)).mT
    model = median(often[..., rest:, :].contiguous())
    if rest:
        last = magnitude[..., whole * lag :].unsqueeze(-1)
        more = torch.cat([often[..., :rest, :], last], -1)
        model = torch.cat([median(more), model], -1)
    return model.repeat(*[1] * (model.ndim - 1), whole + 1)[..., :frames]


def _similar(by_frame: Tensor, norms: Tensor, part: slice, options: tuple[int, int]) -> Tensor:
    """Give the most similar frames of some frames: (frames of the part, count)."""
    width, count = options
    # The norms of the part's own frames do not change their order of similarity.
    alike = by_frame[part] @ by_frame.mT / torch.where(norms == 0, 1, norms)
    places = torch.arange(len(by_frame), device=by_frame.device)
    near = (places[part, None] - places).abs() < width
    return alike.masked_fill_(near, -torch.inf).topk(count, sorted=False).indices


def _masked(
    S: Tensor, magnitude: Tensor, model: Tensor, margins: tuple[float, float], power: float
) -> tuple[Tensor, Tensor]:
    """Split some bins by a model of their background."""
    background = torch.minimum(magnitude, model)
    foreground = magnitude - background
    whole = margins == (1.0, 1.0)
    mask = soft_shares(background, foreground * margins[0], power, whole)
    other = 1 - mask if whole else soft_shares(foreground, background * margins[1], power, False)
    return S * mask, S * other
