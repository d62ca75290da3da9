"""Draws the picture of codec.md: one file of the bundled song, and what comes back from it.

python docs/codec.py
"""

from __future__ import annotations

import io
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import torch
from PIL import Image

from unweave import audio
from unweave.codec import SpectrogramCodec
from unweave.transforms import amplitude_to_db, stft

HERE = Path(__file__).parent
SONG = HERE.parent / "examples" / "song" / "mixture.ogg"
RANGE, TOP = 80.0, 16.0  # dB and kHz
START, SECONDS = 8.0, 8.0


def main() -> None:
    sound, rate = audio.read(SONG, start=START, duration=SECONDS)
    codec = SpectrogramCodec()
    file = codec.encode(sound, sample_rate=rate)
    with Image.open(io.BytesIO(file)) as image:
        pixels = np.asarray(image)
    spectra = {
        "original, left": stft(sound, hop_length=1024, output="magnitude")[0],
        f"decoded, left ({len(file) / 1000 / SECONDS:.1f} kB/s)": codec.decode(file)[0],
        "norbert's preset, left": SpectrogramCodec("norbert").decode(
            SpectrogramCodec("norbert").encode(sound, sample_rate=rate)
        )[0],
    }
    sheet, axes = plt.subplots(1, 4, figsize=(11, 3.4), layout="constrained")
    axes[0].imshow(pixels, cmap="gray", aspect="auto", vmin=0, vmax=255)
    axes[0].set_title("the file: middle above side", fontsize=9, loc="left")
    axes[0].set_axis_off()
    top = float(amplitude_to_db(spectra["original, left"], top_db=None).max())
    for axis, (title, magnitude) in zip(axes[1:], spectra.items(), strict=True):
        level = amplitude_to_db(magnitude.clamp_min(1e-9), top_db=None)
        extent = (0, SECONDS, 0, rate / 2000)
        axis.imshow(
            torch.flip(level, (0,)),
            aspect="auto",
            cmap="magma",
            vmin=top - RANGE,
            vmax=top,
            extent=extent,
        )
        axis.set_ylim(0, TOP)
        axis.set_title(title, fontsize=9, loc="left")
        axis.set_xlabel("seconds", fontsize=9)
    axes[1].set_ylabel("kHz")
    sheet.savefig(HERE / "codec.png", dpi=90)


if __name__ == "__main__":
    main()
