"""How scores are spread over tracks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from unweave.errors import ParameterError
from unweave.plots._figure import PALETTE, SMALL, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH = 0.8  # of all boxes of a stem; 1 is the distance of stems


def distribution(
    scores: Mapping[str, Mapping[str, Sequence[float]]],
    *,
    label: str = "SDR (dB)",
    ax: Axes | None = None,
) -> Axes:
    """Draw how scores are spread: a point a track, a bar at the median, a box of the half.

    Args:
        scores: Those of all tracks, by method and by stem. Values that are not finite are left out,
            and how many is said below the stem.
        label: Of the scores, with their unit.
        ax: Where to draw; if None, on a new figure.

    Returns:
        The axes: stems from left to right, methods side by side.

    Raises:
        ParameterError: There are no scores.
        DependencyError: matplotlib is not installed.

    Example:
        >>> ax = distribution({"mine": {"vocals": [5.0, 6.5, 9.0], "drums": [4.0, 7.0, 3.5]}})
        >>> [tick.get_text() for tick in ax.get_xticklabels()]
        ['vocals', 'drums']
    """
    stems = list(dict.fromkeys(stem for of in scores.values() for stem in of))
    if not stems:
        raise ParameterError("scores holds none: give {method: {stem: [values]}}")
    ax = new_axes(max(5.0, 1.5 + 0.5 * len(stems) * (1 + len(scores))), 4.0) if ax is None else ax
    step = _WIDTH / len(scores)
    missing = dict.fromkeys(stems, 0)
    for place, (method, of) in enumerate(scores.items()):
        colour = PALETTE[place % len(PALETTE)]
        for stem, given in of.items():
            finite = np.array([v for v in given if math.isfinite(v)])
            missing[stem] = max(missing[stem], len(given) - len(finite))
            centre = stems.index(stem) + (place - (len(scores) - 1) / 2) * step
            _column(ax, finite, centre, step, colour)
        ax.scatter([], [], color=colour, label=method, marker="s")
    ax.set_xticks(range(len(stems)), [_named(stem, missing[stem]) for stem in stems])
    ax.set_xlim(-0.6, len(stems) - 0.4)
    ax.set_ylabel(label, fontsize=SMALL)
    ax.tick_params(labelsize=SMALL)
    ax.grid(axis="y", color="0.9")
    ax.axhline(0, color="0.6", linewidth=0.8)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    if len(scores) > 1:
        ax.legend(
            fontsize=SMALL,
            frameon=False,
            ncols=len(scores),
            loc="lower left",
            bbox_to_anchor=(0, 1),
        )
    return ax


def _named(stem: str, missing: int) -> str:
    return f"{stem}\n({missing} without)" if missing else stem


def _column(ax: Axes, values: np.ndarray, centre: float, step: float, colour: str) -> None:
    """Draw the scores of one method on one stem."""
    if not len(values):
        return
    if len(values) > 3:  # fewer speak for themselves
        low, high = np.quantile(values, (0.25, 0.75))
        ax.bar(centre, high - low, 0.8 * step, low, color=colour, alpha=0.25, linewidth=0)
    reach = 0.4 * step
    middle = float(np.median(values))
    ax.plot([centre - reach, centre + reach], [middle, middle], color=colour, linewidth=2.5)
    # Spread by their order, so that a picture of the same scores is the same picture.
    aside = (np.arange(len(values)) * 0.618) % 1 - 0.5
    size = 12 if len(values) > 3 else 30
    ax.scatter(
        centre + 0.5 * step * aside,
        values,
        s=size,
        color=colour,
        edgecolor="white",
        linewidth=0.4,
        zorder=3,
    )
