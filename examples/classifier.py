"""Train a small network with a spectrogram layer inside, basis and all, and draw the basis.

The network hears half a second of one stem of the bundled song and says which it is: vocals, drums,
bass or other. It learns from the first 18 seconds and is asked about the last 10. The layer starts
as a short-time Fourier transform on a logarithmic scale and is trained like every other layer.

    python examples/classifier.py [--steps 120] [--picture docs/transforms/classifier.png]
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor, nn

import unweave
from unweave.transforms import STFT

SONG = Path(__file__).parent / "song"
STEMS = ("vocals", "drums", "bass", "other")
RATE, LENGTH, SPLIT = 11_025, 5_512, 18


class Classifier(nn.Module):
    """Spectrogram layer, logarithm, one convolution, the mean over time."""

    def __init__(self, *, trainable: bool = True) -> None:
        super().__init__()
        self.spectrogram = STFT(
            n_fft=512,
            hop_length=256,
            freq_scale="log",
            freq_bins=48,
            fmin=50,
            fmax=5000,
            sample_rate=RATE,
            output="magnitude",
            trainable=trainable,
        )
        self.features = nn.Sequential(nn.Conv1d(48, 32, 3), nn.ReLU(), nn.AdaptiveAvgPool1d(1))
        self.classes = nn.Linear(32, len(STEMS))

    def forward(self, x: Tensor) -> Tensor:
        level = torch.log1p(100 * self.spectrogram(x))
        return self.classes(self.features(level).flatten(1))


def excerpts() -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Cut all stems into audible half seconds, each at its own level, and set the end apart."""
    known, asked = [], []
    for label, stem in enumerate(STEMS):
        audio, rate = unweave.read(SONG / f"{stem}.ogg")
        audio = unweave.audio.resample(audio.mean(0), rate, RATE)
        pieces = audio.unfold(0, LENGTH, LENGTH // 4)
        times = torch.arange(len(pieces)) * (LENGTH // 4) / RATE
        levels = pieces.square().mean(1).sqrt()
        loud = levels > 0.1 * levels.max()
        pieces = pieces / levels[:, None].clamp(min=1e-6) / 10
        known += [(piece, label) for piece in pieces[loud & (times < SPLIT - 1)]]
        asked += [(piece, label) for piece in pieces[loud & (times >= SPLIT)]]

    def joined(examples: list[tuple[Tensor, int]]) -> tuple[Tensor, Tensor]:
        audio, labels = zip(*examples, strict=True)
        return torch.stack(audio), torch.tensor(labels)

    return joined(known), joined(asked)


def train(network: nn.Module, audio: Tensor, labels: Tensor, steps: int) -> list[float]:
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-3)
    generator = torch.Generator().manual_seed(0)
    shares = 1.0 / torch.bincount(labels)[labels]  # all stems are heard equally often
    losses = []
    for _ in range(steps):
        chosen = torch.multinomial(shares, 32, replacement=True, generator=generator)
        loss = nn.functional.cross_entropy(network(audio[chosen]), labels[chosen])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses


def accuracy(network: nn.Module, audio: Tensor, labels: Tensor) -> float:
    """Give the mean over the stems of the share that is recognised."""
    with torch.no_grad():
        right = network(audio).argmax(1) == labels
    return float(
        torch.stack([right[labels == stem].float().mean() for stem in labels.unique()]).mean()
    )


def draw(before: Tensor, after: Tensor, path: Path) -> None:
    """Draw the spectra of the basis before and after, and some of its waves."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(10, 2.8), layout="constrained")
    for ax, basis, title in zip(axes, (before, after), ("before", "after"), strict=False):
        level = 20 * torch.log10(torch.fft.rfft(basis, dim=1).abs() + 1e-3)
        ax.imshow(
            level.numpy(),
            origin="lower",
            aspect="auto",
            cmap="magma",
            vmin=-20,
            vmax=45,
            extent=(0, RATE / 2, 0, len(basis)),
        )
        ax.set_title(f"spectra of the basis {title} training", fontsize=9)
        ax.set_xlabel("Hz")
        ax.set_ylabel("bin")
    for place, row in enumerate((6, 20, 34)):
        axes[2].plot((before[row] + 3 * place).numpy(), lw=0.8, color="silver")
        axes[2].plot((after[row] + 3 * place).numpy(), lw=0.8)
    axes[2].set_title("three cosines, before (grey) and after", fontsize=9)
    axes[2].set_xlabel("samples")
    axes[2].set_yticks([])
    figure.savefig(path, dpi=80)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    known, asked = excerpts()
    for trainable in (False, True):
        torch.manual_seed(0)
        network = Classifier(trainable=trainable)
        start = [p.detach().clone() for p in network.spectrogram.parameters()]
        losses = train(network, *known, steps=options.steps)
        basis = "trained" if trainable else "fixed"
        print(
            f"{basis} basis: loss {losses[0]:.2f} -> {losses[-1]:.2f},"
            f" recognised of the unheard end: {100 * accuracy(network, *asked):.0f} %"
        )
    if options.picture:
        draw(start[0], network.spectrogram.wcos.detach(), options.picture)


if __name__ == "__main__":
    main()
