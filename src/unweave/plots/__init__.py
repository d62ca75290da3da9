"""Pictures of sound, masks, scores and training, with real units on the axes.

Every function draws into the `ax` it is given, or into a figure of its own, and returns the axes:
`ax.figure` shows in a notebook, `save(ax, "picture.png")` writes a file. Nothing touches the
figures, backend or settings of matplotlib.pyplot. Needs matplotlib: pip install 'unweave[plot]'.
"""

from unweave.plots._figure import save
from unweave.plots.components import components
from unweave.plots.curves import curves, history, read_curves
from unweave.plots.distribution import distribution
from unweave.plots.sheets import compare, stems
from unweave.plots.spectrogram import mask, spectrogram
from unweave.plots.waveform import waveform

__all__ = [
    "compare",
    "components",
    "curves",
    "distribution",
    "history",
    "mask",
    "read_curves",
    "save",
    "spectrogram",
    "stems",
    "waveform",
]
