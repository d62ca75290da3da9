"""Draw docs/decomposition/hpss.png and print the table of hpss.md, from the bundled song.

python docs/decomposition/hpss.py
"""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import torch
from torch import Tensor

import unweave
from unweave.decomposition import hpss, repet, repet_sim
from unweave.evaluation import si_sdr
from unweave.transforms import amplitude_to_db, istft, stft

HERE = Path(__file__).parent
SONG = HERE.parents[1] / "examples" / "song"
NAMES = ("vocals", "drums", "bass", "other")
RANGE, TOP = 60.0, 8.0  # dB, kHz
START, STOP = 8.0, 14.0  # seconds in the figure


def read(name: str) -> Tensor:
    return unweave.read(SONG / f"{name}.ogg")[0]


def table(stems: dict[str, Tensor], rate: int) -> None:
    mixture = sum(stems.values())
    length = mixture.shape[-1]
    X = stft(mixture)
    second = round(rate / 512)
    low = round(100 * 2048 / rate)
    works = {
        "`hpss`, percussive: drums": (hpss(X).percussive, "drums"),
        "`hpss`, `margin=3`, percussive: drums": (hpss(X, margin=3.0).percussive, "drums"),
        "`repet`, foreground: vocals": (
            repet(X, period=(second, 10 * second), background_bins=low).foreground,
            "vocals",
        ),
        "`repet_sim`, foreground: vocals": (
            repet_sim(X, min_distance=2 * second, background_bins=low).foreground,
            "vocals",
        ),
    }
    print("| part: stem | SI-SDR in dB | of the mixture |")
    for title, (part, name) in works.items():
        estimate = istft(part, length=length)
        values = float(si_sdr(estimate, stems[name])), float(si_sdr(mixture, stems[name]))
        print(f"| {title} | {values[0]:.2f} | {values[1]:.2f} |", flush=True)


def draw(mixture: Tensor, rate: int) -> None:
    X = stft(mixture.mean(0)[int(START * rate) : int(STOP * rate)])
    parts = {"song": X, **hpss(X, margin=2.0)._asdict()}
    peak = float(amplitude_to_db(X.abs()).max())
    figure, axes = plt.subplots(1, 4, figsize=(12, 3.4), layout="constrained", sharey=True)
    for axis, (title, part) in zip(axes, parts.items(), strict=True):
        axis.imshow(
            amplitude_to_db(part.abs() + 1e-9),
            origin="lower",
            aspect="auto",
            extent=(START, STOP, 0, rate / 2000),
            vmin=peak - RANGE,
            vmax=peak,
            cmap="magma",
        )
        axis.set(title=title, ylim=(0, TOP), xlabel="seconds")
    axes[0].set_ylabel("kHz")
    figure.savefig(HERE / "hpss.png", dpi=90)


if __name__ == "__main__":
    torch.set_num_threads(1)
    rate = unweave.read(SONG / "drums.ogg")[1]
    stems = {name: read(name) for name in NAMES}
    draw(sum(stems.values()), rate)
    table(stems, rate)
