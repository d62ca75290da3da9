"""Factors of a spectrogram as pictures: what each component sounds like, and when."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from unweave._core.checks import positive_int
from unweave.errors import ParameterError
from unweave.plots._figure import PALETTE, SMALL, Array, colour_bar, new_figure, plain, seconds_axis
from unweave.plots.spectrogram import decibels, draw, powers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

_DARK = PALETTE[:7]  # yellow is lost on white
_DEPTH = 60.0  # decibels below the peak of a template that are shown
_LOWEST = 40.0  # hertz, of the axis of templates
_TICKS = (100, 1000, 10000)


def components(
    W: Array,
    H: Array,
    *,
    sample_rate: float,
    hop_length: int | None = None,
    V: Array | None = None,
    names: Sequence[str] | None = None,
    figure: Figure | SubFigure | None = None,
) -> tuple[Axes, ...]:
    """Draw the templates of a factorisation and their activations, a row a component.

    Templates are in decibels below their own peak, on a logarithmic axis; activations are drawn to
    their own peak. How loud a component is on the whole stands beside its name, relative to the
    loudest one.

    Args:
        W: Templates.
        H: Activations.
        sample_rate: Of the audio, in hertz.
        hop_length: Samples from one frame to the next; a quarter of a frame if not given.
        V: The magnitudes that were factorised, to be drawn above the activations.
        names: Of the components; numbers from 1 if not given. Those of one name share a colour, as
            the components of one source.
        figure: Where to draw; if None, on a new figure.

    Returns:
        The axes: of the spectrogram, if there is one, then of template and activation of each
        component.

    Raises:
        ParameterError: Factors, names or V do not fit each other.
        DependencyError: matplotlib is not installed.

    Shape:
        W: (freq, components)
        H: (components, frames)
        V: (freq, frames)

    Example:
        >>> axes = components(torch.rand(65, 2), torch.rand(2, 30), sample_rate=8000)
        >>> [ax.get_title(loc="left") for ax in axes]
        ['1 (...dB)', 'activations, relative to their own peaks', '2 (...dB)', '']
    """
    w, h = _factors(W, H)
    count = w.shape[1]
    labels = [str(k + 1) for k in range(count)] if names is None else [str(name) for name in names]
    if len(labels) != count:
        raise ParameterError(f"names ({len(labels)}) must be those of all {count} components")
    kinds = list(dict.fromkeys(labels))
    hop = positive_int("hop_length", hop_length or max(1, (len(w) - 1) // 2))
    if not 0 < sample_rate < math.inf:
        raise ParameterError(f"sample_rate={sample_rate!r} must be a positive number of hertz")
    top = 2.2 if V is not None else 0.0
    row = max(0.5, min(0.75, 12 / count))  # inches; many components need not be so tall
    figure = figure or new_figure(11.0, 0.7 + top + row * count)
    heights = [top, *[row] * count] if V is not None else [row] * count
    grid = figure.add_gridspec(len(heights), 2, width_ratios=(2, 5), height_ratios=heights)
    axes: list[Axes] = []
    if V is not None:
        axes.append(_spectrogram(figure.add_subplot(grid[0, 1]), V, w, h, sample_rate, hop))
    levels = _levels(w, h)
    for k in range(count):
        colour = _DARK[kinds.index(labels[k]) % len(_DARK)]
        left = figure.add_subplot(grid[len(heights) - count + k, 0])
        right = figure.add_subplot(grid[len(heights) - count + k, 1])
        _template(left, w[:, k], sample_rate, colour)
        _activation(right, h[k], hop / sample_rate, colour)
        left.set_title(f"{labels[k]} ({levels[k]})", loc="left", fontsize=SMALL - 1, pad=2)
        axes += [left, right]
    _headings(axes, 2 * count)
    return tuple(axes)


def _factors(W: Array, H: Array) -> tuple[Tensor, Tensor]:
    w, h = plain(W), plain(H)
    fits = w.ndim == h.ndim == 2 and w.shape[1] == h.shape[0] and w.numel() and h.numel()
    if not fits or len(w) < 3 or w.is_complex() or h.is_complex():
        raise ParameterError(
            f"W {tuple(w.shape)} and H {tuple(h.shape)} must be real (freq, components) and"
            " (components, frames)"
        )
    return w.double(), h.double()


def _levels(w: Tensor, h: Tensor) -> list[str]:
    """Give the energy of each component's model, relative to the largest."""
    energy = w.square().sum(0) * h.square().sum(1)
    largest = float(energy.max())
    shown = []
    for value in energy.tolist():
        below = 10 * math.log10(largest / value) if value else math.inf
        sign = "−" if below >= 0.5 else ""  # as long as those of the axes
        shown.append(f"{sign}{below:.0f} dB" if value else "silent")
    return shown


