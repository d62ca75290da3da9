"""Waveforms as pictures: the extremes and the root mean square of every column."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from unweave.errors import ParameterError
from unweave.plots._figure import PALETTE, SMALL, Array, new_axes, seconds_axis, signal

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = 2000


class Envelope(NamedTuple):
    """What a waveform shows, each of shape (columns,).

    Attributes:
        low: The least sample.
        high: The largest sample.
        rms: The root mean square.
    """

    low: Tensor
    high: Tensor
    rms: Tensor


def waveform(
    x: Array,
    *,
    sample_rate: float,
    color: str | None = None,
    limit: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a signal over time: its extremes, and darker its root mean square.

    Channels lie over each other. A signal of few samples is drawn as a line a channel.

    Args:
        x: Audio.
        sample_rate: In hertz.
        color: Any that matplotlib knows.
        limit: Amplitude at the upper and lower edges; just above the peak if not given.
        ax: Where to draw; if None, on a new figure.

    Returns:
        The axes, in seconds and in amplitude, where 1 is full scale.

    Raises:
        ParameterError: `x` is no audio, or a parameter is out of range.
        DependencyError: matplotlib is not installed.

    Shape:
        x: (time,) or (channels, time)

    Example:
        >>> ax = waveform(torch.sin(torch.arange(8000) / 50), sample_rate=8000)
        >>> ax.get_xlabel(), ax.get_ylabel()
        ('time (s)', 'amplitude')
    """
    audio = signal(x)
    if not sample_rate > 0:
        raise ParameterError(f"sample_rate={sample_rate!r} must be a positive number of hertz")
    ax = new_axes(10.0, 2.5) if ax is None else ax
    color = color or PALETTE[0]
    seconds = audio.shape[-1] / sample_rate
    if audio.shape[-1] <= COLUMNS:
        times = torch.arange(audio.shape[-1]) / sample_rate
        ax.plot(times, audio.T.numpy(), color=color, linewidth=0.8)
    else:
        shown = envelope(audio)
        times = (torch.arange(len(shown.rms)) + 0.5) * (seconds / len(shown.rms))
        ax.fill_between(times, shown.low, shown.high, color=color, alpha=0.4, linewidth=0)
        ax.fill_between(times, -shown.rms, shown.rms, color=color, linewidth=0)
    if limit is None:
        limit = 1.05 * float(audio.abs().max().nan_to_num(1.0)) or 1.0
    ax.set_ylim(-limit, limit)
    ax.set_ylabel("amplitude", fontsize=SMALL)
    seconds_axis(ax, seconds)
    return ax


def envelope(audio: Tensor, columns: int = COLUMNS) -> Envelope:
    """Give the extremes and the root mean square of every column.

    Args:
        audio: Shape (channels, time), with at least as many samples as columns.
        columns: Of the picture.
    """
    edges = torch.linspace(0, audio.shape[-1], columns + 1).long().tolist()
    spans = [audio[:, a:b] for a, b in pairwise(edges)]
    found = torch.stack([torch.stack((*x.aminmax(), x.square().mean().sqrt())) for x in spans], 1)
    return Envelope(*found.float())
