"""What spectrogram images cost and keep: kilobytes a second against SNR, SI-SDR and hearing.

Each excerpt becomes an image and comes back with the phases of the original, as a source comes back
with those of its mixture. SNR and SI-SDR are in dB, over both channels. "zimtohrli" is the distance
of Google's psychoacoustic model Zimtohrli (`pip install zimtohrli`), times 1000, mean of the
channels at 48 kHz: 0 is identity, less is better; it is no PEAQ. Sizes are those of whole files, in
kilobytes (1000 bytes) a second of stereo. "norbert" is the pipeline of its README era.

Excerpts are 5 s long: from the bundled song, and from folders of songs that hold stems.

    python benchmarks/codec_quality.py [--songs FOLDER] [--picture docs/codec_quality.png]
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from unweave import audio
from unweave.codec import SpectrogramCodec
from unweave.evaluation import sdr, si_sdr

ROOT = Path(__file__).parents[1]
SONG = ROOT / "examples" / "song"
STEMS = ("vocals", "drums", "bass", "other")
RATE, SECONDS = 44_100, 5.0
SWEEPS = {
    "norbert": ("norbert", {}, (50, 80, 90, 95)),
    "jpeg": ("balanced", {}, (40, 60, 70, 75, 82, 90)),
    "jpeg, left/right": ("balanced", {"stereo": "left_right"}, (60, 75)),
    "jpeg, log 80 dB": ("balanced", {"law": "log", "dynamic_range": 80.0}, (50, 75)),
    "jpeg, power 0.4": ("balanced", {"exponent": 0.4}, (60, 75)),
    "avif": ("balanced", {"format": "avif"}, (50, 70, 90)),
    "webp": ("balanced", {"format": "webp"}, (75, 85, 92)),
    "jxl": ("balanced", {"format": "jxl"}, (80, 90, 95)),
    "transparent": ("transparent", {}, (90,)),
    "fast": ("fast", {}, (75,)),
    "png, 5 bits": ("fast", {"bits": 5}, (75,)),
    "png, 8 bits": ("balanced", {"format": "png", "stereo": "left_right"}, (75,)),
}
FIGURE = ("norbert", "jpeg", "avif", "webp", "jxl")


def excerpts(songs: Path | None) -> Iterator[tuple[str, Tensor]]:
    """Give excerpts of different character, the loudest sample at 0.9."""
    for name in ("mixture", *STEMS):
        for start in (2.0, 10.0):
            start += 9.0 * (name == "bass")  # which enters late
            yield f"song, {name}, {start:g} s", read(SONG / f"{name}.ogg", start)
    for folder in sorted(songs.iterdir()) if songs else ():
        if not folder.is_dir():
            continue
        stems = {file.stem: read(file, 100.0, peak=False) for file in sorted(folder.glob("*.ogg"))}
        yield f"{folder.name}, mixture", normalised(sum(stems.values()))
        loudest = max(stems, key=lambda name: float(stems[name].norm()))
        yield f"{folder.name}, {loudest}", normalised(stems[loudest])


def read(path: Path, start: float, *, peak: bool = True) -> Tensor:
    sound, rate = audio.read(path, start=start, duration=SECONDS)
    assert rate == RATE
    return normalised(sound) if peak else sound


def normalised(sound: Tensor) -> Tensor:
    return sound * (0.9 / sound.abs().max().clamp_min(1e-9))


class Ear:
    """The hearing model, which keeps what it was given last at its own rate."""

    def __init__(self) -> None:
        try:
            self.model = importlib.import_module("zimtohrli").Pyohrli()
        except ImportError:
            print("zimtohrli is not installed: its column stays empty")
            self.model = None

    def distance(self, estimate: Tensor, reference: Tensor) -> float:
        if self.model is None:
            return float("nan")
        pairs = [audio.resample(x, RATE, 48_000).numpy() for x in (estimate, reference)]
        return 1000 * float(
            np.mean([self.model.distance(*pair) for pair in zip(*pairs, strict=True)])
        )


def measure(codec: SpectrogramCodec, sound: Tensor, ear: Ear) -> tuple[float, float, float, float]:
    file = codec.encode(sound, sample_rate=RATE)
    again = codec.resynthesise(file, mixture=sound)
    size = len(file) / 1000 / (sound.shape[-1] / RATE)
    flat = again.reshape(1, -1), sound.reshape(1, -1)
    ratios = float(sdr(again, sound)), float(si_sdr(*flat).mean())
    return size, *ratios, ear.distance(again, sound)


def at(curve: list[tuple[int, np.ndarray]], wanted: float, by: int, of: int) -> str:
    """Interpolate a figure of a sweep where another one has the wanted value."""
    points = sorted((float(row[by]), float(row[of])) for _, row in curve)
    places, values = zip(*points, strict=True)
    if wanted > places[-1]:  # the sweep ends before
        return f"under {min(values):.1f}" if of == 0 else f"over {max(values):.1f}"
    return f"{np.interp(wanted, places, values):.1f}"


def goals(curves: dict[str, list[tuple[int, np.ndarray]]]) -> None:
    norbert = dict(curves["norbert"])
    for name in ("jpeg", "avif", "jxl"):
        sizes = [at(curves[name], norbert[q][3], 3, 0) for q in (80, 95)]
        ratios = ", ".join(f"{at(curves[name], size, 0, 1)} dB at {size}" for size in (8, 15))
        print(
            f"{name}: {sizes[0]} kB/s has norbert's score at q=80 ({norbert[80][0]:.1f} kB/s),"
            f" {sizes[1]} that at q=95 ({norbert[95][0]:.1f}); SNR {ratios} kB/s"
        )
    ratios = ", ".join(f"{at(curves['norbert'], s, 0, 1)} dB at {s}" for s in (8, 15))
    print(f"norbert: SNR {ratios} kB/s")


def picture(curves: dict[str, list[tuple[int, np.ndarray]]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    sheet, axes = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
    for axis, column, label in (
        (axes[0], 1, "SNR in dB"),
        (axes[1], 3, "Zimtohrli distance × 1000"),
    ):
        for name in FIGURE:
            rows = np.array([row for _, row in curves[name]])
            axis.plot(rows[:, 0], rows[:, column], "o-", label=name, markersize=4)
        axis.set_xlabel("kilobytes a second of stereo")
        axis.set_title(label, loc="left", fontsize=10)
        axis.set_xlim(0, None)
        axis.grid(alpha=0.3)
    axes[1].set_ylim(0, None)
    axes[0].legend(fontsize=9)
    sheet.savefig(path, dpi=90)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--songs", type=Path, help="folder of songs, each a folder of stems")
    parser.add_argument("--picture", type=Path, help="where to draw the curves")
    parser.add_argument("--each", action="store_true", help="a row for every excerpt, too")
    args = parser.parse_args()
    torch.set_num_threads(1)
    ear, sounds = Ear(), dict(excerpts(args.songs))
    print(f"{len(sounds)} excerpts of {SECONDS:g} s: {', '.join(sounds)}\n")
    print("| codec | quality | kB/s | SNR | SI-SDR | zimtohrli | worst SNR |")
    print("|---|---|---|---|---|---|---|")
    curves: dict[str, list[tuple[int, np.ndarray]]] = {}
    for name, (preset, changes, qualities) in SWEEPS.items():
        for quality in qualities:
            codec = SpectrogramCodec(preset, **changes, quality=quality)
            rows = [measure(codec, sound, ear) for sound in sounds.values()]
            mean = np.mean(rows, 0)
            curves.setdefault(name, []).append((quality, mean))
            cells = " | ".join(f"{value:.2f}" for value in (*mean, min(row[1] for row in rows)))
            print(f"| {name} | {quality} | {cells} |", flush=True)
            for title, row in zip(sounds, rows, strict=True) if args.each else ():
                print(f"| - {title} | | " + " | ".join(f"{value:.2f}" for value in row) + " | |")
    print()
    goals(curves)
    if args.picture:
        picture(curves, args.picture)


if __name__ == "__main__":
    main()
