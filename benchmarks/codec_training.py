"""Training from spectrogram images beside training from audio: losses, and time to load a batch.

Every song becomes two tracks, its first three quarters to train on and its last quarter to
validate on, each an audio file of the target and one of the mixture. `AudioFolder` draws excerpts
of the audio (decoded once, int16 in memory maps) and the loader transforms them;
`SpectrogramImageFolder` draws the same excerpts of images that `unweave.codec` made of the audio.
The same small network learns from each with the same seed, and both are validated on the audio's
own magnitudes of the same excerpts, below 16 kHz: the loss is the absolute error, in percent of the
target's mean magnitude.
Milliseconds are medians of process time in one thread; beside them stand those of images kept
decoded in memory, and of the same audio read from flac files without a cache.

    python benchmarks/codec_training.py [--songs FOLDER] [--steps 200] [--seeds 3] [--preset NAME]
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import torch
from torch import Tensor, nn

from unweave import audio
from unweave.codec import SpectrogramCodec
from unweave.codec.folders import SUFFIXES, EncodeJob, encode_files
from unweave.datasets import AudioFolder, SpectrogramImageFolder
from unweave.models import OpenUnmix
from unweave.transforms import stft

SONG = Path(__file__).parents[1] / "examples" / "song"
TRAINING = 0.75  # share of each song
HOP, MAX_BIN = 1024, 744
Pair = tuple[Tensor, Tensor]


def write_parts(songs: Path | None, root: Path, target: str, seconds: float) -> float:
    """Write the mixtures and targets of all songs; give the seconds of audio in all files."""
    folders = sorted(path for path in songs.iterdir() if path.is_dir()) if songs else [SONG]
    written = 0.0
    for folder in folders:
        stems: dict[str, Tensor] = {}
        for path in sorted(folder.iterdir()):
            if path.suffix in (".ogg", ".wav", ".flac", ".mp3") and path.stem != "mixture":
                start = 30.0 if audio.info(path).duration > 30 + seconds else 0.0
                stems[path.stem], rate = audio.read(path, start=start, duration=seconds)
        if target not in stems:
            continue
        mixture = torch.stack(list(stems.values())).sum(0)
        gain = min(1.0, 0.99 / float(mixture.abs().max()))
        border = round(TRAINING * mixture.shape[-1])
        for subset, part in (("train", slice(border)), ("val", slice(border, None))):
            place = root / subset / folder.name
            place.mkdir(parents=True)
            for name, sound in (("mixture", mixture), (target, stems[target])):
                audio.write(place / f"{name}.flac", gain * sound[:, part], rate, subtype="PCM_16")
                written += sound[:, part].shape[-1] / rate
    return written


def encode(music: Path, images: Path, preset: str) -> None:
    codec = SpectrogramCodec(preset)
    suffix = SUFFIXES[codec.settings.format]
    jobs = [
        EncodeJob((images / path.relative_to(music)).with_suffix(suffix), ((path, 0),))
        for path in sorted(music.rglob("*.flac"))
    ]
    files = list(encode_files(jobs, codec=codec))
    for file in files:
        if file.error is not None:
            raise file.error
    snr = statistics.median(file.snr for file in files if not math.isnan(file.snr))
    size, seconds = sum(file.size for file in files), sum(file.seconds for file in files)
    print(f"{preset}: {size / 1000 / seconds:.1f} kB/s a file, SNR {snr:.1f} dB (median)\n")


def kept(pair: Pair) -> Pair:
    """Leave out the bins above 16 kHz, of which the images of most presets say nothing."""
    return pair[0][..., :MAX_BIN, :], pair[1][..., :MAX_BIN, :]


def magnitudes(pair: Pair) -> Pair:
    spectra = stft(torch.cat([pair[0][None], pair[1]]), hop_length=HOP, output="magnitude")
    return spectra[0], spectra[1:]


def batches(excerpt: Callable[[int], Pair], size: int) -> Iterator[Pair]:
    first = 0
    while True:
        pairs = [kept(excerpt(first + item)) for item in range(size)]
        yield torch.stack([x for x, _ in pairs]), torch.stack([y[0] for _, y in pairs])
        first += size


def loss_of(network: nn.Module, batch: Pair) -> Tensor:
    return (network(batch[0]) - batch[1]).abs().mean() / batch[1].mean().clamp_min(1e-3)


def validated(network: nn.Module, held: list[Pair]) -> float:
    network.eval()
    with torch.no_grad():
        errors = sum(float((network(x) - y).abs().sum()) for x, y in held)
    network.train()
    return 100 * errors / sum(float(y.sum()) for _, y in held)


def trained(seed: int, loader: Iterator[Pair], steps: int, times: list[float]) -> nn.Module:
    torch.manual_seed(seed)
    network = OpenUnmix(MAX_BIN, 2, 64, max_bin=MAX_BIN).train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=2e-3)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)  # less noise at the end
    for _ in range(steps):
        begun = time.process_time()
        batch = next(loader)
        times.append(1000 * (time.process_time() - begun))
        optimiser.zero_grad()
        loss_of(network, batch).backward()
        optimiser.step()
        falling.step()
    return network


def from_memory(images: Path, args: argparse.Namespace, cache: Path) -> float:
    """Time a batch of images that stay decoded."""
    words = {"sample_length": args.seconds, "cache_dir": cache, "memory": 2000}
    loader = batches(SpectrogramImageFolder(images, [args.target], **words).excerpt, args.batch)
    times = []
    for _ in range(40):
        begun = time.process_time()
        next(loader)
        times.append(1000 * (time.process_time() - begun))
    return statistics.median(times[20:])


def from_files(music: Path, target: str, length: float, size: int) -> float:
    """Time a batch that is read from flac files and transformed."""
    tracks = sorted((music / "train").iterdir())
    times = []
    for turn in range(8):
        begun = time.process_time()
        for item in range(size):
            track = tracks[(turn * size + item) % len(tracks)]
            start = 0.5 * item
            parts = [
                audio.read(track / f"{name}.flac", start=start, duration=length)[0]
                for name in ("mixture", target)
            ]
            magnitudes((parts[0], parts[1][None]))
        times.append(1000 * (time.process_time() - begun))
    return statistics.median(times)


def compare(args: argparse.Namespace, music: Path, images: Path, cache: Path) -> None:
    words = {"sample_length": args.seconds, "cache_dir": cache}
    losses: dict[str, list[float]] = {"audio": [], "images": [], "mixture as it is": []}
    times: dict[str, list[float]] = {"audio": [], "images": []}
    heard = AudioFolder(music, [args.target], subset="val", seed=1, **words)
    held = [
        (x[None], y)
        for x, y in (kept(magnitudes(heard.excerpt(n))) for n in range(args.validation))
    ]
    losses["mixture as it is"].append(validated(nn.Identity(), held))
    for seed in range(args.seeds):
        sound = AudioFolder(music, [args.target], seed=seed, **words)
        seen = SpectrogramImageFolder(images, [args.target], seed=seed, **words)
        sides = {"audio": lambda i, s=sound: magnitudes(s.excerpt(i)), "images": seen.excerpt}
        for side in sides if seed % 2 else reversed(sides):
            loader = batches(sides[side], args.batch)
            network = trained(seed, loader, args.steps, times[side])
            losses[side].append(validated(network, held))
            print(f"seed {seed}, {side}: {losses[side][-1]:.2f} %", flush=True)
    print("\n| training from | validation loss, mean +- deviation of seeds | ms to load a batch |")
    print("|---|---|---|")
    for side, values in losses.items():
        spread = f" +- {statistics.stdev(values):.2f}" if len(values) > 1 else ""
        spent = f"{statistics.median(times[side]):.1f}" if side in times else ""
        print(f"| {side} | {statistics.mean(values):.2f} %{spread} | {spent} |")
    paired = [b - a for a, b in zip(losses["audio"], losses["images"], strict=True)]
    print(f"\nimages - audio, seed by seed: {', '.join(f'{d:+.2f}' for d in paired)} %")
    print(f"images kept decoded in memory: {from_memory(images, args, cache):.1f} ms a batch")
    plain = from_files(music, args.target, args.seconds, args.batch)
    print(f"flac files, decoded and transformed: {plain:.1f} ms a batch")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--songs", type=Path, help="folder of songs, each a folder of stems")
    parser.add_argument("--target", default="vocals")
    parser.add_argument("--preset", default="balanced")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=3.0, help="of an excerpt")
    parser.add_argument("--duration", type=float, default=60.0, help="of each song, in seconds")
    parser.add_argument("--validation", type=int, default=32, help="excerpts")
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        music, images, cache = (Path(name) / part for part in ("music", "images", "cache"))
        seconds = write_parts(args.songs, music, args.target, args.duration)
        print(f"{seconds:.0f} s in files of targets and mixtures")
        encode(music, images, args.preset)
        compare(args, music, images, cache)


if __name__ == "__main__":
    main()
