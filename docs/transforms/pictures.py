"""Draw the pictures of docs/transforms from eight seconds of the bundled song.

python docs/transforms/pictures.py [names of pictures]
"""

import io
import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter
from PIL import Image
from torch import Tensor

import unweave
from unweave import transforms as T

HERE = Path(__file__).parent
SONG = HERE.parents[1] / "examples" / "song"
RANGE = 70.0  # dB
NOTES = ["C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B"]


def excerpt(stem: str = "mixture", start: float = 4.0, seconds: float = 8.0) -> tuple[Tensor, int]:
    audio, rate = unweave.read(SONG / f"{stem}.ogg")
    return audio.mean(0)[int(start * rate) : int((start + seconds) * rate)].contiguous(), rate


def level(spec: Tensor) -> Tensor:
    return T.amplitude_to_db(spec.abs(), ref="max", top_db=RANGE)


def show(
    axes: Axes,
    values: Tensor,
    seconds: float,
    frequencies: Tensor | None,
    *,
    title: str,
    unit: str = "dB",
    cmap: str = "magma",
) -> None:
    """Show features over time, the rows labelled with their frequencies in Hz if given."""
    image = axes.imshow(
        values.numpy(),
        origin="lower",
        aspect="auto",
        cmap=cmap,
        extent=(0, seconds, -0.5, values.shape[0] - 0.5),
        interpolation="nearest",
    )
    if frequencies is not None:
        last = len(frequencies) - 1

        def hertz(row: float, _: object) -> str:
            return f"{float(frequencies[min(max(round(row), 0), last)]):.0f}"

        axes.yaxis.set_major_formatter(FuncFormatter(hertz))
        axes.set_ylabel("Hz")
    axes.set_title(title, fontsize=9, loc="left")
    axes.set_xlabel("seconds")
    axes.figure.colorbar(image, ax=axes, label=unit, pad=0.01)


