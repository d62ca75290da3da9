"""Draw docs/decomposition/separable.png and print the table of separable.md.

python docs/decomposition/separable.py
"""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import torch
from torch import Tensor

import unweave
from unweave.decomposition import match_components, resynthesise, separable_nmf
from unweave.transforms import STFT, amplitude_to_db

HERE = Path(__file__).parent
SONG = HERE.parents[1] / "examples" / "song"
NAMES = ("vocals", "drums", "bass", "other")
TRANSFORM = STFT(n_fft=4096, hop_length=1024)
COUNT, RANGE, TOP = 8, 60.0, 4.0  # components, dB, kHz


def stems() -> tuple[Tensor, int]:
    sounds = [unweave.read(SONG / f"{name}.ogg") for name in NAMES]
    return torch.stack([sound.mean(0, keepdim=True) for sound, _ in sounds]), sounds[0][1]


def table(references: Tensor) -> None:
    mixture = references.sum(0)
    V = TRANSFORM(mixture).abs()[0]
    print("| method | frames | error left | mean SI-SDR in dB, raw | mask |")
    for method in ("spa", "snpa", "xray", "greedy"):
        found = separable_nmf(V, COUNT, method=method)
        error = float((V - found.W @ found.H).norm() / V.norm())
        means = []
        for mode in ("raw", "mask"):
            parts = resynthesise(found.W, found.H, mixture, transform=TRANSFORM, mode=mode)
            means.append(float(match_components(references, parts.components).scores.mean()))
        frames = " ".join(str(index) for index in sorted(found.indices.tolist()))
        print(f"| `{method}` | {frames} | {error:.3f} | {means[0]:.2f} | {means[1]:.2f} |")


def draw(mixture: Tensor, rate: int) -> None:
    V = TRANSFORM(mixture).abs()[0]
    found = separable_nmf(V, COUNT)
    order = found.indices.argsort()
    seconds = V.shape[-1] * 1024 / rate
    figure, (top, bottom) = plt.subplots(2, figsize=(10, 5), layout="constrained", sharex=True)
    levels = amplitude_to_db(V + 1e-9)
    peak = float(levels.max())
    top.imshow(
        levels,
        origin="lower",
        aspect="auto",
        extent=(0, seconds, 0, rate / 2000),
        vmin=peak - RANGE,
        vmax=peak,
        cmap="magma",
    )
    top.set(ylim=(0, TOP), ylabel="kHz")
    top.set_title("bundled song, and the frames that SNPA chooses", fontsize=9)
    times = torch.arange(V.shape[-1]) * 1024 / rate
    for row, k in enumerate(order.tolist()):
        colour = plt.get_cmap("tab10")(row)
        top.axvline(float(times[found.indices[k]]), color=colour, linewidth=1.5)
        height = found.H[k] / found.H[k].max()
        bottom.fill_between(times, row, row + 0.9 * height, color=colour, linewidth=0)
    bottom.set(xlabel="seconds", ylabel="component", yticks=range(COUNT), xlim=(0, seconds))
    bottom.set_title("how much of each is in every frame", fontsize=9)
    figure.savefig(HERE / "separable.png", dpi=90)


if __name__ == "__main__":
    torch.set_num_threads(1)
    references, rate = stems()
    table(references)
    draw(references.sum(0), rate)
