"""Draw docs/decomposition/nmf.png and print the table of nmf.md, from the bundled song.

python docs/decomposition/nmf.py
"""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from torch import Tensor

import unweave
from unweave.decomposition import nmf, nmfd
from unweave.transforms import amplitude_to_db, stft

HERE = Path(__file__).parent
SONG = HERE.parents[1] / "examples" / "song"
N_FFT, HOP, SECONDS = 2048, 512, 6.0
RANGE, TOP = 60.0, 8.0  # dB, kHz
COUNT, LENGTH = 3, 24  # drums, and frames of their templates


def magnitudes(name: str) -> tuple[Tensor, int]:
    sound, rate = unweave.read(SONG / f"{name}.ogg")
    start = 8 * rate
    mono = sound.mean(0)[start : start + int(SECONDS * rate)]
    return stft(mono, n_fft=N_FFT, hop_length=HOP).abs(), rate


def image(axes: Axes, magnitude: Tensor, extent: tuple[float, ...], title: str) -> None:
    levels = amplitude_to_db(magnitude + 1e-9)
    top = float(levels.max())
    axes.imshow(
        levels,
        origin="lower",
        aspect="auto",
        extent=extent,
        vmin=top - RANGE,
        vmax=top,
        cmap="magma",
    )
    axes.set_title(title, fontsize=9)
    axes.set_ylim(0, TOP)


def draw() -> None:
    V, rate = magnitudes("drums")
    seed = torch.Generator().manual_seed(0)
    W, H, *_ = nmfd(V, COUNT, template_frames=LENGTH, n_iter=200, generator=seed)
    nyquist = rate / 2000
    sheet = plt.figure(figsize=(10, 4.6), layout="constrained")
    grid = sheet.add_gridspec(COUNT + 1, 2, width_ratios=(1, 6), height_ratios=(3, 1, 1, 1))
    axes = sheet.add_subplot(grid[0, 1])
    image(axes, V, (0, SECONDS, 0, nyquist), "drums of the bundled song: magnitudes")
    axes.set_ylabel("kHz")
    axes.set_xticks([])
    for k in range(COUNT):
        left, right = sheet.add_subplot(grid[k + 1, 0]), sheet.add_subplot(grid[k + 1, 1])
        image(left, W[:, k], (0, LENGTH * HOP / rate, 0, nyquist), "")
        left.set_yticks([0, TOP])
        right.plot(torch.arange(H.shape[1]) * HOP / rate, H[k] / H[k].max(), linewidth=0.8)
        right.set_xlim(0, SECONDS)
        right.set_yticks([])
        if k == 0:
            left.set_title("templates", fontsize=9)
            right.set_title("activations: when each starts", fontsize=9)
        if k < COUNT - 1:
            left.set_xticks([])
            right.set_xticks([])
        else:
            left.set_xlabel("s")
            right.set_xlabel("s")
    sheet.savefig(HERE / "nmf.png", dpi=90)


def table() -> None:
    V, _ = magnitudes("mixture")
    print("| init | start | end | iterations |\n|---|---|---|---|")
    best = float(nmf(V, 12, n_iter=2000, tol=0, init="random", n_starts=3).objective[-1])
    for init in ("random", "nndsvd", "nndsvda", "separable"):
        seed = torch.Generator().manual_seed(0)
        found = nmf(V, 12, init=init, generator=seed)
        ends = (found.objective[0] / best, found.objective[-1] / best)
        print(f'| `"{init}"` | {ends[0]:.2f} | {ends[1]:.3f} | {found.n_iter} |')


if __name__ == "__main__":
    draw()
    table()