def sheet(count: int, height: float = 2.6, columns: int = 2) -> list[Axes]:
    rows = -(-count // columns)
    _, axes = plt.subplots(
        rows, columns, figsize=(10, height * rows), layout="constrained", squeeze=False
    )
    return list(axes.flat)


def stft() -> None:
    x, rate = excerpt()
    axes = sheet(4)
    keys = {"freq_bins": 256, "fmin": 40.0, "fmax": 10_000.0, "sample_rate": rate}
    for ax, n_fft in zip(axes[:2], (512, 4096), strict=True):
        spec = T.stft(x, n_fft=n_fft, hop_length=512)
        places = torch.fft.rfftfreq(n_fft, 1 / rate)
        shown = int(8000 * n_fft / rate)
        title = f"n_fft={n_fft}: {1000 * n_fft / rate:.0f} ms"
        show(ax, level(spec)[:shown], 8, places, title=title)
    for ax, freq_scale in zip(axes[2:], ("log", "linear"), strict=True):
        keys = {"freq_bins": 256, "fmin": 40.0, "fmax": 4000.0, "sample_rate": rate}
        keys["freq_scale"] = freq_scale
        spec = T.stft(x, n_fft=4096, hop_length=512, **keys)
        places = T.stft_frequencies(n_fft=4096, **keys)
        show(ax, level(spec), 8, places, title=f"n_fft=4096, {freq_scale=}")


def mel() -> None:
    x, rate = excerpt()
    axes = sheet(2)
    keys = {"sample_rate": rate, "n_fft": 2048, "hop_length": 512}
    places = T.mel_frequencies(130, fmin=0.0, fmax=rate / 2)[1:-1]
    spec = T.mel_spectrogram(x, n_mels=128, **keys)
    show(axes[0], T.power_to_db(spec, ref="max"), 8, places, title="mel_spectrogram, 128 bands")
    show(axes[1], T.mfcc(x, n_mfcc=20, **keys)[1:], 8, None, title="mfcc, 1 to 19", unit="")
    axes[1].set_ylabel("coefficient")


def gammatone() -> None:
    x, rate = excerpt()
    axes = sheet(1, columns=1, height=3)
    spec = T.gammatonegram(x, sample_rate=rate, n_bins=64, n_fft=2048, hop_length=512)
    places = T.gammatone_frequencies(64, fmax=rate / 2)
    show(axes[0], T.power_to_db(spec, ref="max"), 8, places, title="gammatonegram, 64 bands")


def scaling() -> None:
    x, rate = excerpt("vocals")
    keys = {"sample_rate": rate, "hop_length": 512}
    mel = T.mel_spectrogram(x, n_fft=2048, n_mels=80, **keys)
    places = T.mel_frequencies(82, fmin=0.0, fmax=rate / 2)[1:-1]
    axes = sheet(4)
    show(axes[0], mel, 8, places, title="a voice: mel power as it is", unit="power")
    show(axes[1], T.power_to_db(mel), 8, places, title="power_to_db")
    cube = T.power_compress(mel, exponent=1 / 3)
    show(axes[2], cube, 8, places, title="power_compress, exponent=1/3", unit="")
    show(axes[3], T.pcen(mel * 2**31, **keys), 8, places, title="pcen", unit="")


def chroma() -> None:
    x, rate = excerpt("other")
    axes = sheet(3, columns=1, height=2)
    one = T.chroma_stft(x, sample_rate=rate, n_fft=4096, hop_length=1024)
    two = T.chroma_cqt(x, sample_rate=rate, hop_length=1024)
    titles = ("chroma_stft", "chroma_cqt", "delta of chroma_cqt, width 9")
    for ax, values, title in zip(axes, (one, two, T.delta(two)), titles, strict=True):
        show(ax, values, 8, None, title=title, unit="", cmap="viridis")
        ax.set_yticks(range(12), NOTES, fontsize=7)


def constantq() -> None:
    x, rate = excerpt()
    axes = sheet(2)
    for ax, gamma in zip(axes, (0.0, 20.0), strict=True):
        spec = T.vqt(x, sample_rate=rate, hop_length=256, n_bins=96, gamma=gamma, output="complex")
        places = 32.70319566 * 2 ** (torch.arange(96) / 12)
        title = "cqt: bins 1/12 octave apart" if gamma == 0 else "vqt, gamma=20: quicker low bins"
        show(ax, level(spec), 8, places, title=title)


def nsgt() -> None:
    x, rate = excerpt()
    axes = sheet(2)
    layer = T.NSGT(sample_rate=rate, bins_per_octave=24)
    spec = layer(x)
    again = layer.inverse(spec, length=len(x))
    seconds = spec.shape[-1] * layer.hop_length / rate
    show(axes[0], level(spec), seconds, layer.frequencies, title="nsgt, 24 bins to the octave")
    axes[0].set_xlim(0, 8)
    times = torch.arange(len(x)) / rate
    axes[1].plot(times, x, lw=0.3, label="audio")
    axes[1].plot(times, 1e6 * (again - x), lw=0.3, label="what insgt leaves, times a million")
    axes[1].legend(fontsize=7, loc="upper right")
    axes[1].set_xlabel("seconds")


def griffinlim() -> None:
    x, _rate = excerpt()
    magnitude = T.stft(x, n_fft=2048, hop_length=512, output="magnitude")
    axes = sheet(1, columns=1, height=2.6)
    for momentum in (0.0, 0.5, 0.99):
        errors = []
        for count in (1, 2, 4, 8, 16, 32, 64):
            generator = torch.Generator().manual_seed(0)
            keys = {"n_iter": count, "momentum": momentum, "generator": generator}
            audio = T.griffinlim(magnitude, hop_length=512, length=len(x), **keys)
            rebuilt = T.stft(audio, n_fft=2048, hop_length=512, output="magnitude")
            errors.append(20 * ((rebuilt - magnitude).norm() / magnitude.norm()).log10())
        axes[0].semilogx((1, 2, 4, 8, 16, 32, 64), errors, marker="o", label=f"{momentum=}")
    axes[0].set_xlabel("iterations")
    axes[0].set_ylabel("spectral error, dB")
    axes[0].legend(fontsize=8)


def periodicity() -> None:
    x, rate = excerpt("vocals")
    found = T.cfp(x, sample_rate=rate, hop_length=512)
    axes = sheet(2)
    show(axes[0], level(found.spectrum), 8, None, title="spectrum on log-spaced bins")
    show(axes[1], level(found.salience), 8, None, title="salience: spectrum times cepstrum")
    for ax in axes:
        ax.set_ylabel("bin, 48 to the octave from 80 Hz")


def medians() -> None:
    x, rate = excerpt()
    magnitude = T.stft(x, n_fft=2048, hop_length=512, output="magnitude")
    harmonic, percussive = T.median_magnitudes(magnitude)
    places = torch.fft.rfftfreq(2048, 1 / rate)
    axes = sheet(2)
    show(axes[0], level(harmonic)[:500], 8, places, title="medians along time: what lasts")
    show(axes[1], level(percussive)[:500], 8, places, title="medians along frequency: what hits")


PICTURES: dict[str, Callable[[], None]] = {
    draw.__name__: draw
    for draw in (
        stft,
        mel,
        gammatone,
        scaling,
        chroma,
        constantq,
        nsgt,
        griffinlim,
        periodicity,
        medians,
    )
}


def main() -> None:
    plt.rcParams.update({"font.size": 8})
    for name in sys.argv[1:] or PICTURES:
        PICTURES[name]()
        drawn = io.BytesIO()
        plt.savefig(drawn, dpi=80)
        plt.close("all")
        # 128 colours are a third of the bytes.
        Image.open(drawn).convert("RGB").quantize(128).save(HERE / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
