"""Sheets of several pictures on one scale: the stems of a song, an estimate beside the truth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from unweave.errors import ParameterError
from unweave.plots._figure import PALETTE, SMALL, Array, colour_bar, new_figure, signal
from unweave.plots._levels import Rows
from unweave.plots.spectrogram import decibels, draw, limits, powers
from unweave.plots.waveform import waveform

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

_COLOURS = {
    "vocals": PALETTE[5],
    "drums": PALETTE[1],
    "bass": PALETTE[2],
    "other": PALETTE[0],
    "mixture": "#555555",
    "residual": PALETTE[3],
}


def stem_colour(name: str, place: int) -> str:
    """Give a stem its colour, the same in every picture.

    Args:
        name: Of the stem.
        place: In its picture, which decides for names that are not usual.
    """
    return _COLOURS.get(name, PALETTE[place % len(PALETTE)])


def stems(
    sounds: Mapping[str, Array],
    *,
    sample_rate: float,
    scale: str = "mel",
    levels: tuple[float, float] | None = None,
    figure: Figure | SubFigure | None = None,
) -> tuple[Axes, ...]:
    """Draw the waveform and the spectrogram of every stem, a row each, all on the same scales.

    Put the mixture first to see what the stems are of.

    Args:
        sounds: Audio by its name.
        sample_rate: In hertz.
        scale: Of the frequency axes: "mel", "log" or "linear".
        levels: Of black and of white in decibels; from the loudest of all to 80 dB below if not
            given.
        figure: Where to draw; if None, on a new figure.

    Returns:
        The axes, from top to bottom: of the waveform, then of the spectrogram.

    Raises:
        ParameterError: There is no sound, or one is no audio.
        DependencyError: matplotlib is not installed.

    Shape:
        sounds: each (time,) or (channels, time)

    Example:
        >>> noise = torch.randn(2, 2, 8000) / 10
        >>> axes = stems({"vocals": noise[0], "drums": noise[1]}, sample_rate=8000)
        >>> [ax.get_title(loc="left") for ax in axes]
        ['vocals', '', 'drums', '']
    """
    audio = {name: signal(x, name) for name, x in sounds.items()}
    if not audio:
        raise ParameterError("sounds is empty: give for example {'vocals': audio}")
    figure = figure or new_figure(11.0, 0.6 + 1.7 * len(audio))
    made = [_shown(x, sample_rate, scale) for x in audio.values()]
    low, high = limits(torch.cat([level.flatten() for level, _, _ in made]), levels)
    peak = 1.05 * max(float(x.abs().max().nan_to_num()) for x in audio.values()) or 1.0
    grid = figure.add_gridspec(len(audio), 2, width_ratios=(2, 3))
    axes: list[Axes] = []
    for row, (name, x) in enumerate(audio.items()):
        left = figure.add_subplot(grid[row, 0])
        waveform(x, sample_rate=sample_rate, color=stem_colour(name, row), limit=peak, ax=left)
        left.set_title(name, loc="left", fontsize=SMALL + 1, fontweight="bold")
        right = figure.add_subplot(grid[row, 1])
        image = draw(right, *made[row], (low, high))
        axes += [left, right]
    for ax in axes[:-2]:
        ax.set_xlabel("")
        ax.tick_params(labelbottom=False)
    colour_bar(image, axes[1::2], "level (dB, full scale = 0)", figure)
    return tuple(axes)


def _shown(x: Tensor, sample_rate: float, scale: str) -> tuple[Tensor, Rows, float]:
    power, rows, seconds = powers(
        x, sample_rate=sample_rate, scale=scale, n_fft=None, hop_length=None
    )
    return decibels(power), rows, seconds


def compare(
    estimate: Array,
    reference: Array,
    *,
    sample_rate: float,
    scale: str = "mel",
    levels: tuple[float, float] | None = None,
    figure: Figure | SubFigure | None = None,
) -> tuple[Axes, Axes, Axes]:
    """Draw the spectrograms of a true sound, its estimate and what is between them, on one scale.

    The error is the difference of the two signals: what is missing in the estimate and what is too
    much both shine.

    Args:
        estimate: Estimated audio.
        reference: True audio of the same shape.
        sample_rate: In hertz.
        scale: Of the frequency axes: "mel", "log" or "linear".
        levels: Of black and of white in decibels; from the loudest of the true sound to 80 dB below
            if not given.
        figure: Where to draw; if None, on a new figure.

    Returns:
        The axes of the true sound, the estimate and the error.

    Raises:
        ParameterError: The signals are no audio of the same shape.
        DependencyError: matplotlib is not installed.

    Shape:
        estimate: (time,) or (channels, time)
        reference: (time,) or (channels, time)

    Example:
        >>> true = torch.randn(2, 8000, generator=torch.Generator().manual_seed(0))
        >>> [ax.get_title(loc="left") for ax in compare(0.9 * true, true, sample_rate=8000)]
        ['true', 'estimate', 'error: 20.0 dB below the true sound']
    """
    e, s = signal(estimate, "estimate"), signal(reference, "reference")
    if e.shape != s.shape:
        raise ParameterError(
            f"estimate {tuple(e.shape)} and reference {tuple(s.shape)} must have the same shape"
        )
    figure = figure or new_figure(11.0, 6.6)
    sounds = {"true": s, "estimate": e, _distance(e, s): e - s}
    made = [_shown(x, sample_rate, scale) for x in sounds.values()]
    low, high = limits(made[0][0], levels)
    axes = []
    for row, name in enumerate(sounds):
        ax = figure.add_subplot(3, 1, row + 1)
        image = draw(ax, *made[row], (low, high))
        ax.set_title(name, loc="left", fontsize=SMALL + 1, fontweight="bold")
        axes.append(ax)
    for ax in axes[:-1]:
        ax.set_xlabel("")
        ax.tick_params(labelbottom=False)
    colour_bar(image, axes, "level (dB, full scale = 0)", figure)
    return axes[0], axes[1], axes[2]


def _distance(e: Tensor, s: Tensor) -> str:
    """Say how far the error is below the truth: the signal-to-distortion ratio, in words."""
    error, true = (float(x.double().square().sum()) for x in (e - s, s))
    if not error or not true:
        return "error: none" if not error else "error: the true sound is silent"
    below = 10 * torch.log10(torch.tensor(true / error))
    return f"error: {abs(below):.1f} dB {'below' if below >= 0 else 'above'} the true sound"
