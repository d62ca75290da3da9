"""Spectrograms and masks as pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from unweave._core.checks import positive_int
from unweave.errors import ParameterError
from unweave.plots._figure import SMALL, Array, colour_bar, new_axes, plain, seconds_axis, signal
from unweave.plots._levels import (
    COLUMNS,
    Rows,
    columns_of,
    from_mel,
    of_audio,
    of_spectrogram,
    to_mel,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

RANGE = 80.0  # decibels from the loudest to black
_TICKS = (50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000)
_FEW_TICKS = (100, 500, 2000, 5000, 10000, 20000)


def spectrogram(
    x: Array,
    *,
    sample_rate: float,
    scale: str = "mel",
    n_fft: int | None = None,
    hop_length: int | None = None,
    levels: tuple[float, float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the level of a sound over time and frequency, in decibels.

    A sine of full scale is at 0 dB. Powers are averaged over the channels and where several frames
    share a pixel; where several frequencies do, the largest is shown.

    Args:
        x: Audio, or its spectrogram: complex, or magnitudes that have their axis of channels.
        sample_rate: Of the audio, in hertz.
        scale: Of the frequency axis: "mel", "log" or "linear".
        n_fft: Samples of a frame, for audio; if not given 2048, or 4096 on a logarithmic axis,
            which shows the bass large. That of a spectrogram follows from its shape.
        hop_length: Samples from one frame to the next; a quarter of a frame if not given.
        levels: Of black and of white in decibels; from the loudest to 80 dB below if not given.
        ax: Where to draw; if None, on a new figure that also explains the colours.

    Returns:
        The axes, in seconds and hertz.

    Raises:
        ParameterError: `x` is neither audio nor a spectrogram, or a parameter is out of range.
        DependencyError: matplotlib is not installed.

    Shape:
        x: (time,), (channels, time), complex (freq, frames) or (channels, freq, frames)

    Example:
        >>> tone = torch.sin(2 * torch.pi * 440 / 8000 * torch.arange(8000))
        >>> ax = spectrogram(tone, sample_rate=8000, scale="log")
        >>> ax.get_xlabel(), ax.get_ylabel()
        ('time (s)', 'frequency (Hz)')
    """
    power, rows, seconds = powers(
        x, sample_rate=sample_rate, scale=scale, n_fft=n_fft, hop_length=hop_length
    )
    own = ax is None
    ax = new_axes() if ax is None else ax
    image = draw(ax, decibels(power), rows, seconds, levels)
    if own:
        colour_bar(image, ax, "level (dB, full scale = 0)", ax.figure)
    return ax


