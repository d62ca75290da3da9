"""Draw docs/stems.png: the bundled song, its separated stems and the true ones."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import torch

import unweave

ROOT = Path(__file__).parent.parent
RANGE = 70  # dB


def picture(axes: plt.Axes, audio: torch.Tensor, sample_rate: int, title: str, top: float) -> None:
    spec = unweave.transforms.stft(audio.mean(0), n_fft=2048, hop_length=512)
    level = 20 * torch.log10(spec.abs() + 1e-6)
    seconds = audio.shape[-1] / sample_rate
    axes.imshow(
        level,
        origin="lower",
        aspect="auto",
        cmap="magma",
        vmin=top - RANGE,
        vmax=top,
        extent=(0, seconds, 0, sample_rate / 2000),
    )
    axes.set_ylim(0, 10)
    axes.set_title(title, fontsize=10, loc="left")
    axes.label_outer()


def main() -> None:
    song = ROOT / "examples" / "song"
    mixture, sample_rate = unweave.read(song / "mixture.ogg")
    stems = unweave.separate(mixture, sample_rate)
    spec = unweave.transforms.stft(mixture.mean(0), n_fft=2048, hop_length=512)
    top = float(20 * torch.log10(spec.abs().max()))
    figure = plt.figure(figsize=(10, 6.4), layout="constrained")
    grid = figure.add_gridspec(4, 3, width_ratios=(1.2, 1, 1))
    picture(figure.add_subplot(grid[:, 0]), mixture, sample_rate, "mixture", top)
    for row, (name, stem) in enumerate(stems.items()):
        truth, _ = unweave.read(song / f"{name}.ogg")
        picture(figure.add_subplot(grid[row, 1]), stem, sample_rate, f"{name}, separated", top)
        picture(figure.add_subplot(grid[row, 2]), truth, sample_rate, f"{name}, true", top)
    figure.supxlabel("seconds", fontsize=9)
    figure.supylabel("kHz", fontsize=9)
    figure.savefig(ROOT / "docs" / "stems.png", dpi=100)


if __name__ == "__main__":
    main()
