"""Harmonic and percussive sound, told apart by medians, and what is neither.

Tones are lines along the frames of a spectrogram, clicks are lines along its frequencies. Medians
in either direction [FitzGerald2010] are compared by masks; with margins above one, what is clearly
neither is left over [Driedger2014].

References:
    [FitzGerald2010] Harmonic/percussive separation using median filtering, DAFx.
    [Driedger2014] Extending harmonic-percussive separation of audio signals, ISMIR.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from unweave._core.arrays import array_function
from unweave._core.forms import needs_plain_form
from unweave._core.memory import fresh
from unweave.errors import ParameterError
from unweave.transforms import STFT, median_magnitudes

_BLOCK = 2**17  # bins that are worked on at once: what is made of them stays in the cache
_FRAMES = 1024  # of a piece of long audio


class HPSS(NamedTuple):
    """The parts of a spectrogram, or of audio; they sum to the whole.

    Attributes:
        harmonic: What goes on in time.
        percussive: What is spread in frequency.
        residual: What is left; without margins, no more than rounding errors.

    Example:
        >>> hpss(torch.ones(4, 4)).harmonic[0]
        tensor([0.5000, 0.5000, 0.5000, 0.5000])
    """

    harmonic: Tensor
    percussive: Tensor
    residual: Tensor


@array_function
def hpss(
    S: Tensor,
    *,
    kernel_size: int | tuple[int, int] = 31,
    power: float = 2.0,
    margin: float | tuple[float, float] = 1.0,
    mask: bool = False,
) -> HPSS:
    """Split a spectrogram into a harmonic part, a percussive part and a residual.

    The first two are those of librosa.decompose.hpss with the same parameters. Time does not depend
    much on the size of the windows. See `median_magnitudes` for what lies beyond the edges.

    Args:
        S: Spectrogram, complex or magnitudes.
        kernel_size: Size of the windows; or the pair of the size along the frames, for the harmonic
            part, and along the frequencies, for the percussive part.
        power: Exponent of the medians whose shares are the masks: 2 is the Wiener filter. Infinity
            makes masks of 0 and 1.
        margin: How many times the median in one direction must exceed that in the other for the
            mask to be one half; or the pair of that for the harmonic and the percussive part. What
            neither mask takes is the residual.
        mask: Whether the masks are given, rather than the masked spectrogram.

    Returns:
        The parts, which sum to S, or masks, which sum to one.

    Raises:
        ParameterError: S is no spectrogram or has negative values, or an option is out of range.

    Shape:
        S: (..., freq, frames)
        returns: (..., freq, frames) each

    Example:
        >>> S = torch.zeros(5, 6)
        >>> S[2] = 1.0  # a tone
        >>> S[:, 4] += 2.0  # and a click
        >>> parts = hpss(S, kernel_size=5)
        >>> parts.harmonic[:, 0], parts.percussive[0]
        (tensor([0., 0., 1., 0., 0.]), tensor([0., 0., 0., 0., 2., 0.]))

    References:
        [FitzGerald2010] Harmonic/percussive separation using median filtering, DAFx.
        [Driedger2014] Extending harmonic-percussive separation of audio signals, ISMIR.
    """
    check_power(power)
    margins = check_margins(margin)
    if S.ndim < 2 or not (S.is_floating_point() or S.is_complex()):
        raise ParameterError(
            f"S of shape {tuple(S.shape)} and dtype {S.dtype} must be a spectrogram"
            " (..., freq, frames), complex or real"
        )
    magnitude = S.abs() if S.is_complex() else S
    if magnitude.numel() and magnitude.detach().amin() < 0:
        raise ParameterError("S holds negative values: give the complex spectrogram or its .abs()")
    medians = median_magnitudes(magnitude, kernel_size=kernel_size)
    if needs_plain_form(S):
        return _split(*medians, None if mask else S, margins, power)
    flat = [x.reshape(-1) for x in (*medians, S)]
    like = magnitude if mask else S
    out = HPSS(*(fresh(like, S.numel()) for _ in range(3)))
    for start in range(0, S.numel(), _BLOCK):
        part = slice(start, start + _BLOCK)
        harmonic, percussive, whole = (x[part] for x in flat)
        done = _split(harmonic, percussive, None if mask else whole, margins, power)
        for target, value in zip(out, done, strict=True):
            target[part] = value
    return HPSS(*(x.reshape(S.shape) for x in out))


@array_function
def hpss_audio(
    x: Tensor,
    *,
    kernel_size: int | tuple[int, int] = 31,
    power: float = 2.0,
    margin: float | tuple[float, float] = 1.0,
    transform: STFT | None = None,
) -> HPSS:
    """Split audio into a harmonic part, a percussive part and a residual of the same length.

    Long audio is worked on piece by piece, with as much around each that the result is that of the
    whole; but for the audio and its parts, memory does not grow with its length.

    Args:
        x: Audio.
        kernel_size: Size of the windows in frames and bins of the transform; see `hpss`.
        power: Exponent of the medians whose shares are the masks.
        margin: How clearly harmonic, and percussive, the parts must be; see `hpss`.
        transform: Of the spectrogram; frames of 2048 samples, at every quarter of them, if not
            given. Windows of 31 such frames last 0.36 s at 44.1 kHz.

    Returns:
        The parts, which sum to the audio.

    Raises:
        ParameterError: The audio does not fit the transform, whose output must be complex, or an
            option is out of range.

    Shape:
        x: (..., time)
        returns: (..., time) each

    Example:
        >>> tone = torch.sin(0.2 * torch.arange(8000.0))
        >>> click = torch.zeros(8000)
        >>> click[4000] = 5.0
        >>> parts = hpss_audio(tone + click, transform=STFT(n_fft=512))
        >>> bool(parts.percussive[4000] > 4), bool((parts.harmonic - tone)[4000].abs() < 1)
        (True, True)
    """
    transform = STFT() if transform is None else transform
    options = {"kernel_size": kernel_size, "power": power, "margin": margin}
    context = _context(kernel_size, transform)
    step, length = _FRAMES * transform.hop_length, x.shape[-1]
    whole = needs_plain_form(x) or transform.freq_scale != "no" or transform.trainable
    if whole or length <= step + 2 * context:
        return _split_audio(x, transform, options)
    out = HPSS(*(fresh(x, *x.shape) for _ in range(3)))
    for start in range(0, length, step):
        stop = length if length - start <= step + context else start + step
        first = max(0, start - context)
        done = _split_audio(x[..., first : stop + context], transform, options)
        for target, part in zip(out, done, strict=True):
            target[..., start:stop] = part[..., start - first : stop - first]
        if stop == length:
            break
    return out


def _context(kernel_size: int | tuple[int, int], transform: STFT) -> int:
    """Give how many samples on either side take part in one: whole frames of them."""
    size = kernel_size[0] if isinstance(kernel_size, tuple | list) else kernel_size
    samples = 2 * transform.n_fft + (size // 2 + 1) * transform.hop_length
    return -(-samples // transform.hop_length) * transform.hop_length


def _split_audio(x: Tensor, transform: STFT, options: dict[str, Any]) -> HPSS:
    parts = hpss(complex_spectrogram(x, transform), **options)
    harmonic, percussive = (transform.inverse(part, length=x.shape[-1]) for part in parts[:2])
    return HPSS(harmonic, percussive, x - harmonic - percussive)


def complex_spectrogram(x: Tensor, transform: STFT) -> Tensor:
    """Give the complex spectrogram of audio by a transform that can be inverted.

    Args:
        x: Audio.
        transform: What makes the spectrogram.

    Raises:
        ParameterError: The transform gives magnitudes, from which no audio can be restored.

    Returns:
        The spectrogram.

    Shape:
        x: (..., time)
        returns: (..., freq, frames)

    Example:
        >>> complex_spectrogram(torch.zeros(1000), STFT(n_fft=256)).shape
        torch.Size([129, 16])
    """
    if transform.output != "complex":
        raise ParameterError(
            f"transform has output={transform.output!r} but must have 'complex': audio is restored"
            " with the phase of the mixture"
        )
    spectrogram: Tensor = transform(x)
    return spectrogram


def soft_shares(first: Tensor, second: Tensor, power: float, split_zeros: bool) -> Tensor:
    """Give the share that powers of some magnitudes have of the sum with those of others.

    Args:
        first: Magnitudes.
        second: Magnitudes of the same shape.
        power: Any positive number, or infinity for shares of 0 and 1.
        split_zeros: Whether the share is a half where both are zero, rather than zero.

    Returns:
        Numbers from 0 to 1, which are those of librosa.util.softmask.

    Shape:
        first: (...)
        second: (...)
        returns: (...)

    Example:
        >>> soft_shares(torch.tensor([3.0, 0.0]), torch.tensor([1.0, 0.0]), 1.0, True)
        tensor([0.7500, 0.5000])
    """
    if math.isinf(power):
        return (first > second).to(first.dtype)
    top = torch.maximum(first, second)
    silent = top < torch.finfo(top.dtype).tiny
    top = torch.where(silent, 1, top)
    # Powers of very large and small numbers leave the range; those of shares of the larger do not.
    own, other = first / top, second / top
    if power != 1:
        own, other = own**power, other**power
    return torch.where(silent, 0.5 if split_zeros else 0.0, own / (own + other))


def check_power(power: float) -> None:
    """Refuse exponents that are not positive.

    Args:
        power: What the caller gave.

    Raises:
        ParameterError: It is no positive number.

    Example:
        >>> check_power(math.inf)
    """
    if isinstance(power, bool) or not isinstance(power, int | float) or not power > 0:
        raise ParameterError(f"power={power!r} must be a positive number; infinity is allowed")


def check_margins(margin: float | tuple[float, float]) -> tuple[float, float]:
    """Give both margins, refusing those that would give more than there is.

    Args:
        margin: One number for both, or two.

    Raises:
        ParameterError: There are not one or two finite numbers of at least 1.

    Returns:
        Two numbers.

    Example:
        >>> check_margins(2)
        (2.0, 2.0)
    """
    pair = margin if isinstance(margin, tuple | list) else (margin, margin)
    numbers = all(isinstance(m, int | float) and not isinstance(m, bool) for m in pair)
    if len(pair) != 2 or not numbers or not all(1 <= m < math.inf for m in pair):
        raise ParameterError(
            f"margin={margin!r} must be a number of at least 1, or a pair of such numbers: masks"
            " would sum to more than one"
        )
    return float(pair[0]), float(pair[1])


def _split(
    harmonic: Tensor,
    percussive: Tensor,
    S: Tensor | None,
    margins: tuple[float, float],
    power: float,
) -> HPSS:
    """Compare the medians, and give the parts of S, or the masks."""
    whole = margins == (1.0, 1.0)
    first = soft_shares(harmonic, percussive * margins[0], power, whole)
    second = soft_shares(percussive, harmonic * margins[1], power, whole)
    if S is None:
        return HPSS(first, second, 1 - first - second)
    first, second = S * first, S * second
    return HPSS(first, second, S - first - second)