def powers(
    x: Array, *, sample_rate: float, scale: str, n_fft: int | None, hop_length: int | None
) -> tuple[Tensor, Rows, float]:
    """Give the powers that a picture shows, of shape (rows, columns), and its extent.

    Args:
        x: As in `spectrogram`.
        sample_rate: In hertz.
        scale: Of the frequency axis.
        n_fft: Samples of a frame, for audio.
        hop_length: Samples from one frame to the next.

    Returns:
        Powers, rows and the seconds that the columns span.
    """
    found = plain(x)
    hop_given = None if hop_length is None else positive_int("hop_length", hop_length)
    if found.is_complex() or found.ndim == 3:
        magnitude = _magnitude(found)
        n_fft = 2 * (magnitude.shape[-2] - 1)
        hop = hop_given or max(1, n_fft // 4)
        rows = Rows.of(scale, magnitude.shape[-2], sample_rate)
        power = of_spectrogram(magnitude, rows) / (n_fft / 4) ** 2
        return power, rows, magnitude.shape[-1] * hop / sample_rate
    audio = signal(found)
    n_fft = _frame(n_fft, scale)
    hop = hop_given or max(1, n_fft // 4)
    rows = Rows.of(scale, n_fft // 2 + 1, sample_rate)
    return of_audio(audio, rows, n_fft, hop), rows, audio.shape[-1] / sample_rate


def _frame(n_fft: int | None, scale: str) -> int:
    if n_fft is None:
        return 4096 if scale == "log" else 2048
    return positive_int("n_fft", n_fft)


def _magnitude(found: Tensor) -> Tensor:
    if found.ndim not in (2, 3) or 0 in found.shape or found.shape[-2] < 2:
        raise ParameterError(
            f"x of shape {tuple(found.shape)} was given: audio (channels, time), a complex"
            " spectrogram (channels, freq, frames) or magnitudes of that shape are expected"
        )
    return found.abs().reshape(-1, *found.shape[-2:])


def decibels(power: Tensor) -> Tensor:
    """Give levels of powers; silence is at -200 dB.

    Args:
        power: Not negative.
    """
    return 10 * torch.log10(power.clamp(min=1e-20))


def limits(level: Tensor, levels: tuple[float, float] | None) -> tuple[float, float]:
    """Give the levels of black and white.

    Args:
        level: What is shown, in decibels.
        levels: What was asked for.

    Raises:
        ParameterError: The lower is not below the upper.
    """
    if levels is None:
        finite = level[torch.isfinite(level)]
        top = float(finite.max()) if len(finite) else 0.0
        return top - RANGE, top
    low, high = levels
    if not low < high:
        raise ParameterError(f"levels={levels!r} must be (lower, upper), in decibels")
    return low, high


def draw(
    ax: Axes, level: Tensor, rows: Rows, seconds: float, levels: tuple[float, float] | None
) -> AxesImage:
    """Draw levels in decibels of shape (rows, columns), and label the axes.

    Args:
        ax: Where to draw.
        level: In decibels.
        rows: Frequencies of the rows.
        seconds: That the columns span.
        levels: Of black and white.
    """
    low, high = limits(level, levels)
    return _image(ax, level, rows, seconds, {"cmap": "magma", "vmin": low, "vmax": high})


def _image(
    ax: Axes, values: Tensor, rows: Rows, seconds: float, colours: dict[str, object]
) -> AxesImage:
    _frequency_scale(ax, rows)
    # Rows lie evenly on the scale of the axis, so the image must not be bent once more: it is given
    # in units of the scale, and to what comes after the scale.
    edges = ax.yaxis.get_transform().transform(np.array([rows.low, rows.high]))
    image = ax.imshow(
        values.numpy(),
        origin="lower",
        aspect="auto",
        extent=(0.0, seconds, *edges),
        transform=ax.transLimits + ax.transAxes,
        **colours,  # type: ignore[arg-type]
    )
    ax.set_ylim(rows.low, rows.high)
    seconds_axis(ax, seconds)
    _frequency_ticks(ax, rows)
    return image


def _frequency_scale(ax: Axes, rows: Rows) -> None:
    def through(function: object) -> object:
        def apply(values: object) -> object:
            numbers = np.asarray(values, dtype=np.float64)
            return function(torch.from_numpy(numbers)).numpy()  # type: ignore[operator]

        return apply

    if rows.scale == "log":
        ax.set_yscale("log", base=2)
    elif rows.scale == "mel":
        ax.set_yscale("function", functions=(through(to_mel), through(from_mel)))


def _frequency_ticks(ax: Axes, rows: Rows) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    if rows.scale != "linear":
        height = ax.get_window_extent().height / ax.figure.dpi  # in inches
        marks = _TICKS if height > 2 else _FEW_TICKS
        shown = [f for f in marks if rows.low <= f <= rows.high]
        if rows.scale == "mel":
            shown = [f for f in shown if f >= 200]
        ax.yaxis.set_major_locator(FixedLocator(shown))
        ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(FuncFormatter(_hertz))
    ax.set_ylabel("frequency (Hz)", fontsize=SMALL)
    ax.tick_params(labelsize=SMALL)


def _hertz(frequency: float, _position: object = None) -> str:
    return f"{frequency / 1000:g}k" if frequency >= 1000 else f"{frequency:g}"


def mask(
    values: Array,
    *,
    sample_rate: float,
    scale: str = "mel",
    hop_length: int | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw what share of every bin a mask lets through.

    Values above 1 look like 1. Of a complex mask the magnitude is drawn. Shares are averaged over
    the channels, and where several frames or frequencies share a pixel.

    Args:
        values: The mask.
        sample_rate: Of the audio, in hertz.
        scale: Of the frequency axis: "mel", "log" or "linear".
        hop_length: Samples from one frame to the next; a quarter of a frame if not given.
        ax: Where to draw; if None, on a new figure that also explains the colours.

    Returns:
        The axes, in seconds and hertz.

    Raises:
        ParameterError: The shape is not that of a mask, or a parameter is out of range.
        DependencyError: matplotlib is not installed.

    Shape:
        values: (freq, frames) or (channels, freq, frames)

    Example:
        >>> ax = mask(torch.rand(2, 513, 40), sample_rate=44100)
        >>> round(float(ax.get_xlim()[1]), 2)
        0.23
    """
    share = _magnitude(plain(values)).float().mean(0)
    hop = positive_int("hop_length", hop_length or max(1, (share.shape[0] - 1) // 2))
    rows = Rows.of(scale, len(share), sample_rate)
    seconds = share.shape[-1] * hop / sample_rate
    shown = rows.averages(columns_of(share, -(-share.shape[-1] // COLUMNS)))
    own = ax is None
    ax = new_axes() if ax is None else ax
    image = _image(ax, shown, rows, seconds, {"cmap": "viridis", "vmin": 0.0, "vmax": 1.0})
    if own:
        colour_bar(image, ax, "share let through", ax.figure)
    return ax