def _spectrogram(ax: Axes, V: Array, w: Tensor, h: Tensor, sample_rate: float, hop: int) -> Axes:
    magnitudes = plain(V)
    if magnitudes.shape != (len(w), h.shape[1]):
        raise ParameterError(
            f"V of shape {tuple(magnitudes.shape)} must be ({len(w)}, {h.shape[1]}), as W and H are"
        )
    power, rows, _ = powers(
        magnitudes[None], sample_rate=sample_rate, scale="mel", n_fft=None, hop_length=hop
    )
    image = draw(ax, decibels(power), rows, h.shape[1] * hop / sample_rate, None)
    colour_bar(image, ax, "dB", ax.figure)
    return ax


def _template(ax: Axes, w: Tensor, sample_rate: float, colour: str) -> None:
    spacing = sample_rate / 2 / (len(w) - 1)
    frequencies = torch.arange(1, len(w)) * spacing  # zero has no place on the axis
    peak = float(w.max()) or 1.0
    level = (20 * torch.log10((w[1:] / peak).clamp(min=1e-9))).clamp(min=-_DEPTH)
    ax.fill_between(frequencies.numpy(), -_DEPTH, level.numpy(), color=colour, linewidth=0)
    ax.set_xscale("log")
    ax.set_xlim(max(min(_LOWEST, sample_rate / 16), spacing), sample_rate / 2)
    ax.set_ylim(-_DEPTH, 3)
    ax.set_yticks([-_DEPTH, 0])
    shown = [f for f in _TICKS if f < sample_rate / 2]
    ax.set_xticks(shown, [f"{f // 1000}k" if f >= 1000 else str(f) for f in shown])
    ax.minorticks_off()
    ax.grid(axis="x", color="0.85", linewidth=0.6)
    _plain(ax)


def _activation(ax: Axes, h: Tensor, step: float, colour: str) -> None:
    heights = h / (float(h.max()) or 1.0)
    times = torch.arange(len(h)) * step
    ax.fill_between(times.numpy(), 0, heights.numpy(), color=colour, linewidth=0)
    ax.set_ylim(0, 1.05)
    ax.set_yticks([])
    seconds_axis(ax, len(h) * step)
    _plain(ax)


def _plain(ax: Axes) -> None:
    ax.set_axisbelow(True)
    ax.tick_params(labelsize=SMALL - 1)
    ax.spines[["top", "right"]].set_visible(False)


def _headings(axes: list[Axes], count: int) -> None:
    """Name the columns, and leave times and frequencies to the lowest row."""
    rows = axes[-count:]
    for ax in axes[:-2]:
        ax.set_xlabel("")
        ax.tick_params(labelbottom=False)
    rows[-2].set_xlabel("frequency (Hz)", fontsize=SMALL)
    rows[0].set_ylabel("dB", fontsize=SMALL - 1)
    heading = "activations, relative to their own peaks"
    rows[1].set_title(heading, loc="left", fontsize=SMALL - 1, pad=2)
