"""Draw docs/filtering.png and print the tables of docs/filtering.md, from the bundled song.

python docs/filtering.py
"""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import torch
from torch import Tensor

import unweave
from unweave import filtering as F
from unweave.evaluation import sdr
from unweave.transforms import amplitude_to_db, istft, stft

HERE = Path(__file__).parent
SONG = HERE.parent / "examples" / "song"
NAMES = ("vocals", "drums", "bass", "other")
N_FFT, RANGE = 4096, 70.0
START, SECONDS, TOP = 6.0, 5.0, 5.0  # of the excerpt in the figure, in seconds and kHz


def load() -> tuple[Tensor, Tensor, int]:
    mixture, rate = unweave.read(SONG / "mixture.ogg")
    stems = [unweave.read(SONG / f"{name}.ogg")[0] for name in NAMES]
    length = min(audio.shape[-1] for audio in (mixture, *stems))
    return mixture[:, :length], torch.stack([stem[:, :length] for stem in stems]), rate


def row(title: str, estimates: Tensor, references: Tensor) -> None:
    figures = [float(sdr(*pair)) for pair in zip(estimates, references, strict=True)]
    cells = " | ".join(f"{figure:.2f}" for figure in (*figures, sum(figures) / len(figures)))
    print(f"| {title} | {cells} |", flush=True)


def models(mixture: Tensor, references: Tensor) -> dict[str, Tensor]:
    """Print what filters of true models reach; return what the figure shows."""
    x, truth = stft(mixture, n_fft=N_FFT), stft(references, n_fft=N_FFT)
    v = truth.abs()
    blurred, mono = F.smooth(v, width=2.0), v.mean(-3, keepdim=True)
    made = {
        "`softmask`": F.softmask(v, x),
        "`softmask` of squares": F.softmask(v.square(), x),
        "`wiener`": F.wiener(v, x),
        "`wiener(n_iter=2)`": F.wiener(v, x, n_iter=2),
        "mono models, `softmask`": F.softmask(mono, x),
        "mono models, `softmask` of squares": F.softmask(mono.square(), x),
        "mono models, `wiener`": F.wiener(mono, x),
        "blurred models, `softmask`": F.softmask(blurred, x),
        "blurred models, `softmask` of squares": F.softmask(blurred.square(), x),
        "blurred models, `wiener`": F.wiener(blurred, x),
        "`ideal_binary_mask`": F.ideal_binary_mask(truth, x),
        "`ideal_ratio_mask(alpha=2)`": F.ideal_ratio_mask(truth, x, alpha=2),
        "`oracle_wiener`": F.oracle_wiener(truth, x),
        "`oracle_wiener(width=10)`": F.oracle_wiener(truth, x, width=10),
    }
    for title, y in made.items():
        row(title, istft(y, n_fft=N_FFT, length=mixture.shape[-1]), references)
    return {
        "mixture": x,
        "vocals, true": truth[0],
        "blurred models, softmask": made["blurred models, `softmask`"][0],
        "blurred models, wiener": made["blurred models, `wiener`"][0],
    }


def places(references: Tensor) -> None:
    """Print what the filter makes of the stems in mono, each panned to a place of its own."""
    angles = torch.deg2rad(torch.tensor([10.0, 40.0, 50.0, 80.0]))
    gains = torch.stack([angles.cos(), angles.sin()], 1)[..., None]
    panned = references.mean(1, keepdim=True) * gains
    x, truth = stft(panned.sum(0), n_fft=N_FFT), stft(panned, n_fft=N_FFT)
    v = truth.abs().mean(-3, keepdim=True)
    for title, y in {
        "`softmask`": F.softmask(v, x),
        "`softmask` of squares": F.softmask(v.square(), x),
        "`wiener`": F.wiener(v, x),
        "`wiener(n_iter=2)`": F.wiener(v, x, n_iter=2),
    }.items():
        row(f"panned, {title}", istft(y, n_fft=N_FFT, length=panned.shape[-1]), panned)


def network(mixture: Tensor, references: Tensor, rate: int) -> None:
    """Print what the filter makes of the shipped network's stems."""
    separator = unweave.Separator("bandmask", device="cpu")
    for wiener in (0, 1, 2):
        stems = separator.with_options(wiener=wiener).separate(mixture, rate)
        row(f"`wiener={wiener}`", torch.stack(list(stems.values())), references)


def figure(spectra: dict[str, Tensor], rate: int) -> None:
    hop = N_FFT // 4
    frames = slice(round(START * rate / hop), round((START + SECONDS) * rate / hop))
    levels = {k: amplitude_to_db(y.abs().mean(0), top_db=None) for k, y in spectra.items()}
    top = float(levels["mixture"].max())
    sheet, axes = plt.subplots(1, len(levels), figsize=(10, 3.2), sharey=True, layout="constrained")
    for axis, (title, level) in zip(axes, levels.items(), strict=True):
        axis.imshow(
            level[:, frames],
            origin="lower",
            aspect="auto",
            cmap="magma",
            vmin=top - RANGE,
            vmax=top,
            extent=(0, SECONDS, 0, rate / 2000),
        )
        axis.set_ylim(0, TOP)
        axis.set_title(title, fontsize=9, loc="left")
        axis.set_xlabel("seconds", fontsize=9)
    axes[0].set_ylabel("kHz")
    sheet.savefig(HERE / "filtering.png", dpi=90)


def main() -> None:
    mixture, references, rate = load()
    figure(models(mixture, references), rate)
    places(references)
    network(mixture, references, rate)


if __name__ == "__main__":
    main()
