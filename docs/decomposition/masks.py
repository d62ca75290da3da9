"""What masks gain over raw factors on the bundled song, in stereo, with 4 and 7 components.

    python docs/decomposition/masks.py

Stems get one component each, so that of seven components three belong to none ("one to one"); or
those are added to the stem with which they correlate most, which only who knows the stems can do
("together").
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from unweave import audio
from unweave.decomposition import match_components, nmf, resynthesise
from unweave.decomposition.song import mean_magnitudes
from unweave.transforms import STFT

SONG = Path(__file__).parents[2] / "examples" / "song"
STEMS = ("vocals", "drums", "bass", "other")
TRANSFORM = STFT(n_fft=4096, hop_length=1024)
WAYS = {"raw": ("raw", 1.0), "mask": ("mask", 1.0), "mask of powers": ("mask", 2.0)}


def one_to_one(stems: Tensor, parts: Tensor) -> float:
    return float(match_components(stems, parts).scores.mean())


def together(stems: Tensor, parts: Tensor) -> float:
    """Give components that belong to no stem to the one with which they correlate most."""
    match = match_components(stems, parts)
    products = torch.einsum("sct,kct->sk", stems, parts) / stems.norm(dim=(1, 2))[:, None]
    owner = products.argmax(0)
    owner[match.indices] = torch.arange(len(stems))
    sums = torch.stack([parts[owner == s].sum(0) for s in range(len(stems))])
    return float(match_components(stems, sums).scores.mean())


def main() -> None:
    mixture, _ = audio.read(SONG / "mixture.ogg")
    stems = torch.stack([audio.read(SONG / f"{name}.ogg")[0] for name in STEMS])
    V = mean_magnitudes(mixture, transform=TRANSFORM)
    itself = float(match_components(stems, mixture[None]).table.mean())
    print(f"the song itself: {itself:.2f}")
    print("| components | factors | sound | one to one | together |")
    for count in (4, 7):
        for name, beta in (("Frobenius", 2), ("KL", 1)):
            W, H, *_ = nmf(V, count, beta=beta)
            for way, (mode, power) in WAYS.items():
                options = {"transform": TRANSFORM, "mode": mode, "power": power}
                parts = resynthesise(W, H, mixture, **options).components
                scores = f"{one_to_one(stems, parts):.2f} | {together(stems, parts):.2f}"
                print(f"| {count} | {name} | {way} | {scores} |", flush=True)


if __name__ == "__main__":
    main()
