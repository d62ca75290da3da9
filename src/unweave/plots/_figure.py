"""Figures that are nobody else's: what all pictures share."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor

from unweave._core.arrays import NumpyArray, to_tensor
from unweave.audio._partfile import PartFile
from unweave.errors import DependencyError, ParameterError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = Tensor | NumpyArray

Drawn: TypeAlias = "Axes | Figure | Sequence[Axes]"

# Of Okabe and Ito: apart for every kind of colour vision, and in grey.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000", "#F0E442")
SMALL = 9  # points, of labels


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of so many inches that pyplot does not know of.

    Args:
        width: In inches.
        height: In inches.

    Raises:
        DependencyError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise DependencyError("pictures need matplotlib: pip install 'unweave[plot]'") from error
    return Figure(figsize=(width, height), layout="constrained")


def new_axes(width: float = 10.0, height: float = 4.0) -> Axes:
    """Return the only axes of a new figure; see `new_figure`.

    Args:
        width: In inches.
        height: In inches.
    """
    axes: Axes = new_figure(width, height).add_subplot()
    return axes


def save(axes: Drawn, path: str | os.PathLike[str], *, dpi: float = 120) -> Path:
    """Write the figure that axes belong to; the file appears when it is complete.

    Args:
        axes: What a function of this module returned, or a figure.
        path: Of the picture; its suffix is the format: png, svg, pdf, jpg, webp. An existing file
            is replaced.
        dpi: Pixels per inch.

    Returns:
        The path.

    Raises:
        ParameterError: matplotlib cannot write this format.
        AudioFileError: The file cannot be written.

    Example:
        >>> import tempfile
        >>> from unweave import plots
        >>> ax = plots.waveform(torch.zeros(2, 100), sample_rate=100)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     plots.save(ax, Path(folder) / "silence.png").name
        'silence.png'
    """
    first = axes[0] if isinstance(axes, Sequence) else axes
    figure = first.figure.figure  # of axes in a part of a figure, the whole
    path = Path(path)
    kind = path.suffix.removeprefix(".").lower()
    known = sorted(figure.canvas.get_supported_filetypes())
    if kind not in known:
        raise ParameterError(f"{str(path)!r}: the suffix must be one of {', '.join(known)}")
    part = PartFile(path)
    try:
        figure.savefig(part.path, dpi=dpi, format=kind)
    except OSError as error:
        raise part.error(error) from error
    part.commit()
    return path


def signal(x: Array, name: str = "x") -> Tensor:
    """Give audio as a detached (channels, time) tensor on the CPU.

    Args:
        x: Shape (channels, time) or (time,).
        name: Of the argument, for the error.

    Raises:
        ParameterError: It is something else.
    """
    found = plain(x)
    if found.ndim == 1:
        found = found[None]
    if found.ndim != 2 or not found.is_floating_point() or 0 in found.shape:
        raise ParameterError(
            f"{name} of shape {tuple(found.shape)} and {found.dtype} was given: floating audio of"
            " shape (channels, time) or (time,) is expected"
        )
    return found


def plain(x: Array) -> Tensor:
    """Give a tensor on the CPU without its history, in single precision at least.

    Args:
        x: A tensor or an array.
    """
    found = (x if isinstance(x, Tensor) else to_tensor(x)).detach().cpu()
    half = found.dtype in (torch.float16, torch.bfloat16)
    return found.float() if half else found


def seconds_axis(ax: Axes, end: float, start: float = 0.0) -> None:
    """Label the horizontal axis in seconds, or in minutes and seconds where that reads better.

    Args:
        ax: Whose axis.
        end: In seconds.
        start: In seconds.
    """
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    ax.set_xlim(start, end)
    if end > 120:
        steps = [1.5, 3, 6, 10]  # quarter, half and whole minutes are multiples
        ax.xaxis.set_major_locator(MaxNLocator(10, steps=[1, *steps]))
        ax.xaxis.set_major_formatter(FuncFormatter(clock))
        ax.set_xlabel("time (min:s)", fontsize=SMALL)
    else:
        ax.set_xlabel("time (s)", fontsize=SMALL)
    ax.tick_params(labelsize=SMALL)


def clock(seconds: float, _position: object = None) -> str:
    """Write seconds as minutes and seconds.

    Args:
        seconds: Since the beginning.

    Example:
        >>> clock(75)
        '1:15'
    """
    return f"{int(seconds // 60)}:{seconds % 60:02.0f}"


def colour_bar(image: object, axes: Axes | Sequence[Axes], label: str, figure: object) -> None:
    """Add a slim bar that says what the colours mean.

    Args:
        image: What was drawn.
        axes: Beside which the bar stands.
        label: With the unit.
        figure: That holds them.
    """
    bar = figure.colorbar(image, ax=axes, label=label, pad=0.01, fraction=0.03, aspect=50)  # type: ignore[attr-defined]
    bar.ax.tick_params(labelsize=SMALL)
    bar.ax.yaxis.label.set_size(SMALL)
    bar.outline.set_visible(False)
