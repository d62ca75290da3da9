"""How fast spectrogram images load, and how large they are, beside audio and NumPy files.

Everything is read from a warm file and becomes float32 magnitudes (2, 1025, frames) of 20 s of
stereo at 44.1 kHz; audio is decoded and transformed by `unweave.transforms.stft`, by librosa's
where the row says so. Milliseconds are medians of process time in one thread, the rows taking
turns, so that a busy machine slows all of them alike; with more threads, of wall-clock time, which
needs a machine that does nothing else. "norbert" is the decoder of its README era, written out
here: Pillow, division by 255, exp, all in float64. Sizes are kilobytes (1000 bytes) a second.

    python benchmarks/codec.py [--repeats 9] [--songs FOLDER] [--long] [--threads 2]
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ["OMP_WAIT_POLICY"] = "PASSIVE"

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from unweave import audio
from unweave.codec import SpectrogramCodec, dequantize, level_bounds, quantize, scale
from unweave.transforms import stft

SONG = Path(__file__).parents[1] / "examples" / "song"
RATE, SECONDS, HOP = 44_100, 20.0, 1024
Load = Callable[[], object]


def sounds(songs: Path | None) -> dict[str, Tensor]:
    found = {"song": audio.read(SONG / "mixture.ogg", start=2.0, duration=SECONDS)[0]}
    for folder in sorted(songs.iterdir()) if songs else ():
        if folder.is_dir():
            stems = [
                audio.read(file, start=100.0, duration=SECONDS)[0] for file in folder.glob("*.ogg")
            ]
            mixture = torch.stack(stems).sum(0)
            found[folder.name] = mixture * (0.9 / mixture.abs().max())
    return found


def magnitudes(sound: Tensor) -> Tensor:
    return stft(sound, hop_length=HOP, output="magnitude")


def loads(sound: Tensor, folder: Path) -> dict[str, tuple[Path, Load]]:
    """Write the files; give what loads each."""
    rows: dict[str, tuple[Path, Load]] = {}
    for kind in ("mp3", "flac", "ogg"):
        path = folder / f"sound.{kind}"
        audio.write(path, sound, RATE)
        rows[f"{kind}, decoded only"] = path, lambda path=path: audio.read(path)
        rows[f"{kind} + STFT"] = path, lambda path=path: magnitudes(audio.read(path)[0])
    rows["mp3 + librosa's STFT"] = folder / "sound.mp3", lambda: librosa_load(folder / "sound.mp3")
    spectrum = magnitudes(sound).contiguous().numpy()
    for kind in (np.float64, np.float32):
        path = folder / f"{np.dtype(kind)}.npy"
        np.save(path, spectrum.astype(kind))
        rows[f"npy {np.dtype(kind)}"] = path, lambda path=path: np.load(path).astype(np.float32)
    rows["npy float32"] = folder / "float32.npy", lambda: np.load(folder / "float32.npy")
    path = folder / "norbert.jpg"
    SpectrogramCodec("norbert").encode(sound, sample_rate=RATE, path=path)
    rows["norbert q=80, its decoder"] = path, lambda: norbert_load(folder / "norbert.jpg")
    rows |= images(sound, folder)
    return rows


def images(sound: Tensor, folder: Path) -> dict[str, tuple[Path, Load]]:
    rows: dict[str, tuple[Path, Load]] = {}
    options = {
        "norbert": ("norbert", {}),
        "small (avif)": ("small", {}),
        "balanced (jpeg)": ("balanced", {}),
        "fast (png, 6 bits)": ("fast", {}),
        "png, 5 bits": ("fast", {"bits": 5}),
        "jpeg q=82": ("balanced", {"quality": 82}),
        "transparent (jpeg)": ("transparent", {}),
        "webp q=90": ("balanced", {"format": "webp", "quality": 90}),
        "jxl q=90": ("balanced", {"format": "jxl", "quality": 90}),
        "png 8 bits": ("balanced", {"format": "png", "stereo": "left_right"}),
        "png 16 bits": ("balanced", {"format": "png", "stereo": "left_right", "bits": 16}),
    }
    for name, (preset, changes) in options.items():
        codec = SpectrogramCodec(preset, **changes)
        path = folder / name.replace(" ", "-")
        codec.encode(sound, sample_rate=RATE, path=path)
        rows[f"unweave, {name}"] = path, lambda codec=codec, path=path: codec.decode(path)
    out = torch.empty(SpectrogramCodec().decode(folder / "balanced-(jpeg)").shape)
    path = folder / "balanced-(jpeg)"
    rows["unweave, balanced, into a batch"] = (
        path,
        lambda: SpectrogramCodec().decode(path, out=out),
    )
    return rows


def librosa_load(path: Path) -> object:
    import librosa

    return np.abs(librosa.stft(audio.read(path)[0].numpy(), n_fft=2048, hop_length=HOP))


def norbert_load(path: Path) -> object:
    with Image.open(path) as image:
        pixels = np.asarray(image)[::-1].swapaxes(0, 1)[:, :, :2]
    unit = pixels.astype(np.float64) / 255
    return np.exp(unit * 9.2 - 9.2).astype(np.float32)


def compare(rows: dict[str, tuple[Path, Load]], repeats: int) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in rows}
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    for turn in range(repeats + 1):
        for name, (_, load) in rows.items():
            start = clock()
            load()
            if turn:  # the first turn compiles
                times[name].append(1000 * (clock() - start))
    return {name: statistics.median(values) for name, values in times.items()}


def speed(found: dict[str, Tensor], repeats: int) -> None:
    sizes: dict[str, list[float]] = {}
    medians: dict[str, list[float]] = {}
    for sound in found.values():
        with tempfile.TemporaryDirectory() as folder:
            rows = loads(sound, Path(folder))
            for name, (path, _) in rows.items():
                sizes.setdefault(name, []).append(path.stat().st_size / 1000 / SECONDS)
            for name, value in compare(rows, repeats).items():
                medians.setdefault(name, []).append(value)
    means = {name: statistics.mean(values) for name, values in medians.items()}
    mp3, npy = means["mp3 + STFT"], means["npy float32"]
    print(f"20 s, mean of {len(found)} excerpts")
    print("| file | kB/s | ms | faster than mp3 + STFT | time of npy float32 |")
    print("|---|---|---|---|---|")
    for name, value in means.items():
        size = statistics.mean(sizes[name])
        print(f"| {name} | {size:.1f} | {value:.2f} | {mp3 / value:.1f} x | {value / npy:.1f} x |")


def sizes_of_the_seed(sound: Tensor) -> None:
    """Print the table of norbert's README anew, in kilobytes a second of stereo."""
    spectrum = magnitudes(sound).double()
    seconds = 1000 * sound.shape[-1] / RATE
    levels = scale(spectrum, law="log")
    codes = quantize(levels, bounds=level_bounds(levels, dynamic_range=80.0), rounding="floor")
    again = dequantize(codes, bounds=level_bounds(levels, dynamic_range=80.0))
    assert float((again.clamp_min(-80) - levels.clamp_min(-80)).median().abs()) < 0.4
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "f64.npy", spectrum.numpy())
        np.savez_compressed(folder / "f64.npz", spectrum.numpy())
        np.save(folder / "u8.npy", codes.numpy())
        np.savez_compressed(folder / "u8.npz", codes.numpy())
        audio.write(folder / "a.mp3", sound, RATE)
        for preset in ("norbert", "balanced"):
            file = SpectrogramCodec(preset).encode(sound, sample_rate=RATE)
            (folder / f"{preset}.jpg").write_bytes(file)
        rows = (
            ("npy, 64 bits", "~750", "f64.npy"),
            ("npy, 64 bits, zipped", "~680", "f64.npz"),
            ("MP3, soundfile's best VBR", "256 (kilobits)", "a.mp3"),
            ("norbert quantization, 8-bit npy", "89", "u8.npy"),
            ("norbert quantization, zipped", "", "u8.npz"),
            ("norbert quantization, JPEG q=80, 16 kHz", "15", "norbert.jpg"),
            ("unweave balanced", "", "balanced.jpg"),
        )
        print("\n| stored as | README | measured, kB/s |\n|---|---|---|")
        for title, claim, file in rows:
            print(f"| {title} | {claim} | {(folder / file).stat().st_size / seconds:.1f} |")


def long_file(repeats: int) -> None:
    """Print what an excerpt of a long file costs."""
    sound = audio.read(SONG / "mixture.ogg")[0].repeat(1, 9)  # four minutes
    codec = SpectrogramCodec()
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "long.jpg"
        codec.encode(sound, sample_rate=RATE, path=path)
        frames = codec.info(path).frames
        rows = {
            "all of it": (path, lambda: codec.decode(path)),
            "6 s of it": (path, lambda: codec.decode(path, start=frames // 2, frames=258)),
            "its metadata": (path, lambda: codec.info(path)),
        }
        print(f"\n| {sound.shape[-1] / RATE:.0f} s in one file | ms |\n|---|---|")
        for title, value in compare(rows, repeats).items():
            print(f"| {title} | {value:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--songs", type=Path, help="folder of songs, each a folder of stems")
    parser.add_argument("--long", action="store_true", help="only the rows of a long file")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if not args.long:
        found = sounds(args.songs)
        speed(found, args.repeats)
        sizes_of_the_seed(found["song"])
    long_file(args.repeats)


if __name__ == "__main__":
    main()
